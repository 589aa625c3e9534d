package sip_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/sip"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

const (
	agentOffer   = "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
	numberAnswer = "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"
)

// answer responds to a request; SDP may be empty.
func (w *world) answer(at interface {
	Send(netip.AddrPort, []byte) error
}, m *wire.Message, status int, sdp string) {
	w.t.Helper()
	b := wire.AppendResponse(nil, m, status, "", []byte("theirs"), netip.AddrPort{})
	if status < 300 {
		host := "192.0.2.30:5080"
		if sdp == numberAnswer {
			host = "192.0.2.20:5060"
		}
		b = append(b, "Contact: <sip:"+host+">\r\n"...)
	}
	kind := ""
	if sdp != "" {
		kind = "application/sdp"
	}
	if err := at.Send(w.at, wire.AppendBody(b, kind, []byte(sdp))); err != nil {
		w.t.Fatal(err)
	}
}

// originate asks for a call from the application to a number.
func (w *world) originate() (id string) {
	w.t.Helper()
	id, err := w.edge.Originate(w.t.Context(), sip.Origination{Agent: "app", From: "+15550001234", To: "+493012345"})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) wantMethod(m *wire.Message, want wire.Method) *wire.Message {
	w.t.Helper()
	if m.Method != want || m.Status != 0 {
		w.t.Fatalf("%s came where %s was due:\n%s", m.MethodName, want, m.Bytes)
	}
	return m
}

// wantRecord waits for the one record.
func (w *world) wantRecord(outcome string, code int) {
	w.t.Helper()
	time.Sleep(2 * time.Minute)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.records) != 1 {
		w.t.Fatalf("%d records", len(w.records))
	}
	if r := w.records[0]; r.Outcome != outcome || r.Code != code || r.Direction.String() != "outbound" || r.Agent != "app" || r.Caller != "+15550001234" || r.Called != "+493012345" {
		w.t.Errorf("record %+v", r)
	}
	if n := w.edge.Calls(); n != 0 {
		w.t.Errorf("%d calls are left", n)
	}
}

// RFC 3725 §4.1: the agent's offer goes to the number, and the number's answer back in the ACK.
func TestOriginate(t *testing.T) {
	run(t, nil, func(w *world) {
		id := w.originate()
		invite := w.wantMethod(w.next(w.app), wire.INVITE)
		if len(invite.Body) > 0 || !strings.Contains(string(invite.From.URI), "+493012345") {
			t.Errorf("the INVITE to the agent:\n%s", invite.Bytes)
		}
		live, err := w.edge.Live(w.t.Context(), 10, func(_, agent string) bool { return agent == "app" })
		if err != nil || len(live) != 1 || live[0].ID != id {
			t.Errorf("live: %+v %v", live, err)
		}
		w.answer(w.app, invite, 180, "")
		w.answer(w.app, invite, 200, agentOffer)
		out := w.wantMethod(w.next(w.carrier), wire.INVITE)
		if string(out.Body) != agentOffer || !strings.Contains(string(out.From.URI), "+15550001234") || !strings.Contains(string(out.URI), "+493012345") {
			t.Errorf("the INVITE to the carrier:\n%s", out.Bytes)
		}
		w.answer(w.carrier, out, 180, "")
		w.answer(w.app, invite, 200, agentOffer) // the agent waits for its ACK
		w.answer(w.carrier, out, 200, numberAnswer)
		ack := w.wantMethod(w.next(w.app), wire.ACK)
		if string(ack.Body) != numberAnswer || ack.CSeq != invite.CSeq {
			t.Errorf("the ACK to the agent:\n%s", ack.Bytes)
		}
		w.wantMethod(w.next(w.carrier), wire.ACK)
		w.answer(w.app, invite, 200, agentOffer)
		if again := w.wantMethod(w.next(w.app), wire.ACK); string(again.Bytes) != string(ack.Bytes) {
			t.Errorf("the copy's ACK is another:\n%s", again.Bytes)
		}
		time.Sleep(10 * time.Second)
		if found, err := w.edge.HangUp(w.t.Context(), id); !found || err != nil {
			t.Errorf("hang up: %v %v", found, err)
		}
		bye := w.wantMethod(w.next(w.app), wire.BYE)
		if bye.CSeq != invite.CSeq+1 || string(bye.To.Tag) != "theirs" {
			t.Errorf("the BYE to the agent:\n%s", bye.Bytes)
		}
		w.answer(w.app, bye, 200, "")
		w.answer(w.carrier, w.wantMethod(w.next(w.carrier), wire.BYE), 200, "")
		w.wantRecord("answered", 200)
	})
}

// IDN-11: no limit holds a call in an emergency up.
func TestOriginateInAnEmergency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app = w.net.Endpoint("app", transport.UDP, netip.MustParseAddrPort("192.0.2.30:5080"))
		c := worldConfig(t, "{}")
		c.Limits.MaxCalls = 1
		w.run(c, sip.Options{Emergency: []string{"911"}}, func() {
			w.originate()
			var refusal *trunks.Refusal
			if _, err := w.edge.Originate(t.Context(), sip.Origination{Agent: "app", From: "+15550001234", To: "+493012345"}); !errors.As(err, &refusal) || refusal.Reason != trunks.Overload {
				t.Errorf("a second call: %v", err)
			}
			if _, err := w.edge.Originate(t.Context(), sip.Origination{Agent: "app", From: "+15550001234", To: "911"}); err != nil {
				t.Errorf("a call in an emergency: %v", err)
			}
		})
	})
}

