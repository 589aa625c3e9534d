package digest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"trunkline/sip/wire"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// refusal is a 401 or 407 with these header lines.
func refusal(t testing.TB, status int, lines ...string) *wire.Message {
	t.Helper()
	text := fmt.Sprintf("SIP/2.0 %d Challenge\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n", status)
	if len(lines) > 0 {
		text += strings.Join(lines, "\r\n") + "\r\n"
	}
	m := new(wire.Message)
	if err := m.Parse([]byte(text + "Content-Length: 0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	return m
}

const www, prx = "WWW-Authenticate: Digest ", "Proxy-Authenticate: Digest "

var account = Credentials{Username: "bob", Password: "zanzibar"}

// client is a cache in the course of one attempt.
type client struct {
	t *testing.T
	*Cache
	now time.Time
	a   Attempt
}

func newClient(t *testing.T, c Credentials) *client {
	return &client{t: t, Cache: NewCache(c, 0), now: begin}
}

var uri = []byte("sip:+14155550100@carrier.example;user=phone")

// lines returns the credentials of the next request.
func (c *client) lines() []string {
	c.t.Helper()
	text := string(c.Authorize(nil, c.now, "INVITE", uri, &c.a))
	if text == "" {
		return nil
	}
	if !strings.HasSuffix(text, "\r\n") {
		c.t.Errorf("no whole lines: %q", text)
	}
	return strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
}

// one returns the only line, read, after its response was checked.
func (c *client) one() challenge {
	c.t.Helper()
	lines := c.lines()
	if len(lines) != 1 {
		c.t.Fatalf("%d lines, want one: %q", len(lines), lines)
	}
	return c.check(lines[0])
}

// check recomputes the response of a line as a server would.
func (c *client) check(line string) (got challenge) {
	c.t.Helper()
	_, value, _ := strings.Cut(line, ": ")
	for got = range challenges([]byte(value)) {
		a, ok := algorithmNamed(got.algorithm)
		if !ok {
			c.t.Fatalf("algorithm %q", got.algorithm)
		}
		p := proof{algorithm: a, secret: AppendSecret(nil, a, c.credentials.Username, string(got.realm), c.credentials.Password),
			nonce: got.nonce, cnonce: got.cnonce, nc: got.nc, qop: string(got.qop), method: "INVITE", uri: uri}
		if want, _ := p.appendResponse(nil, nil); string(want) != string(got.response) {
			c.t.Errorf("response %s, want %s in %s", got.response, want, line)
		}
		if string(got.uri) != string(uri) {
			c.t.Errorf("uri %q", got.uri)
		}
	}
	return got
}

func (c *client) challenged(want error, status int, lines ...string) {
	c.t.Helper()
	if err := c.Challenged(c.now, refusal(c.t, status, lines...), &c.a); !errors.Is(err, want) {
		c.t.Fatalf("Challenged: %v, want %v", err, want)
	}
}

func TestAUTH01(t *testing.T) {
	for _, test := range []struct {
		name, challenge string
		want            string // part of the line, in order
	}{
		{"qop=auth", `realm="biloxi.com", nonce="n1", opaque="o1", algorithm=MD5, qop="auth,auth-int"`,
			`Authorization: Digest username="bob", realm="biloxi.com", nonce="n1", uri="sip:+14155550100@carrier.example;user=phone", response="*", algorithm=MD5, cnonce="*", opaque="o1", qop=auth, nc=00000001`},
		{"without qop", `realm="biloxi.com", nonce="n1"`,
			`Authorization: Digest username="bob", realm="biloxi.com", nonce="n1", uri="sip:+14155550100@carrier.example;user=phone", response="*"`},
		{"an empty opaque is sent back", `realm="biloxi.com", nonce="n1", opaque=""`, `*, opaque=""`},
		{"SHA-256", `realm="biloxi.com", nonce="n1", algorithm=sha-256, qop=auth`, `*, algorithm=SHA-256, *, qop=auth, nc=00000001`},
		{"SHA-512-256", `realm="biloxi.com", nonce="n1", algorithm="SHA-512-256", qop="auth"`, `*, algorithm=SHA-512-256, *`},
		{"MD5-sess", `realm="biloxi.com", nonce="n1", algorithm=MD5-sess, qop="auth"`, `*, algorithm=MD5-sess, cnonce="*", qop=auth, nc=00000001`},
		{"SHA-256-sess without qop", `realm="biloxi.com", nonce="n1", algorithm=SHA-256-sess`, `*, algorithm=SHA-256-sess, cnonce="*"`},
		{"escapes stay as they are", `realm="a \"b\"", nonce="n\\1", opaque="\""`, `* realm="a \"b\"", nonce="n\\1", *, opaque="\""`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, account)
			if lines := c.lines(); lines != nil {
				t.Errorf("credentials before any challenge: %q", lines)
			}
			c.challenged(nil, 401, www+test.challenge)
			line := c.lines()[0]
			c.check(line)
			if !matches(line, test.want) {
				t.Errorf("line\n%s\nwant\n%s", line, test.want)
			}
		})
	}
	t.Run("407 is answered with Proxy-Authorization", func(t *testing.T) {
		c := newClient(t, account)
		c.challenged(nil, 407, prx+`realm="p", nonce="n1"`)
		if line := c.lines()[0]; !strings.HasPrefix(line, `Proxy-Authorization: Digest username="bob", realm="p"`) {
			t.Error(line)
		}
	})
	t.Run("a user name with quotes", func(t *testing.T) {
		c := newClient(t, Credentials{Username: `b"o\b`, Password: "x"})
		c.challenged(nil, 401, www+`realm="r", nonce="n1", qop="auth"`)
		line := c.lines()[0]
		c.check(line)
		if !matches(line, `*username="b\"o\\b", *`) {
			t.Error(line)
		}
	})
}

