package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// window is what happened in ten seconds of an overload.
type window struct{ offered, good, refused float64 }

// windowLength is how often an overload is looked at.
const windowLength = 10 * time.Second

// overloadEdge finds what the edge carries and offers it twice that for plan.overload. It fails when the calls that were taken were
// not clean, when there were fewer of them towards the end or in any ten seconds, or when the edge has not come back to where it
// was 35 seconds after the last call: transactions linger for 32 (RFC 3261 §17.1.1.2).
func (b *bench) overloadEdge(ctx context.Context, systems []system) error {
	edge, err := only(systems, "trunkline")
	if err != nil {
		return err
	}
	capacity := b.capacity
	if capacity == 0 {
		if capacity, err = b.search(ctx, edge); err != nil {
			return err
		}
	}
	if capacity == 0 {
		return errors.New("the edge carries no rate at all")
	}
	fmt.Printf("the edge carries %d calls/s; it is offered %d\n", capacity, 2*capacity)
	return b.up(ctx, edge, func(under *process) error { return b.overloadRunning(ctx, under, capacity) })
}

// only returns the system of that name.
func only(systems []system, name string) (system, error) {
	for _, s := range systems {
		if s.name == name {
			return s, nil
		}
	}
	return system{}, fmt.Errorf("%s is needed", name)
}

func (b *bench) overloadRunning(ctx context.Context, under *process, capacity int) error {
	if _, err := b.drive(ctx, load{rate: max(1, capacity/2), calls: 5 * max(1, capacity/2), hold: 100 * time.Millisecond}); err != nil {
		return err
	}
	if err := rest(ctx, 35*time.Second); err != nil {
		return err
	}
	base, err := b.edgeState(ctx, under)
	if err != nil {
		return err
	}
	fmt.Printf("%-58s %s\n", "base", base)
	windows, o, err := b.flood(ctx, under, load{rate: 2 * capacity, calls: 2 * capacity * int(b.overload.Seconds()), hold: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	if err := rest(ctx, 35*time.Second); err != nil {
		return err
	}
	after, err := b.edgeState(ctx, under)
	if err != nil {
		return err
	}
	fmt.Printf("%-58s %s\n", "35 s after the last call", after)
	end, err := b.collected(ctx, under) // the heap is known as of a collection
	if err != nil {
		return err
	}
	fmt.Printf("%-58s %s\n", "collected", end)
	end.goroutines, end.descriptors, end.transactions, end.lingering = after.goroutines, after.descriptors, after.transactions, after.lingering
	refused := after.refused - base.refused
	fmt.Printf("%d calls offered, %d good, %.0f refused; repeated: %d messages by the caller, %.0f by the edge\n",
		o.calls, o.good, refused, o.repeated, after.repeated-base.repeated)
	return errors.Join(clean(o, refused, after.repeated-base.repeated), flat(windows, capacity), leaked(base, end))
}

// flood drives a load that is too much and prints, every ten seconds, what became of it.
func (b *bench) flood(ctx context.Context, under *process, l load) (windows []window, o outcome, err error) {
	file := filepath.Join(b.dir, "overload.csv")
	before, err := b.edgeState(ctx, under)
	if err != nil {
		return nil, o, err
	}
	caller, err := b.caller(ctx, l, file)
	if err != nil {
		return nil, o, err
	}
	defer caller.stop()
	start := time.Now()
	tick := time.NewTicker(windowLength)
	defer tick.Stop()
	limit := time.After(l.length() + l.hold + 40*time.Second)
	var last outcome
	for {
		select {
		case <-caller.done:
			o, err = readOutcome(file)
			return windows, o, err
		case <-limit:
			return nil, o, fmt.Errorf("SIPp's caller still runs after %s", time.Since(start).Round(time.Second))
		case <-ctx.Done():
			return nil, o, ctx.Err()
		case <-tick.C:
		}
		now, err := b.edgeState(ctx, under)
		if err != nil {
			return nil, o, err
		}
		if o, err = readOutcome(file); err != nil {
			return nil, o, err
		}
		seconds := (o.elapsed - last.elapsed).Seconds()
		if seconds <= 0 {
			continue
		}
		w := window{float64(o.calls-last.calls) / seconds, float64(o.good-last.good) / seconds, (now.refused - before.refused) / windowLength.Seconds()}
		fmt.Printf("%-58s %s\n", fmt.Sprintf("%4s: %5.0f calls/s offered, %5.0f good, %5.0f refused", time.Since(start).Round(time.Second), w.offered, w.good, w.refused), now)
		if time.Since(start) <= l.length() {
			windows = append(windows, w)
		}
		last, before = o, now
	}
}

// clean is an error unless nearly every call was good or refused at once, and nearly nothing was repeated: of a thousand calls offered
// one may go wrong on a machine that others use, too.
func clean(o outcome, refused, repeated float64) error {
	var found []error
	few := float64(o.calls) / 1000
	// Copies of refused INVITEs are refused again: there may be more refusals than calls.
	if lost := float64(o.calls-o.good) - refused; lost > few {
		found = append(found, fmt.Errorf("%.0f of %d calls were neither good nor refused", lost, o.calls))
	}
	if float64(o.repeated) > few || repeated > few {
		found = append(found, fmt.Errorf("the caller repeated %d messages, the edge %.0f", o.repeated, repeated))
	}
	return errors.Join(found...)
}

// flat is an error unless the good calls per second stayed what they were, at two thirds or more of what the edge carries alone: to
// refuse as many again is work, too.
func flat(windows []window, capacity int) error {
	if len(windows) < 3 {
		return nil // too short to tell
	}
	var good []float64
	for _, w := range windows {
		good = append(good, w.good)
	}
	third := len(good) / 3
	first, last, least, all := middle(good[:third]), middle(good[len(good)-third:]), slices.Min(good), middle(good)
	fmt.Printf("good calls/s: %.0f in the median, %.0f at least, %.0f in the first third, %.0f in the last; %.0f %% of what it carries alone\n",
		all, least, first, last, 100*all/float64(capacity))
	var found []error
	if last < 0.9*first {
		found = append(found, fmt.Errorf("good calls per second fell from %.0f to %.0f", first, last))
	}
	if least < 0.6*all {
		found = append(found, fmt.Errorf("only %.0f good calls per second in some ten seconds, %.0f in the median", least, all))
	}
	if all < 0.66*float64(capacity) {
		found = append(found, fmt.Errorf("%.0f good calls per second of the %d that the edge carries alone", all, capacity))
	}
	return errors.Join(found...)
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
