package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// options is a small good request that the tables below spoil or vary.
var options = []string{
	"OPTIONS sip:edge.example.com SIP/2.0",
	"Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK776asdhds",
	"Max-Forwards: 70",
	"From: <sip:alice@example.com>;tag=88sja8x",
	"To: <sip:edge.example.com>",
	"Call-ID: 987asjd97y7atg",
	"CSeq: 7 OPTIONS",
	"Content-Length: 0",
}

var ok200 = []string{
	"SIP/2.0 200 OK",
	"Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK776asdhds",
	"From: <sip:alice@example.com>;tag=88sja8x",
	"To: <sip:edge.example.com>;tag=77",
	"Call-ID: 987asjd97y7atg",
	"CSeq: 7 OPTIONS",
	"Content-Length: 0",
}

// edited returns the message with some lines changed: an edit replaces the line of the same header, "-Name" takes
// it away, "+line" adds one at the end, ">line" replaces the start line, "=text" is the body.
func edited(lines []string, edits ...string) []byte {
	lines = append([]string(nil), lines...)
	body := ""
	for _, edit := range edits {
		switch edit[0] {
		case '>':
			lines[0] = edit[1:]
			continue
		case '+':
			lines = append(lines, edit[1:])
			continue
		case '=':
			body = edit[1:]
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(edit, "-"), ":")
		found := false
		for i, line := range lines {
			if n, _, _ := strings.Cut(line, ":"); strings.EqualFold(n, strings.TrimSpace(name)) && i > 0 {
				lines[i] = edit
				if edit[0] == '-' {
					lines = append(lines[:i], lines[i+1:]...)
				}
				found = true
				break
			}
		}
		if !found {
			panic("no header " + name)
		}
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n" + body)
}

// describe prints the fields named in keys, as "key=value key=value".
func describe(m *Message, keys string) string {
	var out []string
	for key := range strings.FieldsSeq(keys) {
		var v any
		switch key {
		case "method":
			v = string(m.MethodName)
		case "status":
			v = m.Status
		case "reason":
			v = string(m.Reason)
		case "uri":
			v = string(m.URI)
		case "branch":
			v = string(m.Via.Branch)
		case "transport":
			v = string(m.Via.Transport)
		case "host":
			v = string(m.Via.Host)
		case "port":
			v = m.Via.Port
		case "received":
			v = string(m.Via.Received)
		case "rport":
			v = fmt.Sprint(m.Via.RPort, m.Via.RPortValue)
		case "vias":
			v = collect(m, HVia)
		case "contacts":
			v = collect(m, HContact)
		case "routes":
			v = collect(m, HRoute)
		case "recordroutes":
			v = collect(m, HRecordRoute)
		case "from":
			v = fmt.Sprintf(`"%s"<%s>`, m.From.Display, m.From.URI)
		case "to":
			v = fmt.Sprintf(`"%s"<%s>`, m.To.Display, m.To.URI)
		case "fromtag":
			v = string(m.From.Tag)
		case "totag":
			v = string(m.To.Tag)
		case "fromparams":
			v = string(m.From.Params)
		case "callid":
			v = string(m.CallID)
		case "cseq":
			v = fmt.Sprint(m.CSeq, " ", m.CSeqMethod)
		case "maxforwards":
			v = m.MaxForwards
		case "body":
			v = string(m.Body)
		case "subject":
			v = string(m.Get(HSubject))
		case "supported":
			v = collect(m, HSupported)
		case "referto":
			v = string(m.Get(HReferTo))
		default:
			panic("describe: " + key)
		}
		out = append(out, fmt.Sprintf("%s=%v", key, v))
	}
	return strings.Join(out, " ")
}

func collect(m *Message, id ID) string {
	var all []string
	for v := range m.Values(id) {
		all = append(all, string(v))
	}
	return "[" + strings.Join(all, "|") + "]"
}

// parseRow is one message and what Parse must make of it: a cause with the status it is answered with,
// or fields.
type parseRow struct {
	name   string
	bytes  []byte
	cause  string
	status int
	keys   string // fields to look at
	want   string
}

func (row parseRow) run(t *testing.T) {
	t.Run(row.name, func(t *testing.T) {
		var m Message
		err := m.Parse(bytes.Clone(row.bytes))
		if row.cause != "" {
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("accepted, want cause %s\n%s", row.cause, row.bytes)
			}
			if e.Cause != row.cause || e.Status != row.status {
				t.Errorf("got %d %s, want %d %s", e.Status, e.Cause, row.status, row.cause)
			}
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, row.bytes)
		}
		if got := describe(&m, row.keys); got != row.want {
			t.Errorf("got  %s\nwant %s", got, row.want)
		}
	})
}

