package media

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// Scores of the reduced E-model, worked out by hand from ITU-T G.107 annex B and G.113 appendix I.
func TestMOS(t *testing.T) {
	tests := []struct {
		name string
		flow Flow
		want float64
	}{
		{"a perfect G.711 call", Flow{Codec: "PCMU", Packets: 1000}, 4.41},
		{"G.729 costs something by itself", Flow{Codec: "G729", Packets: 1000}, 4.10},
		{"one packet in a hundred is lost", Flow{Codec: "PCMA", Packets: 990, Lost: 10}, 4.33},
		{"one in ten", Flow{Codec: "PCMA", Packets: 900, Lost: 100}, 3.42},
		{"G.729 at one in ten", Flow{Codec: "G729", Packets: 900, Lost: 100}, 2.76},
		{"200 ms there and back", Flow{Codec: "PCMU", Packets: 1000, RoundTrip: 200 * time.Millisecond}, 4.36},
		{"a satellite", Flow{Codec: "PCMU", Packets: 1000, RoundTrip: 600 * time.Millisecond}, 3.71},
		{"jitter asks for a buffer", Flow{Codec: "PCMU", Packets: 1000, Jitter: 40 * time.Millisecond}, 4.37},
		{"nothing arrives any more", Flow{Codec: "G729", Packets: 60, Lost: 100000}, 1.06},
		{"too little to say", Flow{Codec: "PCMU", Packets: 49}, 0},
	}
	for _, test := range tests {
		if got := test.flow.MOS(); math.Abs(got-test.want) > 0.02 {
			t.Errorf("%s: %.3f, want %.2f", test.name, got, test.want)
		}
	}
}

// RFC 3550 §6.4.1: a reception report says which sender report it is about and how long ago that was.
func TestRoundTripByReports(t *testing.T) {
	begin := &route{kind: kindRTP, said: netip.MustParseAddrPort("192.0.2.1:4001")}
	caller, callee := new(plug).begin(begin, true), new(plug).begin(begin, true)
	caller.other.Store(callee)
	callee.other.Store(caller)
	at := func(ms int) time.Duration { return time.Hour + time.Duration(ms)*time.Millisecond }
	marshal := func(packets ...rtcp.Packet) []byte {
		compound, err := rtcp.Marshal(packets)
		if err != nil {
			t.Fatal(err)
		}
		return compound
	}
	report := func(last, delay uint32) []byte {
		return marshal(&rtcp.ReceiverReport{SSRC: 2, Reports: []rtcp.ReceptionReport{{SSRC: 3}, {SSRC: 1, LastSenderReport: last, Delay: delay}}},
			&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 2, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "x"}}}}})
	}
	took := func() time.Duration { return time.Duration(callee.meter.roundTrip.Load()) }

	callee.reports(report(0, 0), at(0)) // before anything passed
	caller.reports(marshal(&rtcp.SenderReport{SSRC: 1, NTPTime: 0x0000_abcd_1234_0000}), at(10))
	callee.reports(report(0xabcd_9999, 0), at(90)) // about another one
	if took() != 0 {
		t.Errorf("a round trip of %s from reports about nothing", took())
	}
	callee.reports(report(0xabcd_1234, 65536/2), at(10+500+80)) // half a second after it came
	if got := took(); got < 79*time.Millisecond || got > 81*time.Millisecond {
		t.Errorf("the round trip is %s, want 80 ms", got)
	}
	callee.reports(report(0xabcd_1234, 65536*3), at(10+500)) // longer ago than it was sent
	if got := took(); got < 79*time.Millisecond || got > 81*time.Millisecond {
		t.Errorf("an impossible report made it %s", got)
	}
	callee.reports(report(0xabcd_1234, 65536/2+65), at(10+500)) // a millisecond too long, by the grain of its clock
	if got := took(); got <= 0 || got > time.Millisecond {
		t.Errorf("a round trip shorter than the party's clock can tell is %s", got)
	}
	// A sender report of the party itself carries reception reports too.
	callee.reports(marshal(&rtcp.SenderReport{SSRC: 2, Reports: []rtcp.ReceptionReport{{SSRC: 1, LastSenderReport: 0xabcd_1234}}}), at(10+40))
	if got := took(); got < 39*time.Millisecond || got > 41*time.Millisecond {
		t.Errorf("by a sender report it is %s, want 40 ms", got)
	}
}

func FuzzReports(f *testing.F) {
	sr, _ := (&rtcp.SenderReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 2, LastSenderReport: 1}}}).Marshal()
	rr, _ := (&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 2}}}).Marshal()
	f.Add(sr)
	f.Add(append(rr, sr...))
	f.Fuzz(func(t *testing.T, packet []byte) {
		begin := &route{kind: kindRTP}
		a, b := new(plug).begin(begin, true), new(plug).begin(begin, true)
		a.other.Store(b)
		b.other.Store(a)
		a.reports(packet, time.Second)
		b.reports(packet, 2*time.Second)
		if took := time.Duration(b.meter.roundTrip.Load()); took < 0 || took > 10*time.Second {
			t.Errorf("a round trip of %s", took)
		}
	})
}
