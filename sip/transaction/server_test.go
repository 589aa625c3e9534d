package transaction

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// arrive lets a request come in, which must be new, and binds it.
func (w *world) arrive(text string, f transport.Flow) Server {
	w.t.Helper()
	s, v := w.receive(text, f)
	if v != New {
		w.t.Fatalf("verdict %v, want new", v)
	}
	s.Bind([]byte("local1"), 7)
	return s
}

// becomes fails unless the request gets this verdict.
func (w *world) becomes(want Verdict, text string, f transport.Flow) Server {
	w.t.Helper()
	s, v := w.receive(text, f)
	if v != want {
		w.t.Errorf("%s: verdict %v, want %v", summary(text), v, want)
	}
	return s
}

func (w *world) respond(s Server, request string, status int) {
	w.t.Helper()
	if err := s.Respond(w.now, status, response(request, status)); err != nil {
		w.t.Errorf("Respond %d: %v", status, err)
	}
}

// ackOf is the ACK a peer sends for a refusal of invite: the same branch.
func ackOf(invite string) string {
	return strings.NewReplacer("INVITE sip:", "ACK sip:", " INVITE\r\n", " ACK\r\n", "edge.example>\r\nCall", "edge.example>;tag=local1\r\nCall").Replace(invite)
}

func cancelOf(invite string) string {
	return strings.NewReplacer("INVITE sip:", "CANCEL sip:", " INVITE\r\n", " CANCEL\r\n").Replace(invite)
}

func TestTXN03(t *testing.T) {
	invite := incoming("INVITE", "z9hG4bK1")
	t.Run("100 after 200 ms, without a To tag", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.arrive(invite, overUDP)
		w.wait(199 * ms)
		w.sentOnly()
		w.wait(ms)
		trying := w.sentOnly("100 INVITE")[0]
		if strings.Contains(header(trying.text, "To"), "tag") {
			t.Errorf("To: %s", header(trying.text, "To"))
		}
		w.wait(10 * s_)
		w.sentOnly()
	})
	t.Run("at once when asked for", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overUDP)
		s.Trying(w.now)
		s.Trying(w.now)
		w.wait(s_)
		w.sentAt(0)
	})
	t.Run("not when another response was quicker", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overUDP)
		w.respond(s, invite, 180)
		s.Trying(w.now)
		w.wait(s_)
		w.sentOnly("180 INVITE")
	})
	t.Run("a copy of the INVITE gets it, then the last provisional", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overUDP)
		w.becomes(Absorbed, invite, overUDP)
		w.becomes(Absorbed, invite, overUDP)
		w.sentOnly("100 INVITE", "100 INVITE")
		w.respond(s, invite, 180)
		w.respond(s, invite, 183)
		w.becomes(Absorbed, invite, overUDP)
		w.wait(s_)
		w.sentOnly("180 INVITE", "183 INVITE", "183 INVITE")
	})
}

