package trunks

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"trunkline/config"
)

// Snapshot is everything the call path reads about trunks, agents and numbers. It is immutable and may be used by any
// number of goroutines; only the counts of calls in progress change.
type Snapshot struct {
	Trunks  []*Trunk  // in the order of the configuration
	Agents  []*Agent  // in the order of the configuration
	Numbers []*Number // in the order of the configuration

	Organizations []*Organization // those listed, and those of agents that "*" stands for

	Limits config.Limits // of the process

	trunks  map[string]*Trunk
	agents  map[string]*Agent
	users   map[string]*Agent // by auth_user
	numbers map[string]*Number

	organizations map[string]*Organization

	tokens     map[string]*Trunk
	sources    sources
	unresolved []string
	conflicts  []string
	made       config.Config // what it was built of, for Only
	names      Names
}

// Hosts returns what must be resolved before Build: names of servers, outbound proxies, destinations and sources, sorted,
// each once.
func Hosts(cfg config.Config) []Host {
	hosts := map[Host]bool{}
	add := func(h Host) {
		if _, err := netip.ParseAddr(h.Name); err != nil && h.Name != "" {
			hosts[h] = true
		}
	}
	for _, t := range cfg.Trunks {
		add(hostOf(nextHop(t), t.Transport))
		for _, s := range t.SourceAddresses {
			add(Host{Name: s.Host})
		}
	}
	for _, a := range cfg.Agents {
		for _, d := range a.Destinations {
			add(hostOf(config.HostPort{Host: d.URI.Host, Port: d.URI.Port}, d.URI.Transport))
		}
		for _, s := range a.SourceAddresses {
			add(Host{Name: s.Host})
		}
	}
	return slices.SortedFunc(maps.Keys(hosts), Host.compare)
}

// Build makes a Snapshot of cfg. names holds the servers of each of Hosts; a host without any leaves its
// trunk or destination without addresses and is no error but one of Unresolved. The error tells of a configuration that config.Load
// would have refused.
func Build(cfg config.Config, names Names) (*Snapshot, error) {
	return new(Snapshot).Rebuild(cfg, names)
}

// Rebuild is Build for a running edge: trunks and agents that keep their name keep their count of calls in progress.
// s itself stays as it is.
func (s *Snapshot) Rebuild(cfg config.Config, names Names) (*Snapshot, error) {
	b := builder{names: names, previous: s, unresolved: map[string]bool{}, counted: map[*Trunk]int{}, next: &Snapshot{
		made: cfg, names: names, Limits: cfg.Limits,
		trunks:  make(map[string]*Trunk, len(cfg.Trunks)),
		agents:  make(map[string]*Agent, len(cfg.Agents)),
		users:   make(map[string]*Agent),
		numbers: make(map[string]*Number, len(cfg.Numbers)),
		tokens:  map[string]*Trunk{},

		organizations: map[string]*Organization{},
	}}
	for _, o := range cfg.Organizations {
		if o.Name != config.AnyOrganization {
			b.addOrganization(o.Name, o.Toll)
		}
	}
	for _, t := range cfg.Trunks {
		if err := b.addTrunk(t); err != nil {
			return nil, err
		}
	}
	for _, a := range cfg.Agents {
		if err := b.addAgent(a); err != nil {
			return nil, err
		}
	}
	for _, t := range b.next.Trunks {
		b.addRegistrar(t)
	}
	for _, n := range cfg.Numbers {
		if err := b.addNumber(n); err != nil {
			return nil, err
		}
	}
	b.next.sources, b.next.conflicts = b.sources.index(b.next), b.sources.conflicts()
	b.next.unresolved = slices.Sorted(maps.Keys(b.unresolved))
	return b.next, nil
}

// Unresolved returns the names that Build had no address for, sorted. No call goes there or comes from there.
func (s *Snapshot) Unresolved() []string { return s.unresolved }

// Conflicts has a sentence for each address that is both a trunk's and an agent's once names are resolved. It is worth a
// log line: calls from there are taken as the trunk's.
func (s *Snapshot) Conflicts() []string { return s.conflicts }

// Trunk returns the trunk of that name, or nil.
func (s *Snapshot) Trunk(name string) *Trunk { return s.trunks[name] }

