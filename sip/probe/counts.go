package probe

import (
	"sync"
	"time"
)

// counts are what a prober has done since its start.
type counts struct {
	mu       sync.Mutex
	checks   map[checkCount]uint64
	steps    map[stepCount]uint64
	duration buckets
}

type (
	checkCount struct {
		check   Check
		verdict Verdict
	}
	stepCount struct {
		step    string
		verdict Verdict
	}
)

// counted notes a report on its way out.
func (p *Prober) counted(r Report) Report {
	c := &p.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.checks == nil {
		c.checks, c.steps = map[checkCount]uint64{}, map[stepCount]uint64{}
	}
	for _, one := range r.Checks {
		c.checks[checkCount{one.Check, one.Verdict}]++
	}
	for _, s := range r.Steps {
		c.steps[stepCount{s.Name, s.Verdict}]++
	}
	c.duration.add(r.Duration.D())
	return r
}

// buckets is a histogram of durations.
type buckets struct {
	counts [len(bounds)]uint64
	total  uint64
	sum    time.Duration
}

// bounds of the buckets, in seconds: from a query on the same continent to a dial-in
// that meets every limit.
var bounds = [...]float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40}

func (b *buckets) add(d time.Duration) {
	b.total++
	b.sum += d
	for i, bound := range bounds {
		if d.Seconds() <= bound {
			b.counts[i]++
		}
	}
}
