package wire

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

func addrPort(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

func parsed(t testing.TB, b []byte) *Message {
	t.Helper()
	m := &Message{ManyVias: true}
	if err := m.Parse(bytes.Clone(b)); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return m
}

// The topmost Via of a response, RFC 3261 §18.2.1 and RFC 3581 §4.
func TestAppendResponse_Via(t *testing.T) {
	for _, row := range []struct{ name, via, src, want string }{
		{"sent-by is the source: as it came", "SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK1", "192.0.2.4:5060", "SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK1"},
		{"sent-by is another address", "SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK1", "192.0.2.9:5060", "SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK1;received=192.0.2.9"},
		{"sent-by is a name", "SIP/2.0/UDP pbx.example.com;branch=z9hG4bK1", "192.0.2.9:5060", "SIP/2.0/UDP pbx.example.com;branch=z9hG4bK1;received=192.0.2.9"},
		{"rport is filled, and received added though equal", "SIP/2.0/UDP 192.0.2.4;rport;branch=z9hG4bK1", "192.0.2.4:40000", "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1;rport=40000;received=192.0.2.4"},
		{"a claimed received goes", "SIP/2.0/UDP 192.0.2.4;received=198.51.100.66;branch=z9hG4bK1", "192.0.2.9:5060", "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1;received=192.0.2.9"},
		{"a claimed received goes where none is due", "SIP/2.0/UDP 192.0.2.4;received=198.51.100.66;branch=z9hG4bK1", "192.0.2.4:5060", "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1"},
		{"a claimed rport is corrected", "SIP/2.0/UDP 192.0.2.4;rport=1;branch=z9hG4bK1", "192.0.2.4:5060", "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1;rport=5060;received=192.0.2.4"},
		{"IPv6 sent-by is the source", "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1", "[2001:db8::1]:5060", "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1"},
		{"IPv6 received has no brackets", "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1", "[2001:db8::2]:5060", "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1;received=2001:db8::2"},
		{"IPv4 on an IPv6 socket is IPv4", "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1", "[::ffff:192.0.2.4]:5060", "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1"},
		{"a zone stays home", "SIP/2.0/UDP h;branch=z9hG4bK1", "[fe80::1%eth0]:5060", "SIP/2.0/UDP h;branch=z9hG4bK1;received=fe80::1"},
		{"no source: left alone", "SIP/2.0/UDP h;rport;branch=z9hG4bK1", "", "SIP/2.0/UDP h;rport;branch=z9hG4bK1"},
		{"blanks and quotes", `SIP / 2.0 / UDP h : 5060 ; x = "a;b" ; branch = z9hG4bK1`, "192.0.2.9:1", `SIP / 2.0 / UDP h : 5060;x="a;b";branch=z9hG4bK1;received=192.0.2.9`},
		{"the rest of a list is kept", "SIP/2.0/UDP h;branch=z9hG4bK1 , SIP/2.0/TCP i;branch=z9hG4bK2", "192.0.2.9:1", "SIP/2.0/UDP h;branch=z9hG4bK1;received=192.0.2.9, SIP/2.0/TCP i;branch=z9hG4bK2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := parsed(t, edited(options, "Via: "+row.via))
			got := string(AppendResponse(nil, m, 200, "", nil, addrPort(row.src)))
			_, got, _ = strings.Cut(got, "Via: ")
			got, _, _ = strings.Cut(got, "\r\n")
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// RFC 3261 §8.2.6.2: what a response takes from its request.
func TestAppendResponse(t *testing.T) {
	request := edited(options, "+Via: SIP/2.0/TCP h2;branch=z9hG4bK2", "+v: SIP/2.0/TLS h3, SIP/2.0/UDP h4", "+Timestamp: 54", "+Record-Route: <sip:p;lr>")
	for _, row := range []struct {
		name, tag, to, want string
		status              int
	}{
		{name: "100 takes Timestamp and no tag", status: 100, want: "SIP/2.0 100 Trying|Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK776asdhds|From: <sip:alice@example.com>;tag=88sja8x|To: <sip:edge.example.com>|Call-ID: 987asjd97y7atg|CSeq: 7 OPTIONS|Via: SIP/2.0/TCP h2;branch=z9hG4bK2|Via: SIP/2.0/TLS h3, SIP/2.0/UDP h4|Timestamp: 54|Content-Length: 0||"},
		{name: "486 gets our tag", status: 486, tag: "us", want: "SIP/2.0 486 Busy Here|Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK776asdhds|From: <sip:alice@example.com>;tag=88sja8x|To: <sip:edge.example.com>;tag=us|Call-ID: 987asjd97y7atg|CSeq: 7 OPTIONS|Via: SIP/2.0/TCP h2;branch=z9hG4bK2|Via: SIP/2.0/TLS h3, SIP/2.0/UDP h4|Content-Length: 0||"},
		{name: "a tag that is there stays", status: 200, tag: "us", to: "To: <sip:edge.example.com>;tag=them", want: "SIP/2.0 200 OK|Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK776asdhds|From: <sip:alice@example.com>;tag=88sja8x|To: <sip:edge.example.com>;tag=them|Call-ID: 987asjd97y7atg|CSeq: 7 OPTIONS|Via: SIP/2.0/TCP h2;branch=z9hG4bK2|Via: SIP/2.0/TLS h3, SIP/2.0/UDP h4|Content-Length: 0||"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := request
			if row.to != "" {
				b = bytes.Replace(b, []byte("To: <sip:edge.example.com>"), []byte(row.to), 1)
			}
			got := AppendBody(AppendResponse(nil, parsed(t, b), row.status, "", []byte(row.tag), addrPort("192.0.2.4:5060")), "", nil)
			if want := strings.ReplaceAll(row.want, "|", "\r\n"); string(got) != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAppendRequest(t *testing.T) {
	m := parsed(t, carrierINVITE)
	b := AppendRequestLine(nil, "INVITE", m.URI)
	b = AppendVia(b, "UDP", "[2001:db8::1]:5060", []byte("z9hG4bK1"))
	b = AppendLines(b, m, HAllow)
	b = append(b, "From: "...)
	b = append(AppendNameAddr(b, m.From.Display, m.From.URI), ";tag=1\r\n"...)
	b = AppendHeaderString(b, "To", "<sip:a@b>")
	b = AppendHeader(b, "Call-ID", m.CallID)
	b = AppendCSeq(b, 1, "INVITE")
	b = AppendHeaderInt(b, "Max-Forwards", 69)
	b = AppendBody(b, "application/sdp", m.Body)
	want := "INVITE sip:+14155550100@192.0.2.10:5060;transport=udp;user=phone SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP [2001:db8::1]:5060;rport;branch=z9hG4bK1\r\n" +
		"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, UPDATE, PRACK\r\n" +
		"From: \"WIRELESS CALLER\" <sip:+12125551234@192.0.2.33;user=phone>;tag=1\r\n" +
		"To: <sip:a@b>\r\nCall-ID: 7d3f0a1c2b4e5d6f708192a3b4c5d6e7@192.0.2.41\r\nCSeq: 1 INVITE\r\nMax-Forwards: 69\r\n" +
		"Content-Type: application/sdp\r\nContent-Length: 264\r\n\r\n" + string(m.Body)
	if string(b) != want {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
	parsed(t, b)
}

func TestAppendResponseAllocatesNothing(t *testing.T) {
	m := parsed(t, carrierINVITE)
	out := make([]byte, 0, 4096)
	src, tag := addrPort("[2001:db8::1]:5060"), []byte("us")
	if n := testing.AllocsPerRun(100, func() {
		out = AppendBody(AppendLines(AppendResponse(out[:0], m, 180, "", tag, src), m, HRecordRoute), "application/sdp", m.Body)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestValidValue(t *testing.T) {
	for value, want := range map[string]bool{"": true, "a\tb": true, "Ünïcode": true, "a\r\nX: y": false, "a\nb": false, "a\x00": false, "\x7f": false} {
		if ValidValue(value) != want {
			t.Errorf("ValidValue(%q) = %v", value, !want)
		}
	}
}

func TestAppendQuoted(t *testing.T) {
	for _, text := range []string{"", "plain", `a "b" \`, `\"`, "Ünïcode, <x>;"} {
		b := append(AppendQuoted(nil, text), " <sip:a@b>"...)
		a, err := ParseAddress(b)
		if err != nil || strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(string(a.Display)) != text {
			t.Errorf("%q is written %s and read %q, %v", text, b, a.Display, err)
		}
	}
}

func TestAppendUser(t *testing.T) {
	for user, want := range map[string]string{
		"+14155550100": "+14155550100", "bob@example.com": "bob%40example.com", "a:b c%23#": "a%3Ab%20c%2523%23",
		"-_.!~*'()&=+$,;?/": "-_.!~*'()&=+$,;?/", "Jürg\r\n": "J%C3%BCrg%0D%0A",
	} {
		got := AppendUser(nil, user)
		if string(got) != want {
			t.Errorf("%q is written %s, want %s", user, got, want)
		}
		if u, err := ParseURI(append(append([]byte("sip:"), got...), "@h"...)); err != nil || string(u.User) != want || string(u.Host) != "h" {
			t.Errorf("%s is read %q @ %q, %v", got, u.User, u.Host, err)
		}
	}
}

func TestReasonPhrase(t *testing.T) {
	for status, want := range map[int]string{100: "Trying", 183: "Session Progress", 200: "OK", 299: "OK", 399: "Multiple Choices", 481: "Call/Transaction Does Not Exist", 499: "Bad Request", 599: "Server Internal Error", 603: "Decline", 699: "Busy Everywhere"} {
		if got := ReasonPhrase(status); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
	for status := 100; status < 700; status++ {
		if ReasonPhrase(status) == "" {
			t.Errorf("%d has none", status)
		}
	}
}