// Agent returns the agent of that name, or nil.
func (s *Snapshot) Agent(name string) *Agent { return s.agents[name] }

// User returns the agent with that digest user name, or nil.
func (s *Snapshot) User(name string) *Agent { return s.users[name] }

// HasUsers tells whether any agent is known by a digest user name.
func (s *Snapshot) HasUsers() bool { return len(s.users) > 0 }

// Number returns the number with that E.164 form, or nil. It does not allocate.
func (s *Snapshot) Number(e164 []byte) *Number { return s.numbers[string(e164)] }

// Token returns the trunk that registers with this user in its Contact, or nil. It does not allocate.
func (s *Snapshot) Token(user []byte) *Trunk { return s.tokens[string(user)] }

// builder gathers one Snapshot.
type builder struct {
	names      Names
	previous   *Snapshot
	next       *Snapshot
	sources    sourceList
	unresolved map[string]bool
	counted    map[*Trunk]int // numbers of each
}

func (b *builder) addTrunk(c config.Trunk) error {
	if b.next.trunks[c.Name] != nil {
		return fmt.Errorf("two trunks are called %q", c.Name)
	}
	t := &Trunk{
		Trunk: c,
		Index: len(b.next.Trunks),
		Plan:  Plan{Format: c.NumberFormat, CountryCode: c.CountryCode, NationalPrefix: c.NationalPrefix},
		usage: new(usage),

		SourceRate: rateOr(c.SourceRate, b.next.made.Limits.SourceRate),
	}
	t.servers, t.Servers = b.serversOf(nextHop(c), c.Transport)
	if t.Domain == "" {
		t.Domain = c.Server.Host
	}
	if t.Transport == config.TLSTransport && t.TLS.ServerName == "" {
		t.TLS.ServerName = t.Domain
	}
	t.Domain = config.HostPort{Host: t.Domain}.String() // an IPv6 address in brackets: it stands in URIs
	before := b.previous.trunks[c.Name]
	if before != nil {
		t.usage = before.usage
	}
	t.keepHealth(before)
	b.next.trunks[c.Name] = t
	b.next.Trunks = append(b.next.Trunks, t)
	for _, s := range c.SourceAddresses {
		b.addSource(s, Principal{Trunk: t})
	}
	if t.Register {
		t.Token = tokenOf(t)
		b.next.tokens[t.Token] = t
	}
	return nil
}

func (b *builder) addAgent(c config.Agent) error {
	if b.next.agents[c.Name] != nil {
		return fmt.Errorf("two agents are called %q", c.Name)
	}
	if len(c.Destinations) > maxChoices {
		return fmt.Errorf("agent %q has %d destinations; %d are allowed", c.Name, len(c.Destinations), maxChoices)
	}
	a := &Agent{Agent: c, Index: len(b.next.Agents), usage: new(usage), Organization: b.organizationOf(c),
		SourceRate: rateOr(c.SourceRate, b.next.made.Limits.SourceRate)}
	for _, c := range c.Destinations {
		d := Destination{Destination: c}
		d.servers, d.Addrs = b.serversOf(config.HostPort{Host: c.URI.Host, Port: c.URI.Port}, c.URI.Transport)
		a.Destinations = append(a.Destinations, d)
		a.ranks = append(a.ranks, rank{c.Priority, c.Weight})
	}
	if before := b.previous.agents[c.Name]; before != nil {
		a.usage = before.usage
	}
	if c.AuthUser != "" {
		if other := b.next.users[c.AuthUser]; other != nil {
			return fmt.Errorf("agents %q and %q have the same auth_user", other.Name, c.Name)
		}
		b.next.users[c.AuthUser] = a
	}
	b.next.agents[c.Name] = a
	b.next.Agents = append(b.next.Agents, a)
	for _, s := range c.SourceAddresses {
		b.addSource(s, Principal{Agent: a})
	}
	return nil
}

// addOrganization makes an organization that has a toll.
func (b *builder) addOrganization(name string, toll config.Toll) *Organization {
	o := &Organization{Name: name, Toll: toll, spending: new(spending)}
	if before := b.previous.organizations[name]; before != nil {
		o.spending = before.spending
	}
	b.next.organizations[name] = o
	b.next.Organizations = append(b.next.Organizations, o)
	return o
}

