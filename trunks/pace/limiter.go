package pace

import "time"

// Limiter is one key's limit as its users see it. Key keeps it in one process;
// package pacetest says what any other must do too. All methods may be called
// concurrently; none blocks.
type Limiter interface {
	// Configure changes the limit; who waits goes on waiting.
	Configure(Limit)
	// Admit asks for one admission now; false: the caller may Wait. Whoever waits
	// already goes first.
	Admit(now time.Time) (Ticket, bool)
	// Wait queues w for the trunk named; false, and a rejection counted, when there
	// is no room or the deadline would come first. Serve must then be called at Next.
	Wait(now time.Time, trunk string, w *Waiter) bool
	// Leave takes w out of its queue at no cost: its caller gave up. False when w
	// was told its result before, or is just being told.
	Leave(w *Waiter) bool
	// Next is when Serve is due; false: nobody waits.
	Next() (time.Time, bool)
	// Serve admits who is due, and tells those whose deadline has come.
	Serve(now time.Time)
	// Expected is when a call of that trunk that asks now would be admitted.
	Expected(now time.Time, trunk string) time.Time
	// Sent tells when the INVITE of an admission really went out.
	Sent(t Ticket, at time.Time)
	// Refused tells that the carrier refused an admission for its pace, and how long
	// it wants to be left alone; 0: it did not say.
	Refused(now time.Time, t Ticket, after time.Duration)
	// News is what the carrier has changed since News was last asked; false: nothing.
	News(now time.Time) (News, bool)
	// Stats is a snapshot.
	Stats(now time.Time) Stats
}

// Stats is what a limiter looks like at a moment.
type Stats struct {
	Limit     Limit
	Rate      float64 // in force: that of Limit, or less while the carrier wants less
	Counts    Counts
	Waits     Waits
	Available int // admissions that would be granted at once
	Used      int // admissions of the second before: what the carrier has counted in it
	Peak      int // most admissions in any one second that began in the last minute
}

// Waits is how long admitted calls have waited, those admitted at once included.
type Waits struct {
	Buckets [len(WaitBounds) + 1]uint64 // up to each of WaitBounds, and more
	Sum     time.Duration
}

// WaitBounds are the upper bounds of Waits.Buckets.
var WaitBounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

func (w *Waits) observe(d time.Duration) {
	i := 0
	for i < len(WaitBounds) && d > WaitBounds[i] {
		i++
	}
	w.Buckets[i]++
	w.Sum += d
}

var _ Limiter = (*Key)(nil)
