package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	_ "time/tzdata" // the image is empty but for this binary
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are where a command reads and writes: data to out, talk and progress to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// execute runs the command line args and returns the exit status.
func execute(ctx context.Context, args []string, std streams) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(std.err, "trunkline: "+text)
	}
	if usage := new(usageError); errors.As(err, &usage) {
		fmt.Fprintf(std.err, "See '%s --help'.\n", usage.command)
	}
	return exitStatus(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "trunkline",
		Short: "A carrier-facing SIP edge: proves, registers, paces, routes and explains trunks",
		Long: "Trunkline stands between SIP applications and carriers. It proves a trunk before anyone relies on it, routes calls\n" +
			"through it, relays their media, and explains every call it took or refused.\n\n" + exitHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{cmd.CommandPath(), fmt.Errorf("unknown command %q", args[0])}
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{cmd.CommandPath(), err}
	})
	root.AddCommand(newServe(), newConfig(), newHealthcheck(), newTrunk(), newNumber(), newCall(), newAgent(), newCPS(), newWebhook(), newKey(), newDB(), newExplain(), newDemo(), newVersion())
	return root
}

// noArguments refuses what a command would not look at.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{cmd.CommandPath(), fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}
