package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TRN-03, TRN-04: the reply goes to the source address and port, from the address and port the request came to.
func TestDatagramIsAnsweredWhereItCameFrom(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			n := open(t, Options{Listen: []string{"udp://" + host + ":0"}, Loop: loop})
			p, at := n.Port(0), n.Listeners()[0]
			peer := udpPeer(t, host+":0")
			writeTo(t, peer, "OPTIONS", at.Addr)
			flow, got := nextMessage(t, p)
			want := Flow{Proto: UDP, Socket: 0, Local: at.Addr, Remote: addrOf(peer)}
			if got != "OPTIONS" || flow != want {
				t.Fatalf("got %q over %+v, want OPTIONS over %+v", got, flow, want)
			}
			mustSend(t, p, flow, "200", 0)
			if b, from := readFrom(t, peer); b != "200" || from != at.Addr {
				t.Fatalf("answer %q from %s, want it from %s", b, from, at.Addr)
			}
		}
	})
}

// Trap 9: a peer that talks to two of our listeners is answered from the one it asked, whichever it asked last.
func TestTwoListenersOnePeer(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0", "udp://127.0.0.1:0", "udp://[::1]:0"}, Loop: loop})
		p := n.Port(0)
		peer := udpPeer(t, "127.0.0.1:0")
		const rounds = 20
		flows := map[string]Flow{}
		for i := range rounds {
			writeTo(t, peer, fmt.Sprint("request ", i), n.Listeners()[i%2].Addr)
			flow, b := nextMessage(t, p)
			flows[b] = flow
		}
		for i := range rounds {
			mustSend(t, p, flows[fmt.Sprint("request ", i)], fmt.Sprint(i), 0)
			if b, from := readFrom(t, peer); b != fmt.Sprint(i) || from != n.Listeners()[i%2].Addr {
				t.Fatalf("request %d to %s was answered %q from %s", i, n.Listeners()[i%2].Addr, b, from)
			}
		}
	})
}

// Several ready sockets are served in turn, and each keeps its order.
func TestBusyListenerDoesNotStarveAnother(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0", "udp://127.0.0.1:0"}, Loop: loop})
		p := n.Port(0)
		peer := udpPeer(t, "127.0.0.1:0")
		const each = 50
		for i := range each {
			writeTo(t, peer, fmt.Sprintf("A%d", i), n.Listeners()[0].Addr)
		}
		writeTo(t, peer, "B0", n.Listeners()[1].Addr)
		var got []string
		for range each + 1 {
			_, b := nextMessage(t, p)
			got = append(got, b)
		}
		want, at := 0, -1
		for i, b := range got {
			if b == "B0" {
				at = i
				continue
			}
			if b != fmt.Sprintf("A%d", want) {
				t.Fatalf("message %d is %q: order lost", i, b)
			}
			want++
		}
		if loop == LoopRaw && at > 2 {
			t.Errorf("the quiet listener was served after %d messages of the busy one", at)
		}
	})
}

// Trap 8, TRN-01, TRN-02: nothing is too long for a datagram but what is too long for UDP.
func TestLargeDatagrams(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			n := open(t, Options{Listen: []string{"udp://" + host + ":0"}, Loop: loop})
			p := n.Port(0)
			peer := udpPeer(t, host+":0")
			peer.SetWriteBuffer(1 << 20)
			to := Flow{Proto: UDP, Remote: addrOf(peer)}
			for _, size := range []int{1301, 1400, 2500, 8000, 65_507} {
				b := strings.Repeat("x", size)
				mustSend(t, p, to, b, 0)
				if got, _ := readFrom(t, peer); got != b {
					t.Errorf("%s: sent %d bytes, %d arrived", host, size, len(got))
				}
				writeTo(t, peer, b, n.Listeners()[0].Addr)
				if _, got := nextMessage(t, p); got != b {
					t.Errorf("%s: %d bytes came, %d received", host, size, len(got))
				}
			}
			if err := p.Send(to, make([]byte, 65_536), 0); err != ErrTooBig {
				t.Errorf("%s: 65,536 bytes: %v, want ErrTooBig", host, err)
			}
			mustSend(t, p, to, "after", 0)
			if got, _ := readFrom(t, peer); got != "after" {
				t.Errorf("%s: %q after a datagram that was too big", host, got)
			}
		}
	})
}

