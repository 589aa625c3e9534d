package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
)

func TestScan(t *testing.T) {
	for _, row := range []struct {
		name, want string
		bytes      []byte
	}{
		{"request", "request OPTIONS branch=z9hG4bK776asdhds by=192.0.2.4:5060 callid=987asjd97y7atg from=88sja8x to= cseq=7 OPTIONS", edited(options)},
		{"response", "200 OPTIONS branch=z9hG4bK776asdhds by=192.0.2.4:5060 callid=987asjd97y7atg from=88sja8x to=77 cseq=7 OPTIONS", edited(ok200)},
		{"folding, blanks, compact names", "request OPTIONS branch=z9hG4bK1 by=h : 5060 callid=x from=1 to=2 cseq=9 OPTIONS",
			crlfLines("OPTIONS sip:x SIP/2.0", "v : SIP / 2.0\r\n / UDP h : 5060 ; branch\r\n = z9hG4bK1", "F:\r\n \"a>\\\";tag=no\" <sip:a;tag=no@b;tag=no> ; TAG = 1", "t: sip:a@b;tag=2", "i:x", "cseq: 0009\r\n OPTIONS", "")},
		{"the first of two counts", "request OPTIONS branch=z9hG4bK776asdhds by=192.0.2.4:5060 callid=987asjd97y7atg from=88sja8x to= cseq=7 OPTIONS", edited(options, "+Call-ID: no", "+From: <sip:x@y>;tag=no")},
		{"what is missing stays empty", "request FOO branch= by= callid= from= to= cseq=0 UNKNOWN", []byte("FOO sip:x SIP/2.0\r\n\r\n")},
		{"SIP in another version", "request OPTIONS branch=z9hG4bK776asdhds by=192.0.2.4:5060 callid=987asjd97y7atg from=88sja8x to= cseq=7 OPTIONS", edited(options, ">OPTIONS sip:x SIP/7.0")},
		{"blanks behind the version", "request OPTIONS branch=z9hG4bK776asdhds by=192.0.2.4:5060 callid=987asjd97y7atg from=88sja8x to= cseq=7 OPTIONS", edited(options, ">OPTIONS sip:x SIP/2.0  ")},
		{"HTTP", "not SIP", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"keep-alive", "not SIP", []byte("\r\n\r\n")},
		{"NULs", "not SIP", make([]byte, 20)},
		{"no line break", "not SIP", []byte("OPTIONS sip:x SIP/2.0")},
		{"nothing", "not SIP", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			var e Envelope
			got := "not SIP"
			if Scan(row.bytes, &e) {
				kind := "request"
				if !e.Request {
					kind = fmt.Sprint(e.Status)
				}
				method := e.Method.String()
				if e.Method == Unknown {
					method = "FOO"
				}
				got = fmt.Sprintf("%s %s branch=%s by=%s callid=%s from=%s to=%s cseq=%d %s", kind, method, e.Branch, e.SentBy, e.CallID, e.FromTag, e.ToTag, e.CSeq, e.CSeqMethod)
			}
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// agree checks that Scan and Parse read an accepted message alike. before are its bytes as they were before Parse
// undid the folding.
func agree(t testing.TB, before []byte, m *Message) {
	t.Helper()
	var e Envelope
	if !Scan(before, &e) {
		t.Fatalf("Parse accepts what Scan does not take for SIP:\n%q", before)
	}
	for _, f := range []struct {
		name             string
		scanned, indexed any
	}{
		{"kind", e.Request, m.IsRequest()}, {"method", e.Method, m.Method}, {"status", e.Status, m.Status},
		{"branch", string(e.Branch), string(m.Via.Branch)}, {"sent-by", unfolded(e.SentBy), string(m.Via.SentBy())},
		{"Call-ID", string(e.CallID), string(m.CallID)}, {"From tag", string(e.FromTag), string(m.From.Tag)},
		{"To tag", string(e.ToTag), string(m.To.Tag)}, {"CSeq", e.CSeq, m.CSeq}, {"CSeq method", e.CSeqMethod, m.CSeqMethod},
	} {
		if f.scanned != f.indexed {
			t.Errorf("%s: Scan has %v, Parse %v\n%q", f.name, f.scanned, f.indexed, before)
		}
	}
}

func unfolded(b []byte) string {
	return string(bytes.ReplaceAll(b, crlf, []byte("  ")))
}

func TestScanAgreesWithParse(t *testing.T) {
	for _, b := range corpus(t) {
		m := Message{ManyVias: true}
		if m.Parse(bytes.Clone(b)) == nil {
			agree(t, b, &m)
		}
	}
}

func TestScanAllocatesNothing(t *testing.T) {
	var e Envelope
	if n := testing.AllocsPerRun(100, func() { Scan(carrierINVITE, &e); Scan(small200, &e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// checkKind: what we answer to m, and the request line we would write for it, are counted as what they are.
func checkKind(t *testing.T, m *Message) {
	t.Helper()
	if !m.IsRequest() {
		return
	}
	response := AppendBody(AppendResponse(nil, m, 486, "", nil, netip.AddrPort{}), "", nil)
	if method, status, ok := KindOf(response); !ok || method != m.Method || status != 486 {
		t.Errorf("a response counts as %s, %d, %v:\n%s", method, status, ok, response)
	}
	request := AppendRequestLine(nil, string(m.MethodName), m.URI)
	if method, status, ok := KindOf(request); !ok || method != m.Method || status != 0 {
		t.Errorf("a request counts as %s, %d, %v:\n%s", method, status, ok, request)
	}
}

func TestKindOfWhatWeWrite(t *testing.T) {
	for _, b := range corpus(t) {
		var m Message
		if m.Parse(bytes.Clone(b)) == nil {
			checkKind(t, &m)
		}
	}
	for _, bad := range []string{"", "INVITE", "SIP/2.0", "SIP/2.0 200 OK\r\n\r\n", "SIP/2.0 2x0 OK\r\nCSeq: 1 BYE\r\n\r\n", "\r\nCSeq: 1 BYE\r\n"} {
		if method, status, ok := KindOf([]byte(bad)); ok && status != 0 {
			t.Errorf("%q counts as %s, %d", bad, method, status)
		}
	}
}
