package siptest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"trunkline/sip/transport"
)

// Endpoint is a host on a Network that is not the edge: it sends and receives whole messages and knows no SIP.
type Endpoint struct {
	Name  string // in ladders
	Proto transport.Proto
	Addr  netip.AddrPort // where it is reached, and for UDP where it sends from

	network *Network
	ready   chan struct{}

	// Guarded by network.mu.
	queue []Arrival
	mode  mode
	phone phone
}

// Arrival is a message of the edge at an endpoint.
type Arrival struct {
	Bytes []byte
	At    time.Time      // when it arrives
	From  netip.AddrPort // address of the edge it came from
	To    netip.AddrPort // address of the endpoint it was sent to
	Conn  uint64         // stream connection; zero for UDP

	proto transport.Proto
}

// mode is how an endpoint treats what is sent to it.
type mode int

const (
	listening mode = iota
	silent         // messages vanish
	refusing       // ICMP port unreachable, or connection refused
	refusingStreams
)

// Endpoint adds a host. The name must be new.
func (n *Network) Endpoint(name string, proto transport.Proto, addr netip.AddrPort) *Endpoint {
	e := &Endpoint{Name: name, Proto: proto, Addr: addr, network: n, ready: make(chan struct{}, 1)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[addr] = e
	n.endpoints = append(n.endpoints, e)
	return e
}

// listenAt makes the endpoint reachable at one more address.
func (e *Endpoint) listenAt(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	e.network.mu.Lock()
	defer e.network.mu.Unlock()
	if other := e.network.hosts[a]; other != nil && other != e {
		return fmt.Errorf("%s is at %s already", other.Name, a)
	}
	e.network.hosts[a] = e
	return nil
}

// errUnreachable: there is no listener of the edge at that address for that protocol.
var errUnreachable = errors.New("the edge does not listen there")

// Send sends b from the endpoint's address to a listener of the edge.
func (e *Endpoint) Send(to netip.AddrPort, b []byte) error {
	_, err := e.send(route{proto: e.Proto, from: e.Addr, to: to}, b)
	return err
}

// route is a path from an endpoint to the edge.
type route struct {
	proto    transport.Proto
	from, to netip.AddrPort
	conn     uint64 // connection to use while it is open; zero: any, or a new one
}

// send carries b along r and returns the route taken, with the connection.
func (e *Endpoint) send(r route, b []byte) (route, error) {
	n := e.network
	n.mu.Lock()
	defer n.mu.Unlock()
	e.phone.own.read(b)
	if r.from != e.Addr && n.hosts[r.from] == nil {
		n.hosts[r.from] = e // answers to it come back here
	}
	if r.proto == transport.UDP {
		socket, ok := n.listener(transport.UDP, r.to)
		if !ok {
			return r, fmt.Errorf("udp %s: %w", r.to, errUnreachable)
		}
		n.toEdge(e, transport.Flow{Proto: transport.UDP, Socket: socket, Local: n.listeners[socket].Addr, Remote: r.from}, b)
		return r, nil
	}
	c := n.conns[r.conn]
	if c == nil {
		c = n.connectionFrom(e, r)
	}
	if c == nil {
		return r, fmt.Errorf("%s %s: %w", r.proto, r.to, errUnreachable)
	}
	n.toEdge(e, c.flow, b)
	r.conn = c.id
	return r, nil
}

// connectionFrom reuses or opens a connection from e to the edge. Called with mu held.
func (n *Network) connectionFrom(e *Endpoint, r route) *connection {
	for _, c := range n.conns {
		if c.endpoint == e && !c.dialledByEdge && c.flow.Proto == r.proto && c.flow.Local == r.to {
			return c
		}
	}
	socket, ok := n.listener(r.proto, r.to)
	if !ok {
		return nil
	}
	remote := netip.AddrPortFrom(r.from.Addr(), n.ephemeral())
	return n.connect(transport.Flow{Proto: r.proto, Socket: socket, Local: r.to, Remote: remote}, e, false)
}

// listener finds the edge's listener at an address, bound or advertised. Called with mu held.
func (n *Network) listener(proto transport.Proto, at netip.AddrPort) (uint16, bool) {
	for i, l := range n.listeners {
		if l.Proto == proto && (l.Addr == at || l.SentBy == at.String()) {
			return uint16(i), true
		}
	}
	return 0, false
}

// breakConnections closes every stream connection of e; the shards that may have used one are told with transport.ErrLost.
func (e *Endpoint) breakConnections() {
	n := e.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, c := range n.conns {
		if c.endpoint != e {
			continue
		}
		delete(n.conns, id)
		for _, p := range n.ports {
			n.fail(p, transport.Packet{Flow: c.flow, Err: transport.ErrLost})
		}
	}
}

// Refuse makes the host answer what is sent to it with ICMP port unreachable, and connections with a refusal.
func (e *Endpoint) Refuse() { e.setMode(refusing) }

func (e *Endpoint) setMode(m mode) {
	e.network.mu.Lock()
	defer e.network.mu.Unlock()
	e.mode = m
}

// Receive waits up to wait for the next message; false when there was none.
func (e *Endpoint) Receive(wait time.Duration) (Arrival, bool) {
	return e.receive(wait, func(Arrival) bool { return true })
}

// receive waits for the first message that is wanted and leaves the others in the queue.
func (e *Endpoint) receive(wait time.Duration, wanted func(Arrival) bool) (Arrival, bool) {
	deadline := time.Now().Add(wait)
	for {
		now := time.Now()
		a, next, ok := e.take(now, wanted)
		if ok {
			return a, true
		}
		if !now.Before(deadline) {
			return Arrival{}, false
		}
		if next.IsZero() || next.After(deadline) {
			next = deadline
		}
		timer := time.NewTimer(next.Sub(now))
		select {
		case <-e.ready:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (e *Endpoint) take(now time.Time, wanted func(Arrival) bool) (a Arrival, next time.Time, ok bool) {
	e.network.mu.Lock()
	defer e.network.mu.Unlock()
	for i, a := range e.queue {
		if a.At.After(now) {
			return Arrival{}, a.At, false
		}
		if wanted(a) {
			e.queue = append(e.queue[:i:i], e.queue[i+1:]...)
			return a, next, true
		}
	}
	return Arrival{}, next, false
}

// pending returns copies of what has arrived and was not taken.
func (e *Endpoint) pending(now time.Time) []Arrival {
	e.network.mu.Lock()
	defer e.network.mu.Unlock()
	var arrived []Arrival
	for _, a := range e.queue {
		if !a.At.After(now) {
			a.Bytes = bytes.Clone(a.Bytes)
			arrived = append(arrived, a)
		}
	}
	return arrived
}

func (e *Endpoint) nudge() {
	select {
	case e.ready <- struct{}{}:
	default:
	}
}
