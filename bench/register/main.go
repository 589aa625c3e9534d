// Command register measures what it costs the edge to keep thousands of trunks registered at a carrier that demands digest:
// Kamailio, on a CPU of its own.
//
// Three runs: the trunks without registration, for comparison; registered for an hour, so that the start and the quiet after it
// can be told apart; registered for a minute, so that they refresh all the time. CPU time is the scheduler's run time of
// the edge's threads; when each REGISTER came is what Kamailio says. Everything stays on loopback and ends by itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// plan says how much to measure.
type plan struct {
	trunks  int
	window  time.Duration // of what is measured after the start
	granted time.Duration // in the run that refreshes
	edgeCPU int
	loadCPU int
	edge    string // binary; empty: built here
}

func main() {
	p := plan{trunks: 5000, window: 60 * time.Second, granted: time.Minute}
	quick := flag.Bool("quick", false, "1,000 trunks and windows of 15 s")
	flag.IntVar(&p.trunks, "trunks", p.trunks, "trunks that register")
	flag.DurationVar(&p.window, "window", p.window, "how long is measured after the start")
	flag.DurationVar(&p.granted, "granted", p.granted, "expiry granted in the run that refreshes")
	flag.IntVar(&p.edgeCPU, "edge-cpu", 1, "CPU of the edge")
	flag.IntVar(&p.loadCPU, "load-cpu", 0, "CPU of Kamailio")
	flag.StringVar(&p.edge, "edge", "", "binary of the edge; by default it is built from this tree")
	flag.Parse()
	if *quick {
		p.trunks, p.window, p.granted = 1000, 15*time.Second, 10*time.Second
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, p); {
	case errors.Is(err, errAbsent):
		fmt.Fprintln(os.Stderr, "bench: registration is left out:", err)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, p plan) error {
	dir, err := os.MkdirTemp("", "trunkline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{plan: p, dir: dir, binary: p.edge}
	if b.modules, err = kamailioModules(); err != nil {
		return err
	}
	if b.binary == "" {
		b.binary = filepath.Join(dir, "trunkline")
		if err := build(ctx, b.binary); err != nil {
			return err
		}
	}
	idle, err := b.measure(ctx, 0, p.window)
	if err != nil {
		return fmt.Errorf("without registration: %w", err)
	}
	quiet, err := b.measure(ctx, time.Hour, p.window)
	if err != nil {
		return fmt.Errorf("registered for an hour: %w", err)
	}
	busy, err := b.measure(ctx, p.granted, p.window)
	if err != nil {
		return fmt.Errorf("registered for %s: %w", p.granted, err)
	}
	memory, err := b.memoryPerTrunk(ctx)
	if err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	report(p, idle, quiet, busy, memory)
	return nil
}

// memoryPerTrunk is what a registered trunk takes beyond one that does not register, in KiB, with a collector that leaves little
// garbage lying: else its habits are measured.
func (b *bench) memoryPerTrunk(ctx context.Context) (float64, error) {
	thrifty := *b
	thrifty.env = []string{"GOGC=20"}
	without, err := thrifty.measure(ctx, 0, time.Second)
	if err != nil {
		return 0, err
	}
	with, err := thrifty.measure(ctx, time.Hour, time.Second)
	return float64(with.memory-without.memory) / float64(b.trunks) / 1024, err
}

func report(p plan, idle, quiet, busy figures, perTrunk float64) {
	perStart := float64(quiet.startCPU-idle.startCPU) / float64(quiet.start.count) / 1e3
	perRefresh := float64(busy.windowCPU-quiet.windowCPU) / float64(busy.window.count) / 1e3
	percent := func(d time.Duration) float64 { return 100 * d.Seconds() / p.window.Seconds() }
	fmt.Printf("%d trunks registered by one edge at one Kamailio, digest MD5, UDP on loopback; windows of %s\n\n", p.trunks, p.window)
	fmt.Println("| what | figure |")
	fmt.Println("| --- | --- |")
	fmt.Printf("| start: all registered after | %.1f s |\n", quiet.ready.Seconds())
	fmt.Printf("| start: REGISTERs a second, mean and busiest | %.0f / %d |\n", quiet.start.mean(), quiet.start.busiest)
	fmt.Printf("| start: CPU µs per REGISTER, challenged and answered ones alike | %.0f |\n", perStart)
	fmt.Printf("| start: REGISTERs per trunk | %.2f |\n", float64(quiet.start.count)/float64(p.trunks))
	fmt.Printf("| between refreshes: %% of a core (without registration) | %.2f (%.2f) |\n", percent(quiet.windowCPU), percent(idle.windowCPU))
	fmt.Printf("| granted %s: REGISTERs a second, mean and busiest | %.0f / %d |\n", p.granted, busy.window.mean(), busy.window.busiest)
	fmt.Printf("| granted %s: CPU µs per refresh with digest | %.0f |\n", p.granted, perRefresh)
	fmt.Printf("| granted %s: %% of a core | %.2f |\n", p.granted, percent(busy.windowCPU))
	fmt.Printf("| memory per registered trunk beyond an unregistered one (GOGC=20) | %.1f KiB |\n", perTrunk)
	fmt.Printf("| bindings taken back at SIGTERM | %d in %.1f s |\n", quiet.takenBack, quiet.stop.Seconds())
}