func TestParse(t *testing.T) {
	for _, row := range []parseRow{
		{name: "PAR-01/folded lines become spaces", bytes: edited(options, "From: \"A\r\n B\"\r\n\t<sip:a@b>\r\n ;tag=1", "+Subject:\r\n one\r\n  two"),
			keys: "from fromtag subject", want: `from="A   B"<sip:a@b> fromtag=1 subject=one    two`},
		{name: "PAR-01/compact names in any case",
			bytes: crlfLines(options[0], "v: SIP/2.0/UDP h;branch=z9hG4bK1", "F: <sip:a@b>;tag=1", "t: <sip:c@d>", "I: x", "CSEQ: 1 OPTIONS", "m: <sip:a@h>", "K: timer", "s: hi", "L: 0", ""),
			keys:  "branch fromtag to callid contacts supported subject", want: `branch=z9hG4bK1 fromtag=1 to=""<sip:c@d> callid=x contacts=[<sip:a@h>] supported=[timer] subject=hi`},
		{name: "PAR-01/compact names of extensions",
			bytes: edited(options, "+r: <sip:x@y>", "+b: <sip:z@y>", "+k: replaces", "+x: 1800", "+o: talk", "+u: talk"),
			keys:  "referto supported", want: "referto=<sip:x@y> supported=[replaces]"},
		{name: "PAR-01/blanks before the colon", bytes: edited(options, "+Subject \t : hi", "Call-ID  :x"),
			keys: "subject callid", want: "subject=hi callid=x"},
		{name: "PAR-01/blanks round semicolon and equals sign", bytes: edited(options, "From: <sip:a@b> ; TAG = x ; q=1", "Via: SIP/2.0/UDP h : 5070 ; Branch = z9hG4bKx ; RPort"),
			keys: "fromtag host port branch rport", want: "fromtag=x host=h port=5070 branch=z9hG4bKx rport=true 0"},
		{name: "PAR-01/any case of header and parameter names", bytes: edited(options, "VIA: sip/2.0/udp h;BRANCH=z9hG4bKx;RECEIVED=192.0.2.1", "MAX-forwards: 3"),
			keys: "transport branch received maxforwards", want: "transport=udp branch=z9hG4bKx received=192.0.2.1 maxforwards=3"},
		{name: "PAR-01/comma lists", bytes: edited(options, "Via: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b", "+v: SIP/2.0/TCP c", `+Contact: "x, y" <sip:a,b@c>;q=1, <sip:d@e>`, "+Route: <sip:p;lr>,<sip:q;lr>"),
			keys: "branch vias contacts routes", want: `branch=z9hG4bK1 vias=[SIP/2.0/UDP a;branch=z9hG4bK1|SIP/2.0/UDP b|SIP/2.0/TCP c] contacts=["x, y" <sip:a,b@c>;q=1|<sip:d@e>] routes=[<sip:p;lr>|<sip:q;lr>]`},
		{name: "PAR-01/an empty value", bytes: edited(options, "+Subject:", "+X-Empty:  "), keys: "subject", want: "subject="},
		{name: "PAR-01/leading zeros", bytes: edited(options, "CSeq: 0009 OPTIONS", "Max-Forwards: 0068"), keys: "cseq maxforwards", want: "cseq=9 OPTIONS maxforwards=68"},
		{name: "PAR-01/CRLFs before the start line", bytes: append([]byte("\r\n\r\n"), edited(options)...), keys: "method", want: "method=OPTIONS"},
		{name: "PAR-01/no reason phrase", bytes: edited(ok200, ">SIP/2.0 200 "), keys: "status reason", want: "status=200 reason="},
		{name: "PAR-01/no reason phrase and no space", bytes: edited(ok200, ">SIP/2.0 200"), keys: "status reason", want: "status=200 reason="},
		{name: "PAR-01/a display name that wants quotes", bytes: edited(options, "From: Müller (Büro) <sip:a@b>;tag=1"), keys: "from", want: `from="Müller (Büro)"<sip:a@b>`},
		{name: "PAR-01/an address without brackets", bytes: edited(options, "From: sip:a@b;tag=1;x=y"), keys: "from fromtag fromparams", want: `from=""<sip:a@b> fromtag=1 fromparams=;tag=1;x=y`},
		{name: "PAR-01/folding at the start line is no folding", bytes: edited(options, ">"+options[0]+"\r\n Subject: x"), cause: CauseHeaderLine, status: 400},

		{name: "PAR-03/no From", bytes: edited(options, "-From"), cause: CauseMissing, status: 400},
		{name: "PAR-03/no To", bytes: edited(options, "-To"), cause: CauseMissing, status: 400},
		{name: "PAR-03/no Call-ID", bytes: edited(options, "-Call-ID"), cause: CauseMissing, status: 400},
		{name: "PAR-03/no CSeq", bytes: edited(options, "-CSeq"), cause: CauseMissing, status: 400},
		{name: "PAR-03/no Via cannot be answered", bytes: edited(options, "-Via"), cause: CauseVia, status: 0},
		{name: "PAR-03/a Via without sent-by cannot be answered", bytes: edited(options, "Via: SIP/2.0/UDP"), cause: CauseVia, status: 0},
		{name: "PAR-03/a response is never answered", bytes: edited(ok200, "-Call-ID"), cause: CauseMissing, status: 0},
		{name: "PAR-03/an ACK is never answered", bytes: edited(options, ">ACK sip:x SIP/2.0", "CSeq: 7 ACK", "-From"), cause: CauseMissing, status: 0},
		{name: "PAR-03/no Content-Length takes the datagram", bytes: edited(options, "-Content-Length", "=abc"), keys: "body", want: "body=abc"},
		{name: "PAR-03/no Max-Forwards is taken", bytes: edited(options, "-Max-Forwards"), keys: "maxforwards", want: "maxforwards=-1"},
		{name: "PAR-03/an empty From", bytes: edited(options, "From:"), cause: CauseAddress, status: 400},
		{name: "PAR-03/an empty Call-ID", bytes: edited(options, "Call-ID:"), cause: CauseCallID, status: 400},
		{name: "PAR-03/a Call-ID of two words", bytes: edited(options, "Call-ID: a b"), cause: CauseCallID, status: 400},
		{name: "PAR-03/a line without colon", bytes: edited(options, "+Foobar roobar"), cause: CauseHeaderLine, status: 400},
		{name: "PAR-03/a name with a blank in it", bytes: edited(options, "+Foo bar: x"), cause: CauseHeaderLine, status: 400},
		{name: "PAR-03/a line without name", bytes: edited(options, "+: x"), cause: CauseHeaderLine, status: 400},
		{name: "PAR-03/no empty line", bytes: bytes.TrimSuffix(edited(options), []byte("\r\n")), cause: CauseHeaderEnd, status: 400},

		{name: "PAR-04/two Call-IDs", bytes: edited(options, "+i: other"), cause: CauseDuplicate, status: 400},
		{name: "PAR-04/two CSeqs", bytes: edited(options, "+CSeq: 8 OPTIONS"), cause: CauseDuplicate, status: 400},
		{name: "PAR-04/two Tos", bytes: edited(options, "+t: <sip:x@y>"), cause: CauseDuplicate, status: 400},
		{name: "PAR-04/two Froms", bytes: edited(options, "+From: <sip:x@y>;tag=2"), cause: CauseDuplicate, status: 400},
		{name: "PAR-04/two Froms in a list", bytes: edited(options, "From: <sip:x@y>;tag=2,<sip:z@y>;tag=3"), cause: CauseAddress, status: 400},
		{name: "PAR-04/two Content-Lengths", bytes: edited(options, "+l: 0"), cause: CauseDuplicate, status: 400},
		{name: "PAR-04/two Max-Forwards", bytes: edited(options, "+Max-Forwards: 1"), cause: CauseDuplicate, status: 400},
		{name: "PAR-04/two Content-Types", bytes: edited(options, "+c: application/sdp", "+Content-Type: text/plain"), cause: CauseDuplicate, status: 400},
		{name: "PAR-04/two Refer-Tos", bytes: edited(options, "+Refer-To: <sip:a@b>", "+r: <sip:c@d>"), cause: CauseDuplicate, status: 400},
		{name: "PAR-04/two From tags", bytes: edited(options, "From: <sip:x@y>;tag=2;tag=3"), cause: CauseAddress, status: 400},
		{name: "PAR-04/two branches", bytes: edited(options, "Via: SIP/2.0/UDP h;branch=z9hG4bK1;branch=z9hG4bK2"), cause: CauseVia, status: 400},

		{name: "PAR-05/CSeq of another method", bytes: edited(options, "CSeq: 7 INVITE"), cause: CauseCSeqMethod, status: 400},
		{name: "PAR-05/CSeq before the mismatch is seen", bytes: edited(options, ">INVITE sip:x SIP/2.0"), cause: CauseCSeqMethod, status: 400},
		{name: "PAR-05/an unknown method that differs only in case", bytes: edited(options, ">Foo sip:x SIP/2.0", "CSeq: 7 FOO"), cause: CauseCSeqMethod, status: 400},

		{name: "PAR-06/SIP 7.0", bytes: edited(options, ">OPTIONS sip:x SIP/7.0"), cause: CauseVersion, status: 505},
		{name: "PAR-06/SIP 2.1", bytes: edited(options, ">OPTIONS sip:x SIP/2.1"), cause: CauseVersion, status: 505},
		{name: "PAR-06/a response of SIP 3.0", bytes: edited(ok200, ">SIP/3.0 200 OK"), cause: CauseVersion, status: 0},
		{name: "PAR-06/version in lower case", bytes: edited(options, ">OPTIONS sip:x sip/2.0"), keys: "uri", want: "uri=sip:x"},
		{name: "PAR-06/an unknown scheme is the caller's to refuse", bytes: edited(options, ">OPTIONS isbn:2983792873 SIP/2.0"), keys: "uri", want: "uri=isbn:2983792873"},
		{name: "PAR-06/HTTP is not SIP", bytes: []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), cause: CauseNotSIP, status: 0},
		{name: "PAR-06/a keep-alive is not SIP", bytes: []byte("\r\n\r\n"), cause: CauseNotSIP, status: 0},
		{name: "PAR-06/NULs are not SIP", bytes: make([]byte, 8), cause: CauseNotSIP, status: 0},
		{name: "PAR-06/nothing is not SIP", bytes: nil, cause: CauseNotSIP, status: 0},

		{name: "PAR-07/CSeq of 2^31-1", bytes: edited(options, "CSeq: 2147483647 OPTIONS"), keys: "cseq", want: "cseq=2147483647 OPTIONS"},
		{name: "PAR-07/CSeq of 2^31", bytes: edited(options, "CSeq: 2147483648 OPTIONS"), cause: CauseCSeq, status: 400},
		{name: "PAR-07/CSeq of 2^65", bytes: edited(options, "CSeq: 36893488147419103232 OPTIONS"), cause: CauseCSeq, status: 400},
		{name: "PAR-07/CSeq without number", bytes: edited(options, "CSeq: OPTIONS"), cause: CauseCSeq, status: 400},
		{name: "PAR-07/CSeq without method", bytes: edited(options, "CSeq: 7"), cause: CauseCSeq, status: 400},
		{name: "PAR-07/CSeq run together", bytes: edited(options, "CSeq: 7OPTIONS"), cause: CauseCSeq, status: 400},
		{name: "PAR-07/Max-Forwards 255", bytes: edited(options, "Max-Forwards: 255"), keys: "maxforwards", want: "maxforwards=255"},
		{name: "PAR-07/Max-Forwards 256", bytes: edited(options, "Max-Forwards: 256"), cause: CauseMaxForwards, status: 400},
		{name: "PAR-07/Max-Forwards 2^64+1", bytes: edited(options, "Max-Forwards: 18446744073709551617"), cause: CauseMaxForwards, status: 400},
		{name: "PAR-07/Max-Forwards -1", bytes: edited(options, "Max-Forwards: -1"), cause: CauseMaxForwards, status: 400},
		{name: "PAR-07/Expires of 2^32", bytes: edited(options, "+Expires: 4294967296"), cause: CauseNumber, status: 400},
		{name: "PAR-07/Expires of 2^32-1", bytes: edited(options, "+Expires: 4294967295"), keys: "method", want: "method=OPTIONS"},
		{name: "PAR-07/Session-Expires of 10^30", bytes: edited(options, "+x: 1"+strings.Repeat("0", 30)+";refresher=uac"), cause: CauseNumber, status: 400},
		{name: "PAR-07/status 99", bytes: edited(ok200, ">SIP/2.0 099 OK"), cause: CauseStartLine, status: 0},
		{name: "PAR-07/status 700", bytes: edited(ok200, ">SIP/2.0 700 OK"), cause: CauseStartLine, status: 0},
		{name: "PAR-07/status 2000", bytes: edited(ok200, ">SIP/2.0 2000 OK"), cause: CauseStartLine, status: 0},
		{name: "PAR-07/status 20", bytes: edited(ok200, ">SIP/2.0 20 OK"), cause: CauseStartLine, status: 0},
		{name: "PAR-07/port 65536 in the Request-URI", bytes: edited(options, ">OPTIONS sip:x:65536 SIP/2.0"), cause: CauseURI, status: 400},
		{name: "PAR-07/port 65536 in Via cannot be answered", bytes: edited(options, "Via: SIP/2.0/UDP h:65536"), cause: CauseVia, status: 0},

		{name: "PAR-08/the user part stays as it is", bytes: edited(options, ">OPTIONS sip:+1%2B;a=b,c#d&e=$f?g/h!i*j(k)~'_.-@x SIP/2.0"),
			keys: "uri", want: "uri=sip:+1%2B;a=b,c#d&e=$f?g/h!i*j(k)~'_.-@x"},
		{name: "PAR-08/a broken escape", bytes: edited(options, ">OPTIONS sip:1%2@x SIP/2.0"), cause: CauseURI, status: 400},
		{name: "PAR-08/escaped NUL and line breaks stay escaped", bytes: edited(options, "From: <sip:a%00%0d%0ab@c>;tag=1"), keys: "from", want: `from=""<sip:a%00%0d%0ab@c>`},
		{name: "PAR-08/no user before the at sign", bytes: edited(options, ">OPTIONS sip:@x SIP/2.0"), cause: CauseURI, status: 400},
		{name: "PAR-08/two at signs", bytes: edited(options, ">OPTIONS sip:a@b@x SIP/2.0"), cause: CauseURI, status: 400},
		{name: "PAR-08/brackets round the Request-URI", bytes: edited(options, ">OPTIONS <sip:x> SIP/2.0"), cause: CauseURI, status: 400},
		{name: "PAR-08/headers in the Request-URI", bytes: edited(options, ">OPTIONS sip:x?Route=%3Csip:y%3E SIP/2.0"), cause: CauseURI, status: 400},
		{name: "PAR-08/two blanks in the request line", bytes: edited(options, ">OPTIONS  sip:x SIP/2.0"), cause: CauseStartLine, status: 400},
		{name: "PAR-08/no scheme", bytes: edited(options, ">OPTIONS x SIP/2.0"), cause: CauseURI, status: 400},

		{name: "PAR-09/methods are case-sensitive", bytes: edited(options, ">Options sip:x SIP/2.0", "CSeq: 7 Options"), keys: "method cseq", want: "method=Options cseq=7 UNKNOWN"},
		{name: "PAR-09/an unknown method is the caller's to refuse", bytes: edited(options, ">NEWMETHOD sip:x SIP/2.0", "CSeq: 7 NEWMETHOD"), keys: "method", want: "method=NEWMETHOD"},
		{name: "PAR-09/a method that is no token", bytes: edited(options, ">OPT{}IONS sip:x SIP/2.0", "CSeq: 7 OPT{}IONS"), cause: CauseStartLine, status: 400},

		{name: "PAR-11/octets behind Content-Length are ignored", bytes: edited(options, "Content-Length: 3", "=abcINVITE sip:x SIP/2.0\r\n"), keys: "body", want: "body=abc"},
		{name: "PAR-11/Content-Length above the body", bytes: edited(options, "Content-Length: 4", "=abc"), cause: CauseTruncated, status: 400},
		{name: "PAR-11/Content-Length of 2^64", bytes: edited(options, "Content-Length: 18446744073709551616", "=abc"), cause: CauseTruncated, status: 400},
		{name: "PAR-11/negative Content-Length", bytes: edited(options, "Content-Length: -1"), cause: CauseContentLength, status: 400},
		{name: "PAR-11/empty Content-Length", bytes: edited(options, "Content-Length:"), cause: CauseContentLength, status: 400},
		{name: "PAR-11/Content-Length with a plus", bytes: edited(options, "Content-Length: +0"), cause: CauseContentLength, status: 400},

		{name: "PAR-12/IPv6 everywhere", bytes: edited(options, ">OPTIONS sip:a@[2001:db8::1]:5061;maddr=[2001:db8::2] SIP/2.0", "Via: SIP/2.0/UDP [2001:db8::3]:5060;received=2001:db8::4;branch=z9hG4bK1", "+Contact: <sip:[2001:db8::5]>", "+Route: <sip:[2001:db8::6]:5060;lr>"),
			keys: "uri host port received contacts", want: "uri=sip:a@[2001:db8::1]:5061;maddr=[2001:db8::2] host=[2001:db8::3] port=5060 received=2001:db8::4 contacts=[<sip:[2001:db8::5]>]"},
		{name: "PAR-12/received in brackets", bytes: edited(options, "Via: SIP/2.0/UDP [2001:db8::3];received=[2001:db8::4];branch=z9hG4bK1"), keys: "received branch", want: "received=[2001:db8::4] branch=z9hG4bK1"},
		{name: "PAR-12/IPv6 without brackets", bytes: edited(options, ">OPTIONS sip:2001:db8::1 SIP/2.0"), cause: CauseURI, status: 400},
		{name: "PAR-12/an unclosed bracket", bytes: edited(options, ">OPTIONS sip:[2001:db8::1 SIP/2.0"), cause: CauseURI, status: 400},

		{name: "UAS-06/a broken Contact", bytes: edited(options, "+Contact: <sip:a@b"), cause: CauseAddress, status: 400},
		{name: "UAS-06/a star outside REGISTER", bytes: edited(options, "+Contact: *"), cause: CauseAddress, status: 400},
		{name: "UAS-06/a star in REGISTER", bytes: edited(options, ">REGISTER sip:x SIP/2.0", "CSeq: 7 REGISTER", "+Contact: *"), keys: "contacts", want: "contacts=[*]"},
		{name: "a broken Contact in a response is left to the dialog", bytes: edited(ok200, "+Contact: <sip:a@b"), keys: "status", want: "status=200"},
		{name: "a Route that is no SIP URI", bytes: edited(options, "+Route: <tel:+1>"), cause: CauseRoute, status: 400},
		{name: "a response for somebody behind us", bytes: edited(ok200, "+Via: SIP/2.0/UDP h;branch=z9hG4bK2"), cause: CauseExtraVia, status: 0},
		{name: "a response for somebody behind us, Vias in a list", bytes: edited(ok200, "Via: SIP/2.0/UDP h;branch=z9hG4bK2, SIP/2.0/UDP i"), cause: CauseExtraVia, status: 0},
		{name: "too many lines", bytes: edited(options, "+"+strings.Repeat("A: b\r\n", MaxHeaders)+"A: b"), cause: CauseTooManyHeaders, status: 400},
		{name: "too long", bytes: edited(options, "="+strings.Repeat("x", MaxMessage)), cause: CauseTooLong, status: 0},
	} {
		row.run(t)
	}
}