// TRN-03 on a wildcard listener of a host with several addresses.
func TestWildcardAnswersFromTheAddressAsked(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs IP_PKTINFO and 127.0.0.0/8")
	}
	eachLoop(t, func(t *testing.T, loop Loop) {
		n := open(t, Options{Listen: []string{"udp://0.0.0.0:0", "udp://[::]:0"}, Loop: loop})
		p := n.Port(0)
		for i, host := range []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"} {
			peer := udpPeer(t, "127.0.0.9:0")
			asked := netip.AddrPortFrom(netip.MustParseAddr(host), n.Listeners()[0].Addr.Port())
			writeTo(t, peer, "ask", asked)
			flow, _ := nextMessage(t, p)
			if flow.Local != asked || flow.Socket != 0 {
				t.Fatalf("arrived at %s socket %d, want %s", flow.Local, flow.Socket, asked)
			}
			mustSend(t, p, flow, "answer", uint64(i))
			if _, from := readFrom(t, peer); from != asked {
				t.Errorf("asked %s, answered from %s", asked, from)
			}
		}
		peer := udpPeer(t, "[::1]:0")
		writeTo(t, peer, "ask", netip.AddrPortFrom(netip.IPv6Loopback(), n.Listeners()[1].Addr.Port()))
		flow, _ := nextMessage(t, p)
		mustSend(t, p, flow, "answer", 0)
		readFrom(t, peer)
		for _, l := range n.Listeners() {
			if l.Local.Addr().IsUnspecified() || strings.Contains(l.SentBy, "0.0.0.0") || strings.Contains(l.SentBy, "[::]") {
				t.Errorf("%s shows %s and %s", l.Addr, l.Local, l.SentBy)
			}
		}
	})
}

// TRN-08: keep-alive bytes are no messages; a forged wake-up does no harm.
func TestUDPKeepAlivesAreIgnoredAndCounted(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, Loop: loop})
		p := n.Port(0)
		peer := udpPeer(t, "127.0.0.1:0")
		alive := []string{"\r\n\r\n", "\r\n", "\x00", "", " ", "\x00\x00\x00\x00"}
		for _, b := range alive {
			writeTo(t, peer, b, n.Listeners()[0].Addr)
		}
		writeTo(t, peer, "INVITE", n.Listeners()[0].Addr)
		if _, b := nextMessage(t, p); b != "INVITE" {
			t.Fatalf("received %q", b)
		}
		p.Receive(0) // lets the shard publish its numbers
		s := n.Stats()
		if s.KeepAlives[UDP] != uint64(len(alive)) || s.Received[UDP].Messages != 1 {
			t.Errorf("%d keep-alives and %d messages counted, want %d and 1", s.KeepAlives[UDP], s.Received[UDP].Messages, len(alive))
		}
	})
}

