package trunks

import (
	"strings"
	"sync"
	"time"

	"trunkline/trunks/provider"
)

// Barred says why an agent may not call a number, nil if it may: its country, or what it costs. called is the raw user part
// dialled. What is no number in E.164 form, a service code or a name, is barred only where countries are listed. It does not
// allocate unless it refuses.
func (r Route) Barred(called []byte) *Refusal {
	t := &r.Agent.Toll
	if t.Premium && len(t.Countries) == 0 {
		return nil
	}
	var buf [64]byte
	e164 := r.Number.Trunk.Plan.Normalize(called, buf[:0])
	bar := func(why string) *Refusal {
		return &Refusal{Reason: TollBarred, Agent: r.Agent, Number: r.Number, User: string(called), E164: string(e164), why: why}
	}
	if !r.Agent.reaches(e164) {
		return bar("its first digits are not among " + strings.Join(t.Countries, ", "))
	}
	if !t.Premium && len(e164) > 1 && e164[0] == '+' {
		if kind, yes := provider.CostlyDigits(e164[1:]); yes {
			return bar("it is " + kind)
		}
	}
	return nil
}

// reaches tells whether the number begins as one of toll.countries.
func (a *Agent) reaches(e164 []byte) bool {
	if len(a.Toll.Countries) == 0 {
		return true
	}
	for _, code := range a.Toll.Countries {
		if len(e164) > len(code) && e164[0] == '+' && string(e164[1:1+len(code)]) == code {
			return true
		}
	}
	return false
}

// spending is what an agent has used up of its toll. It belongs to a name, not to a snapshot, and its methods may be called
// concurrently.
type spending struct {
	mu     sync.Mutex
	began  []time.Time // of the last calls, a ring
	oldest int

	day    int64         // since 1970, of spent
	spent  time.Duration // by calls that have ended
	live   int           // answered calls
	starts time.Duration // sum of when they were answered, since 1970
}

// Spend books an outbound call that begins, and returns nil; or says that it may not. Emergency calls are not asked.
func (a *Agent) Spend(now time.Time) *Refusal {
	t := &a.Toll
	if t.CallsPerMinute == 0 && t.MinutesPerDay == 0 {
		return nil
	}
	s := &a.usage.spending
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit := time.Duration(t.MinutesPerDay) * time.Minute; limit > 0 && s.used(now) >= limit {
		return &Refusal{Reason: TollSpent, Agent: a, why: "its minutes of today are used up"}
	}
	if t.CallsPerMinute > 0 && !s.begin(now, t.CallsPerMinute) {
		return &Refusal{Reason: TollSpent, Agent: a, why: "it has begun as many calls as it may within a minute"}
	}
	return nil
}

// begin books a call if fewer than limit began within the minute before now.
func (s *spending) begin(now time.Time, limit int) bool {
	if len(s.began) != limit { // the limit is new: those that began before are forgotten
		s.began, s.oldest = make([]time.Time, limit), 0
	}
	if first := s.began[s.oldest]; !first.IsZero() && now.Sub(first) < time.Minute {
		return false
	}
	s.began[s.oldest] = now
	s.oldest = (s.oldest + 1) % limit
	return true
}

// used is the time spent today, calls in progress included.
func (s *spending) used(now time.Time) time.Duration {
	s.turn(now)
	return s.spent + time.Duration(s.live)*sinceEpoch(now) - s.starts
}

// turn begins a new day. What calls in progress have used of the day before is not taken away from this one.
func (s *spending) turn(now time.Time) {
	day := now.Unix() / (24 * 60 * 60)
	if day == s.day {
		return
	}
	s.day, s.spent = day, 0
	s.starts = time.Duration(s.live) * sinceEpoch(time.Unix(day*24*60*60, 0))
}

func sinceEpoch(t time.Time) time.Duration { return time.Duration(t.UnixNano()) }

// Answered books that an outbound call was answered at now. It must be followed by one Ended.
func (a *Agent) Answered(now time.Time) {
	s := &a.usage.spending
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	s.live++
	s.starts += sinceEpoch(now)
}

// Ended books the end of an outbound call that was answered at that time.
func (a *Agent) Ended(answered, now time.Time) {
	s := &a.usage.spending
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	began := max(sinceEpoch(answered), sinceEpoch(time.Unix(s.day*24*60*60, 0)))
	s.live--
	s.starts -= began
	s.spent += sinceEpoch(now) - began
}
