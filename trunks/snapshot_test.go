package trunks

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"trunkline/config"
)

const town = `
sip:
  listen: ["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060", "tls://127.0.0.1:5061", "udp://[::1]:5060"]
trunks:
  - {name: acme, server: 192.0.2.1, source_addresses: [192.0.2.1, 198.51.100.0/24, "tls://192.0.2.50"]}
  - {name: acme-two, server: "192.0.2.1:5070", source_addresses: ["192.0.2.1:5070", 198.51.100.7], domain: two.example.net}
  - {name: acme-three, server: 192.0.2.9, source_addresses: [198.51.100.0/25]}
  - {name: bell, server: sip.bell.example, transport: tls, source_addresses: [sip.bell.example, "2001:db8::/48", "2001:db8:0:1::/64"],
     number_format: national, country_code: 49, national_prefix: 0}
  - {name: lost, server: gone.example, source_addresses: [gone.example]}
agents:
  - name: app
    destinations: [{uri: "sip:127.0.0.3:5080"}]
    source_addresses: [127.0.0.3]
  - {name: dialer, source_addresses: ["udp://127.0.0.4", "127.0.0.4:5090"]}
  - {name: other, source_addresses: [127.0.0.4], destinations: [{uri: "sip:pool.example"}]}
numbers:
  - {number: "+15550001234", trunk: acme, inbound_agent: app, outbound_agent: app}
  - {number: "+15550002000", trunk: acme-two, inbound_agent: app, outbound_agent: dialer}
  - {number: "+4930123456", trunk: bell, inbound_agent: app, outbound_agent: app}
  - {number: "+15550009999", trunk: acme}
  - {number: "+15550007777", trunk: lost, outbound_agent: app, inbound_agent: app}
`

var townHosts = Names{
	{Name: "sip.bell.example"}:                                 {at("203.0.113.1:0"), at("[::ffff:203.0.113.2]:0")},
	{Name: "sip.bell.example", Transport: config.TLSTransport}: {at("203.0.113.1:0"), at("[::ffff:203.0.113.2]:0")},
}

func at(addr string) Server { return Server{Addr: netip.MustParseAddrPort(addr)} }

