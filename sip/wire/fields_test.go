package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	for _, row := range []struct{ name, uri, want string }{
		{"host only", "sip:example.com", "sip user= pass= host=example.com port=0 params= headers="},
		{"everything", "sips:alice;x=1:pw@example.com:5061;transport=tls;lr?Subject=hi&Route=x", "sips user=alice;x=1 pass=pw host=example.com port=5061 params=;transport=tls;lr headers=?Subject=hi&Route=x"},
		{"PAR-08/number with plus and escapes", "sip:+1%2B415#;a,b@[2001:db8::1]:5060", "sip user=+1%2B415#;a,b pass= host=[2001:db8::1] port=5060 params= headers="},
		{"PAR-06/scheme in upper case", "SIP:a@b", "SIP user=a pass= host=b port=0 params= headers="},
		{"tel", "tel:+14155550100;phone-context=x", "tel user=+14155550100 pass= host= port=0 params=;phone-context=x headers="},
		{"another scheme is not taken apart", "urn:service:sos", "urn user= pass= host= port=0 params= headers="},
		{"empty password", "sip:a:@b", "sip user=a pass= host=b port=0 params= headers="},
		{"a semicolon too many", "sip:a@b;;lr;", "sip user=a pass= host=b port=0 params=;;lr; headers="},
		{"underscore in the host", "sip:a@my_pbx", "sip user=a pass= host=my_pbx port=0 params= headers="},
		{"an at sign in what could be headers makes a user", "sip:h?x=a@b", "sip user=h?x=a pass= host=b port=0 params= headers="},
		{"no host", "sip:", "broken"},
		{"no host behind the user", "sip:a@", "broken"},
		{"no user", "sip:@b", "broken"},
		{"no scheme", "a@b", "broken"},
		{"scheme begins with a digit", "1sip:b", "broken"},
		{"empty", "", "broken"},
		{"blank inside", "sip:a b@c", "broken"},
		{"blank at the end", "sip:a@c ", "broken"},
		{"quote", `sip:a"b@c`, "broken"},
		{"angle bracket", "sip:a@b>", "broken"},
		{"port 0", "sip:a@b:0", "broken"},
		{"port 65536", "sip:a@b:65536", "broken"},
		{"port 2^64+5060", "sip:a@b:18446744073709556676", "broken"},
		{"no port behind the colon", "sip:a@b:", "broken"},
		{"port with letters", "sip:a@b:50x", "broken"},
		{"escape cut short", "sip:a%4@b", "broken"},
		{"escape at the end", "sip:a@b;x=%4", "broken"},
		{"letters in IPv6", "sip:[2001:db8::g]", "broken"},
		{"empty IPv6", "sip:[]", "broken"},
		{"bytes above ASCII", "sip:ä@b", "broken"},
		{"double slash", "sip://b", "broken"},
		{"opaque without content", "urn:", "broken"},
		{"opaque with a blank", "urn:a b", "broken"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, err := ParseURI([]byte(row.uri))
			got := fmt.Sprintf("%s user=%s pass=%s host=%s port=%d params=%s headers=%s", u.Scheme, u.User, u.Password, u.Host, u.Port, u.Params, u.Headers)
			if err != nil {
				got = "broken"
			}
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestURIParam(t *testing.T) {
	u, err := ParseURI([]byte("sip:a@b;Transport=TCP;lr;;maddr=;x=y=z"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"transport": "TCP true", "LR": " true", "maddr": " true", "x": "y=z true", "l": " false", "": " true"} {
		if v, ok := u.Param(name); fmt.Sprintf("%s %v", v, ok) != want {
			t.Errorf("%s: %s %v, want %s", name, v, ok, want)
		}
	}
	if v, _ := u.Param("lr"); v != nil {
		t.Error("lr has a value")
	}
}

func TestParseAddress(t *testing.T) {
	for _, row := range []struct{ name, address, want string }{
		{"name-addr", `"Alice" <sip:a@b>;tag=1;x="y z"`, `Alice|sip:a@b|1|;tag=1;x="y z"`},
		{"escapes in the display name", `"A \"<sip:no>\" \\" <sip:a@b>`, `A \"<sip:no>\" \\|sip:a@b||`},
		{"tokens as display name", `Alice  B. <sip:a@b>`, `Alice  B.|sip:a@b||`},
		{"no display name", `<sip:a;x=1@b;lr?h=i>;tag=1`, `|sip:a;x=1@b;lr?h=i|1|;tag=1`},
		{"addr-spec", `sip:a@b;tag=1`, `|sip:a@b|1|;tag=1`},
		{"empty display name", `"" <sip:a@b>`, `|sip:a@b||`},
		{"blanks", ` "A" <sip:a@b> ; tag = 1 `, `A|sip:a@b|1|; tag = 1`},
		{"a colon in an unquoted display name", `Tel: 1 <sip:a@b>`, `Tel: 1|sip:a@b||`},
		{"tel", `<tel:+1>`, `|tel:+1||`},
		{"the tag inside the URI is not ours", `<sip:a@b;tag=no>;tag=yes`, `|sip:a@b;tag=no|yes|;tag=yes`},
		{"parameter of an instance", `<sip:a@b>;+sip.instance="<urn:uuid:1>"`, `|sip:a@b||;+sip.instance="<urn:uuid:1>"`},
		{"empty", ``, "broken"},
		{"open quote", `"A <sip:a@b>`, "broken"},
		{"quote behind a backslash", `"A\" <sip:a@b>`, "broken"},
		{"nothing behind the quote", `"A"`, "broken"},
		{"no bracket behind the quote", `"A" sip:a@b`, "broken"},
		{"text behind the quote", `"A" B <sip:a@b>`, "broken"},
		{"quote in the middle", `A "B" <sip:a@b>`, "broken"},
		{"comma without quotes", `A, B <sip:a@b>`, "broken"},
		{"open bracket", `<sip:a@b`, "broken"},
		{"text behind the bracket", `<sip:a@b> x`, "broken"},
		{"blank in brackets", `< sip:a@b>`, "broken"},
		{"question mark without brackets", `sip:a@b?x=y`, "broken"},
		{"semicolon in a user without brackets", `sip:a;x=y@b`, "broken"},
		{"empty parameter", `<sip:a@b>;;tag=1`, "broken"},
		{"semicolon at the end", `<sip:a@b>;tag=1;`, "broken"},
		{"empty tag", `<sip:a@b>;tag=`, "broken"},
		{"tag without value", `<sip:a@b>;tag`, "broken"},
		{"quoted tag", `<sip:a@b>;tag="x"`, "broken"},
		{"two tags", `<sip:a@b>;tag=x;TAG=x`, "broken"},
		{"two addresses", `<sip:a@b>,<sip:c@d>`, "broken"},
		{"bare word", `alice`, "broken"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, err := ParseAddress([]byte(row.address))
			got := fmt.Sprintf("%s|%s|%s|%s", a.Display, a.URI, a.Tag, a.Params)
			if err != nil {
				got = "broken"
			}
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestAddressParam(t *testing.T) {
	a, err := ParseAddress([]byte(`<sip:a@b>;Privacy=full;x="a;reason=no\"";reason=unconditional;flag;e=`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"privacy": "full true", "REASON": "unconditional true", "x": `a;reason=no\" true`, "flag": " true", "e": " true", "counter": " false"} {
		if v, ok := a.Param(name); fmt.Sprintf("%s %v", v, ok) != want {
			t.Errorf("%s: %s %v, want %s", name, v, ok, want)
		}
	}
}

// What AppendNameAddr writes from an Address reads the same again, whatever the display name.
func TestAppendNameAddr(t *testing.T) {
	for _, address := range []string{`<sip:a@b>`, `"A, \"B\" \\" <sip:a@b>`, `Müller (Büro): 1 <sip:a@b>`} {
		first, err := ParseAddress([]byte(address))
		if err != nil {
			t.Fatal(err)
		}
		second, err := ParseAddress(AppendNameAddr(nil, first.Display, first.URI))
		if err != nil || !bytes.Equal(first.Display, second.Display) || !bytes.Equal(first.URI, second.URI) {
			t.Errorf("%s: %q, then %q %v", address, first, second, err)
		}
	}
}

func TestParseVia(t *testing.T) {
	for _, row := range []struct{ name, via, want string }{
		{"plain", "SIP/2.0/UDP h:5060;branch=z9hG4bK1", "UDP h 5060 branch=z9hG4bK1 received= rport=false/0 by=h:5060"},
		{"everything", "SIP/2.0/TLS [2001:db8::1]:5061;rport=7;received=192.0.2.1;branch=z9hG4bK1;ttl=1;maddr=x", "TLS [2001:db8::1] 5061 branch=z9hG4bK1 received=192.0.2.1 rport=true/7 by=[2001:db8::1]:5061"},
		{"rport asked with an equals sign", "SIP/2.0/UDP h;rport=;branch=z9hG4bK1", "UDP h 0 branch=z9hG4bK1 received= rport=true/0 by=h"},
		{"RFC 2543", "SIP/2.0/UDP h", "UDP h 0 branch= received= rport=false/0 by=h"},
		{"another protocol version", "SIP/7.0/UDP h", "UDP h 0 branch= received= rport=false/0 by=h"},
		{"two slashes missing", "SIP UDP h", "broken"},
		{"no sent-by", "SIP/2.0/UDP ", "broken"},
		{"no blank", "SIP/2.0/UDPh", "broken"},
		{"two hosts", "SIP/2.0/UDP h i", "broken"},
		{"empty branch", "SIP/2.0/UDP h;branch=", "broken"},
		{"branch without value", "SIP/2.0/UDP h;branch", "broken"},
		{"bare cookie", "SIP/2.0/UDP h;branch=z9hG4bK", "broken"},
		{"rport 65536", "SIP/2.0/UDP h;rport=65536", "broken"},
		{"rport in letters", "SIP/2.0/UDP h;rport=x", "broken"},
		{"two rports", "SIP/2.0/UDP h;rport;rport=1", "broken"},
		{"port in letters", "SIP/2.0/UDP h:x", "broken"},
		{"list", "SIP/2.0/UDP h,SIP/2.0/UDP i", "broken"},
		{"empty", "", "broken"},
	} {
		t.Run(row.name, func(t *testing.T) {
			v, err := ParseVia([]byte(row.via))
			got := fmt.Sprintf("%s %s %d branch=%s received=%s rport=%v/%d by=%s", v.Transport, v.Host, v.Port, v.Branch, v.Received, v.RPort, v.RPortValue, v.SentBy())
			if err != nil {
				got = "broken"
			}
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestHostAddr(t *testing.T) {
	for host, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "[2001:db8::1]": "2001:db8::1", "2001:db8::1": "2001:db8::1", "255.255.255.255": "255.255.255.255",
		"": "", "192.0.2": "", "192.0.2.1.5": "", "192.0.2.256": "", "192.0.2.": "", ".192.0.2": "", "1922.0.2.1": "", "example.com": "", "1.2.3.x": "", "[2001:db8:::1]": "",
	} {
		a, ok := HostAddr([]byte(host))
		if ok != (want != "") || ok && a != netip.MustParseAddr(want) {
			t.Errorf("%s: %v %v", host, a, ok)
		}
	}
}

func TestLookupHeader(t *testing.T) {
	for id := HOther + 1; id < numIDs; id++ {
		name := id.String()
		for _, n := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := LookupHeader([]byte(n)); got != id {
				t.Errorf("%s is %v", n, got)
			}
		}
		for i := range len(name) {
			spoilt := []byte(name)
			spoilt[i] ^= 1
			if got := LookupHeader(spoilt); got == id {
				t.Errorf("%s is %v", spoilt, got)
			}
		}
		if got := LookupHeader([]byte(name + "x")); got == id {
			t.Errorf("%sx is %v", name, got)
		}
		if c := headerNames[id].compact; c != 0 {
			if LookupHeader([]byte{c}) != id || LookupHeader([]byte{c - 'a' + 'A'}) != id {
				t.Errorf("%c is not %s", c, name)
			}
		}
	}
	for _, name := range []string{"", ":", "z", "X-Unknown", "Content_Length", strings.Repeat("x", 100)} {
		if got := LookupHeader([]byte(name)); got != HOther {
			t.Errorf("%q is %v", name, got)
		}
	}
}

func TestParseMethod(t *testing.T) {
	for m := INVITE; m <= PUBLISH; m++ {
		if ParseMethod([]byte(m.String())) != m || ParseMethod([]byte(strings.ToLower(m.String()))) != Unknown {
			t.Errorf("%v", m)
		}
	}
	if Method(200).String() != "UNKNOWN" || ParseMethod([]byte("UNKNOWN")) != Unknown {
		t.Error("UNKNOWN is no method")
	}
}

func TestSplitList(t *testing.T) {
	for _, row := range []struct{ list, want string }{
		{"a, b ,c", "a|b|c"}, {"a", "a"}, {"", ""}, {",, a ,", "a"},
		{`"x, \"y" <sip:a,b@c>, <sip:d,e>;q="1,2"`, `"x, \"y" <sip:a,b@c>|<sip:d,e>;q="1,2"`},
		{`a, "open, b`, `a|"open, b`}, {"<a,b", "<a,b"},
	} {
		var got []string
		for one := range SplitList([]byte(row.list)) {
			got = append(got, string(one))
		}
		if strings.Join(got, "|") != row.want {
			t.Errorf("%s: %q", row.list, got)
		}
	}
	for range SplitList([]byte("a,b")) {
		break
	}
}

func TestMessageHeaders(t *testing.T) {
	m := parsed(t, edited(options, "+Require: 100rel;x, Timer", "+Require: replaces", "+X-Own: a", "+x-own: b", "+Session-Expires: 1800;refresher=uac", "+Date: Tue"))
	if !m.HasToken(HRequire, "TIMER") || !m.HasToken(HRequire, "100rel") || !m.HasToken(HRequire, "replaces") || m.HasToken(HRequire, "rel") || m.HasToken(HSupported, "x") {
		t.Error("HasToken")
	}
	if string(m.GetName("X-OWN")) != "a" || m.GetName("X-Other") != nil {
		t.Error("GetName")
	}
	if n, ok := m.Number(HSessionExpires); !ok || n != 1800 {
		t.Error("Number of Session-Expires", n)
	}
	if _, ok := m.Number(HDate); ok {
		t.Error("Date has no number")
	}
	if _, ok := m.Number(HExpires); ok {
		t.Error("Expires is not there")
	}
	var lines []string
	for v := range m.All(HRequire) {
		lines = append(lines, string(v))
	}
	if strings.Join(lines, "|") != "100rel;x, Timer|replaces" {
		t.Errorf("All: %q", lines)
	}
	for range m.All(HRequire) {
		break
	}
	for range m.Values(HRequire) {
		break
	}
}
