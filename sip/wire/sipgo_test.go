package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// view is what two readers of a message must agree on.
type view struct {
	method, uri, callID, fromURI, fromTag, toURI, toTag, branch, sentBy, cseqMethod string
	cseq                                                                            uint32
	status, port, contacts, vias                                                    int
	body                                                                            string
}

func ourView(m *Message) view {
	v := view{
		uri: string(m.URI), callID: string(m.CallID), fromURI: string(m.From.URI), fromTag: string(m.From.Tag),
		toURI: string(m.To.URI), toTag: string(m.To.Tag), branch: string(m.Via.Branch), sentBy: strings.Trim(string(m.Via.Host), "[]"),
		cseq: m.CSeq, status: m.Status, port: m.Via.Port, body: string(m.Body),
	}
	cseq := m.Get(HCSeq)
	v.cseqMethod = string(trim(cseq[len(leadingDecimal(cseq)):]))
	if m.IsRequest() {
		v.method = string(m.MethodName)
	}
	for range m.Values(HContact) {
		v.contacts++
	}
	for range m.Values(HVia) {
		v.vias++
	}
	return v
}

// sipgoView reads the same out of sipgo's message.
func sipgoView(msg sip.Message) view {
	v := view{
		callID: msg.CallID().Value(), fromURI: msg.From().Address.String(), toURI: msg.To().Address.String(),
		sentBy: strings.Trim(msg.Via().Host, "[]"), port: msg.Via().Port, cseq: msg.CSeq().SeqNo, cseqMethod: string(msg.CSeq().MethodName),
		contacts: len(msg.GetHeaders("Contact")), vias: len(msg.GetHeaders("Via")), body: string(msg.Body()),
	}
	v.fromTag, _ = msg.From().Params.Get("tag")
	v.toTag, _ = msg.To().Params.Get("tag")
	v.branch, _ = msg.Via().Params.Get("branch")
	switch msg := msg.(type) {
	case *sip.Request:
		v.method, v.uri = string(msg.Method), msg.Recipient.String()
	case *sip.Response:
		v.status = msg.StatusCode
	}
	return v
}

func sipgoMessageOf(t testing.TB, m *Message) sip.Message {
	t.Helper()
	if m.IsRequest() {
		req, err := m.SipgoRequest()
		if err != nil {
			t.Fatalf("%v\n%s", err, m.Bytes)
		}
		return req
	}
	res, err := m.SipgoResponse()
	if err != nil {
		t.Fatalf("%v\n%s", err, m.Bytes)
	}
	return res
}

// rewritten undoes what sipgo changes when it writes a URI: scheme in lower case, no empty parameters or values.
func rewritten(t testing.TB, v view) view {
	for _, uri := range []*string{&v.uri, &v.fromURI, &v.toURI} {
		if *uri != "" {
			u, err := sipgoURI([]byte(*uri))
			if err != nil {
				t.Fatal(err)
			}
			*uri = u.String()
		}
	}
	return v
}

// Every message we accept reads the same through sipgo's types.
func TestSipgoAgrees(t *testing.T) {
	for _, b := range corpus(t) {
		m := Message{ManyVias: true}
		if m.Parse(bytes.Clone(b)) != nil || bytes.HasPrefix(m.URI, []byte("soap.beep:")) {
			continue
		}
		if ours, theirs := rewritten(t, ourView(&m)), sipgoView(sipgoMessageOf(t, &m)); ours != theirs {
			t.Errorf("%s\nours   %+v\nsipgo's %+v", b, ours, theirs)
		}
	}
}

