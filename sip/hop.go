package sip

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"trunkline/config"
	"trunkline/media"
	"trunkline/sip/dialog"
	"trunkline/sip/resolve"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// hop is where a host that a Contact or Route names was found to be.
type hop struct {
	addrs []netip.AddrPort // in the order to try them; empty: it was not found
	until time.Time        // when to ask again
}

// How long what was found is kept by a shard, whatever the DNS says: the resolver
// keeps it as long as it may. What was not found is asked for again soon.
const (
	hopLasts   = time.Minute
	noHopLasts = 5 * time.Second
	maxHops    = 1024
)

// parked is a request, or an ACK, that waits until its hop is known. It is written
// already, so that those of one dialog keep their order.
type parked struct {
	query   resolve.Query
	flow    transport.Flow // without the address
	branch  []byte
	bytes   []byte
	request uint16 // serial of the pending request; 0: an ACK
}

// nextHop returns where a request inside a dialog goes: to the first route or the
// remote target (RFC 3261 §12.2.1.1). On a stream the connection of the dialog is
// used while it is open, and the address is dialled when it is not (RFC 5923). f is
// where the side's messages come from, and the last resort: behind a NAT it is the
// only way (RFC 5626 §5.3), and for an agent known by digest over UDP. When the hop is a name that must be looked up, query is
// what for.
func (s *shard) nextHop(now time.Time, at seat, d *dialog.Dialog) (to transport.Flow, query resolve.Query, known bool) {
	f := at.flow
	u, err := wire.ParseURI(d.NextHop())
	if err != nil || at.flowOnly && !f.Proto.Reliable() || isLoop(f) {
		return f, query, true
	}
	if addr, ok := numericHostNear(u, f.Remote.Addr()); ok {
		if addr.Addr().Is4() == f.Remote.Addr().Is4() && !behindNAT(addr.Addr(), f.Remote.Addr()) {
			f.Remote = addr
		}
		return f, query, true
	}
	if s.edge.options.Resolver == nil || len(u.Host) == 0 || at.flowOnly {
		return f, query, true
	}
	query = queryOf(u, transportOf(f.Proto))
	found, ok := s.hops[query]
	if !ok || !now.Before(found.until) {
		return f, query, false
	}
	f.Remote = s.chooseHop(now, f.Remote, found.addrs)
	return f, query, true
}

// behindNAT tells whether somebody whose messages come from an address outside says that it is at one inside its own network.
func behindNAT(says, comesFrom netip.Addr) bool {
	return says != comesFrom && media.Inside(says) && !media.Inside(comesFrom)
}

// chooseHop returns the first address of the family in use that has not failed
// lately, else the first, else where messages come from.
func (s *shard) chooseHop(now time.Time, from netip.AddrPort, addrs []netip.AddrPort) netip.AddrPort {
	best := from
	for _, a := range addrs {
		if a.Addr().Is4() != from.Addr().Is4() {
			continue
		}
		if !s.edge.rests.Resting(now, a) {
			return a
		}
		if best == from {
			best = a
		}
	}
	return best
}

// hopFailed has an address rest that a name stands for and that could not be reached
// by something no transaction repeats, as an ACK: the next copy goes elsewhere.
func (s *shard) hopFailed(now time.Time, addr netip.AddrPort) {
	for _, h := range s.hops {
		if slices.Contains(h.addrs, addr) {
			s.edge.rests.Failed(now, addr, 0)
			return
		}
	}
}

func transportOf(p transport.Proto) config.Transport {
	switch p {
	case transport.TCP:
		return config.TCP
	case transport.TLS:
		return config.TLSTransport
	}
	return config.UDP
}

// park keeps what was written until its hop is known, or what is parked before it
// has gone out.
func (c *session) park(p parked, known bool) {
	p.branch, p.bytes = bytes.Clone(p.branch), bytes.Clone(p.bytes)
	c.parked = append(c.parked, p)
	if !known {
		c.shard.lookUp(p.query, c.token(0))
	}
}

// lookUp asks for a host and wakes the call that waits for it.
func (s *shard) lookUp(q resolve.Query, token uint64) {
	waiting, asked := s.waiting[q]
	s.waiting[q] = append(waiting, token)
	if asked {
		return
	}
	s.edge.resolve(q, func(answer resolve.Answer, err error) {
		s.post(func(now time.Time) { s.lookedUp(now, q, answer, err) })
	})
}

// lookedUp keeps what was found and sends what waited for it.
func (s *shard) lookedUp(now time.Time, q resolve.Query, answer resolve.Answer, err error) {
	found := hop{until: now.Add(noHopLasts)}
	if err == nil {
		resolve.Order(answer.Targets, func(n uint64) uint64 { return s.random.Uint64() % n })
		for _, t := range answer.Targets {
			found.addrs = append(found.addrs, t.Addr)
		}
		found.until = now.Add(hopLasts)
	}
	if len(s.hops) >= maxHops {
		clear(s.hops)
	}
	s.hops[q] = found
	waiting := s.waiting[q]
	delete(s.waiting, q)
	for _, token := range waiting {
		if c, _ := s.owner(token); c != nil {
			c.unpark(now, false)
		}
	}
}

// unpark sends what waits, in order, up to the first whose hop is still looked up;
// last: also that, to where the side's messages come from.
func (c *session) unpark(now time.Time, last bool) {
	s := c.shard
	for len(c.parked) > 0 {
		p := c.parked[0]
		found, known := s.hops[p.query]
		if !known && !last && p.query != (resolve.Query{}) {
			return
		}
		c.parked = c.parked[1:]
		p.flow.Remote = s.chooseHop(now, p.flow.Remote, found.addrs)
		if p.request == 0 {
			if s.Send(p.flow, p.bytes, 0) != nil {
				s.count.drop(dropUnsent)
			}
			continue
		}
		if pending := c.request(p.request); pending != nil && !pending.done {
			c.launch(now, pending, p)
		}
	}
}

// launch starts the transaction of a request that is written.
func (c *session) launch(now time.Time, p *pending, w parked) {
	s := c.shard
	trunk := c.seatOf(p.side, p.fork).trunk
	p.hop = netip.AddrPort{}
	if w.query != (resolve.Query{}) {
		p.hop = w.flow.Remote
	}
	client, err := s.layer.Request(now, transaction.Request{
		Branch: w.branch, Method: wireMethod(p.method), Flow: w.flow, Bytes: w.bytes,
		User: clientUser{s}, Token: c.token(p.serial), Timers: s.timers(trunk),
	})
	p.client = client
	if err != nil {
		s.count.drop(dropUnsent)
		token := c.token(p.serial)
		s.post(func(now time.Time) {
			if c, serial := s.owner(token); c != nil {
				c.requestFailed(now, serial, transaction.TransportError)
			}
		})
	}
}

// elsewhere sends a request that could not be delivered to the next address of the
// host that its hop names, and reports whether there is one (RFC 3263 §4.3).
func (c *session) elsewhere(now time.Time, p *pending, f transaction.Failure) bool {
	s := c.shard
	if f != transaction.TransportError || !p.hop.IsValid() || p.tail == nil {
		return false
	}
	s.edge.rests.Failed(now, p.hop, 0)
	to, _, known := s.nextHop(now, c.seatOf(p.side, p.fork), c.dialogOf(p.side, p.fork))
	if !known || s.edge.rests.Resting(now, to.Remote) || to.Remote == p.hop {
		return false
	}
	c.send(now, p, p.tail, maxForwards)
	return true
}