func TestTXN04(t *testing.T) {
	invite := incoming("INVITE", "z9hG4bK1")
	t.Run("a refusal is repeated until Timer H", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overUDP)
		w.respond(s, invite, 486)
		if err := s.Respond(w.now, 200, response(invite, 200)); !errors.Is(err, ErrOver) {
			t.Errorf("second final: %v", err)
		}
		w.wait(32 * s_)
		w.sentAt(0, 500*ms, 1500*ms, 3500*ms, 7500*ms, 11500*ms, 15500*ms, 19500*ms, 23500*ms, 27500*ms, 31500*ms)
		w.heardOnly("server failed timeout 7")
		w.empty()
	})
	t.Run("the ACK ends it", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overUDP)
		w.respond(s, invite, 486)
		w.wait(600 * ms)
		w.becomes(Absorbed, invite, overUDP) // its copy gets the response again
		w.sentOnly("486 INVITE", "486 INVITE", "486 INVITE")
		w.becomes(Absorbed, ackOf(invite), overUDP)
		if s.Live() {
			t.Error("live after its ACK")
		}
		w.becomes(Absorbed, ackOf(invite), overUDP)
		w.becomes(Absorbed, invite, overUDP)
		w.wait(4 * s_)
		w.becomes(Absorbed, ackOf(invite), overUDP)
		w.sentOnly()
		w.heardOnly()
		w.wait(2 * s_)
		w.empty()
	})
	t.Run("over TCP nothing is repeated, H still runs", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overTCP)
		w.respond(s, invite, 486)
		w.wait(32 * s_)
		w.sentOnly("486 INVITE")
		w.heardOnly("server failed timeout 7")
		s = w.arrive(invite, overTCP)
		w.respond(s, invite, 486)
		w.becomes(Absorbed, ackOf(invite), overTCP)
		w.empty()
	})
	t.Run("T1 and T2 of the peer", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overUDP)
		s.SetTimers(Timers{T1: 100 * ms, T2: 300 * ms})
		w.respond(s, invite, 486)
		w.wait(s_)
		w.sentAt(0, 100*ms, 300*ms, 600*ms, 900*ms)
	})
	t.Run("INV-10: an ACK that fits nothing changes nothing", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overUDP)
		w.respond(s, invite, 486)
		w.becomes(AckFor2xx, strings.Replace(ackOf(invite), "z9hG4bK1", "z9hG4bK2", 1), overUDP)
		w.becomes(AckFor2xx, strings.Replace(ackOf(invite), "tag=from1", "tag=other", 1), overUDP)
		if !s.Live() {
			t.Error("ended by somebody else's ACK")
		}
		w.becomes(Absorbed, ackOf(invite), overUDP)
	})
	t.Run("an INVITE nobody answers ends too", func(t *testing.T) {
		w := newWorld(t, Options{Unanswered: time.Minute})
		s := w.arrive(invite, overUDP)
		w.wait(50 * s_)
		w.respond(s, invite, 180)
		w.wait(50 * s_)
		w.heardOnly()
		w.wait(10 * s_)
		w.heardOnly("server failed timeout 7")
		w.empty()
	})
}

func TestTXN06(t *testing.T) {
	for _, method := range []string{"BYE", "REGISTER", "OPTIONS", "FOO"} {
		w := newWorld(t, Options{})
		request := incoming(method, "z9hG4bK1")
		s := w.arrive(request, overUDP)
		w.becomes(Absorbed, request, overUDP) // not answered yet: nothing to repeat
		w.sentOnly()
		w.respond(s, request, 200)
		if s.Live() {
			t.Error("an answered request is still an object")
		}
		w.wait(31 * s_)
		w.becomes(Absorbed, request, overUDP)
		again := w.sentOnly("200 "+method, "200 "+method)
		if again[0].text != again[1].text || again[0].flow != again[1].flow {
			t.Errorf("the copy got\n%s from %v", again[1].text, again[1].flow)
		}
		w.wait(2 * s_)
		w.empty()
	}
	t.Run("over TCP nothing remains", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.respond(w.arrive(incoming("BYE", "z9hG4bK1"), overTCP), incoming("BYE", "z9hG4bK1"), 200)
		w.empty()
	})
	t.Run("one that is never answered is forgotten", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(incoming("INFO", "z9hG4bK1"), overUDP)
		w.wait(33 * s_)
		w.heardOnly()
		w.empty()
		if err := s.Respond(w.now, 200, nil); !errors.Is(err, ErrOver) {
			t.Error(err)
		}
	})
}

// Trap 14 with it: the schedule of the 2xx.
func TestINV06(t *testing.T) {
	invite := incoming("INVITE", "z9hG4bK1")
	for _, f := range []transport.Flow{overUDP, overTCP} {
		w := newWorld(t, Options{})
		s := w.arrive(invite, f)
		w.respond(s, invite, 200)
		w.wait(12 * s_)
		w.sentAt(0, 500*ms, 1500*ms, 3500*ms, 7500*ms, 11500*ms)
		if s.Token() != 7 || s.Flow() != f {
			t.Errorf("token %d, flow %v", s.Token(), s.Flow())
		}
		s.Acked(w.now)
		s.Acked(w.now)
		w.wait(64 * s_)
		w.sentOnly()
		w.heardOnly()
		w.empty()
	}
}

