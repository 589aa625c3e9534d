package media

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

func TestMediaFlowsBothWays(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		c := answeredCall(t, newRelay(t, o), loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		for range 3 {
			c.caller.speak(c.forCaller, "hello")
			c.callee.expect("hello")
			c.callee.speak(c.forCallee, "hi")
			c.caller.expect("hi")
		}
		stats := c.bridge.Stats()
		if len(stats.Streams) != 1 || stats.Streams[0].Media != "audio" {
			t.Fatalf("stats are %+v", stats)
		}
		f := stats.Streams[0].From[Caller]
		if f.Packets != 3 || f.Relayed != 3 || f.Bytes != 3*17 || f.Lost != 0 || f.Codec != "PCMU" || f.Source != c.caller.address() || time.Since(f.Last) > time.Minute {
			t.Errorf("the caller's flow is %+v", f)
		}
		if last, expected := c.bridge.Heard(Callee); last.IsZero() || !expected {
			t.Errorf("heard of the callee: %v, %v", last, expected)
		}
		c.bridge.Close()
		if after := c.bridge.Stats(); len(after.Streams) != 1 || after.Streams[0].From[Caller] != f {
			t.Errorf("after Close the stats are %+v", after)
		}
	})
}

// MED-01: before any answer the callee is heard already, and the caller once a 183 came.
func TestEarlyMediaFlowsFromTheFirstPacket(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		caller, callee := newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1")
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: caller, callee: callee}
		defer c.bridge.Close()
		c.offer(t, caller.sdp())
		callee.speak(c.forCallee, "ringback")
		caller.expect("ringback")
		c.answer(t, callee.sdp()) // in a 183
		caller.speak(c.forCaller, "first word")
		callee.expect("first word")
		callee.speak(c.forCallee, "announcement")
		caller.expect("announcement")
		c.answer(t, callee.sdp("a=x:changed")) // in the 200
		caller.speak(c.forCaller, "after the answer")
		callee.expect("after the answer")
	})
}

// SDP-06, MED-03: the last answer counts: a fork that lost is not heard any more.
func TestForkThatLostIsNotHeard(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.Latch = LatchStrict
		r := newRelay(t, o)
		caller, loser, winner := newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.2"), newPhone(t, "127.0.0.3")
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: caller, callee: winner}
		defer c.bridge.Close()
		c.offer(t, caller.sdp())
		c.answer(t, loser.sdp())
		loser.speak(c.forCallee, "lost")
		caller.expect("lost")
		c.answer(t, winner.sdp())
		loser.speak(c.forCallee, "still talking")
		winner.speak(c.forCallee, "won")
		caller.expect("won")
		caller.speak(c.forCaller, "to the winner")
		winner.expect("to the winner")
	})
}

// MED-02: a phone behind a NAT describes an address nobody can reach; its first packet shows the way back.
func TestPhoneBehindNATIsReachedAfterItsFirstPacket(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		caller, callee := newPhone(t, "127.0.0.5"), newPhone(t, "127.0.0.1")
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: caller, callee: callee}
		defer c.bridge.Close()
		c.bridge.Peer(Caller, Terms{Signalling: netip.MustParseAddr("127.0.0.5"), Latch: LatchAuto})
		c.offer(t, sdpOf(netip.MustParseAddrPort("192.0.2.99:4000")))
		c.answer(t, callee.sdp())
		caller.speak(c.forCaller, "here I am")
		callee.expect("here I am")
		callee.speak(c.forCallee, "found you")
		caller.expect("found you")
	})
}

// MED-03: after the lock nobody else is relayed, before and after the jack is connected; strangers are counted as
// long as the kernel shows them.
func TestInjectedPacketsAreDropped(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		c := answeredCall(t, newRelay(t, o), loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		thief := newPhone(t, "127.0.0.66")
		c.caller.speak(c.forCaller, "mine")
		c.callee.expect("mine")
		thief.speak(c.forCaller, "injected")
		c.caller.speak(c.forCaller, "still mine")
		c.callee.expect("still mine")
		wrong := func() uint64 { return c.bridge.Stats().Streams[0].From[Caller].Discarded[WrongSource] }
		eventually(t, "the stranger is counted", func() bool { return wrong() == 1 })
		for i := range steady + 10 { // the raw engine connects meanwhile
			c.caller.speak(c.forCaller, fmt.Sprint(i))
			c.callee.expect(fmt.Sprint(i))
		}
		for range 3 {
			thief.speak(c.forCaller, "injected")
		}
		c.caller.speak(c.forCaller, "mine for ever")
		c.callee.expect("mine for ever")
		c.callee.speak(c.forCallee, "and back")
		c.caller.expect("and back")
	})
}

