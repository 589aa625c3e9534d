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
