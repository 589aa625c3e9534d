package siptest

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"trunkline/sip/ladder"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// DefaultLatency is how long a message travels between the edge and an endpoint.
const DefaultLatency = time.Millisecond

// NetworkOptions describe the edge's side of a Network.
type NetworkOptions struct {
	Listeners []transport.Listener // what the edge listens on; at least one
	Shards    int                  // zero means one
}

// Network is the wire between an edge and any number of endpoints, in memory. It offers the edge what transport.Network does:
// Shards, Listeners and a Port for each shard. Inside a synctest bubble its time is the bubble's.
//
// Bytes handed out by a Port are overwritten at the next Receive, so that an edge that keeps them is found out.
// Methods may be called concurrently.
type Network struct {
	// Dispatch says which shard a message belongs to, as transport.Options.Dispatch. Nil, or an answer that is no shard: the
	// first. Set it before the edge runs.
	Dispatch func(b []byte) (shard int)

	// ToRelay carries an RTP packet to the edge's media relay, which may overwrite it; nil: there is none.
	ToRelay func(at, from netip.AddrPort, packet []byte)

	// Names is what host names of the configuration stand for.
	Names trunks.Names

	listeners []transport.Listener
	ports     []*port

	mu        sync.Mutex
	latency   time.Duration
	behind    time.Duration // what Backlog says a message has waited
	hosts     map[netip.AddrPort]*Endpoint
	endpoints []*Endpoint
	conns     map[uint64]*connection
	nextConn  uint64
	nextPort  uint16
	rules     []*rule
	log       []ladder.Message
	seen      map[string]bool // messages by direction, to mark what is sent again
	faults    []string
}

// connection is a TCP or TLS connection between the edge and an endpoint.
type connection struct {
	id            uint64
	flow          transport.Flow // as the edge sees it
	endpoint      *Endpoint
	dialledByEdge bool
}

// NewNetwork returns a network without endpoints.
func NewNetwork(o NetworkOptions) *Network {
	n := &Network{listeners: o.Listeners, latency: DefaultLatency, hosts: map[netip.AddrPort]*Endpoint{},
		conns: map[uint64]*connection{}, nextPort: 40000, seen: map[string]bool{}}
	for range max(o.Shards, 1) {
		n.ports = append(n.ports, &port{network: n, ready: make(chan struct{}, 1)})
	}
	return n
}

// Shards is the number of Ports.
func (n *Network) Shards() int { return len(n.ports) }

// Listeners are those of the options.
func (n *Network) Listeners() []transport.Listener { return n.listeners }

// Port is the door of one shard.
func (n *Network) Port(shard int) transport.Port { return n.ports[shard] }

// Close wakes every Port for good: Receive returns false at once and Send transport.ErrClosed.
func (n *Network) Close() {
	for _, p := range n.ports {
		n.mu.Lock()
		p.closed = true
		n.mu.Unlock()
		p.nudge()
	}
}

// Messages is what crossed the network so far, as the edge saw it, in order of time.
func (n *Network) Messages() []ladder.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	messages := slices.Clone(n.log)
	slices.SortStableFunc(messages, func(a, b ladder.Message) int { return a.Time.Compare(b.Time) })
	return messages
}

// remark puts a line of text between the messages.
func (n *Network) remark(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = append(n.log, ladder.Message{Time: time.Now(), Note: text})
}

// takeFaults returns and forgets what the edge did wrong on the wire.
func (n *Network) takeFaults() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	faults := n.faults
	n.faults = nil
	return faults
}

func (n *Network) setLatency(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency = d
}

// SetBehind has the edge find that each message has waited for d before it was received.
func (n *Network) SetBehind(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.behind = d
}

// rule is a fault of the network: the next messages that match are lost, doubled or held up.
type rule struct {
	endpoint *Endpoint
	toEdge   bool
	match    func(b []byte) bool
	left     int // how many messages it still applies to; negative: all
	lose     bool
	copies   int // besides the message itself
	delay    time.Duration
}

func (n *Network) addRule(r *rule) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rules = append(n.rules, r)
}

// apply finds the first rule for a message. Called with mu held.
func (n *Network) apply(e *Endpoint, toEdge bool, b []byte) *rule {
	for _, r := range n.rules {
		if r.endpoint == e && r.toEdge == toEdge && r.left != 0 && r.match(b) {
			r.left--
			return r
		}
	}
	return &rule{}
}

// record adds a message to the ladder. Called with mu held.
func (n *Network) record(from, to string, at time.Time, b []byte, lost bool, note string) {
	key := from + ">" + to + ">" + string(b)
	n.log = append(n.log, ladder.Message{Time: at, From: from, To: to, Line: firstLine(b), Note: note, Again: n.seen[key], Lost: lost})
	n.seen[key] = true
}

// firstLine is the request line, or the status line with the method it answers.
func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	line, _, _ = bytes.Cut(line, []byte("\n"))
	if rest, ok := bytes.CutPrefix(line, []byte("SIP/2.0 ")); ok {
		if m, err := parseMessage(b); err == nil {
			return m.first()
		}
		return string(rest)
	}
	return string(bytes.TrimSuffix(line, []byte(" SIP/2.0")))
}

