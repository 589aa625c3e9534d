package media

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pion/sdp/v3"
)

// countedRelay has no sockets: ports rise from 20000, session ids from 1.
func countedRelay(t testing.TB) *Relay {
	return newRelay(t, Options{Engine: EngineNone, Advertise: map[netip.Addr]netip.Addr{
		netip.MustParseAddr("10.1.1.1"): netip.MustParseAddr("203.0.113.1"),
	}})
}

func crlf(text string) []byte {
	return []byte(strings.ReplaceAll(strings.TrimLeft(text, "\n"), "\n", "\r\n"))
}

// body is a description without the lines that all have.
func body(lines string) []byte {
	return crlf("v=0\no=alice 2890844526 2890844526 IN IP4 10.9.9.9\ns=secret\nc=IN IP4 10.9.9.9\nt=0 0\n" + lines)
}

func mustOffer(t testing.TB, b *Bridge, from Side, sdp []byte) string {
	t.Helper()
	out, err := b.Offer(from, sdp, nil)
	if err != nil {
		t.Fatalf("offer of the %v: %v\n%s", from, err, sdp)
	}
	return text(t, out)
}

func mustAnswer(t testing.TB, b *Bridge, from Side, sdp []byte) string {
	t.Helper()
	out, err := b.Answer(from, sdp, nil)
	if err != nil {
		t.Fatalf("answer of the %v: %v\n%s", from, err, sdp)
	}
	return text(t, out)
}

// text checks that every line ends in CRLF and returns the description with plain line ends.
func text(t testing.TB, out []byte) string {
	t.Helper()
	plain := strings.ReplaceAll(string(out), "\r\n", "\n")
	if strings.ContainsAny(plain, "\r") || strings.Count(string(out), "\n") != strings.Count(string(out), "\r\n") {
		t.Fatalf("a line does not end in CRLF: %q", out)
	}
	return plain
}

func same(t testing.TB, what, got, want string) {
	t.Helper()
	if want = strings.TrimLeft(want, "\n"); got != want {
		t.Errorf("%s is\n%s\nwant\n%s", what, got, want)
	}
}

// SDP-03, TOP-01: every address shows the relay, on session and media level; nothing tells about the network behind.
func TestEveryAddressBecomesOurs(t *testing.T) {
	b := countedRelay(t).Bridge(netip.MustParseAddr("10.2.2.2"), netip.MustParseAddr("10.1.1.1"))
	got := mustOffer(t, b, Caller, crlf(`
v=0
o=alice 2890844526 2890844527 IN IP4 pbx.inside.example
s=Alice's phone
i=about us
u=http://pbx.inside.example/
e=alice@inside.example
p=+1 555 0100
c=IN IP4 10.9.9.9
b=AS:384
t=0 0
a=group:BUNDLE 0 1
a=group:LS 0 1
a=ice-lite
a=tool:x
m=audio 4000/2 RTP/AVP 0 101
i=left ear
c=IN IP4 10.9.9.8
b=TIAS:64000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=rtcp:4711 IN IP4 10.9.9.7
a=candidate:1 1 UDP 2130706431 10.9.9.8 4000 typ host
a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZg
a=end-of-candidates
a=source-filter: incl IN IP4 * 10.9.9.8
a=x-unknown:keeps
a=x-host:10.9.9.8:4000
a=x-origin:sip.pbx.inside.example
a=ssrc:1 cname:user@10.9.9.9
a=ptime:20
a=sendrecv
m=video 4002 RTP/AVPF 96
a=rtpmap:96 H264/90000
a=rtcp:4003
a=rtcp-fb:96 nack pli
`))
	same(t, "the offer", got, `
v=0
o=- 2 1 IN IP4 203.0.113.1
s=-
c=IN IP4 203.0.113.1
b=AS:384
t=0 0
a=group:LS 0 1
a=tool:x
m=audio 20000 RTP/AVP 0 101
i=left ear
c=IN IP4 203.0.113.1
b=TIAS:64000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=rtcp:20001 IN IP4 203.0.113.1
a=x-unknown:keeps
a=ptime:20
a=sendrecv
m=video 20002 RTP/AVPF 96
a=rtpmap:96 H264/90000
a=rtcp:20003
a=rtcp-fb:96 nack pli
`)
	var parsed sdp.SessionDescription
	if err := parsed.UnmarshalString(string(crlf(got))); err != nil {
		t.Errorf("pion refuses what we send: %v", err)
	}
}

