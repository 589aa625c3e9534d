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

// window and count of the guard: at most count admissions in any window. For a
// whole rate that is N in any rolling second; for 2.5 it is 3 in 1.2 s, for 0.5
// it is 1 in 2 s, so the rate holds in the long run too.
func (l Limit) guard() (count int, window time.Duration) {
	count = max(1, int(math.Ceil(l.Rate)))
	return count, time.Duration(math.Ceil(float64(count)/l.Rate*float64(time.Second))) + margin
}

const (
	// margin covers the carrier's clock, which is not ours. What lies between an
	// admission and its INVITE on the wire is not in it: Sent tells that.
	margin = time.Millisecond
	// slack is how late Serve may come without the rate suffering: that much
	// spacing can be caught up.
	slack = 20 * time.Millisecond
)

func (l Limit) spacing() time.Duration {
	return time.Duration(float64(time.Second) / l.Rate)
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

// Key is one limit and what it has admitted.
type Key struct {
	mu     sync.Mutex
	limit  Limit
	window time.Duration
	space  time.Duration
	ring   []time.Time // when the last admissions were sent, by number modulo its length
	next   uint64      // number of the next admission
	passed time.Time   // the latest sending among the admissions that left the ring
	era    uint32      // counts changes of the ring, so that old tickets are known
	paced  time.Time   // when the next one is due by spacing
	turns  []*member   // members with somebody waiting, next turn first
	byName map[string]*member
	queued int
	counts Counts
	peaks  peak
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
	Waiting  int
}

// NewKey returns a key without history.
func NewKey(l Limit) *Key {
	k := &Key{byName: map[string]*member{}}
	k.Configure(l)
	return k
}

// Configure changes the limit. Who waits goes on waiting, and what was admitted in
// the last second still counts.
func (k *Key) Configure(l Limit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l == k.limit && k.ring != nil {
		return
	}
	k.limit = l
	if l.Rate <= 0 {
		k.ring, k.window, k.space = nil, 0, 0
		return
	}
	count, window := l.guard()
	ring := make([]time.Time, count)
	// The newest of the old admissions go to the end, so that ring[0] is the oldest.
	newest := time.Time{}
	for i := range min(count, len(k.ring)) {
		ring[count-1-i] = k.ring[(k.next-1-uint64(i)+uint64(2*len(k.ring)))%uint64(len(k.ring))]
		newest = later(newest, ring[count-1-i])
	}
	k.ring, k.next, k.window, k.space = ring, 0, window, l.spacing()
	k.passed = time.Time{}
	k.era++
	if k.paced.Sub(newest) > k.space {
		k.paced = newest.Add(k.space)
	}
}

// Limit returns the limit in force.
func (k *Key) Limit() Limit {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.limit
}

// due returns when one more may go out. k.mu is held.
func (k *Key) due() time.Time {
	// A call that was sent late, after some that were admitted later, counts for
	// all those too; hence passed.
	oldest := later(k.passed, k.ring[k.next%uint64(len(k.ring))])
	if oldest.IsZero() {
		return k.paced
	}
	return later(k.paced, oldest.Add(k.window))
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
		k.passed = later(k.passed, at)
		return
	}
	place := &k.ring[t.number%uint64(len(k.ring))]
	*place = later(*place, at)
}

// book notes an admission at now. k.mu is held.
func (k *Key) book(now time.Time) Ticket {
	t := Ticket{k.next, k.era}
	place := &k.ring[k.next%uint64(len(k.ring))]
	k.passed = later(k.passed, *place)
	*place = now
	k.next++
	k.peaks.add(now)
	// Spacing: with a burst of b, up to b-1 spaces may have been saved up.
	saved := max(time.Duration(max(k.limit.Burst, 1)-1)*k.space, slack)
	k.paced = later(k.paced, now.Add(-saved)).Add(k.space)
	return t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Admit asks for one admission now. It returns true and books it, or false: the
// caller may then Wait. Whoever waits already goes first.
func (k *Key) Admit(now time.Time) (Ticket, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring == nil {
		k.counts.Admitted++
		k.peaks.add(now)
		return Ticket{}, true
	}
	if k.queued > 0 || k.due().After(now) {
		return Ticket{}, false
	}
	k.counts.Admitted++
	return k.book(now), true
}

// Available returns how many admissions would be granted at once at now, 0 to
// Burst.
func (k *Key) Available(now time.Time) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring == nil {
		return math.MaxInt
	}
	if k.queued > 0 || k.due().After(now) {
		return 0
	}
	saved := int(now.Sub(k.paced)/k.space) + 1
	return min(saved, max(k.limit.Burst, 1))
}

// Peak returns the most admissions in any one second that began in the last
// minute.
func (k *Key) Peak(now time.Time) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.peaks.max(now)
}

// Used returns how many of the admissions of the second before now stand: what the carrier has counted in it.
func (k *Key) Used(now time.Time) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	since := now.Add(-time.Second)
	for _, at := range k.ring {
		if at.After(since) {
			n++
		}
	}
	return n
}

// Counts returns the totals.
func (k *Key) Counts() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.counts
	c.Waiting = k.queued
	return c
}
