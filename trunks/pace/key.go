package pace

import (
	"math"
	"sync"
	"time"
)

// Limit is what a key allows.
type Limit struct {
	Rate  float64 // admissions per second, may be a fraction (0.5: one in two seconds); 0: no limit
	Burst int     // admissions that may go out without spacing after a pause; 0 and 1: none, always evenly spaced
	Queue int     // admissions that may wait; 0: twice the rate, at least 1; negative: none
}

// guard: at most count admissions in any window. For a whole rate that is N in any
// rolling second; for 2.5 it is 3 in 1.2 s, for 0.5 it is 1 in 2 s, so the rate
// holds in the long run too.
func guard(rate float64) (count int, window time.Duration) {
	count = max(1, int(math.Ceil(rate)))
	return count, time.Duration(math.Ceil(float64(count)/rate*float64(time.Second))) + margin
}

const (
	// margin covers the carrier's clock, which is not ours. What lies between an
	// admission and its INVITE on the wire is not in it: Sent tells that.
	margin = time.Millisecond
	// slack is how late Serve may come without the rate suffering: that much
	// spacing can be caught up.
	slack = 20 * time.Millisecond
)

func spacing(rate float64) time.Duration {
	return time.Duration(float64(time.Second) / rate)
}

func (l Limit) queue() int {
	switch {
	case l.Queue < 0:
		return 0
	case l.Queue == 0:
		return max(1, int(2*l.Rate))
	}
	return l.Queue
}

// Key is one limit and what it has admitted, for one process: a Limiter.
type Key struct {
	mu     sync.Mutex
	origin time.Time
	limit  Limit
	ring   []moment  // when the last admissions were sent, by number modulo its length; nil: no limit
	next   uint64    // number of the next admission
	passed moment    // the latest sending among the admissions that left the ring
	era    uint32    // counts changes of the ring, so that old tickets are known
	paced  moment    // when the next one is due by spacing
	turns  []*member // members with somebody waiting, next turn first
	byName map[string]*member
	queued int
	counts Counts
	waits  Waits
	peaks  peak

	// What is in force: the limit, or less while the carrier wants less.
	count   int // admissions in any window
	window  time.Duration
	space   time.Duration
	learned learned
}

// moment is the time since the key's origin, an hour before it was first asked;
// 0: never.
type moment = time.Duration

// at is the moment of t. k.mu is held.
func (k *Key) at(t time.Time) moment {
	if k.origin.IsZero() {
		k.origin = t.Add(-time.Hour)
	}
	return t.Sub(k.origin)
}

// time is when a moment is. k.mu is held.
func (k *Key) time(m moment) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return k.origin.Add(m)
}

// member is one trunk's queue.
type member struct {
	name    string
	waiting []*Waiter
}

// Counts are totals since the key was made, and sizes of now.
type Counts struct {
	Admitted uint64 // at once
	Delayed  uint64 // admitted after a wait
	Rejected uint64 // no room to wait, or the deadline came first
	Left     uint64 // gave up while waiting
	Refused  uint64 // admitted, and refused by the carrier for its pace
	Waiting  int
}

// NewKey returns a key without history.
func NewKey(l Limit) *Key {
	k := &Key{byName: map[string]*member{}}
	k.Configure(l)
	return k
}

// Configure changes the limit. Who waits goes on waiting, what was admitted in
// the last second still counts, and what the carrier taught is forgotten.
func (k *Key) Configure(l Limit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l == k.limit && k.ring != nil {
		return
	}
	k.limit, k.learned = l, learned{}
	if l.Rate <= 0 {
		k.ring, k.count, k.window, k.space = nil, 0, 0, 0
		return
	}
	k.apply(l.Rate)
	ring := make([]moment, k.count)
	// The newest of the old admissions go to the end, so that ring[0] is the oldest.
	newest := moment(0)
	for i := range min(len(ring), len(k.ring)) {
		ring[len(ring)-1-i] = k.ring[k.place(uint64(1+i))]
		newest = max(newest, ring[len(ring)-1-i])
	}
	k.ring, k.next = ring, 0
	k.passed = 0
	k.era++
	k.paced = min(k.paced, newest+k.space)
}