// TRN-09: a port that nobody listens on is known at once, with what was sent there, and disturbs nothing else.
func TestICMPRefusedComesBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs IP_RECVERR")
	}
	eachLoop(t, func(t *testing.T, loop Loop) {
		for _, listen := range [][]string{
			{"udp://127.0.0.1:0"}, {"udp://[::1]:0"}, {"udp://127.0.0.1:0", "udp://127.0.0.1:0"}, {"udp://0.0.0.0:0"},
		} {
			n := open(t, Options{Listen: listen, Loop: loop})
			p := n.Port(0)
			host := n.Listeners()[0].Addr.Addr()
			if host.IsUnspecified() {
				host = loopback(host.Is6())
			}
			silent := udpPeer(t, netip.AddrPortFrom(host, 0).String())
			dead := addrOf(silent)
			silent.Close()
			alive := udpPeer(t, netip.AddrPortFrom(host, 0).String())

			const request = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKq\r\n\r\n"
			for i := range 5 { // the error of one send must not lose the next
				mustSend(t, p, Flow{Proto: UDP, Remote: dead}, request, uint64(i))
				mustSend(t, p, Flow{Proto: UDP, Remote: addrOf(alive)}, fmt.Sprint("fine ", i), 0)
			}
			for i := range 5 {
				if b, _ := readFrom(t, alive); b != fmt.Sprint("fine ", i) {
					t.Fatalf("%v: %q arrived, want fine %d", listen, b, i)
				}
			}
			failed := nextFailure(t, p)
			if failed.Flow.Remote != dead || failed.Flow.Proto != UDP || failed.Ref != 0 || !errors.Is(failed.Err, syscall.ECONNREFUSED) {
				t.Errorf("%v: failure %+v, want refused by %s", listen, failed, dead)
			}
			if !strings.Contains(string(failed.Bytes), "z9hG4bKq") {
				t.Errorf("%v: the error quotes %q", listen, failed.Bytes)
			}
			writeTo(t, alive, "still here", netip.AddrPortFrom(host, n.Listeners()[0].Addr.Port()))
			for {
				pk := next(t, p)
				if pk.Err == nil {
					if string(pk.Bytes) != "still here" {
						t.Errorf("%v: received %q", listen, pk.Bytes)
					}
					break
				}
			}
			p.Receive(0)
			if n.Stats().Failed[FailICMP] == 0 {
				t.Errorf("%v: not counted", listen)
			}
		}
	})
}

// Trap 11: a million forged sources leave nothing behind.
func TestMillionSourcesBoundedMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs 127.0.0.0/8 and IP_PKTINFO")
	}
	sources := 1_000_000
	if testing.Short() {
		sources = 100_000
	}
	eachLoop(t, func(t *testing.T, loop Loop) {
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, Loop: loop})
		p := n.Port(0)
		sender := udpPeer(t, "0.0.0.0:0")
		sender.SetDeadline(time.Time{})
		var extra [64]byte
		var sending sync.WaitGroup
		var done atomic.Bool
		sending.Go(func() {
			defer done.Store(true)
			for i := range sources {
				from := netip.AddrFrom4([4]byte{127, byte(1 + i>>16), byte(i >> 8), byte(i)})
				size := putDepartureAddress(extra[:], from, false)
				sender.WriteMsgUDPAddrPort([]byte("garbage"), extra[:size], n.Listeners()[0].Addr)
			}
		})
		defer sending.Wait()
		for range 1000 {
			next(t, p) // what is made once is made by now
		}
		before := heap()
		received, last := 1000, netip.Addr{}
		distinct := 0
		for {
			pk, ok := p.Receive(10 * time.Millisecond)
			if !ok {
				if done.Load() {
					break
				}
				continue
			}
			received++
			if pk.Flow.Remote.Addr() != last {
				distinct++
				last = pk.Flow.Remote.Addr()
			}
		}
		if distinct < sources/20 {
			t.Errorf("only %d of %d sources were seen: the test shows nothing", distinct, sources)
		}
		// The portable loop's queue may have grown to its bound of 8 MiB and places.
		if after := heap(); after > before+16<<20 {
			t.Errorf("heap grew from %d to %d bytes after %d datagrams from %d sources", before, after, received, distinct)
		}
	})
}

