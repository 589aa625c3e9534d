//go:build interop

package peers

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/internal/carrier"
)

// TestIPv6MeetsIPv4: a carrier on IPv6 and an application on IPv4, and the other way round, called and calling, over UDP and TCP.
func TestIPv6MeetsIPv4(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	for _, test := range []struct{ transport, carrierHost, appHost string }{{"udp", "::1", AppHost}, {"tcp", "::1", AppHost}, {"udp", CarrierHost, "::1"}, {"tcp", CarrierHost, "::1"}} {
		t.Run(test.transport+" from "+test.carrierHost, func(t *testing.T) {
			edges := map[bool]netip.AddrPort{true: FreePort(t, "::1"), false: FreePort(t, EdgeHost)} // by whether IPv6
			trunk, app := FreePort(t, test.carrierHost), FreePort(t, test.appHost)
			e := StartEdge(t, EdgeOptions{Config: strings.NewReplacer("$six", edges[true].String(), "$four", edges[false].String(), "$hostOfCarrier", test.carrierHost, "$carrier", trunk.String(),
				"$hostOfApp", test.appHost, "$app", app.String(), "$number", ourNumber, "$transport", test.transport).Replace(`
sip: {listen: ["udp://$six", "tcp://$six", "udp://$four", "tcp://$four"]}
media: {relay: true, ports: 10000-10999}
trunks: [{name: carrier, server: "$carrier", transport: $transport, source_addresses: ["$hostOfCarrier"]}]
agents: [{name: app, destinations: [{uri: "sip:$app;transport=$transport"}], source_addresses: ["$hostOfApp"]}]
numbers: [{number: "$number", trunk: carrier, inbound_agent: app, outbound_agent: app}]
`)})
			for _, way := range []struct {
				from, to       netip.AddrPort
				called, caller string
			}{{trunk, app, ourNumber, theirNumber}, {app, trunk, theirNumber, ourNumber}} {
				answering := SIPp{Scenario: scenario("uas.xml"), Local: way.to, Transport: test.transport}.Start(t)
				r := SIPp{Scenario: scenario("uac-reinvite.xml"), Local: FreePort(t, way.from.Addr().String()), Remote: edges[way.from.Addr().Is6()],
					Transport: test.transport, Service: way.called, Calls: 20, Rate: 50, Keys: map[string]string{"caller": way.caller}, Limit: 20 * time.Second}.Run(t)
				if r.Good != 20 || r.Repeated != 0 {
					t.Errorf("from %s: %+v", way.from, r)
				}
				Eventually(t, 5*time.Second, "no call is left", func() bool { return e.Metrics().Sum("trunkline_calls") == 0 })
				answering.Stop()
			}
		})
	}
}

// TestEveryAddressOfTheHost: an edge that listens on all addresses answers from the one that was called, and describes media there.
func TestEveryAddressOfTheHost(t *testing.T) {
	Need(t, "sipp")
	port := FreePort(t, EdgeHost).Port()
	app := FreePort(t, AppHost)
	e := StartEdge(t, EdgeOptions{Config: fmt.Sprintf(`
sip: {listen: ["udp://0.0.0.0:%d", "tcp://0.0.0.0:%[1]d"], public_address: 127.0.0.1}
media: {relay: true, ports: 10000-10999}
trunks: [{name: carrier, server: "127.0.0.2:5060", source_addresses: ["127.0.0.2"]}]
agents: [{name: app, destinations: [{uri: "sip:%s"}], source_addresses: [127.0.0.3]}]
numbers: [{number: %q, trunk: carrier, inbound_agent: app, outbound_agent: app}]
`, port, app, ourNumber)})
	answering := SIPp{Scenario: scenario("uas.xml"), Local: app}.Start(t)
	for _, host := range []string{"127.0.0.1", "127.0.0.7"} {
		for _, transport := range []string{"udp", "tcp"} {
			r := SIPp{Scenario: scenario("uac.xml"), Local: FreePort(t, CarrierHost), Remote: netip.AddrPortFrom(netip.MustParseAddr(host), port), Transport: transport,
				Service: ourNumber, Calls: 10, Rate: 50, Keys: map[string]string{"caller": theirNumber}, Limit: 20 * time.Second}.Run(t)
			if r.Good != 10 || r.Repeated != 0 {
				t.Errorf("at %s over %s: %+v", host, transport, r)
			}
		}
	}
	Eventually(t, 5*time.Second, "no call is left", func() bool { return e.Metrics().Sum("trunkline_calls") == 0 })
	answering.Stop()
}

