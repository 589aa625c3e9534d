package transaction

import "time"

// Tick is the resolution of a Wheel: timers fire up to one tick late, never early.
const Tick = 10 * time.Millisecond

// Timer is one deadline. Embed it in the object it belongs to; set Owner and Kind
// so that the function given to Advance can tell what is due. The zero Timer is
// stopped. A Timer must not be copied while it is running.
type Timer struct {
	Owner uint64
	Kind  uint8

	next, prev *Timer
	tick       int64
}

// Wheel is a hierarchical timing wheel: starting, stopping and firing a timer
// cost the same whatever the number of timers, and none allocates. A wheel and
// its timers belong to one goroutine.
type Wheel struct {
}

// NewWheel returns a wheel whose time begins at now.
func NewWheel(now time.Time) *Wheel { return &Wheel{} }

// Start lets t fire at the given time, whether or not it was running; a time
// that has passed means the next Advance.
func (w *Wheel) Start(t *Timer, at time.Time) {}

// Stop stops t; a stopped timer stays so.
func (w *Wheel) Stop(t *Timer) {}

// Running reports whether t will fire.
func (t *Timer) Running() bool { return t.next != nil }

// Advance calls fire for every timer due at now, in order of their ticks. A timer
// is stopped when fire gets it; fire may start and stop any timer.
func (w *Wheel) Advance(now time.Time, fire func(t *Timer)) {}

// Next returns how long after now the wheel wants to advance: 0 if it is overdue,
// at most an hour. It is never later than the first timer, but may be earlier.
func (w *Wheel) Next(now time.Time) time.Duration { return time.Hour }

// Len returns the number of running timers.
func (w *Wheel) Len() int { return 0 }