// SDP-01: the answer has the offer's lines in the offer's order, refused ones with port 0.
func TestAnswerHasTheLinesOfTheOffer(t *testing.T) {
	offer := body("m=audio 4000 RTP/AVP 0\nm=message 9 TCP/MSRP *\na=path:msrp://10.9.9.9:9/x;tcp\nm=video 4002 RTP/AVP 96\n")
	tests := []struct{ name, answer, want string }{
		{"all lines answered",
			"m=audio 5000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 5002 RTP/AVP 96\na=x:y\n",
			"m=audio 20000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 20004 RTP/AVP 96\na=x:y\n"},
		{"one refused by the party: its attributes pass",
			"m=audio 5000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 0 RTP/AVP 96\na=inactive\n",
			"m=audio 20000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 0 RTP/AVP 96\na=inactive\n"},
		{"a line that we had refused is taken all the same",
			"m=audio 5000 RTP/AVP 0\nm=message 5001 TCP/MSRP *\na=path:msrp://10.8.8.8:9/x;tcp\nm=video 0 RTP/AVP 96\n",
			"m=audio 20000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 0 RTP/AVP 96\n"},
		{"lines are missing", "m=audio 5000 RTP/AVP 0\n",
			"m=audio 20000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 0 RTP/AVP 96\n"},
		{"lines are too many",
			"m=audio 5000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 0 RTP/AVP 96\nm=audio 7000 RTP/AVP 8\na=x:y\n",
			"m=audio 20000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 0 RTP/AVP 96\n"},
		{"another medium in a line",
			"m=audio 5000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=audio 7000 RTP/AVP 8\na=rtpmap:8 PCMA/8000\n",
			"m=audio 20000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 0 RTP/AVP 96\n"},
		{"a refused line without a format",
			"m=audio 5000 RTP/AVP 0\nm=message 0 TCP/MSRP\nm=video 0 RTP/AVP 96\n",
			"m=audio 20000 RTP/AVP 0\nm=message 0 TCP/MSRP 0\nm=video 0 RTP/AVP 96\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := countedRelay(t).Bridge(loopback, loopback)
			same(t, "the offer", mustOffer(t, b, Caller, offer),
				"v=0\no=- 2 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 20002 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=video 20006 RTP/AVP 96\n")
			same(t, "the answer", mustAnswer(t, b, Callee, body(test.answer)),
				"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"+test.want)
		})
	}
}

