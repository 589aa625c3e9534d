package wire

import (
	"bytes"
	"net/netip"
	"testing"
)

// carrierINVITE is what a carrier sends: 20 headers and an SDP body, about 1.2 KB.
var carrierINVITE = crlfLines(
	"INVITE sip:+14155550100@192.0.2.10:5060;transport=udp;user=phone SIP/2.0",
	"Record-Route: <sip:192.0.2.33;lr;ftag=as7f1c3d2b;did=91c.7d21>",
	"Via: SIP/2.0/UDP 192.0.2.33:5060;branch=z9hG4bKcydzigwkX0a1b2c3d4e5f",
	"Via: SIP/2.0/UDP 192.0.2.41:5060;received=192.0.2.41;branch=z9hG4bK0cB8f2d1a7c9e3;rport=5060",
	"Max-Forwards: 69",
	`From: "WIRELESS CALLER" <sip:+12125551234@192.0.2.33;user=phone>;tag=as7f1c3d2b`,
	"To: <sip:+14155550100@192.0.2.10;user=phone>",
	"Contact: <sip:+12125551234@192.0.2.41:5060;transport=udp>",
	"Call-ID: 7d3f0a1c2b4e5d6f708192a3b4c5d6e7@192.0.2.41",
	"CSeq: 102 INVITE",
	"User-Agent: Carrier-SBC/8.2.1",
	"Date: Tue, 01 Sep 2026 12:00:00 GMT",
	"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, UPDATE, PRACK",
	"Supported: replaces, timer, 100rel",
	"Session-Expires: 1800;refresher=uac",
	"Min-SE: 90",
	"P-Asserted-Identity: <sip:+12125551234@192.0.2.33;user=phone>",
	"Privacy: none",
	"Content-Type: application/sdp",
	"Content-Length: 264",
	"",
	"v=0",
	"o=- 1756728000 1756728000 IN IP4 192.0.2.41",
	"s=-",
	"c=IN IP4 192.0.2.41",
	"t=0 0",
	"m=audio 18452 RTP/AVP 0 8 18 101",
	"a=rtpmap:0 PCMU/8000",
	"a=rtpmap:8 PCMA/8000",
	"a=rtpmap:18 G729/8000",
	"a=fmtp:18 annexb=no",
	"a=rtpmap:101 telephone-event/8000",
	"a=ptime:20",
	"a=sendrecv",
)

var small200 = crlfLines(
	"SIP/2.0 200 OK",
	"Via: SIP/2.0/UDP 192.0.2.10:5060;rport=5060;branch=z9hG4bK5f0001a2b3c4d;received=192.0.2.10",
	"From: <sip:+12125551234@192.0.2.10>;tag=5f0001aa",
	"To: <sip:+14155550100@192.0.2.77>;tag=77c3",
	"Call-ID: 5f0001-a2b3c4d5@192.0.2.10",
	"CSeq: 2 BYE",
	"Content-Length: 0",
	"",
)

// crlfLines joins lines as on the wire, each ended by CRLF.
func crlfLines(lines ...string) []byte {
	var b []byte
	for _, line := range lines {
		b = append(append(b, line...), '\r', '\n')
	}
	return b
}

func TestBenchmarkMessagesAreGood(t *testing.T) {
	for _, b := range [][]byte{carrierINVITE, small200} {
		var m Message
		if err := m.Parse(bytes.Clone(b)); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if len(m.Bytes) != len(b) {
			t.Errorf("Content-Length leaves %d of %d octets", len(m.Bytes), len(b))
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for _, bb := range []struct {
		name  string
		bytes []byte
	}{{"invite", carrierINVITE}, {"200", small200}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var e Envelope
			for b.Loop() {
				if !Scan(bb.bytes, &e) {
					b.Fatal("not SIP")
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bb := range []struct {
		name  string
		bytes []byte
	}{{"invite", carrierINVITE}, {"200", small200}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var m Message
			buf := bytes.Clone(bb.bytes)
			for b.Loop() {
				if err := m.Parse(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	b.ReportAllocs()
	var m Message
	if err := m.Parse(bytes.Clone(carrierINVITE)); err != nil {
		b.Fatal(err)
	}
	src := netip.MustParseAddrPort("192.0.2.33:5060")
	tag := []byte("5f0001aa")
	out := make([]byte, 0, 2048)
	for b.Loop() {
		out = AppendBody(AppendResponse(out[:0], &m, 180, "", tag, src), "", nil)
	}
}
