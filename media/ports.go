package media

import (
	"net/netip"
	"sync"
	"time"
)

// ports hands out the even RTP ports of one local address on one lane; the odd one above each is for its RTCP. RFC 3550 §11.
//
// Free ports stand in two queues: warm ones, whose sockets are still open, and cold ones. A warm one that has rested
// for the quarantine goes first, else the longest-closed cold one; only when ports run short a warm one may go after
// the least rest. So late packets of a call find nobody, and a quiet edge keeps few sockets open. A busy one uses all that are
// warm in turn: what a busier moment has opened would be used for ever, so part of it is closed when every pair that was taken
// for a while had rested for longer than it must.
type ports struct {
	quarantine time.Duration
	least      time.Duration // rest that is always kept

	mu    sync.Mutex
	warm  ring[*pair]
	cold  ring[cold]
	total int

	began   time.Duration // of the time that spare looks at
	spare   time.Duration // shortest rest beyond the quarantine of a pair taken in it; noneTaken: none was
	surplus int           // warm pairs to be closed, as the time before has shown
}

const noneTaken = time.Duration(1<<63 - 1)

// cold is a port without sockets.
type cold struct {
	port   uint16
	usable time.Duration // since the relay's start
}

// take returns a pair nobody uses, its jacks open or not; nil = all are in use or too fresh.
func (p *ports) take(now time.Duration) *pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := time.Duration(0)
	if p.warm.count > 0 {
		rest = now - p.warm.peek().since
	}
	p.spare = min(p.spare, max(rest-p.quarantine, 0))
	switch {
	case p.warm.count > 0 && rest >= p.quarantine:
		return p.warm.pop()
	case p.cold.count > 0 && p.cold.peek().usable <= now:
		return &pair{port: p.cold.pop().port}
	case p.warm.count > 0 && rest >= p.least:
		return p.warm.pop()
	}
	return nil
}

// takeWarm returns a rested pair whose jacks are open already; nil = there is none.
func (p *ports) takeWarm(now time.Duration) *pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.warm.count == 0 || now-p.warm.peek().since < p.least {
		return nil
	}
	return p.warm.pop()
}

// give takes a pair back. If its jacks are open they stay so until trim finds them.
func (p *ports) give(back *pair, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if back.open {
		back.since = now
		p.warm.push(back)
	} else {
		p.cold.push(cold{back.port, now + p.least})
	}
}

// trim takes out a warm pair that nobody wanted for so long, or that there was no need for in that time; nil = there is none. Its jacks
// must be closed and it must be given back.
func (p *ports) trim(now, keep time.Duration) *pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now-p.began >= keep {
		p.surplus = 0
		if p.spare > 0 && p.spare != noneTaken { // without these every pair would still have had its quarantine; half of them, to be careful
			p.surplus = int(float64(p.warm.count) * float64(p.spare) / float64(p.spare+p.quarantine) / 2)
		}
		p.began, p.spare = now, noneTaken
	}
	if p.warm.count == 0 {
		return nil
	}
	if rest := now - p.warm.peek().since; rest < keep {
		if p.surplus == 0 || rest < p.least {
			return nil
		}
		p.surplus--
	}
	return p.warm.pop()
}

// free returns how many pairs are not in use, and how many there are.
func (p *ports) free() (free, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.warm.count + p.cold.count, p.total
}

// portPools are the ports of every local address met so far, shared out among the engine's lanes.
type portPools struct {
	low, high  int
	quarantine time.Duration
	least      time.Duration
	lanes      int
	shuffle    func(n int, swap func(i, j int)) // so that the next port cannot be guessed; nil = they rise

	mu    sync.RWMutex
	pools map[netip.Addr][]*ports // by lane
}

// of returns the pools of an address, by lane.
func (p *portPools) of(local netip.Addr) []*ports {
	p.mu.RLock()
	lanes := p.pools[local]
	p.mu.RUnlock()
	if lanes != nil {
		return lanes
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if lanes = p.pools[local]; lanes == nil {
		lanes = p.share()
		p.pools[local] = lanes
	}
	return lanes
}

// share deals the even ports out.
func (p *portPools) share() []*ports {
	var even []uint16
	for port := p.low + p.low&1; port+1 <= p.high; port += 2 {
		even = append(even, uint16(port))
	}
	if p.shuffle != nil {
		p.shuffle(len(even), func(i, j int) { even[i], even[j] = even[j], even[i] })
	}
	lanes := make([]*ports, p.lanes)
	for i := range lanes {
		lanes[i] = &ports{quarantine: p.quarantine, least: p.least}
	}
	for i, port := range even {
		lane := lanes[i%p.lanes]
		lane.cold.push(cold{port: port})
		lane.total++
	}
	return lanes
}

// on calls visit with every pool of a lane.
func (p *portPools) on(lane int, visit func(*ports)) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, lanes := range p.pools {
		visit(lanes[lane])
	}
}

// used sums the pools: pairs taken, and pairs there are.
func (p *portPools) used() (inUse, limit int) {
	for lane := range p.lanes {
		p.on(lane, func(pool *ports) {
			free, total := pool.free()
			inUse, limit = inUse+total-free, limit+total
		})
	}
	return inUse, limit
}
