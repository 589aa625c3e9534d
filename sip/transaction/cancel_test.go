package transaction

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/sip/wire"
)

// Trap 4 with it: CANCEL before any 1xx.
func TestCAN02(t *testing.T) {
	w := newWorld(t, Options{})
	c, invite := w.start(wire.INVITE, overUDP, nil)
	c.Cancel(w.now, []byte("Reason: SIP ;cause=200 ;text=\"Call completed elsewhere\"\r\n"))
	c.Cancel(w.now, nil)
	w.wait(600 * ms)
	w.sentOnly("INVITE", "INVITE")
	w.receive(respond(invite, 100, ""), overUDP)
	cancel := w.sentOnly("CANCEL")[0]
	want := lines(`
CANCEL sip:+14155550199@carrier.example;user=phone SIP/2.0
Via: ` + header(invite, "Via") + `
Route: <sip:proxy.example;lr>
Route: <sip:other.example;lr>
Max-Forwards: 70
From: "Alice" <sip:+14155550100@edge.example>;tag=from1
To: <sip:+14155550199@carrier.example>
Call-ID: a84b4c76e66710@edge.example
CSeq: 314159 CANCEL
Reason: SIP ;cause=200 ;text="Call completed elsewhere"
Content-Length: 0

`)
	if cancel.text != want {
		t.Errorf("CANCEL is\n%s\nwant\n%s", cancel.text, want)
	}
	if cancel.flow != overUDP {
		t.Errorf("CANCEL went to %v", cancel.flow)
	}
	w.receive(respond(invite, 180, "b"), overUDP)
	w.wait(500 * ms)
	w.sentOnly("CANCEL") // repeated: it has a transaction of its own
	w.receive(respond(cancel.text, 200, "b"), overUDP)
	w.receive(respond(cancel.text, 200, "b"), overUDP)
	refusal := respond(invite, 487, "b")
	w.receive(refusal, overUDP)
	w.heardOnly("100", "180", "487") // nothing about the CANCEL's own responses
	w.sentOnly("ACK")
	w.receive(refusal, overUDP) // trap 3: the copy gets its ACK at once
	w.sentOnly("ACK")
	w.heardOnly()
	w.wait(64 * s_)
	w.sentOnly()
	w.empty()

	t.Run("at once after a provisional", func(t *testing.T) {
		w := newWorld(t, Options{})
		c, invite := w.start(wire.INVITE, overUDP, nil)
		w.receive(respond(invite, 180, "b"), overUDP)
		c.Cancel(w.now, nil)
		w.sentOnly("INVITE", "CANCEL")
	})
	t.Run("never after a final response", func(t *testing.T) {
		w := newWorld(t, Options{})
		c, invite := w.start(wire.INVITE, overUDP, nil)
		w.receive(respond(invite, 200, "b"), overUDP)
		c.Cancel(w.now, nil)
		w.sentOnly("INVITE")
	})
	t.Run("not sent when the final response is the first", func(t *testing.T) {
		w := newWorld(t, Options{})
		c, invite := w.start(wire.INVITE, overUDP, nil)
		c.Cancel(w.now, nil)
		w.receive(respond(invite, 404, "b"), overUDP)
		w.sentOnly("INVITE", "ACK")
		w.heardOnly("404")
	})
	t.Run("only INVITE has one", func(t *testing.T) {
		w := newWorld(t, Options{})
		c, options := w.start(wire.OPTIONS, overUDP, nil)
		w.receive(respond(options, 100, ""), overUDP)
		c.Cancel(w.now, nil)
		w.sentOnly("OPTIONS")
	})
	t.Run("headers that do not fit beside the INVITE", func(t *testing.T) {
		w := newWorld(t, Options{})
		c, invite := w.start(wire.INVITE, overUDP, nil)
		w.receive(respond(invite, 180, "b"), overUDP)
		reason := strings.Repeat("Reason: SIP;cause=200\r\n", 40)
		c.Cancel(w.now, []byte(reason))
		if cancel := w.sentOnly("INVITE", "CANCEL")[1]; strings.Count(cancel.text, "Reason") != 40 {
			t.Error(cancel.text)
		}
		w.receive(respond(invite, 487, "b"), overUDP)
		w.wait(64 * s_)
		w.empty()
	})
	t.Run("of a re-INVITE has its To tag", func(t *testing.T) {
		w := newWorld(t, Options{})
		branch := w.l.MintBranch(nil)
		text := call{via: "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=" + string(branch), uri: "sip:peer@192.0.2.20:5060", id: "re", seq: 2, to: "<sip:b@carrier.example>;tag=remote"}.request("INVITE")
		c, err := w.l.Request(w.now, Request{Branch: branch, Method: wire.INVITE, Flow: overUDP, Bytes: []byte(text), User: w})
		if err != nil {
			t.Fatal(err)
		}
		w.receive(respond(text, 100, ""), overUDP)
		c.Cancel(w.now, nil)
		if cancel := w.sentOnly("INVITE", "CANCEL")[1]; header(cancel.text, "To") != "<sip:b@carrier.example>;tag=remote" {
			t.Error(cancel.text)
		}
	})
}

// CAN-03 in the layer: both the CANCEL's 200 and the INVITE's get through.
func TestCAN03(t *testing.T) {
	w := newWorld(t, Options{})
	c, invite := w.start(wire.INVITE, overUDP, nil)
	w.receive(respond(invite, 180, "b"), overUDP)
	c.Cancel(w.now, nil)
	cancel := w.sentOnly("INVITE", "CANCEL")[1]
	w.receive(respond(invite, 200, "b"), overUDP)
	w.receive(respond(cancel.text, 481, "b"), overUDP)
	w.heardOnly("180", "200") // now the user sends ACK and BYE
	w.wait(64 * s_)
	w.heardOnly()
	w.empty()
}

