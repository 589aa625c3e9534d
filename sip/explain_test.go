package sip_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/config"
	"trunkline/sip"
	"trunkline/trunks"
)

func TestExplainNamesTheGateThatStopsACall(t *testing.T) {
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + `
trunks:
  - {name: near, server: 192.0.2.20, source_addresses: [192.0.2.20], cps_limit: 0.5}
  - {name: far, server: 192.0.2.21}
agents:
  - {name: app, destinations: [{uri: "sip:192.0.2.30"}], source_addresses: [192.0.2.30]}
numbers:
  - {number: "+15550001234", trunk: near, inbound_agent: app, outbound_agent: app, routes: [{trunk: near}, {trunk: far}]}
`})
	if err != nil {
		t.Fatal(err)
	}
	s, err := trunks.Build(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	invite := func(called, caller string) string {
		return "INVITE sip:" + called + "@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKi\nMax-Forwards: 70\n" +
			"From: <sip:" + caller + "@192.0.2.20>;tag=c\nTo: <sip:" + called + "@192.0.2.1>\nCall-ID: call\nCSeq: 1 INVITE\nContact: <sip:192.0.2.20:5060>\nContent-Length: 0"
	}
	for _, test := range []struct {
		name, from, text string
		want             []string // of the gates, in order; - before the one that stops it
	}{
		{"a stranger", "192.0.2.99:5060", invite("+15550001234", "+1"), []string{"-source 192.0.2.99:5060 over UDP is not a source"}},
		{"no message", "192.0.2.20:5060", "hello", []string{"source ", "-message "}},
		{"hops used up", "192.0.2.20:5060", strings.Replace(invite("+15550001234", "+1"), "Forwards: 70", "Forwards: 0", 1), []string{"source ", "-message "}},
		{"an unlisted number", "192.0.2.20:5060", invite("+15550009999", "+1"), []string{"source ", "message valid", "-route "}},
		{"inbound", "192.0.2.20:5060", invite("+15550001234", "+1"), []string{"source ", "message valid", "route +15550001234 is number", "target sip:192.0.2.30"}},
		{"a caller that is not ours", "192.0.2.30:5060", invite("+4930123456", "+4930"), []string{"source ", "message valid", "-route "}},
		{"outbound by two trunks", "192.0.2.30:5060", invite("+4930123456", "+15550001234"), []string{"source ", "message valid",
			"route app may use +15550001234: outbound to +4930123456 over trunk near", "target 192.0.2.20:5060", "limit 0.5", "route app may use +15550001234: outbound to +4930123456 over trunk far", "target 192.0.2.21:5060"}},
		{"a caller that names no number", "192.0.2.30:5060", invite("+4930123456", "reception"), []string{"source ", "message valid",
			"caller app names no number that it may use; its own, +15550001234, stands for it", "route app may use +15550001234: outbound to +4930123456 over trunk near",
			"target 192.0.2.20:5060 over udp, as sip:+4930123456@192.0.2.20 from <sip:+15550001234@192.0.2.20>", "limit 0.5", "route ", "target "}},
		{"OPTIONS", "192.0.2.20:5060", strings.ReplaceAll(invite("+1", "+1"), "INVITE", "OPTIONS"), []string{"source ", "message OPTIONS is answered"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			gates, taken := sip.Explain(s, "UDP", netip.MustParseAddrPort(test.from), []byte(test.text))
			if len(gates) != len(test.want) {
				t.Fatalf("%d gates, want %d: %+v", len(gates), len(test.want), gates)
			}
			for i, g := range gates {
				line := g.Name + " " + g.Why
				if !g.Passed {
					line = "-" + line
				}
				if !strings.HasPrefix(line, test.want[i]) {
					t.Errorf("gate %d: %s\nwant %s", i, line, test.want[i])
				}
			}
			if want := !strings.HasPrefix(test.want[len(test.want)-1], "-"); taken != want {
				t.Errorf("taken: %v", taken)
			}
		})
	}
}

