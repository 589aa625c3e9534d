package wire

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tortureRow is a message of RFC 4475 or RFC 5118, what Parse makes of it, and why.
type tortureRow struct {
	name   string
	cause  string // "": accepted
	status int    // that the refusal is answered with; 0: dropped
	keys   string
	want   string
	why    string // and, where Parse accepts, what becomes of it above
}

// The 49 messages of RFC 4475, in its order.
var rfc4475 = []tortureRow{
	// §3.1.1 Valid messages
	{name: "wsinv", keys: "method uri from fromtag to totag branch transport host maxforwards cseq vias contacts routes subject",
		want: `method=INVITE uri=sip:vivekg@chair-dnrc.example.com;unknownparam from="J Rosenberg \\\""<sip:jdrosen@example.com> fromtag=98asjd8 to=""<sip:vivekg@chair-dnrc.example.com> totag=1918181833n branch=390skdjuw transport=UDP host=192.0.2.2 maxforwards=68 cseq=9 INVITE vias=[SIP  /   2.0   /UDP      192.0.2.2;branch=390skdjuw|SIP  / 2.0  / TCP     spindle.example.com   ;    branch  =   z9hG4bK9ikj8|SIP  /    2.0   / UDP  192.168.255.111   ; branch=   z9hG4bK30239] contacts=["Quoted string \"\"" <sip:jdrosen@example.com> ; newparam =        newvalue ;    secondparam ; q = 0.33] routes=[<sip:services.example.com;lr;unknownwith=value;unknown-no-value>] subject=`,
		why:  "3.1.1.1 folding, blanks, compact names and escaped quotes are all legal; the To tag makes it a request in a dialog we do not know: 481 by the edge"},
	{name: "intmeth", cause: CauseControlCharacter, status: 400,
		why: "3.1.1.2 well-formed by the grammar, but its display name carries an escaped NUL, BEL and DEL; we refuse control characters even behind a backslash, since the other leg may not be as careful. Its method is one we would answer with 501 in any case; TestTorture_intmeth reads the rest of it"},
	{name: "esc01", keys: "uri to from contacts",
		want: `uri=sip:sips%3Auser%40example.com@example.net to=""<sip:%75se%72@example.com> from=""<sip:I%20have%20spaces@example.net> contacts=[<sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>]`,
		why:  "3.1.1.3 escapes are kept as they are: the scheme is sip, not sips"},
	{name: "escnull", keys: "from contacts", want: `from=""<sip:null-%00-null@example.com> contacts=[<sip:%00@host5.example.com>|<sip:%00%00@host5.example.com>]`,
		why: "3.1.1.4 an escaped NUL is three harmless characters as long as nobody unescapes it, and we never do"},
	{name: "esc02", keys: "method cseq contacts", want: "method=RE%47IST%45R cseq=29344 UNKNOWN contacts=[<sip:alias1@host1.example.com>|<sip:alias3@host3.example.com>]",
		why: "3.1.1.5 '%' escapes nothing in a method or a header name; accepted here, 501 by the edge"},
	{name: "lwsdisp", keys: "from fromtag", want: `from="caller"<sip:caller@example.com> fromtag=323`, why: "3.1.1.6 no blank is needed before '<'"},
	{name: "longreq", keys: "cseq callid host body", want: "cseq=3882340 INVITE callid=longreq.one" + strings.Repeat("really", 20) + "longcallid host=sip33.example.com body=" + tortureSDP,
		why: "3.1.1.7 long values have no limit but the datagram's"},
	{name: "dblreq", keys: "method callid body", want: "method=REGISTER callid=dblreq.0ha0isndaksdj99sdfafnl3lk233412 body=", why: "3.1.1.8 the octets behind Content-Length are ignored, though they hold an INVITE"},
	{name: "semiuri", keys: "uri", want: "uri=sip:user;par=u%40example.net@example.com", why: "3.1.1.9 ';' belongs to the user part here"},
	{name: "transports", keys: "transport vias", want: "transport=UDP vias=[SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw|SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf|SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj|SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en|SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee]",
		why: "3.1.1.10 only the topmost Via is our business"},
	{name: "mpart01", keys: "method callid", want: "method=MESSAGE callid=3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..", why: "3.1.1.11 a body is octets, NUL included; accepted here, 405 by the edge"},
	{name: "unreason", keys: "status reason", want: "status=200 reason== 2**3 * 5**2 но сто девяносто девять - простое", why: "3.1.1.12 a reason phrase is any text"},
	{name: "noreason", keys: "status reason", want: "status=100 reason=", why: "3.1.1.13 a reason phrase may be empty"},

	// §3.1.2 Invalid messages
	{name: "badinv01", cause: CauseVia, status: 400, why: "3.1.2.1 empty parameters in Via and Contact"},
	{name: "clerr", cause: CauseTruncated, status: 400, why: "3.1.2.2 Content-Length is larger than the datagram; on a stream the framer waits for the rest"},
	{name: "ncl", cause: CauseContentLength, status: 400, why: "3.1.2.3 a negative Content-Length"},
	{name: "scalar02", cause: CauseCSeq, status: 400, why: "3.1.2.4 CSeq, Max-Forwards and Expires are all too large; the first one decides"},
	{name: "scalarlg", cause: CauseCSeq, why: "3.1.2.5 a response whose CSeq is too large belongs to no transaction: dropped"},
	{name: "quotbal", cause: CauseAddress, status: 400, why: "3.1.2.6 an unbalanced quote in To"},
	{name: "ltgtruri", cause: CauseURI, status: 400, why: "3.1.2.7 angle brackets round the Request-URI"},
	{name: "lwsruri", cause: CauseStartLine, status: 400, why: "3.1.2.8 a blank inside the Request-URI"},
	{name: "lwsstart", cause: CauseStartLine, status: 400, why: "3.1.2.9 two blanks in the request line"},
	{name: "trws", cause: CauseStartLine, status: 400, why: "3.1.2.10 blanks at the end of the request line"},
	{name: "escruri", cause: CauseURI, status: 400, why: "3.1.2.11 headers in the Request-URI; ignoring them is allowed too, but a Route among them must not be ours"},
	{name: "baddate", keys: "method", want: "method=INVITE", why: "3.1.2.12 a Date in EST; nobody reads it here, so it is no ground to refuse a call"},
	{name: "regbadct", cause: CauseAddress, status: 400, why: "3.1.2.13 a Contact URI with '?' but without angle brackets"},
	{name: "badaspec", cause: CauseAddress, status: 400, why: "3.1.2.14 blanks inside the angle brackets"},
	{name: "baddn", cause: CauseAddress, status: 400, why: "3.1.2.15 an unquoted comma in a display name, which may as well part two addresses; other such characters are taken as if quoted"},
	{name: "badvers", cause: CauseVersion, status: 505, why: "3.1.2.16 SIP/7.0"},
	{name: "mismatch01", cause: CauseCSeqMethod, status: 400, why: "3.1.2.17 the method in CSeq is not the request line's"},
	{name: "mismatch02", cause: CauseCSeqMethod, status: 400, why: "3.1.2.18 the same with an unknown method; 501 would do as well"},
	{name: "bigcode", cause: CauseStartLine, why: "3.1.2.19 a status of 2^32+5: dropped"},

	// §3.2 Transaction layer semantics
	{name: "badbranch", cause: CauseVia, status: 400, why: "3.2.1 a branch that is the bare cookie names no transaction"},

	// §3.3 Application layer semantics
	{name: "insuf", cause: CauseMissing, status: 400, why: "3.3.1 no From, To and Call-ID"},
	{name: "unkscm", keys: "uri", want: "uri=nobodyKnowsThisScheme:totallyopaquecontent", why: "3.3.2 accepted here; 416 by the edge"},
	{name: "novelsc", keys: "uri", want: "uri=soap.beep://192.0.2.103:3002", why: "3.3.3 accepted here; 416 by the edge"},
	{name: "unksm2", keys: "from to contacts", want: `from=""<http://www.example.com> to=""<isbn:2983792873> contacts=[<name:John_Smith>]`, why: "3.3.4 From and To are not routed on: accepted here, the registrar refuses it"},
	{name: "bext01", keys: "method", want: "method=OPTIONS", why: "3.3.5 accepted here; 420 with Unsupported by the edge"},
	{name: "invut", keys: "method body", want: "method=INVITE body=<audio>\r\n <pcmu port=\"443\"/>\r\n</audio>\r\n", why: "3.3.6 accepted here; 415 with Accept by the edge"},
	{name: "regaut01", keys: "method", want: "method=REGISTER", why: "3.3.7 accepted here; the registrar challenges with schemes it knows"},
	{name: "multi01", cause: CauseDuplicate, status: 400, why: "3.3.8 two of each header that may stand once"},
	{name: "mcl01", cause: CauseDuplicate, status: 400, why: "3.3.9 two Content-Lengths; on a stream the framer gives up"},
	{name: "bcast", cause: CauseExtraVia, why: "3.3.10 a 200 with a second Via, to the broadcast address: nothing is ever sent on from here, dropped"},
	{name: "zeromf", keys: "maxforwards", want: "maxforwards=0", why: "3.3.11 a UAS may answer OPTIONS with Max-Forwards 0; 483 by the edge only for what would go on"},
	{name: "cparam01", keys: "contacts", want: "contacts=[sip:+19725552222@gw1.example.net;unknownparam]", why: "3.3.12 without brackets the parameter is the header's"},
	{name: "cparam02", keys: "contacts", want: "contacts=[<sip:+19725552222@gw1.example.net;unknownparam>]", why: "3.3.13 in brackets the parameter is the URI's"},
	{name: "regescrt", keys: "contacts", want: "contacts=[<sip:user@example.com?Route=%3Csip:sip.example.com%3E>]", why: "3.3.14 headers are allowed in a Contact URI; they never leave it"},
	{name: "sdp01", keys: "method", want: "method=INVITE", why: "3.3.15 accepted here; 406 by the edge, since Accept excludes SDP"},

	// §3.4 Backward compatibility
	{name: "inv2543", keys: "branch fromtag maxforwards recordroutes body", want: "branch= fromtag= maxforwards=-1 recordroutes=[<sip:UserB@example.com;maddr=ss1.example.com>] body=" + strings.NewReplacer("192.0.2.1\r\n", "192.0.2.5\r\n", " 12\r\nm=video 3227 RTP/AVP 31\r\na=rtpmap:31 LPC", "").Replace(tortureSDP),
		why: "3.4.1 no branch, no From tag, no Content-Length: an RFC 2543 peer is served"},
}