// matches compares with a pattern in which * stands for anything.
func matches(s, pattern string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	for _, p := range parts {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return s == "" || strings.HasSuffix(pattern, "*")
}

func TestAUTH04(t *testing.T) {
	const n1, n2, n3 = `realm="r", qop="auth", nonce="1"`, `realm="r", qop="auth", nonce="2"`, `realm="r", qop="auth", nonce="3"`
	const stale = ", stale=true"
	type step struct {
		challenge string
		want      error
	}
	for _, test := range []struct {
		name    string
		earlier string // challenge of an earlier request
		steps   []step
	}{
		{"wrong password, same nonce", "", []step{{n1, nil}, {n1, ErrRejected}}},
		{"wrong password, fresh nonce each time", "", []step{{n1, nil}, {n2, ErrRejected}}},
		{"stale once", "", []step{{n1, nil}, {n2 + stale, nil}}},
		{"stale, then refused", "", []step{{n1, nil}, {n2 + stale, nil}, {n3, ErrRejected}}},
		{"stale for ever", "", []step{{n1, nil}, {n2 + stale, nil}, {n3 + stale, ErrRejected}}},
		{"an old nonce grew stale", n1, []step{{n2 + stale, nil}, {n3, ErrRejected}}},
		{"an old nonce is refused without a word of stale", n1, []step{{n2, nil}, {n3, ErrRejected}}},
		{"an old nonce refused, then stale", n1, []step{{n2, nil}, {n3 + stale, nil}, {n1, ErrRejected}}},
		{"the password was changed: same nonce refused", n1, []step{{n1, ErrRejected}}},
		{"the same nonce called stale", n1, []step{{n1 + stale, nil}, {n1, ErrRejected}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, account)
			if test.earlier != "" {
				c.challenged(nil, 401, www+test.earlier)
				c.lines()
				c.a = Attempt{}
			}
			c.lines()
			for _, s := range test.steps {
				c.challenged(s.want, 401, www+s.challenge)
				if s.want == nil {
					c.one()
				}
			}
		})
	}
	t.Run("a refused password goes out once a request", func(t *testing.T) {
		c := newClient(t, account)
		for range 3 {
			c.a = Attempt{}
			if n := len(c.lines()); n != 0 {
				t.Fatalf("%d lines unasked after a refusal", n)
			}
			c.challenged(nil, 401, www+n1)
			c.one()
			c.challenged(ErrRejected, 401, www+n1)
		}
		c.a = Attempt{} // and once it is accepted again, nobody has to ask
		c.challenged(nil, 401, www+n2)
		c.one()
		c.a = Attempt{}
		c.one()
	})
	t.Run("a flood of realms ends", func(t *testing.T) {
		c := newClient(t, account)
		for i := range maxRounds {
			c.challenged(nil, 407, prx+fmt.Sprintf(`realm="r%d", nonce="1"`, i))
			if n := len(c.lines()); n > maxSpaces {
				t.Fatalf("%d lines", n)
			}
		}
		c.challenged(ErrRejected, 407, prx+`realm="x", nonce="1"`)
	})
}

