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

const (
	ms = time.Millisecond
	s_ = time.Second
)

func TestTXN01(t *testing.T) {
	t.Run("INVITE is repeated at 0.5, 1, 2 … s until Timer B gives it up", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.start(wire.INVITE, overUDP, nil)
		w.wait(32*s_ - ms)
		w.heardOnly()
		w.sentAt(0, 500*ms, 1500*ms, 3500*ms, 7500*ms, 15500*ms, 31500*ms)
		w.wait(ms)
		w.heardOnly("failed timeout")
		w.wait(64 * s_)
		w.heardOnly()
		w.sentOnly()
		w.empty()
	})
	t.Run("a provisional response ends the repetition for good", func(t *testing.T) {
		w := newWorld(t, Options{})
		_, invite := w.start(wire.INVITE, overUDP, nil)
		w.wait(700 * ms)
		w.sentOnly("INVITE", "INVITE")
		w.receive(respond(invite, 100, ""), overUDP)
		w.wait(170 * s_)
		w.sentOnly()
		w.heardOnly("100")
	})
	t.Run("a reliable transport repeats nothing but Timer B runs", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.start(wire.INVITE, overTCP, nil)
		w.wait(32 * s_)
		w.sentOnly("INVITE")
		w.heardOnly("failed timeout")
	})
	t.Run("T1 and B are the request's own", func(t *testing.T) {
		w := newWorld(t, Options{Timers: Timers{T1: s_}})
		w.start(wire.INVITE, overUDP, &Timers{T1: 200 * ms, B: 3 * s_})
		w.wait(3 * s_)
		w.sentAt(0, 200*ms, 600*ms, 1400*ms)
		w.heardOnly("failed timeout")
	})
	t.Run("a 2xx after the timeout still reaches the user, who must hang up", func(t *testing.T) {
		w := newWorld(t, Options{})
		_, invite := w.start(wire.INVITE, overUDP, nil)
		w.wait(40 * s_)
		w.heardOnly("failed timeout")
		w.receive(respond(invite, 200, "b"), overUDP)
		w.heardOnly("200")
		w.receive(respond(invite, 486, "b"), overUDP)
		w.heardOnly("stray")
		if got := w.l.Stats().LateAnswers; got != 1 {
			t.Errorf("LateAnswers = %d", got)
		}
		w.wait(64 * s_)
		w.empty()
	})
}

func TestTXN02(t *testing.T) {
	t.Run("non-INVITE is repeated with Timer E up to T2 until Timer F", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.start(wire.OPTIONS, overUDP, nil)
		w.wait(32 * s_)
		w.sentAt(0, 500*ms, 1500*ms, 3500*ms, 7500*ms, 11500*ms, 15500*ms, 19500*ms, 23500*ms, 27500*ms, 31500*ms)
		w.heardOnly("failed timeout")
		w.empty()
	})
	t.Run("a provisional slows it down to T2, Timer F stays", func(t *testing.T) {
		w := newWorld(t, Options{})
		_, bye := w.start(wire.BYE, overUDP, nil)
		w.wait(600 * ms)
		w.receive(respond(bye, 100, ""), overUDP)
		w.wait(9400 * ms)
		w.sentAt(0, 500*ms, 1500*ms, 5500*ms, 9500*ms)
		w.wait(22 * s_)
		w.heardOnly("100", "failed timeout")
	})
	t.Run("copies of the final response are swallowed for T4", func(t *testing.T) {
		w := newWorld(t, Options{})
		_, bye := w.start(wire.BYE, overUDP, nil)
		ok := respond(bye, 200, "b")
		w.receive(ok, overUDP)
		w.wait(4 * s_)
		w.receive(ok, overUDP)
		w.heardOnly("200")
		w.sentOnly("BYE")
		w.wait(2 * s_)
		w.receive(ok, overUDP)
		w.heardOnly("stray")
		w.empty()
	})
	t.Run("over TCP nothing remains", func(t *testing.T) {
		w := newWorld(t, Options{})
		_, bye := w.start(wire.BYE, overTCP, nil)
		w.receive(respond(bye, 200, "b"), overTCP)
		w.heardOnly("200")
		w.empty()
	})
	t.Run("F is the request's own", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.start(wire.OPTIONS, overUDP, &Timers{F: 2 * s_})
		w.wait(2 * s_)
		w.sentAt(0, 500*ms, 1500*ms)
		w.heardOnly("failed timeout")
	})
}

