package media

import (
	"strings"
	"testing"
)

// REF-02: who is called in a transfer is not on hold.
func TestAppendResumed(t *testing.T) {
	const held = "v=0\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=inactive\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendonly\r\n"
	const want = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
	if got := string(AppendResumed(nil, []byte(held))); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// SDP-02: a party that is put on another bridge sees its session go on.
func TestInherit(t *testing.T) {
	r := countedRelay(t)
	a, b := r.Bridge(loopback, loopback), r.Bridge(loopback, loopback)
	mustOffer(t, a, Callee, body("m=audio 4000 RTP/AVP 0\n"))
	b.Inherit(Caller, a, Caller)
	if got := mustOffer(t, b, Callee, body("m=audio 4000 RTP/AVP 8\n")); !strings.Contains(got, "\no=- 1 2 IN ") {
		t.Errorf("o= of another session, or of the same version:\n%s", got)
	}
}

// MED-11, REF-02: what the party that transfers has seen of the other one says nothing about how that one's RTP is protected.
func TestResumedAsThePartyIsProtected(t *testing.T) {
	const crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + calleesKey + "\n"
	lines := func(proto, more string) string { return "m=audio 4000 " + proto + " 0\n" + more }
	for _, test := range []struct {
		name           string
		caller, callee SRTP
		offer, answer  string // of the caller and the callee
		shown          Side
		has            SRTP   // what the other party has
		want           string // of its lines, from the m= line on
	}{
		{"SRTP of the callee, whom a plain caller transfers", SRTPPass, SRTPSDES, lines("RTP/AVP", "a=sendonly\n"), lines("RTP/SAVP", crypto), Caller, SRTPSDES, "RTP/SAVP 0\n" + crypto},
		{"a plain caller, whom a callee with SRTP transfers", SRTPPass, SRTPSDES, lines("RTP/AVP", ""), lines("RTP/SAVP", crypto), Callee, SRTPOff, "RTP/AVP 0\n"},
		{"SRTP that does not end here", SRTPPass, SRTPPass, lines("RTP/SAVP", crypto), lines("RTP/SAVP", crypto), Callee, SRTPPass, "RTP/SAVP 0\n" + crypto},
		{"plain RTP", SRTPPass, SRTPPass, lines("RTP/AVP", ""), lines("RTP/AVP", ""), Callee, SRTPPass, "RTP/AVP 0\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := countedRelay(t).Bridge(loopback, loopback)
			b.Peer(Caller, Terms{SRTP: test.caller})
			b.Peer(Callee, Terms{SRTP: test.callee})
			seen := [2]string{Callee: mustOffer(t, b, Caller, body(test.offer))}
			seen[Caller] = mustAnswer(t, b, Callee, body(test.answer))
			if got := b.Protection(test.shown.Other()); got != test.has {
				t.Errorf("the other party has %d, want %d", got, test.has)
			}
			got := strings.ReplaceAll(string(b.AppendResumed(nil, []byte(seen[test.shown]), test.shown)), "\r", "")
			_, lines, _ := strings.Cut(got, "m=audio ")
			if _, lines, _ = strings.Cut(lines, " "); lines != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
