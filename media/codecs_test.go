package media

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

const offeredAudio = `m=audio 4000 RTP/AVP 96 0 8 18 13 97 101
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:0 PCMU/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:97 telephone-event/48000
a=fmtp:97 0-15
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=rtcp-fb:* nack
a=ptime:20
`

// SDP-04: what a party may use, in the order it prefers; its companions go with the clock.
func TestCodecsOfATrunk(t *testing.T) {
	tests := []struct {
		name           string
		caller, callee Codecs
		want           string
	}{
		{"a trunk of G.711, A-law first", nil, Codecs{"PCMA", "PCMU"}, `m=audio 20000 RTP/AVP 8 0 13 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=rtcp-fb:* nack
a=ptime:20
`},
		{"names without case", nil, Codecs{"OPUS"}, `m=audio 20000 RTP/AVP 96 97
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:97 telephone-event/48000
a=fmtp:97 0-15
a=rtcp-fb:* nack
a=ptime:20
`},
		{"the caller's list holds too, and orders where the callee has none", Codecs{"G729", "PCMU"}, nil, `m=audio 20000 RTP/AVP 18 0 13 101
a=rtpmap:0 PCMU/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=rtcp-fb:* nack
a=ptime:20
`},
		{"both lists: what is in both, in the callee's order", Codecs{"PCMU", "PCMA", "opus"}, Codecs{"G729", "PCMA", "PCMU"}, `m=audio 20000 RTP/AVP 8 0 13 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=rtcp-fb:* nack
a=ptime:20
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := countedRelay(t).Bridge(loopback, loopback)
			b.Peer(Caller, Terms{Codecs: test.caller})
			b.Peer(Callee, Terms{Codecs: test.callee})
			got := mustOffer(t, b, Caller, body(offeredAudio))
			_, got, _ = strings.Cut(got, "t=0 0\n")
			same(t, "the offer", got, strings.Replace(test.want, "20000", "20002", 1))
		})
	}
}

// SDP-05: many phones speak of digits at 8000 beside opus at 48000; a list of codecs takes them away from nobody.
func TestEventsOfAnotherClockStay(t *testing.T) {
	b := countedRelay(t).Bridge(loopback, loopback)
	b.Peer(Callee, Terms{Codecs: Codecs{"opus", "PCMU"}})
	mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 96 0 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\n"))
	got := mustAnswer(t, b, Callee, body("m=audio 5000 RTP/AVP 96 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\n"))
	if !strings.Contains(got, "RTP/AVP 96 101\n") || !strings.Contains(got, "a=rtpmap:101 telephone-event/8000\n") {
		t.Errorf("the answer:\n%s", got)
	}
}

func TestNoCodecLeftIs488(t *testing.T) {
	b := countedRelay(t).Bridge(loopback, loopback)
	b.Peer(Callee, Terms{Codecs: Codecs{"AMR-WB"}})
	if _, err := b.Offer(Caller, body(offeredAudio), nil); err != errNoCodec {
		t.Errorf("the offer: %v", err)
	}
	got := mustOffer(t, b, Caller, body(offeredAudio+"m=video 4002 RTP/AVP 98\na=rtpmap:98 H264/90000\n"))
	if !strings.Contains(got, "m=audio 0 ") || !strings.Contains(got, "m=video 200") {
		t.Errorf("with video beside it:\n%s", got)
	}

	b = countedRelay(t).Bridge(loopback, loopback)
	b.Peer(Callee, Terms{Codecs: Codecs{"PCMU"}})
	mustOffer(t, b, Caller, body(offeredAudio))
	if _, err := b.Answer(Callee, body("m=audio 5000 RTP/AVP 8\n"), nil); err != errNoCodec {
		t.Errorf("an answer of what was not offered: %v", err)
	}
}

// SDP-04, SDP-05: each party is shown the payload types it knows, whatever the other one calls them.
func TestPayloadTypesDiffer(t *testing.T) {
	b := countedRelay(t).Bridge(loopback, loopback)
	audio := func(sdp string) string {
		_, sdp, _ = strings.Cut(sdp, "RTP/AVP ")
		return sdp
	}
	opus := func(numbers string, codec, event string) []byte {
		return body("m=audio 4000 RTP/AVP " + numbers + "\na=rtpmap:" + codec + " opus/48000/2\na=fmtp:" + codec + " useinbandfec=1\na=rtpmap:" +
			event + " telephone-event/48000\n")
	}
	shown := func(numbers, codec, event string) string { return audio(string(opus(numbers, codec, event))) }
	steps := []struct {
		name      string
		got, want string
	}{
		{"offer", audio(mustOffer(t, b, Caller, opus("96 101", "96", "101"))), shown("96 101", "96", "101")},
		{"an answer with numbers of its own", audio(mustAnswer(t, b, Callee, opus("111 110", "111", "110"))), shown("96 101", "96", "101")},
		{"re-INVITE of the caller", audio(mustOffer(t, b, Caller, opus("96 101", "96", "101"))), shown("111 110", "111", "110")},
		{"its answer", audio(mustAnswer(t, b, Callee, opus("111 110", "111", "110"))), shown("96 101", "96", "101")},
		{"re-INVITE of the callee", audio(mustOffer(t, b, Callee, opus("111 110", "111", "110"))), shown("96 101", "96", "101")},
		{"its answer", audio(mustAnswer(t, b, Caller, opus("96 101", "96", "101"))), shown("111 110", "111", "110")},
		{"a codec whose number the other party uses for another", audio(mustOffer(t, b, Callee,
			body("m=audio 4000 RTP/AVP 96\na=rtpmap:96 AMR/8000\n"))), "97\r\na=rtpmap:97 AMR/8000\r\n"},
	}
	for _, step := range steps {
		if got := strings.ReplaceAll(step.got, "\r", ""); got != strings.ReplaceAll(step.want, "\r", "") {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
}

func TestRefusedReinviteKeepsTheNumbers(t *testing.T) {
	b := countedRelay(t).Bridge(loopback, loopback)
	opus := func(number string) []byte {
		return body("m=audio 4000 RTP/AVP " + number + "\na=rtpmap:" + number + " opus/48000\n")
	}
	mustOffer(t, b, Caller, opus("96"))
	mustAnswer(t, b, Callee, opus("96"))
	mustOffer(t, b, Caller, opus("120"))
	b.Withdraw()
	mustOffer(t, b, Callee, opus("96"))
	if got := mustAnswer(t, b, Caller, opus("96")); !strings.Contains(got, "RTP/AVP 96\n") {
		t.Errorf("after a refused re-INVITE:\n%s", got)
	}
	if table := b.streams[0].numbers.from(Caller); table != nil {
		t.Errorf("packets of the caller are renumbered: %v", table)
	}
}

// MED-05, SDP-05: packets cross under the numbers of whom they go to, the marker bit unharmed.
func TestPacketsAreRenumbered(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		caller, callee := newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1")
		with := func(p *phone, codec, event string) []byte {
			return fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP %s %s\r\n"+
				"a=rtpmap:%[2]s opus/48000/2\r\na=rtpmap:%[3]s telephone-event/48000\r\n", p.address().Port(), codec, event)
		}
		c := &testCall{bridge: r.Bridge(loopback, loopback)}
		t.Cleanup(c.bridge.Close)
		offer, err := c.bridge.Offer(Caller, with(caller, "96", "101"), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.bridge.Answer(Callee, with(callee, "111", "96"), nil)
		if err != nil {
			t.Fatal(err)
		}
		toCallee, toCaller := target(t, loopback, answer), target(t, loopback, offer)
		cross := func(from, to *phone, at netip.AddrPort, sent, want byte) {
			t.Helper()
			packet := []byte{0x80, sent, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 'x'}
			if _, err := from.rtp.WriteToUDPAddrPort(packet, at); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 100)
			n, _, err := to.rtp.ReadFromUDPAddrPort(buffer)
			if err != nil || n != len(packet) || buffer[1] != want {
				t.Errorf("payload type %#x became %#x (%d bytes, %v), want %#x", sent, buffer[1], n, err, want)
			}
		}
		cross(caller, callee, toCallee, 96, 111)
		cross(caller, callee, toCallee, 0x80|101, 0x80|96)
		cross(callee, caller, toCaller, 101, 101) // by the offer
		cross(callee, caller, toCaller, 111, 96)  // as it says itself
		cross(callee, caller, toCaller, 0, 0)
	})
}