func TestOriginateAgentHangsUp(t *testing.T) {
	run(t, nil, func(w *world) {
		w.originate()
		invite := w.wantMethod(w.next(w.app), wire.INVITE)
		w.answer(w.app, invite, 200, agentOffer)
		out := w.wantMethod(w.next(w.carrier), wire.INVITE)
		w.answer(w.carrier, out, 200, numberAnswer)
		w.wantMethod(w.next(w.app), wire.ACK)
		w.wantMethod(w.next(w.carrier), wire.ACK)
		w.send(w.app, "BYE sip:192.0.2.1:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.30:5080;branch=z9hG4bKbye;rport\nMax-Forwards: 70\nFrom: "+
			"<"+string(invite.To.URI)+">;tag=theirs\nTo: <"+string(invite.From.URI)+">;tag="+string(invite.From.Tag)+"\nCall-ID: "+string(invite.CallID)+"\nCSeq: 9 BYE\nContent-Length: 0\n\n")
		w.answer(w.carrier, w.wantMethod(w.next(w.carrier), wire.BYE), 200, "")
		if m := w.next(w.app); m.Status != 200 {
			t.Errorf("the BYE is answered %d", m.Status)
		}
		w.wantRecord("answered", 200)
	})
}

func TestOriginateNobodyIsReached(t *testing.T) {
	t.Run("the agent is busy", func(t *testing.T) {
		run(t, nil, func(w *world) {
			w.originate()
			w.answer(w.app, w.wantMethod(w.next(w.app), wire.INVITE), 486, "")
			w.wantMethod(w.next(w.app), wire.ACK)
			w.wantRecord("busy", 486)
		})
	})
	t.Run("the agent is silent", func(t *testing.T) {
		run(t, nil, func(w *world) {
			w.originate()
			w.wantRecord("timeout", 480)
		})
	})
	t.Run("the number is busy: the agent is let go", func(t *testing.T) {
		run(t, nil, func(w *world) {
			w.originate()
			invite := w.wantMethod(w.next(w.app), wire.INVITE)
			w.answer(w.app, invite, 200, agentOffer)
			w.answer(w.carrier, w.wantMethod(w.next(w.carrier), wire.INVITE), 486, "")
			w.wantMethod(w.next(w.carrier), wire.ACK)
			w.wantMethod(w.next(w.app), wire.ACK)
			w.answer(w.app, w.wantMethod(w.next(w.app), wire.BYE), 200, "")
			w.wantRecord("busy", 486)
		})
	})
	t.Run("hung up while the agent rings", func(t *testing.T) {
		run(t, nil, func(w *world) {
			id := w.originate()
			invite := w.wantMethod(w.next(w.app), wire.INVITE)
			w.answer(w.app, invite, 180, "")
			time.Sleep(time.Second)
			if found, err := w.edge.HangUp(w.t.Context(), id); !found || err != nil {
				t.Errorf("hang up: %v %v", found, err)
			}
			w.answer(w.app, w.wantMethod(w.next(w.app), wire.CANCEL), 200, "")
			w.answer(w.app, invite, 487, "")
			w.wantMethod(w.next(w.app), wire.ACK)
			w.wantRecord("cancelled", 487)
		})
	})
	t.Run("a number that the agent may not use", func(t *testing.T) {
		run(t, nil, func(w *world) {
			for _, o := range []sip.Origination{{Agent: "app", From: "+15559999999", To: "+49"}, {Agent: "nobody", From: "+15550001234", To: "+49"}, {Agent: "app", From: "+15550001234"}} {
				if id, err := w.edge.Originate(w.t.Context(), o); err == nil {
					t.Errorf("%+v: %s", o, id)
				}
			}
		})
	})
}

// The toll of an agent bounds calls that are made over the API too: where they go, and how long they last.
func TestOriginateKeepsWithinTheToll(t *testing.T) {
	run(t, nil, func(w *world) {
		_, err := w.edge.Originate(w.t.Context(), sip.Origination{Agent: "app", From: "+15550001234", To: "+19005551234"})
		if r, ok := errors.AsType[*trunks.Refusal](err); !ok || r.Reason != trunks.TollBarred {
			t.Errorf("a premium number: %v", err)
		}
		w.setToll("{minutes_per_day: 60}")
		id := w.originate()
		w.answer(w.app, w.wantMethod(w.next(w.app), wire.INVITE), 200, agentOffer)
		w.answer(w.carrier, w.wantMethod(w.next(w.carrier), wire.INVITE), 200, numberAnswer)
		w.wantMethod(w.next(w.app), wire.ACK)
		w.wantMethod(w.next(w.carrier), wire.ACK)
		time.Sleep(10 * time.Minute)
		used := func() time.Duration {
			tolls := w.edge.Trunks().Tolls(time.Now())
			if len(tolls) != 1 || tolls[0].Name != "app" {
				t.Fatalf("tolls: %+v", tolls)
			}
			return tolls[0].Used.Round(time.Second)
		}
		if u := used(); u != 10*time.Minute {
			t.Errorf("%s are used while it runs", u)
		}
		if _, err := w.edge.HangUp(w.t.Context(), id); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if u := used(); u != 10*time.Minute {
			t.Errorf("%s are used when it is over", u)
		}
	})
}