// apply puts a rate in force, at most that of the limit. k.mu is held.
func (k *Key) apply(rate float64) {
	k.count, k.window = guard(rate)
	k.space = spacing(rate)
	k.learned.rate = rate
}

// place is where in the ring the admission stands that is back numbers before the
// next one; back is at most the ring's length. k.mu is held.
func (k *Key) place(back uint64) uint64 {
	return (k.next + uint64(len(k.ring)) - back) % uint64(len(k.ring))
}

// due returns when one more may go out. k.mu is held.
func (k *Key) due() moment {
	// A call that was sent late, after some that were admitted later, counts for
	// all those too; hence passed.
	oldest := max(k.passed, k.ring[k.place(uint64(k.count))])
	next := max(k.paced, k.learned.pause)
	if oldest == 0 {
		return next
	}
	return max(next, oldest+k.window)
}

// Ticket names an admission, for Sent.
type Ticket struct {
	number uint64
	era    uint32
}

// Sent tells when the INVITE of an admission really went out, at or after the
// admission. The rolling second is counted from then. Without it the moment of the
// admission counts.
func (k *Key) Sent(t Ticket, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.era != k.era || k.ring == nil {
		return
	}
	if k.next-t.number > uint64(len(k.ring)) {
		k.passed = max(k.passed, k.at(at))
		return
	}
	place := &k.ring[t.number%uint64(len(k.ring))]
	*place = max(*place, k.at(at))
}

// book notes an admission at now. k.mu is held.
func (k *Key) book(now moment) Ticket {
	t := Ticket{k.next, k.era}
	i := k.next % uint64(len(k.ring))
	k.passed = max(k.passed, k.ring[i])
	k.ring[i] = now
	if k.learned.refused != nil {
		k.learned.refused[i] = false
	}
	k.next++
	k.peaks.add(now)
	// Spacing: with a burst of b, up to b-1 spaces may have been saved up.
	saved := max(time.Duration(k.burst()-1)*k.space, slack)
	k.paced = max(k.paced, now-saved) + k.space
	return t
}

// burst is how many may go out without spacing: none while the carrier wants less
// than the limit. k.mu is held.
func (k *Key) burst() int {
	if k.learned.rate < k.limit.Rate {
		return 1
	}
	return max(k.limit.Burst, 1)
}

// Admit asks for one admission now. It returns true and books it, or false: the
// caller may then Wait. Whoever waits already goes first.
func (k *Key) Admit(now time.Time) (Ticket, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.at(now)
	if k.ring == nil {
		k.counts.Admitted++
		k.waits.observe(0)
		k.peaks.add(at)
		return Ticket{}, true
	}
	k.grow(at)
	if k.queued > 0 || k.due() > at {
		return Ticket{}, false
	}
	k.counts.Admitted++
	k.waits.observe(0)
	return k.book(at), true
}

// available is how many admissions would be granted at once at now, 0 to Burst.
// k.mu is held.
func (k *Key) available(now moment) int {
	if k.ring == nil {
		return math.MaxInt
	}
	if k.queued > 0 || k.due() > now {
		return 0
	}
	saved := int((now-k.paced)/k.space) + 1
	return min(saved, k.burst())
}

// Stats implements Limiter.
func (k *Key) Stats(now time.Time) Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.at(now)
	k.grow(at)
	s := Stats{Limit: k.limit, Rate: k.learned.rate, Counts: k.counts, Waits: k.waits, Available: k.available(at), Peak: k.peaks.max(at), Used: k.used(at)}
	s.Counts.Waiting = k.queued
	return s
}

// used is how many of the admissions of the second before now stand: what the carrier has counted in it. k.mu is held.
func (k *Key) used(now moment) (n int) {
	for _, at := range k.ring {
		if at > 0 && now-at < time.Second {
			n++
		}
	}
	return n
}
