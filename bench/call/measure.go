package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// figures of one system. Zero means not measured.
type figures struct {
	name      string
	low, high cost
	// Ratios to the reference: the median of the rounds' ratios, each of two runs side by side. 0: not measured.
	lowRatio, highRatio float64
	best                int     // calls per second with at least 99.9 % good
	kib                 float64 // per open call
	latency             latency // added to the INVITE
	faults              []string
}

// cost of one call at a rate.
type cost struct {
	rate         int
	microseconds float64 // CPU of the process tree
	user, kernel float64 // thousand instructions; 0 where the machine has no counters
	outcome      outcome
}

// measureAll takes each figure of every system in turn before the next figure, since a shared machine drifts:
// what is compared was measured side by side.
func (b *bench) measureAll(ctx context.Context, systems []system) ([]*figures, error) {
	var all []*figures
	for _, s := range systems {
		all = append(all, &figures{name: s.name})
	}
	each := func(what string, f func(system, *figures) error) error {
		for i, s := range systems {
			if err := f(s, all[i]); err != nil {
				return fmt.Errorf("%s, %s: %w", s.name, what, err)
			}
		}
		return nil
	}
	low, high := make([][]cost, len(systems)), make([][]cost, len(systems))
	for round := range b.rounds {
		for i, s := range systems {
			progress("round %d of %d: %s at %d and %d calls/s", round+1, b.rounds, s.name, b.rate, b.high)
			l, h, err := b.costs(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("%s, CPU per call: %w", s.name, err)
			}
			progress("  %.1f µs and %.1f µs per call", l.microseconds, h.microseconds)
			low[i], high[i] = append(low[i], l), append(high[i], h)
		}
	}
	for i, f := range all {
		f.lowRatio, f.highRatio = ratio(low[i], low[0]), ratio(high[i], high[0])
	}
	for i, f := range all {
		f.low, f.high = median(low[i]), median(high[i])
		f.note(f.low)
		f.note(f.high)
	}
	if b.probes > 0 {
		if err := b.latencies(ctx, systems, all); err != nil {
			return all, err
		}
	}
	if b.held > 0 {
		if err := each("memory", func(s system, f *figures) (err error) {
			progress("%s: memory of %d open calls", s.name, b.held)
			f.kib, err = b.memoryPerCall(ctx, s)
			return err
		}); err != nil {
			return all, err
		}
	}
	if b.ceiling > 0 {
		if err := each("search", func(s system, f *figures) (err error) {
			f.best, err = b.search(ctx, s)
			return err
		}); err != nil {
			return all, err
		}
	}
	return all, nil
}

// note keeps what a reader must know about a run that was not clean.
func (f *figures) note(c cost) {
	if !c.outcome.clean() {
		f.faults = append(f.faults, fmt.Sprintf("%s at %d calls/s: %d of %d calls good", f.name, c.rate, c.outcome.good, c.outcome.calls))
	}
	if c.outcome.repeated > 0 || c.outcome.lost > 0 {
		f.faults = append(f.faults, fmt.Sprintf("%s at %d calls/s: the caller repeated %d messages; %d datagrams were dropped for want of socket buffer",
			f.name, c.rate, c.outcome.repeated, c.outcome.lost))
	}
}

// up runs f with the system and SIPp's callee up.
func (b *bench) up(ctx context.Context, s system, f func(*process) error) error {
	under, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer under.stop()
	callee, err := b.callee(ctx)
	if err != nil {
		return err
	}
	defer callee.stop()
	return f(under)
}

// costs measures a fresh start of the system at both rates, after two seconds of warming up.
func (b *bench) costs(ctx context.Context, s system) (low, high cost, err error) {
	err = b.up(ctx, s, func(under *process) error {
		if _, err := b.drive(ctx, load{rate: b.rate, calls: 2 * b.rate, hold: 100 * time.Millisecond}); err != nil {
			return err
		}
		if low, err = b.cost(ctx, under, b.rate, b.steady); err != nil {
			return err
		}
		high, err = b.cost(ctx, under, b.high, b.highFor)
		return err
	})
	return low, high, err
}

