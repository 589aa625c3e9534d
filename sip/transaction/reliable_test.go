package transaction

import (
	"errors"
	"testing"
)

// PRK-01: a reliable provisional response is repeated, doubling without end, until its PRACK, over every transport.
func TestPRK01(t *testing.T) {
	invite := incoming("INVITE", "z9hG4bK1")
	begin := func(t *testing.T) (*world, Server) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overTCP)
		if err := s.RespondReliably(w.now, response(invite, 183)); err != nil {
			t.Fatal(err)
		}
		return w, s
	}
	t.Run("without a PRACK for 64*T1, then its user is told and may refuse", func(t *testing.T) {
		w, s := begin(t)
		w.wait(40 * s_)
		w.sentAt(0, 500*ms, 1500*ms, 3500*ms, 7500*ms, 15500*ms, 31500*ms)
		w.heardOnly("no prack 7")
		w.respond(s, invite, 504)
		w.sentOnly("504 INVITE")
	})
	t.Run("until the PRACK", func(t *testing.T) {
		w, s := begin(t)
		w.wait(2 * s_)
		s.Pracked(w.now)
		s.Pracked(w.now)
		w.wait(60 * s_)
		w.sentAt(0, 500*ms, 1500*ms)
	})
	t.Run("until a later response", func(t *testing.T) {
		w, s := begin(t)
		w.respond(s, invite, 180)
		w.wait(60 * s_)
		w.sentOnly("183 INVITE", "180 INVITE")
	})
	t.Run("copies of the INVITE get it at once", func(t *testing.T) {
		w, _ := begin(t)
		w.becomes(Absorbed, invite, overTCP)
		w.sentOnly("183 INVITE", "183 INVITE")
	})
	t.Run("not after a final response", func(t *testing.T) {
		w, s := begin(t)
		w.respond(s, invite, 200)
		if err := s.RespondReliably(w.now, response(invite, 183)); !errors.Is(err, ErrOver) {
			t.Errorf("%v", err)
		}
		s.Pracked(w.now)
		w.sentOnly("183 INVITE", "200 INVITE")
		w.wait(600 * ms)
		w.sentOnly("200 INVITE")
	})
}
