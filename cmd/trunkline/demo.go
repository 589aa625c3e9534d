package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func newDemo() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch the main job on loopback: a trunk proven, onboarded over the API, and calls crossing",
		Long: "Watch the main job on loopback, with a simulated carrier, an application and an edge in this process, on free ports and\n" +
			"with a store in a temporary folder. Over the API, each step shown as a curl command: credentials are tested, a connection is\n" +
			"created, a number imported and verified, an agent assigned, the password rotated. Calls cross in both directions with media,\n" +
			"their ladder, records and metrics are shown, and a burst of calls is paced. Nothing leaves this host and nothing stays behind.\n\n" +
			"Exit status: 0 every step worked; 1 one did not, and is named.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return runDemo(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave everything running afterwards, until a signal")
	return cmd
}

// demoLimit bounds the demo. It takes about six seconds.
const demoLimit = time.Minute

// runDemo shows each step on out as it happens; what the edge logs goes to talk.
func runDemo(ctx context.Context, out, talk io.Writer, keep bool) (err error) {
	limited, cancel := context.WithTimeoutCause(ctx, demoLimit, fmt.Errorf("not done within %s", demoLimit))
	defer cancel()
	started := time.Now()
	d, err := newDemonstration(limited, out, talk)
	if err != nil {
		return err
	}
	defer d.close()
	err = d.run(limited)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	if keep {
		kept := time.Now()
		d.keep(ctx)
		started = started.Add(time.Since(kept))
	}
	if err := d.step("Stop: registrations taken back, nothing left behind", d.end, context.WithoutCancel(ctx)); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nEvery step worked, in %.1f s.\n", time.Since(started).Seconds())
	return nil
}

// run does the steps in the order in which a user meets them.
func (d *demonstration) run(ctx context.Context) error {
	for _, s := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"Prove the trunk, before anyone relies on it", d.prove},
		{"See a wrong password found, with its cause and the fix", d.proveWrong},
		{"Start the edge, and make the first API key", d.firstKey},
		{"Test the credentials over the API: nothing is stored", d.testOverAPI},
		{"Create the connection with the evidence; it registers at once", d.create},
		{"List and import numbers", d.bring},
		{"Verify the number by a call in and a call out", d.verify},
		{"Make the application an agent and give it the number", d.assign},
		{"Inbound call: carrier → edge → application", d.callIn},
		{"Outbound calls: application → edge → carrier, which demands digest", func(ctx context.Context) error { return d.callOut(ctx, 2, 1) }},
		{"A call that the edge makes: application and number, over the API", d.originate},
		{"Rotate the password, with a call up", d.rotate},
		{"Outbound call with the new password: the carrier demands digest anew", func(ctx context.Context) error { return d.callOut(ctx, 2) }},
		{"The SIP ladder of that call", d.ladder},
		{"The call records, read back from SQLite", d.readRecords},
		{"Some metrics, read over HTTP", d.readMetrics},
		{"Ten calls at once on a trunk that may have five a second", d.burst},
	} {
		if err := d.step(s.title, s.do, ctx); err != nil {
			return err
		}
	}
	return nil
}

// step shows a title, does the step, and names it when it fails.
func (d *demonstration) step(title string, do func(context.Context) error, ctx context.Context) error {
	d.steps++
	fmt.Fprintf(d.out, "\n%d. %s\n", d.steps, title)
	err := do(ctx)
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	fmt.Fprintf(d.out, "   ✗ %v\n", err)
	return fmt.Errorf("demo, step %d: %w", d.steps, err)
}

// saw shows something that worked.
func (d *demonstration) saw(format string, args ...any) {
	fmt.Fprintf(d.out, "   ✓ "+format+"\n", args...)
}

// line shows something on the way.
func (d *demonstration) line(format string, args ...any) {
	fmt.Fprintf(d.out, "     "+format+"\n", args...)
}

// keep leaves everything running until ctx ends or a part fails.
func (d *demonstration) keep(ctx context.Context) {
	web := "http://" + d.daemon.http.Addr().String()
	fmt.Fprintf(d.out, `
Everything keeps running until Ctrl-C. Look at it from another terminal:
   KEY=$(cat %[4]s)
   curl -H "Authorization: Bearer $KEY" %[1]s/v1/voip-connections
   curl -H "Authorization: Bearer $KEY" %[1]s/v1/calls/%[2]s
   curl %[1]s/openapi.json
   curl %[1]s/metrics
   curl %[1]s/debug/calls
   curl %[1]s/debug/calls/%[2]s
The edge runs with %[3]s
`, web, d.shown.ID, d.file, filepath.Join(d.folder, "key"))
	select {
	case <-ctx.Done():
	case err := <-d.daemon.failed:
		d.daemon.failed <- err // end reports it
	}
}