// SEC-03: no CR, LF, NUL or other control character gets into a value; what carries one is refused.
func TestParse_SEC03(t *testing.T) {
	for _, c := range []byte{0, 1, '\n', '\r', 0x0b, 0x1b, 0x7f} {
		for _, where := range []string{
			"From: \"A%cB\" <sip:a@b>;tag=1", "From: A%cB <sip:a@b>;tag=1", "From: <sip:a%cb@c>;tag=1", "From: <sip:a@b>;tag=1%c2",
			"Call-ID: a%cb", "To: <sip:a@b>%c", "Via: SIP/2.0/UDP h;branch=z9hG4bK%c1", "+Subject: a%cInjected: yes", "+X-%c: a",
			"+Subject: \"\\%c\"", "CSeq: 7%c OPTIONS", "Content-Length: 0%c",
		} {
			// A CRLF in the text would be a line of its own, not a control character in one.
			row := parseRow{name: strings.ReplaceAll(strconv.QuoteRune(rune(c))+" in "+where, "/", "_"), bytes: edited(options, strings.ReplaceAll(where, "%c", string(rune(c)))), cause: CauseControlCharacter, status: 400}
			if strings.HasPrefix(where, "Via") {
				row.status = 0
			}
			row.run(t)
		}
		parseRow{name: fmt.Sprintf("%q in the request line", c), bytes: edited(options, ">OPTIONS sip:a"+string(rune(c))+"b SIP/2.0"), cause: CauseNotSIP}.run(t)
	}
	parseRow{name: "a tab is no control character", bytes: edited(options, "+Subject: a\tb"), keys: "subject", want: "subject=a\tb"}.run(t)
	parseRow{name: "bytes above ASCII are no control characters", bytes: edited(options, "+Subject: \u0080\x85\xff"), keys: "subject", want: "subject=\u0080\x85\xff"}.run(t)
}

