package media

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// eachEngine runs a test on every engine that moves packets here.
func eachEngine(t *testing.T, test func(t *testing.T, o Options)) {
	t.Run("raw", func(t *testing.T) {
		if !haveRaw {
			t.Skip("no raw engine on this system")
		}
		test(t, Options{Engine: EngineRaw, Threads: 1})
	})
	t.Run("raw-3", func(t *testing.T) {
		if !haveRaw {
			t.Skip("no raw engine on this system")
		}
		test(t, Options{Engine: EngineRaw, Threads: 3})
	})
	t.Run("portable", func(t *testing.T) { test(t, Options{Engine: EnginePortable}) })
}

func newRelay(t testing.TB, o Options) *Relay {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// phone is one party: a UDP socket for RTP and one for RTCP.
type phone struct {
	t         testing.TB
	rtp, rtcp *net.UDPConn
	sequence  uint16
}

func newPhone(t testing.TB, address string) *phone {
	t.Helper()
	p := &phone{t: t}
	a := netip.MustParseAddr(address)
	for range 50 {
		rtpConn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			t.Fatal(err)
		}
		port := rtpConn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		rtcpConn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port+1)))
		if err != nil || port&1 == 1 {
			rtpConn.Close()
			if err == nil {
				rtcpConn.Close()
			}
			continue
		}
		p.rtp, p.rtcp = rtpConn, rtcpConn
		t.Cleanup(func() { p.rtp.Close(); p.rtcp.Close() })
		return p
	}
	t.Fatal("no even port free")
	return nil
}

func (p *phone) address() netip.AddrPort { return p.rtp.LocalAddr().(*net.UDPAddr).AddrPort() }

// sdp is a plain G.711 description of the phone.
func (p *phone) sdp(more ...string) []byte { return sdpOf(p.address(), more...) }

func sdpOf(a netip.AddrPort, more ...string) []byte {
	family := "IP4"
	if a.Addr().Is6() {
		family = "IP6"
	}
	lines := []string{"v=0", fmt.Sprintf("o=phone 1 1 IN %s %s", family, a.Addr()), "s=call",
		fmt.Sprintf("c=IN %s %s", family, a.Addr()), "t=0 0", fmt.Sprintf("m=audio %d RTP/AVP 0 101", a.Port()),
		"a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000"}
	return []byte(strings.Join(append(lines, more...), "\r\n") + "\r\n")
}

// speak sends one RTP packet with the text as payload.
func (p *phone) speak(to netip.AddrPort, text string) {
	p.t.Helper()
	p.sequence++
	packet := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: p.sequence, Timestamp: uint32(p.sequence) * 160, SSRC: 7}, Payload: []byte(text)}
	bytes, err := packet.Marshal()
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.rtp.WriteToUDPAddrPort(bytes, to); err != nil {
		p.t.Fatal(err)
	}
}

// hear waits for the next RTP packet and returns its payload and where it came from.
func (p *phone) hear() (string, netip.AddrPort) {
	p.t.Helper()
	buffer := make([]byte, 2048)
	p.rtp.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, from, err := p.rtp.ReadFromUDPAddrPort(buffer)
	if err != nil {
		p.t.Fatalf("nothing heard: %v", err)
	}
	var packet rtp.Packet
	if err := packet.Unmarshal(buffer[:n]); err != nil {
		p.t.Fatal(err)
	}
	return string(packet.Payload), netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// expect hears exactly the text next.
func (p *phone) expect(text string) {
	p.t.Helper()
	if got, _ := p.hear(); got != text {
		p.t.Fatalf("heard %q, want %q", got, text)
	}
}

var mediaLine = regexp.MustCompile(`(?m)^m=\S+ (\d+) `)

// portsIn returns the ports of the m= lines.
func portsIn(sdp []byte) (ports []int) {
	for _, match := range mediaLine.FindAllSubmatch(sdp, -1) {
		port, _ := strconv.Atoi(string(match[1]))
		ports = append(ports, port)
	}
	return ports
}

// target is where the first stream of a description that we sent wants its packets.
func target(t testing.TB, local netip.Addr, sdp []byte) netip.AddrPort {
	t.Helper()
	ports := portsIn(sdp)
	if len(ports) == 0 || ports[0] == 0 {
		t.Fatalf("no port in:\n%s", sdp)
	}
	return netip.AddrPortFrom(local, uint16(ports[0]))
}

// testCall is an answered call between two phones.
type testCall struct {
	bridge                *Bridge
	caller, callee        *phone
	forCaller, forCallee  netip.AddrPort // where each phone sends
	offerSent, answerSent []byte
}

func answeredCall(t testing.TB, r *Relay, local netip.Addr, caller, callee *phone) *testCall {
	t.Helper()
	c := &testCall{bridge: r.Bridge(local, local), caller: caller, callee: callee}
	t.Cleanup(c.bridge.Close)
	c.offer(t, caller.sdp())
	c.answer(t, callee.sdp())
	return c
}

func (c *testCall) offer(t testing.TB, sdp []byte) {
	t.Helper()
	var err error
	if c.offerSent, err = c.bridge.Offer(Caller, sdp, nil); err != nil {
		t.Fatalf("offer: %v", err)
	}
	c.forCallee = target(t, c.bridge.parties[Callee].local, c.offerSent)
}

func (c *testCall) answer(t testing.TB, sdp []byte) {
	t.Helper()
	var err error
	if c.answerSent, err = c.bridge.Answer(Callee, sdp, nil); err != nil {
		t.Fatalf("answer: %v", err)
	}
	c.forCaller = target(t, c.bridge.parties[Caller].local, c.answerSent)
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}
