package sip

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"trunkline/sip/admit"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Gate is one thing that decides about a call before it is made: source, message, route. Target and limit say what it then
// goes to.
type Gate struct {
	Name   string
	Passed bool
	Why    string
}

// Explain says what would become of an INVITE that came from an address: the gates in order, up to the one that stops it. Nothing is
// sent or counted. text may have been pasted: line ends and the end of the header are mended.
func Explain(s *trunks.Snapshot, transport string, from netip.AddrPort, text []byte) (gates []Gate, taken bool) {
	pass := func(name, format string, args ...any) {
		gates = append(gates, Gate{name, true, fmt.Sprintf(format, args...)})
	}
	stop := func(name, format string, args ...any) ([]Gate, bool) {
		return append(gates, Gate{name, false, fmt.Sprintf(format, args...)}), false
	}
	principal := s.Source(transport, from)
	if !principal.Known() {
		return stop("source", "%s; the caller hears 403", s.Unknown(transport, from).Detail())
	}
	pass("source", "%s over %s is %s", from, transport, principal)
	var m wire.Message
	if err := m.Parse(mended(text)); err != nil {
		broken, ok := errors.AsType[*wire.Error](err)
		switch {
		case !ok:
			return stop("message", "%v", err)
		case broken.Status == 0:
			return stop("message", "%s (%s); it is dropped", broken.Reason, broken.Cause)
		}
		return stop("message", "%s (%s); the caller hears %d", broken.Reason, broken.Cause, broken.Status)
	}
	if r := admit.Initial(&m); r != nil {
		return stop("message", "%s; the caller hears %d", r.Cause, r.Status)
	}
	if m.Method != wire.INVITE {
		pass("message", "%s is answered by the edge itself", m.Method)
		return gates, true
	}
	pass("message", "valid")
	called, _ := admit.Numbers(&m, true)
	if principal.Trunk != nil {
		route, called, refusal := Inbound(s, principal.Trunk, &m)
		if refusal != nil {
			return stop("route", "%v", refusal)
		}
		pass("route", "%s is number %s of trunk %s: inbound to agent %s", called, route.Number.E164, route.Trunk.Name, route.Agent.Name)
		for _, d := range route.Agent.Destinations {
			pass("target", "%s (priority %d, weight %d)", d.URI, d.Priority, d.Weight)
		}
		return gates, true
	}
	route, refusal := Outbound(s, principal.Agent, &m)
	if refusal != nil {
		return stop("route", "%v", refusal)
	}
	for _, t := range route.Number.Routes {
		pass("route", "%s may use %s: outbound to %s over trunk %s", route.Agent.Name, route.Number.E164, called, t.Name)
		for _, a := range t.Servers {
			pass("target", "%s over %s", a, t.Transport)
		}
		if limit := t.CPSLimit; limit != nil {
			pass("limit", "%v calls per second, waiting up to %s", *limit, t.CPSWait.D())
		}
	}
	return gates, true
}

// mended is text with CRLF line ends and an ended header.
func mended(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	if !bytes.Contains(text, []byte("\n\n")) {
		text = append(bytes.TrimRight(text, "\n"), "\n\n"...)
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}