func TestINV07(t *testing.T) {
	w := newWorld(t, Options{})
	invite := incoming("INVITE", "z9hG4bK1")
	s := w.arrive(invite, overUDP)
	w.respond(s, invite, 200)
	w.wait(32*s_ - ms)
	w.heardOnly()
	w.wait(ms)
	w.heardOnly("no ack 7")
	if n := len(w.sent); n != 11 || w.sent[10].at != 31500*ms {
		t.Errorf("%d copies sent", n)
	}
	if s.Live() || s.Token() != 0 {
		t.Error("live after AckTimeout")
	}
	w.empty()
}

func TestTXN07Server(t *testing.T) {
	w := newWorld(t, Options{})
	invite := incoming("INVITE", "z9hG4bK1")
	s := w.arrive(invite, overUDP)
	w.respond(s, invite, 200)
	w.becomes(Absorbed, invite, overUDP)
	w.sentOnly("200 INVITE") // RFC 6026: swallowed, the 2xx has its own schedule
	// An ACK that wrongly reuses the INVITE's branch is still the dialog's.
	if got := w.becomes(AckFor2xx, ackOf(invite), overUDP); got != s {
		t.Errorf("ACK for %v, want %v", got, s)
	}
	if got := w.becomes(AckFor2xx, strings.Replace(ackOf(invite), "z9hG4bK1", "z9hG4bK9", 1), overUDP); got != (Server{}) {
		t.Errorf("ACK for %v, want none", got)
	}
}

func TestTXN12(t *testing.T) {
	w := newWorld(t, Options{})
	invite := incoming("INVITE", "z9hG4bK1")
	s := w.arrive(invite, overUDP)
	w.respond(s, invite, 200)
	w.wait(100 * ms)
	s.Acked(w.now)
	w.sentOnly("200 INVITE")
	for range 31 {
		w.wait(s_)
		w.becomes(Absorbed, invite, overUDP)
		w.becomes(AckFor2xx, ackOf(invite), overUDP)
	}
	w.sentOnly()
	if got := w.l.Stats(); got.RequestCopies != [2]uint64{0, 31} || got.LingerBytes > 128 {
		t.Errorf("%+v", got)
	}
	w.wait(3 * s_)
	w.empty()
}

func TestTXN09(t *testing.T) {
	w := newWorld(t, Options{})
	invite, other := incoming("INVITE", "z9hG4bK1"), incoming("INVITE", "z9hG4bK2")
	s := w.arrive(invite, overUDP)
	w.becomes(Merged, other, overUDP)
	merged := w.sentOnly("482 INVITE")[0]
	if !strings.Contains(header(merged.text, "To"), ";tag=") || !strings.Contains(header(merged.text, "Via"), "z9hG4bK2") {
		t.Errorf("482 is\n%s", merged.text)
	}
	w.becomes(AckFor2xx, ackOf(other), overUDP) // no transaction: the dialog layer finds nothing
	w.respond(s, invite, 200)
	w.becomes(Merged, other, overUDP)
	s.Acked(w.now)
	w.becomes(Merged, other, overUDP)
	w.sentOnly("200 INVITE", "482 INVITE", "482 INVITE")
	w.becomes(New, strings.Replace(other, ": 1 INVITE", ": 2 INVITE", 1), overUDP)

	t.Run("another path is welcome once the first was refused", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.respond(w.arrive(invite, overUDP), invite, 503)
		w.becomes(New, other, overUDP)
	})
	t.Run("requests in a dialog are not merged", func(t *testing.T) {
		w := newWorld(t, Options{})
		inDialog := strings.Replace(incoming("INFO", "z9hG4bK1"), "edge.example>\r\nCall", "edge.example>;tag=l\r\nCall", 1)
		w.becomes(New, inDialog, overUDP)
		w.becomes(New, strings.Replace(inDialog, "z9hG4bK1", "z9hG4bK2", 1), overUDP)
	})
	t.Run("OPTIONS is merged only while it waits", func(t *testing.T) {
		w := newWorld(t, Options{})
		first := incoming("OPTIONS", "z9hG4bK1")
		s := w.arrive(first, overUDP)
		w.becomes(Merged, incoming("OPTIONS", "z9hG4bK2"), overUDP)
		w.respond(s, first, 200)
		w.becomes(New, incoming("OPTIONS", "z9hG4bK2"), overUDP)
	})
}

