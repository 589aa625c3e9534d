package sip

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/sip/transport"
)

func TestLadderNamesWhatIsAnswered(t *testing.T) {
	app, carrier := netip.MustParseAddrPort("127.0.0.3:5080"), netip.MustParseAddrPort("127.0.0.2:5070")
	names := map[netip.AddrPort]string{app: "app", carrier: "carrier"}
	start := time.Unix(0, 0)
	message := func(ms int, with netip.AddrPort, sent bool, text string) Traced {
		return Traced{At: start.Add(time.Duration(ms) * time.Millisecond), Sent: sent, Flow: transport.Flow{Remote: with}, Bytes: []byte(text)}
	}
	const fields = "\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: 1\r\nCSeq: 1 "
	got := Ladder([]Traced{
		message(0, app, false, "INVITE sip:+14155550100@edge SIP/2.0"+fields+"INVITE\r\n\r\n"),
		message(1, carrier, true, "INVITE sip:+14155550100@carrier.example SIP/2.0"+fields+"INVITE\r\n\r\n"),
		message(2, carrier, false, "SIP/2.0 407 Proxy Authentication Required"+fields+"INVITE\r\n\r\n"),
		message(3, app, true, "SIP/2.0 200 OK"+fields+"BYE\r\n\r\n"),
		message(4, netip.MustParseAddrPort("192.0.2.1:5060"), false, "SIP/2.0 garbage"),
	}, func(a netip.AddrPort) string { return names[a] })
	for _, want := range []string{"seconds app", "- INVITE sip:+14155550100@edge --", "- INVITE sip:+14155550100@carrier.example --",
		"<- 407 Proxy Authentication Required (INVITE) -", "<- 200 OK (BYE) --", "192.0.2.1:5060", "garbage"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "SIP/2.0") {
		t.Errorf("the version says nothing:\n%s", got)
	}
}