// Where sipgo's own parser has no trap, it and ours read the very same bytes alike: messages of everyday shape, and
// whatever our writer puts out.
func TestSipgoParserAgrees(t *testing.T) {
	response := AppendBody(AppendResponse(nil, parsed(t, carrierINVITE), 183, "", []byte("us"), addrPort("192.0.2.41:5060")), "application/sdp", []byte("v=0\r\n"))
	for _, b := range [][]byte{
		carrierINVITE, small200, response, edited(options), edited(ok200),
		edited(options, "Via: SIP/2.0/UDP [2001:db8::3]:5060;branch=z9hG4bK1", ">OPTIONS sip:a@[2001:db8::1]:5061 SIP/2.0"),
		edited(options, `From: "A, B" <sip:+1%2B@b;user=phone>;tag=1`, "+Contact: <sip:a@b>, <sip:c@d>"),
		torture(t, "esc01"), torture(t, "escnull"), torture(t, "semiuri"), torture(t, "transports"), torture(t, "lwsdisp"),
	} {
		msg, err := sip.ParseMessage(bytes.Clone(b))
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if ours, theirs := rewritten(t, ourView(parsed(t, b))), sipgoView(msg); ours != theirs {
			t.Errorf("%s\nours    %+v\nsipgo's %+v", b, ours, theirs)
		}
	}
}

// What sipgo's parser loses is there in the types we build.
func TestSipgoTypes(t *testing.T) {
	req, err := parsed(t, edited(options, ">Options sip:a@b;LR SIP/2.0", "CSeq: 1   Options",
		"Via: SIP / 2.0 / UDP h : 5060 ; x = \"a;b\" ; Branch = z9hG4bK1 ; rport, SIP/2.0/TCP i", "From: A <sip:a@b> ; TAG = abc==",
		"+r: <sip:x@y>", "+b: <sip:z@y>", "+m: <sip:a@b>;expires=1, <sip:c@d>", "+Record-Route: sip:p;lr", "+Route: <sip:q;lr>", "+k: timer", "+X-Own: 1")).SipgoRequest()
	if err != nil {
		t.Fatal(err)
	}
	branch, _ := req.Via().Params.Get("branch")
	quoted, _ := req.Via().Params.Get("x")
	tag, _ := req.From().Params.Get("tag")
	for _, row := range [][2]string{
		{string(req.Method), "Options"}, {req.Via().Transport, "UDP"}, {req.Via().Host, "h"}, {branch, "z9hG4bK1"}, {quoted, `"a;b"`}, {tag, "abc=="},
		{req.ReferTo().Address.String(), "sip:x@y"}, {req.ReferredBy().Address.String(), "sip:z@y"}, {req.GetHeaders("Contact")[0].Value(), "<sip:a@b>;expires=1"},
		{req.RecordRoute().Address.String(), "sip:p;lr"}, {req.Route().Address.String(), "sip:q;lr"}, {req.GetHeader("Supported").Value(), "timer"}, {req.GetHeader("x-own").Value(), "1"},
		{string(req.CSeq().MethodName), "Options"}, {req.Recipient.String(), "sip:a@b;LR"},
	} {
		if row[0] != row[1] {
			t.Errorf("got %q, want %q", row[0], row[1])
		}
	}
	if len(req.GetHeaders("Via")) != 2 || len(req.GetHeaders("Contact")) != 2 {
		t.Errorf("lists are not split: %v", req.Headers())
	}
	if again := parsed(t, []byte(req.String())); string(again.From.Tag) != "abc==" || string(again.Via.Branch) != "z9hG4bK1" {
		t.Errorf("written by sipgo it does not read the same:\n%s", req)
	}
}

// A response keeps what a request must not have: a broken Contact comes as a generic header.
func TestSipgoBrokenHeader(t *testing.T) {
	res, err := parsed(t, edited(ok200, "+Contact: <sip:a@b", "+Record-Route: <sip:p", "+Max-Forwards: x")).SipgoResponse()
	if err != nil || res.StatusCode != 200 || res.GetHeader("Contact").Value() != "<sip:a@b" || res.GetHeader("Max-Forwards").Value() != "x" {
		t.Errorf("%v %v", res, err)
	}
}

// sipgo takes letters only in a scheme; the error is its own.
func TestSipgoScheme(t *testing.T) {
	if req, err := parsed(t, torture(t, "novelsc")).SipgoRequest(); err == nil || req != nil {
		t.Errorf("%v", req)
	}
}

func TestSipgoKinds(t *testing.T) {
	if _, err := parsed(t, edited(ok200)).SipgoRequest(); !errors.Is(err, ErrKind) {
		t.Error(err)
	}
	if _, err := parsed(t, edited(options)).SipgoResponse(); !errors.Is(err, ErrKind) {
		t.Error(err)
	}
}
