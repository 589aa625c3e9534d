package admit

import (
	"strings"
	"testing"

	"trunkline/sip/wire"
)

const head = "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\nFrom: <sip:b@far>;tag=theirs\nTo: <sip:a@edge>\nCall-ID: c1\n"

func parse(t *testing.T, text string) *wire.Message {
	t.Helper()
	m := new(wire.Message)
	if err := m.Parse([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestInitial(t *testing.T) {
	invite := func(more string) string {
		return "INVITE sip:a@edge SIP/2.0\n" + head + "CSeq: 1 INVITE\n" + more + "\n"
	}
	const contact = "Contact: <sip:b@192.0.2.9>\n"
	const sdp = "Content-Type: application/sdp\nContent-Length: 3\n"
	for _, test := range []struct {
		name, text string
		status     int    // 0: taken
		header     string // of the response
	}{
		{"an INVITE with SDP is taken", invite(contact+sdp) + "v=0", 0, ""},
		{"an INVITE without an offer is taken", invite(contact), 0, ""},
		{"UAS-06 an INVITE needs a Contact", invite(""), 400, ""},
		{"UAS-03 no hops left", invite(contact + "Max-Forwards: 0\n"), 483, ""},
		{"one hop is enough", invite(contact + "Max-Forwards: 1\n"), 0, ""},
		{"UAS-05 extensions we lack", invite(contact + "Require: 100rel, foo\nRequire: bar\n"), 420, "Unsupported: foo, bar\r\n"},
		{"UAS-05 extensions we have", invite(contact + "Require: 100rel\n"), 0, ""},
		{"UAS-05 not for proxies", invite(contact + "Proxy-Require: 100rel\n"), 420, "Unsupported: 100rel\r\n"},
		{"UAS-05 Proxy-Require too", invite(contact + "Proxy-Require: foo\n"), 420, "Unsupported: foo\r\n"},
		{"UAS-02 a body of another type", invite(contact+"Content-Type: text/plain\nContent-Length: 3\n") + "abc", 415, "Accept: application/sdp\r\n"},
		{"UAS-02 an encoding we cannot read", invite(contact+sdp+"Content-Encoding: gzip\n") + "v=0", 415, "Accept-Encoding: identity\r\n"},
		{"multipart may hold SDP", invite(contact+"Content-Type: multipart/mixed;boundary=x\nContent-Length: 3\n") + "abc", 0, ""},
		{"UAS-02 a caller who cannot read SDP", invite(contact + "Accept: text/plain\n"), 406, ""},
		{"a caller who takes anything", invite(contact + "Accept: text/plain, */*\n"), 0, ""},
		{"PAR-06 a scheme we cannot route", "INVITE nobody:knows SIP/2.0\n" + head + "CSeq: 1 INVITE\n" + contact + "\n", 416, ""},
		{"a telephone number as a URI", "INVITE tel:+15550001234 SIP/2.0\n" + head + "CSeq: 1 INVITE\n" + contact + "\n", 0, ""},
		{"UAS-01 OPTIONS is a keep-alive", "OPTIONS sip:edge SIP/2.0\n" + head + "CSeq: 1 OPTIONS\n\n", 0, ""},
		{"a keep-alive may be on its last hop", "OPTIONS sip:edge SIP/2.0\n" + head + "CSeq: 1 OPTIONS\nMax-Forwards: 0\n\n", 0, ""},
		{"PAR-09 we are no registrar", "REGISTER sip:edge SIP/2.0\n" + head + "CSeq: 1 REGISTER\n\n", 405, "Allow: " + Allow + "\r\n"},
		{"PAR-09 methods are case-sensitive", "invite sip:edge SIP/2.0\n" + head + "CSeq: 1 invite\n\n", 501, "Allow: " + Allow + "\r\n"},
		{"a BYE without a dialog", "BYE sip:edge SIP/2.0\n" + head + "CSeq: 1 BYE\n\n", 481, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Initial(parse(t, test.text))
			switch {
			case r == nil && test.status == 0:
			case r == nil:
				t.Errorf("taken; want %d", test.status)
			case r.Status != test.status || r.Header != test.header:
				t.Errorf("got %d with %q, want %d with %q", r.Status, r.Header, test.status, test.header)
			}
		})
	}
}