func TestTXN05(t *testing.T) {
	w := newWorld(t, Options{})
	_, invite := w.start(wire.INVITE, overUDP, nil)
	busy := respond(invite, 486, "busy1")
	w.receive(respond(invite, 180, "busy1"), overUDP)
	w.receive(busy, overUDP)
	w.heardOnly("180", "486")
	ack := w.sentOnly("INVITE", "ACK")[1]
	want := lines(`
ACK sip:+14155550199@carrier.example;user=phone SIP/2.0
Via: ` + header(invite, "Via") + `
Route: <sip:proxy.example;lr>
Route: <sip:other.example;lr>
Max-Forwards: 70
From: "Alice" <sip:+14155550100@edge.example>;tag=from1
To: <sip:+14155550199@carrier.example>;tag=busy1
Call-ID: a84b4c76e66710@edge.example
CSeq: 314159 ACK
Content-Length: 0

`)
	if ack.text != want {
		t.Errorf("ACK is\n%s\nwant\n%s", ack.text, want)
	}
	if ack.flow != overUDP {
		t.Errorf("ACK went to %v", ack.flow)
	}
	// A copy means that the ACK was lost: again at once, and nobody is told.
	w.wait(31 * s_)
	w.receive(busy, overUDP)
	if again := w.sentOnly("ACK")[0]; again.text != want || again.flow.Remote != carrier || again.flow.Local != overUDP.Local || again.flow.Proto != transport.UDP {
		t.Errorf("second ACK is\n%s", again.text)
	}
	w.heardOnly()
	w.wait(2 * s_)
	w.receive(busy, overUDP)
	w.heardOnly("stray")
	w.sentOnly()
	w.empty()

	t.Run("over TCP Timer D is zero", func(t *testing.T) {
		w := newWorld(t, Options{})
		_, invite := w.start(wire.INVITE, overTCP, nil)
		w.receive(respond(invite, 503, "b"), overTCP)
		w.heardOnly("503")
		w.sentOnly("INVITE", "ACK")
		w.empty()
	})
}

func TestTXN07Client(t *testing.T) {
	w := newWorld(t, Options{})
	c, invite := w.start(wire.INVITE, overUDP, nil)
	w.receive(respond(invite, 180, "b"), overUDP)
	w.receive(respond(invite, 200, "b"), overUDP)
	w.heardOnly("180", "200")
	w.wait(s_)
	w.receive(respond(invite, 200, "b"), overUDP)     // INV-08: the user must ACK again
	w.receive(respond(invite, 200, "other"), overUDP) // INV-05
	w.heardOnly("200", "200")
	w.receive(respond(invite, 180, "b"), overUDP)
	w.receive(respond(invite, 486, "b"), overUDP)
	w.heardOnly()
	for _, name := range w.names {
		if name != c || name.Token != 42 {
			t.Errorf("response for %v, want %v", name, c)
		}
	}
	if c.Live() {
		t.Error("live after its final response")
	}
	w.sentOnly("INVITE")
	w.wait(33 * s_)
	w.receive(respond(invite, 200, "b"), overUDP)
	w.heardOnly("stray")
	w.empty()
}

