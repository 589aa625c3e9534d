package media

import (
	"net/netip"
)

// path carries one stream: a port pair facing each party and the sockets on them. It lives until its line is refused
// for good or the bridge closes, and is never used again.
type path struct {
	sides      [2]end
	next, prev *path // the relay's list
}

// end is a path's half that faces one party.
type end struct {
	pool      *ports
	port      uint16 // even; 0 = not open
	rtp, rtcp *socket
}

// openAttempts bounds the search for a port that no other process holds.
const openAttempts = 16

// openPath takes ports and opens sockets towards both parties. begin are the routes they start with, by side. Without
// rtcp the odd ports stay closed.
func (r *Relay) openPath(local [2]netip.Addr, begin [2]route, rtcp bool) (*path, *Error) {
	r.opening.RLock()
	defer r.opening.RUnlock()
	if r.closed {
		return nil, errNoSockets
	}
	p := new(path)
	for side := range p.sides {
		p.sides[side].rtp = newSocket(begin[side], false)
		if rtcp {
			p.sides[side].rtcp = newSocket(begin[side], true)
		}
	}
	p.join()
	for side := range p.sides {
		if err := r.openEnd(&p.sides[side], local[side]); err != nil {
			r.closePath(p)
			return nil, err
		}
	}
	r.mu.Lock()
	p.next = r.paths
	if p.next != nil {
		p.next.prev = p
	}
	r.paths = p
	r.mu.Unlock()
	return p, nil
}

// replaceEnd gives one side of an open path new ports and sockets.
func (r *Relay) replaceEnd(p *path, side Side, local netip.Addr, begin route) *Error {
	r.opening.RLock()
	defer r.opening.RUnlock()
	if r.closed {
		return errNoSockets
	}
	fresh := end{rtp: newSocket(begin, false)}
	if p.sides[side.Other()].rtcp != nil {
		fresh.rtcp = newSocket(begin, true)
	}
	// The new sockets must know their opposites before they open, so that they land on the same poller.
	connect(fresh.rtp, p.sides[side.Other()].rtp)
	connect(fresh.rtcp, p.sides[side.Other()].rtcp)
	if err := r.openEnd(&fresh, local); err != nil {
		r.closeEnd(&fresh)
		return err
	}
	r.mu.Lock()
	old := p.sides[side]
	p.sides[side] = fresh
	p.join()
	r.gone.add(old.rtp)
	r.gone.add(old.rtcp)
	r.mu.Unlock()
	r.closeEnd(&old)
	return nil
}

func newSocket(begin route, control bool) *socket {
	s := &socket{control: control}
	s.route.Store(&begin)
	return s
}

// join makes each socket send by its opposite.
func (p *path) join() {
	connect(p.sides[Caller].rtp, p.sides[Callee].rtp)
	connect(p.sides[Callee].rtp, p.sides[Caller].rtp)
	connect(p.sides[Caller].rtcp, p.sides[Callee].rtcp)
	connect(p.sides[Callee].rtcp, p.sides[Caller].rtcp)
}

func connect(s, other *socket) {
	if s != nil {
		s.other.Store(other)
	}
}

// openEnd takes a port pair on the address and opens its sockets. A port held by another process goes to the end of
// the queue and the next one is tried.
func (r *Relay) openEnd(e *end, local netip.Addr) *Error {
	e.pool = r.pools.of(local)
	for range openAttempts {
		port, ok := e.pool.take(r.clock())
		if !ok {
			return errExhausted
		}
		e.rtp.local = netip.AddrPortFrom(local, port)
		if e.rtcp != nil {
			e.rtcp.local = netip.AddrPortFrom(local, port+1)
		}
		switch r.engine.open(e.rtp, e.rtcp) {
		case opened:
			e.port = port
			return nil
		case noAddress:
			e.pool.give(port, r.clock())
			return errNoLocal
		case noSockets:
			e.pool.give(port, r.clock())
			return errNoSockets
		}
		e.pool.give(port, r.clock())
	}
	return errExhausted
}

// closePath ends a path and gives its ports back.
func (r *Relay) closePath(p *path) {
	r.mu.Lock()
	if p.prev != nil {
		p.prev.next = p.next
	} else if r.paths == p {
		r.paths = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	}
	p.next, p.prev = nil, nil
	for side := range p.sides {
		r.gone.add(p.sides[side].rtp)
		r.gone.add(p.sides[side].rtcp)
	}
	r.mu.Unlock()
	for side := range p.sides {
		r.closeEnd(&p.sides[side])
	}
}

// closeRTCP ends the RTCP sockets of a path whose parties send RTCP on the RTP port. The odd ports stay taken with the even ones.
func (r *Relay) closeRTCP(p *path) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for side := range p.sides {
		if e := &p.sides[side]; e.rtcp != nil {
			r.gone.add(e.rtcp)
			r.engine.close(e.rtcp)
			e.rtcp = nil
		}
	}
}

// closeEnd closes the sockets and gives the port pair back.
func (r *Relay) closeEnd(e *end) {
	e.close(r.engine)
	if e.port != 0 {
		e.pool.give(e.port, r.clock())
		e.port = 0
	}
}

func (p *path) closeSockets(by engine) {
	for side := range p.sides {
		p.sides[side].close(by)
	}
}

func (e *end) close(by engine) {
	if e.rtp != nil {
		by.close(e.rtp)
	}
	if e.rtcp != nil {
		by.close(e.rtcp)
	}
}
