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

	trunks     map[string]*Trunk
	agents     map[string]*Agent
	numbers    map[string]*Number
	sources    sources
	unresolved []string
	conflicts  []string
}

// Hosts returns the host names in cfg that must be resolved before Build: of servers, outbound proxies, destinations
// and sources, sorted, each once.
func Hosts(cfg config.Config) []string {
	names := map[string]bool{}
	add := func(host string) {
		if _, err := netip.ParseAddr(host); err != nil && host != "" {
			names[host] = true
		}
	}
	for _, t := range cfg.Trunks {
		add(nextHop(t).Host)
		for _, s := range t.SourceAddresses {
			add(s.Host)
		}
	}
	for _, a := range cfg.Agents {
		for _, d := range a.Destinations {
			add(d.URI.Host)
		}
		for _, s := range a.SourceAddresses {
			add(s.Host)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Build makes a Snapshot of cfg. hosts holds the addresses of each name from Hosts; a name without one leaves its
// trunk or destination without addresses and is no error but one of Unresolved. The error tells of a configuration that config.Load
// would have refused.
func Build(cfg config.Config, hosts map[string][]netip.Addr) (*Snapshot, error) {
	return new(Snapshot).Rebuild(cfg, hosts)
}

// Rebuild is Build for a running edge: trunks and agents that keep their name keep their count of calls in progress.
// s itself stays as it is.
func (s *Snapshot) Rebuild(cfg config.Config, hosts map[string][]netip.Addr) (*Snapshot, error) {
	b := builder{hosts: hosts, previous: s, unresolved: map[string]bool{}, next: &Snapshot{
		trunks:  make(map[string]*Trunk, len(cfg.Trunks)),
		agents:  make(map[string]*Agent, len(cfg.Agents)),
		numbers: make(map[string]*Number, len(cfg.Numbers)),
	}}
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

// Number returns the number with that E.164 form, or nil. It does not allocate.
func (s *Snapshot) Number(e164 []byte) *Number { return s.numbers[string(e164)] }

// builder gathers one Snapshot.
type builder struct {
	hosts      map[string][]netip.Addr
	previous   *Snapshot
	next       *Snapshot
	sources    sourceList
	unresolved map[string]bool
}

func (b *builder) addTrunk(c config.Trunk) error {
	if b.next.trunks[c.Name] != nil {
		return fmt.Errorf("two trunks are called %q", c.Name)
	}
	t := &Trunk{
		Trunk:   c,
		Index:   len(b.next.Trunks),
		Servers: b.resolve(nextHop(c).Host, nextHop(c).Port, c.Transport),
		Plan:    Plan{Format: c.NumberFormat, CountryCode: c.CountryCode, NationalPrefix: c.NationalPrefix},
		usage:   new(usage),
	}
	if t.Domain == "" {
		t.Domain = c.Server.Host
	}
	if t.Transport == config.TLSTransport && t.TLS.ServerName == "" {
		t.TLS.ServerName = t.Domain
	}
	if before := b.previous.trunks[c.Name]; before != nil {
		t.usage = before.usage
	}
	b.next.trunks[c.Name] = t
	b.next.Trunks = append(b.next.Trunks, t)
	for _, s := range c.SourceAddresses {
		b.addSource(s, Principal{Trunk: t})
	}
	return nil
}

func (b *builder) addAgent(c config.Agent) error {
	if b.next.agents[c.Name] != nil {
		return fmt.Errorf("two agents are called %q", c.Name)
	}
	if len(c.Destinations) > maxDestinations {
		return fmt.Errorf("agent %q has %d destinations; %d are allowed", c.Name, len(c.Destinations), maxDestinations)
	}
	a := &Agent{Agent: c, Index: len(b.next.Agents), usage: new(usage)}
	for _, d := range c.Destinations {
		a.Destinations = append(a.Destinations, Destination{
			Destination: d,
			Addrs:       b.resolve(d.URI.Host, d.URI.Port, d.URI.Transport),
		})
	}
	if before := b.previous.agents[c.Name]; before != nil {
		a.usage = before.usage
	}
	b.next.agents[c.Name] = a
	b.next.Agents = append(b.next.Agents, a)
	for _, s := range c.SourceAddresses {
		b.addSource(s, Principal{Agent: a})
	}
	return nil
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
	b.next.numbers[c.Number] = n
	b.next.Numbers = append(b.next.Numbers, n)
	return nil
}

// resolve returns the addresses of host, each with port or the transport's default port (RFC 3261 §19.1.2).
func (b *builder) resolve(host string, port uint16, transport config.Transport) []netip.AddrPort {
	if port == 0 {
		port = 5060
		if transport == config.TLSTransport {
			port = 5061
		}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), port)}
	}
	addrs := make([]netip.AddrPort, 0, len(b.hosts[host]))
	for _, a := range b.hosts[host] {
		addrs = append(addrs, netip.AddrPortFrom(a.Unmap(), port))
	}
	if len(addrs) == 0 {
		b.unresolved[host] = true
	}
	return addrs
}

func (b *builder) addSource(s config.Source, p Principal) {
	if s.Host == "" {
		b.sources.add(s, s, p)
		return
	}
	if len(b.hosts[s.Host]) == 0 {
		b.unresolved[s.Host] = true
	}
	for _, a := range b.hosts[s.Host] {
		a = a.Unmap()
		b.sources.add(s, config.Source{Transport: s.Transport, Prefix: netip.PrefixFrom(a, a.BitLen()), Port: s.Port}, p)
	}
}

// nextHop is where requests on t are sent.
func nextHop(t config.Trunk) config.HostPort {
	if !t.OutboundProxy.IsZero() {
		return t.OutboundProxy
	}
	return t.Server
}