// organizationOf returns whose toll an agent shares: its organization's if that is listed, else one of its own as "*" is.
func (b *builder) organizationOf(c config.Agent) *Organization {
	if c.Organization == "" {
		return nil
	}
	if o := b.next.organizations[c.Organization]; o != nil {
		return o
	}
	for _, o := range b.next.made.Organizations {
		if o.Name == config.AnyOrganization {
			return b.addOrganization(c.Organization, o.Toll)
		}
	}
	return nil
}

// rateOr is the rate of a trunk or agent, if it has one, or the usual one.
func rateOr(own *float64, usual float64) float64 {
	if own != nil {
		return *own
	}
	return usual
}

func (b *builder) addNumber(c config.Number) error {
	n := &Number{E164: c.Number, Trunk: b.next.trunks[c.Trunk]}
	if n.Trunk == nil {
		return fmt.Errorf("number %s: no trunk is called %q", c.Number, c.Trunk)
	}
	if b.next.numbers[c.Number] != nil {
		return fmt.Errorf("number %s is there twice", c.Number)
	}
	for _, link := range []struct {
		name  string
		agent **Agent
	}{{c.InboundAgent, &n.Inbound}, {c.OutboundAgent, &n.Outbound}} {
		if link.name == "" {
			continue
		}
		if *link.agent = b.next.agents[link.name]; *link.agent == nil {
			return fmt.Errorf("number %s: no agent is called %q", c.Number, link.name)
		}
	}
	if err := b.addRoutes(n, c.Routes); err != nil {
		return err
	}
	if a := n.Outbound; a != nil {
		if a.only = a.first == nil; a.only {
			a.first = n
		}
	}
	b.next.numbers[c.Number] = n
	b.next.Numbers = append(b.next.Numbers, n)
	if b.counted[n.Trunk]++; b.counted[n.Trunk] == 1 {
		n.Trunk.only = n
	} else {
		n.Trunk.only = nil
	}
	return nil
}

// addRoutes fills in the trunks that calls from n may take.
func (b *builder) addRoutes(n *Number, routes []config.Route) error {
	if len(routes) == 0 {
		n.Routes, n.ranks = []*Trunk{n.Trunk}, onlyRoute
		return nil
	}
	if len(routes) > maxChoices {
		return fmt.Errorf("number %s has %d routes; %d are allowed", n.E164, len(routes), maxChoices)
	}
	for _, r := range routes {
		t := b.next.trunks[r.Trunk]
		if t == nil {
			return fmt.Errorf("number %s: no trunk is called %q", n.E164, r.Trunk)
		}
		n.Routes, n.ranks = append(n.Routes, t), append(n.ranks, rank{r.Priority, r.Weight})
	}
	return nil
}

// onlyRoute are the ranks of a number without routes of its own.
var onlyRoute = []rank{{}}

func (b *builder) addSource(s config.Source, p Principal) {
	add := func(at config.Source) {
		b.sources.add(s, at, p)
		if p.Trunk != nil {
			p.Trunk.sources = append(p.Trunk.sources, at)
		}
	}
	if s.Host == "" {
		add(s)
		return
	}
	found := b.names[Host{Name: s.Host}]
	if len(found) == 0 {
		b.unresolved[s.Host] = true
	}
	for _, server := range found {
		a := server.Addr.Addr().Unmap()
		add(config.Source{Transport: s.Transport, Prefix: netip.PrefixFrom(a, a.BitLen()), Port: s.Port})
	}
}

// addRegistrar lets calls come from where t registers (SIPconnect 2.0, registration mode). An address that an agent claims
// stays the agent's.
func (b *builder) addRegistrar(t *Trunk) {
	if !t.Register {
		return
	}
	seen := map[netip.Addr]bool{}
	for _, server := range t.Servers {
		a := server.Addr()
		at := config.Source{Prefix: netip.PrefixFrom(a, a.BitLen())}
		if !seen[a] && !b.sources.claimed(at) {
			b.sources = append(b.sources, source{written: at, at: at, principal: Principal{Trunk: t}, implied: true})
			t.sources = append(t.sources, at)
		}
		seen[a] = true
	}
}

// nextHop is where requests on t are sent.
func nextHop(t config.Trunk) config.HostPort {
	if !t.OutboundProxy.IsZero() {
		return t.OutboundProxy
	}
	return t.Server
}