func TestTXN10(t *testing.T) {
	invite := incoming("INVITE", "z9hG4bK1")
	t.Run("branch, sent-by and method make the transaction", func(t *testing.T) {
		w := newWorld(t, Options{})
		inDialog := strings.Replace(invite, "edge.example>\r\nCall", "edge.example>;tag=l\r\nCall", 1)
		w.becomes(New, inDialog, overUDP)
		w.becomes(Absorbed, inDialog, overUDP)
		w.becomes(New, strings.Replace(inDialog, "z9hG4bK1", "z9hG4bK2", 1), overUDP)
		w.becomes(New, strings.Replace(inDialog, "192.0.2.20:5060", "192.0.2.20:5062", 1), overUDP)
		w.becomes(New, strings.Replace(strings.Replace(inDialog, "INVITE sip", "UPDATE sip", 1), "1 INVITE", "1 UPDATE", 1), overUDP)
	})
	t.Run("a peer with one branch for everything is served", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.becomes(New, invite, overUDP)
		w.becomes(New, strings.Replace(invite, ": 1 INVITE", ": 2 INVITE", 1), overUDP)
		w.becomes(New, strings.Replace(invite, "f81d4fae7dec", "00a0c91e6bf6", 1), overUDP)
	})
	for _, branch := range []string{"", ";branch=1", ";branch=z9hG4b"} {
		t.Run("RFC 2543: branch "+branch, func(t *testing.T) {
			w := newWorld(t, Options{})
			old := strings.Replace(invite, ";branch=z9hG4bK1", branch, 1)
			s := w.arrive(old, overUDP)
			w.becomes(Absorbed, old, overUDP)
			w.sentOnly("100 INVITE")
			// Another Request-URI is another branch of a forking proxy.
			w.becomes(Merged, strings.Replace(old, "INVITE sip:+14155550100", "INVITE sip:+14155550101", 1), overUDP)
			w.respond(s, old, 404)
			w.becomes(Absorbed, old, overUDP)
			w.sentOnly("482 INVITE", "404 INVITE", "404 INVITE")
			w.becomes(Absorbed, strings.Replace(ackOf(old), "tag=local1", "tag=other", 1), overUDP)
			if !s.Live() {
				t.Error("ended by an ACK with another To tag")
			}
			w.becomes(Absorbed, ackOf(old), overUDP)
			if s.Live() {
				t.Error("not ended by its ACK")
			}
			w.wait(5*s_ + s_)
			w.empty()
		})
		t.Run("RFC 2543 CANCEL: branch "+branch, func(t *testing.T) {
			w := newWorld(t, Options{})
			old := strings.Replace(invite, ";branch=z9hG4bK1", branch, 1)
			s := w.arrive(old, overUDP)
			if got := w.becomes(Cancelled, cancelOf(old), overUDP); got != s {
				t.Errorf("cancelled %v, want %v", got, s)
			}
			w.becomes(Absorbed, cancelOf(old), overUDP)
			w.sentOnly("200 CANCEL", "200 CANCEL")
		})
	}
}

func TestTXN11(t *testing.T) {
	request := incoming("INFO", "z9hG4bK1")
	w := newWorld(t, Options{})
	s := w.arrive(request, overUDP)
	w.respond(s, request, 180)
	w.respond(s, request, 100)
	w.wait(3400 * ms)
	w.respond(s, request, 100)
	w.sentOnly()
	w.wait(100 * ms) // Timer E of the client reaches T2
	w.respond(s, request, 100)
	w.becomes(Absorbed, request, overUDP)
	w.sentOnly("100 INFO", "100 INFO")
	w.respond(s, request, 408)
	w.sentOnly()
	w.empty()
	if got := w.l.Stats().Suppressed; got != 4 {
		t.Errorf("Suppressed = %d", got)
	}
	s = w.arrive(request, overTCP)
	w.respond(s, request, 100)
	w.sentOnly("100 INFO")
	invite := incoming("INVITE", "z9hG4bK2")
	w.respond(w.arrive(invite, overUDP), invite, 408)
	w.sentOnly("408 INVITE")
}

