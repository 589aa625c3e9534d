package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// state is what a leak shows in.
type state struct {
	goroutines, descriptors float64
	liveHeap, resident      float64 // bytes
	transactions            float64
	lingering               float64 // bytes kept of finished transactions
	collections             float64 // liveHeap is as of the last one

	refused, repeated float64 // calls that the edge refused for its load, messages that it sent again; since its start
}

func (s state) String() string {
	return fmt.Sprintf("%4.0f goroutines, %3.0f descriptors, %6.1f MiB live heap, %6.1f MiB resident, %6.0f transactions",
		s.goroutines, s.descriptors, s.liveHeap/(1<<20), s.resident/(1<<20), s.transactions)
}

// soakEdge runs the edge at the low rate for plan.soak, then holds plan.held calls and releases them, and prints its state all
// along. It fails when a call did, when the edge repeated a message, or when something has not come back to where it was
// 40 seconds after the last call: transactions linger for 32 (RFC 3261 §17.1.1.2).
func (b *bench) soakEdge(ctx context.Context, systems []system) error {
	edge, err := only(systems, "trunkline")
	if err != nil {
		return err
	}
	return b.up(ctx, edge, func(under *process) error { return b.soakRunning(ctx, under) })
}

func (b *bench) soakRunning(ctx context.Context, under *process) error {
	if _, err := b.drive(ctx, load{rate: b.rate, calls: 5 * b.rate, hold: 100 * time.Millisecond}); err != nil {
		return err
	}
	if err := rest(ctx, 40*time.Second); err != nil {
		return err
	}
	base, err := b.edgeState(ctx, under)
	if err != nil {
		return err
	}
	fmt.Printf("%-30s %s\n", "base", base)

	soaked, err := b.watched(ctx, under, load{rate: b.rate, calls: int(b.soak.Seconds()) * b.rate, hold: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	fill := time.Duration(b.held) * time.Second / time.Duration(b.rate)
	held, err := b.watched(ctx, under, load{rate: b.rate, calls: b.held, hold: fill + 10*time.Second})
	if err != nil {
		return err
	}
	if err := rest(ctx, 40*time.Second); err != nil {
		return err
	}
	end, err := b.collected(ctx, under)
	if err != nil {
		return err
	}
	fmt.Printf("%-30s %s\n", "collected, 40 s or more later", end)
	return errors.Join(soaked.verdict("steady"), held.verdict("held"), leaked(base, end))
}

// watched drives a load and prints the edge's state every ten seconds.
func (b *bench) watched(ctx context.Context, under *process, l load) (outcome, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	file := filepath.Join(b.dir, fmt.Sprintf("soak-%d.csv", time.Now().UnixNano()))
	caller, err := b.caller(ctx, l, file)
	if err != nil {
		return outcome{}, err
	}
	start := time.Now()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	limit := time.After(l.length() + l.hold + 40*time.Second)
	for running := true; running; {
		select {
		case <-caller.done:
			running = false
		case <-limit:
			caller.stop()
			running = false
		case <-ctx.Done():
			return outcome{}, ctx.Err()
		case <-tick.C:
			now, err := b.edgeState(ctx, under)
			if err != nil {
				return outcome{}, err
			}
			fmt.Printf("%-30s %s\n", fmt.Sprintf("%d calls/s, after %s", l.rate, time.Since(start).Round(time.Second)), now)
		}
	}
	o, err := readOutcome(file)
	o.calls = max(o.calls, l.calls)
	fmt.Printf("%d of %d calls good; the caller repeated %d messages\n", o.good, o.calls, o.repeated)
	return o, err
}

// verdict is an error unless every call was good and nothing was repeated.
func (o outcome) verdict(name string) error {
	if o.good != o.calls || o.repeated != 0 {
		return fmt.Errorf("%s: %d of %d calls good, %d messages repeated", name, o.good, o.calls, o.repeated)
	}
	return nil
}

func leaked(base, end state) error {
	var found []error
	if end.goroutines > base.goroutines+4 {
		found = append(found, fmt.Errorf("goroutines: %.0f, at first %.0f", end.goroutines, base.goroutines))
	}
	if end.descriptors > base.descriptors+4 {
		found = append(found, fmt.Errorf("descriptors: %.0f, at first %.0f", end.descriptors, base.descriptors))
	}
	if end.liveHeap > base.liveHeap*1.5+(32<<20) {
		found = append(found, fmt.Errorf("live heap: %.1f MiB, at first %.1f", end.liveHeap/(1<<20), base.liveHeap/(1<<20)))
	}
	if end.transactions > base.transactions {
		found = append(found, fmt.Errorf("transactions: %.0f, at first %.0f", end.transactions, base.transactions))
	}
	if end.lingering > base.lingering+(64<<10) { // a call that others ended a little later
		found = append(found, fmt.Errorf("bytes of finished transactions: %.0f, at first %.0f", end.lingering, base.lingering))
	}
	return errors.Join(found...)
}

// rest waits until finished transactions are forgotten.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// collected is the edge's state after its next garbage collection, which an idle process makes every two minutes.
func (b *bench) collected(ctx context.Context, under *process) (state, error) {
	first, err := b.edgeState(ctx, under)
	for end := time.Now().Add(150 * time.Second); err == nil && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return first, ctx.Err()
		case <-time.After(5 * time.Second):
		}
		var now state
		if now, err = b.edgeState(ctx, under); now.collections > first.collections {
			return now, err
		}
	}
	return first, err
}

// edgeState asks the edge itself and, for what is resident, the kernel.
func (b *bench) edgeState(ctx context.Context, under *process) (state, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+httpAddress+"/metrics", nil)
	if err != nil {
		return state{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return state{}, err
	}
	defer response.Body.Close()
	s := state{resident: float64(under.memory())}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		family, _, _ := strings.Cut(name, "{")
		switch family {
		case "go_goroutines":
			s.goroutines = number
		case "process_open_fds":
			s.descriptors = number
		case "go_gc_duration_seconds_count":
			s.collections = number
		case "go_gc_heap_live_bytes":
			s.liveHeap = number
		case "trunkline_sip_transactions":
			s.transactions += number
		case "trunkline_sip_transaction_memory_bytes":
			s.lingering = number
		case "trunkline_call_rejections_total":
			if strings.Contains(name, `"overload"`) {
				s.refused = number
			}
		case "trunkline_sip_retransmissions_total":
			if strings.Contains(name, `"tx"`) {
				s.repeated += number
			}
		}
	}
	return s, lines.Err()
}
