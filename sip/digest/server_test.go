package digest

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/sip/wire"
)

var peer = netip.MustParseAddr("192.0.2.20")

func newServer(o ServerOptions) *Server {
	o.Realm = "edge.example"
	o.Secret = func(username string, a Algorithm) ([]byte, bool) {
		if username != "bob" {
			return nil, false
		}
		return AppendSecret(nil, a, username, "edge.example", "zanzibar"), true
	}
	return NewServer(o)
}

// request is an INVITE with these lines.
func request(t testing.TB, lines string) *wire.Message {
	t.Helper()
	m := new(wire.Message)
	text := "INVITE " + string(uri) + " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:a@b>\r\n" + lines + "Content-Length: 0\r\n\r\n"
	if err := m.Parse([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAUTH08(t *testing.T) {
	challenge := func(s *Server, now time.Time) []string {
		return strings.Split(strings.TrimSuffix(string(s.AppendChallenge(nil, now, peer, false)), "\r\n"), "\r\n")
	}
	t.Run("our own client gets in, with every algorithm and on either side", func(t *testing.T) {
		for _, proxy := range []bool{false, true} {
			for a := range numAlgorithms {
				s := newServer(ServerOptions{Proxy: proxy, Algorithms: []Algorithm{a}})
				c := newClient(t, account)
				if _, err := s.Check(begin, request(t, ""), peer); !errors.Is(err, ErrMissing) {
					t.Fatalf("no credentials: %v", err)
				}
				c.challenged(nil, 401, challenge(s, begin)...)
				for range 70 {
					user, err := s.Check(begin, request(t, c.lines()[0]+"\r\n"), peer)
					if err != nil || user != "bob" {
						t.Fatalf("%v: %q, %v", a, user, err)
					}
				}
			}
		}
	})
	t.Run("SHA-256 is offered before MD5", func(t *testing.T) {
		lines := challenge(newServer(ServerOptions{}), begin)
		if len(lines) != 2 || !strings.Contains(lines[0], "algorithm=SHA-256") || !strings.Contains(lines[1], "algorithm=MD5") {
			t.Errorf("%q", lines)
		}
	})
	t.Run("each challenge has its own nonce", func(t *testing.T) {
		s := newServer(ServerOptions{})
		if a, b := challenge(s, begin), challenge(s, begin); a[0] == b[0] {
			t.Errorf("%q twice", a[0])
		}
	})
	for _, test := range []struct {
		name string
		line func(line string) string
		at   time.Duration
		src  netip.Addr
		user string
		want error
	}{
		{name: "wrong password", user: "bob2", want: ErrRefused},
		{name: "unknown user", line: swap(`username="bob"`, `username="eve"`), want: ErrRefused},
		{name: "another method's response", line: swap("response=\"", "response=\"0"), want: ErrRefused},
		{name: "another URI", line: swap("user=phone\"", "user=ip\""), want: ErrRefused},
		{name: "another realm", line: swap(`realm="edge.example"`, `realm="other"`), want: ErrMissing},
		{name: "an algorithm not offered", line: swap("algorithm=SHA-256", "algorithm=SHA-512-256"), want: ErrRefused},
		{name: "without qop", line: swap("qop=auth", "x=auth"), want: ErrRefused},
		{name: "nc zero", line: swap("nc=00000001", "nc=00000000"), want: ErrRefused},
		{name: "nc no number", line: swap("nc=00000001", "nc=0000000g"), want: ErrRefused},
		{name: "nc too short", line: swap("nc=00000001", "nc=1"), want: ErrRefused},
		{name: "too late", at: 6 * time.Minute, want: ErrStale},
		{name: "from another address", src: netip.MustParseAddr("192.0.2.21"), want: ErrStale},
		{name: "in time", at: 4 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(ServerOptions{})
			c := newClient(t, account)
			if test.user != "" {
				c = newClient(t, Credentials{Username: "bob", Password: "wrong"})
			}
			c.challenged(nil, 401, challenge(s, begin)...)
			line := c.lines()[0] + "\r\n"
			if test.line != nil {
				changed := test.line(line)
				if changed == line {
					t.Fatalf("nothing to change in %s", line)
				}
				line = changed
			}
			src := peer
			if test.src.IsValid() {
				src = test.src
			}
			if user, err := s.Check(begin.Add(test.at), request(t, line), src); !errors.Is(err, test.want) {
				t.Errorf("%q, %v; want %v", user, err, test.want)
			}
		})
	}
	t.Run("a nonce of another server, or made up, is stale even with the right password", func(t *testing.T) {
		s := newServer(ServerOptions{})
		for _, nonce := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("-", 43)} {
			c := newClient(t, account)
			c.challenged(nil, 401, www+`realm="edge.example", algorithm=MD5, qop="auth", nonce="`+nonce+`"`)
			if _, err := s.Check(begin, request(t, c.lines()[0]+"\r\n"), peer); !errors.Is(err, ErrStale) {
				t.Errorf("nonce %q: %v", nonce, err)
			}
		}
		c := newClient(t, account)
		c.challenged(nil, 401, challenge(newServer(ServerOptions{}), begin)...)
		if _, err := s.Check(begin, request(t, c.lines()[0]+"\r\n"), peer); !errors.Is(err, ErrStale) {
			t.Error(err)
		}
		if stale := string(s.AppendChallenge(nil, begin, peer, true)); strings.Count(stale, "stale=true") != 2 {
			t.Error(stale)
		}
	})
	t.Run("replay is refused, disorder within 64 is not", func(t *testing.T) {
		s := newServer(ServerOptions{})
		c := newClient(t, account)
		c.challenged(nil, 401, challenge(s, begin)...)
		var lines []string
		for range 200 {
			lines = append(lines, c.lines()[0]+"\r\n")
		}
		for _, test := range []struct {
			count int
			want  error
		}{
			{1, nil}, {1, ErrReplay}, {3, nil}, {2, nil}, {2, ErrReplay}, {3, ErrReplay},
			{66, nil}, {4, nil}, {2, ErrReplay}, {200, nil}, {136, ErrReplay}, {137, nil}, {137, ErrReplay}, {200, ErrReplay},
		} {
			if _, err := s.Check(begin, request(t, lines[test.count-1]), peer); !errors.Is(err, test.want) {
				t.Errorf("nc %d: %v, want %v", test.count, err, test.want)
			}
		}
	})
	t.Run("memory is bounded and given back", func(t *testing.T) {
		s := newServer(ServerOptions{MaxNonces: 10})
		used := func(at time.Time) string {
			c := newClient(t, account)
			c.challenged(nil, 401, challenge(s, at)...)
			return c.lines()[0] + "\r\n"
		}
		var lines []string
		for i := range 25 {
			now := begin.Add(time.Duration(i) * time.Second)
			lines = append(lines, used(now))
			if _, err := s.Check(now, request(t, lines[i]), peer); err != nil {
				t.Errorf("nonce %d: %v: who is challenged now is let in, however many were before", i, err)
			}
			if len(s.counts) > 10 {
				t.Fatalf("%d nonces are kept", len(s.counts))
			}
		}
		now := begin.Add(25 * time.Second)
		forgotten := 0
		for i, line := range lines {
			switch _, err := s.Check(now, request(t, line), peer); {
			case errors.Is(err, ErrStale):
				forgotten++
			case !errors.Is(err, ErrReplay):
				t.Errorf("nonce %d used again: %v", i, err)
			}
		}
		if forgotten < 15 || forgotten == 25 {
			t.Errorf("%d of 25 nonces are forgotten with room for 10", forgotten)
		}
		later := begin.Add(time.Hour)
		if _, err := s.Check(later, request(t, used(later)), peer); err != nil || len(s.counts) != 1 {
			t.Errorf("%v, %d kept", err, len(s.counts))
		}
	})
	t.Run("more at one instant than there is room for", func(t *testing.T) {
		s := newServer(ServerOptions{MaxNonces: 10})
		for i := range 30 {
			c := newClient(t, account)
			c.challenged(nil, 401, challenge(s, begin)...)
			if _, err := s.Check(begin, request(t, c.lines()[0]+"\r\n"), peer); err != nil && !errors.Is(err, ErrStale) || len(s.counts) > 10 {
				t.Errorf("nonce %d: %v, %d kept", i, err, len(s.counts))
			}
		}
	})
}

func swap(from, to string) func(string) string {
	return func(line string) string { return strings.Replace(line, from, to, 1) }
}

func TestServerOptions(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a server without realm was made")
		}
	}()
	NewServer(ServerOptions{})
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{"bob": "bob", `b\"o\\b`: `b"o\b`, `end\`: `end\`, "": ""} {
		if got := string(unescape([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s := newServer(ServerOptions{Algorithms: []Algorithm{MD5}})
	c := NewCache(account, 0)
	var a Attempt
	lines := strings.TrimSuffix(string(s.AppendChallenge(nil, begin, peer, false)), "\r\n")
	if err := c.Challenged(begin, refusal(b, 401, lines), &a); err != nil {
		b.Fatal(err)
	}
	m := request(b, string(c.Authorize(nil, begin, "INVITE", uri, &a)))
	b.ReportAllocs()
	for b.Loop() {
		clear(s.counts)
		if _, err := s.Check(begin, m, peer); err != nil {
			b.Fatal(err)
		}
	}
}