// MED-03: however long somebody else on its host, or who pretends to be, was heard in its place, the party takes over when its first
// packet comes from where it said: an announcement from another port of a carrier's media host, say.
func TestDescribedAddressComesLate(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		caller, callee, elsewhere := newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.2"), newPhone(t, "127.0.0.2")
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: caller, callee: callee}
		defer c.bridge.Close()
		c.bridge.Peer(Callee, Terms{Signalling: netip.MustParseAddr("127.0.0.2")})
		c.offer(t, caller.sdp())
		c.answer(t, callee.sdp())
		for i := range steadyElse + 10 {
			elsewhere.speak(c.forCallee, fmt.Sprint(i))
			caller.expect(fmt.Sprint(i))
		}
		callee.speak(c.forCallee, "from where I said")
		caller.expect("from where I said")
		caller.speak(c.forCaller, "and there")
		callee.expect("and there")
	})
}

// MED-03, RINV-01: a re-INVITE with a new address moves the media, one that is refused does not, and no port of ours changes.
func TestReinviteMovesTheMedia(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.Latch = LatchStrict
		c := answeredCall(t, newRelay(t, o), loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.2"))
		for i := range steady + 10 {
			c.callee.speak(c.forCallee, fmt.Sprint(i))
			c.caller.expect(fmt.Sprint(i))
		}
		moved := newPhone(t, "127.0.0.7")
		reoffer := func() netip.AddrPort {
			out, err := c.bridge.Offer(Callee, moved.sdp(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return target(t, loopback, out)
		}
		if got := reoffer(); got != c.forCaller {
			t.Errorf("the re-INVITE moves our port from %v to %v", c.forCaller, got)
		}
		c.caller.speak(c.forCaller, "before the answer")
		c.callee.expect("before the answer")
		c.bridge.Withdraw() // 488
		c.callee.speak(c.forCallee, "as before")
		c.caller.expect("as before")

		reoffer()
		if _, err := c.bridge.Answer(Caller, c.caller.sdp(), nil); err != nil {
			t.Fatal(err)
		}
		c.caller.speak(c.forCaller, "after the answer")
		moved.expect("after the answer")
		c.callee.speak(c.forCallee, "from the old place")
		moved.speak(c.forCallee, "from the new place")
		c.caller.expect("from the new place")
	})
}

// MED-03: behind a NAT the address does not change but the mapping does; a changed description lets it be learned.
func TestReinviteLearnsANewMapping(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		before, after, callee := newPhone(t, "127.0.0.5"), newPhone(t, "127.0.0.5"), newPhone(t, "127.0.0.1")
		inside := netip.MustParseAddrPort("192.168.1.2:4000")
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: before, callee: callee}
		defer c.bridge.Close()
		c.offer(t, sdpOf(inside))
		c.answer(t, callee.sdp())
		for i := range steadyElse + 10 {
			before.speak(c.forCaller, fmt.Sprint(i))
			callee.expect(fmt.Sprint(i))
		}
		c.offer(t, sdpOf(inside, "a=x:changed"))
		c.answer(t, callee.sdp())
		after.speak(c.forCaller, "new mapping")
		callee.expect("new mapping")
		callee.speak(c.forCallee, "to it")
		after.expect("to it")
		before.speak(c.forCaller, "old mapping")
		after.speak(c.forCaller, "again")
		callee.expect("again")
	})
}