// A collection needs every thread to stop; one that is blocked in the kernel, or busy with raw calls, must not hold it up.
func TestGarbageCollectionIsNeverHeldUp(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		for name, o := range map[string]Options{
			"one socket":  {Listen: []string{"udp://127.0.0.1:0"}, Tick: time.Second},
			"two sockets": {Listen: []string{"udp://127.0.0.1:0", "udp://127.0.0.1:0"}, Tick: time.Second},
			"four shards": {Listen: []string{"udp://127.0.0.1:0"}, Shards: 4, Tick: time.Second},
		} {
			o.Loop = loop
			for _, load := range []string{"idle", "under load"} {
				t.Run(name+", "+load, func(t *testing.T) {
					n := open(t, o)
					var stop atomic.Bool
					var all sync.WaitGroup
					for shard := range n.Shards() {
						all.Go(func() {
							p := n.Port(shard)
							for !stop.Load() {
								if pk, ok := p.Receive(time.Hour); ok && pk.Err == nil {
									p.Send(pk.Flow, pk.Bytes, 0)
								}
							}
						})
					}
					if load != "idle" {
						for range 3 {
							peer := udpPeer(t, "127.0.0.1:0")
							all.Go(func() {
								for !stop.Load() {
									peer.WriteToUDPAddrPort([]byte("request"), n.Listeners()[0].Addr)
								}
							})
						}
					}
					const collections = 25
					finished := make(chan struct{})
					go func() { // ends after so many collections
						for range collections {
							runtime.GC()
						}
						close(finished)
					}()
					select {
					case <-finished:
					case <-time.After(patience): // with ticks of a second and no preemption it would be a minute
						t.Errorf("%d collections took more than %s", collections, patience)
					}
					stop.Store(true)
					for shard := range n.Shards() {
						n.Port(shard).Wake()
					}
					done := make(chan struct{})
					go func() { all.Wait(); close(done) }()
					for end := time.Now().Add(patience); ; {
						select {
						case <-done:
							return
						case <-time.After(10 * time.Millisecond):
							for shard := range n.Shards() {
								n.Port(shard).Wake()
							}
						}
						if time.Now().After(end) {
							t.Fatal("shards do not end")
						}
					}
				})
			}
		}
	})
}

// A wake-up reaches the very shard it is meant for, although all share one address: Receive(an hour) with ticks of a second ends
// only by it.
func TestWakeReachesItsShard(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		for _, listen := range [][]string{{"udp://127.0.0.1:0"}, {"udp://[::1]:0"}, {"udp://0.0.0.0:0"}, {"udp://127.0.0.1:0", "udp://[::1]:0"}, {"tcp://127.0.0.1:0"}} {
			const shards = 4
			n := open(t, Options{Listen: listen, Shards: shards, Loop: loop, Tick: time.Second})
			for shard := range shards {
				for range 3 {
					woken := make(chan struct{})
					go func() { // ends when woken
						defer close(woken)
						if pk, ok := n.Port(shard).Receive(time.Hour); ok {
							t.Errorf("received %+v", pk)
						}
					}()
					n.Port(shard).Wake()
					select {
					case <-woken:
					case <-time.After(patience):
						t.Fatalf("%v: shard %d slept on", listen, shard)
					}
				}
			}
		}
	})
}

// Work for another shard arrives there in order, and wakes it.
func TestForwardKeepsOrder(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, Shards: 2, Loop: loop, Tick: time.Second})
		const messages = 1000
		got := make(chan string, messages)
		go func() { // ends with the last message
			p := n.Port(1)
			for range messages {
				_, b := nextMessage(t, p)
				got <- b
			}
		}()
		flow := Flow{Proto: UDP, Remote: netip.MustParseAddrPort("192.0.2.1:5060")}
		var b []byte
		for i := range messages {
			b = append(b[:0], fmt.Sprint("message ", i)...)
			n.Port(0).Forward(1, Packet{Flow: flow, Bytes: b})
		}
		for i := range messages {
			select {
			case b := <-got:
				if b != fmt.Sprint("message ", i) {
					t.Fatalf("%q at place %d", b, i)
				}
			case <-time.After(patience):
				t.Fatalf("message %d is missing", i)
			}
		}
	})
}

func TestForwardToAFullQueueIsCounted(t *testing.T) {
	n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, Shards: 2, QueueMessages: 64})
	for range 100 {
		n.Port(0).Forward(1, Packet{Bytes: []byte("x")})
	}
	n.Port(0).Forward(1, Packet{Err: errors.New("news"), Ref: 7}) // has places of its own
	if got := n.Stats().Dropped[DropQueueFull]; got != 100-56 {
		t.Errorf("%d drops counted, want 44", got)
	}
	for range 56 {
		nextMessage(t, n.Port(1))
	}
	if pk := nextFailure(t, n.Port(1)); pk.Ref != 7 {
		t.Errorf("failure %+v, want ref 7", pk)
	}
}

