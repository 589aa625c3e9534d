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
	// margin covers what lies between an admission and its INVITE on the wire, so
	// that the carrier's count agrees with ours.
	margin = 3 * time.Millisecond
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
	ring   []time.Time // the last admissions; ring[next] is the oldest
	next   int
	paced  time.Time // when the next one is due by spacing
	turns  []*member // members with somebody waiting, next turn first
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
	for i := range min(count, len(k.ring)) {
		ring[count-1-i] = k.ring[(k.next-1-i+2*len(k.ring))%len(k.ring)]
	}
	k.ring, k.next, k.window, k.space = ring, 0, window, l.spacing()
	if k.paced.Sub(k.last()) > k.space {
		k.paced = k.last().Add(k.space)
	}
}

func (k *Key) last() time.Time {
	return k.ring[(k.next-1+len(k.ring))%len(k.ring)]
}

// Limit returns the limit in force.
func (k *Key) Limit() Limit {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.limit
}

// due returns when one more may go out. k.mu is held.
func (k *Key) due() time.Time {
	at := k.paced
	if oldest := k.ring[k.next]; !oldest.IsZero() {
		if free := oldest.Add(k.window); free.After(at) {
			at = free
		}
	}
	return at
}

// book notes an admission at now. k.mu is held.
func (k *Key) book(now time.Time) {
	k.ring[k.next] = now
	if k.next++; k.next == len(k.ring) {
		k.next = 0
	}
	k.peaks.add(now)
	// Spacing: with a burst of b, up to b-1 spaces may have been saved up.
	saved := max(time.Duration(max(k.limit.Burst, 1)-1)*k.space, slack)
	k.paced = later(k.paced, now.Add(-saved)).Add(k.space)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Admit asks for one admission now. It returns true and books it, or false: the
// caller may then Wait. Whoever waits already goes first.
func (k *Key) Admit(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring == nil {
		k.counts.Admitted++
		k.peaks.add(now)
		return true
	}
	if k.queued > 0 || k.due().After(now) {
		return false
	}
	k.book(now)
	k.counts.Admitted++
	return true
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

// Counts returns the totals.
func (k *Key) Counts() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.counts
	c.Waiting = k.queued
	return c
}
