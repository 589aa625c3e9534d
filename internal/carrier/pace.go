package carrier

import (
	"sync"
	"time"
)

// pace counts admissions over any rolling second, as carriers do.
type pace struct {
	mu      sync.Mutex
	times   []time.Time
	too     int
	highest int
}

// admit takes one more, unless limit (0: none) were taken in the second before.
func (p *pace) admit(now time.Time, limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.times) > 0 && now.Sub(p.times[0]) >= time.Second {
		p.times = p.times[1:]
	}
	if limit > 0 && len(p.times) >= limit {
		p.too++
		return false
	}
	p.times = append(p.times, now)
	p.highest = max(p.highest, len(p.times))
	return true
}

func (p *pace) refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.too
}

func (p *pace) peak() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.highest
}
