// Command call measures what one call costs the edge, and what it costs Kamailio in the same run.
//
// SIPp plays both ends on one CPU; the system under test has the other to itself. A call is INVITE (about 760 bytes, four
// codecs), 100, 180, 200, ACK, 100 ms, BYE, 200: six datagrams in and seven out at the system under test. CPU time is the
// scheduler's run time of the process tree divided by the calls, since wall time on a shared machine is noise.
// Every load is bounded in calls and in time and stays on loopback addresses; processes are ended by their id.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// plan says how long and how hard to measure. Rates are calls per second.
type plan struct {
	only     string        // names of the systems, comma-separated; empty: all
	rounds   int           // repetitions of each CPU figure; the median counts
	steady   time.Duration // length of a run at the low rate
	rate     int           // the low rate
	high     int           // the high rate, lowered to what the slowest system carries
	highFor  time.Duration // length of a run at the high rate
	ceiling  int           // highest rate the search tries
	first    int           // rate that the search begins with
	step     int           // the search ends when the answer is known this closely
	searchAt time.Duration // length of one step of the search
	held     int           // open calls for the memory figure; 0: not measured
	probes   int           // calls of the latency figure; 0: not measured
	loadCPU  int
	testCPU  int
	soak     time.Duration // length of a steady run of the edge that looks for leaks; 0: none
	overload time.Duration // length of a run at twice what the edge carries; 0: none
	capacity int           // calls per second that it carries; 0: found by search
	quota    int           // percent of one CPU that the edge may have; 0: all of it
	api      bool          // calls beside clients of the admin API, instead of the table
	relay    bool          // media relay of the edge on: SDP rewritten, ports taken; no RTP is sent
	edge     string        // binary of the edge; empty: built here
	keep     bool          // leave the temporary folder
}

func main() {
	p := plan{
		rounds: 3, steady: 15 * time.Second, rate: 1000, high: 8000, highFor: 8 * time.Second,
		ceiling: 24000, first: 4000, step: 500, searchAt: 6 * time.Second, held: 10000, probes: 10000,
	}
	quick := flag.Bool("quick", false, "a first impression in under two minutes: one round, short runs, a coarse search")
	flag.StringVar(&p.only, "only", "", "measure only these systems: kamailio, trunkline (comma-separated)")
	flag.IntVar(&p.rounds, "rounds", p.rounds, "repetitions of each CPU figure; the median counts")
	flag.IntVar(&p.rate, "rate", p.rate, "the low rate in calls per second")
	flag.IntVar(&p.high, "high", p.high, "the high rate in calls per second")
	flag.DurationVar(&p.steady, "steady", p.steady, "length of a run at the low rate")
	flag.IntVar(&p.ceiling, "ceiling", p.ceiling, "highest rate the search tries; 0 leaves the search out")
	flag.IntVar(&p.held, "held", p.held, "open calls for the memory figure; 0 leaves it out")
	flag.IntVar(&p.probes, "probes", p.probes, "calls of the latency figure; 0 leaves it out")
	flag.DurationVar(&p.soak, "soak", 0, "instead of the table: run the edge this long at the low rate, hold and release calls, and look for leaks")
	flag.DurationVar(&p.overload, "overload", 0, "instead of the table: offer the edge twice what it carries for this long, and look at the calls it takes and at what is left afterwards")
	flag.IntVar(&p.capacity, "capacity", 0, "with -overload: calls per second that the edge carries; 0: search")
	flag.IntVar(&p.quota, "quota", 0, "percent of one CPU that the edge may have, by a control group (needs root); 0: all of it")
	flag.BoolVar(&p.api, "api", false, "instead of the table: calls at the low rate alone and beside busy clients of the admin API")
	flag.IntVar(&p.loadCPU, "load-cpu", 0, "CPU of SIPp and of this program")
	flag.IntVar(&p.testCPU, "test-cpu", 1, "CPU of the system under test")
	flag.BoolVar(&p.relay, "relay", false, "switch the edge's media relay on (off: signalling only, as Kamailio does)")
	flag.StringVar(&p.edge, "edge", "", "binary of the edge; by default it is built from this tree")
	flag.BoolVar(&p.keep, "keep", false, "keep the temporary folder with configurations and logs")
	flag.Parse()
	if *quick {
		p.rounds, p.steady, p.highFor = 1, 6*time.Second, 4*time.Second
		p.searchAt, p.step, p.probes, p.held = 3*time.Second, 2000, 3000, 3000
	}
	if p.quota > 0 {
		p.first, p.step = max(4, p.first*p.quota/100), max(1, p.step*p.quota/100)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, p); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, p plan) error {
	if err := pinSelf(p.loadCPU); err != nil {
		return fmt.Errorf("pin the load to CPU %d: %w", p.loadCPU, err)
	}
	restore := raiseSocketBuffers(16 << 20)
	defer restore()
	dir, err := os.MkdirTemp("", "trunkline-bench-")
	if err != nil {
		return err
	}
	if p.keep {
		progress("configurations and logs: %s", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	b := &bench{plan: p, dir: dir, counters: countersWork(ctx)}
	if err := b.writeScenarios(); err != nil {
		return err
	}
	if p.quota > 0 {
		if b.share, err = newQuota(p.quota); err != nil {
			return err
		}
		defer func() {
			if err := b.share.remove(); err != nil {
				progress("%v", err)
			}
		}()
	}
	systems, err := b.systems(ctx)
	if err != nil {
		return err
	}
	if p.soak > 0 {
		return b.soakEdge(ctx, systems)
	}
	if p.overload > 0 {
		return b.overloadEdge(ctx, systems)
	}
	if p.api {
		return b.besideAPI(ctx, systems)
	}
	figures, err := b.measureAll(ctx, systems)
	if len(figures) > 0 {
		fmt.Print(table(p, figures))
	}
	return err
}

// systems returns what can be measured here, the reference first. A missing one is said, and is an error only if it was asked for.
func (b *bench) systems(ctx context.Context) ([]system, error) {
	makers := []struct {
		name string
		make func(context.Context) (system, error)
	}{
		{"kamailio", b.kamailio},
		{"trunkline", b.trunkline},
	}
	var systems []system
	for _, maker := range makers {
		asked := strings.Contains(b.only, maker.name)
		if b.only != "" && !asked {
			continue
		}
		s, err := maker.make(ctx)
		var absent *absentError
		switch {
		case err == nil:
			systems = append(systems, s)
		case errors.As(err, &absent) && !asked:
			progress("%s is left out: %v", maker.name, err)
		default:
			return nil, fmt.Errorf("%s: %w", maker.name, err)
		}
	}
	if len(systems) == 0 {
		return nil, errors.New("nothing to measure")
	}
	return systems, nil
}

// absentError says that a program this benchmark needs is not installed.
type absentError struct{ program string }

func (e *absentError) Error() string { return e.program + " is not installed" }

// progress goes to stderr, so that stdout holds the table alone.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
