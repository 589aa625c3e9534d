//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"trunkline/config"
	"trunkline/sip"
	"trunkline/sip/probe"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// prove is the measured process.
func prove(ctx context.Context, kind, server string, p plan) error {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400) // as the daemon
	transport.ReserveProcs(1)
	network, err := transport.Listen(transport.Options{Listen: []string{"udp://" + probeAddress}, Dispatch: sip.Dispatch(1)})
	if err != nil {
		return err
	}
	defer network.Close(context.Background())
	edge, err := sip.New(sip.Options{Network: network, Trunks: new(trunks.Snapshot), UserAgent: "Trunkline"})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { edge.Run(running); close(ended) }() // ends with stop
	defer func() { stop(); <-ended }()
	o := probe.Options{Engine: edge, Most: p.inFlight + 1, Pause: time.Hour}
	if kind == "OPTIONS" {
		o.Pause = -1
	}
	b := &prober{prober: probe.New(o), trunk: trunkAt(server, kind), kind: kind, left: int64(p.probes), done: make(chan struct{})}
	if kind == "waiting" {
		return b.wait(p.inFlight, server)
	}
	first := make(chan struct{}) // takes the one OPTIONS on itself
	b.prober.Start(probe.Request{Trunk: b.trunk, Checks: []probe.Check{probe.Inbound}, Timeout: time.Second}, func(probe.Report) { close(first) })
	<-first
	before, begin := cpuTime(), time.Now()
	for range min(p.inFlight, p.probes) {
		b.next()
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	took, cpu := time.Since(begin), cpuTime()-before
	fmt.Printf("%.0f | %.1f | %d", float64(p.probes)/took.Seconds(), float64(cpu.Nanoseconds())/1000/float64(p.probes), b.failed.Load())
	return nil
}

// prober keeps a number of probes under way.
type prober struct {
	prober *probe.Prober
	trunk  *trunks.Trunk
	kind   string
	left   int64
	begun  atomic.Int64
	ended  atomic.Int64
	failed atomic.Int64
	done   chan struct{}
}

// next begins one more, if any is left.
func (b *prober) next() {
	n := b.begun.Add(1)
	if n > b.left {
		return
	}
	_, err := b.prober.Start(b.request(n), func(r probe.Report) {
		if !r.Passed() && b.kind != "OPTIONS" || b.kind == "OPTIONS" && r.Steps[0].Verdict != probe.Pass {
			b.failed.Add(1)
		}
		if b.ended.Add(1) == b.left {
			close(b.done)
			return
		}
		b.next()
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *prober) request(n int64) probe.Request {
	r := probe.Request{Trunk: b.trunk, Timeout: 20 * time.Second}
	switch b.kind {
	case "OPTIONS":
		r.Checks = []probe.Check{probe.Inbound}
	case "INVITE–CANCEL":
		r.Checks, r.From, r.To = []probe.Check{probe.Outbound}, fmt.Sprintf("+1555%07d", n), fmt.Sprintf("sip:probe-%d@%s", n, b.trunk.Domain)
	default:
		r.Checks = []probe.Check{probe.Credentials}
	}
	return r
}

// wait begins probes against a carrier that says nothing and weighs them.
func (b *prober) wait(n int, server string) error {
	silent, err := net.ListenPacket("udp", server) // nobody reads it
	if err != nil {
		return err
	}
	defer silent.Close()
	var text strings.Builder
	for _, kind := range []string{"REGISTER with digest", "INVITE–CANCEL"} {
		b.kind, b.trunk = kind, trunkAt(server, kind)
		first := make(chan struct{})
		b.prober.Start(probe.Request{Trunk: b.trunk, Checks: []probe.Check{probe.Inbound}, Timeout: time.Second}, func(probe.Report) { close(first) })
		<-first
		runtime.GC()
		heap, resident := heapInUse(), residentBytes()
		all := make([]*probe.Running, 0, n)
		var ended atomic.Int64
		for i := range n {
			r, err := b.prober.Start(b.request(int64(i)), func(probe.Report) { ended.Add(1) })
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		time.Sleep(2 * time.Second)
		runtime.GC()
		fmt.Fprintf(&text, "%d %s probes waiting: %.1f KiB of heap each, %.1f KiB resident, %d goroutines in all\n", b.prober.InFlight(), kind,
			float64(heapInUse()-heap)/1024/float64(n), float64(residentBytes()-resident)/1024/float64(n), runtime.NumGoroutine())
		for _, r := range all {
			r.Stop(context.Canceled)
		}
		for deadline := time.Now().Add(20 * time.Second); ended.Load() < int64(n) && time.Now().Before(deadline); {
			time.Sleep(50 * time.Millisecond)
		}
	}
	fmt.Print(text.String())
	return nil
}

// trunkAt is the carrier under test.
func trunkAt(server, kind string) *trunks.Trunk {
	register := kind == "REGISTER with digest"
	body := fmt.Sprintf("trunks: [{name: carrier, server: %q, domain: %q, auth_user: alice, auth_password: secret, register: %t}]", server, strings.Split(server, ":")[0], register)
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + body})
	if err != nil {
		panic(err)
	}
	s, err := trunks.Build(c, nil)
	if err != nil {
		panic(err)
	}
	if len(s.Trunks[0].Servers) == 0 || s.Trunks[0].Servers[0] != netip.MustParseAddrPort(server) {
		panic("no address")
	}
	return s.Trunks[0]
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	fmt.Sscan(string(text), &size, &resident)
	return resident * int64(os.Getpagesize())
}

// cpuTime is the scheduler's run time of every thread of this process.
func cpuTime() (sum time.Duration) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0
	}
	for _, t := range threads {
		text, err := os.ReadFile("/proc/self/task/" + t.Name() + "/schedstat")
		if err != nil {
			continue // the thread has just ended
		}
		var ns int64
		fmt.Sscan(string(text), &ns)
		sum += time.Duration(ns)
	}
	return sum
}
