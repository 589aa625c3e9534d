package register_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/sip/digest"
	"trunkline/sip/register"
	"trunkline/sip/wire"
)

// REG-01, RFC 3261 §10.2: one Call-ID and From tag, CSeq rising by one, the address of record in To and From, the
// registrar's domain in the Request-URI, our Contact.
func TestREG01(t *testing.T) {
	run(t, oneTrunk, func(w *world) {
		first := w.next(time.Second)
		if got := string(first.URI); got != "sip:carrier.example" {
			t.Errorf("Request-URI %s", got)
		}
		for _, a := range []wire.Address{first.From, first.To} {
			if string(a.URI) != "sip:alice@carrier.example" {
				t.Errorf("address of record %s", a.URI)
			}
		}
		if first.To.Tag != nil || len(first.From.Tag) == 0 {
			t.Errorf("From tag %q, To tag %q", first.From.Tag, first.To.Tag)
		}
		if got, want := string(first.Get(wire.HContact)), "<sip:"+w.token()+"@192.0.2.1:5060>"; got != want || len(w.token()) < 16 {
			t.Errorf("Contact %s, want %s", got, want)
		}
		if !first.Has(wire.HExpires) || first.MaxForwards != 70 || !first.Via.RPort {
			t.Errorf("Expires, Max-Forwards or rport is missing:\n%s", first.Bytes)
		}
		w.granted(first, 60)
		w.wantState(register.Registered)
		before := first
		for range 5 {
			refresh := w.next(time.Minute)
			if string(refresh.CallID) != string(first.CallID) || string(refresh.From.Tag) != string(first.From.Tag) {
				t.Errorf("Call-ID %s and From tag %s became %s and %s", first.CallID, first.From.Tag, refresh.CallID, refresh.From.Tag)
			}
			if refresh.CSeq != before.CSeq+1 || string(refresh.Via.Branch) == string(before.Via.Branch) {
				t.Errorf("CSeq %d after %d, branch %s after %s", refresh.CSeq, before.CSeq, refresh.Via.Branch, before.Via.Branch)
			}
			w.granted(refresh, 60)
			before = refresh
		}
	})
}

// What stands in From and To is a URI, whatever the carrier calls its users.
func TestUserIsEscaped(t *testing.T) {
	run(t, strings.Replace(oneTrunk, "auth_user: alice", `auth_user: "alice@home"`, 1), func(w *world) {
		if got := string(w.next(time.Second).To.URI); got != "sip:alice%40home@carrier.example" {
			t.Errorf("address of record %s", got)
		}
	})
}

// REG-02, RFC 3261 §10.2.4: the refresh comes well before the end of what was granted, whoever says what that is.
func TestREG02(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		want  time.Duration // granted
	}{
		{"at the Contact", []string{"Contact: <sip:US@192.0.2.1:5060>;expires=120"}, 120 * time.Second},
		{"the Contact goes before the header", []string{"Expires: 3600", "Contact: <sip:US@192.0.2.1:5060>;expires=90"}, 90 * time.Second},
		{"in the header", []string{"Expires: 300", "Contact: <sip:US@192.0.2.1:5060>"}, 300 * time.Second},
		{"in the header, and no Contact", []string{"Expires: 300"}, 300 * time.Second},
		{"nowhere: what was asked for", []string{"Contact: <sip:US@192.0.2.1:5060>"}, 600 * time.Second},
		{"a quoted number", []string{`Contact: <sip:US@192.0.2.1:5060>;expires="120"`}, 120 * time.Second},
		{"no number", []string{"Contact: <sip:US@192.0.2.1:5060>;expires=soon"}, 600 * time.Second},
		{"REG-08/ours is found among many", []string{
			"Contact: <sip:198.51.100.7:5060>;expires=7, <sip:192.0.2.1:5062>;expires=8", "Contact: <sip:US@192.0.2.1:5060;ob>;expires=200;q=0.5, <sip:192.0.2.1>;expires=900"}, 200 * time.Second},
		{"REG-08/the usual port left out", []string{"Contact: <sip:10.0.0.1>;expires=3000, <sip:US@192.0.2.1>;expires=100"}, 100 * time.Second},
		{"rewritten by the registrar", []string{"Contact: <sip:203.0.113.5:41234>;expires=100"}, 100 * time.Second},
		{"rewritten, beside an older one", []string{"Contact: <sip:US@203.0.113.5:41234>;expires=100, <sip:US@203.0.113.5:41000>;expires=40, <sip:alice@203.0.113.5:41000>;expires=20"}, 40 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			run(t, strings.Replace(oneTrunk, "register: true", "register: true, register_expires: 10m", 1), func(w *world) {
				m := w.next(time.Second)
				if got := string(m.Get(wire.HExpires)); got != "600" {
					t.Errorf("Expires %s", got)
				}
				lines := strings.Split(strings.ReplaceAll(strings.Join(test.lines, "\n"), "US@", w.token()+"@"), "\n")
				w.answer(m, 200, lines...)
				at := time.Now()
				if got := w.status().Expires.Sub(at); !about(got, test.want) {
					t.Errorf("the binding is taken to last %s, want %s", got, test.want)
				}
				w.next(test.want)
				if got := time.Since(at); got < test.want/2-time.Second || got > test.want*86/100 {
					t.Errorf("refreshed after %s of %s", got, test.want)
				}
			})
		})
	}
}

