package trunks

import (
	"fmt"
	"sync/atomic"
	"time"
)

// flooded is what was refused because an address sent more than its source_rate. It belongs to a name, not to a snapshot.
type flooded struct {
	refused atomic.Uint64
	last    atomic.Int64 // nanoseconds of Unix time
}

// SourceRate is how many requests a second outside calls one address of whom it names may send, 0 for no limit.
func (p Principal) SourceRate() float64 {
	switch {
	case p.Trunk != nil:
		return p.Trunk.SourceRate
	case p.Agent != nil:
		return p.Agent.SourceRate
	}
	return 0
}

// Flooded notes a request above the rate.
func (p Principal) Flooded(now time.Time) {
	if f := p.flooded(); f != nil {
		f.refused.Add(1)
		f.last.Store(now.UnixNano())
	}
}

// Floods returns how many requests were above the rate, on this or an earlier snapshot's, and when the last came.
func (p Principal) Floods() (refused uint64, last time.Time) {
	f := p.flooded()
	if f == nil || f.refused.Load() == 0 {
		return 0, time.Time{}
	}
	return f.refused.Load(), time.Unix(0, f.last.Load())
}

// FloodNow says in words what was refused so far; empty: nothing.
func (p Principal) FloodNow(now time.Time) string {
	refused, last := p.Floods()
	if refused == 0 {
		return ""
	}
	return fmt.Sprintf("%d requests above source_rate, %v a second from one address, were refused with 503, the last %s ago",
		refused, p.SourceRate(), now.Sub(last).Round(time.Second))
}

func (p Principal) flooded() *flooded {
	switch {
	case p.Trunk != nil:
		return &p.Trunk.usage.flooded
	case p.Agent != nil:
		return &p.Agent.usage.flooded
	}
	return nil
}