// What the portable loop, or a stream, takes in goes to the shard that Dispatch names.
func TestDispatchNamesTheShard(t *testing.T) {
	n := open(t, Options{
		Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Shards: 3, Loop: LoopPortable,
		Dispatch: func(b []byte) int { return int(b[0]-'A') % 5 }, // 3 and 4 are no shards
	})
	peer := udpPeer(t, "127.0.0.1:0")
	stream := connect(t, n.Listeners()[1].Addr)
	for i, method := range []string{"ACK", "BYE", "CANCEL", "DELAY", "EXTRA"} {
		shard := i
		if i > 2 {
			shard = 0
		}
		writeTo(t, peer, sip(method, 100), n.Listeners()[0].Addr)
		if _, b := nextMessage(t, n.Port(shard)); !strings.HasPrefix(b, method) {
			t.Errorf("%q at shard %d, want %s", b, shard, method)
		}
		write(t, stream, sip(method, 100))
		if _, b := nextMessage(t, n.Port(shard)); !strings.HasPrefix(b, method) {
			t.Errorf("%q at shard %d, want %s", b, shard, method)
		}
	}
}

func TestSendSaysWhatIsWrong(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Loop: loop})
		p := n.Port(0)
		for _, test := range []struct {
			name   string
			proto  Proto
			socket uint16
			remote string
		}{
			{"no protocol", 0, 0, "127.0.0.1:5060"},
			{"datagram through a TCP listener", UDP, 1, "127.0.0.1:5060"},
			{"no such listener", UDP, 2, "127.0.0.1:5060"},
			{"no such listener for a stream", TCP, 2, "127.0.0.1:5060"},
			{"IPv6 through IPv4", UDP, 0, "[::1]:5060"},
			{"IPv6 stream from IPv4", TCP, 1, "[::1]:5060"},
			{"port 0", UDP, 0, "127.0.0.1:0"},
			{"port 0 of a stream", TCP, 1, "127.0.0.1:0"},
			{"stream to nowhere", TCP, 1, "0.0.0.0:5060"},
		} {
			f := Flow{Proto: test.proto, Socket: test.socket, Remote: netip.MustParseAddrPort(test.remote)}
			if err := p.Send(f, []byte("x"), 0); err != ErrNoSocket {
				t.Errorf("%s: %v, want ErrNoSocket", test.name, err)
			}
		}
		if err := p.Send(Flow{Proto: UDP}, []byte("x"), 0); err != ErrNoSocket {
			t.Errorf("no address: %v, want ErrNoSocket", err)
		}
		if err := p.Send(Flow{Proto: TCP, Socket: 1, Remote: netip.MustParseAddrPort("127.0.0.1:5060")}, make([]byte, 65_536), 0); err != ErrTooBig {
			t.Errorf("stream message of 65,536 bytes: %v, want ErrTooBig", err)
		}
	})
}

// A mapped address is the IPv4 address it stands for.
func TestMappedAddressIsIPv4(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, Loop: loop})
		peer := udpPeer(t, "127.0.0.1:0")
		mapped := netip.AddrPortFrom(netip.AddrFrom16(addrOf(peer).Addr().As16()), addrOf(peer).Port())
		mustSend(t, n.Port(0), Flow{Proto: UDP, Remote: mapped}, "hello", 0)
		if b, _ := readFrom(t, peer); b != "hello" {
			t.Errorf("got %q", b)
		}
	})
}

// A second daemon on the same address is an error, with one shard and, though they share it among themselves, with several.
func TestUsedPortIsAnError(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		for _, shards := range []int{1, 3} {
			n := open(t, Options{Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Shards: shards, Loop: loop})
			for _, l := range n.Listeners() {
				url := fmt.Sprintf("%s://%s", strings.ToLower(l.Proto.String()), l.Addr)
				second, err := Listen(Options{Listen: []string{"udp://127.0.0.1:0", url}, Shards: shards, Loop: loop})
				if err == nil {
					second.Close(context.Background())
					t.Fatalf("%d shards: %s bound twice", shards, url)
				}
				if want := "listen on " + url + ": address already in use"; err.Error() != want {
					t.Errorf("%q, want %q", err, want)
				}
			}
		}
	})
}