// RINV-06: on hold by c=0.0.0.0 nothing is sent to the party; the resume needs no new packet of it.
func TestHoldAndResume(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		c := answeredCall(t, newRelay(t, o), loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		held := bytes.Replace(c.caller.sdp(), []byte("c=IN IP4 127.0.0.1"), []byte("c=IN IP4 0.0.0.0"), 1)
		c.offer(t, held)
		c.answer(t, c.callee.sdp("a=recvonly"))
		if _, expected := c.bridge.Heard(Callee); expected {
			t.Error("media is expected of the callee although the caller holds")
		}
		c.callee.speak(c.forCallee, "into the void")
		eventually(t, "the packet is counted", func() bool {
			return c.bridge.Stats().Streams[0].From[Callee].Discarded[NoDestination] == 1
		})
		c.offer(t, c.caller.sdp())
		c.answer(t, c.callee.sdp())
		c.callee.speak(c.forCallee, "back again")
		c.caller.expect("back again")
		if f := c.bridge.Stats().Streams[0].From[Callee]; f.Packets != 2 || f.Relayed != 1 {
			t.Errorf("the callee's flow is %+v", f)
		}
	})
}

// MED-04: RTCP goes by the odd ports, and both ways.
func TestRTCPFlowsBesideRTP(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		c := answeredCall(t, newRelay(t, o), loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		report, err := (&rtcp.SenderReport{SSRC: 7, PacketCount: 1}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		exchange := func(from, to *net.UDPConn, by netip.AddrPort) {
			t.Helper()
			if _, err := from.WriteToUDPAddrPort(report, netip.AddrPortFrom(by.Addr(), by.Port()+1)); err != nil {
				t.Fatal(err)
			}
			to.SetReadDeadline(time.Now().Add(5 * time.Second))
			got := make([]byte, 100)
			n, source, err := to.ReadFromUDPAddrPort(got)
			if err != nil || !bytes.Equal(got[:n], report) || source.Port()&1 != 1 {
				t.Errorf("got %x from %v, %v", got[:n], source, err)
			}
		}
		exchange(c.caller.rtcp, c.callee.rtcp, c.forCaller)
		exchange(c.callee.rtcp, c.caller.rtcp, c.forCallee)
		c.caller.rtcp.WriteToUDPAddrPort([]byte("no RTCP here"), netip.AddrPortFrom(c.forCaller.Addr(), c.forCaller.Port()+1))
		eventually(t, "reports and rubbish are counted", func() bool {
			f := c.bridge.Stats().Streams[0].From[Caller]
			return f.Reports == 1 && f.Discarded[Malformed] == 1 && f.Packets == 0
		})
	})
}

// MED-04: with rtcp-mux both go by the even ports, and the odd ones are given up.
func TestMuxedRTCP(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: newPhone(t, "127.0.0.1"), callee: newPhone(t, "127.0.0.1")}
		defer c.bridge.Close()
		c.offer(t, c.caller.sdp("a=rtcp-mux"))
		c.answer(t, c.callee.sdp("a=rtcp-mux"))
		c.bridge.Settle()
		c.caller.speak(c.forCaller, "voice")
		c.callee.expect("voice")
		report, _ := (&rtcp.ReceiverReport{SSRC: 7}).Marshal()
		c.caller.rtp.WriteToUDPAddrPort(report, c.forCaller)
		c.callee.rtp.SetReadDeadline(time.Now().Add(5 * time.Second))
		got := make([]byte, 100)
		if n, _, err := c.callee.rtp.ReadFromUDPAddrPort(got); err != nil || !bytes.Equal(got[:n], report) {
			t.Errorf("got %x, %v", got[:n], err)
		}
		if f := c.bridge.Stats().Streams[0].From[Caller]; f.Packets != 1 || f.Reports != 1 {
			t.Errorf("the caller's flow is %+v", f)
		}
		c.caller.rtcp.WriteToUDPAddrPort(report, netip.AddrPortFrom(c.forCaller.Addr(), c.forCaller.Port()+1))
		eventually(t, "a packet to the odd port is a stray", func() bool { return r.strays.Load() == 1 })
	})
}

