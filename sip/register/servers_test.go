package register_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/internal/siptest"
	"trunkline/sip/register"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// twoServers is oneTrunk at a host with two addresses, and an agent whose calls it carries.
var twoServers = strings.Replace(oneTrunk, "192.0.2.20:5060", "two.example", 1) + `
agents:
  - {name: app, destinations: [{uri: "sip:192.0.2.30:5080"}], source_addresses: [192.0.2.30]}
numbers:
  - {number: "+15550001234", trunk: carrier, inbound_agent: app, outbound_agent: app}`

func (w *world) second() *siptest.Endpoint {
	return w.net.Endpoint("second", transport.UDP, netip.MustParseAddrPort("192.0.2.21:5060"))
}

// REG-07, RFC 3263 §4.3: a registrar with several addresses is asked at the next one at once when one is silent, cannot be
// reached or is in trouble; the first one has its turn again when it has rested, and keeps the trunk when it answers.
func TestREG07(t *testing.T) {
	for _, trouble := range []string{"503", "silence"} {
		t.Run(trouble, func(t *testing.T) {
			run(t, twoServers, func(w *world) {
				second := w.second()
				first := w.next(time.Second)
				if trouble == "503" {
					w.answer(first, 503)
				}
				m := w.nextAt(second, 4100*time.Millisecond)
				if string(m.CallID) != string(first.CallID) || m.CSeq <= first.CSeq {
					t.Errorf("a registration of its own: %s, %d", m.CallID, m.CSeq)
				}
				w.answerFrom(second, m, 200, "Expires: 3600")
				w.wantState(register.Registered)
				if s := w.status(); s.Server != netip.MustParseAddrPort("192.0.2.21:5060") {
					t.Errorf("%+v", s)
				}
				for trouble == "silence" { // what was repeated before
					if _, ok := w.registrar.Receive(0); !ok {
						break
					}
				}
				// Within five minutes the first is asked again, and the binding holds meanwhile.
				m = w.next(6 * time.Minute)
				w.wantState(register.Registered)
				w.answer(m, 200, "Expires: 60")
				if s := w.status(); s.Server != registrarAt {
					t.Errorf("%+v", s)
				}
				w.answer(w.next(time.Minute), 200, "Expires: 60")
			})
		})
	}
	t.Run("the first is still dead", func(t *testing.T) {
		run(t, twoServers, func(w *world) {
			second := w.second()
			w.next(time.Second)
			w.answerFrom(second, w.nextAt(second, 5*time.Second), 200, "Expires: 3600")
			m := w.nextAt(second, 6*time.Minute)
			w.wantState(register.Registered)
			w.answerFrom(second, m, 200, "Expires: 3600")
			if s := w.status(); s.State != register.Registered || s.Failures != 0 {
				t.Errorf("%+v", s)
			}
		})
	})
	t.Run("both are dead", func(t *testing.T) {
		run(t, twoServers, func(w *world) {
			second := w.second()
			w.answer(w.next(time.Second), 500)
			w.answerFrom(second, w.nextAt(second, time.Second), 500)
			w.wantState(register.Rejected)
			if s := w.status(); s.Failures != 1 || time.Until(s.Next) < 3*time.Second {
				t.Errorf("one try, and then a pause: %+v", s)
			}
		})
	})
	t.Run("a refusal is the account's, not the server's", func(t *testing.T) {
		run(t, twoServers, func(w *world) {
			second := w.second()
			w.answer(w.next(time.Second), 403)
			if a, ok := second.Receive(time.Minute); ok {
				t.Errorf("asked elsewhere:\n%s", a.Bytes)
			}
		})
	})
}

