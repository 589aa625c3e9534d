package sip

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"

	"trunkline/config"
	"trunkline/sip/resolve"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Binding is what a registrar holds of a trunk. Calls of the trunk follow it.
type Binding struct {
	Server netip.AddrPort // where it registered, one of the trunk's servers: calls go there first
	Seen   netip.AddrPort // our address as the registrar sees it, where it must be shown in place of our own; invalid: our own is shown
	// Routes are the values of Service-Route, preloaded as Route on calls (RFC 3608
	// §5), behind the trunk's outbound proxy if it has one.
	Routes []string
}

// binding is a Binding with what calls take from it.
type binding struct {
	Binding
	contact map[transport.Proto][]byte // our Contact value, where Seen is shown
	hop     netip.AddrPort             // where the first of Routes is; invalid: not known, or no other place than Server
}

// bindings are the places for the bindings of trunks, by name.
type bindings map[string]*atomic.Pointer[binding]

// bindingsOf makes room for the trunks that register. Those that did before keep
// what they have.
func bindingsOf(s *trunks.Snapshot, old bindings) bindings {
	all := bindings{}
	for _, t := range s.Trunks {
		if !t.Register {
			continue
		}
		if all[t.Name] = old[t.Name]; all[t.Name] == nil {
			all[t.Name] = new(atomic.Pointer[binding])
		}
	}
	return all
}

// Bound says what a trunk's registrar holds from now on; nil: nothing. Calls that
// run keep what they have. It does nothing for a trunk that does not register.
func (e *Edge) Bound(trunk string, b *Binding) {
	place := e.ways.Load().bindings[trunk]
	switch {
	case place == nil:
	case b == nil:
		place.Store(nil)
	default:
		held := &binding{Binding: *b}
		if b.Seen.IsValid() {
			text := b.Seen.String()
			held.contact = map[transport.Proto][]byte{}
			for p, value := range contactsOf(text) {
				held.contact[transport.Proto(p)] = value
			}
		}
		place.Store(held)
		e.findHop(trunk, place, held)
	}
}

// findHop completes a binding with the address of its first Route, looked up
// meanwhile if it is a name.
func (e *Edge) findHop(trunk string, place *atomic.Pointer[binding], b *binding) {
	t := e.snapshot.Load().Trunk(trunk)
	if len(b.Routes) == 0 || t == nil || t.OutboundProxy.Host != "" {
		return
	}
	u, ok := uriOf([]byte(b.Routes[0]))
	if !ok {
		return
	}
	complete := func(hop netip.AddrPort) {
		next := *b
		next.hop = hop
		place.CompareAndSwap(b, &next)
	}
	if hop, ok := numericHost(u); ok {
		complete(hop)
		return
	}
	if e.options.Resolver == nil {
		return
	}
	e.resolve(queryOf(u, t.Transport), func(answer resolve.Answer, err error) {
		if err == nil && len(answer.Targets) > 0 {
			complete(answer.Targets[0].Addr)
		}
	})
}

// queryOf asks for the host of a URI, to be reached over a transport that is given.
func queryOf(u wire.URI, t config.Transport) resolve.Query {
	return resolve.Query{Host: string(u.Host), Port: uint16(u.Port), Transport: t}
}

// uriOf reads the URI of a name-addr or addr-spec.
func uriOf(value []byte) (wire.URI, bool) {
	a, err := wire.ParseAddress(value)
	if err != nil {
		return wire.URI{}, false
	}
	u, err := wire.ParseURI(a.URI)
	return u, err == nil
}

// binding returns what a trunk's registrar holds; nil: nothing, or it does not register.
func (e *Edge) binding(t *trunks.Trunk) *binding {
	if t == nil || !t.Register {
		return nil
	}
	if place := e.ways.Load().bindings[t.Name]; place != nil {
		return place.Load()
	}
	return nil
}

// contactOf returns our Contact value for calls with a trunk on this flow: our
// address as its registrar sees it, where that is not the one we know.
func (e *Edge) contactOf(t *trunks.Trunk, f transport.Flow) []byte {
	if b := e.binding(t); b != nil {
		if value := b.contact[f.Proto]; value != nil {
			return value
		}
	}
	return e.contact(f)
}

// registered returns the index of the server where a trunk is registered, -1 if
// it is not or if that server is among tried.
func (e *Edge) registered(t *trunks.Trunk, tried uint64) int {
	b := e.binding(t)
	if b == nil {
		return -1
	}
	if i := slices.Index(t.Servers, b.Server); i >= 0 && i < 64 && tried&(1<<i) == 0 {
		return i
	}
	return -1
}

// Seen returns our address as the far end sees it, by the Via of its response to
// a request of ours on f (RFC 3581 §4), where that is what the far end must be
// shown: there is an address translation between us that no public address of the
// listener accounts for. On a stream only another host tells of one.
func (e *Edge) Seen(f transport.Flow, m *wire.Message) netip.AddrPort {
	l := &e.listeners[f.Socket]
	own := netip.AddrPortFrom(l.Local.Addr().WithZone(""), l.Local.Port())
	if l.SentBy != own.String() {
		return netip.AddrPort{}
	}
	host := own.Addr()
	if m.Via.Received != nil {
		text := bytes.TrimSuffix(bytes.TrimPrefix(m.Via.Received, []byte("[")), []byte("]"))
		a, err := netip.ParseAddr(string(text))
		if err != nil || a.Unmap().Is6() != host.Is6() || a.IsUnspecified() {
			return netip.AddrPort{}
		}
		host = a.Unmap()
	}
	port := own.Port()
	if m.Via.RPortValue != 0 && (f.Proto == transport.UDP || host != own.Addr()) {
		port = uint16(m.Via.RPortValue)
	}
	if seen := netip.AddrPortFrom(host, port); seen != own {
		return seen
	}
	return netip.AddrPort{}
}

// RegisterContact is our Contact value for REGISTER: contact, as Way returns it,
// with the trunk's token as user, at seen in place of our own address if that is valid.
func RegisterContact(t *trunks.Trunk, contact string, seen netip.AddrPort) string {
	u, ok := uriOf([]byte(contact))
	if !ok {
		return contact
	}
	hostPort := string(u.Host)
	if u.Port != 0 {
		hostPort += ":" + strconv.Itoa(u.Port)
	}
	if seen.IsValid() {
		hostPort = seen.String()
	}
	return fmt.Sprintf("<sip:%s@%s%s>", t.Token, hostPort, u.Params)
}
