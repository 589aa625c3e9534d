package media

import (
	"net/netip"
	"sync"
	"time"
)

// noEngine opens no socket. It counts ports, and, where the options say where packets go, moves those that are put into it.
type noEngine struct {
	clock  func() time.Duration
	outlet func(from, to netip.AddrPort, packet []byte) // nil: nothing flows

	reading sync.Mutex // one packet at a time, as on a lane of any engine
	mu      sync.Mutex
	jacks   map[netip.AddrPort]*jack
}

func (*noEngine) lanes() int   { return 1 }
func (*noEngine) keeps() bool  { return false }
func (*noEngine) stop()        {}
func (*noEngine) threads() int { return 0 }

func (e *noEngine) open(_ int, p *pair) openResult {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.outlet != nil {
		e.jacks[p.rtp.local], e.jacks[p.rtcp.local] = &p.rtp, &p.rtcp
	}
	return opened
}

func (e *noEngine) close(p *pair) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.jacks, p.rtp.local)
	delete(e.jacks, p.rtcp.local)
}

func (e *noEngine) write(j *jack, to *route, packet []byte) bool {
	if e.outlet == nil {
		return false
	}
	e.outlet(j.local, to.dest, packet)
	return true
}

// Inject has the relay receive a packet at one of its ports, with [EngineNone] and Options.Outlet. The packet may be overwritten; it
// needs room for what SRTP adds.
func (r *Relay) Inject(at, from netip.AddrPort, packet []byte) {
	e, ok := r.engine.(*noEngine)
	if !ok {
		return
	}
	e.reading.Lock()
	defer e.reading.Unlock()
	e.mu.Lock()
	j := e.jacks[at]
	e.mu.Unlock()
	if j == nil {
		r.stray()
		return
	}
	user := j.user.Load()
	if user == nil {
		r.stray()
		return
	}
	if out, packet := user.take(packet, from, e.clock()); out != nil {
		e.write(user.other.Load().jack, out, packet)
	}
}
