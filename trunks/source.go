package trunks

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"trunkline/config"
)

// Principal is who sent a request, as far as its source address tells. At most one field is set.
type Principal struct {
	Trunk *Trunk
	Agent *Agent
}

// Known reports whether the source is listed at all.
func (p Principal) Known() bool { return p.Trunk != nil || p.Agent != nil }

// String is "trunk NAME", "agent NAME" or "nobody".
func (p Principal) String() string {
	switch {
	case p.Trunk != nil:
		return "trunk " + p.Trunk.Name
	case p.Agent != nil:
		return "agent " + p.Agent.Name
	}
	return "nobody"
}

// Source returns whose source a is for a request that came over proto ("UDP", "TCP" or "TLS"). A single address goes
// before a network and a smaller network before a larger one; within one of them an entry with a port goes before one with a
// transport, and that before one with neither (RFC 5853 §3.5). Where several trunks share a source the first in the configuration is
// returned, and Inbound finds the right one by the number. It does not allocate.
func (s *Snapshot) Source(proto string, a netip.AddrPort) Principal {
	addr, transport := a.Addr().Unmap().WithZone(""), transportOf(proto)
	if p, ok := match(s.sources.single[addr], transport, a.Port()); ok {
		return p
	}
	lengths := s.sources.lengths6
	if addr.Is4() {
		lengths = s.sources.lengths4
	}
	for _, bits := range lengths {
		network, err := addr.Prefix(bits)
		if err != nil {
			break
		}
		if p, ok := match(s.sources.network[network], transport, a.Port()); ok {
			return p
		}
	}
	return Principal{}
}

// match returns the first entry for transport and port; the most specific ones come first.
func match(entries []source, transport config.Transport, port uint16) (Principal, bool) {
	for i := range entries {
		e := &entries[i]
		if (e.at.Port == 0 || e.at.Port == port) && (e.at.Transport == "" || e.at.Transport == transport) {
			return e.principal, true
		}
	}
	return Principal{}, false
}

func transportOf(proto string) config.Transport {
	switch proto {
	case "UDP", "udp":
		return config.UDP
	case "TCP", "tcp":
		return config.TCP
	case "TLS", "tls":
		return config.TLSTransport
	}
	return "other"
}

// source is one address or network that a principal calls from.
type source struct {
	written   config.Source // as configured
	at        config.Source // with an address or network in place of a name
	principal Principal
	implied   bool // not configured: it follows from where a trunk registers
}

// sources is the index that Source reads.
type sources struct {
	single             map[netip.Addr][]source
	network            map[netip.Prefix][]source
	lengths4, lengths6 []int // prefix lengths in network, longest first
	all                []source
}

// sourceList gathers sources in the order of the configuration, trunks first.
type sourceList []source

func (l *sourceList) add(written, at config.Source, p Principal) {
	*l = append(*l, source{written: written, at: at, principal: p})
}

// claimed reports whether an agent calls from exactly this address.
func (l sourceList) claimed(at config.Source) bool {
	return slices.ContainsFunc(l, func(e source) bool { return e.principal.Agent != nil && e.at == at })
}

// specific counts what an entry asks for beyond the address.
func (s *source) specific() int {
	n := 0
	if s.at.Port != 0 {
		n += 2
	}
	if s.at.Transport != "" {
		n++
	}
	return n
}

// index sorts the list for look-ups and puts principals whose sources overlap into groups.
func (l sourceList) index(s *Snapshot) sources {
	x := sources{single: map[netip.Addr][]source{}, network: map[netip.Prefix][]source{}, all: l}
	for _, e := range l {
		prefix := e.at.Prefix
		if prefix.IsSingleIP() {
			x.single[prefix.Addr()] = append(x.single[prefix.Addr()], e)
			continue
		}
		if len(x.network[prefix]) == 0 {
			if prefix.Addr().Is4() {
				x.lengths4 = append(x.lengths4, prefix.Bits())
			} else {
				x.lengths6 = append(x.lengths6, prefix.Bits())
			}
		}
		x.network[prefix] = append(x.network[prefix], e)
	}
	for _, lengths := range []*[]int{&x.lengths4, &x.lengths6} {
		slices.SortFunc(*lengths, func(a, b int) int { return b - a })
		*lengths = slices.Compact(*lengths)
	}
	x.group(s)
	for addr, entries := range x.single {
		x.single[addr] = mostSpecificFirst(entries)
	}
	for prefix, entries := range x.network {
		x.network[prefix] = mostSpecificFirst(entries)
	}
	return x
}

