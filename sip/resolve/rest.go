package resolve

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// How long a target that failed is left alone.
const (
	firstRest   = 30 * time.Second
	longestRest = 5 * time.Minute
	longestWish = time.Hour // of a Retry-After
)

// Rest is what is known of a target's failures. The zero Rest is a target without any.
type Rest struct {
	Failures uint8     // in a row
	Until    time.Time // left alone until then
}

// Failed returns r after one more failure at now. A target that said how long it wants to be left alone (Retry-After of a
// 503, RFC 3261 §21.5.4) is, up to an hour; else it rests 30 s, twice as long after each further failure, up to 5 min. A failure while it
// rests is of a request sent before, and does not lengthen the rest.
func (r Rest) Failed(now time.Time, retryAfter time.Duration) Rest {
	if retryAfter > 0 {
		if until := now.Add(min(retryAfter, longestWish)); until.After(r.Until) {
			r.Until = until
		}
		return r
	}
	if r.Resting(now) {
		return r
	}
	rest := firstRest
	for range r.Failures {
		if rest *= 2; rest >= longestRest {
			rest = longestRest
			break
		}
	}
	r.Until = now.Add(rest)
	r.Failures = min(r.Failures+1, 100)
	return r
}

// Resting reports whether the target is to be tried only after those that do not rest.
func (r Rest) Resting(now time.Time) bool { return now.Before(r.Until) }

// forgotten reports whether r says nothing any more: it worked, or its last failure is long ago.
func (r Rest) forgotten(now time.Time) bool { return !now.Before(r.Until.Add(longestRest)) }

// Rests remembers the failures of targets, by address. It holds at most 4,096; above that the failure of one more is not
// remembered. Its methods may be called concurrently; while no target has failed lately they take no lock. The zero Rests is ready.
type Rests struct {
	known atomic.Int32 // len(rests)

	mu    sync.Mutex
	rests map[netip.AddrPort]Rest
}

const maxRests = 4096

// Resting reports whether target is to be tried only after others.
func (m *Rests) Resting(now time.Time, target netip.AddrPort) bool {
	if m.known.Load() == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rests[target].Resting(now)
}

// Failed notes that target failed; retryAfter is what it asked for, or 0.
func (m *Rests) Failed(now time.Time, target netip.AddrPort, retryAfter time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rests == nil {
		m.rests = map[netip.AddrPort]Rest{}
	}
	if len(m.rests) >= maxRests {
		for other, r := range m.rests {
			if r.forgotten(now) {
				delete(m.rests, other)
			}
		}
		if len(m.rests) >= maxRests {
			return
		}
	}
	m.rests[target] = m.rests[target].Failed(now, retryAfter)
	m.known.Store(int32(len(m.rests)))
}

// Worked forgets the failures of target: it has answered.
func (m *Rests) Worked(target netip.AddrPort) {
	if m.known.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rests, target)
	m.known.Store(int32(len(m.rests)))
}

// Count returns how many targets rest.
func (m *Rests) Count(now time.Time) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rests {
		if r.Resting(now) {
			n++
		}
	}
	return n
}
