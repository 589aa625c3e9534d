package digest

import (
	"fmt"
	"strings"
	"testing"
)

func TestChallenges(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"one", `Digest realm="atlanta.com", nonce="abc", opaque="", algorithm=MD5, qop="auth"`,
			"atlanta.com abc opaque= MD5 qop=auth"},
		{"two in one header", `Digest realm="a", nonce="1", algorithm=SHA-256, Digest realm="a", nonce="2", algorithm=MD5`,
			"a 1 SHA-256; a 2 MD5"},
		{"another scheme between", `Digest realm="a", nonce="1", Bearer scope="x y", error="e", digest realm="b", nonce="2"`,
			"a 1; b 2"},
		{"a scheme with a bare token", `Negotiate YWJj==, Digest realm="a", nonce="1"`, "a 1"},
		{"odd quoting", `Digest realm=atlanta.com,nonce=a:b/c==,algorithm="MD5",qop=auth,stale="TRUE"`,
			"atlanta.com a:b/c== MD5 qop=auth stale"},
		{"odd spacing and case", "DIGEST  REALM = \"a\" ,, Nonce=\"1\"\t,\tSTALE=true , ", "a 1 stale"},
		{"no commas", `Digest realm="a" nonce="1" stale=false`, "a 1"},
		{"commas and escapes inside quotes", `Digest realm="a, \"b\" Digest c=d", nonce="1,2"`, `a, \"b\" Digest c=d 1,2`},
		{"unknown parameters", `Digest realm="a", domain="sip:x", nonce="1", charset=UTF-8, x=`, "a 1"},
		{"the first of two counts", `Digest realm="a", realm="b", nonce="1", nonce="2"`, "a 1"},
		{"a quote left open", `Digest realm="a", nonce="1`, ""},
		{"the good one before a broken one", `Digest realm="a", nonce="1", Digest realm="b", nonce="2`, "a 1"},
		{"a quote within a bare value", `Digest realm=a"b, nonce="1"`, ""},
		{"an escape within a bare value", `Digest realm=a\, nonce="1"`, ""},
		{"empty", ``, ""},
		{"no scheme", `realm="a", nonce="1"`, ""},
		{"Basic only", `Basic realm="a"`, ""},
		{"a parameter without a name", `Digest ="a", nonce="1"`, ""},
		{"too long", `Digest realm="a", nonce="` + strings.Repeat("x", maxParameter+1) + `"`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for c := range challenges([]byte(test.value)) {
				s := fmt.Sprintf("%s %s", c.realm, c.nonce)
				if c.hasOpaque {
					s += " opaque=" + string(c.opaque)
				}
				if len(c.algorithm) > 0 {
					s += " " + string(c.algorithm)
				}
				if c.hasQop {
					s += " qop=" + string(c.qop)
				}
				if c.stale {
					s += " stale"
				}
				got = append(got, s)
			}
			if s := strings.Join(got, "; "); s != test.want {
				t.Errorf("read %q, want %q", s, test.want)
			}
		})
	}
}

func TestQopList(t *testing.T) {
	for _, test := range []struct {
		qop      string
		auth, ok bool
	}{
		{`qop="auth"`, true, true},
		{`qop="auth-int, auth"`, true, true},
		{`qop="auth-int,AUTH "`, true, true},
		{`qop="auth-int"`, false, false},
		{`qop=""`, false, true},
		{`x=y`, false, true},
	} {
		for c := range challenges([]byte(`Digest realm="a", ` + test.qop)) {
			if auth, ok := c.offersAuth(); auth != test.auth || ok != test.ok {
				t.Errorf("%s: %v %v, want %v %v", test.qop, auth, ok, test.auth, test.ok)
			}
		}
	}
}

func FuzzChallenges(f *testing.F) {
	for _, s := range []string{
		`Digest realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth", nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="", stale=FALSE, algorithm=MD5`,
		`Digest realm="a",nonce="1",Digest realm="a, \"b\"",nonce="2",qop="auth-int, auth",stale=true`,
		`Bearer a="b" Digest realm=a nonce=b:c==,,opaque=`,
		`Digest realm="\`, `Digest =`, ` , ,`, `Digest a="b`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		before := string(value)
		for c := range challenges(value) {
			for _, part := range [][]byte{c.realm, c.nonce, c.opaque, c.qop, c.algorithm, c.nextNonce} {
				if len(part) > maxParameter || !strings.Contains(before, string(part)) {
					t.Fatalf("%q came out of %q", part, before)
				}
			}
			// What is sent back between quotes must be read as it was.
			line := fmt.Sprintf("Digest realm=\"%s\", nonce=\"%s\"", c.realm, c.nonce)
			for again := range challenges([]byte(line)) {
				if string(again.realm) != string(c.realm) || string(again.nonce) != string(c.nonce) {
					t.Fatalf("%q is read as %q %q", line, again.realm, again.nonce)
				}
			}
		}
		if string(value) != before {
			t.Fatal("the input was changed")
		}
	})
}