// REG-03, RFC 3261 §22, RFC 7616, RFC 8760: 401 and 407 are answered, and the nonce is used again for the refresh, so
// that it costs one REGISTER.
func TestREG03(t *testing.T) {
	for _, test := range []struct {
		name       string
		proxy      bool
		algorithms []digest.Algorithm
	}{
		{"MD5", false, []digest.Algorithm{digest.MD5}},
		{"SHA-256", false, []digest.Algorithm{digest.SHA256}},
		{"SHA-512-256", false, []digest.Algorithm{digest.SHA512256}},
		{"the first of several", false, []digest.Algorithm{digest.SHA256, digest.MD5}},
		{"of a proxy", true, []digest.Algorithm{digest.SHA256}},
	} {
		t.Run(test.name, func(t *testing.T) {
			run(t, oneTrunk, func(w *world) {
				guard := guardOf("carrier.example", "secret", test.proxy, test.algorithms...)
				w.challenge(w.next(time.Second), guard)
				for range 3 {
					m := w.next(time.Minute)
					if user, err := guard.Check(time.Now(), m, edgeAt.Addr()); user != "alice" || err != nil {
						t.Fatalf("%q, %v\n%s", user, err, m.Bytes)
					}
					w.granted(m, 60)
				}
				w.wantState(register.Registered)
			})
		})
	}
}

// guardOf checks alice's password.
func guardOf(realm, password string, proxy bool, algorithms ...digest.Algorithm) *digest.Server {
	return digest.NewServer(digest.ServerOptions{Realm: realm, Proxy: proxy, Algorithms: algorithms,
		Secret: func(user string, a digest.Algorithm) ([]byte, bool) {
			return digest.AppendSecret(nil, a, "alice", realm, password), user == "alice"
		}})
}

func (w *world) challenge(m *wire.Message, guard *digest.Server) {
	w.Helper()
	lines := strings.TrimSuffix(string(guard.AppendChallenge(nil, time.Now(), edgeAt.Addr(), false)), "\r\n")
	status := 401
	if strings.HasPrefix(lines, "Proxy-") {
		status = 407
	}
	w.answer(m, status, strings.Split(lines, "\r\n")...)
}

// An opaque comes back as it went, and the old form without qop is answered too.
func TestREG03_opaque(t *testing.T) {
	run(t, oneTrunk, func(w *world) {
		w.answer(w.next(time.Second), 401, `WWW-Authenticate: Digest realm="carrier.example", nonce="n1", opaque="o/p=a,q"`)
		m := w.next(time.Second)
		line := string(m.Get(wire.HAuthorization))
		if !strings.Contains(line, `opaque="o/p=a,q"`) || strings.Contains(line, "qop") || !strings.Contains(line, `uri="sip:carrier.example"`) {
			t.Errorf("Authorization: %s", line)
		}
		w.granted(m, 60)
	})
}

