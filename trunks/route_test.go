package trunks

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestInbound(t *testing.T) {
	s := build(t, town, townHosts)
	for _, test := range []struct{ name, from, called, want string }{
		{"in E.164 form", "acme", "+15550001234", "acme app +15550001234"},
		{"without plus", "acme", "15550001234", "acme app +15550001234"},
		{"with parameters", "acme", "+15550001234;npdi;rn=+15550000000", "acme app +15550001234"},
		{"of a trunk that shares a source", "acme", "+15550002000", "acme-two app +15550002000"},
		{"the other way round", "acme-two", "+15550001234", "acme app +15550001234"},
		{"through a network around", "acme-three", "+15550001234", "acme app +15550001234"},
		{"in national form", "bell", "030123456", "bell app +4930123456"},
		{"in national form without a plan", "acme", "030123456", `no_route: called number "030123456" is not listed; nearest is +4930123456 of trunk bell, which ends in the same 8 digits`},
		{"of another trunk", "bell", "+15550001234", "no_route: number +15550001234 belongs to trunk acme, but the call came from trunk bell"},
		{"unknown, with a near one", "acme", "0015550001239", `no_route: called number "+15550001239" (from "0015550001239") is not listed`},
		{"with a wrong country code", "acme", "+445550001234", `no_route: called number "+445550001234" is not listed; nearest is +15550001234 of trunk acme, which ends in the same 10 digits`},
		{"a name", "acme", "alice", `no_route: called number "alice" is not listed`},
		{"nothing", "acme", "", "no_route: called number (empty) is not listed"},
		{"without an agent", "acme", "+15550009999", "no_route: number +15550009999 has no inbound_agent"},
		{"of a long line of digits", "acme", strings.Repeat("5", 500), `no_route: called number "` + strings.Repeat("5", 500) + `" is not listed`},
	} {
		t.Run(test.name, func(t *testing.T) {
			called := []byte(test.called)
			route, refusal := s.Inbound(s.Trunk(test.from), called)
			clear(called) // the caller's buffer is used again
			if got := told(route, refusal); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestOutbound(t *testing.T) {
	s := build(t, town, townHosts)
	for _, test := range []struct{ name, from, caller, called, want string }{
		{"with the agent's number", "app", "+15550001234", "+4930999999", "acme app +15550001234"},
		{"without plus", "app", "15550001234", "112", "acme app +15550001234"},
		{"of an agent that shares a source", "other", "+15550002000", "112", "acme-two dialer +15550002000"},
		{"of another agent", "dialer", "+15550001234", "112", "number_unverified: number +15550001234 may be used by agent app, but the call came from agent dialer"},
		{"of nobody", "app", "+15550009999", "112", "number_unverified: number +15550009999 has no outbound_agent"},
		{"unknown", "app", "anonymous", "112", `number_unverified: caller "anonymous" is not listed`},
		{"to nobody", "app", "+15550001234", "", "no_route: no number was dialled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := told(s.Outbound(s.Agent(test.from), []byte(test.caller), []byte(test.called))); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func told(r Route, refusal *Refusal) string {
	if refusal != nil {
		return refusal.Error()
	}
	if r.Trunk == nil { // an outbound call that has not chosen yet
		r.Trunk = r.Number.Routes[0]
	}
	return fmt.Sprintf("%s %s %s", r.Trunk.Name, r.Agent.Name, r.Number.E164)
}

func TestUnknownSourceIsExplained(t *testing.T) {
	s := build(t, town, townHosts)
	for _, test := range []struct{ proto, source, want string }{
		{"UDP", "192.0.2.50:5060", "192.0.2.50:5060 over UDP is not a source of any trunk or agent; nearest is tls://192.0.2.50 of trunk acme, another transport"},
		{"tcp", "192.0.2.2:5060", "192.0.2.2:5060 over TCP is not a source of any trunk or agent; nearest is 192.0.2.1 of trunk acme, another address"},
		{"UDP", "203.0.113.3:5060", "203.0.113.3:5060 over UDP is not a source of any trunk or agent; nearest is sip.bell.example of trunk bell, another address"},
		{"UDP", "8.8.8.8:5060", "8.8.8.8:5060 over UDP is not a source of any trunk or agent"},
		{"UDP", "[2001:db8:1::1]:5060", "[2001:db8:1::1]:5060 over UDP is not a source of any trunk or agent"},
	} {
		if got := s.Unknown(test.proto, netip.MustParseAddrPort(test.source)).Detail(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	ports := build(t, `trunks: [{name: a, server: 192.0.2.1, source_addresses: ["192.0.2.1:5070"]}]`, nil)
	if got := ports.Unknown("UDP", netip.MustParseAddrPort("192.0.2.1:5060")).Detail(); !strings.HasSuffix(got, "; nearest is 192.0.2.1:5070 of trunk a, another port") {
		t.Error(got)
	}
}

func TestEveryReasonHasALabelAndASentence(t *testing.T) {
	labels := map[string]bool{}
	for r := range Reasons {
		if labels[r.String()] || r.String() == "unknown" {
			t.Errorf("label %s", r)
		}
		labels[r.String()] = true
		if detail := (&Refusal{Reason: r}).Detail(); detail == "" || strings.Contains(detail, "no reason") {
			t.Errorf("%s: %s", r, detail)
		}
	}
	if len(labels) != 13 || Reason(200).String() != "unknown" || NoReason.String() != "none" {
		t.Errorf("labels: %v", labels)
	}
	s := build(t, `{trunks: [{name: a, server: 192.0.2.1, max_calls: 10, cps_limit: 0.5}], agents: [{name: app}]}`, nil)
	for want, refusal := range map[string]*Refusal{
		"trunk a is at its max_calls of 10":                             {Reason: LimitChannels, Trunk: s.Trunks[0]},
		"agent app is at its max_calls":                                 {Reason: LimitChannels, Agent: s.Agents[0]},
		"the edge is at its max_calls":                                  {Reason: LimitChannels},
		"trunk a is at its cps_limit of 0.5":                            {Reason: LimitCPS, Trunk: s.Trunks[0]},
		"192.0.2.1:5060 sends more requests than one address may":       {Reason: Flood, Source: netip.MustParseAddrPort("192.0.2.1:5060")},
		"the edge is about to stop and takes no new calls":              {Reason: Draining},
		"credentials of agent app are missing or wrong":                 {Reason: BadAuth, Agent: s.Agents[0]},
		"no reason was given":                                           {},
		"192.0.2.1:5060 over UDP is not a source of any trunk or agent": {Reason: BadSource, Proto: "udp", Source: netip.MustParseAddrPort("192.0.2.1:5060")},
	} {
		if got := refusal.Detail(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// RTE-10: why no route is left, for every route that was considered.
func TestNoneLeft(t *testing.T) {
	s := build(t, `{trunks: [{name: a, server: gone.example}, {name: b, server: 192.0.2.1}, {name: c, server: 192.0.2.2, max_calls: 2}]}`, nil)
	gone, down, full := Passed{s.Trunks[0], NoTrunk}, Passed{s.Trunks[1], TrunkDown}, Passed{s.Trunks[2], LimitChannels}
	for _, test := range []struct {
		passed []Passed
		want   string
	}{
		{nil, "no_trunk: no trunk carries this call"},
		{[]Passed{gone}, "no_trunk: trunk a has no address: gone.example did not resolve"},
		{[]Passed{down, gone}, "trunk_down: trunk b is down; trunk a has no address: gone.example did not resolve"},
		{[]Passed{full, down}, "limit_channels: trunk c is at its max_calls of 2; trunk b is down"},
	} {
		if got := NoneLeft(Route{}, test.passed).Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// crowd is a snapshot of the size of a larger wholesaler.
func crowd(t testing.TB) *Snapshot {
	var b strings.Builder
	b.WriteString("agents: [{name: app, destinations: [{uri: 'sip:127.0.0.3'}], source_addresses: [127.0.0.3]}]\ntrunks:\n")
	for i := range 500 {
		fmt.Fprintf(&b, "  - {name: t%d, server: 192.0.2.1, source_addresses: [10.0.%d.%d, 10.%d.%d.0/24, 198.51.100.1]}\n", i, i/250, i%250+1, 1+i/250, i%250)
	}
	b.WriteString("numbers:\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "  - {number: '+1555%07d', trunk: t%d, inbound_agent: app, outbound_agent: app}\n", i, i%500)
	}
	return build(t, b.String(), nil)
}

var sinkPrincipal Principal
var sinkRoute Route

func BenchmarkSource(b *testing.B) {
	s := crowd(b)
	for name, source := range map[string]string{"address": "10.0.1.77:5060", "shared": "198.51.100.1:5060", "network": "10.2.77.9:5060", "nobody": "203.0.113.99:5060"} {
		a := netip.MustParseAddrPort(source)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sinkPrincipal = s.Source("UDP", a)
			}
		})
	}
}

func BenchmarkInbound(b *testing.B) {
	s := crowd(b)
	called := []byte("+15550004321")
	b.ReportAllocs()
	for b.Loop() {
		route, refusal := s.Inbound(s.Trunks[0], called)
		if refusal != nil {
			b.Fatal(refusal)
		}
		sinkRoute = route
	}
}

func BenchmarkOutbound(b *testing.B) {
	s := crowd(b)
	caller, called := []byte("+15550004321"), []byte("+4930123456")
	b.ReportAllocs()
	for b.Loop() {
		route, refusal := s.Outbound(s.Agents[0], caller, called)
		if refusal != nil {
			b.Fatal(refusal)
		}
		sinkRoute = route
	}
}

func TestTheCallPathDoesNotAllocate(t *testing.T) {
	s := crowd(t)
	a, caller := netip.MustParseAddrPort("10.2.77.9:5060"), []byte("(1) 555-0004321;phone-context=x")
	if n := testing.AllocsPerRun(100, func() {
		sinkPrincipal = s.Source("TLS", a)
		sinkRoute, _ = s.Inbound(s.Trunks[0], caller)
		sinkRoute, _ = s.Outbound(s.Agents[0], caller, caller)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