// SDP-02: one session id per leg, the version counts what we send there.
func TestVersionRisesOnlyWithChange(t *testing.T) {
	b := countedRelay(t).Bridge(loopback, loopback)
	origin := func(sdp string) string {
		_, rest, _ := strings.Cut(sdp, "o=- ")
		line, _, _ := strings.Cut(rest, " IN")
		return line
	}
	steps := []struct {
		name string
		do   func() string
		want string
	}{
		{"first offer", func() string { return mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\n")) }, "2 1"},
		{"its answer", func() string { return mustAnswer(t, b, Callee, body("m=audio 5000 RTP/AVP 0\n")) }, "1 1"},
		{"the same answer again", func() string { return mustAnswer(t, b, Callee, body("m=audio 5000 RTP/AVP 0\n")) }, "1 1"},
		{"the party's port moves: that is not seen", func() string { return mustAnswer(t, b, Callee, body("m=audio 5008 RTP/AVP 0\n")) }, "1 1"},
		{"another codec", func() string { return mustAnswer(t, b, Callee, body("m=audio 5008 RTP/AVP 8\n")) }, "1 2"},
		{"session refresh", func() string { return mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\n")) }, "2 1"},
		{"its answer", func() string { return mustAnswer(t, b, Callee, body("m=audio 5008 RTP/AVP 8\n")) }, "1 2"},
		{"hold by the callee", func() string { return mustOffer(t, b, Callee, body("m=audio 5008 RTP/AVP 0\na=sendonly\n")) }, "1 3"},
		{"its answer", func() string { return mustAnswer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\na=recvonly\n")) }, "2 2"},
	}
	for _, step := range steps {
		if got := origin(step.do()); got != step.want {
			t.Errorf("%s: o= has %q, want %q", step.name, got, step.want)
		}
	}
	for range 10 { // past the length of one digit
		mustOffer(t, b, Callee, body("m=audio 5008 RTP/AVP 0\na=sendonly\n"))
		mustOffer(t, b, Callee, body("m=audio 5008 RTP/AVP 0\na=sendrecv\n"))
	}
	if got := mustOffer(t, b, Callee, body("m=audio 5008 RTP/AVP 0\na=inactive\n")); !strings.HasPrefix(got, "v=0\no=- 1 23 IN IP4 127.0.0.1\ns=-\n") {
		t.Errorf("after many changes:\n%s", got)
	}
}

// RINV-06, RINV-08: every way to hold passes, in the family of the leg, and ports do not move.
func TestHoldPasses(t *testing.T) {
	six := netip.MustParseAddr("2001:db8::1")
	tests := []struct {
		name   string
		callee netip.Addr
		offer  []byte
		want   string
	}{
		{"sendonly", loopback, body("m=audio 4000 RTP/AVP 0\na=sendonly\n"), "c=IN IP4 127.0.0.1\nt=0 0\nm=audio 20002 RTP/AVP 0\na=sendonly\n"},
		{"inactive", loopback, body("m=audio 4000 RTP/AVP 0\na=inactive\n"), "c=IN IP4 127.0.0.1\nt=0 0\nm=audio 20002 RTP/AVP 0\na=inactive\n"},
		{"recvonly", loopback, body("m=audio 4000 RTP/AVP 0\na=recvonly\n"), "c=IN IP4 127.0.0.1\nt=0 0\nm=audio 20002 RTP/AVP 0\na=recvonly\n"},
		{"session-level direction", loopback, body("a=sendonly\nm=audio 4000 RTP/AVP 0\n"), "c=IN IP4 127.0.0.1\nt=0 0\na=sendonly\nm=audio 20002 RTP/AVP 0\n"},
		{"c=0.0.0.0", loopback, bytes.Replace(body("m=audio 4000 RTP/AVP 0\n"), []byte("c=IN IP4 10.9.9.9"), []byte("c=IN IP4 0.0.0.0"), 1),
			"c=IN IP4 0.0.0.0\nt=0 0\nm=audio 20002 RTP/AVP 0\n"},
		{"c=0.0.0.0 on the media level", loopback, body("m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n"),
			"c=IN IP4 127.0.0.1\nt=0 0\nm=audio 20002 RTP/AVP 0\nc=IN IP4 0.0.0.0\n"},
		{"c=0.0.0.0 towards IPv6", six, bytes.Replace(body("m=audio 4000 RTP/AVP 0\n"), []byte("c=IN IP4 10.9.9.9"), []byte("c=IN IP4 0.0.0.0"), 1),
			"c=IN IP6 ::\nt=0 0\nm=audio 20000 RTP/AVP 0\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := countedRelay(t).Bridge(loopback, test.callee)
			mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\n"))
			mustAnswer(t, b, Callee, body("m=audio 5000 RTP/AVP 0\n"))
			_, rest, _ := strings.Cut(mustOffer(t, b, Caller, test.offer), "s=-\n")
			same(t, "the hold", rest, test.want)
		})
	}
}

// MED-13: each leg shows its own family.
func TestEachLegShowsItsOwnFamily(t *testing.T) {
	b := countedRelay(t).Bridge(loopback, netip.MustParseAddr("2001:db8::1"))
	same(t, "the offer", mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\na=rtcp:4001 IN IP4 10.9.9.9\n")),
		"v=0\no=- 2 1 IN IP6 2001:db8::1\ns=-\nc=IN IP6 2001:db8::1\nt=0 0\nm=audio 20000 RTP/AVP 0\na=rtcp:20001 IN IP6 2001:db8::1\n")
	answer := crlf("v=0\no=- 1 1 IN IP6 2001:db8::9\ns=-\nc=IN IP6 2001:db8::9\nt=0 0\nm=audio 6000 RTP/AVP 0\n")
	same(t, "the answer", mustAnswer(t, b, Callee, answer),
		"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 20000 RTP/AVP 0\n")
}

// SDP-09, MED-04: rtcp-mux is answered only if both want it, and then RTCP has no port.
func TestMuxIsAgreedOrDropped(t *testing.T) {
	tests := []struct{ name, offer, offered, answer, answered string }{
		{"both", "a=rtcp-mux\na=rtcp:4001\n", "a=rtcp-mux\na=rtcp:20003\n", "a=rtcp-mux\na=rtcp:5000\n", "a=rtcp-mux\na=rtcp:20000\n"},
		{"the answer does not want it", "a=rtcp-mux\n", "a=rtcp-mux\n", "a=x:y\n", "a=x:y\n"},
		{"the offer did not want it", "a=x:y\n", "a=x:y\n", "a=rtcp-mux\n", ""},
		{"only muxed", "a=rtcp-mux\na=rtcp-mux-only\na=rtcp:4000\n", "a=rtcp-mux\na=rtcp-mux-only\na=rtcp:20002\n", "a=rtcp-mux\n", "a=rtcp-mux\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := countedRelay(t).Bridge(loopback, loopback)
			_, rest, _ := strings.Cut(mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\n"+test.offer)), "RTP/AVP 0\n")
			same(t, "the offer", rest, test.offered)
			_, rest, _ = strings.Cut(mustAnswer(t, b, Callee, body("m=audio 5000 RTP/AVP 0\n"+test.answer)), "RTP/AVP 0\n")
			same(t, "the answer", rest, test.answered)
		})
	}
}

// SDP-08 in part: T.38 is relayed as datagrams, SRTP as RTP, DTLS-SRTP without its ICE.
func TestTransportsThatAreRelayed(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"m=image 4000 udptl t38\na=T38FaxVersion:0\n", "m=image 20002 udptl t38\na=T38FaxVersion:0\n"},
		{"m=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\n",
			"m=audio 20002 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\n"},
		{"m=audio 4000 UDP/TLS/RTP/SAVPF 0\na=fingerprint:sha-256 AA:BB\na=setup:actpass\na=ice-ufrag:x\n",
			"m=audio 20002 UDP/TLS/RTP/SAVPF 0\na=fingerprint:sha-256 AA:BB\na=setup:actpass\n"},
		{"m=audio 0 RTP/AVP 0\na=x:y\n", "m=audio 0 RTP/AVP 0\na=x:y\n"},
	} {
		b := countedRelay(t).Bridge(loopback, loopback)
		_, rest, _ := strings.Cut(mustOffer(t, b, Caller, body(test.line)), "t=0 0\n")
		same(t, "the offer", rest, test.want)
	}
}

// SDP-06: an answer in a 183 and in the 200, the same, changed, or of another fork.
func TestEarlyAnswersRepeatAndChange(t *testing.T) {
	b := countedRelay(t).Bridge(loopback, loopback)
	mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0 8\n"))
	first := mustAnswer(t, b, Callee, body("m=audio 5000 RTP/AVP 0\n"))
	if again := mustAnswer(t, b, Callee, body("m=audio 5000 RTP/AVP 0\n")); again != first {
		t.Errorf("the repeated answer differs:\n%s\nfrom\n%s", again, first)
	}
	fork := mustAnswer(t, b, Callee, body("m=audio 6000 RTP/AVP 8\n"))
	if want := strings.Replace(strings.Replace(first, "o=- 1 1", "o=- 1 2", 1), "AVP 0", "AVP 8", 1); fork != want {
		t.Errorf("the fork's answer is\n%s\nwant\n%s", fork, want)
	}
	r := b.streams[0].path.sides[Callee].rtp.route.Load()
	if want := netip.MustParseAddrPort("10.9.9.9:6000"); r.dest != want {
		t.Errorf("packets for the callee go to %v, want %v of the last answer", r.dest, want)
	}
}

// SDP-07: what is broken is refused with the right status and changes nothing; what is only odd passes.
func TestBrokenDescriptions(t *testing.T) {
	const head = "v=0\no=- 1 1 IN IP4 10.9.9.9\ns=-\nc=IN IP4 10.9.9.9\nt=0 0\n"
	tests := []struct {
		name, sdp, cause string // no cause: it passes
		status           int
	}{
		{name: "nothing", sdp: "", cause: "sdp_syntax", status: 400},
		{name: "not SDP", sdp: "<xml/>", cause: "sdp_syntax", status: 400},
		{name: "another version", sdp: strings.Replace(head, "v=0", "v=1", 1), cause: "sdp_syntax", status: 400},
		{name: "no o=", sdp: "v=0\ns=-\nt=0 0\n", cause: "sdp_syntax", status: 400},
		{name: "two o=", sdp: head + "o=- 1 1 IN IP4 10.9.9.9\n", cause: "sdp_syntax", status: 400},
		{name: "short o=", sdp: "v=0\no=- 1 1 IN IP4\ns=-\n", cause: "sdp_syntax", status: 400},
		{name: "a line without =", sdp: head + "garbage\n", cause: "sdp_syntax", status: 400},
		{name: "an unknown letter", sdp: head + "x=1\n", cause: "sdp_syntax", status: 400},
		{name: "NUL", sdp: head + "a=x:\x00\n", cause: "sdp_syntax", status: 400},
		{name: "CR inside a line", sdp: head + "a=x\ra=y\n", cause: "sdp_syntax", status: 400},
		{name: "cut in the m= line", sdp: head + "m=audio 40", cause: "sdp_syntax", status: 400},
		{name: "port is no number", sdp: head + "m=audio x RTP/AVP 0\n", cause: "sdp_syntax", status: 400},
		{name: "port too large", sdp: head + "m=audio 65536 RTP/AVP 0\n", cause: "sdp_syntax", status: 400},
		{name: "port negative", sdp: head + "m=audio -1 RTP/AVP 0\n", cause: "sdp_syntax", status: 400},
		{name: "no format", sdp: head + "m=audio 4000 RTP/AVP\n", cause: "sdp_syntax", status: 400},
		{name: "a=rtcp is no number", sdp: head + "m=audio 4000 RTP/AVP 0\na=rtcp:x\n", cause: "sdp_syntax", status: 400},
		{name: "session line in a medium", sdp: head + "m=audio 4000 RTP/AVP 0\ns=-\n", cause: "sdp_syntax", status: 400},
		{name: "no c=", sdp: strings.Replace(head, "c=IN IP4 10.9.9.9\n", "", 1) + "m=audio 4000 RTP/AVP 0\n", cause: "sdp_no_connection", status: 400},
		{name: "two c=", sdp: head + "c=IN IP4 10.9.9.9\n", cause: "sdp_syntax", status: 400},
		{name: "c= of another network", sdp: strings.Replace(head, "c=IN", "c=ATM", 1), cause: "sdp_syntax", status: 400},
		{name: "c= of no family", sdp: strings.Replace(head, "c=IN IP4", "c=IN IP5", 1), cause: "sdp_syntax", status: 400},
		{name: "c= with a host name", sdp: strings.Replace(head, "c=IN IP4 10.9.9.9", "c=IN IP4 pbx.example", 1), cause: "sdp_address", status: 488},
		{name: "c= with a bad address", sdp: strings.Replace(head, "c=IN IP4 10.9.9.9", "c=IN IP4 10.9.9.999", 1), cause: "sdp_address", status: 488},
		{name: "multicast", sdp: strings.Replace(head, "c=IN IP4 10.9.9.9", "c=IN IP4 224.2.1.1/127", 1), cause: "sdp_address", status: 488},
		{name: "broadcast", sdp: strings.Replace(head, "c=IN IP4 10.9.9.9", "c=IN IP4 255.255.255.255", 1), cause: "sdp_address", status: 488},
		{name: "IPv4 said to be IPv6", sdp: strings.Replace(head, "c=IN IP4", "c=IN IP6", 1), cause: "sdp_address", status: 488},
		{name: "17 lines", sdp: head + strings.Repeat("m=audio 4000 RTP/AVP 0\n", 17), cause: "sdp_too_many_streams", status: 488},
		{name: "only TCP", sdp: head + "m=message 4000 TCP/MSRP *\n", cause: "sdp_no_usable_media", status: 488},

		{name: "no media at all", sdp: head},
		{name: "only disabled media, no c=", sdp: "v=0\no=- 1 1 IN IP4 10.9.9.9\ns=-\nt=0 0\nm=audio 0 RTP/AVP 0\n"},
		{name: "no s= and no t=", sdp: "v=0\no=- 1 1 IN IP4 10.9.9.9\nc=IN IP4 10.9.9.9\nm=audio 4000 RTP/AVP 0\n"},
		{name: "a= before t=", sdp: "v=0\no=- 1 1 IN IP4 10.9.9.9\ns=-\nc=IN IP4 10.9.9.9\na=x:y\nt=0 0\nm=audio 4000 RTP/AVP 0\n"},
		{name: "o= with words and huge numbers", sdp: strings.Replace(head, "o=- 1 1", "o=x y 99999999999999999999999", 1) + "m=audio 4000 RTP/AVP 0\n"},
		{name: "o= with a host name", sdp: strings.Replace(head, "1 IN IP4 10.9.9.9", "1 IN IP4 pbx", 1) + "m=audio 4000 RTP/AVP 0\n"},
		{name: "empty lines at the end", sdp: head + "m=audio 4000 RTP/AVP 0\n\n\n"},
		{name: "no line end at the end", sdp: head + "m=audio 4000 RTP/AVP 0"},
		{name: "unknown bandwidth type", sdp: head + "m=audio 4000 RTP/AVP 0\nb=FOO:1\n"},
		{name: "unknown attributes", sdp: head + "m=audio 4000 RTP/AVP 0\na=\na=:\na=x:\na=rtpmap:\na=rtpmap:0\na=candidate\n"},
		{name: "16 lines", sdp: head + strings.Repeat("m=audio 4000 RTP/AVP 0\n", 16)},
	}
	for _, test := range tests {
		for _, ending := range []string{"\r\n", "\n"} {
			t.Run(fmt.Sprintf("%s/%q", test.name, ending), func(t *testing.T) {
				r := countedRelay(t)
				b := r.Bridge(loopback, loopback)
				out, err := b.Offer(Caller, []byte(strings.ReplaceAll(test.sdp, "\n", ending)), []byte("kept"))
				if test.cause == "" {
					if err != nil {
						t.Fatalf("refused: %v", err)
					}
					if again := new(description); describe(out[len("kept"):], again) != nil {
						t.Errorf("we do not understand what we send ourselves:\n%s", out)
					}
					return
				}
				refusal, ok := errors.AsType[*Error](err)
				if !ok || refusal.Status != test.status || refusal.Cause != test.cause {
					t.Errorf("error is %v, want %d %s", err, test.status, test.cause)
				}
				if string(out) != "kept" {
					t.Errorf("dst is %q", out)
				}
				if inUse, _ := r.Ports(); inUse != 0 {
					t.Errorf("%d ports are taken", inUse)
				}
			})
		}
	}
}

// An answer that is none to the offer ends with 488, one without an offer with 500.
func TestAnswersThatDoNotFit(t *testing.T) {
	tests := []struct{ name, offer, answer, cause string }{
		{"no lines", "m=audio 4000 RTP/AVP 0\n", "", "sdp_answer_mismatch"},
		{"another medium", "m=audio 4000 RTP/AVP 0\n", "m=video 5000 RTP/AVP 96\n", "sdp_answer_mismatch"},
		{"a transport we cannot carry", "m=audio 4000 RTP/AVP 0\n", "m=audio 5000 TCP/RTP/AVP 0\n", "sdp_answer_mismatch"},
		{"no offer", "", "m=audio 5000 RTP/AVP 0\n", "answer_without_offer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := countedRelay(t).Bridge(loopback, loopback)
			if test.offer != "" {
				mustOffer(t, b, Caller, body(test.offer))
			}
			_, err := b.Answer(Callee, body(test.answer), nil)
			if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Cause != test.cause {
				t.Errorf("error is %v, want %s", err, test.cause)
			}
		})
	}
	b := countedRelay(t).Bridge(loopback, loopback)
	mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\n"))
	if _, err := b.Answer(Caller, body("m=audio 4000 RTP/AVP 0\n"), nil); err != errNoOffer {
		t.Errorf("answering one's own offer: %v", err)
	}
}

// A wildcard address can be bound but not shown.
func TestWildcardNeedsAnAddressToShow(t *testing.T) {
	any4 := netip.IPv4Unspecified()
	r := newRelay(t, Options{Engine: EngineNone})
	if _, err := r.Bridge(any4, any4).Offer(Caller, body("m=audio 4000 RTP/AVP 0\n"), nil); err != errNoLocal {
		t.Errorf("error is %v", err)
	}
	r = newRelay(t, Options{Engine: EngineNone, Advertise: map[netip.Addr]netip.Addr{any4: netip.MustParseAddr("203.0.113.7")}})
	if got := mustOffer(t, r.Bridge(any4, any4), Caller, body("m=audio 4000 RTP/AVP 0\n")); !strings.Contains(got, "c=IN IP4 203.0.113.7\n") {
		t.Errorf("shows\n%s", got)
	}
}

// FuzzOffer feeds any bytes as offer and as answer. Neither may panic; what comes out must be whole, show no address
// but ours in c= and o=, and be SDP to another parser if what came in was.
func FuzzOffer(f *testing.F) {
	f.Add(body("m=audio 4000 RTP/AVP 0\n"), body("m=audio 5000 RTP/AVP 0\n"))
	f.Add([]byte(carrierSDP), []byte(carrierSDP))
	files, _ := filepath.Glob("testdata/sdp/*.sdp")
	for _, file := range files {
		sample, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sample, sample)
	}
	f.Fuzz(func(t *testing.T, offer, answer []byte) {
		negotiateWithPolicies(t, offer, answer)
		r := newRelay(t, Options{Engine: EngineNone, PortLow: 20000, PortHigh: 20063})
		b := r.Bridge(loopback, netip.MustParseAddr("2001:db8::1"))
		defer b.Close()
		out, err := b.Offer(Caller, offer, nil)
		if err != nil {
			return
		}
		checkOutput(t, out, "IP6 2001:db8::1", offer)
		if again, err := b.Offer(Caller, offer, nil); err != nil || !bytes.Equal(out, again) {
			t.Errorf("the same offer again: %v\n%s\nfirst\n%s", err, again, out)
		}
		back, err := b.Answer(Callee, answer, nil)
		if err != nil {
			return
		}
		checkOutput(t, back, "IP4 127.0.0.1", offer, answer)
		if offered, answered := len(portsIn(out)), len(portsIn(back)); offered != answered {
			t.Errorf("%d lines offered, %d answered:\n%s\n%s", offered, answered, out, back)
		}
		b.Close()
		if inUse, _ := r.Ports(); inUse != 0 {
			t.Errorf("%d ports are left", inUse)
		}
	})
}

// negotiateWithPolicies does it under each protection and a list of codecs: what we send must be something we understand.
func negotiateWithPolicies(t *testing.T, offer, answer []byte) {
	for _, protection := range [...]SRTP{SRTPPass, SRTPOff, SRTPSDES} {
		b := newRelay(t, Options{Engine: EngineNone, PortLow: 20000, PortHigh: 20063}).Bridge(loopback, loopback)
		b.Peer(Callee, Terms{SRTP: protection, Codecs: Codecs{"PCMA", "PCMU", "opus"}})
		out, err := b.Offer(Caller, offer, nil)
		if err == nil {
			checkOutput(t, out, "IP4 127.0.0.1", offer)
			if out, err = b.Answer(Callee, answer, nil); err == nil {
				checkOutput(t, out, "IP4 127.0.0.1", offer, answer)
				if out, err = b.Offer(Callee, answer, nil); err == nil {
					checkOutput(t, out, "IP4 127.0.0.1", answer)
				}
			}
		}
		b.Close()
	}
}

// checkOutput looks at what we made of the inputs; lines of each may be in it.
func checkOutput(t *testing.T, out []byte, ours string, inputs ...[]byte) {
	t.Helper()
	var d description
	if err := describe(out, &d); err != nil {
		t.Fatalf("we refuse what we send: %v\n%q", err, out)
	}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\r\n")
		held := line == "c=IN IP4 0.0.0.0" || line == "c=IN IP6 ::"
		if strings.HasPrefix(line, "c=") && line != "c=IN "+ours && !held || strings.HasPrefix(line, "o=") && !strings.HasSuffix(line, " IN "+ours) {
			t.Errorf("an address that is not ours: %q", line)
		}
	}
	var theirs, sent sdp.SessionDescription
	for _, in := range inputs {
		if theirs.UnmarshalString(string(in)) != nil {
			return
		}
	}
	if err := sent.UnmarshalString(string(out)); err != nil {
		t.Errorf("pion takes %q but not %q: %v", inputs, out, err)
	}
}