// invite has the agent call out and returns the INVITE that one of the endpoints gets.
func (w *world) invite(callID string, at ...*siptest.Endpoint) (*siptest.Endpoint, *wire.Message) {
	w.Helper()
	app := w.net.Endpoint("app"+callID, transport.UDP, netip.MustParseAddrPort("192.0.2.30:5080"))
	app.Send(edgeAt, []byte("INVITE sip:+14155550100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.30:5080;rport;branch=z9hG4bK"+callID+
		"\r\nMax-Forwards: 70\r\nFrom: <sip:+15550001234@app>;tag=a\r\nTo: <sip:+14155550100@edge>\r\nCall-ID: "+callID+
		"\r\nCSeq: 1 INVITE\r\nContact: <sip:192.0.2.30:5080>\r\nContent-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n"))
	time.Sleep(50 * time.Millisecond)
	for _, e := range at {
		for {
			a, ok := e.Receive(0)
			if !ok {
				break
			}
			m := new(wire.Message)
			if m.Parse(slices.Clone(a.Bytes)) == nil && m.Method == wire.INVITE {
				return e, m
			}
		}
	}
	w.Fatal("no INVITE")
	return nil, nil
}

// REG-07: a call goes to the server where the trunk is registered, and to the others only when that one fails.
func TestREG07_callsFollow(t *testing.T) {
	run(t, twoServers, func(w *world) {
		second := w.second()
		w.answer(w.next(time.Second), 500) // in trouble with us, but not known to be down
		w.answerFrom(second, w.nextAt(second, time.Second), 200, "Expires: 3600")
		if got := w.edge.Choose(w.edge.Trunks().Trunks[0], 0); got != 1 {
			t.Errorf("Choose returns %d", got)
		}
		at, _ := w.invite("one", w.registrar, second)
		if at != second {
			t.Error("the call went to the first server")
		}
		if at, _ := w.invite("two", w.registrar, second); at != second {
			t.Error("the second call went to the first server")
		}
	})
}

// REG-10, RFC 3327 §5.1, RFC 3608 §5: Path is offered; Service-Route is kept, preloaded on calls, decides where they go, and is
// forgotten when a 200 has none.
func TestREG10(t *testing.T) {
	run(t, strings.Replace(twoServers, "two.example", "192.0.2.20:5060", 1), func(w *world) {
		m := w.next(time.Second)
		if !m.HasToken(wire.HSupported, "path") {
			t.Errorf("Path is not offered:\n%s", m.Bytes)
		}
		w.answer(m, 200, "Expires: 60", "Path: <sip:p1.example;lr>", "Service-Route: <sip:192.0.2.21:5060;lr>, <sip:home@core.example;lr>")
		if got := w.status().Routes; !slices.Equal(got, []string{"<sip:192.0.2.21:5060;lr>", "<sip:home@core.example;lr>"}) {
			t.Errorf("Service-Route %q", got)
		}
		second := w.second()
		at, invite := w.invite("one", w.registrar, second)
		if at != second {
			t.Error("the call did not go to the first Route")
		}
		var routes []string
		for v := range invite.Values(wire.HRoute) {
			routes = append(routes, string(v))
		}
		if !slices.Equal(routes, []string{"<sip:192.0.2.21:5060;lr>", "<sip:home@core.example;lr>"}) || !strings.HasPrefix(string(invite.URI), "sip:+14155550100@carrier.example") {
			t.Errorf("Route %q\n%s", routes, invite.Bytes)
		}
		w.answer(w.next(time.Minute), 200, "Expires: 60")
		if at, invite := w.invite("two", w.registrar, second); at != w.registrar || invite.Has(wire.HRoute) {
			t.Errorf("the Service-Route is not forgotten\n%s", invite.Bytes)
		}
	})
}

// REG-09: calls show the address at which the far end reaches us, as the registration does.
func TestREG09_calls(t *testing.T) {
	run(t, strings.Replace(twoServers, "two.example", "192.0.2.20:5060", 1), func(w *world) {
		for range 2 {
			w.seenAs(w.next(time.Second), "203.0.113.7:41000", 300)
		}
		_, invite := w.invite("one", w.registrar)
		if got := string(invite.Get(wire.HContact)); got != "<sip:203.0.113.7:41000>" {
			t.Errorf("Contact %s", got)
		}
	})
}
