package trunks

import (
	"net/netip"
	"strings"
	"testing"
)

func TestOnlyKnowsNothingOfOthers(t *testing.T) {
	s := build(t, `
trunks:
  - {name: mine, server: 192.0.2.20, source_addresses: [192.0.2.20]}
  - {name: theirs, server: 192.0.2.21, source_addresses: [192.0.2.21]}
agents:
  - {name: app, destinations: [{uri: "sip:192.0.2.30"}], source_addresses: [192.0.2.30]}
  - {name: other, destinations: [{uri: "sip:192.0.2.31"}], source_addresses: [192.0.2.31]}
numbers:
  - {number: "+15550001234", trunk: mine, inbound_agent: app}
  - {number: "+15550001235", trunk: theirs, inbound_agent: other}
  - {number: "+15550001236", trunk: mine, inbound_agent: other}
`, nil)
	mine := func(name string) bool { return name == "mine" || name == "app" }
	only, err := s.Only(mine, mine)
	if err != nil {
		t.Fatal(err)
	}
	if len(only.Trunks) != 1 || len(only.Agents) != 1 || len(only.Numbers) != 1 || only.Numbers[0].E164 != "+15550001234" {
		t.Fatalf("%d trunks, %d agents, %d numbers", len(only.Trunks), len(only.Agents), len(only.Numbers))
	}
	from := netip.MustParseAddrPort("192.0.2.21:5060")
	if only.Source("UDP", from).Known() || strings.Contains(only.Unknown("UDP", from).Detail(), "theirs") {
		t.Errorf("another's trunk is known: %s", only.Unknown("UDP", from).Detail())
	}
	if _, refusal := only.Inbound(only.Trunks[0], []byte("+15550001235")); refusal == nil || strings.Contains(refusal.Error(), "theirs") {
		t.Errorf("another's number: %v", refusal)
	}
}

// What an agent's organization may spend stands in its way there, too.
func TestOnlyKeepsTheTollOfTheOrganization(t *testing.T) {
	s := build(t, `
limits: {source_rate: 7}
organizations:
  - {name: acme, toll: {countries: ["44"]}}
  - {name: others, toll: {countries: ["49"]}}
trunks:
  - {name: mine, server: 192.0.2.20}
agents:
  - {name: app, organization: acme, source_addresses: [192.0.2.30]}
numbers:
  - {number: "+15550001234", trunk: mine, outbound_agent: app}
`, nil)
	only, err := s.Only(func(string) bool { return true }, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	route, refusal := only.Outbound(only.Agents[0], []byte("+15550001234"), []byte("+14155550100"))
	if refusal != nil {
		t.Fatal(refusal)
	}
	if why := route.Barred([]byte("+14155550100")); why == nil || !strings.Contains(why.Detail(), "acme") {
		t.Errorf("refused for %v", why)
	}
	if len(only.Organizations) != 1 || only.Agents[0].SourceRate != 7 {
		t.Errorf("%d organizations, %g requests a second", len(only.Organizations), only.Agents[0].SourceRate)
	}
}
