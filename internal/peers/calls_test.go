//go:build interop

package peers

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	ourNumber   = "+15550001234" // of the application, on the carrier's trunk
	theirNumber = "+14155550100" // somewhere behind the carrier
)

// stage is an edge between a carrier and an application.
type stage struct {
	*Edge
	udp, tls     netip.AddrPort // where the edge takes SIP; TCP at the port of UDP
	carrier, app netip.AddrPort
	authority    *Authority
	options      stageOptions
}

// stageOptions vary a stage.
type stageOptions struct {
	transport    string         // towards carrier and application; empty: udp
	appTransport string         // towards the application; empty: as transport
	carrier      netip.AddrPort // the trunk's server; invalid: a free port
	app          netip.AddrPort // the application's address; invalid: a free port
	authority    *Authority     // who signs the certificates; nil: a new one

	listen string // a further listener for the trunk alone, and what it shows, as "?public=127.0.0.2"; empty: none
	shown  string
	relay  bool
	sip    string // further keys of sip
	media  string // further keys of media
	trunk  string // further keys of the trunk
	agent  string // further keys of the agent
	more   string // further sections
	store  string // further keys of storage
	data   string
	env    []string
}

func newStage(t *testing.T, o stageOptions) *stage {
	t.Helper()
	s := &stage{udp: FreePort(t, EdgeHost), tls: FreePort(t, EdgeHost), carrier: o.carrier, app: o.app, authority: o.authority, options: o}
	if !s.carrier.IsValid() {
		s.carrier = FreePort(t, CarrierHost)
	}
	if !s.app.IsValid() {
		s.app = FreePort(t, AppHost)
	}
	if s.authority == nil {
		s.authority = NewAuthority(t)
	}
	s.Edge = StartEdge(t, EdgeOptions{Config: s.config(o), Store: o.store, Data: o.data,
		// What the system trusts is this authority alone.
		Env: append([]string{"SSL_CERT_FILE=" + s.authority.File}, o.env...)})
	return s
}

func (s *stage) config(o stageOptions) string {
	if o.transport == "" {
		o.transport = "udp"
	}
	if o.appTransport == "" {
		o.appTransport = o.transport
	}
	further := ""
	if o.listen != "" {
		further = fmt.Sprintf(", %q", o.listen+o.shown)
	}
	certificate, key := s.authority.Issue(EdgeHost, CarrierHost)
	return strings.NewReplacer("$listen", further, "$ofTrunk", o.listen, "$udp", s.udp.String(), "$tls", s.tls.String(), "$certificate", certificate, "$key", key, "$sip", o.sip,
		"$relay", fmt.Sprint(o.relay), "$media", o.media, "$carrier", s.carrier.String(), "$transport", o.transport,
		"$hostOfCarrier", s.carrier.Addr().String(), "$app", s.app.String(), "$hostOfApp", s.app.Addr().String(), "$viaApp", o.appTransport, "$number", ourNumber, "$trunk", o.trunk, "$agent", o.agent, "$more", o.more).Replace(`sip:
  listen: ["udp://$udp", "tcp://$udp", "tls://$tls"$listen]
  tls: {certificate: "$certificate", key: "$key"}
  $sip
media: {relay: $relay, $media}
trunks:
  - name: carrier
    server: $carrier
    transport: $transport
    listener: "$ofTrunk"
    source_addresses: [$hostOfCarrier]
    $trunk
agents:
  - name: app
    destinations: [{uri: "sip:$app;transport=$viaApp"}]
    source_addresses: [$hostOfApp]
    $agent
numbers: [{number: "$number", trunk: carrier, inbound_agent: app, outbound_agent: app}]
$more
`)
}

// edgeAddress is where the edge takes SIP over a transport.
func (s *stage) edgeAddress(transport string) netip.AddrPort {
	if transport == "tls" {
		return s.tls
	}
	return s.udp
}

