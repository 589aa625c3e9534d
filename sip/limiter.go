package sip

import "time"

// limiter lets at most rate things pass in a second, with a second's worth at
// once. It belongs to one goroutine. It protects us; the limits of carriers are
// kept elsewhere, exactly.
type limiter struct {
	rate   float64 // per second
	tokens float64
	last   time.Time
}

// allow takes one token, and reports false when there is none.
func (l *limiter) allow(now time.Time) bool {
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
