package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// fields prints everything a second reading of an accepted message must find again.
func fields(m *Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %q %s via %s %s %d %s from %s %s %s to %s %s %s callid %s cseq %d %s", m.MethodName, m.Status, m.Reason, m.URI,
		m.Via.Transport, m.Via.Host, m.Via.Port, m.Via.Branch, m.From.Display, m.From.URI, m.From.Tag, m.To.Display, m.To.URI, m.To.Tag, m.CallID, m.CSeq, m.CSeqMethod)
	for _, h := range m.Headers {
		if h.ID == HContentLength {
			continue
		}
		name := h.ID.String()
		if h.ID == HOther {
			name = string(h.Name)
		}
		fmt.Fprintf(&b, "\n%s: %s", name, h.Value)
	}
	fmt.Fprintf(&b, "\n\n%s", m.Body)
	return b.String()
}

// written writes an accepted message again, header by header.
func written(m *Message) []byte {
	var b []byte
	if m.IsRequest() {
		b = AppendRequestLine(b, string(m.MethodName), m.URI)
	} else {
		b = AppendStatusLine(b, m.Status, string(m.Reason))
	}
	for _, h := range m.Headers {
		switch h.ID {
		case HContentLength:
		case HOther:
			b = AppendHeader(b, string(h.Name), h.Value)
		default:
			b = AppendHeader(b, h.ID.String(), h.Value)
		}
	}
	return AppendBody(b, "", m.Body)
}

// checkMessage parses b and checks what holds for any bytes at all.
func checkMessage(t testing.TB, b []byte) {
	before := bytes.Clone(b)
	m := Message{ManyVias: true}
	err := m.Parse(b)
	for _, h := range m.Headers {
		if bytes.ContainsAny(h.Value, "\r\n\x00") || bytes.ContainsAny(h.Name, "\r\n\x00: ") {
			t.Fatalf("%q: %q carries a line break or NUL\n%q", h.Name, h.Value, before)
		}
	}
	if err != nil {
		e, ok := err.(*Error)
		if !ok || e.Cause == "" {
			t.Fatalf("unknown error %v", err)
		}
		if e.Status == 0 {
			return
		}
		if !m.IsRequest() || m.Method == ACK || len(m.Via.Host) == 0 {
			t.Fatalf("%s must not be answered\n%q", e.Cause, before)
		}
		checkResponse(t, &m, e.Status, e.Reason)
		return
	}
	agree(t, before, &m)
	first := fields(&m)
	if m.Reason != nil && len(m.Reason) == 0 {
		m.Reason = []byte(ReasonPhrase(m.Status))
		first = fields(&m)
	}
	again := Message{ManyVias: true}
	out := written(&m)
	if err := again.Parse(out); err != nil {
		t.Fatalf("written again it is refused: %v\n%q\n%q", err, before, out)
	}
	if second := fields(&again); first != second {
		t.Fatalf("written again it reads differently\n%s\n\n%s", first, second)
	}
	if m.IsRequest() {
		checkResponse(t, &m, 486, "")
	}
}

// checkResponse checks the response to a message: no line of it can have been injected.
func checkResponse(t testing.TB, m *Message, status int, reason string) {
	out := AppendBody(AppendResponse(nil, m, status, reason, []byte("us"), addrPort("[2001:db8::1]:5062")), "", nil)
	for line := range bytes.SplitSeq(out, crlf) {
		if bytes.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("line %q", line)
		}
	}
	if m.failed == failNone {
		res := Message{ManyVias: true}
		if err := res.Parse(out); err != nil {
			t.Fatalf("our response is refused: %v\n%s", err, out)
		}
		if !bytes.Equal(res.CallID, m.CallID) || !bytes.Equal(res.From.Tag, m.From.Tag) || !bytes.Equal(res.Via.Branch, m.Via.Branch) || res.CSeq != m.CSeq {
			t.Fatalf("our response is not to the request\n%s", out)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range corpus(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkMessage(t, b)
		KindOf(b)
		var m Message
		if m.Parse(b) == nil {
			checkKind(t, &m) // readers of single headers take anything
			m.RAck()
			m.Reliable()
			m.SessionExpires()
			m.Replaces()
			if a, err := ParseAddress(m.Get(HReferTo)); err == nil {
				if u, err := ParseURI(a.URI); err == nil {
					ReplacesInURI(u)
				}
			}
		}
	})
}

func FuzzScan(f *testing.F) {
	for _, b := range corpus(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Envelope
		before := bytes.Clone(b)
		if !Scan(b, &e) && (e.Branch != nil || e.CallID != nil) {
			t.Error("an envelope of what is not SIP")
		}
		if !bytes.Equal(b, before) {
			t.Error("Scan writes")
		}
		m := Message{ManyVias: true}
		if m.Parse(b) == nil {
			agree(t, before, &m)
		}
	})
}