// TestSIPpCallsEachWay: SIPp calls SIPp through the edge, from the carrier to the application and back, over each transport. Every
// call is good, and neither the edge nor SIPp sends anything twice.
func TestSIPpCallsEachWay(t *testing.T) {
	Need(t, "sipp")
	for _, transport := range []string{"udp", "tcp", "tls"} {
		for _, direction := range []string{"inbound", "outbound"} {
			t.Run(direction+" "+transport, func(t *testing.T) {
				s := newStage(t, stageOptions{transport: transport, relay: true})
				for _, scenarios := range [][2]string{{"uac.xml", "uas.xml"}, {"uac-reinvite.xml", "uas.xml"}, {"uac-cancel.xml", "uas-ring.xml"}} {
					t.Run(scenarios[0], func(t *testing.T) { s.play(t, direction, transport, scenarios[0], scenarios[1], 50) })
				}
				m := s.Metrics()
				if answered := m.Sum("trunkline_call_results_total", `direction="`+direction+`"`, `outcome="answered"`); answered != 100 {
					t.Errorf("%g calls were answered, want 100", answered)
				}
				for _, kind := range []string{"tx", "rx"} {
					if n := m.Sum("trunkline_sip_retransmissions_total", `direction="`+kind+`"`); n != 0 {
						t.Errorf("%g messages were repeated, %s", n, kind)
					}
				}
			})
		}
	}
}

// play lets one SIPp call another through the edge, fifty times a second.
func (s *stage) play(t *testing.T, direction, transport, caller, callee string, calls int) {
	t.Helper()
	s.playAt(t, direction, transport, caller, callee, calls, 50)
}

// playAt is play at any rate.
func (s *stage) playAt(t *testing.T, direction, transport, caller, callee string, calls, rate int) {
	t.Helper()
	from, to := s.carrier, s.app
	called, calling := ourNumber, theirNumber
	if direction == "outbound" {
		from, to, called, calling = to, from, calling, called
	}
	wire := transport
	remote := s.edgeAddress(transport)
	fromScenario, toScenario := scenario(caller), scenario(callee)
	callerAt, calleeAt := FreePort(t, from.Addr().String()), to
	if transport == "tls" { // Debian's SIPp has no TLS
		wire = "tcp"
		callerFront, near := callerAt, FreePort(t, from.Addr().String())
		callerAt, calleeAt = FreePort(t, from.Addr().String()), FreePort(t, to.Addr().String())
		TunnelIn(t, callerFront, callerAt, &tls.Config{Certificates: []tls.Certificate{s.authority.Pair(from.Addr().String())}})
		TunnelIn(t, to, calleeAt, &tls.Config{Certificates: []tls.Certificate{s.authority.Pair(to.Addr().String())}})
		TunnelOut(t, near, remote, &tls.Config{RootCAs: s.authority.Pool, ServerName: EdgeHost})
		remote = near
		fromScenario, toScenario = overTLS(t, fromScenario, callerFront), overTLS(t, toScenario, to)
	}
	answering := SIPp{Scenario: toScenario, Local: calleeAt, Transport: wire}.Start(t)
	defer answering.Stop()
	r := SIPp{Scenario: fromScenario, Local: callerAt, Remote: remote, Transport: wire, Service: called, Calls: calls, Rate: rate,
		Pause: 100 * time.Millisecond, Keys: map[string]string{"caller": calling}, Limit: 40 * time.Second}.Run(t)
	s.quiet(t) // the callee's side of the last BYE, before it is stopped
	if r.Good != calls || r.Failed != 0 || r.Repeated != 0 {
		t.Errorf("%d of %d calls were good: %+v", r.Good, calls, r)
	}
}

// overTLS is a scenario for a SIPp behind a tunnel, which others see at front.
func overTLS(t *testing.T, file string, front netip.AddrPort) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.NewReplacer("[transport]", "TLS", "[local_port]", fmt.Sprint(front.Port())).Replace(string(text))
	copied := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(copied, []byte(shown), 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

// quiet waits until no call is left.
func (s *stage) quiet(t *testing.T) {
	t.Helper()
	Eventually(t, 10*time.Second, "no call is left", func() bool { return s.Metrics().Sum("trunkline_calls") == 0 })
}