// fromEdge carries b to whoever is at f.Remote or at the other end of f.Conn.
func (n *Network) fromEdge(p *port, f transport.Flow, b []byte, ref uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.closed {
		return transport.ErrClosed
	}
	if int(f.Socket) >= len(n.listeners) || (f.Conn == 0 && !f.Remote.IsValid()) {
		return transport.ErrNoSocket
	}
	local := n.listeners[f.Socket].Addr
	if f.Proto == transport.UDP {
		if n.listeners[f.Socket].Proto != transport.UDP || local.Addr().Is4() != f.Remote.Addr().Is4() {
			return transport.ErrNoSocket
		}
		if len(b) > 65507 {
			return transport.ErrTooBig
		}
		n.datagramFromEdge(p, f, local, b)
		return nil
	}
	c := n.conns[f.Conn]
	if c == nil {
		c = n.dial(f)
	}
	if c == nil {
		n.record("edge", n.nameOf(f.Remote), time.Now(), b, true, "refused")
		n.fail(p, transport.Packet{Flow: f, Err: syscall.ECONNREFUSED, Ref: ref})
		return nil
	}
	n.deliver(c.endpoint, Arrival{Bytes: bytes.Clone(b), From: c.flow.Local, To: c.flow.Remote, Conn: c.id, proto: f.Proto})
	return nil
}

func (n *Network) datagramFromEdge(p *port, f transport.Flow, local netip.AddrPort, b []byte) {
	e := n.hosts[f.Remote]
	switch {
	case e == nil:
		n.record("edge", n.nameOf(f.Remote), time.Now(), b, true, "")
		n.faults = append(n.faults, fmt.Sprintf("the edge sent %q to %s, where nobody is", firstLine(b), f.Remote))
	case e.mode == refusing:
		n.record("edge", e.Name, time.Now(), b, true, "refused")
		f.Local = local
		n.fail(p, transport.Packet{Flow: f, Bytes: bytes.Clone(b), Err: syscall.ECONNREFUSED})
	default:
		n.deliver(e, Arrival{Bytes: bytes.Clone(b), From: local, To: f.Remote, proto: transport.UDP})
	}
}

// dial reuses or opens a connection to f.Remote; nil when nobody answers there. Called with mu held.
func (n *Network) dial(f transport.Flow) *connection {
	for _, c := range n.conns {
		if c.dialledByEdge && c.flow.Proto == f.Proto && c.flow.Remote == f.Remote && c.flow.Peer == f.Peer {
			return c
		}
	}
	e := n.hosts[f.Remote]
	if e == nil || e.mode == refusing || e.mode == refusingStreams {
		return nil
	}
	f.Local = netip.AddrPortFrom(n.listeners[f.Socket].Addr.Addr(), n.ephemeral())
	return n.connect(f, e, true)
}

// connect makes a connection known. Called with mu held.
func (n *Network) connect(f transport.Flow, e *Endpoint, byEdge bool) *connection {
	n.nextConn++
	f.Conn = n.nextConn
	c := &connection{id: n.nextConn, flow: f, endpoint: e, dialledByEdge: byEdge}
	n.conns[c.id] = c
	return c
}

func (n *Network) ephemeral() uint16 { n.nextPort++; return n.nextPort }

func (n *Network) nameOf(a netip.AddrPort) string {
	if e := n.hosts[a]; e != nil {
		return e.Name
	}
	return a.String()
}

// deliver puts a message of the edge into an endpoint's queue, as far as the network lets it. Called with mu held.
func (n *Network) deliver(e *Endpoint, a Arrival) {
	r := n.apply(e, false, a.Bytes)
	lost := r.lose || e.mode == silent
	n.record("edge", e.Name, time.Now(), a.Bytes, lost, "")
	if lost {
		return
	}
	e.phone.edge.read(a.Bytes)
	a.At = time.Now().Add(n.latency + r.delay)
	for range 1 + r.copies {
		e.queue = insert(e.queue, a, func(x Arrival) time.Time { return x.At })
	}
	e.nudge()
}

// fail tells the shard that a message did not get through. Called with mu held.
func (n *Network) fail(p *port, packet transport.Packet) {
	p.put(packet, time.Now().Add(n.latency))
}

// toEdge carries b from an endpoint to the edge's listener at `to`.
func (n *Network) toEdge(e *Endpoint, f transport.Flow, b []byte) {
	r := n.apply(e, true, b)
	at := time.Now().Add(n.latency + r.delay)
	n.record(e.Name, "edge", at, b, r.lose, "")
	if r.lose {
		return
	}
	shard := 0
	if n.Dispatch != nil && len(n.ports) > 1 {
		if s := n.Dispatch(b); s >= 0 && s < len(n.ports) {
			shard = s
		}
	}
	for i := range 1 + r.copies {
		if i > 0 {
			n.record(e.Name, "edge", at, b, false, "")
		}
		n.ports[shard].put(transport.Packet{Flow: f, Bytes: bytes.Clone(b)}, at)
	}
}

// insert keeps a queue in order of time, first come first served within one instant.
func insert[T any](queue []T, item T, at func(T) time.Time) []T {
	i := len(queue)
	for i > 0 && at(queue[i-1]).After(at(item)) {
		i--
	}
	return slices.Insert(queue, i, item)
}