// Every row of the parser table that sipgo's own parser gets wrong, through our entry point.
func TestParseSipgoTraps(t *testing.T) {
	for _, row := range []parseRow{
		{name: "space after the semicolon", bytes: edited(options, "From: <sip:a@b>; tag=x"), keys: "fromtag", want: "fromtag=x"},
		{name: "TAG and Branch", bytes: edited(options, "From: <sip:a@b>;TAG=x", "Via: SIP/2.0/UDP h;Branch=z9hG4bKy"), keys: "fromtag branch", want: "fromtag=x branch=z9hG4bKy"},
		{name: "space before the semicolon of Via", bytes: edited(options, "Via: SIP/2.0/UDP h:5060 ;branch=z9hG4bKy"), keys: "host port branch", want: "host=h port=5060 branch=z9hG4bKy"},
		{name: "space before the port of Via", bytes: edited(options, "Via: SIP/2.0/UDP h: 5060;branch=z9hG4bKy"), keys: "host port branch", want: "host=h port=5060 branch=z9hG4bKy"},
		{name: "space before rport", bytes: edited(options, "Via: SIP/2.0/UDP h;branch=z9hG4bKy; rport"), keys: "rport branch", want: "rport=true 0 branch=z9hG4bKy"},
		{name: "spaces in the protocol", bytes: edited(options, "Via: SIP / 2.0 / UDP h;branch=z9hG4bKy"), keys: "transport host", want: "transport=UDP host=h"},
		{name: "first Via of a list without parameters", bytes: edited(options, "Via: SIP/2.0/UDP h, SIP/2.0/UDP i;branch=z9hG4bKy"), keys: "host branch vias", want: "host=h branch= vias=[SIP/2.0/UDP h|SIP/2.0/UDP i;branch=z9hG4bKy]"},
		{name: "quoted parameter in Via", bytes: edited(options, `Via: SIP/2.0/UDP h;x="a; b,\"c";branch=z9hG4bKy`), keys: "branch vias", want: `branch=z9hG4bKy vias=[SIP/2.0/UDP h;x="a; b,\"c";branch=z9hG4bKy]`},
		{name: "quoted parameter in From", bytes: edited(options, `From: <sip:a@b>;x="a;tag=no";tag=yes`), keys: "fromtag", want: "fromtag=yes"},
		// Unlike a header parameter, a URI parameter has no quoted form (RFC 3261 §25.1, paramchar).
		{name: "quoted parameter in a URI", bytes: edited(options, `From: <sip:a@b;x="a b";y=1>;tag=1`), cause: CauseAddress, status: 400},
		{name: "equals signs in a value", bytes: edited(options, "From: <sip:a@b>;tag=abc=="), keys: "fromtag", want: "fromtag=abc=="},
		{name: "several spaces in CSeq", bytes: edited(options, "CSeq: 1 \t  OPTIONS"), keys: "cseq", want: "cseq=1 OPTIONS"},
		{name: "no space behind the status", bytes: edited(ok200, ">SIP/2.0 200"), keys: "status", want: "status=200"},
		{name: "Record-Route without brackets", bytes: edited(options, "+Record-Route: sip:p;lr"), keys: "recordroutes", want: "recordroutes=[sip:p;lr]"},
		{name: "Record-Route with parameters behind the bracket", bytes: edited(options, "+Record-Route: <sip:p>;lr"), keys: "recordroutes", want: "recordroutes=[<sip:p>;lr]"},
		{name: "compact Refer-To and Supported", bytes: edited(options, "+r: <sip:x@y>", "+k: 100rel"), keys: "referto supported", want: "referto=<sip:x@y> supported=[100rel]"},
		{name: "compact Via in a list", bytes: append([]byte(strings.Join(append([]string{options[0], "v:SIP/2.0/UDP h;branch=z9hG4bKy,SIP/2.0/UDP i"}, options[2:]...), "\r\n")), "\r\n\r\n"...), keys: "host vias", want: "host=h vias=[SIP/2.0/UDP h;branch=z9hG4bKy|SIP/2.0/UDP i]"},
		{name: "bare LF in a value", bytes: edited(options, "+Subject: a\nInjected: b"), cause: CauseControlCharacter, status: 400},
		{name: "bare LF in a display name", bytes: edited(options, "From: \"a\nb\" <sip:a@b>;tag=1"), cause: CauseControlCharacter, status: 400},
		{name: "Content-Length above the datagram", bytes: edited(options, "Content-Length: 1"), cause: CauseTruncated, status: 400},
	} {
		row.run(t)
	}

	for name, route := range map[string]string{"without brackets": "sip:p;lr", "in brackets": "<sip:p;lr>", "behind the bracket": "<sip:p>;lr"} {
		a, err := ParseRoute([]byte(route))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		u, _ := ParseURI(a.URI)
		_, inURI := u.Param("lr")
		_, behind := a.Param("lr")
		if !inURI && !behind {
			t.Errorf("lr %s is lost: %q %q", name, a.URI, a.Params)
		}
	}
}