// TestConnectionPerCall: a carrier that opens a connection for each call and drops it afterwards costs no descriptors in the end.
func TestConnectionPerCall(t *testing.T) {
	Need(t, "sipp")
	s := newStage(t, stageOptions{transport: "tcp"})
	before := s.footprint()
	answering := SIPp{Scenario: scenario("uas.xml"), Local: s.app, Transport: "tcp"}.Start(t)
	r := SIPp{Scenario: scenario("uac.xml"), Local: FreePort(t, CarrierHost), Remote: s.udp, Transport: "tcp-each", Service: ourNumber, Calls: 500, Rate: 200,
		Pause: 100 * time.Millisecond, Keys: map[string]string{"caller": theirNumber}, Limit: 30 * time.Second}.Run(t)
	if r.Good != 500 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	s.quiet(t)
	answering.Stop()
	Eventually(t, 10*time.Second, "the connections are gone", func() bool {
		now := s.footprint()
		return now.files <= before.files+3 && now.goroutines <= before.goroutines+6
	})
}

// TestLoopEnds: an application that is its own carrier: the call goes round until Max-Forwards ends it, and nothing is left.
func TestLoopEnds(t *testing.T) {
	Need(t, "sipp")
	edge := FreePort(t, EdgeHost)
	e := StartEdge(t, EdgeOptions{Config: fmt.Sprintf(`
sip: {listen: ["udp://%s"]}
media: {relay: true, ports: 10000-10999}
trunks: [{name: carrier, server: "%[1]s", source_addresses: ["127.0.0.2"]}]
agents: [{name: app, destinations: [{uri: "sip:127.0.0.3:5060"}], source_addresses: [127.0.0.3, 127.0.0.1]}]
numbers: [{number: %q, trunk: carrier, inbound_agent: app, outbound_agent: app}]
`, edge, ourNumber)})
	r := SIPp{Scenario: scenario("uac.xml"), Local: FreePort(t, AppHost), Remote: edge, Service: theirNumber, Calls: 5, Rate: 50,
		Keys: map[string]string{"caller": ourNumber}, Limit: 20 * time.Second}.Run(t)
	if r.Failed != 5 {
		t.Errorf("%+v", r)
	}
	Eventually(t, 10*time.Second, "no call is left", func() bool { return e.Metrics().Sum("trunkline_calls") == 0 })
	e.Stop()
	records := e.Records()
	if len(records) < 10 || len(records) > 5*71 {
		t.Errorf("%d calls went round", len(records))
	}
	for _, r := range records {
		if r.Outcome == "answered" {
			t.Fatalf("%+v", r)
		}
	}
	t.Logf("%d calls went round", len(records))
}

// TestConnectionCutDuringCall: the connection that a call came over breaks while it is up. The other side's BYE finds the caller all the
// same, at its contact over a new connection (TRN-06), and the caller's own BYE comes over one too.
func TestConnectionCutDuringCall(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"carrier", "app"} {
		t.Run("the "+from+" hangs up", func(t *testing.T) {
			// The application's later connections leave from the address that the kernel prefers towards the edge.
			s := newStage(t, stageOptions{app: FreePort(t, EdgeHost), appTransport: "tcp", relay: true, media: "ports: 10000-10999"})
			c := newCarrier(t, s)
			front := FreePort(t, EdgeHost)
			wire := NewWire(t, front, s.udp)
			app, err := carrier.StartApp(t.Context(), carrier.AppOptions{Listen: s.app, Edge: front, Transport: "tcp"})
			if err != nil {
				t.Fatal(err)
			}
			defer app.Close()
			call, err := app.Call(t.Context(), ourNumber, theirNumber)
			if err != nil {
				t.Fatal(err)
			}
			wire.Cut()
			time.Sleep(500 * time.Millisecond)
			if n := s.Metrics().Sum("trunkline_calls", `state="answered"`); n != 1 {
				t.Errorf("%g calls are up after the cut, want the one", n)
			}
			start := time.Now()
			if from == "carrier" {
				c.Close() // hangs up
				s.over(t, call)
			} else if err := call.HangUp(t.Context()); err != nil {
				t.Error(err)
			}
			s.quiet(t)
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
			s.Stop()
			for _, r := range s.Records() {
				if want := map[string]string{"carrier": "callee", "app": "caller"}[from]; r.Outcome != "answered" || r.EndedBy != want {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}
