package sip

import (
	"net/netip"

	"trunkline/sip/admit"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Inbound finds the route of an INVITE that came over proto from an address where
// from's calls come from, and the called number, a raw user part that points into m. A Request-URI
// whose user is a trunk's token names the registration the call was sent to, and
// so the trunk; the number then stands in P-Called-Party-ID or To (SIPconnect 2.0
// §6.2, RFC 6140 §5.1). Else it stands in the Request-URI, or in To when that has
// no user.
func Inbound(s *trunks.Snapshot, from *trunks.Trunk, proto string, at netip.AddrPort, m *wire.Message) (trunks.Route, []byte, *trunks.Refusal) {
	route, called, refusal := inboundRoute(s, from, m)
	if refusal == nil && route.Trunk != from && !route.Trunk.CallsFrom(proto, at) {
		return trunks.Route{}, called, s.Foreign(from, route.Number, called)
	}
	return route, called, refusal
}

func inboundRoute(s *trunks.Snapshot, from *trunks.Trunk, m *wire.Message) (trunks.Route, []byte, *trunks.Refusal) {
	user := admit.User(m.URI)
	on := s.Registered(from, user)
	if on == nil && len(user) > 0 && s.Token(user) == nil {
		route, refusal := s.Inbound(from, user)
		return route, user, refusal
	}
	var route trunks.Route
	var called []byte
	var refusal *trunks.Refusal
	for _, dialled := range admit.Dialled(m) {
		if len(dialled) == 0 && called != nil {
			continue
		}
		called = dialled
		if on != nil {
			route, called, refusal = s.InboundOn(on, called)
		} else {
			route, refusal = s.Inbound(from, called)
		}
		if refusal == nil {
			break
		}
	}
	return route, called, refusal
}