// MED-07: whatever the party does with SSRC, sequence numbers and timestamps passes untouched.
func TestJumpsPass(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		c := answeredCall(t, newRelay(t, o), loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		got := make([]byte, 100)
		for _, packet := range [][]byte{
			{0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 1, 'a'},
			{0x80, 0, 0x80, 1, 0, 0, 1, 64, 0, 0, 0, 1, 'b'},          // the number leaps
			{0x80, 0, 0, 1, 0xff, 0, 1, 64, 0, 0, 0, 1, 'c'},          // and back, with the timestamp
			{0x80, 0, 0, 7, 0, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd, 'd'},  // another SSRC
			{0x80, 0, 0, 7, 0, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd, 'd'},  // the same again
			{0x90, 0xe5, 0, 8, 0, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd, 1}, // marker, payload type 101, header extension bit
			append([]byte{0x8f, 96, 0, 9}, make([]byte, 60)...),       // contributing sources
		} {
			c.caller.rtp.WriteToUDPAddrPort(packet, c.forCaller)
			c.callee.rtp.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, _, err := c.callee.rtp.ReadFromUDPAddrPort(got); err != nil || !bytes.Equal(got[:n], packet) {
				t.Fatalf("sent %x, got %x, %v", packet, got[:n], err)
			}
		}
		if f := c.bridge.Stats().Streams[0].From[Caller]; f.Lost != 0 || f.Events != 1 {
			t.Errorf("the caller's flow is %+v", f)
		}
	})
}

// MED-13: an IPv4 party talks to an IPv6 one.
func TestIPv4MeetsIPv6(t *testing.T) {
	if conn, err := net.ListenPacket("udp6", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		conn.Close()
	}
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		caller, callee := newPhone(t, "127.0.0.1"), newPhone(t, "::1")
		c := &testCall{bridge: r.Bridge(loopback, netip.IPv6Loopback()), caller: caller, callee: callee}
		defer c.bridge.Close()
		c.offer(t, caller.sdp())
		c.answer(t, callee.sdp())
		for i := range steady + 10 {
			caller.speak(c.forCaller, fmt.Sprint("four ", i))
			callee.expect(fmt.Sprint("four ", i))
			callee.speak(c.forCallee, fmt.Sprint("six ", i))
			caller.expect(fmt.Sprint("six ", i))
		}
	})
}

// T.38 after a re-INVITE goes by the ports the voice had.
func TestFaxTakesTheLineOver(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		c := answeredCall(t, newRelay(t, o), loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		fax := func(p *phone) []byte {
			return []byte(strings.ReplaceAll(string(p.sdp()), "RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000", "udptl t38"))
		}
		toImage := func(sdp []byte) []byte { return bytes.ReplaceAll(sdp, []byte("m=audio"), []byte("m=image")) }
		c.offer(t, toImage(fax(c.caller)))
		c.answer(t, toImage(fax(c.callee)))
		c.caller.rtp.WriteToUDPAddrPort([]byte{0, 1, 2}, c.forCaller)
		c.callee.rtp.SetReadDeadline(time.Now().Add(5 * time.Second))
		got := make([]byte, 10)
		if n, _, err := c.callee.rtp.ReadFromUDPAddrPort(got); err != nil || !bytes.Equal(got[:n], []byte{0, 1, 2}) {
			t.Errorf("got %x, %v", got[:n], err)
		}
	})
}

// Failover: the callee's side goes to the next trunk, the caller keeps its ports and session.
func TestReplaceGivesTheSideToAnother(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.Latch = LatchStrict
		r := newRelay(t, o)
		first, second := newPhone(t, "127.0.0.2"), newPhone(t, "127.0.0.3")
		c := answeredCall(t, r, loopback, newPhone(t, "127.0.0.1"), first)
		first.speak(c.forCallee, "busy here")
		c.caller.expect("busy here")
		answered, old := c.forCaller, c.forCallee
		if err := c.bridge.Replace(Callee, netip.MustParseAddr("127.0.0.1")); err != nil {
			t.Fatal(err)
		}
		c.bridge.Peer(Callee, Terms{Signalling: netip.MustParseAddr("127.0.0.3"), Latch: LatchStrict})
		if _, err := c.bridge.Answer(Callee, second.sdp(), nil); err != errNoOffer {
			t.Errorf("answer before the new offer: %v", err)
		}
		c.offer(t, c.caller.sdp())
		if c.forCallee == old {
			t.Error("the port facing the callee is the same")
		}
		c.answer(t, second.sdp())
		if c.forCaller != answered {
			t.Error("the port facing the caller changed")
		}
		first.speak(old, "late")
		second.speak(c.forCallee, "hello")
		c.caller.expect("hello")
		c.caller.speak(c.forCaller, "hi")
		second.expect("hi")
		if f := c.bridge.Stats().Streams[0].From[Callee]; f.Packets != 2 {
			t.Errorf("the callee's flow is %+v, want both parties' packets", f)
		}
	})
}

