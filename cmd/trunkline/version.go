package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"trunkline/api"
)

// Release builds set these with -ldflags "-X main.version=v1.2.3 -X main.commit=…"; otherwise what Go recorded is taken.
var version, commit string

// build says what this binary is made of. Fields that the build did not record are "unknown".
func build() api.Build {
	b := api.Build{Version: version, Commit: commit, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		b.Version, b.Commit = cmp.Or(b.Version, "unknown"), cmp.Or(b.Commit, "unknown")
		return b
	}
	b.Version = cmp.Or(b.Version, info.Main.Version, "(devel)")
	if b.Commit != "" {
		return b
	}
	b.Commit = "unknown"
	dirty := false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.modified":
			dirty = setting.Value == "true"
		}
	}
	if dirty {
		b.Commit += "+changes"
	}
	return b
}

func newVersion() *cobra.Command {
	output := "text"
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build()
			switch output {
			case "text":
				fmt.Fprintf(cmd.OutOrStdout(), "trunkline %s\ncommit %s\n%s\n", b.Version, b.Commit, b.Go)
				return nil
			case "json":
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					Version string `json:"version"`
					Commit  string `json:"commit"`
					Go      string `json:"go"`
				}{b.Version, b.Commit, b.Go})
			default:
				return &usageError{cmd.CommandPath(), fmt.Errorf("output %q: allowed are text and json", output)}
			}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "text or json")
	return cmd
}
