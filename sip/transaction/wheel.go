package transaction

import (
	"math/bits"
	"time"
)

// Tick is the resolution of a Wheel: timers fire up to one tick late, never early.
const Tick = 10 * time.Millisecond

// Timer is one deadline. Embed it in the object it belongs to; set Owner and Kind
// so that the function given to Advance can tell what is due. The zero Timer is
// stopped. A Timer must not be copied while it is running.
type Timer struct {
	Owner uint64
	Kind  uint8

	level, slot uint8  // where it waits
	next, prev  *Timer // neighbours there; nil when stopped
	tick        int64  // when it fires
}

// Running reports whether t will fire.
func (t *Timer) Running() bool { return t.next != nil }

// A wheel has a level of 256 slots of one tick (2.56 s), and then levels of 64
// slots of 256 ticks (2.7 min), of 2^14 (2.9 h) and of 2^20 (7.8 days). A timer
// beyond the last level waits in its farthest slot and is looked at again there.
const (
	firstBits  = 8
	upperBits  = 6
	firstSlots = 1 << firstBits
	upperSlots = 1 << upperBits
	levels     = 4
)

// Wheel is a hierarchical timing wheel: starting, stopping and firing a timer
// cost the same whatever the number of timers, and none allocates. A wheel and
// its timers belong to one goroutine.
type Wheel struct {
	begun  time.Time
	now    int64 // the last tick that was dealt with
	floor  int64 // no timer starts for this tick or an earlier one
	length int

	first [firstSlots]Timer // heads of circular lists
	upper [levels - 1][upperSlots]Timer

	firstUsed [firstSlots / 64]uint64 // a bit for each list that is not empty
	upperUsed [levels - 1]uint64
}

// NewWheel returns a wheel whose time begins at now.
func NewWheel(now time.Time) *Wheel {
	w := new(Wheel)
	w.begin(now)
	return w
}

func (w *Wheel) begin(now time.Time) {
	w.begun = now
	for i := range w.first {
		w.first[i].next, w.first[i].prev = &w.first[i], &w.first[i]
	}
	for l := range w.upper {
		for i := range w.upper[l] {
			w.upper[l][i].next, w.upper[l][i].prev = &w.upper[l][i], &w.upper[l][i]
		}
	}
}

// Start lets t fire at the given time, whether or not it was running; a time
// that has passed means the next tick.
func (w *Wheel) Start(t *Timer, at time.Time) { w.start(t, at.Sub(w.begun)) }

// start is Start with the time since the wheel began.
func (w *Wheel) start(t *Timer, at time.Duration) {
	w.Stop(t)
	t.tick = max(int64((at+Tick-1)/Tick), w.floor+1)
	w.place(t)
	w.length++
}

// Stop stops t; a stopped timer stays so.
func (w *Wheel) Stop(t *Timer) {
	if t.next == nil {
		return
	}
	w.unlink(t)
	w.length--
}

// Len returns the number of running timers.
func (w *Wheel) Len() int { return w.length }

// Advance calls fire for every timer due at now, in order of their ticks, and of
// their starts within one. A timer is stopped when fire gets it; fire may start
// and stop any timer. What it starts fires in a later Advance.
func (w *Wheel) Advance(now time.Time, fire func(t *Timer)) {
	target := int64(now.Sub(w.begun) / Tick)
	if target <= w.now {
		return
	}
	w.floor = target
	for {
		event := w.nextEvent()
		if event > target {
			break
		}
		w.now = event
		w.cascade()
		for head := &w.first[event&(firstSlots-1)]; head.next != head; {
			t := head.next
			w.unlink(t)
			w.length--
			fire(t)
		}
	}
	w.now = target
}

// Next returns how long after now the wheel wants to advance, 0 when it is
// overdue; ok is false when no timer runs. It is never later than the first timer
// is due, but may be earlier when that is more than two seconds away.
func (w *Wheel) Next(now time.Time) (wait time.Duration, ok bool) {
	if w.length == 0 {
		return 0, false
	}
	due := time.Duration(w.nextEvent()) * Tick
	return max(due-now.Sub(w.begun), 0), true
}

// never is a tick that does not come.
const never = 1<<63 - 1

// nextEvent returns the next tick at which timers fire or move to a lower level.
func (w *Wheel) nextEvent() int64 {
	event := int64(never)
	if ahead, ok := w.nextFirst(); ok {
		event = w.now + ahead
	}
	shift := firstBits
	for _, used := range w.upperUsed {
		if used != 0 {
			turn := w.now >> shift
			// The current slot was emptied when its turn came: what is in it is a
			// whole round ahead.
			ahead := 1 + bits.TrailingZeros64(bits.RotateLeft64(used, -int(turn+1)&(upperSlots-1)))
			event = min(event, (turn+int64(ahead))<<shift)
		}
		shift += upperBits
	}
	return event
}

// nextFirst returns how many ticks ahead the next used slot of the first level is.
func (w *Wheel) nextFirst() (ahead int64, ok bool) {
	from := uint64(w.now+1) & (firstSlots - 1)
	for i := range uint64(len(w.firstUsed) + 1) {
		word := (from>>6 + i) % uint64(len(w.firstUsed))
		used := w.firstUsed[word]
		if i == 0 {
			used &= ^uint64(0) << (from & 63)
		}
		if used != 0 {
			slot := word<<6 + uint64(bits.TrailingZeros64(used))
			return 1 + int64((slot-from)&(firstSlots-1)), true
		}
	}
	return 0, false
}

// cascade moves the timers of every upper slot whose turn begins now one or more
// levels down, the highest level first, so that they keep their order.
func (w *Wheel) cascade() {
	for level := levels - 1; level > 0; level-- {
		shift := firstBits + (level-1)*upperBits
		if w.now&(1<<shift-1) != 0 {
			continue
		}
		slot := w.now >> shift & (upperSlots - 1)
		for head := &w.upper[level-1][slot]; head.next != head; {
			t := head.next
			w.unlink(t)
			w.place(t)
		}
	}
}

// place links a stopped timer into the list where it has to wait.
func (w *Wheel) place(t *Timer) {
	var head *Timer
	if ahead := t.tick - w.now; ahead < firstSlots {
		t.level, t.slot = 0, uint8(t.tick&(firstSlots-1))
		head = &w.first[t.slot]
		w.firstUsed[t.slot>>6] |= 1 << (t.slot & 63)
	} else {
		level, shift := 1, firstBits
		for level < levels-1 && ahead >= 1<<(shift+upperBits) {
			level++
			shift += upperBits
		}
		turn := min(t.tick>>shift, w.now>>shift+upperSlots-1)
		if level < levels-1 {
			turn = t.tick >> shift
		}
		t.level, t.slot = uint8(level), uint8(turn&(upperSlots-1))
		head = &w.upper[level-1][t.slot]
		w.upperUsed[level-1] |= 1 << t.slot
	}
	t.prev, t.next = head.prev, head
	head.prev.next, head.prev = t, t
}

// unlink takes t out of the list where it waits.
func (w *Wheel) unlink(t *Timer) {
	t.prev.next, t.next.prev = t.next, t.prev
	if t.next == t.prev { // only the head is left, or one other timer
		if t.level == 0 {
			if head := &w.first[t.slot]; head.next == head {
				w.firstUsed[t.slot>>6] &^= 1 << (t.slot & 63)
			}
		} else if head := &w.upper[t.level-1][t.slot]; head.next == head {
			w.upperUsed[t.level-1] &^= 1 << t.slot
		}
	}
	t.next, t.prev = nil, nil
}