// A description that points at the bridge itself would make a packet circle for ever.
func TestNoPacketCircles(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.PortLow, o.PortHigh = freeRange(t, 4)
		r := newRelay(t, o)
		c := &testCall{bridge: r.Bridge(loopback, loopback), caller: newPhone(t, "127.0.0.1"), callee: newPhone(t, "127.0.0.1")}
		defer c.bridge.Close()
		c.offer(t, c.caller.sdp())
		for port := o.PortLow; port <= o.PortHigh; port++ {
			c.answer(t, sdpOf(netip.AddrPortFrom(loopback, uint16(port))))
			if dest := c.bridge.streams[0].path.sides[Callee].rtp.route.Load().dest; dest.IsValid() {
				t.Errorf("packets would go to %v", dest)
			}
		}
	})
}

// freeRange finds neighbouring ports that nobody has.
func freeRange(t testing.TB, n int) (low, high int) {
	t.Helper()
next:
	for low = 33000; low < 60000; low += 2 * n {
		for port := low; port < low+n; port++ {
			conn, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				continue next
			}
			conn.Close()
		}
		return low, low + n - 1
	}
	t.Fatal("no free ports")
	return 0, 0
}

// MED-10: a port that another process holds is passed over.
func TestPortsOfOthersArePassedOver(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.PortLow, o.PortHigh = freeRange(t, 8)
		for _, port := range []int{o.PortLow, o.PortLow + 3} { // an RTP port, and the RTCP port of another pair
			conn, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		r := newRelay(t, o)
		c := answeredCall(t, r, loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		c.caller.speak(c.forCaller, "through")
		c.callee.expect("through")
		b := r.Bridge(loopback, loopback)
		if _, err := b.Offer(Caller, c.caller.sdp(), nil); err != errExhausted {
			t.Errorf("error is %v, want 503", err)
		}
		b.Close()
	})
}

func TestAddressThatIsNotOurs(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		elsewhere := netip.MustParseAddr("192.0.2.1")
		_, err := r.Bridge(loopback, elsewhere).Offer(Caller, sdpOf(netip.MustParseAddrPort("127.0.0.1:4000")), nil)
		if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Status != 500 || refusal.Cause != "no_local_address" {
			t.Errorf("error is %v", err)
		}
		if inUse, _ := r.Ports(); inUse != 0 {
			t.Errorf("%d ports are left", inUse)
		}
	})
}

// openFiles counts the descriptors of this process.
func openFiles(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("cannot count descriptors: %v", err)
	}
	return len(entries)
}

// 10,000 bridges opened and closed leave no descriptor, goroutine or port behind.
func TestNothingIsLeftBehind(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.Quarantine, o.Keep = -1, time.Millisecond
		bridges := 10_000
		if o.Engine == EnginePortable {
			bridges = 2_000 // it pays for every socket
		}
		files, goroutines := openFiles(t), runtime.NumGoroutine()
		r := newRelay(t, o)
		sdp := sdpOf(netip.MustParseAddrPort("127.0.0.9:4000"))
		for range bridges / 10 {
			var open [10]*Bridge
			for i := range open {
				open[i] = r.Bridge(loopback, loopback)
				if _, err := open[i].Offer(Caller, sdp, nil); err != nil {
					t.Fatal(err)
				}
			}
			for i, b := range open {
				if i%3 != 0 { // some are refused before an answer
					if _, err := b.Answer(Callee, sdp, nil); err != nil {
						t.Fatal(err)
					}
				}
				b.Close()
			}
		}
		if inUse, _ := r.Ports(); inUse != 0 {
			t.Errorf("%d ports are in use", inUse)
		}
		eventually(t, "sockets nobody wants are closed", func() bool { return openFiles(t) <= files+2*r.Threads() }) // their epoll sets and eventfds stay
		r.Close()
		eventually(t, "descriptors are as before", func() bool { return openFiles(t) <= files })
		eventually(t, "goroutines are as before", func() bool { return runtime.NumGoroutine() <= goroutines })
	})
}