// REG-04, RFC 3261 §10.2.8: 423 raises the expiry we ask for, to what it names; a registrar that climbs on and on is
// not followed.
func TestREG04(t *testing.T) {
	run(t, strings.Replace(oneTrunk, "register: true", "register: true, register_expires: 1m", 1), func(w *world) {
		w.answer(w.next(time.Second), 423, "Min-Expires: 900")
		m := w.next(time.Second)
		if got := string(m.Get(wire.HExpires)); got != "900" {
			t.Errorf("Expires %s after 423 with 900", got)
		}
		w.granted(m, 900)
		w.wantState(register.Registered)
		if got := string(w.next(900 * time.Second).Get(wire.HExpires)); got != "900" {
			t.Errorf("the refresh asks for %s, which would be refused again", got)
		}
	})
	for _, test := range []struct{ name, line string }{
		{"423 that names no time", "X-Nothing: 1"}, {"423 that names less", "Min-Expires: 30"}, {"423 that names the same", "Min-Expires: 60"},
	} {
		t.Run(test.name, func(t *testing.T) {
			run(t, strings.Replace(oneTrunk, "register: true", "register: true, register_expires: 1m", 1), func(w *world) {
				w.answer(w.next(time.Second), 423, test.line)
				w.silence(3 * time.Second)
				w.wantState(register.Rejected)
			})
		})
	}
	t.Run("423 after 423 is not followed for ever", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			tries := 0
			for seconds := 4000; ; seconds++ {
				a, ok := w.registrar.Receive(3 * time.Second)
				if !ok {
					break
				}
				m := new(wire.Message)
				m.Parse(a.Bytes)
				w.answer(m, 423, fmt.Sprint("Min-Expires: ", seconds))
				if tries++; tries > 10 {
					t.Fatal("the registrar leads us by the nose")
				}
			}
			w.wantState(register.Rejected)
		})
	})
}

// REG-05, RFC 3261 §22.3: refused credentials are not sent again and again; the state says so and the log warns. On its
// own it is tried once more after minutes, then ever more seldom, up to an hour.
func TestREG05(t *testing.T) {
	run(t, oneTrunk, func(w *world) {
		guard := guardOf("carrier.example", "another password", false, digest.MD5)
		w.challenge(w.next(time.Second), guard)
		m := w.next(time.Second)
		if _, err := guard.Check(time.Now(), m, edgeAt.Addr()); err != digest.ErrRefused {
			t.Fatalf("the registrar finds %v", err)
		}
		w.challenge(m, guard)
		w.silence(200 * time.Second)
		w.wantState(register.AuthFailed)
		if s := w.status(); s.Code != 401 || s.Cause == "" {
			t.Errorf("status %+v", s)
		}
		if log := w.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "state=auth_failed") || strings.Contains(log, "secret") {
			t.Errorf("the log says\n%s", log)
		}
		registers, answers := 0, 0
		for end := time.Now().Add(24 * time.Hour); ; {
			a, ok := w.registrar.Receive(time.Until(end))
			if !ok {
				break
			}
			m := new(wire.Message)
			m.Parse(a.Bytes)
			registers++
			if m.Has(wire.HAuthorization) {
				answers++
			}
			w.challenge(m, guard)
		}
		if registers == 0 {
			t.Error("it is never tried again: a carrier that heals is not noticed")
		}
		if answers > 30 {
			t.Errorf("%d wrong answers within a day would lock the account", answers)
		}
	})
	t.Run("for another realm nothing is sent", func(t *testing.T) {
		run(t, strings.Replace(oneTrunk, "auth_user", "realm: carrier.example, auth_user", 1), func(w *world) {
			w.answer(w.next(time.Second), 401, `WWW-Authenticate: Digest realm="evil.example", nonce="n", qop="auth"`)
			w.silence(200 * time.Second)
			w.wantState(register.AuthFailed)
		})
	})
	t.Run("stale is tried once", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			for n := range 3 {
				w.answer(w.next(time.Second), 401, fmt.Sprintf(`WWW-Authenticate: Digest realm="r", nonce="n%d", qop="auth", stale=%t`, n, n > 0))
			}
			w.silence(200 * time.Second)
			w.wantState(register.AuthFailed)
		})
	})
}