func (b *bench) cost(ctx context.Context, under *process, rate int, length time.Duration) (cost, error) {
	calls := int(float64(rate) * length.Seconds())
	count := b.countInstructions(ctx, under)
	before := under.cpuTime()
	o, err := b.drive(ctx, load{rate: rate, calls: calls, hold: 100 * time.Millisecond})
	if err != nil {
		return cost{}, err
	}
	spent := under.cpuTime() - before
	user, kernel := count()
	per := func(n int64) float64 { return float64(n) / 1000 / float64(max(1, o.good)) }
	return cost{rate: rate, microseconds: per(spent.Nanoseconds()), user: per(user), kernel: per(kernel), outcome: o}, nil
}

// memoryPerCall is the growth of the proportional set size, divided by the calls, when all of them are up.
func (b *bench) memoryPerCall(ctx context.Context, s system) (kib float64, err error) {
	const rate = 1000
	fill := time.Duration(b.held) * time.Second / rate
	hold := fill + 8*time.Second // the last call is up for eight seconds before the first one ends
	err = b.up(ctx, s, func(under *process) error {
		// Code, buffers and pools of a system that has worked are not what an open call costs.
		if _, err := b.drive(ctx, load{rate: rate, calls: rate, hold: 100 * time.Millisecond}); err != nil {
			return err
		}
		before := under.memory()
		file := filepath.Join(b.dir, "held-"+s.name+".csv")
		caller, err := b.caller(ctx, load{rate: rate, calls: b.held, hold: hold}, file)
		if err != nil {
			return err
		}
		select {
		case <-caller.done:
			return fmt.Errorf("SIPp's caller ended early: %s", caller.tail())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(fill + 4*time.Second):
		}
		kib = float64(under.memory()-before) / 1024 / float64(b.held)
		caller.wait(hold + 40*time.Second)
		o, err := readOutcome(file)
		if err == nil && !o.clean() {
			err = fmt.Errorf("only %d of %d held calls were good", o.good, b.held)
		}
		return err
	})
	return kib, err
}

// search finds the highest rate with at least 99.9 % good calls: upwards by a quarter until a rate fails twice,
// then by halves until the answer is known to within one step.
func (b *bench) search(ctx context.Context, s system) (int, error) {
	good, bad := 0, b.ceiling+b.step
	for rate := b.first; bad-good > b.step; {
		passed, err := b.carries(ctx, s, rate)
		if err != nil {
			return 0, err
		}
		if passed {
			good = rate
		} else {
			bad = rate
		}
		switch {
		case good == 0:
			rate = bad / 2
		case bad > b.ceiling:
			rate = min(good*5/4, b.ceiling)
			if good >= b.ceiling {
				return good, nil
			}
		default:
			rate = (good + bad) / 2
		}
		rate -= rate % b.grain()
		if rate < b.grain() {
			return 0, nil
		}
	}
	return good, nil
}

// grain is what rates are rounded to.
func (b *bench) grain() int { return max(1, b.step/5) }

// carries tries a rate on a fresh start; a failure must repeat itself to count.
func (b *bench) carries(ctx context.Context, s system, rate int) (passed bool, err error) {
	l := load{rate: rate, calls: int(float64(rate) * b.searchAt.Seconds()), hold: 100 * time.Millisecond}
	for range 2 {
		var o outcome
		err := b.up(ctx, s, func(*process) error {
			if _, err := b.drive(ctx, load{rate: b.first / 4, calls: b.first / 4, hold: 100 * time.Millisecond}); err != nil {
				return err
			}
			o, err = b.drive(ctx, l)
			return err
		})
		if err != nil {
			return false, err
		}
		// SIPp offers less than asked when it has no CPU left for more; that rate was not carried.
		offered := float64(o.calls) / max((o.elapsed-l.hold).Seconds(), 0.001)
		progress("%s at %d calls/s: %.2f %% good, %.0f calls/s offered", s.name, rate, 100*float64(o.good)/float64(max(1, o.calls)), offered)
		if o.clean() && offered > 0.93*float64(rate) {
			return true, nil
		}
	}
	return false, nil
}

// ratio is the median of the rounds' ratios to the reference, which is the first system.
func ratio(costs, reference []cost) float64 {
	var ratios []float64
	for i := range costs {
		if reference[i].microseconds > 0 {
			ratios = append(ratios, costs[i].microseconds/reference[i].microseconds)
		}
	}
	if len(ratios) == 0 {
		return 0
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// median by CPU time; the other figures of that run go with it.
func median(costs []cost) cost {
	slices.SortFunc(costs, func(a, b cost) int { return cmp.Compare(a.microseconds, b.microseconds) })
	return costs[len(costs)/2]
}
