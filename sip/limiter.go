package sip

import (
	"net/netip"
	"time"
)

// limiter lets at most rate things pass in a second, with a second's worth at
// once. It belongs to one goroutine. It protects us; the limits of carriers are
// kept elsewhere, exactly.
type limiter struct {
	rate   float64 // per second
	tokens float64
	last   time.Time
}

// allow takes one token, and reports false when there is none. At no rate there never is.
func (l *limiter) allow(now time.Time) bool {
	if l.rate <= 0 {
		return false
	}
	if l.last.IsZero() {
		l.tokens = max(l.rate, 1)
	} else {
		l.tokens = min(l.tokens+now.Sub(l.last).Seconds()*l.rate, max(l.rate, 1))
	}
	l.last = now
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}

// perSource is how many challenges and refusals one unlisted source gets in a second, so that a scanner uses up its own share
// before it uses up everybody's. An office behind one NAT needs two for each phone that starts.
const perSource = 20

// maxSourcesKept bounds the sources whose share is counted. Beyond it some are forgotten, which lets them have a little more.
const maxSourcesKept = 4096

// sources limits each source address, or IPv6 network of 64 bits, by itself. It belongs to one goroutine.
type sources struct {
	rate   float64
	shares map[netip.Prefix]*limiter
}

func (l *sources) allow(now time.Time, source netip.Addr) bool {
	bits := 32
	if source = source.Unmap(); source.Is6() {
		bits = 64
	}
	of, err := source.Prefix(bits)
	if err != nil {
		return false
	}
	share := l.shares[of]
	if share == nil {
		if l.shares == nil {
			l.shares = map[netip.Prefix]*limiter{}
		}
		if len(l.shares) >= maxSourcesKept {
			l.forget(now)
		}
		share = &limiter{rate: l.rate}
		l.shares[of] = share
	}
	return share.allow(now)
}

// forget makes room: whoever has been quiet for a second, or else anybody.
func (l *sources) forget(now time.Time) {
	makeRoom(l.shares, func(share *limiter) bool { return now.Sub(share.last) >= time.Second })
}

// makeRoom forgets who is quiet, and of the others as many as leave a quarter free: to look at all of them for each new one would let
// a forged source cost more than its packet.
func makeRoom[K comparable, V any](shares map[K]V, quiet func(V) bool) {
	for of, share := range shares {
		if quiet(share) {
			delete(shares, of)
		}
	}
	for of := range shares {
		if len(shares) <= maxSourcesKept*3/4 {
			return
		}
		delete(shares, of)
	}
}