func TestAUTH05(t *testing.T) {
	sha512, sha256, md5 := `realm="r", nonce="512", algorithm=SHA-512-256, qop="auth"`, `realm="r", nonce="256", algorithm=SHA-256, qop="auth"`, `realm="r", nonce="5", algorithm=MD5, qop="auth"`
	for _, test := range []struct {
		name  string
		lines []string
		want  string // nonce
	}{
		{"the topmost", []string{www + sha512, www + sha256, www + md5}, "512"},
		{"the topmost, whatever it is", []string{www + md5, www + sha256}, "5"},
		{"the topmost supported", []string{www + `realm="r", nonce="x", algorithm=AKAv1-MD5`, www + sha256, www + md5}, "256"},
		{"the topmost with a supported qop", []string{www + `realm="r", nonce="x", algorithm=SHA-256, qop="auth-int"`, www + md5}, "5"},
		{"in one header", []string{www + sha256 + ", Digest " + md5}, "256"},
		{"past a challenge without nonce", []string{www + `realm="r"`, www + md5}, "5"},
		{"past another scheme", []string{`WWW-Authenticate: Bearer realm="r"`, www + md5}, "5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, account)
			c.challenged(nil, 401, test.lines...)
			if got := c.one(); string(got.nonce) != test.want {
				t.Errorf("answered %s, want %s", got.nonce, test.want)
			}
		})
	}
	for _, test := range []struct {
		name  string
		lines []string
		want  error
	}{
		{"nothing", nil, ErrNoChallenge},
		{"Basic", []string{`WWW-Authenticate: Basic realm="r"`}, ErrNoChallenge},
		{"no realm", []string{www + `nonce="1"`}, ErrNoChallenge},
		{"unknown algorithm", []string{www + `realm="r", nonce="1", algorithm=SHA-1`}, ErrUnsupported},
		{"auth-int only", []string{www + `realm="r", nonce="1", qop="auth-int"`}, ErrUnsupported},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, account)
			c.challenged(test.want, 401, test.lines...)
			if lines := c.lines(); lines != nil {
				t.Errorf("answered: %q", lines)
			}
		})
	}
}

func TestAUTH06(t *testing.T) {
	t.Run("nc rises while a nonce is used", func(t *testing.T) {
		for _, algorithm := range []string{"MD5", "SHA-256", "SHA-256-sess"} {
			c := newClient(t, account)
			c.challenged(nil, 401, www+`realm="r", nonce="1", qop="auth", algorithm=`+algorithm)
			var cnonces []string
			for i := range 20 {
				got := c.one()
				if want := fmt.Sprintf("%08x", i+1); string(got.nc) != want {
					t.Errorf("nc %s, want %s", got.nc, want)
				}
				cnonces = append(cnonces, string(got.cnonce))
				c.a = Attempt{} // the next request, with credentials before it is asked
			}
			// The session of a -sess algorithm keeps its cnonce (RFC 7616 §3.4.2).
			if same := cnonces[0] == cnonces[1]; same != strings.HasSuffix(algorithm, "sess") {
				t.Errorf("%s: cnonces %v", algorithm, cnonces[:2])
			}
			c.challenged(nil, 401, www+`realm="r", nonce="2", qop="auth", stale=true`)
			if got := c.one(); string(got.nc) != "00000001" || string(got.nonce) != "2" {
				t.Errorf("nc %s of nonce %s", got.nc, got.nonce)
			}
		}
	})
	t.Run("401 and 407 from two hops in one request", func(t *testing.T) {
		c := newClient(t, account)
		c.challenged(nil, 407, prx+`realm="hop", nonce="p1", qop="auth"`)
		if n := len(c.lines()); n != 1 {
			t.Fatalf("%d lines", n)
		}
		c.challenged(nil, 401, www+`realm="server", nonce="w1", qop="auth"`)
		lines := c.lines()
		if len(lines) != 2 {
			t.Fatalf("lines %q", lines)
		}
		var proxy, server string
		for _, line := range lines {
			c.check(line)
			if strings.HasPrefix(line, "Proxy-") {
				proxy = line
			} else {
				server = line
			}
		}
		if !matches(proxy, `*realm="hop"*nc=00000002`) || !matches(server, `*realm="server"*nc=00000001`) {
			t.Errorf("%s\n%s", proxy, server)
		}
		c.challenged(ErrRejected, 401, www+`realm="server", nonce="w2", qop="auth"`)
	})
	t.Run("both in one response", func(t *testing.T) {
		c := newClient(t, account)
		c.challenged(nil, 407, prx+`realm="hop", nonce="p1"`, www+`realm="server", nonce="w1"`)
		if n := len(c.lines()); n != 2 {
			t.Fatalf("%d lines", n)
		}
	})
	t.Run("nextnonce", func(t *testing.T) {
		c := newClient(t, account)
		c.challenged(nil, 401, www+`realm="r", nonce="1", qop="auth"`)
		c.one()
		c.Accepted(c.now, refusal(t, 200, "Contact: <sip:b@c>", `Authentication-Info: qop=auth, rspauth="", nextnonce="2"`))
		c.a = Attempt{}
		if got := c.one(); string(got.nonce) != "2" || string(got.nc) != "00000001" {
			t.Errorf("nonce %s, nc %s", got.nonce, got.nc)
		}
		c.Accepted(c.now, refusal(t, 200, "Contact: <sip:b@c>", `Authentication-Info: qop=auth`, `Proxy-Authentication-Info: nextnonce="3"`))
		if got := c.one(); string(got.nonce) != "2" {
			t.Errorf("nonce %s", got.nonce)
		}
	})
	t.Run("an old nonce is not sent unasked", func(t *testing.T) {
		c := newClient(t, account)
		c.challenged(nil, 401, www+`realm="r", nonce="1"`)
		c.one()
		c.now = c.now.Add(usualAge + time.Second)
		c.one() // the same attempt still has it
		c.a = Attempt{}
		if lines := c.lines(); lines != nil {
			t.Errorf("sent %q", lines)
		}
	})
	t.Run("nonces for one request each are noticed", func(t *testing.T) {
		c := newClient(t, account)
		requests, calls := 0, 20
		for i := range calls {
			c.a = Attempt{}
			for try := range 3 {
				requests++
				if lines := c.lines(); len(lines) == 1 && c.check(lines[0]).ncIs(1) {
					break
				}
				c.challenged(nil, 401, www+fmt.Sprintf(`realm="r", nonce="%d-%d", qop="auth"`, i, try))
			}
			c.now = c.now.Add(time.Second)
		}
		if requests != 2*calls {
			t.Errorf("%d requests for %d calls", requests, calls)
		}
		if lines := c.lines(); len(lines) != 1 {
			t.Error("the attempt lost its credentials")
		}
		if c.a = (Attempt{}); c.lines() != nil {
			t.Error("still sent unasked")
		}
	})
}

