package media

import (
	"hash/maphash"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/sdp/v3"
)

// carrierSDP is a usual four-codec description, some 400 bytes.
const carrierSDP = "v=0\r\no=- 1730000000 1730000001 IN IP4 192.0.2.10\r\ns=SIP call\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n" +
	"m=audio 16384 RTP/AVP 8 0 18 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n" +
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:150\r\na=sendrecv\r\n"

// BenchmarkNegotiate is the descriptions of one call without sockets: an offer and an answer, read and rewritten.
func BenchmarkNegotiate(b *testing.B) {
	r := newRelay(b, Options{Engine: EngineNone, Quarantine: -1})
	negotiate(b, r)
}

// BenchmarkOpenClose is the same with four sockets opened, read, and closed.
func BenchmarkOpenClose(b *testing.B) {
	for _, e := range []struct {
		name   string
		engine Engine
	}{{"raw", EngineRaw}, {"portable", EnginePortable}} {
		b.Run(e.name, func(b *testing.B) {
			r := newRelay(b, Options{Engine: e.engine, Threads: 1, Quarantine: -1})
			negotiate(b, r)
		})
	}
}

func negotiate(b *testing.B, r *Relay) {
	b.ReportAllocs()
	var offer, answer []byte
	for b.Loop() {
		bridge := r.Bridge(loopback, loopback)
		var err error
		if offer, err = bridge.Offer(Caller, []byte(carrierSDP), offer[:0]); err != nil {
			b.Fatal(err)
		}
		if answer, err = bridge.Answer(Callee, []byte(carrierSDP), answer[:0]); err != nil {
			b.Fatal(err)
		}
		bridge.Close()
	}
}

// BenchmarkTake is everything we do about a packet besides the system calls.
func BenchmarkTake(b *testing.B) {
	p, packet, source := talkingPlug(b)
	b.ReportAllocs()
	now := time.Duration(0)
	for b.Loop() {
		now += 20 * time.Millisecond
		packet[3]++
		if out, _ := p.take(packet, source, now); out == nil {
			b.Fatal("dropped")
		}
	}
}

func talkingPlug(t testing.TB) (p *plug, packet []byte, source netip.AddrPort) {
	bridge := newRelay(t, Options{Engine: EngineNone}).Bridge(loopback, loopback)
	t.Cleanup(bridge.Close)
	for _, negotiate := range []func(Side, []byte, []byte) ([]byte, error){bridge.Offer, bridge.Answer} {
		side := Caller
		if bridge.streams != nil {
			side = Callee
		}
		if _, err := negotiate(side, []byte(carrierSDP), nil); err != nil {
			t.Fatal(err)
		}
	}
	packet = make([]byte, 172)
	packet[0], packet[1] = 0x80, 8
	return bridge.streams[0].path.sides[Caller].rtp, packet, netip.MustParseAddrPort("192.0.2.10:16384")
}

// No packet may cost an allocation, not even one that is dropped.
func TestPacketsAllocateNothing(t *testing.T) {
	p, packet, source := talkingPlug(t)
	p.take(packet, source, 1) // learns the source, once
	stranger := netip.MustParseAddrPort("198.51.100.1:9")
	if n := testing.AllocsPerRun(1000, func() {
		p.take(packet, source, time.Second)
		p.take(packet, stranger, time.Second)
		p.take(packet[:3], source, time.Second)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkRelay passes packets through sockets in bursts; the figure is per packet, and half of it is the test's own sending and reading.
func BenchmarkRelay(b *testing.B) {
	for _, e := range []struct {
		name   string
		engine Engine
	}{{"raw", EngineRaw}, {"portable", EnginePortable}} {
		b.Run(e.name, func(b *testing.B) {
			r := newRelay(b, Options{Engine: e.engine, Threads: 1})
			c := answeredCall(b, r, loopback, newPhone(b, "127.0.0.1"), newPhone(b, "127.0.0.1"))
			packet, heard := make([]byte, 172), make([]byte, 200)
			packet[0] = 0x80
			c.callee.rtp.SetReadDeadline(time.Now().Add(time.Minute))
			const burst = 32
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := c.caller.rtp.WriteToUDPAddrPort(packet, c.forCaller); err != nil {
					b.Fatal(err)
				}
				for n := 0; i%burst == burst-1 && n < burst; n++ {
					if _, _, err := c.callee.rtp.ReadFromUDPAddrPort(heard); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkOtherParser is what reading and writing the two descriptions of a call costs with pion/sdp, which referees our own in the tests.
func BenchmarkOtherParser(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		for range 2 {
			var d sdp.SessionDescription
			if err := d.UnmarshalString(carrierSDP); err != nil {
				b.Fatal(err)
			}
			if _, err := d.Marshal(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkRewrite is the same work with ours: two descriptions read and rewritten.
func BenchmarkRewrite(b *testing.B) {
	b.ReportAllocs()
	var out []byte
	show := disguise{address: loopback, count: 1}
	show.lines[0] = shownLine{rtp: 20000, rtcp: 20001}
	o, seed := origin{id: 1}, maphash.MakeSeed()
	for b.Loop() {
		for range 2 {
			var d description
			if err := describe([]byte(carrierSDP), &d); err != nil {
				b.Fatal(err)
			}
			out = rewrite(out[:0], []byte(carrierSDP), &d, &show, &o, seed)
		}
	}
}