func TestTXN08(t *testing.T) {
	w := newWorld(t, Options{})
	_, invite := w.start(wire.INVITE, overUDP, nil)
	other := string(w.l.MintBranch(nil))
	branch := header(invite, "Via")[strings.Index(header(invite, "Via"), "branch=")+7:]
	for name, text := range map[string]string{
		"branch of nobody":    strings.Replace(respond(invite, 200, "b"), branch, other, 1),
		"branch of a peer":    strings.Replace(respond(invite, 200, "b"), branch, "z9hG4bKnashds8", 1),
		"no branch":           strings.Replace(respond(invite, 200, "b"), ";branch="+branch, "", 1),
		"wrong method":        strings.Replace(respond(invite, 200, "b"), "314159 INVITE", "314159 BYE", 1),
		"CANCEL we sent not":  strings.Replace(respond(invite, 200, "b"), "314159 INVITE", "314159 CANCEL", 1),
		"branch of elsewhere": strings.Replace(respond(invite, 200, "b"), "z9hG4bK00", "z9hG4bK01", 1),
	} {
		w.receive(text, overUDP)
		if len(w.heard) != 1 || w.heard[0] != "stray" {
			t.Errorf("%s: heard %q", name, w.heard)
		}
		w.heard = nil
	}
	w.receive(strings.Replace(respond(invite, 200, "b"), branch, strings.ToUpper(branch), 1), overUDP)
	w.heardOnly("200") // tokens are compared without case
}

// Trap 12: an INVITE that rings and rings.
func TestTimerC(t *testing.T) {
	t.Run("ends in CANCEL and a report", func(t *testing.T) {
		w := newWorld(t, Options{})
		c, invite := w.start(wire.INVITE, overUDP, nil)
		w.receive(respond(invite, 100, ""), overUDP)
		w.receive(respond(invite, 180, "b"), overUDP)
		w.sentOnly("INVITE")
		w.wait(3*time.Minute - ms)
		w.heardOnly("100", "180")
		w.wait(ms)
		w.heardOnly("failed ring_timeout")
		cancel := w.sentOnly("CANCEL")[0]
		w.receive(respond(cancel.text, 200, "b"), overUDP)
		w.receive(respond(invite, 487, "b"), overUDP)
		w.sentOnly("ACK")
		w.heardOnly()
		if c.Live() {
			t.Error("still live")
		}
		w.wait(64 * s_)
		w.empty()
	})
	t.Run("101 to 199 start it again, 100 does not", func(t *testing.T) {
		w := newWorld(t, Options{})
		_, invite := w.start(wire.INVITE, overUDP, &Timers{C: 60 * s_})
		for range 20 { // trap 13: no cap on provisionals
			w.receive(respond(invite, 183, "b"), overUDP)
			w.wait(50 * s_)
		}
		if len(w.heard) != 20 {
			t.Errorf("%d callbacks, want 20 provisionals", len(w.heard))
		}
		w.heard = nil
		w.receive(respond(invite, 100, ""), overUDP)
		w.wait(10 * s_)
		w.heardOnly("100", "failed ring_timeout")
	})
	t.Run("with no answer to the CANCEL either, the leg is freed", func(t *testing.T) {
		w := newWorld(t, Options{})
		_, invite := w.start(wire.INVITE, overUDP, nil)
		w.receive(respond(invite, 180, "b"), overUDP)
		w.wait(3*time.Minute + 33*s_)
		w.heardOnly("180", "failed ring_timeout")
		w.wait(64 * s_)
		w.heardOnly()
		w.empty()
	})
	t.Run("a 200 that crosses the CANCEL reaches the user", func(t *testing.T) {
		w := newWorld(t, Options{})
		_, invite := w.start(wire.INVITE, overUDP, nil)
		w.receive(respond(invite, 180, "b"), overUDP)
		w.wait(3 * time.Minute)
		w.receive(respond(invite, 200, "b"), overUDP)
		w.heardOnly("180", "failed ring_timeout", "200")
	})
}

// Trap 13.
func TestTwentyProvisionalsAllArriveInOrder(t *testing.T) {
	w := newWorld(t, Options{})
	_, invite := w.start(wire.INVITE, overUDP, nil)
	var want []string
	for i := range 20 {
		status := []int{180, 183, 181, 182}[i%4]
		w.receive(respond(invite, status, "b"), overUDP)
		want = append(want, []string{"180", "183", "181", "182"}[i%4])
	}
	w.receive(respond(invite, 200, "b"), overUDP)
	w.heardOnly(append(want, "200")...)
}