// OVL-02: the gate is there while new calls are refused for it, and calls of the API meet it, too.
func TestExplainSaysThatThereAreTooManyCalls(t *testing.T) {
	const text = "INVITE sip:+15550001234@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKi\nMax-Forwards: 70\n" +
		"From: <sip:+1@192.0.2.20>;tag=c\nTo: <sip:+15550001234@192.0.2.1>\nCall-ID: call\nCSeq: 1 INVITE\nContact: <sip:192.0.2.20:5060>\nContent-Length: 0\n\n"
	run(t, nil, func(w *world) {
		explain := func() (last sip.Gate, taken bool) {
			gates, taken := w.edge.Explain(w.edge.Trunks(), "UDP", netip.MustParseAddrPort("192.0.2.20:5060"), []byte(text))
			return gates[len(gates)-1], taken
		}
		originate := func() error {
			_, err := w.edge.Originate(w.t.Context(), sip.Origination{Agent: "app", From: "+15550001234", To: "+14155550199"})
			return err
		}
		if g, taken := explain(); !taken {
			t.Errorf("at first: %+v", g)
		}
		w.net.SetBehind(time.Second)
		w.call(1, "+19990000000")
		if got := w.final(w.carrier); got != 404 {
			t.Errorf("the first late one hears %d", got)
		}
		time.Sleep(300 * time.Millisecond)
		w.call(2, "+15550001234")
		if got := w.final(w.carrier); got != 503 {
			t.Errorf("one that is late after that hears %d", got)
		}
		if g, taken := explain(); taken || g.Name != "overload" {
			t.Errorf("then: %+v", g)
		}
		if r, ok := errors.AsType[*trunks.Refusal](originate()); !ok || r.Reason != trunks.Overload {
			t.Errorf("a call of the API: %v", r)
		}
		time.Sleep(3 * time.Second)
		if g, taken := explain(); !taken {
			t.Errorf("when calm: %+v", g)
		}
		if err := originate(); err != nil {
			t.Errorf("a call of the API when calm: %v", err)
		}
	})
}

// A running edge knows what a toll has left and what an address has sent.
func TestExplainSaysWhichGuardIsReached(t *testing.T) {
	const text = "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.30:5080;branch=z9hG4bKi\nMax-Forwards: 70\n" +
		"From: <sip:+15550001234@192.0.2.30>;tag=c\nTo: <%[1]s>\nCall-ID: call\nCSeq: 1 INVITE\nContact: <sip:192.0.2.30:5080>\nContent-Length: 0\n\n"
	run(t, nil, func(w *world) {
		w.setToll("{calls_per_minute: 1, minutes_per_day: 30}")
		gate := func(uri, name string) (found sip.Gate) {
			t.Helper()
			gates, _ := w.edge.Explain(w.edge.Trunks(), "UDP", netip.MustParseAddrPort("192.0.2.30:5080"), fmt.Appendf(nil, text, uri))
			for _, g := range gates {
				if g.Name == name {
					return g
				}
			}
			return found
		}
		const unused = "the agent has used 0.0 of 30 minutes today; the agent has begun 0 of 1 calls in the last minute"
		if g := gate("sip:+14155550100@192.0.2.1", "toll"); !g.Passed || g.Why != unused {
			t.Errorf("at first: %+v", g)
		}
		w.originate()
		time.Sleep(20 * time.Second)
		const spent = "toll_spent: agent app may not call now: its 1 calls a minute have begun; the next may in 40s; the caller hears 403"
		if g := gate("sip:+14155550100@192.0.2.1", "toll"); g.Passed || g.Why != spent {
			t.Errorf("after a call: %+v", g)
		}
		if g := gate("urn:service:sos", "toll"); !g.Passed || g.Why != "an emergency call passes" {
			t.Errorf("a call for help: %+v", g)
		}
		if g := gate("sip:+14155550100@192.0.2.1", "rate"); g.Name != "" {
			t.Errorf("a rate that nobody has reached: %+v", g)
		}
		trunks.Principal{Agent: w.edge.Trunks().Agent("app")}.Flooded(time.Now())
		time.Sleep(2 * time.Second)
		const flooded = "1 requests above source_rate, 5000 a second from one address, were refused with 503, the last 2s ago"
		if g := gate("sip:+14155550100@192.0.2.1", "rate"); !g.Passed || g.Why != flooded {
			t.Errorf("after a flood: %+v", g)
		}
	})
}
