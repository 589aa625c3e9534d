package pace

import "time"

// peak counts admissions in steps of 100 ms over the last minute, to tell the
// busiest second of those that begin with a step. It is never more than the busiest
// rolling second had, so that a peak above the limit is no artefact.
type peak struct {
	steps [peakSteps]uint32
	last  int64 // number of the newest step
}

const (
	peakStep   = 100 * time.Millisecond
	peakSteps  = 610 // a minute, and the second that began before it
	perSecond  = int(time.Second / peakStep)
	peakMinute = 600
)

func (p *peak) add(now moment) {
	p.move(now)
	p.steps[p.last%peakSteps]++
}

// move clears the steps that have passed since the last call.
func (p *peak) move(now moment) {
	step := int64(now / peakStep)
	if step <= p.last {
		return
	}
	for s := max(p.last+1, step-peakSteps+1); s <= step; s++ {
		p.steps[s%peakSteps] = 0
	}
	p.last = step
}

func (p *peak) max(now moment) int {
	p.move(now)
	best, sum := 0, 0
	for i := range peakMinute {
		sum += int(p.steps[(p.last-int64(peakMinute-1-i)+peakSteps)%peakSteps])
		if i >= perSecond {
			sum -= int(p.steps[(p.last-int64(peakMinute-1-i+perSecond)+peakSteps)%peakSteps])
		}
		best = max(best, sum)
	}
	return best
}