// Trap 17: the 401 comes again after the authenticated INVITE has left.
func TestChallengeCopyIsAckedForTheOldInvite(t *testing.T) {
	w := newWorld(t, Options{})
	_, first := w.start(wire.INVITE, overUDP, nil)
	challenge := respond(first, 401, "b")
	w.receive(challenge, overUDP)
	branch := w.l.MintBranch(nil)
	second := strings.Replace(first, "314159", "314160", 1)
	second = strings.Replace(second, header(first, "Via"), "SIP/2.0/UDP 192.0.2.1:5060;rport;branch="+string(branch), 1)
	if _, err := w.l.Request(w.now, Request{Branch: branch, Method: wire.INVITE, Flow: overUDP, Bytes: []byte(second), User: w}); err != nil {
		t.Fatal(err)
	}
	acks := w.sentOnly("INVITE", "ACK", "INVITE")
	w.wait(200 * ms)
	w.receive(challenge, overUDP)
	again := w.sentOnly("ACK")[0]
	if again.text != acks[1].text || header(again.text, "Via") != header(first, "Via") || header(again.text, "CSeq") != "314159 ACK" {
		t.Errorf("ACK is\n%s", again.text)
	}
	w.heardOnly("401")
	w.receive(respond(second, 200, "b"), overUDP)
	w.heardOnly("200")
}

func TestTRN09(t *testing.T) {
	refused := errors.New("connection refused")
	t.Run("a Send that fails now leaves nothing behind", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.refuse = refused
		branch := w.l.MintBranch(nil)
		c, err := w.l.Request(w.now, Request{Branch: branch, Method: wire.INVITE, Flow: overUDP, Bytes: []byte("INVITE"), User: w})
		if !errors.Is(err, refused) || c.Live() {
			t.Errorf("error %v, live %v", err, c.Live())
		}
		w.heardOnly()
		w.empty()
	})
	t.Run("a full socket buffer is only a lost datagram", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.refuse = transport.ErrFull
		w.start(wire.INVITE, overUDP, nil)
		w.wait(100 * ms)
		w.refuse = nil
		w.wait(s_)
		w.sentOnly("INVITE")
	})
	t.Run("a failure reported later is told at once", func(t *testing.T) {
		for _, f := range []transport.Flow{overUDP, overTCP} {
			w := newWorld(t, Options{})
			w.start(wire.INVITE, f, nil)
			w.wait(100 * ms)
			w.l.TransportFailed(w.now, w.ref)
			w.heardOnly("failed transport_error")
			w.l.TransportFailed(w.now, w.ref)
			w.l.TransportFailed(w.now, 1<<62)
			w.heardOnly()
			w.empty()
		}
	})
	t.Run("a repetition that cannot be sent", func(t *testing.T) {
		w := newWorld(t, Options{})
		w.start(wire.OPTIONS, overUDP, nil)
		w.refuse = refused
		w.wait(500 * ms)
		w.heardOnly("failed transport_error")
		w.empty()
	})
	t.Run("an ICMP error fails what is unheard at that address", func(t *testing.T) {
		w := newWorld(t, Options{})
		elsewhere := overUDP
		elsewhere.Remote = netip.MustParseAddrPort("192.0.2.21:5060")
		_, ringing := w.start(wire.INVITE, overUDP, nil)
		w.receive(respond(ringing, 180, "b"), overUDP)
		w.start(wire.INVITE, overUDP, nil)
		w.start(wire.OPTIONS, overUDP, nil)
		w.start(wire.INVITE, overTCP, nil)
		other, _ := w.start(wire.INVITE, elsewhere, nil)
		w.l.TransportFailedTo(w.now, carrier)
		w.heardOnly("180", "failed transport_error", "failed transport_error")
		if got := w.l.Stats().Clients; got != 3 || !other.Live() {
			t.Errorf("%d transactions live, want 3", got)
		}
	})
	t.Run("a lost connection fails what is unheard on it", func(t *testing.T) {
		w := newWorld(t, Options{})
		dialled := transport.Flow{Proto: transport.TCP, Remote: carrier}
		w.start(wire.INVITE, overTCP, nil)
		w.start(wire.INVITE, dialled, nil)
		w.start(wire.INVITE, overUDP, nil)
		w.l.ConnectionLost(w.now, transport.Flow{Proto: transport.TCP, Conn: 9, Remote: carrier})
		w.heardOnly("failed transport_error")
		w.l.ConnectionLost(w.now, transport.Flow{Proto: transport.TCP, Conn: 7, Remote: carrier})
		w.heardOnly("failed transport_error")
	})
	t.Run("a user may start the next target from the callback", func(t *testing.T) {
		w := newWorld(t, Options{})
		for range 5 {
			w.start(wire.INVITE, overUDP, nil)
		}
		w.onCall = func(Client) { w.start(wire.INVITE, overUDP, nil) }
		w.l.TransportFailedTo(w.now, carrier)
		if got := w.l.Stats().Clients; got != 5 || len(w.heard) != 5 {
			t.Errorf("%d live after %q", got, w.heard)
		}
	})
}