// Closing under a blocked Receive ends it, and every later one; nothing stays open.
func TestCloseEndsReceive(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		before := fds()
		for range 5 {
			n, err := Listen(Options{Listen: []string{"udp://127.0.0.1:0", "udp://[::1]:0", "tcp://127.0.0.1:0"}, Shards: 2, Loop: loop})
			if err != nil {
				t.Fatal(err)
			}
			var shards sync.WaitGroup
			for i := range 2 {
				shards.Go(func() {
					if _, ok := n.Port(i).Receive(time.Hour); ok {
						t.Error("received something")
					}
				})
			}
			if err := n.Close(context.Background()); err != nil {
				t.Error(err)
			}
			shards.Wait()
			if _, ok := n.Port(0).Receive(time.Hour); ok {
				t.Error("received after close")
			}
			if err := n.Port(0).Send(Flow{Proto: UDP, Remote: n.Listeners()[0].Addr}, []byte("x"), 0); err != ErrClosed {
				t.Errorf("send after close: %v", err)
			}
			n.Port(0).Wake()
			n.Port(0).Forward(1, Packet{Bytes: []byte("x")})
			n.Stats()
			if err := n.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if after := fds(); after > before+2 { // the poller may have been opened meanwhile
			t.Errorf("%d file descriptors before, %d after", before, after)
		}
	})
}

// Many shards on one address, many sources: the kernel spreads them and every shard answers from the shared address.
func TestShardsShareOneAddress(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		const shards, sources = 4, 64
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, Shards: shards, Loop: loop})
		var stop atomic.Bool
		var all sync.WaitGroup
		for i := range shards {
			all.Go(func() {
				p := n.Port(i)
				for !stop.Load() {
					if pk, ok := p.Receive(10 * time.Millisecond); ok {
						p.Send(pk.Flow, pk.Bytes, 0)
					}
				}
			})
		}
		for i := range sources {
			peer := udpPeer(t, "127.0.0.1:0")
			want := fmt.Sprint("from ", i)
			writeTo(t, peer, want, n.Listeners()[0].Addr)
			if b, from := readFrom(t, peer); b != want || from != n.Listeners()[0].Addr {
				t.Errorf("%q from %s", b, from)
			}
		}
		stop.Store(true)
		all.Wait()
	})
}

func TestSocketBuffers(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		var log strings.Builder
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, Loop: loop, Log: newLog(&log)})
		// A burst that the default buffer of 208 KiB would not hold: nobody reads until all are sent.
		const burst = 500
		peer := udpPeer(t, "127.0.0.1:0")
		for range burst {
			writeTo(t, peer, strings.Repeat("x", 1000), n.Listeners()[0].Addr)
		}
		if strings.Contains(log.String(), "socket buffers are") {
			t.Skipf("the system does not grant the buffers: %s", log.String())
		}
		for range burst {
			nextMessage(t, n.Port(0))
		}
		if n.Stats().Dropped[DropSocketBuffer] != 0 {
			t.Error("drops counted")
		}
	})
}

// No silent drop: what the kernel had no room for is counted, too.
func TestKernelDropsAreCounted(t *testing.T) {
	if !haveRaw {
		t.Skip(errNoRaw)
	}
	n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, SocketBuffer: 64 << 10})
	peer, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(n.Listeners()[0].Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	const burst = 1000
	for range burst {
		peer.Write(bytes.Repeat([]byte("x"), 1000))
	}
	got := uint64(0)
	for {
		if _, ok := n.Port(0).Receive(0); !ok {
			break
		}
		got++
	}
	if dropped := n.Stats().Dropped[DropSocketBuffer]; dropped == 0 || got+dropped != burst {
		t.Errorf("%d received and %d dropped of %d", got, dropped, burst)
	}
}

