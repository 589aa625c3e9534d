package media

import (
	"net/netip"
	"sync"
	"time"
)

// ports hands out the even RTP ports of one local address; the odd one above each is for its RTCP. RFC 3550 §11.
//
// Free ports stand in a queue: taken at the front, given back at the end. So the port that rested longest goes next
// and a late packet of the last call finds nobody, and none is used again before its quarantine has passed.
type ports struct {
	mu         sync.Mutex
	queue      []restingPort // a ring
	front      int
	free       int
	quarantine time.Duration
}

type restingPort struct {
	port   uint16
	usable time.Duration // when its quarantine ends, since the relay's start
}

// newPorts makes a pool of the pairs inside low–high. shuffle orders them so that the next port cannot be guessed; nil leaves them rising.
func newPorts(low, high int, quarantine time.Duration, shuffle func(n int, swap func(i, j int))) *ports {
	low += low & 1
	p := &ports{quarantine: quarantine}
	for port := low; port+1 <= high; port += 2 {
		p.queue = append(p.queue, restingPort{port: uint16(port)})
	}
	p.free = len(p.queue)
	if shuffle != nil {
		shuffle(p.free, func(i, j int) { p.queue[i], p.queue[j] = p.queue[j], p.queue[i] })
	}
	return p
}

// take returns an even port nobody uses; false = all are in use or in quarantine.
func (p *ports) take(now time.Duration) (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == 0 || p.queue[p.front].usable > now {
		return 0, false
	}
	port := p.queue[p.front].port
	p.front++
	if p.front == len(p.queue) {
		p.front = 0
	}
	p.free--
	return port, true
}

// give takes a port back; it rests until its quarantine is over.
func (p *ports) give(port uint16, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := p.front + p.free
	if end >= len(p.queue) {
		end -= len(p.queue)
	}
	p.queue[end] = restingPort{port: port, usable: now + p.quarantine}
	p.free++
}

// used returns how many pairs are taken, and how many there are.
func (p *ports) used() (inUse, limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) - p.free, len(p.queue)
}

// portPools are the pools of every local address met so far.
type portPools struct {
	mu    sync.RWMutex
	pools map[netip.Addr]*ports
	fresh func() *ports
}

func (p *portPools) of(local netip.Addr) *ports {
	p.mu.RLock()
	pool := p.pools[local]
	p.mu.RUnlock()
	if pool != nil {
		return pool
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if pool = p.pools[local]; pool == nil {
		pool = p.fresh()
		p.pools[local] = pool
	}
	return pool
}

// used sums the pools.
func (p *portPools) used() (inUse, limit int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, pool := range p.pools {
		used, size := pool.used()
		inUse, limit = inUse+used, limit+size
	}
	return inUse, limit
}