const tortureSDP = "v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 49217 RTP/AVP 0 12\r\nm=video 3227 RTP/AVP 31\r\na=rtpmap:31 LPC\r\n"

// The cases of RFC 5118, IPv6, in messages after its own.
var rfc5118 = []tortureRow{
	{name: "ipv6-good", keys: "uri host contacts", want: "uri=sip:[2001:db8::10] host=[2001:db8::9:1] contacts=[<sip:caller@[2001:db8::1]>]", why: "4.1"},
	{name: "ipv6-bad", cause: CauseURI, status: 400, why: "4.2 an IPv6 address without brackets in the Request-URI"},
	{name: "port-ambiguous", keys: "uri", want: "uri=sip:[2001:db8::10:5070]", why: "4.3 5070 is part of the address"},
	{name: "port-unambiguous", keys: "uri", want: "uri=sip:[2001:db8::10]:5070", why: "4.4"},
	{name: "via-received-param-with-delim", keys: "host port received", want: "host=[2001:db8::9:1] port=6050 received=[2001:db8::9:255]", why: "4.5 brackets are wrong here, and taken"},
	{name: "via-received-param-no-delim", keys: "host received", want: "host=[2001:db8::9:1] received=2001:db8::9:255", why: "4.5 as the grammar has it"},
	{name: "ipv6-in-sdp", keys: "method body", want: "method=INVITE body=v=0\r\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\r\ns=Live video feed for today's meeting\r\nc=IN IP6 2001:db8::20\r\nt=3338481189 3370017201\r\nm=audio 6000 RTP/AVP 2\r\na=rtpmap:2 G726-32/8000\r\nm=video 6024 RTP/AVP 107\r\na=rtpmap:107 H263-1998/90000\r\n", why: "4.6"},
	{name: "mult-ip-in-header", keys: "vias", want: "vias=[SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111|SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144|SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200]", why: "4.7"},
	{name: "mult-ip-in-sdp", keys: "method", want: "method=INVITE", why: "4.8"},
	{name: "ipv4-mapped-ipv6", keys: "uri contacts", want: "uri=sip:user@example.com contacts=[\"T. desk phone\" <sip:ted@[::ffff:192.0.2.2]>]", why: "4.9"},
	{name: "ipv6-bug-abnf-3-colons", keys: "uri", want: "uri=sip:user@[2001:db8:::192.0.2.1]", why: "4.10 the old grammar asked for three colons; taken, though no such address exists"},
	{name: "ipv6-correct-abnf-2-colons", keys: "uri", want: "uri=sip:user@[2001:db8::192.0.2.1]", why: "4.10"},
}

