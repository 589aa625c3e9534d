package sip

import (
	"bytes"
	"net/netip"
	"time"

	"trunkline/config"
	"trunkline/sip/admit"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// via is where a Route of an agent's INVITE asks the call to go, within one of the
// trunks of its number.
type via struct {
	trunk *trunks.Trunk
	route []byte // the Route value
	proto transport.Proto
	addr  netip.AddrPort
}

// foreignRoute returns the first Route value of the request at hand that does not
// name the edge; those that do are done with (RFC 3261 §16.4).
func (s *shard) foreignRoute() []byte {
	for v := range s.in.Values(wire.HRoute) {
		a, err := wire.ParseRoute(v)
		if err != nil {
			return v
		}
		if u, err := wire.ParseURI(a.URI); err != nil || !s.edge.isOurs(u) {
			return v
		}
	}
	return nil
}

// isOurs reports whether a URI names a listener of ours, by the address listened on
// or the one shown outside.
func (e *Edge) isOurs(u wire.URI) bool {
	port := u.Port
	if port == 0 {
		port = int(defaultPort(protoOfURI(u)))
	}
	addr, numeric := wire.HostAddr(u.Host)
	for i := range e.listeners {
		l := &e.listeners[i]
		shown, err := netip.ParseAddrPort(l.SentBy)
		switch {
		case !numeric:
		case int(l.Addr.Port()) == port && (l.Local.Addr() == addr || l.Addr.Addr() == addr):
			return true
		case err == nil && int(shown.Port()) == port && shown.Addr() == addr:
			return true
		}
	}
	return false
}

// routed looks at the Route of an agent's INVITE as sip.foreign_route says. It
// answers the INVITE and returns false when that leads nowhere.
func (s *shard) routed(now time.Time, server transaction.Server, f *found) bool {
	policy := s.edge.options.ForeignRoute
	if !s.in.Has(wire.HRoute) || policy == "" || policy == config.RouteIgnore {
		return true
	}
	route := s.foreignRoute()
	if route == nil {
		return true
	}
	if policy == config.RouteFollow && f.direction == trunks.OutboundCall {
		if f.refusal != nil {
			return true // it is refused for that
		}
		if v, ok := s.viaOf(route, f.route.Number.Routes); ok {
			f.via = v
			return true
		}
	}
	s.refuse(now, server, &admit.Rejection{Status: 403, Cause: "foreign_route"})
	return false
}

// viaOf finds the trunk that a Route leads to: only addresses that a trunk of the
// number calls from are followed, as with redirections.
func (s *shard) viaOf(route []byte, routes []*trunks.Trunk) (via, bool) {
	a, err := wire.ParseRoute(route)
	if err != nil {
		return via{}, false
	}
	u, err := wire.ParseURI(a.URI)
	if err != nil {
		return via{}, false
	}
	addr, ok := numericHost(u)
	if !ok {
		return via{}, false
	}
	proto := protoOfURI(u)
	found := s.edge.snapshot.Load().Source(proto.String(), addr)
	for _, t := range routes {
		if found.Trunk != nil && found.Trunk.Name == t.Name {
			return via{t, bytes.Clone(route), proto, addr}, true
		}
	}
	return via{}, false
}

// viaTarget is the first target of a call that follows a Route.
func (c *session) viaTarget(t target) target {
	t.route, t.proto, t.addr = c.via.route, c.via.proto, c.via.addr
	c.via, c.server = via{}, 0
	return t
}