// The hot path allocates nothing.
func TestReceiveAndSendDoNotAllocate(t *testing.T) {
	if !haveRaw {
		t.Skip(errNoRaw)
	}
	for _, listen := range [][]string{{"udp://127.0.0.1:0"}, {"udp://[::1]:0"}, {"udp://0.0.0.0:0"}, {"udp://127.0.0.1:0", "udp://[::1]:0"}} {
		n := open(t, Options{Listen: listen})
		p := n.Port(0)
		at := n.Listeners()[0].Addr
		if at.Addr().IsUnspecified() {
			at = netip.AddrPortFrom(loopback(at.Addr().Is6()), at.Port())
		}
		b := []byte("MESSAGE to ourselves")
		flow := Flow{Proto: UDP, Remote: at}
		if got := testing.AllocsPerRun(1000, func() {
			if err := p.Send(flow, b, 0); err != nil {
				t.Fatal(err)
			}
			if pk, ok := p.Receive(time.Second); !ok || len(pk.Bytes) != len(b) {
				t.Fatal("not received")
			}
		}); got != 0 {
			t.Errorf("%v: %v allocations per message", listen, got)
		}
	}
}

// A shard that waits for its next timer gets back in time, not some ticks of the kernel later.
func TestReceiveKeepsTime(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		p := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, Loop: loop}).Port(0)
		const wait = 300 * time.Millisecond
		best := time.Hour
		for range 5 { // another process may have the core just then
			start := time.Now()
			if pk, ok := p.Receive(wait); ok {
				t.Fatalf("received %q", pk.Bytes)
			}
			best = min(best, time.Since(start))
		}
		if best < wait || best > wait+25*time.Millisecond {
			t.Errorf("a wait of %s took %s at best", wait, best)
		}
	})
}

// OVL-02: each message tells how long it had waited to be received, and how much waits behind it.
func TestBacklog(t *testing.T) {
	eachLoop(t, func(t *testing.T, loop Loop) {
		n := open(t, Options{Listen: []string{"udp://127.0.0.1:0", "udp://127.0.0.1:0"}, Loop: loop, SocketBuffer: 64 << 10, QueueMessages: 64})
		p, peer := n.Port(0), udpPeer(t, "127.0.0.1:0")
		const wait, messages = 50 * time.Millisecond, 16
		for range messages {
			writeTo(t, peer, strings.Repeat("x", 1000), n.Listeners()[0].Addr)
		}
		time.Sleep(wait)
		writeTo(t, peer, "last", n.Listeners()[1].Addr)
		came, filled := map[string]time.Time{}, []float64{}
		for range messages + 1 {
			_, b := nextMessage(t, p)
			backlog := p.Backlog()
			came[b[:1]] = p.Now().Add(-backlog.Waited)
			filled = append(filled, backlog.Filled)
		}
		if between := came["l"].Sub(came["x"]); between < wait-time.Millisecond { // the kernel's clock is not ours to the last digit
			t.Errorf("they came %s apart, want %s at least", between, wait)
		}
		if first, last := filled[0], filled[messages]; first < 0.1 || last >= first {
			t.Errorf("the queue was filled %.2f at first, %.2f at last", first, last)
		}
		if n := testing.AllocsPerRun(100, func() { p.Backlog() }); n != 0 {
			t.Errorf("%.0f allocations", n)
		}
	})
}

// OVL-02: what another shard passes on has waited there, too.
func TestForwardedMessageHasWaitedBefore(t *testing.T) {
	n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}, Loop: LoopPortable, Shards: 2})
	writeTo(t, udpPeer(t, "127.0.0.1:0"), "INVITE", n.Listeners()[0].Addr)
	const wait = 50 * time.Millisecond
	time.Sleep(wait)
	n.Port(0).Forward(1, next(t, n.Port(0)))
	next(t, n.Port(1))
	if b := n.Port(1).Backlog(); b.Waited < wait/2 { // the datagram itself took a moment
		t.Errorf("it waited %s, want %s", b.Waited, wait)
	}
}