// Close ends calls that still run, and the next relay takes the same ports.
func TestRelayIsRestartable(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.PortLow, o.PortHigh = freeRange(t, 4)
		for range 3 {
			r := newRelay(t, o)
			c := answeredCall(t, r, loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
			c.caller.speak(c.forCaller, "hello")
			c.callee.expect("hello")
			r.Close()
			r.Close()
			if _, err := r.Bridge(loopback, loopback).Offer(Caller, c.caller.sdp(), nil); err != errNoSockets {
				t.Errorf("offer on a closed relay: %v", err)
			}
			c.bridge.Close()
		}
	})
}

// A garbage collection is never held up: not by a poller that waits, not by one under load. Each has to end its raw
// call and let the runtime in; poll_linux.go says how.
func TestGarbageCollectionIsNotHeldUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		before := runtime.GOMAXPROCS(0)
		defer runtime.GOMAXPROCS(before)
		r := newRelay(t, o)
		runtime.GOMAXPROCS(runtime.NumCPU() + r.Threads())
		c := answeredCall(t, r, loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		collect := func(what string) {
			t.Helper()
			var worst time.Duration
			for range 20 {
				start := time.Now()
				runtime.GC()
				worst = max(worst, time.Since(start))
			}
			if worst > 2*time.Second {
				t.Errorf("%s: a collection took %v", what, worst)
			}
			t.Logf("%s: the longest collection took %v", what, worst)
		}
		c.caller.speak(c.forCaller, "wake up")
		c.callee.expect("wake up")
		collect("waiting")
		stop := make(chan struct{})
		var wg sync.WaitGroup
		packet := make([]byte, 172)
		packet[0] = 0x80
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					c.caller.rtp.WriteToUDPAddrPort(packet, c.forCaller)
				}
			}
		})
		collect("under load")
		close(stop)
		wg.Wait()
	})
}

// Descriptions and statistics may come at any time while packets flow; the race detector watches.
func TestSignallingAndPacketsTogether(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		c := answeredCall(t, r, loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		packet := make([]byte, 172)
		packet[0] = 0x80
		flood := func(from *phone, to netip.AddrPort) {
			for {
				select {
				case <-stop:
					return
				default:
					from.rtp.WriteToUDPAddrPort(packet, to)
				}
			}
		}
		forCaller, forCallee := c.forCaller, c.forCallee
		wg.Go(func() { flood(c.caller, forCaller) })
		wg.Go(func() { flood(c.callee, forCallee) })
		for i := range 300 {
			switch i % 4 {
			case 0:
				c.offer(t, c.caller.sdp("a=x:"+fmt.Sprint(i)))
				c.answer(t, c.callee.sdp("a=x:"+fmt.Sprint(i)))
			case 1:
				c.offer(t, sdpOf(netip.MustParseAddrPort("0.0.0.0:4000")))
				c.answer(t, c.callee.sdp("a=recvonly"))
			case 2:
				c.offer(t, c.caller.sdp())
				c.answer(t, bytes.ReplaceAll(c.callee.sdp(), []byte("RTP/AVP 0 101"), []byte("RTP/AVP 8 101")))
			case 3:
				c.bridge.Stats()
				c.bridge.Heard(Caller)
				r.totals()
			}
			runtime.Gosched()
		}
		c.bridge.Close()
		close(stop)
		wg.Wait()
	})
}

// The offer's first format is only a guess at what the answerer sends; the answer says it.
func TestCodecIsThatOfTheAnswer(t *testing.T) {
	r := newRelay(t, Options{Engine: EngineNone})
	b := r.Bridge(loopback, loopback)
	defer b.Close()
	describe := func(formats string) []byte {
		return []byte("v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP " + formats + "\r\n")
	}
	for _, test := range []struct{ offer, answer, want string }{
		{"0 8 101", "8 101", "PCMA"},
		{"0 8 101", "0 8 101", "PCMU"},
		{"8 0 101", "0 101", "PCMU"},
		{"18", "18", "G729"},
	} {
		if _, err := b.Offer(Caller, describe(test.offer), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Answer(Callee, describe(test.answer), nil); err != nil {
			t.Fatal(err)
		}
		from := b.Stats().Streams[0].From
		if from[Caller].Codec != test.want || from[Callee].Codec != test.want {
			t.Errorf("offer %s, answer %s: the caller sends %s, the callee %s, want %s", test.offer, test.answer, from[Caller].Codec, from[Callee].Codec, test.want)
		}
	}
}