// REG-06: tries after failures come later and later, never two trunks at once, and never before Retry-After.
func TestREG06(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		lines  []string
		least  []time.Duration // before each further try
		most   []time.Duration
	}{
		{"403 is a refusal", 403, nil, []time.Duration{4 * time.Minute, 8 * time.Minute}, []time.Duration{6 * time.Minute, 12 * time.Minute}},
		{"404", 404, nil, []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second}, []time.Duration{6 * time.Second, 12 * time.Second, 24 * time.Second}},
		{"500", 500, nil, []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second}, []time.Duration{6 * time.Second, 12 * time.Second, 24 * time.Second, 48 * time.Second}},
		{"503 with Retry-After", 503, []string{"Retry-After: 120 (maintenance)"}, []time.Duration{120 * time.Second, 120 * time.Second}, []time.Duration{145 * time.Second, 145 * time.Second}},
		{"480 with Retry-After", 480, []string{"Retry-After: 60;duration=3600"}, []time.Duration{60 * time.Second}, []time.Duration{75 * time.Second}},
		{"a Retry-After of a century", 503, []string{"Retry-After: 4294967295"}, []time.Duration{time.Hour}, []time.Duration{80 * time.Minute}},
		{"302", 302, []string{"Contact: <sip:203.0.113.66>"}, []time.Duration{4 * time.Second}, []time.Duration{6 * time.Second}},
		{"603", 603, nil, []time.Duration{4 * time.Second}, []time.Duration{6 * time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			run(t, oneTrunk, func(w *world) {
				w.answer(w.next(time.Second), test.status, test.lines...)
				w.wantState(register.Rejected)
				for n := range test.least {
					at := time.Now()
					m := w.next(2 * time.Hour)
					if waited := time.Since(at) + 11*time.Millisecond; waited < test.least[n] || waited > test.most[n] {
						t.Errorf("try %d after %s, want %s to %s", n+2, waited, test.least[n], test.most[n])
					}
					w.answer(m, test.status, test.lines...)
				}
				m := w.next(2 * time.Hour)
				w.granted(m, 60)
				w.wantState(register.Registered)
				if s := w.status(); s.Code != 200 || s.Cause != "" {
					t.Errorf("after all it went well: %+v", s)
				}
			})
		})
	}
	t.Run("silence", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			first := w.next(time.Second)
			for range 10 { // Timer E
				if m := w.next(5 * time.Second); m.CSeq != first.CSeq {
					t.Fatal("another REGISTER before Timer F")
				}
			}
			w.silence(4 * time.Second)
			w.wantState(register.Unreachable)
			if m := w.next(8 * time.Second); m.CSeq != first.CSeq+1 {
				t.Errorf("CSeq %d after %d", m.CSeq, first.CSeq)
			}
		})
	})
}

// REG-06: a registrar in trouble does not take the binding, which lasts to its end; a refusal does.
func TestBindingOutlivesTrouble(t *testing.T) {
	run(t, oneTrunk, func(w *world) {
		w.granted(w.next(time.Second), 600)
		until := w.status().Expires
		w.answer(w.next(600*time.Second), 503, "Retry-After: 20")
		w.wantState(register.Registered)
		if s := w.status(); !s.Expires.Equal(until) || !strings.Contains(s.Cause, "503") {
			t.Errorf("status %+v", s)
		}
		w.granted(w.next(25*time.Second), 600)
		w.wantState(register.Registered)
		if s := w.status(); s.Cause != "" || !s.Expires.After(until) {
			t.Errorf("status %+v", s)
		}
		w.answer(w.next(600*time.Second), 500, "Retry-After: 3600")
		w.silence(310 * time.Second)
		if s := w.status(); s.State != register.Rejected || !s.Expires.IsZero() {
			t.Errorf("the binding ran out: %+v", s)
		}
	})
	t.Run("a refusal", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			w.granted(w.next(time.Second), 600)
			w.answer(w.next(600*time.Second), 403)
			w.wantState(register.Rejected)
			if s := w.status(); !s.Expires.IsZero() {
				t.Errorf("status %+v", s)
			}
		})
	})
	t.Run("no time granted", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			w.granted(w.next(time.Second), 0)
			w.wantState(register.Rejected)
			w.granted(w.next(8*time.Second), 60)
			w.wantState(register.Registered)
		})
	})
}

