package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

var cpsKeys = resource{word: "key", path: "/v1/cps-keys", name: "key", columns: []column{
	{"KEY", "key"}, {"LIMIT", "limit"}, {"RATE", "rate"}, {"USED", "used"}, {"PEAK", "peak"}, {"WAITING", "waiting"}, {"DELAYED", "delayed"}, {"REFUSED", "refused"},
	{"BY CARRIER", "refused_by_carrier"}, {"TRUNKS", "trunks"}}}

func newCPS() *cobra.Command {
	cmd := group("cps", "Show the limits of calls per second as they are now")
	var flags remoteFlags
	flags.add(cmd)
	list := cpsKeys.newList(&flags, nil)
	list.Short = "List the limits with what they have done"
	cmd.AddCommand(list, newCPSWatch(&flags))
	return cmd
}

func newCPSWatch(flags *remoteFlags) *cobra.Command {
	var interval time.Duration
	var output string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show the limits again and again, until interrupted",
		Long:  "Show the limits again and again. On a terminal the table is drawn anew; elsewhere, and with -o json, each look is one line of JSON.",
		Args:  noArguments,
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, _ []string) error {
			if interval < 100*time.Millisecond {
				return &usageError{cmd.CommandPath(), errors.New("--interval: 100ms or more is allowed")}
			}
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for {
				answer, err := r.get(ctx, cpsKeys.path, nil)
				if ctx.Err() != nil {
					return nil // this is how it ends
				}
				if err != nil {
					return err
				}
				if err := drawPaces(cmd.OutOrStdout(), output, answer); err != nil {
					return err
				}
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
				}
			}
		})}
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "between looks")
	outputFlag(cmd, &output)
	return cmd
}

// drawPaces shows one look.
func drawPaces(out io.Writer, output string, answer json.RawMessage) error {
	file, ok := out.(*os.File)
	if output == "json" || !ok || !term.IsTerminal(int(file.Fd())) {
		line, err := json.Marshal(map[string]any{"at": time.Now().UTC().Format(stampForm), "keys": answer})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", line)
		return err
	}
	var rows []map[string]any
	if err := decodeNumbers(answer, &rows); err != nil {
		return err
	}
	fmt.Fprint(out, "\x1b[H\x1b[2J") // home, and clear
	return showTable(out, rows, cpsKeys.columns)
}
