package media

import "net/netip"

// path carries one stream: a port pair facing each party and the plugs in them. It lives until its line is refused
// for good or the bridge closes, and is never used again.
type path struct {
	lane       int
	sides      [2]end
	plugs      [2][2]plug // those it begins with: by side, RTP and RTCP
	next, prev *path      // the relay's list
}

// end is a path's half that faces one party.
type end struct {
	pool      *ports
	pair      *pair // nil = given back
	rtp, rtcp *plug // rtcp is nil where RTCP has no port of its own
}

// openAttempts bounds the search for a port that no other process holds.
const openAttempts = 16

// openPath takes ports towards both parties and makes packets flow as soon as their addresses are known. begin are the
// routes they start with, by side. Without rtcp the odd ports stay unused.
func (r *Relay) openPath(local [2]netip.Addr, begin [2]*route, rtcp bool) (*path, *Error) {
	r.opening.RLock()
	defer r.opening.RUnlock()
	if r.closed {
		return nil, errNoSockets
	}
	p := new(path)
	for side := range p.sides {
		p.sides[side].rtp = p.plugs[side][0].begin(begin[side], false)
		if rtcp {
			p.sides[side].rtcp = p.plugs[side][1].begin(begin[side], true)
		}
	}
	p.join()
	pools := [2][]*ports{r.pools.of(local[Caller]), r.pools.of(local[Callee])}
	if err := r.takePairs(p, pools, local); err != nil {
		return nil, err
	}
	for side := range p.sides {
		p.sides[side].plugIn()
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

// takePairs takes a pair for each side on one lane: the one with the most free ports, so that calls spread evenly over the
// threads, or any other where both sides find one.
func (r *Relay) takePairs(p *path, pools [2][]*ports, local [2]netip.Addr) (err *Error) {
	first := freest(pools[Caller])
	for i := range pools[Caller] {
		p.lane = (first + i) % len(pools[Caller])
		for side := range p.sides {
			if err = r.takePair(&p.sides[side], p.lane, pools[side][p.lane], local[side]); err != nil {
				r.giveBack(&p.sides[Caller])
				break
			}
		}
		if err != errExhausted {
			return err
		}
	}
	return err
}

// freest returns the lane with the most free ports.
func freest(lanes []*ports) int {
	if len(lanes) == 1 {
		return 0
	}
	best, most := 0, -1
	for lane, pool := range lanes {
		if free, _ := pool.free(); free > most {
			best, most = lane, free
		}
	}
	return best
}

// replaceEnd gives one side of an open path another port pair and fresh plugs.
func (r *Relay) replaceEnd(p *path, side Side, local netip.Addr, begin *route) *Error {
	r.opening.RLock()
	defer r.opening.RUnlock()
	if r.closed {
		return errNoSockets
	}
	fresh := end{rtp: new(plug).begin(begin, false)}
	if p.sides[side].rtcp != nil {
		fresh.rtcp = new(plug).begin(begin, true)
	}
	if err := r.takePair(&fresh, p.lane, r.pools.of(local)[p.lane], local); err != nil {
		return err
	}
	r.mu.Lock()
	old := p.sides[side]
	p.sides[side] = fresh
	r.gone.add(old.rtp)
	r.gone.add(old.rtcp)
	r.mu.Unlock()
	p.join()
	fresh.plugIn()
	r.giveBack(&old)
	return nil
}

// join makes each plug send by its opposite.
func (p *path) join() {
	caller, callee := &p.sides[Caller], &p.sides[Callee]
	caller.rtp.other.Store(callee.rtp)
	callee.rtp.other.Store(caller.rtp)
	if caller.rtcp != nil && callee.rtcp != nil {
		caller.rtcp.other.Store(callee.rtcp)
		callee.rtcp.other.Store(caller.rtcp)
	}
}

func (e *end) plugIn() { e.pair.plugIn(e.rtp, e.rtcp) }

// takePair takes a port pair on the address and sees that its sockets are open. A port held by another process goes to the
// end of the queue and the next one is tried.
func (r *Relay) takePair(e *end, lane int, pool *ports, local netip.Addr) *Error {
	e.pool = pool
	for range openAttempts {
		p := pool.take(r.clock())
		if p == nil {
			return errExhausted
		}
		if !p.open {
			p.rtp.local = netip.AddrPortFrom(local, p.port)
			p.rtcp.local = netip.AddrPortFrom(local, p.port+1)
			if result := r.engine.open(lane, p); result != opened {
				pool.give(p, r.clock())
				switch result {
				case noAddress:
					return errNoLocal
				case portTaken:
					continue
				}
				if p = pool.takeWarm(r.clock()); p == nil {
					return errNoSockets
				}
			}
			p.open = true
		}
		e.pair, e.rtp.jack = p, &p.rtp
		if e.rtcp != nil {
			e.rtcp.jack = &p.rtcp
		}
		return nil
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
		r.giveBack(&p.sides[side])
	}
}

// dropRTCP ends the use of the odd ports of a path whose parties send RTCP to the even ones. They stay taken with those.
func (r *Relay) dropRTCP(p *path) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for side := range p.sides {
		if e := &p.sides[side]; e.rtcp != nil {
			r.gone.add(e.rtcp)
			e.pair.rtcp.user.Store(nil)
			e.pair.rtcp.loosen()
			e.rtcp = nil
		}
	}
}

// giveBack ends the use of a port pair.
func (r *Relay) giveBack(e *end) {
	if e.pair == nil {
		return
	}
	e.pair.pullOut()
	if e.pair.open && !r.engine.keeps() {
		r.engine.close(e.pair)
		e.pair.open = false
	}
	e.pool.give(e.pair, r.clock())
	e.pair = nil
}

// trim closes the sockets on a lane that no call has wanted for a while, at most some at a time. The lane's reader calls it.
func (r *Relay) trim(lane int) {
	now := r.clock()
	r.pools.on(lane, func(pool *ports) {
		for range 64 {
			p := pool.trim(now, r.options.Keep)
			if p == nil {
				return
			}
			r.engine.close(p)
			pool.give(&pair{port: p.port}, now)
		}
	})
}
