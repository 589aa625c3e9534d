package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"trunkline/config"
	"trunkline/trunks"
	"trunkline/trunks/account"
)

// startTenant runs a daemon with an organization in it.
func startTenant(t *testing.T, more string) (*daemon, account.Caller) {
	t.Helper()
	d := startFile(t, writeFile(t, "sipgo.yaml", fmt.Sprintf("sip: {listen: [\"udp://%s\"]}\nmedia: {relay: false}\nhttp: {listen: \"%s\"}\nstorage: {directory: %s}\n%s\n",
		freePort(t, "udp"), freePort(t, "tcp"), t.TempDir(), more)))
	_, raw, err := d.accounts.Bootstrap(t.Context(), account.Bootstrap{Organization: "acme", User: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	who, err := d.accounts.Authenticate(t.Context(), raw, "")
	if err != nil {
		t.Fatal(err)
	}
	return d, who
}

// TestChangesComeIntoForce: what an organization is told is made, the edge knows, beside what the file says; and what it may not
// have, the edge never gets.
func TestChangesComeIntoForce(t *testing.T) {
	d, who := startTenant(t, `
trunks: [{name: carrier, server: "127.0.0.2:5070", source_addresses: [127.0.0.2]}]
numbers: [{number: "+15550000001", trunk: carrier}]`)
	ctx := t.Context()
	agent, err := d.accounts.CreateAgent(ctx, who, account.AgentSettings{Name: "app", Destinations: []account.Destination{{URI: "sip:127.0.0.3:5080"}}, SourceAddresses: []string{"127.0.0.3"}})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := d.accounts.CreateSIPCredential(ctx, who, account.SIPCredentialSettings{Server: "8.8.8.8", CPSLimit: new(2.0), CPSKey: "shared"})
	if err != nil {
		t.Fatal(err)
	}
	s := d.edge.Trunks()
	trunk := s.Trunk(credential.Trunk)
	if s.Agent(agent.EngineName) == nil || trunk == nil || trunk.CPSKey != who.Org+"/shared" || s.Trunk("carrier") == nil || s.Number([]byte("+15550000001")) == nil {
		t.Fatalf("in force: %+v", s)
	}
	done, err := d.accounts.ImportToSIPCredential(ctx, who, credential.ID, []string{"+15550000001", "+15550000002"})
	if err != nil || len(done.Imported) != 1 {
		t.Fatalf("the file's number is imported: %+v %v", done, err)
	}
	if s := d.edge.Trunks(); s.Number([]byte("+15550000002")) != nil {
		t.Error("a number that was never verified is routed")
	}
	trunk.Acquire() // a call in progress
	if _, err := d.accounts.ReplaceSIPCredential(ctx, who, credential.ID, account.SIPCredentialSettings{Server: "8.8.4.4"}, 0); err != nil {
		t.Fatal(err)
	}
	after := d.edge.Trunks().Trunk(credential.Trunk)
	if after == nil || after == trunk || after.Calls() != 1 || after.Servers[0].Addr() != netip.MustParseAddr("8.8.4.4") {
		t.Errorf("replaced: %+v", after)
	}
	trunk.Release()
	d.reload(ctx) // what organizations have stays
	if d.edge.Trunks().Trunk(credential.Trunk) == nil {
		t.Error("a reload took the organization's trunk away")
	}
	if err := d.accounts.DeleteSIPCredential(ctx, who, credential.ID, true); err != nil {
		t.Fatal(err)
	}
	if d.edge.Trunks().Trunk(credential.Trunk) != nil {
		t.Error("the trunk is still there")
	}
}

// TestManyChangesAreFewReadings: a change does not cost a rebuilding each when many come together.
func TestManyChangesAreFewReadings(t *testing.T) {
	d, _ := startTenant(t, "")
	before := d.edge.Trunks()
	readings := 0
	for range 10_000 {
		d.applier.Changed()
		if now := d.edge.Trunks(); now != before {
			before = now
			readings++
		}
	}
	if err := d.applier.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if readings > 1000 {
		t.Errorf("%d readings for 10,000 changes", readings)
	}
}

// TestDatabaseInTrouble: while the database cannot be read, what is in force stays.
func TestDatabaseInTrouble(t *testing.T) {
	d, who := startTenant(t, `trunks: [{name: carrier, server: "127.0.0.2:5070", source_addresses: [127.0.0.2]}]`)
	agent, err := d.accounts.CreateAgent(t.Context(), who, account.AgentSettings{Name: "app", SourceAddresses: []string{"127.0.0.3"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	d.applier.Changed()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := d.applier.Apply(ctx); err == nil {
		t.Error("an inventory that cannot be read came into force")
	}
	d.reload(ctx)
	if s := d.edge.Trunks(); s.Trunk("carrier") == nil || s.Agent(agent.EngineName) == nil {
		t.Error("what was in force is gone")
	}
}

// TestNamesOfOrganizationsAreScreened: a name that an organization's trunk brings never stands for a private address, unless the
// operator has it in the file too.
func TestNamesOfOrganizationsAreScreened(t *testing.T) {
	inside, outside := netip.MustParseAddrPort("10.0.0.7:0"), netip.MustParseAddrPort("8.8.8.8:0")
	v := account.Inventory{Trunks: []account.SIPCredential{{ID: "1", Trunk: "credential:1", SIPCredentialSettings: account.SIPCredentialSettings{Server: "inside.example:5060", Transport: "udp"}},
		{ID: "2", Trunk: "credential:2", SIPCredentialSettings: account.SIPCredentialSettings{Server: "vouched.example:5060", Transport: "udp"}}}}
	file := config.Config{Trunks: []config.Trunk{{Name: "carrier", Server: config.HostPort{Host: "vouched.example", Port: 5060}}}}
	names := trunks.Names{{Name: "inside.example"}: {{Addr: inside}, {Addr: outside}}, {Name: "vouched.example"}: {{Addr: inside}}}
	d := &daemon{}
	d.screen(file, v, names)
	if got := names[trunks.Host{Name: "inside.example"}]; len(got) != 1 || got[0].Addr != outside {
		t.Errorf("an organization's name: %v", got)
	}
	if got := names[trunks.Host{Name: "vouched.example"}]; len(got) != 1 {
		t.Errorf("the operator's name: %v", got)
	}
	d.config.Probe.AllowPrivateTargets = true
	names[trunks.Host{Name: "inside.example"}] = []trunks.Server{{Addr: inside}}
	d.screen(file, v, names)
	if len(names[trunks.Host{Name: "inside.example"}]) != 1 {
		t.Error("screened although private targets are allowed")
	}
}

// TestOrganizationsHaveTolls: what the file says of an organization's spending bounds the agents it has over the API, whether it is
// named, meant by its id, or one of the rest.
func TestOrganizationsHaveTolls(t *testing.T) {
	d, who := startTenant(t, `organizations: [{name: acme, toll: {minutes_per_day: 1}}, {name: "*", toll: {minutes_per_day: 3}}]`)
	toll := func(name string) int {
		t.Helper()
		agent, err := d.accounts.CreateAgent(t.Context(), who, account.AgentSettings{Name: name, Destinations: []account.Destination{{URI: "sip:127.0.0.3:5080"}}})
		if err != nil {
			t.Fatal(err)
		}
		return d.edge.Trunks().Agent(agent.EngineName).Organization.Toll.MinutesPerDay
	}
	if n := toll("app"); n != 1 {
		t.Errorf("named: %d minutes", n)
	}
	if _, _, err := d.accounts.Bootstrap(t.Context(), account.Bootstrap{Organization: "globex", User: "owner"}); err != nil {
		t.Fatal(err)
	}
	globex, err := d.accounts.FindOrganization(t.Context(), "globex")
	if err != nil {
		t.Fatal(err)
	}
	other := who
	other.Org = globex.ID
	who, other = other, who
	if n := toll("app"); n != 3 {
		t.Errorf("one of the rest: %d minutes", n)
	}
	text, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`name: acme`), []byte(`name: "`+other.Org+`"`), 1)
	if err := os.WriteFile(d.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	d.reload(t.Context())
	who = other
	if n := toll("another"); n != 1 {
		t.Errorf("by its id: %d minutes", n)
	}
}
