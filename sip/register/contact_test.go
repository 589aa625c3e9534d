package register_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/sip/register"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// contacts are the values of Contact.
func contacts(m *wire.Message) (all []string) {
	for v := range m.Values(wire.HContact) {
		all = append(all, string(v))
	}
	return all
}

// seenAs answers 200 to a REGISTER as a registrar that sees us at another address.
func (w *world) seenAs(m *wire.Message, at string, seconds int) {
	w.Helper()
	b := wire.AppendResponse(nil, m, 200, "", []byte("registrar"), netip.MustParseAddrPort(at))
	for _, c := range contacts(m) {
		if !strings.HasSuffix(c, ";expires=0") {
			b = wire.AppendHeaderString(b, "Contact", fmt.Sprintf("%s;expires=%d", c, seconds))
		}
	}
	if err := w.registrar.Send(edgeAt, wire.AppendBody(b, "", nil)); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
	time.Sleep(10 * time.Millisecond)
}

// REG-09, RFC 3581, RFC 5626 §4.2: received and rport of a 200 that show another address than our Contact has us register
// again at once with the address that reaches us, and take the useless Contact back in the same request.
func TestREG09(t *testing.T) {
	run(t, oneTrunk, func(w *world) {
		own, seen := "<sip:"+w.token()+"@192.0.2.1:5060>", "<sip:"+w.token()+"@203.0.113.7:41000>"
		w.seenAs(w.next(time.Second), "203.0.113.7:41000", 300)
		m := w.next(100 * time.Millisecond)
		if got := contacts(m); !slices.Equal(got, []string{seen, own + ";expires=0"}) {
			t.Errorf("Contact %q", got)
		}
		w.seenAs(m, "203.0.113.7:41000", 300)
		if s := w.status(); s.State != register.Registered || s.Contact != seen || s.Seen.String() != "203.0.113.7:41000" {
			t.Errorf("%+v", s)
		}
		// A refresh that shows the same costs one REGISTER and takes nothing back.
		m = w.next(300 * time.Second)
		if got := contacts(m); !slices.Equal(got, []string{seen}) {
			t.Errorf("Contact %q", got)
		}
		// The translation has changed meanwhile.
		w.seenAs(m, "203.0.113.7:52000", 300)
		m = w.next(100 * time.Millisecond)
		if got := contacts(m); !slices.Equal(got, []string{"<sip:" + w.token() + "@203.0.113.7:52000>", seen + ";expires=0"}) {
			t.Errorf("Contact %q", got)
		}
		// One that changes with every request is not run after.
		w.seenAs(m, "203.0.113.7:52001", 300)
		w.silence(140 * time.Second)
		w.wantState(register.Registered)
	})
	t.Run("a registrar that takes one Contact at a time", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			w.seenAs(w.next(time.Second), "203.0.113.7:41000", 300)
			w.answer(w.next(100*time.Millisecond), 400)
			m := w.next(100 * time.Millisecond)
			if got := contacts(m); !slices.Equal(got, []string{"<sip:" + w.token() + "@203.0.113.7:41000>"}) {
				t.Errorf("Contact %q", got)
			}
			w.seenAs(m, "203.0.113.7:41000", 300)
			w.wantState(register.Registered)
		})
	})
	t.Run("what is taken back is what is held", func(t *testing.T) {
		run(t, oneTrunk, func(w *world) {
			w.seenAs(w.next(time.Second), "203.0.113.7:41000", 300)
			w.seenAs(w.next(time.Second), "203.0.113.7:41000", 300)
			held := w.status().Contact
			w.reload(strings.Replace(oneTrunk, "register: true", "register: false", 1))
			m := w.next(time.Second)
			if got := contacts(m); !slices.Equal(got, []string{held}) || !strings.Contains(held, "@203.0.113.7:41000") || string(m.Get(wire.HExpires)) != "0" {
				t.Errorf("Contact %q", got)
			}
			w.answer(m, 200)
		})
	})
}

// REG-08: after a restart the Contact is the same, so that a registrar that has not forgotten the old binding replaces it; what
// it lists beside ours, of other edges too, is left alone.
func TestREG08_restart(t *testing.T) {
	var before string
	for range 2 {
		run(t, oneTrunk, func(w *world) {
			m := w.next(time.Second)
			contact := string(m.Get(wire.HContact))
			if before != "" && contact != before {
				t.Errorf("Contact %s, before the restart %s", contact, before)
			}
			before = contact
			w.answer(m, 200, "Contact: <sip:"+w.token()+"@192.0.2.9:5060>;expires=10, <sip:other@192.0.2.1:5060>;expires=5", "Contact: "+contact+";expires=600")
			if s := w.status(); !about(time.Until(s.Expires), 600*time.Second) {
				t.Errorf("%+v", s)
			}
			m = w.next(600 * time.Second)
			if got := contacts(m); !slices.Equal(got, []string{contact}) {
				t.Errorf("Contact %q", got)
			}
			w.granted(m, 600)
		})
	}
}

// RFC 5626 §3.5: an address translation is held open by keep-alives while there is a binding behind it, and only then.
func TestTranslationIsHeldOpen(t *testing.T) {
	pings := func(w *world, for_ time.Duration) (n int) {
		for end := time.Now().Add(for_); ; {
			a, ok := w.registrar.Receive(time.Until(end))
			if !ok {
				return n
			}
			if string(a.Bytes) == transport.Ping {
				n++
			}
		}
	}
	run(t, oneTrunk, func(w *world) {
		w.granted(w.next(time.Second), 3600)
		if n := pings(w, 10*time.Minute); n > 0 {
			t.Errorf("%d keep-alives where nothing is translated", n)
		}
	})
	run(t, oneTrunk, func(w *world) {
		for range 2 {
			w.seenAs(w.next(time.Second), "203.0.113.7:41000", 3600)
		}
		if n := pings(w, 10*time.Minute); n < 24 || n > 30 {
			t.Errorf("%d keep-alives in ten minutes", n)
		}
		w.reload(strings.Replace(oneTrunk, "register: true", "register: false", 1))
		w.answer(w.next(time.Second), 200)
		if n := pings(w, 10*time.Minute); n > 0 {
			t.Errorf("%d keep-alives without a binding", n)
		}
	})
}