// Samples of what devices send pass the whole way, and the other parser agrees about their lines.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/sdp/*.sdp")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			sample, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b := countedRelay(t).Bridge(loopback, loopback)
			defer b.Close()
			out, err := b.Offer(Caller, sample, nil)
			if err != nil {
				t.Fatal(err)
			}
			var d description
			if err := describe(sample, &d); err != nil {
				t.Fatal(err)
			}
			for _, secret := range append(hosts(sample), string(d.origin)) {
				if secret != "" && secret != "0.0.0.0" && bytes.Contains(out, []byte(secret)) {
					t.Errorf("%s shows in\n%s", secret, out)
				}
			}
			var sent sdp.SessionDescription
			if err := sent.UnmarshalString(string(out)); err != nil && !bytes.Contains(out, []byte("m=image")) {
				t.Errorf("pion: %v", err) // it does not know T.38
			}
		})
	}
}

// hosts returns the addresses of the c= lines.
func hosts(sample []byte) (found []string) {
	for line := range strings.Lines(string(sample)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "c=IN "); ok {
			found = append(found, strings.Fields(rest)[1])
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// SDP-07, SDP-10: what devices and carriers write is understood as they mean it: bare LF, blanks at the end of lines, small letters
// in c=, c= in each medium only, a line of port 0, ICE and BUNDLE, digits at another clock, attributes of nobody's RFC.
func TestOddDescriptionsAreUnderstood(t *testing.T) {
	const odd = "v=0 \n" +
		"o=carrier 1 1 IN IP4 198.51.100.7 \n" +
		"s= \n" +
		"t=0 0 \n" +
		"a=group:BUNDLE 0 1 \n" +
		"a=ice-lite \n" +
		"a=x-vendor: what ever \t \n" +
		"m=audio 4000 RTP/AVP 0 97 98 \n" +
		"c=in ip4 198.51.100.7 \n" +
		"a=mid:0 \n" +
		"a=rtpmap:97 telephone-event/16000 \n" +
		"a=rtpmap:98 telephone-event/8000 \n" +
		"a=fmtp:98 0-15 \n" +
		"a=ptime:20 \n" +
		"a=maxptime:40 \n" +
		"a=rtcp-mux \n" +
		"a=ice-ufrag:abcd \n" +
		"a=candidate:1 1 UDP 2130706431 198.51.100.7 4000 typ host \n" +
		"a=inactive \t\n" +
		"m=video 0 RTP/AVP 96 \n" +
		"c=IN IP4 198.51.100.7 \n"
	r := newRelay(t, Options{})
	b := r.Bridge(loopback, loopback)
	t.Cleanup(b.Close)
	offer, err := b.Offer(Caller, []byte(odd), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\r\ns=-\r\n", " RTP/AVP 0 97 98\r\n", "\r\na=inactive\r\n", "\r\na=rtcp-mux\r\n", "\r\na=rtpmap:97 telephone-event/16000\r\n",
		"\r\na=rtpmap:98 telephone-event/8000\r\n", "\r\na=fmtp:98 0-15\r\n", "\r\na=ptime:20\r\n", "\r\na=maxptime:40\r\n", "\r\na=x-vendor: what ever\r\n", "\r\nm=video 0 RTP/AVP 96\r\n"} {
		if !strings.Contains(string(offer), want) {
			t.Errorf("the callee is not shown %q in\n%s", want, offer)
		}
	}
	for _, hidden := range []string{"198.51.100.7", "candidate", "ice-", "BUNDLE"} {
		if strings.Contains(string(offer), hidden) {
			t.Errorf("the callee is shown %q in\n%s", hidden, offer)
		}
	}
	answer, err := b.Answer(Callee, []byte("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5000 RTP/AVP 0 98\na=rtpmap:98 telephone-event/8000\na=inactive\nm=video 0 RTP/AVP 96\n"), nil)
	if err != nil || strings.Contains(string(answer), "rtcp-mux") {
		t.Errorf("the answer is %v\n%s", err, answer)
	}
	for _, side := range []Side{Caller, Callee} {
		if _, expected := b.Heard(side); expected {
			t.Errorf("media is expected of the %v, although the stream is inactive", side)
		}
	}
}