// mostSpecificFirst sorts entries of one address and leaves out those that an earlier one hides.
func mostSpecificFirst(entries []source) []source {
	slices.SortStableFunc(entries, func(a, b source) int { return cmp.Compare(b.specific(), a.specific()) })
	type narrow struct {
		port      uint16
		transport config.Transport
	}
	seen := map[narrow]bool{}
	return slices.DeleteFunc(entries, func(e source) bool {
		n := narrow{e.at.Port, e.at.Transport}
		hidden := seen[n]
		seen[n] = true
		return hidden
	})
}

// group numbers the principals so that those whose sources overlap, directly or through others, have one number.
func (x *sources) group(s *Snapshot) {
	trunkGroups, agentGroups := newGroups(len(s.Trunks)), newGroups(len(s.Agents))
	join := func(a, b Principal) {
		switch {
		case a.Trunk != nil && b.Trunk != nil:
			trunkGroups.join(a.Trunk.Index, b.Trunk.Index)
		case a.Agent != nil && b.Agent != nil:
			agentGroups.join(a.Agent.Index, b.Agent.Index)
		}
	}
	for a, b := range x.overlaps() {
		join(a.principal, b.principal)
	}
	for i, t := range s.Trunks {
		t.group = trunkGroups.of(i)
	}
	for i, a := range s.Agents {
		a.group = agentGroups.of(i)
	}
}

// overlaps yields pairs of entries that some request could come from both. Of many at one address not every pair is
// yielded, but a chain that holds them all together.
func (x *sources) overlaps() func(yield func(a, b *source) bool) {
	return func(yield func(a, b *source) bool) {
		for _, entries := range x.single {
			for i := range entries {
				if !eachOverlap(&entries[i], entries[i+1:], yield) || !x.around(&entries[i], yield) {
					return
				}
			}
		}
		for _, entries := range x.network {
			for i := range entries {
				if !eachOverlap(&entries[i], entries[i+1:], yield) || !x.around(&entries[i], yield) {
					return
				}
			}
		}
	}
}

// around yields e with the entries of every larger network around it.
func (x *sources) around(e *source, yield func(a, b *source) bool) bool {
	prefix, lengths := e.at.Prefix, x.lengths6
	if prefix.Addr().Is4() {
		lengths = x.lengths4
	}
	for _, bits := range lengths {
		if bits >= prefix.Bits() {
			continue
		}
		larger, err := prefix.Addr().Prefix(bits)
		if err != nil {
			return true
		}
		if !eachOverlap(e, x.network[larger], yield) {
			return false
		}
	}
	return true
}

// eachOverlap yields e with those of others that overlap it, up to and including the first that asks for nothing
// beyond the address: that one overlaps all the others itself.
func eachOverlap(e *source, others []source, yield func(a, b *source) bool) bool {
	for i := range others {
		o := &others[i]
		if !e.at.Overlaps(o.at) {
			continue
		}
		if !yield(e, o) {
			return false
		}
		if e.specific() == 0 && o.specific() == 0 && e.at.Prefix == o.at.Prefix {
			break
		}
	}
	return true
}

// groups is a union-find over small numbers.
type groups []int

func newGroups(n int) groups {
	g := make(groups, n)
	for i := range g {
		g[i] = i
	}
	return g
}

func (g groups) of(i int) int {
	for g[i] != i {
		g[i] = g[g[i]]
		i = g[i]
	}
	return i
}

func (g groups) join(i, j int) { g[g.of(i)] = g.of(j) }

// conflicts tells of addresses that both a trunk and an agent call from. config refuses them where they are written as
// addresses; these came out of names.
func (l sourceList) conflicts() []string {
	owner := map[netip.Prefix][]*source{}
	var sentences []string
	for i := range l {
		e := &l[i]
		if e.implied {
			continue
		}
		for _, o := range owner[e.at.Prefix] {
			if (o.principal.Trunk == nil) != (e.principal.Trunk == nil) && o.at.Overlaps(e.at) {
				sentences = append(sentences, fmt.Sprintf("%s (%s of %s) is also %s of %s; its calls are taken as those of the first",
					e.at, o.written, o.principal, e.written, e.principal))
				break
			}
		}
		owner[e.at.Prefix] = append(owner[e.at.Prefix], e)
	}
	return sentences
}