func FuzzSipgo(f *testing.F) {
	for _, b := range corpus(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := Message{ManyVias: true}
		if m.Parse(b) != nil {
			return
		}
		for _, uri := range [][]byte{m.URI, m.From.URI, m.To.URI} {
			if uri != nil {
				if _, err := sipgoURI(uri); err != nil {
					return
				}
			}
		}
		if ours, theirs := rewritten(t, ourView(&m)), sipgoView(sipgoMessageOf(t, &m)); ours != theirs {
			t.Errorf("%q\nours    %+v\nsipgo's %+v", b, ours, theirs)
		}
	})
}

func FuzzURI(f *testing.F) {
	for _, uri := range []string{"sip:a@b", "sips:+1%2B;x=1:pw@[2001:db8::1]:5061;lr;transport=tls?a=b&c=d", "tel:+1;phone-context=x", "urn:service:sos", "sip:h?x=a@b", "sip:a:b:c@d;;"} {
		f.Add([]byte(uri))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := ParseURI(b)
		if err != nil {
			return
		}
		if bytes.ContainsAny(b, "\r\n\x00 <>\"") {
			t.Fatalf("%q passed", b)
		}
		u.Param("x")
		HostAddr(u.Host)
		if !u.IsSIP() {
			return
		}
		// The parts put together again are the URI.
		out := append(append([]byte(nil), u.Scheme...), ':')
		if u.User != nil {
			out = append(out, u.User...)
			if u.Password != nil {
				out = append(append(out, ':'), u.Password...)
			}
			out = append(out, '@')
		}
		out = append(out, u.Host...)
		rest, ok := bytes.CutPrefix(b, out)
		if !ok {
			t.Fatalf("%q begins %q", b, out)
		}
		if u.Port > 0 {
			rest = bytes.TrimLeft(rest, ":0123456789")
		}
		if want := string(u.Params) + string(u.Headers); string(rest) != want {
			t.Fatalf("%q ends %q, not %q", b, rest, want)
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, address := range []string{`"A \"B\"" <sip:a;x=1@b;lr?h=i>;tag=1;x="y;z"`, "Müller <sip:a@b>", "sip:a@b;tag=1", "<tel:+1>", "<sip:p>;lr", "sip:p;lr"} {
		f.Add([]byte(address))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// Values of a message hold no control character; Parse has seen to it.
		if nextControl(b, 0) < len(b) {
			return
		}
		ParseVia(b)
		if r, err := ParseRoute(b); err == nil {
			if _, err := ParseURI(r.URI); err != nil {
				t.Fatalf("%q has the bad URI %q", b, r.URI)
			}
		}
		for range SplitList(b) {
		}
		a, err := ParseAddress(b)
		if err != nil {
			return
		}
		if _, err := ParseURI(a.URI); err != nil {
			t.Fatalf("%q has the bad URI %q", b, a.URI)
		}
		again, err := ParseAddress(append(AppendNameAddr(nil, a.Display, a.URI), a.Params...))
		if err != nil || !bytes.Equal(a.Display, again.Display) || !bytes.Equal(a.URI, again.URI) || !bytes.Equal(a.Tag, again.Tag) {
			t.Fatalf("%q written again reads %q, %v", b, again, err)
		}
		if tag, ok := a.Param("tag"); ok != (a.Tag != nil) || !bytes.Equal(tag, a.Tag) {
			t.Fatalf("%q has tag %q or %q", b, a.Tag, tag)
		}
		// A list of it and another one is split between the two.
		n := 0
		for range SplitList(append(append([]byte(nil), b...), ", <sip:x@y>"...)) {
			n++
		}
		if n != 2 {
			t.Fatalf("a list with %q has %d elements", b, n)
		}
	})
}

func FuzzFramer(f *testing.F) {
	one, two := edited(options, "Content-Length: 4", "=abcd"), edited(ok200)
	for _, stream := range [][]byte{append(bytes.Clone(one), two...), []byte("\r\n\r\n\r\n" + string(one)), edited(options, "-Content-Length"), edited(options, "Content-Length:\r\n 3", "=abc")} {
		f.Add(stream, byte(1))
		f.Add(stream, byte(37))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size byte) {
		whole := frames(stream, max(1, len(stream)))
		if split := frames(stream, int(size)+1); fmt.Sprintf("%q", whole) != fmt.Sprintf("%q", split) {
			t.Fatalf("in pieces of %d: %q\nwhole: %q", int(size)+1, split, whole)
		}
		for _, message := range whole {
			if message == "ping" || message == "pong" || strings.HasPrefix(message, "error ") {
				continue
			}
			// The framer and Parse see the same body.
			var m Message
			b := []byte(message)
			if m.Parse(b) == nil && len(m.Bytes) != len(b) {
				t.Fatalf("Parse ends at %d of %d\n%q", len(m.Bytes), len(b), message)
			}
		}
	})
}

func FuzzSDP(f *testing.F) {
	f.Add([]byte("multipart/mixed;boundary=b"), []byte("--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n"))
	f.Add([]byte("application/sdp"), []byte("v=0\r\n"))
	f.Fuzz(func(t *testing.T, contentType, body []byte) {
		if sdp := SDP(contentType, body); !bytes.Contains(body, sdp) {
			t.Fatalf("%q is not in the body", sdp)
		}
	})
}