// PAR-02: what was refused with a status can be answered, and the answer carries no line that was refused.
func TestParse_PAR02(t *testing.T) {
	for _, row := range []struct {
		name, want string
		bytes      []byte
	}{
		{name: "a broken To is echoed without our tag", bytes: edited(options, `To: "x <sip:a@b>`),
			want: "SIP/2.0 400 Bad Address\r\nVia: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK776asdhds\r\nFrom: <sip:alice@example.com>;tag=88sja8x\r\nTo: \"x <sip:a@b>\r\nCall-ID: 987asjd97y7atg\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"},
		{name: "a second Call-ID is left out", bytes: edited(options, "+Call-ID: 2"),
			want: "SIP/2.0 400 Duplicate Header Field\r\nVia: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK776asdhds\r\nFrom: <sip:alice@example.com>;tag=88sja8x\r\nTo: <sip:edge.example.com>;tag=us\r\nCall-ID: 987asjd97y7atg\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"},
		{name: "a line with a control character is left out", bytes: edited(options, "From: <sip:a@b>\nX: y;tag=1"),
			want: "SIP/2.0 400 Control Character In Header\r\nVia: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK776asdhds\r\nTo: <sip:edge.example.com>;tag=us\r\nCall-ID: 987asjd97y7atg\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"},
		{name: "of a broken Via the good parameters stay", bytes: edited(options, "Via: SIP/2.0/UDP 192.0.2.4;rport;;x"),
			want: "SIP/2.0 400 Bad Via\r\nVia: SIP/2.0/UDP 192.0.2.4;rport=5060;received=192.0.2.4\r\nFrom: <sip:alice@example.com>;tag=88sja8x\r\nTo: <sip:edge.example.com>;tag=us\r\nCall-ID: 987asjd97y7atg\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"},
		{name: "another version is told so", bytes: edited(options, ">OPTIONS sip:x SIP/3.0"),
			want: "SIP/2.0 505 Version Not Supported\r\nVia: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK776asdhds\r\nFrom: <sip:alice@example.com>;tag=88sja8x\r\nTo: <sip:edge.example.com>;tag=us\r\nCall-ID: 987asjd97y7atg\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var m Message
			e, ok := errors.AsType[*Error](m.Parse(bytes.Clone(row.bytes)))
			if !ok || e.Status == 0 {
				t.Fatalf("not refused with a status: %v", e)
			}
			got := AppendBody(AppendResponse(nil, &m, e.Status, e.Reason, []byte("us"), addrPort("192.0.2.4:5060")), "", nil)
			if string(got) != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

// Folding is undone in place, and what was undone parses to the same.
func TestParseTwice(t *testing.T) {
	b := edited(options, "From: <sip:a@b>\r\n ;tag=1", "+Subject: a\r\n\t b")
	var first, second Message
	if err := first.Parse(b); err != nil {
		t.Fatal(err)
	}
	if err := second.Parse(b); err != nil {
		t.Fatal(err)
	}
	for i := range first.Headers {
		if string(first.Headers[i].Value) != string(second.Headers[i].Value) {
			t.Errorf("%s: %q, then %q", first.Headers[i].Name, first.Headers[i].Value, second.Headers[i].Value)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	var m Message
	good, bad := bytes.Clone(carrierINVITE), edited(options, "-From")
	if n := testing.AllocsPerRun(100, func() {
		if m.Parse(good) != nil || m.Parse(bad) == nil {
			t.Fail()
		}
		for range m.Values(HAllow) {
		}
		if !m.Has(HVia) || m.HasToken(HSupported, "timer") {
			t.Fail()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCausesAreDistinctAndComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, cause := range Causes() {
		if seen[cause] {
			t.Errorf("%s twice", cause)
		}
		seen[cause] = true
	}
	for f := failNotSIP; f < numFailures; f++ {
		if e := failures[f].answer; e == nil || !seen[e.Cause] || e.Reason == "" || failures[f].drop.Status != 0 {
			t.Errorf("failure %d: %+v", f, e)
		}
	}
}
