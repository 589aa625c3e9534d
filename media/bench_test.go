package media

import (
	"testing"
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