func build(t testing.TB, text string, names Names) *Snapshot {
	t.Helper()
	s, err := Build(load(t, text), names)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func load(t testing.TB, text string) config.Config {
	t.Helper()
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + text})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHostsToResolve(t *testing.T) {
	want := []Host{{"gone.example", ""}, {"gone.example", config.UDP}, {"pool.example", config.UDP},
		{"sip.bell.example", ""}, {"sip.bell.example", config.TLSTransport}}
	if got := Hosts(load(t, town)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSource(t *testing.T) {
	s := build(t, town, townHosts)
	for _, test := range []struct{ name, proto, source, want string }{
		{"an address", "UDP", "192.0.2.1:5060", "trunk acme"},
		{"any port of an address", "TCP", "192.0.2.1:31000", "trunk acme"},
		{"an entry with the port goes first", "UDP", "192.0.2.1:5070", "trunk acme-two"},
		{"a single address goes before the network around it", "UDP", "198.51.100.7:5060", "trunk acme-two"},
		{"a smaller network goes before a larger one", "UDP", "198.51.100.8:5060", "trunk acme-three"},
		{"the larger network", "UDP", "198.51.100.200:5060", "trunk acme"},
		{"only over tls", "TLS", "192.0.2.50:40000", "trunk acme"},
		{"not over udp", "UDP", "192.0.2.50:5060", "nobody"},
		{"a resolved name", "TLS", "203.0.113.1:5061", "trunk bell"},
		{"a resolved name in IPv6 clothes", "TLS", "[::ffff:203.0.113.2]:5061", "trunk bell"},
		{"an IPv6 network", "UDP", "[2001:db8:0:7::1]:5060", "trunk bell"},
		{"an IPv6 address with a zone", "UDP", "[2001:db8::5%eth0]:5060", "trunk bell"},
		{"an agent", "UDP", "127.0.0.3:5080", "agent app"},
		{"transport of an agent", "UDP", "127.0.0.4:6000", "agent dialer"},
		{"port of an agent goes before its transport", "TCP", "127.0.0.4:5090", "agent dialer"},
		{"another agent at that address", "TCP", "127.0.0.4:6000", "agent other"},
		{"nobody", "UDP", "192.0.2.2:5060", "nobody"},
		{"nobody in IPv6", "UDP", "[2001:db9::1]:5060", "nobody"},
		{"an unknown transport", "WS", "192.0.2.50:5060", "nobody"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := s.Source(test.proto, netip.MustParseAddrPort(test.source)).String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if p := s.Source("UDP", netip.AddrPort{}); p.Known() {
		t.Errorf("no address at all is %s", p)
	}
}

func TestBuildFillsIn(t *testing.T) {
	s := build(t, town, townHosts)
	bell, two := s.Trunk("bell"), s.Trunk("acme-two")
	if got := bell.Servers; len(got) != 2 || got[0].String() != "203.0.113.1:5061" || got[1].String() != "203.0.113.2:5061" {
		t.Errorf("servers of bell: %v", got)
	}
	if bell.Domain != "sip.bell.example" || bell.TLS.ServerName != "sip.bell.example" || two.Domain != "two.example.net" || two.TLS.ServerName != "" {
		t.Errorf("domains %q %q, names %q %q", bell.Domain, two.Domain, bell.TLS.ServerName, two.TLS.ServerName)
	}
	if got := two.Servers; len(got) != 1 || got[0].String() != "192.0.2.1:5070" {
		t.Errorf("servers of acme-two: %v", got)
	}
	if got := s.Unresolved(); !slices.Equal(got, []string{"gone.example", "pool.example"}) {
		t.Errorf("unresolved: %v", got)
	}
	for i, tr := range s.Trunks {
		if tr.Index != i || s.Trunk(tr.Name) != tr {
			t.Errorf("trunk %s has index %d at %d", tr.Name, tr.Index, i)
		}
	}
	if s.Trunk("nobody") != nil || s.Agent("nobody") != nil || s.Number([]byte("+1")) != nil {
		t.Error("something is found under an unknown name")
	}
}

// PAR-12: the domain stands in URIs, where an IPv6 address has brackets; the name in a certificate has none.
func TestDomainFromIPv6(t *testing.T) {
	for server, want := range map[string]string{`"2001:db8::1"`: "[2001:db8::1]", `"[2001:db8::1]:5070"`: "[2001:db8::1]", "192.0.2.1": "192.0.2.1"} {
		s := build(t, "sip: {listen: ['tls://[::1]:5061', 'tls://127.0.0.1:5061']}\ntrunks: [{name: a, server: "+server+", transport: tls}]", nil)
		if got := s.Trunks[0]; got.Domain != want || got.TLS.ServerName != strings.Trim(want, "[]") {
			t.Errorf("%s: %s, %s", server, got.Domain, got.TLS.ServerName)
		}
	}
}

func TestOutboundProxyIsTheNextHop(t *testing.T) {
	s := build(t, `trunks: [{name: a, server: sip.example.com, outbound_proxy: "192.0.2.7:5090"}]`, nil)
	if got := s.Trunks[0]; got.Servers[0].String() != "192.0.2.7:5090" || got.Domain != "sip.example.com" || len(s.Unresolved()) != 0 {
		t.Errorf("%v %s %v", got.Servers, got.Domain, s.Unresolved())
	}
}

func TestNamesThatMeetAreTold(t *testing.T) {
	shared := []Server{at("192.0.2.1:0")}
	s := build(t, `
trunks: [{name: carrier, server: a.example, source_addresses: [a.example]}]
agents: [{name: app, source_addresses: [b.example, "c.example:5070", 192.0.2.9]}]
`, Names{{Name: "a.example"}: shared, {Name: "b.example"}: shared, {Name: "c.example"}: {at("192.0.2.3:0")}})
	want := []string{"192.0.2.1 (a.example of trunk carrier) is also b.example of agent app; its calls are taken as those of the first"}
	if got := s.Conflicts(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if p := s.Source("UDP", netip.MustParseAddrPort("192.0.2.1:5060")); p.String() != "trunk carrier" {
		t.Errorf("taken as %s", p)
	}
}

// TestBuildRefusesWhatLoadWould: a Config need not come from Load.
func TestBuildRefusesWhatLoadWould(t *testing.T) {
	trunk := config.Trunk{Name: "a", Server: config.HostPort{Host: "192.0.2.1"}}
	for _, test := range []struct {
		name string
		cfg  config.Config
		want string
	}{
		{"two trunks", config.Config{Trunks: []config.Trunk{trunk, trunk}}, `two trunks are called "a"`},
		{"two agents", config.Config{Agents: []config.Agent{{Name: "b"}, {Name: "b"}}}, `two agents are called "b"`},
		{"number without trunk", config.Config{Numbers: []config.Number{{Number: "+1", Trunk: "a"}}}, `no trunk is called "a"`},
		{"number without agent", config.Config{Trunks: []config.Trunk{trunk}, Numbers: []config.Number{{Number: "+1", Trunk: "a", InboundAgent: "b"}}}, `no agent is called "b"`},
		{"number twice", config.Config{Trunks: []config.Trunk{trunk}, Numbers: []config.Number{{Number: "+1", Trunk: "a"}, {Number: "+1", Trunk: "a"}}}, "twice"},
		{"too many destinations", config.Config{Agents: []config.Agent{{Name: "b", Destinations: make([]config.Destination, 65)}}}, "65 destinations; 64 are allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Build(test.cfg, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestCallsInProgressSurviveAReload(t *testing.T) {
	const before = `{trunks: [{name: a, server: 192.0.2.1, max_calls: 2}, {name: b, server: 192.0.2.1}], agents: [{name: app, max_calls: 1}]}`
	const after = `{trunks: [{name: b, server: 192.0.2.2}, {name: a, server: 192.0.2.1, max_calls: 3}], agents: [{name: app, max_calls: 0}]}`
	old := build(t, before, nil)
	a, app := old.Trunk("a"), old.Agent("app")
	for i, fits := range []bool{true, true, false} {
		if a.Acquire() != fits {
			t.Errorf("call %d: fits is not %v", i+1, fits)
		}
	}
	if a.Calls() != 2 {
		t.Errorf("two calls fit, but %d are counted", a.Calls())
	}
	if !app.Acquire() || app.Acquire() {
		t.Error("one call fits the agent")
	}
	if !old.Trunk("b").Acquire() {
		t.Error("no limit, but no call")
	}
	next, err := old.Rebuild(load(t, after), nil)
	if err != nil {
		t.Fatal(err)
	}
	if next.Trunk("a").Calls() != 2 || next.Trunk("b").Calls() != 1 || next.Agent("app").Calls() != 1 {
		t.Error("the reload lost calls")
	}
	if !next.Trunk("a").Acquire() || next.Trunk("a").Acquire() {
		t.Error("the new limit of three does not hold")
	}
	a.Release() // a call that began before the reload ends after it
	app.Release()
	if next.Trunk("a").Calls() != 2 || next.Agent("app").Acquire() {
		t.Error("old calls are not given back to the new snapshot")
	}
}

func TestNoMoreCallsThanAllowedUnderContention(t *testing.T) {
	tr := build(t, `trunks: [{name: a, server: 192.0.2.1, max_calls: 7}]`, nil).Trunks[0]
	taken := make(chan int)
	for range 8 {
		go func() {
			n := 0
			for range 10 {
				if tr.Acquire() {
					n++
				}
			}
			taken <- n
		}()
	}
	sum := 0
	for range 8 {
		sum += <-taken
	}
	if sum != 7 {
		t.Errorf("%d calls at once, 7 are allowed", sum)
	}
}

func TestSampleBuilds(t *testing.T) {
	text, err := os.ReadFile("../sipgo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := build(t, string(text), nil)
	in, refusal := s.Inbound(s.Source("UDP", netip.MustParseAddrPort("127.0.0.2:5070")).Trunk, []byte("15550001234"))
	if refusal != nil || in.Agent.Name != "app" || in.Agent.Destinations[0].Addrs[0].String() != "127.0.0.3:5080" {
		t.Errorf("%+v %v", in, refusal)
	}
}

func TestTrunkKnowsWhereItCallsFrom(t *testing.T) {
	s := build(t, `
trunks:
  - {name: first, server: 192.0.2.20, source_addresses: [192.0.2.20, "tcp://198.51.100.0/24", "carrier.example:5070"]}
  - {name: second, server: 192.0.2.20, source_addresses: [192.0.2.20]}
`, Names{{Name: "carrier.example"}: {{Addr: netip.MustParseAddrPort("203.0.113.9:5060")}}})
	for _, test := range []struct {
		proto, from   string
		first, second bool
	}{
		{"UDP", "192.0.2.20:5060", true, true},
		{"TCP", "198.51.100.7:40000", true, false},
		{"UDP", "198.51.100.7:5060", false, false},
		{"UDP", "203.0.113.9:5070", true, false},
		{"UDP", "203.0.113.9:5060", false, false},
	} {
		from := netip.MustParseAddrPort(test.from)
		if first, second := s.Trunk("first").CallsFrom(test.proto, from), s.Trunk("second").CallsFrom(test.proto, from); first != test.first || second != test.second {
			t.Errorf("%s %s: first %v, second %v", test.proto, test.from, first, second)
		}
	}
}