func TestCAN05(t *testing.T) {
	for _, answered := range []bool{true, false} {
		w := newWorld(t, Options{})
		c, invite := w.start(wire.INVITE, overUDP, nil)
		w.receive(respond(invite, 180, "b"), overUDP)
		w.wait(10 * s_)
		c.Cancel(w.now, nil)
		cancel := w.sentOnly("INVITE", "CANCEL")[1]
		if answered {
			w.receive(respond(cancel.text, 200, "b"), overUDP)
		}
		w.receive(respond(invite, 180, "b"), overUDP) // does not start Timer C again
		w.wait(32*s_ - ms)
		w.heardOnly("180", "180")
		w.wait(ms)
		w.heardOnly("failed cancel_timeout")
		w.wait(64 * s_)
		w.heardOnly()
		w.empty()
	}
}

func TestServerCancel(t *testing.T) {
	invite := incoming("INVITE", "z9hG4bK1")
	t.Run("before the answer", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overUDP)
		w.respond(s, invite, 180)
		if got := w.becomes(Cancelled, cancelOf(invite), overUDP); got != s {
			t.Errorf("cancelled %v, want %v", got, s)
		}
		w.respond(s, invite, 487)
		w.becomes(Absorbed, cancelOf(invite), overUDP)
		w.becomes(Absorbed, ackOf(invite), overUDP)
		all := w.sentOnly("180 INVITE", "200 CANCEL", "487 INVITE", "200 CANCEL")
		for _, s := range all { // trap 7
			if to := header(s.text, "To"); to != "<sip:+14155550100@edge.example>;tag=local1" {
				t.Errorf("%s has To: %s", summary(s.text), to)
			}
		}
		w.wait(64 * s_)
		w.empty()
	})
	t.Run("CAN-04: after the answer it has no effect", func(t *testing.T) {
		for _, status := range []int{200, 486} {
			w := newWorld(t, Options{})
			s := w.arrive(invite, overUDP)
			w.respond(s, invite, status)
			w.sent = nil
			w.becomes(Absorbed, cancelOf(invite), overUDP)
			if got := w.sentOnly("200 CANCEL")[0]; !strings.HasSuffix(header(got.text, "To"), ";tag=local1") {
				t.Error(got.text)
			}
			if !s.Live() {
				t.Error("the INVITE is over")
			}
		}
	})
	t.Run("CAN-04: after ACK it has no effect and the same tag", func(t *testing.T) {
		for _, status := range []int{200, 486} {
			w := newWorld(t, Options{})
			s := w.arrive(invite, overUDP)
			w.respond(s, invite, status)
			if status == 200 {
				s.Acked(w.now)
			} else {
				w.becomes(Absorbed, ackOf(invite), overUDP)
			}
			w.sent = nil
			w.becomes(Absorbed, cancelOf(invite), overUDP)
			if got := w.sentOnly("200 CANCEL")[0]; !strings.HasSuffix(header(got.text, "To"), ";tag=local1") {
				t.Error(got.text)
			}
		}
	})
	t.Run("CAN-04: without a match 481", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overUDP)
		elsewhere := overUDP
		elsewhere.Remote = netip.MustParseAddrPort("203.0.113.5:5060")
		w.becomes(Unmatched, cancelOf(invite), elsewhere) // SEC-04
		for name, text := range map[string]string{
			"branch":   strings.Replace(cancelOf(invite), "z9hG4bK1", "z9hG4bK2", 1),
			"From tag": strings.Replace(cancelOf(invite), "tag=from1", "tag=from2", 1),
			"Call-ID":  strings.Replace(cancelOf(invite), "f81d4fae7dec", "00a0c91e6bf6", 1),
			"CSeq":     strings.Replace(cancelOf(invite), ": 1 CANCEL", ": 2 CANCEL", 1),
			"sent-by":  strings.Replace(cancelOf(invite), "192.0.2.20:5060", "192.0.2.20", 1),
		} {
			w.sent = nil
			if _, v := w.receive(text, overUDP); v != Unmatched {
				t.Errorf("wrong %s: %v", name, v)
			}
			w.becomes(Absorbed, text, overUDP)
			w.sentOnly("481 CANCEL", "481 CANCEL")
		}
		if !s.Live() || w.l.Stats().UnmatchedCancels != 6 {
			t.Errorf("live %v, %d unmatched", s.Live(), w.l.Stats().UnmatchedCancels)
		}
	})
	t.Run("of a re-INVITE keeps the To tag it came with", func(t *testing.T) {
		w := newWorld(t, Options{})
		re := strings.Replace(invite, "edge.example>\r\nCall", "edge.example>;tag=dialog\r\nCall", 1)
		w.arrive(re, overUDP)
		w.becomes(Cancelled, cancelOf(re), overUDP)
		if got := w.sentOnly("200 CANCEL")[0]; header(got.text, "To") != "<sip:+14155550100@edge.example>;tag=dialog" {
			t.Error(got.text)
		}
	})
	t.Run("over TCP", func(t *testing.T) {
		w := newWorld(t, Options{})
		s := w.arrive(invite, overTCP)
		w.becomes(Cancelled, cancelOf(invite), overTCP)
		w.respond(s, invite, 487)
		w.becomes(Absorbed, ackOf(invite), overTCP)
		w.wait(time.Second)
		w.empty()
	})
}
