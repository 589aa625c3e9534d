package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"trunkline/config"
)

func newServe() *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the edge",
		Long: "Run the edge until SIGTERM or SIGINT. The first signal drains: readiness goes off, new calls are refused, and calls in\n" +
			"progress may finish until drain.deadline. The second stops at once. SIGHUP reloads the configuration: what changed is\n" +
			"applied without touching a running call, and a file with mistakes changes nothing.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(file)
			if err != nil {
				return err
			}
			if format != "" {
				c.Log.Format = config.LogFormat(format)
			}
			level := new(slog.LevelVar)
			level.Set(c.Log.Level)
			log, flush, err := newLog(cmd.ErrOrStderr(), c.Log.Format, level)
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			defer flush()
			signals := make(chan os.Signal, 4)
			signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
			defer signal.Stop(signals)
			return serve(cmd.Context(), c, file, log, level, signals)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&format, "log-format", "", "text or json (default: log.format of the configuration)")
	return cmd
}

// serve runs the edge until a signal ends it, or until a part of it fails.
func serve(ctx context.Context, c config.Config, file string, log *slog.Logger, level *slog.LevelVar, signals <-chan os.Signal) error {
	if limit := tuneCollector(int64(c.Trace.Memory)); limit > 0 {
		log.Debug("memory limit set", "bytes", limit)
	}
	d, err := startDaemon(ctx, daemonOptions{Config: c, File: file, Log: log, Level: level})
	if err != nil {
		return err
	}
	defer d.close()
	lookUps, endLookUps := context.WithCancel(ctx)
	var looking sync.WaitGroup
	defer looking.Wait()
	defer endLookUps()
	found := make(chan lookedUp, 1)
	refresh := time.NewTimer(d.refreshIn())
	defer refresh.Stop()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				d.reload(ctx)
				refresh.Reset(d.refreshIn())
				continue
			}
			log.Info("draining", "signal", s.String(), "calls", d.edge.Calls(), "deadline", d.config.Drain.Deadline.D())
			return drainUntilSignal(ctx, d, signals)
		case <-refresh.C:
			refresh.Reset(latestRefresh) // found sets it right
			hosts := d.hosts()
			looking.Go(func() { // ends after resolveLimit at the latest
				select {
				case found <- lookUp(lookUps, d.resolver, hosts):
				case <-lookUps.Done():
				}
			})
		case names := <-found:
			d.applyNames(names)
			refresh.Reset(d.refreshIn())
		case err := <-d.failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// drainUntilSignal drains, and stops at once when another signal to end comes meanwhile.
func drainUntilSignal(ctx context.Context, d *daemon, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan int, 1)
	go func() { done <- d.drain(ctx) }() // ends at its deadline, or with ctx
	for {
		select {
		case left := <-done:
			if cause := context.Cause(ctx); errors.Is(cause, errInterrupted) {
				return cause
			}
			d.log.Info("drained", "calls_left", left)
			return nil
		case s := <-signals:
			if s != syscall.SIGHUP { // a reload makes no sense any more
				d.log.Info("stopping at once", "signal", s.String(), "calls", d.edge.Calls())
				cancel(fmt.Errorf("%w by a second signal", errInterrupted))
			}
		}
	}
}
