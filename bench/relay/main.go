//go:build linux && (amd64 || arm64)

// Relay measures what the media relay costs beside rtpengine in user space: CPU time per packet, the delay it adds, memory per call.
//
//	go run ./bench/relay -calls 1000 -for 8s
//
// Each relay runs pinned to one CPU and the load to another; systems take turns, round by round. The load opens the calls and sends
// G.711 at 20 ms both ways on each. CPU time is the scheduler's run time of the relay's process; instructions come from perf, where
// the machine counts them. Delays include the load's own reading, so compare them, do not quote them. rtpengine is left out, and
// said to be, where it is not installed.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"time"
)

func main() {
	serve := flag.Bool("serve", false, "be the relay: read pairs of addresses, print pairs of ports")
	cpu := flag.Int("cpu", -1, "CPU to pin to")
	calls := flag.Int("calls", 1000, "calls at the same time, each 100 packets/s")
	length := flag.Duration("for", 8*time.Second, "how long to measure, after a second of warming up")
	rounds := flag.Int("rounds", 3, "rounds; the median of each figure counts")
	relayCPU := flag.Int("relay-cpu", 1, "CPU of the relay")
	loadCPU := flag.Int("load-cpu", 0, "CPU of the load")
	engine := flag.String("engine", "raw", "raw or portable")
	flag.Parse()

	var err error
	if *serve {
		err = relay(*cpu, *engine)
	} else {
		err = compare(*calls, *rounds, *length, *relayCPU, *loadCPU, *engine)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// system is a relay under test, in a process of its own.
type system interface {
	name() string
	pid() int
	open(caller, callee netip.AddrPort) (toCaller, toCallee int, err error)
	memory() (uint64, error) // bytes
	stop() error
}

// figures of one run.
type figures struct {
	perPacket         time.Duration
	received          float64 // share of what was sent
	instructions      float64 // per packet; 0 = not counted here
	p50, p99          time.Duration
	perCall           float64 // KiB
	packetsOfFullCore float64 // per second
}

// compare lets the systems take turns and prints a line for each.
func compare(calls, rounds int, length time.Duration, relayCPU, loadCPU int, engine string) error {
	start := map[string]func() (system, error){
		"trunkline": func() (system, error) { return startOurs(relayCPU, engine) },
		"rtpengine": func() (system, error) { return startRTPEngine(relayCPU) },
	}
	order := []string{"rtpengine", "trunkline"}
	if _, err := exec.LookPath("rtpengine"); err != nil {
		fmt.Fprintln(os.Stderr, "bench: rtpengine is not installed: our side only")
		order = order[1:]
	}
	pin(loadCPU)
	all := map[string][]figures{}
	for round := range rounds {
		for _, name := range order {
			s, err := start[name]()
			if err != nil {
				return fmt.Errorf("start %s: %w", name, err)
			}
			f, err := measure(s, calls, length)
			if err := s.stop(); err != nil {
				fmt.Fprintf(os.Stderr, "bench: %s: %v\n", name, err)
			}
			if err != nil {
				return fmt.Errorf("measure %s: %w", name, err)
			}
			fmt.Fprintf(os.Stderr, "bench: round %d of %d: %s: %.2f µs per packet, %.2f %% received\n", round+1, rounds, name, micros(f.perPacket), 100*f.received)
			all[name] = append(all[name], f)
		}
	}
	fmt.Printf("| relay, %d calls | µs/packet | ratio | instructions/packet | received %% | added delay µs p50/p99 | KiB/call | packets/s of a full core |\n", calls)
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, name := range order {
		f := all[name]
		row := func(of func(figures) float64) float64 { return median(f, of) }
		instructions := "n/a"
		if n := row(func(f figures) float64 { return f.instructions }); n > 0 {
			instructions = fmt.Sprintf("%.0f", n)
		}
		fmt.Printf("| %s | %.2f | %.2f | %s | %.2f | %.0f / %.0f | %.1f | %.0f |\n", name, row(func(f figures) float64 { return micros(f.perPacket) }),
			ratio(all[order[0]], f), instructions, 100*row(func(f figures) float64 { return f.received }),
			row(func(f figures) float64 { return micros(f.p50) }), row(func(f figures) float64 { return micros(f.p99) }),
			row(func(f figures) float64 { return f.perCall }), row(func(f figures) float64 { return f.packetsOfFullCore }))
	}
	return nil
}

// ratio is the median of what a packet costs over what it costs the first system in the same round.
func ratio(first, second []figures) float64 {
	var pairs []float64
	for i := range second {
		pairs = append(pairs, float64(second[i].perPacket)/float64(first[i].perPacket))
	}
	slices.Sort(pairs)
	return pairs[len(pairs)/2]
}

func median(all []figures, of func(figures) float64) float64 {
	var values []float64
	for _, f := range all {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// measure opens the calls and runs the load.
func measure(s system, calls int, length time.Duration) (f figures, err error) {
	before, err := s.memory()
	if err != nil {
		return f, err
	}
	l, err := newLoad(calls, s.open)
	if err != nil {
		return f, err
	}
	defer l.close()
	l.run(time.Second)
	perf := startPerf(s.pid())
	cpuBefore := cpuTime(s.pid())
	sent, received := l.sent, l.received
	l.delays = l.delays[:0]
	l.run(length)
	cpu := cpuTime(s.pid()) - cpuBefore
	f.instructions = float64(perf.stop())
	sent, received = l.sent-sent, l.received-received
	if received == 0 {
		return f, fmt.Errorf("no packet of %d came through", sent)
	}
	after, err := s.memory()
	slices.Sort(l.delays)
	f.instructions /= float64(received)
	f.perPacket = cpu / time.Duration(received)
	f.received = float64(received) / float64(sent)
	f.p50, f.p99 = l.delays[len(l.delays)/2], l.delays[len(l.delays)*99/100]
	f.perCall = float64(int64(after)-int64(before)) / 1024 / float64(calls)
	f.packetsOfFullCore = 1 / f.perPacket.Seconds()
	return f, err
}
