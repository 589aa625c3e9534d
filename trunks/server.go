package trunks

import (
	"cmp"
	"net/netip"

	"trunkline/config"
)

// Host is a name that must be resolved before Build.
type Host struct {
	Name      string
	Transport config.Transport // of a next hop without a port, so that SRV applies (RFC 3263 §4.2); empty: its addresses are wanted
}

func (h Host) compare(o Host) int {
	return cmp.Or(cmp.Compare(h.Name, o.Name), cmp.Compare(h.Transport, o.Transport))
}

// Server is one place that a Host stands for.
type Server struct {
	Addr     netip.AddrPort // port 0: none is known, the transport's default
	Priority uint32         // lower is tried first
	Weight   uint16         // share of the first tries among records of one priority; 0: only when no other is left
	Record   uint16         // servers of one priority and record are addresses of one host: tried in their order
}

// Names holds the servers of each Host, by Priority and then Record.
type Names map[Host][]Server

// Choose returns the index in t.Servers of the one to try next, -1 when none is left. tried has bit i set for each
// server not to be taken; random is any number, evenly spread. The lowest priority wins; among equals the chance follows the
// weight of SRV (RFC 2782). Servers beyond the 64th are not taken. It does not allocate.
func (t *Trunk) Choose(tried, random uint64) int { return chooseServer(t.servers, tried, random) }

// Choose returns the index in d.Addrs of the one to try next, as Trunk.Choose does.
func (d *Destination) Choose(tried, random uint64) int { return chooseServer(d.servers, tried, random) }

// Better marks the servers that are to be preferred to server i: of a lower priority number, or earlier addresses of the same
// host. Servers of one priority that share the load are as good as each other.
func (t *Trunk) Better(i int) (better uint64) {
	at := t.servers[i]
	for j, s := range t.servers[:min(len(t.servers), 64)] {
		if s.Priority < at.Priority || s.Priority == at.Priority && s.Record == at.Record && j < i {
			better |= 1 << j
		}
	}
	return better
}

func chooseServer(servers []Server, tried, random uint64) int {
	servers = servers[:min(len(servers), 64)]
	best, sum, count := -1, uint64(0), uint64(0)
	for i := next(servers, tried, 0); i >= 0 && (best < 0 || servers[i].Priority == servers[best].Priority); i = nextRecord(servers, tried, i) {
		if best < 0 {
			best = i
		}
		sum += uint64(servers[i].Weight)
		count++
	}
	if count <= 1 {
		return best
	}
	equal := sum == 0
	if equal {
		sum = count
	}
	share := random % sum
	for i := best; i >= 0; i = nextRecord(servers, tried, i) {
		weight := uint64(servers[i].Weight)
		if equal {
			weight = 1
		}
		if share < weight {
			return i
		}
		share -= weight
	}
	return best
}

// next is the first server from i on that is not tried, or -1.
func next(servers []Server, tried uint64, i int) int {
	for ; i < len(servers); i++ {
		if tried&(1<<i) == 0 {
			return i
		}
	}
	return -1
}

// nextRecord is the first server not tried of a record after that of server i, or -1.
func nextRecord(servers []Server, tried uint64, i int) int {
	after := i + 1
	for after < len(servers) && servers[after].Priority == servers[i].Priority && servers[after].Record == servers[i].Record {
		after++
	}
	return next(servers, tried, after)
}

// serversOf returns the servers of a next hop, each with its port or the transport's default one (RFC 3261 §19.1.2), and the
// addresses alone.
func (b *builder) serversOf(hop config.HostPort, transport config.Transport) ([]Server, []netip.AddrPort) {
	port := hop.Port
	if port == 0 {
		port = 5060
		if transport == config.TLSTransport {
			port = 5061
		}
	}
	if a, err := netip.ParseAddr(hop.Host); err == nil {
		addr := netip.AddrPortFrom(a.Unmap(), port)
		return []Server{{Addr: addr}}, []netip.AddrPort{addr}
	}
	found := b.names[hostOf(hop, transport)]
	servers, addrs := make([]Server, len(found)), make([]netip.AddrPort, len(found))
	for i, s := range found {
		at := s.Addr.Port()
		if hop.Port != 0 || at == 0 {
			at = port
		}
		s.Addr = netip.AddrPortFrom(s.Addr.Addr().Unmap(), at)
		servers[i], addrs[i] = s, s.Addr
	}
	if len(found) == 0 {
		b.unresolved[hop.Host] = true
	}
	return servers, addrs
}

// hostOf is what must be known of a next hop that is a name.
func hostOf(hop config.HostPort, transport config.Transport) Host {
	if hop.Port != 0 {
		transport = ""
	}
	return Host{hop.Host, transport}
}