func TestTRN03(t *testing.T) {
	source := overUDP
	source.Remote = netip.MustParseAddrPort("198.51.100.9:31234")
	invite := incoming("INVITE", "z9hG4bK1")
	silent := strings.Replace(invite, ";rport", "", 1)
	for _, test := range []struct {
		name, text string
		from       transport.Flow
		options    Options
		want       string
	}{
		{"rport asked for", invite, source, Options{}, "198.51.100.9:31234"},
		{"not asked for", silent, source, Options{}, "198.51.100.9:5060"},
		{"a port in Via", strings.Replace(silent, ".20:5060;", ".20:5080;", 1), source, Options{}, "198.51.100.9:5080"},
		{"no port in Via", strings.Replace(silent, ".20:5060;", ".20;", 1), source, Options{}, "198.51.100.9:5060"},
		{"always to the source", silent, source, Options{ReplyToSource: true}, "198.51.100.9:31234"},
		{"over TCP", silent, overTCP, Options{}, "192.0.2.20:5060"},
	} {
		w := newWorld(t, test.options)
		w.arrive(test.text, test.from).Trying(w.now)
		got := w.sentOnly("100 INVITE")[0].flow
		want := test.from
		want.Remote = netip.MustParseAddrPort(test.want)
		if got != want {
			t.Errorf("%s: answered to %v, want %v", test.name, got, want)
		}
	}
}

func TestResponseThatCannotBeSent(t *testing.T) {
	w := newWorld(t, Options{})
	invite := incoming("INVITE", "z9hG4bK1")
	s := w.arrive(invite, overUDP)
	w.refuse = errors.New("network is unreachable")
	if err := s.Respond(w.now, 200, response(invite, 200)); !errors.Is(err, w.refuse) {
		t.Errorf("error %v", err)
	}
	w.refuse = nil
	w.wait(s_)
	w.sentAt(500 * ms) // as if the first had been lost
	w.l.TransportFailed(w.now, w.ref)
	w.heardOnly("server failed transport_error 7")
	if !s.Live() {
		t.Error("ended")
	}
	s.Acked(w.now)
	w.l.TransportFailed(w.now, w.ref)
	w.heardOnly()
}

func TestFull(t *testing.T) {
	w := newWorld(t, Options{MaxServers: 2})
	w.arrive(incoming("BYE", "z9hG4bK1"), overUDP)
	s := w.arrive(incoming("OPTIONS", "z9hG4bK2"), overUDP)
	w.becomes(Full, incoming("INVITE", "z9hG4bK3"), overUDP)
	w.becomes(Absorbed, incoming("BYE", "z9hG4bK1"), overUDP)
	w.sentOnly()
	w.respond(s, incoming("OPTIONS", "z9hG4bK2"), 200)
	w.becomes(New, incoming("INVITE", "z9hG4bK3"), overUDP)
	if got := w.l.Stats().Full; got != 1 {
		t.Errorf("Full = %d", got)
	}
}

func TestFinishedTransactionsAreBounded(t *testing.T) {
	w := newWorld(t, Options{MaxLinger: 100_000})
	for i := range 2000 {
		request := call{via: "SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK1", uri: "sip:edge.example", id: "bounded", seq: i, to: "<sip:edge.example>;tag=local1"}.request("OPTIONS")
		s := w.arrive(request, overUDP)
		w.respond(s, request, 200)
		_, invite := w.start(wire.INVITE, overUDP, nil)
		w.receive(respond(invite, 486, "b"), overUDP)
		if got := w.l.Stats().LingerBytes; got > 100_000 {
			t.Fatalf("%d bytes kept", got)
		}
		w.sent, w.heard = nil, nil
		w.becomes(Absorbed, request, overUDP)
	}
	if got := w.l.Stats(); got.LingerEvicted < 3000 || got.LingerBytes < 90_000 {
		t.Errorf("%d forgotten early, %d bytes kept", got.LingerEvicted, got.LingerBytes)
	}
	w.wait(64 * s_)
	w.empty()
}
