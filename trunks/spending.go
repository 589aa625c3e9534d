package trunks

import (
	"sync"
	"sync/atomic"
	"time"
)

// spending is what an agent or an organization has used up of its toll. It belongs to a name, not to a snapshot, and its methods
// may be called concurrently, but for those that say the mutex is held.
type spending struct {
	refused atomic.Uint64 // calls, see Refusal.Count

	mu     sync.Mutex
	began  []time.Time // of the last calls, a ring
	oldest int

	day    int64         // since 1970, of spent
	spent  time.Duration // by calls that have ended
	live   int           // answered calls
	starts time.Duration // sum of when they were answered, since 1970
}

// turnOf is how long the next call must wait, fewer than limit of them having begun within the minute before. The mutex is held.
func (s *spending) turnOf(now time.Time, limit int) time.Duration {
	if len(s.began) != limit { // the limit is new: those that began before are forgotten
		s.began, s.oldest = make([]time.Time, limit), 0
	}
	first := s.began[s.oldest]
	if first.IsZero() {
		return 0
	}
	return max(first.Add(time.Minute).Sub(now), 0)
}

// begin books a call whose turn it is. The mutex is held.
func (s *spending) begin(now time.Time, limit int) {
	s.began[s.oldest] = now
	s.oldest = (s.oldest + 1) % limit
}

// begunWithin counts calls of the last minute. The mutex is held.
func (s *spending) begunWithin(now time.Time) (n int) {
	for _, at := range s.began {
		if !at.IsZero() && now.Sub(at) < time.Minute {
			n++
		}
	}
	return n
}

// used is the time spent today, calls in progress included. The mutex is held.
func (s *spending) used(now time.Time) time.Duration {
	s.turn(now)
	return s.spent + time.Duration(s.live)*sinceEpoch(now) - s.starts
}

// turn begins a new day. What calls in progress have used of the day before is not taken away from this one. The mutex is held.
func (s *spending) turn(now time.Time) {
	day := dayOf(now)
	if day == s.day {
		return
	}
	s.day, s.spent = day, 0
	s.starts = time.Duration(s.live) * sinceEpoch(startOf(day))
}

const secondsOfDay = 24 * 60 * 60

func dayOf(t time.Time) int64 { return t.Unix() / secondsOfDay }

func startOf(day int64) time.Time { return time.Unix(day*secondsOfDay, 0) }

func nextDay(now time.Time) time.Time { return startOf(dayOf(now) + 1) }

func sinceEpoch(t time.Time) time.Duration { return time.Duration(t.UnixNano()) }

func (s *spending) answered(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	s.live++
	s.starts += sinceEpoch(now)
}

func (s *spending) ended(answered, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	began := max(sinceEpoch(answered), sinceEpoch(startOf(s.day)))
	s.live--
	s.starts -= began
	s.spent += sinceEpoch(now) - began
}

// left is how long all calls in progress together may go on below limit.
func (s *spending) left(now time.Time, limit time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(limit-s.used(now), 0) / time.Duration(max(s.live, 1))
}

// Toll is the state of a toll.
type Toll struct {
	Spent                 // today, calls in progress included
	Limit   time.Duration // of a day; 0: none
	Refused uint64        // calls
}

// Tolls returns the state of every toll that bounds more than premium rate numbers, or has refused a call.
func (s *Snapshot) Tolls(now time.Time) (all []Toll) {
	for p, spent := range s.payers() {
		t := Toll{Spent: spent, Limit: time.Duration(p.toll.MinutesPerDay) * time.Minute, Refused: p.spending.refused.Load()}
		if t.Refused == 0 && t.Limit == 0 && p.toll.CallsPerMinute == 0 && len(p.toll.Countries) == 0 {
			continue
		}
		p.spending.mu.Lock()
		t.Used = p.spending.used(now)
		p.spending.mu.Unlock()
		all = append(all, t)
	}
	return all
}

// Spent is what an agent or an organization has used of a day's minutes.
type Spent struct {
	Organization bool // else it is an agent
	Name         string
	Day          int64 // of UTC, since 1970
	Used         time.Duration
}

// Spendings returns what everybody with minutes per day has used of today's, calls in progress included: what must outlive the
// process.
func (s *Snapshot) Spendings(now time.Time) (all []Spent) {
	for p, spent := range s.payers() {
		if p.toll.MinutesPerDay == 0 {
			continue
		}
		p.spending.mu.Lock()
		spent.Used = p.spending.used(now)
		p.spending.mu.Unlock()
		spent.Day = dayOf(now)
		if spent.Used > 0 {
			all = append(all, spent)
		}
	}
	return all
}

// Restore adds what was used before the process began. Other days, and names that nobody has any more, are left out. It is called
// once, before the first call.
func (s *Snapshot) Restore(spent []Spent, now time.Time) {
	used := map[Spent]time.Duration{}
	for _, one := range spent {
		key := one
		key.Used = 0
		used[key] = one.Used
	}
	for p, key := range s.payers() {
		key.Day = dayOf(now)
		p.spending.mu.Lock()
		p.spending.turn(now)
		p.spending.spent += used[key]
		p.spending.mu.Unlock()
	}
}

// payers yields every agent and organization with a Spent that names it.
func (s *Snapshot) payers() func(yield func(payer, Spent) bool) {
	return func(yield func(payer, Spent) bool) {
		for _, a := range s.Agents {
			if !yield(payer{toll: &a.Toll, spending: &a.usage.spending}, Spent{Name: a.Name}) {
				return
			}
		}
		for _, o := range s.Organizations {
			if !yield(payer{toll: &o.Toll, spending: o.spending, name: o.Name}, Spent{Organization: true, Name: o.Name}) {
				return
			}
		}
	}
}