func (c challenge) ncIs(n uint32) bool {
	got, _ := parseCount(c.nc)
	return got == n
}

func TestAUTH07(t *testing.T) {
	c := newClient(t, Credentials{Username: "bob", Password: "zanzibar", Realm: "carrier.example"})
	c.challenged(ErrRealm, 401, www+`realm="evil.example", nonce="1"`)
	if lines := c.lines(); lines != nil {
		t.Fatalf("credentials for another realm: %q", lines)
	}
	c.challenged(nil, 401, www+`realm="evil.example", nonce="1"`, www+`realm="carrier.example", nonce="2"`)
	if got := c.one(); string(got.realm) != "carrier.example" {
		t.Errorf("answered realm %s", got.realm)
	}
	c.challenged(ErrRealm, 407, prx+`realm="Carrier.example", nonce="1"`)

	for _, none := range []Credentials{{}, {Password: "x"}, {Username: "bob\r\nX: y", Password: "x"}} {
		c := newClient(t, none)
		c.challenged(ErrNoCredentials, 401, www+`realm="r", nonce="1"`)
		if lines := c.lines(); lines != nil {
			t.Errorf("sent %q", lines)
		}
	}
}

// TestNoSecretInErrorsOrLines: neither the password nor its hash leaves the cache.
func TestNoSecretInErrorsOrLines(t *testing.T) {
	c := newClient(t, account)
	c.challenged(nil, 401, www+`realm="r", nonce="1", qop="auth"`)
	line := c.lines()[0]
	if secret := string(AppendSecret(nil, MD5, "bob", "r", "zanzibar")); strings.Contains(line, secret) || strings.Contains(line, "zanzibar") {
		t.Error(line)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		b.Run(algorithm, func(b *testing.B) {
			c := NewCache(account, 0)
			var a Attempt
			if err := c.Challenged(begin, refusal(b, 407, prx+`realm="r", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth", algorithm=`+algorithm), &a); err != nil {
				b.Fatal(err)
			}
			var line []byte
			b.ReportAllocs()
			for b.Loop() {
				var a Attempt
				line = c.Authorize(line[:0], begin, "INVITE", uri, &a)
			}
		})
	}
}

func BenchmarkChallenged(b *testing.B) {
	c := NewCache(account, 0)
	m := refusal(b, 407, prx+`realm="r", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth", algorithm=MD5`)
	b.ReportAllocs()
	for b.Loop() {
		var a Attempt
		if err := c.Challenged(begin, m, &a); err != nil {
			b.Fatal(err)
		}
	}
}