func (row tortureRow) parse(t *testing.T, b []byte) {
	parseRow{name: row.name, bytes: b, cause: row.cause, status: row.status, keys: row.keys, want: row.want}.run(t)
}

func TestTorture(t *testing.T) {
	if len(rfc4475) != 49 {
		t.Errorf("RFC 4475 has 49 messages, the table %d", len(rfc4475))
	}
	files, err := filepath.Glob("testdata/torture/*.dat")
	if err != nil || len(files) != len(rfc4475)+len(rfc5118) {
		t.Errorf("%d files for %d rows, %v", len(files), len(rfc4475)+len(rfc5118), err)
	}
	for _, row := range append(rfc4475, rfc5118...) {
		row.parse(t, torture(t, row.name))
	}
}

func torture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/torture", name+".dat"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Without its control characters the second torture message is read to the last oddity.
func TestTorture_intmeth(t *testing.T) {
	b := torture(t, "intmeth")
	for _, c := range []string{"\x00", "\x07", "\x7f"} {
		b = bytes.ReplaceAll(b, []byte(c), []byte("x"))
	}
	tortureRow{name: "intmeth without control characters", keys: "method uri to from fromtag callid cseq maxforwards",
		want: "method=!interesting-Method0123456789_*+`.%indeed'~ uri=sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com " +
			`to="BEL:\x NUL:\x DEL:\x"<sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com> ` +
			"from=\"token1~` token2'+_ token3*%!.-\"<sip:mundane@example.com> fromtag=_token~1'+`*%!-. callid=intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{ cseq=139122385 UNKNOWN maxforwards=255",
	}.parse(t, b)
}