func TestRequestRefused(t *testing.T) {
	w := newWorld(t, Options{Shard: 3, MaxClients: 1})
	branch := w.l.MintBranch(nil)
	other := NewLayer(w, Options{Shard: 4}).MintBranch(nil)
	try := func(branch []byte, m wire.Method) error {
		_, err := w.l.Request(w.now, Request{Branch: branch, Method: m, Flow: overUDP, Bytes: []byte("x"), User: w})
		return err
	}
	for _, test := range []struct {
		name   string
		branch []byte
		method wire.Method
		want   error
	}{
		{"another layer's branch", other, wire.INVITE, ErrBranch},
		{"a branch not minted", []byte("z9hG4bKxyz"), wire.INVITE, ErrBranch},
		{"ACK", branch, wire.ACK, ErrMethod},
		{"CANCEL", branch, wire.CANCEL, ErrMethod},
		{"a good one", branch, wire.INVITE, nil},
		{"the same branch again", branch, wire.INVITE, ErrBranch},
		{"one too many", w.l.MintBranch(nil), wire.INVITE, ErrFull},
	} {
		if err := try(test.branch, test.method); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if got := w.l.Stats().Full; got != 1 {
		t.Errorf("Full = %d", got)
	}
}

func TestAbandon(t *testing.T) {
	w := newWorld(t, Options{})
	c, invite := w.start(wire.INVITE, overUDP, nil)
	c.Cancel(w.now, nil)
	c.Abandon()
	w.sentOnly("INVITE")
	w.receive(respond(invite, 180, "b"), overUDP)
	w.sentOnly("CANCEL")
	w.receive(respond(invite, 200, "b"), overUDP) // RTE-08: the late answer must be hung up
	w.receive(respond(invite, 200, "b"), overUDP)
	w.heardOnly("200", "200")

	c, invite = w.start(wire.INVITE, overUDP, nil)
	c.Abandon()
	w.receive(respond(invite, 486, "b"), overUDP)
	w.sentOnly("INVITE", "ACK")
	w.heardOnly()
	c.Abandon() // over: nothing happens
	Client{}.Abandon()
	Client{}.Cancel(w.now, nil)
	w.wait(64 * s_)
	w.empty()
}

func TestLate2xxAfterRefusal(t *testing.T) {
	w := newWorld(t, Options{})
	_, invite := w.start(wire.INVITE, overUDP, nil)
	w.receive(respond(invite, 603, "a"), overUDP)
	w.receive(respond(invite, 200, "b"), overUDP) // another branch of a forking proxy
	w.heardOnly("603", "200")
}