// REG-08, RFC 3261 §10.2.2: a clean stop takes the binding back, and only then.
func TestREG08(t *testing.T) {
	closing := func(w *world) (closed chan struct{}) {
		closed = make(chan struct{})
		go func() { // ends with Close
			defer close(closed)
			ctx, cancel := context.WithTimeout(w.Context(), 2*time.Second)
			defer cancel()
			w.keeper.Close(ctx)
		}()
		return closed
	}
	takenBack := func(w *world, m, first *wire.Message) {
		w.Helper()
		if string(m.Get(wire.HExpires)) != "0" || string(m.Get(wire.HContact)) != string(first.Get(wire.HContact)) {
			w.Errorf("not taken back:\n%s", m.Bytes)
		}
		if string(m.CallID) != string(first.CallID) || m.CSeq <= first.CSeq {
			w.Errorf("Call-ID %s, CSeq %d after %s, %d", m.CallID, m.CSeq, first.CallID, first.CSeq)
		}
	}
	t.Run("a binding", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			guard := guardOf("carrier.example", "secret", false, digest.MD5)
			w.challenge(w.next(time.Second), guard)
			first := w.next(time.Second)
			w.granted(first, 60)
			closed := closing(w)
			m := w.next(time.Second)
			takenBack(w, m, first)
			if _, err := guard.Check(time.Now(), m, edgeAt.Addr()); err != nil {
				t.Errorf("credentials: %v", err)
			}
			w.answer(m, 200)
			<-closed
			w.silence(time.Hour)
		})
	})
	t.Run("none yet", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			w.answer(w.next(time.Second), 403)
			<-closing(w)
			w.silence(time.Hour)
		})
	})
	t.Run("one that is just being made", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			first := w.next(time.Second)
			closed := closing(w)
			time.Sleep(100 * time.Millisecond)
			w.granted(first, 3600)
			m := w.next(time.Second)
			takenBack(w, m, first)
			w.answer(m, 200)
			<-closed
			w.silence(time.Hour)
		})
	})
	t.Run("challenged for it", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			first := w.next(time.Second)
			w.granted(first, 60)
			closed := closing(w)
			w.challenge(w.next(time.Second), guardOf("carrier.example", "secret", false, digest.SHA256))
			m := w.next(time.Second)
			takenBack(w, m, first)
			w.answer(m, 200)
			<-closed
			w.silence(time.Hour)
		})
	})
	t.Run("nobody answers", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			w.granted(w.next(time.Second), 60)
			at := time.Now()
			<-closing(w)
			if waited := time.Since(at); waited != 2*time.Second {
				t.Errorf("Close returned after %s, not with its context", waited)
			}
			time.Sleep(time.Minute)
		})
	})
	t.Run("the engine is gone", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			first := w.next(time.Second)
			<-closing(w)
			w.granted(first, 60) // too late to be heard by Close
			time.Sleep(time.Minute)
		})
	})
}

// A reload touches only what has changed, and never leaves a trunk without its binding on the way.
func TestReload(t *testing.T) {
	other := strings.Replace(oneTrunk, "secret", "changed", 1)
	t.Run("REG-14/nothing has changed", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			w.granted(w.next(time.Second), 3600)
			w.reload(strings.Replace(oneTrunk, "register: true", "register: true, max_calls: 3", 1))
			w.silence(25 * time.Minute)
			w.wantState(register.Registered)
		})
	})
	t.Run("another password", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			first := w.next(time.Second)
			w.granted(first, 3600)
			w.reload(other)
			w.wantState(register.Registered)
			guard := guardOf("carrier.example", "changed", false, digest.MD5)
			m := w.next(time.Second)
			if string(m.CallID) != string(first.CallID) || m.CSeq != first.CSeq+1 {
				t.Errorf("a REGISTER of its own: %s, %d", m.CallID, m.CSeq)
			}
			w.challenge(m, guard)
			m = w.next(time.Second)
			if _, err := guard.Check(time.Now(), m, edgeAt.Addr()); err != nil || string(m.Get(wire.HExpires)) == "0" {
				t.Errorf("%v\n%s", err, m.Bytes)
			}
			w.granted(m, 3600)
			w.silence(25 * time.Minute)
		})
	})
	t.Run("another password while the old one is being refused", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			m := w.next(time.Second)
			w.reload(other)
			w.answer(m, 403)
			w.granted(w.next(time.Second), 3600)
			w.wantState(register.Registered)
		})
	})
	t.Run("another user", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			w.granted(w.next(time.Second), 3600)
			w.reload(strings.Replace(oneTrunk, "alice", "bob", 1))
			got := map[string]string{}
			for range 2 {
				m := w.next(time.Second)
				got[string(m.To.URI)] = string(m.Get(wire.HExpires))
				w.granted(m, 3600)
			}
			if !maps.Equal(got, map[string]string{"sip:alice@carrier.example": "0", "sip:bob@carrier.example": "300"}) {
				t.Errorf("REGISTERs %v", got)
			}
			w.silence(25 * time.Minute)
		})
	})
	t.Run("the trunk is gone", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			w.granted(w.next(time.Second), 3600)
			w.reload(strings.Replace(oneTrunk, "register: true", "register: false", 1))
			m := w.next(time.Second)
			if string(m.Get(wire.HExpires)) != "0" {
				t.Errorf("not taken back:\n%s", m.Bytes)
			}
			w.answer(m, 200)
			w.silence(2 * time.Hour)
			w.wantState(register.Disabled)
		})
	})
}