// What the edge refuses above this package can be seen in an accepted message.
func TestTorture_above(t *testing.T) {
	m := parsed(t, torture(t, "bext01"))
	if !m.HasToken(HRequire, "nothingsupportsthiseither") || !m.HasToken(HProxyRequire, "noProxiesSupportThis") {
		t.Error("bext01: Require is not seen, 420")
	}
	for _, name := range []string{"unkscm", "novelsc"} {
		u, err := ParseURI(parsed(t, torture(t, name)).URI)
		if err != nil || u.IsSIP() || u.Host != nil {
			t.Errorf("%s: the scheme is not seen, 416: %v", name, err)
		}
	}
	if m := parsed(t, torture(t, "sdp01")); m.HasToken(HAccept, "application/sdp") {
		t.Error("sdp01: Accept excludes SDP, 406")
	}
	if m := parsed(t, torture(t, "invut")); string(m.Get(HContentType)) != "application/unknownformat" || m.SDP() != nil {
		t.Error("invut: the body's type is not seen, 415")
	}
	if a, err := ParseAddress(parsed(t, torture(t, "cparam01")).Get(HContact)); err != nil || string(a.URI) != "sip:+19725552222@gw1.example.net" || string(a.Params) != ";unknownparam" {
		t.Errorf("cparam01: %q %q %v", a.URI, a.Params, err)
	}
	if a, err := ParseAddress(parsed(t, torture(t, "cparam02")).Get(HContact)); err != nil || string(a.URI) != "sip:+19725552222@gw1.example.net;unknownparam" || len(a.Params) > 0 {
		t.Errorf("cparam02: %q %q %v", a.URI, a.Params, err)
	}
	if m := parsed(t, torture(t, "escnull")); string(m.From.URI) != "sip:null-%00-null@example.com" {
		t.Error("escnull: the user part must stay escaped")
	}
	var large Message
	if e, ok := errors.AsType[*Error](large.Parse(torture(t, "scalarlg"))); !ok || e.Cause != CauseCSeq {
		t.Error("scalarlg")
	}
	if n, ok := large.Number(HRetryAfter); !ok || n != 1<<32 {
		t.Errorf("scalarlg: Retry-After is to be clamped, got %d", n)
	}
}
