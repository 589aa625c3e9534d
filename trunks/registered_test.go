package trunks

import (
	"net/netip"
	"testing"
)

// accounts are three accounts at one registrar, one at another, and a trunk that does not register.
const accounts = `
trunks:
  - {name: one, server: 192.0.2.20, domain: itsp.example, register: true, auth_user: alice, auth_password: x}
  - {name: two, server: 192.0.2.20, domain: itsp.example, register: true, auth_user: bob, auth_password: x, country_code: "49", national_prefix: "0"}
  - {name: none, server: 192.0.2.20, domain: itsp.example, register: true, auth_user: carol, auth_password: x}
  - {name: far, server: 203.0.113.20, domain: far.example, register: true, auth_user: alice, auth_password: x}
  - {name: static, server: 192.0.2.99, source_addresses: [192.0.2.99]}
agents: [{name: app, destinations: [{uri: "sip:192.0.2.30"}]}]
numbers:
  - {number: "+15550001000", trunk: one, inbound_agent: app}
  - {number: "+15550001001", trunk: one, inbound_agent: app}
  - {number: "+4930200000", trunk: two, inbound_agent: app}
  - {number: "+15550003000", trunk: far, inbound_agent: app}
`

// REG-11: the token of a registration names one trunk among those that share a registrar, and means it alone.
func TestREG11(t *testing.T) {
	s := build(t, accounts, nil)
	tokens := map[string]bool{}
	for _, name := range []string{"one", "two", "none", "far"} {
		token := s.Trunk(name).Token
		if tokens[token] || len(token) < 16 {
			t.Errorf("token %q of %s", token, name)
		}
		tokens[token] = true
		if s.Token([]byte(token)) != s.Trunk(name) {
			t.Errorf("token %q is not found", token)
		}
	}
	if again := build(t, accounts, nil); again.Trunk("one").Token != s.Trunk("one").Token {
		t.Error("another token after a restart")
	}
	if s.Trunk("static").Token != "" || s.Token(nil) != nil {
		t.Error("a trunk that does not register has a token")
	}
	if got := s.Registered(s.Trunk("one"), []byte(s.Trunk("two").Token)); got != s.Trunk("two") {
		t.Errorf("the token of a trunk that shares the registrar names %v", got)
	}
	if got := s.Registered(s.Trunk("one"), []byte(s.Trunk("far").Token)); got != nil {
		t.Errorf("a token from where its trunk does not call names %v", got.Name)
	}
	for _, test := range []struct{ name, on, called, want string }{
		{"its number", "one", "+15550001001", "one app +15550001001"},
		{"in its own form", "two", "030200000", "two app +4930200000"},
		{"the account stands for its only number", "two", "bob", "two app +4930200000"},
		{"but not for one of several", "one", "alice", `no_route: called number "alice" is not listed`},
		{"another trunk's number", "one", "+4930200000", "no_route: number +4930200000 belongs to trunk two, but the call came to the registration of trunk one"},
		{"of a trunk without any", "none", "carol", `no_route: called number "carol" is not listed`},
	} {
		t.Run(test.name, func(t *testing.T) {
			route, _, refusal := s.InboundOn(s.Trunk(test.on), []byte(test.called))
			if got := told(route, refusal); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// SC2-01: calls of a trunk that registers come from where it registers, without source_addresses.
func TestSC201(t *testing.T) {
	s := build(t, `
trunks:
  - {name: reg, server: itsp.example, transport: udp, register: true, auth_user: a, auth_password: x}
  - {name: static, server: 192.0.2.99}
`, Names{{Name: "itsp.example", Transport: "udp"}: {{Addr: netip.MustParseAddrPort("192.0.2.20:5060")}, {Addr: netip.MustParseAddrPort("192.0.2.21:5062")}, {Addr: netip.MustParseAddrPort("192.0.2.21:5064")}}})
	for _, test := range []struct{ from, want string }{
		{"192.0.2.20:5060", "trunk reg"}, {"192.0.2.20:39999", "trunk reg"}, {"192.0.2.21:5060", "trunk reg"}, {"192.0.2.22:5060", "nobody"}, {"192.0.2.99:5060", "nobody"},
	} {
		if got := s.Source("UDP", netip.MustParseAddrPort(test.from)).String(); got != test.want {
			t.Errorf("%s is %s, want %s", test.from, got, test.want)
		}
	}
}

// REG-07: which servers are worth going back to.
func TestBetter(t *testing.T) {
	s := build(t, `trunks: [{name: a, server: itsp.example, transport: udp}]`, Names{{Name: "itsp.example", Transport: "udp"}: {
		{Addr: netip.MustParseAddrPort("192.0.2.1:5060"), Priority: 1, Record: 0}, {Addr: netip.MustParseAddrPort("192.0.2.2:5060"), Priority: 1, Record: 0},
		{Addr: netip.MustParseAddrPort("192.0.2.3:5060"), Priority: 1, Record: 1}, {Addr: netip.MustParseAddrPort("192.0.2.4:5060"), Priority: 2, Record: 2}}})
	for i, want := range []uint64{0, 0b1, 0, 0b111} {
		if got := s.Trunk("a").Better(i); got != want {
			t.Errorf("better than server %d: %b, want %b", i, got, want)
		}
	}
}
