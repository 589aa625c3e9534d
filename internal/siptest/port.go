package siptest

import (
	"bytes"
	"time"

	"trunkline/sip/transport"
)

// port is the in-memory transport.Port of one shard.
type port struct {
	network *Network
	ready   chan struct{} // holds one token when something changed

	// Guarded by network.mu.
	queue  []timed
	woken  bool
	closed bool

	last []byte // handed out by the Receive before; owned by the shard
}

type timed struct {
	packet transport.Packet
	at     time.Time
}

// poison is what a shard finds in the bytes of a packet it should have forgotten.
const poison = 0xDB

// Receive implements transport.Port.
func (p *port) Receive(wait time.Duration) (transport.Packet, bool) {
	for i := range p.last {
		p.last[i] = poison
	}
	p.last = nil
	deadline := time.Now().Add(wait)
	for {
		now := time.Now()
		packet, next, state := p.take(now)
		switch {
		case state == taken:
			p.last = packet.Bytes
			return packet, true
		case state == interrupted || !now.Before(deadline):
			return transport.Packet{}, false
		case next.IsZero() || next.After(deadline):
			next = deadline
		}
		timer := time.NewTimer(next.Sub(now))
		select {
		case <-p.ready:
		case <-timer.C:
		}
		timer.Stop()
	}
}

type state int

const (
	empty state = iota
	taken
	interrupted
)

// take returns the first packet that has arrived, or when the next one will.
func (p *port) take(now time.Time) (packet transport.Packet, next time.Time, s state) {
	p.network.mu.Lock()
	defer p.network.mu.Unlock()
	switch {
	case p.closed:
		return packet, next, interrupted
	case len(p.queue) > 0 && !p.queue[0].at.After(now):
		packet = p.queue[0].packet
		p.queue = p.queue[1:]
		return packet, next, taken
	case p.woken:
		p.woken = false
		return packet, next, interrupted
	case len(p.queue) > 0:
		next = p.queue[0].at
	}
	return packet, next, empty
}

// put queues a packet. Called with network.mu held.
func (p *port) put(packet transport.Packet, at time.Time) {
	p.queue = insert(p.queue, timed{packet, at}, func(t timed) time.Time { return t.at })
	p.nudge()
}

func (p *port) nudge() {
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// Send implements transport.Port.
func (p *port) Send(f transport.Flow, b []byte, ref uint64) error {
	return p.network.fromEdge(p, f, b, ref)
}

// Wake implements transport.Port.
func (p *port) Wake() {
	p.network.mu.Lock()
	p.woken = true
	p.network.mu.Unlock()
	p.nudge()
}

// Forward implements transport.Port.
func (p *port) Forward(shard int, packet transport.Packet) {
	p.network.mu.Lock()
	defer p.network.mu.Unlock()
	packet.Bytes = bytes.Clone(packet.Bytes)
	p.network.ports[shard].put(packet, time.Now())
}

// Backlog implements transport.Port.
func (p *port) Backlog() transport.Backlog {
	p.network.mu.Lock()
	defer p.network.mu.Unlock()
	return transport.Backlog{Waited: p.network.behind}
}

// Now implements transport.Port.
func (p *port) Now() time.Time { return time.Now() }
