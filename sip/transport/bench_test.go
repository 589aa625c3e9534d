package transport

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkEcho sends datagrams of 700 bytes to a shard that returns each, a window of them under way at a time. cpu-ns/op is the process's
// processor time per message, the sender's half included.
func BenchmarkEcho(b *testing.B) {
	for _, loop := range []struct {
		name string
		loop Loop
	}{{"raw", LoopRaw}, {"portable", LoopPortable}} {
		for _, window := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/window=%d", loop.name, window), func(b *testing.B) {
				if loop.loop == LoopRaw && !haveRaw {
					b.Skip(errNoRaw)
				}
				n := open(b, Options{Listen: []string{"udp://127.0.0.1:0"}, Loop: loop.loop})
				echo := startEcho(n)
				defer echo()
				c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(n.Listeners()[0].Addr))
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				message, answer := make([]byte, 700), make([]byte, 1500)
				message[0] = 'I'
				for range window - 1 {
					c.Write(message)
				}
				b.ReportAllocs()
				before := cpu()
				for b.Loop() {
					if _, err := c.Write(message); err != nil {
						b.Fatal(err)
					}
					if _, err := c.Read(answer); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// BenchmarkPaced is BenchmarkEcho at six thousand messages a second, as a thousand calls a second bring them: each finds the shard asleep.
// Only the processor time counts.
func BenchmarkPaced(b *testing.B) {
	for _, loop := range []struct {
		name string
		loop Loop
	}{{"raw", LoopRaw}, {"portable", LoopPortable}} {
		b.Run(loop.name, func(b *testing.B) {
			if loop.loop == LoopRaw && !haveRaw {
				b.Skip(errNoRaw)
			}
			n := open(b, Options{Listen: []string{"udp://127.0.0.1:0"}, Loop: loop.loop})
			echo := startEcho(n)
			defer echo()
			// The sender is a plain blocking socket, so that the runtime's poller is busy with the shard alone.
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
			if err != nil {
				b.Fatal(err)
			}
			defer syscall.Close(fd)
			to := &syscall.SockaddrInet4{Port: int(n.Listeners()[0].Addr.Port()), Addr: n.Listeners()[0].Addr.Addr().As4()}
			message := make([]byte, 700)
			message[0] = 'I'
			const gap = time.Second / 6000
			before := cpu()
			next := time.Now()
			for b.Loop() {
				if err := syscall.Sendto(fd, message, 0, to); err != nil {
					b.Fatal(err)
				}
				next = next.Add(gap)
				if wait := time.Until(next); wait > 0 {
					ts := syscall.NsecToTimespec(int64(wait))
					syscall.Nanosleep(&ts, nil)
				}
			}
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkForward hands messages from one shard to another.
func BenchmarkForward(b *testing.B) {
	for _, loop := range []struct {
		name string
		loop Loop
	}{{"raw", LoopRaw}, {"portable", LoopPortable}} {
		b.Run(loop.name, func(b *testing.B) {
			if loop.loop == LoopRaw && !haveRaw {
				b.Skip(errNoRaw)
			}
			n := open(b, Options{Listen: []string{"udp://127.0.0.1:0"}, Shards: 2, Loop: loop.loop})
			var received atomic.Int64
			var stop atomic.Bool
			var shard sync.WaitGroup
			shard.Go(func() {
				for p := n.Port(1); !stop.Load(); {
					if _, ok := p.Receive(10 * time.Millisecond); ok {
						received.Add(1)
					}
				}
			})
			message := make([]byte, 700)
			sent := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				n.Port(0).Forward(1, Packet{Bytes: message})
				for sent++; sent-received.Load() > 1000; {
					runtime.Gosched()
				}
			}
			stop.Store(true)
			shard.Wait()
		})
	}
}

// startEcho serves every shard until the function it returns is called.
func startEcho(n *Network) (stop func()) {
	var done atomic.Bool
	var shards sync.WaitGroup
	for i := range n.Shards() {
		shards.Go(func() {
			for p := n.Port(i); !done.Load(); {
				if pk, ok := p.Receive(10 * time.Millisecond); ok && pk.Err == nil {
					p.Send(pk.Flow, pk.Bytes, 0)
				}
			}
		})
	}
	return func() {
		done.Store(true)
		shards.Wait()
	}
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBacklog is what a new INVITE costs more than another message.
func BenchmarkBacklog(b *testing.B) {
	n := open(b, Options{Listen: []string{"udp://127.0.0.1:0"}})
	writeTo(b, udpPeer(b, "127.0.0.1:0"), "INVITE", n.Listeners()[0].Addr)
	next(b, n.Port(0))
	b.ReportAllocs()
	for b.Loop() {
		n.Port(0).Backlog()
	}
}