// REG-14: many trunks do not start together, nor refresh together; a reload leaves them alone.
func TestREG14(t *testing.T) {
	const trunks = 500
	var lines []string
	for n := range trunks {
		lines = append(lines, strings.NewReplacer("name: carrier", fmt.Sprintf("name: trunk%d", n), "alice", fmt.Sprintf("user%d", n)).Replace(oneTrunk))
	}
	run(t, strings.Join(lines, "\n  - "), func(w *world) {
		start := time.Now()
		busiest := w.round(trunks, 3600)
		if took := time.Since(start); took < 5*time.Second || took > 11*time.Second {
			t.Errorf("%d trunks registered in %s", trunks, took)
		}
		if busiest > trunks/4 {
			t.Errorf("%d of %d REGISTERs within one second", busiest, trunks)
		}
		w.reload(strings.Join(lines, "\n  - "))
		w.silence(25 * time.Minute)
		if busiest := w.round(trunks, 3600); busiest > trunks/4 {
			t.Errorf("%d of %d refreshes within one second", busiest, trunks)
		}
	})
}

// round grants n REGISTERs of different users and returns the most that came within one second.
func (w *world) round(n, seconds int) (busiest int) {
	w.Helper()
	var at []time.Time
	users := map[string]bool{}
	for range n {
		a, ok := w.registrar.Receive(time.Duration(seconds) * time.Second)
		if !ok {
			w.Fatalf("%d of %d trunks came", len(users), n)
		}
		m := new(wire.Message)
		if err := m.Parse(a.Bytes); err != nil {
			w.Fatal(err)
		}
		users[string(m.To.URI)] = true
		at = append(at, a.At)
		b := wire.AppendResponse(nil, m, 200, "", []byte("registrar"), edgeAt)
		w.registrar.Send(edgeAt, wire.AppendBody(wire.AppendHeaderString(b, "Expires", fmt.Sprint(seconds)), "", nil))
	}
	if len(users) != n {
		w.Errorf("REGISTERs of %d users, want %d", len(users), n)
	}
	slices.SortFunc(at, time.Time.Compare)
	for i, j := 0, 0; j < len(at); j++ {
		for at[j].Sub(at[i]) > time.Second {
			i++
		}
		busiest = max(busiest, j-i+1)
	}
	return busiest
}

// A name without an address is told, tried again, and works once it has one.
func TestServerWithoutAddress(t *testing.T) {
	run(t, strings.Replace(oneTrunk, "192.0.2.20:5060", "nowhere.example", 1), func(w *world) {
		time.Sleep(time.Second)
		w.wantState(register.Unreachable)
		w.reload(oneTrunk)
		w.granted(w.next(time.Second), 60)
		w.wantState(register.Registered)
	})
}

// The keeper may be asked while answers come in.
func TestStatusWhileItChanges(t *testing.T) {
	run(t, oneTrunk, func(w *world) {
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() { // ends with stop
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					w.keeper.Status()
					time.Sleep(100 * time.Millisecond)
				}
			}
		}()
		for range 20 {
			w.answer(w.next(10*time.Minute), 500)
		}
		close(stop)
		<-stopped
	})
}
