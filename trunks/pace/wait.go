package pace

import (
	"slices"
	"time"
)

// Waiter is one caller in a queue. Its result is told once, by Granted or
// Expired, by whoever calls Serve; not when it left before.
type Waiter struct {
	Deadline time.Time // when waiting makes no sense any more
	UnderWay bool      // the call was admitted before and needs one more: it goes before its trunk's others
	// Serve calls one of these without holding the key's lock.
	Granted func(Ticket)
	Expired func()

	member *member
	since  moment
}

// Wait queues w for the trunk named; false, and a rejection counted, when the
// queue is full or the deadline would come first. A full queue makes room for a
// trunk that has less in it than another: the newest of the longest loses its
// place. The owner must see to it that Serve is called at Next.
func (k *Key) Wait(now time.Time, trunk string, w *Waiter) bool {
	ok, lost := k.wait(now, trunk, w)
	if lost != nil {
		lost.Expired()
	}
	return ok
}

func (k *Key) wait(now time.Time, trunk string, w *Waiter) (ok bool, lost *Waiter) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring == nil || k.expected(trunk, w.UnderWay) > k.at(w.Deadline) {
		k.counts.Rejected++
		return false, nil
	}
	if k.full(w) {
		if lost = k.makeRoom(trunk); lost == nil {
			k.counts.Rejected++
			return false, nil
		}
		k.counts.Rejected++
	}
	m := k.byName[trunk]
	if m == nil {
		m = &member{name: trunk}
		k.byName[trunk] = m
	}
	if len(m.waiting) == 0 {
		k.turns = append(k.turns, m)
	}
	m.add(w)
	w.member, w.since = m, k.at(now)
	k.queued++
	return true, lost
}

// full reports whether there is no room for w. Calls under way find as much room
// again: at most a limit's worth of them can come back in the time one takes.
// k.mu is held.
func (k *Key) full(w *Waiter) bool {
	room := k.limit.queue()
	if w.UnderWay {
		room *= 2
	}
	return k.queued >= room
}

// add queues w, one under way before those that are not.
func (m *member) add(w *Waiter) {
	i := len(m.waiting)
	if w.UnderWay {
		for i = 0; i < len(m.waiting) && m.waiting[i].UnderWay; i++ {
		}
	}
	m.waiting = slices.Insert(m.waiting, i, w)
}

// makeRoom takes the newest waiter out of the longest queue if that is longer
// than the trunk's would become. k.mu is held.
func (k *Key) makeRoom(trunk string) *Waiter {
	var longest *member
	for _, m := range k.turns {
		if longest == nil || len(m.waiting) > len(longest.waiting) {
			longest = m
		}
	}
	own := 0
	if m := k.byName[trunk]; m != nil {
		own = len(m.waiting)
	}
	if longest == nil || len(longest.waiting) <= own+1 {
		return nil
	}
	lost := longest.waiting[len(longest.waiting)-1]
	k.remove(lost)
	return lost
}

// expected is when one more of that trunk would be served, if all before it are:
// the trunks take turns, so a long queue of another does not count in full. It is
// what spares a caller a wait in vain. k.mu is held.
func (k *Key) expected(trunk string, underWay bool) moment {
	place := 1 // in its own queue
	if m := k.byName[trunk]; m != nil && !underWay {
		place += len(m.waiting)
	}
	before := place - 1
	for _, m := range k.turns {
		if m.name != trunk {
			before += min(len(m.waiting), place)
		}
	}
	return k.due() + time.Duration(before)*k.space
}

// Expected returns when a call of that trunk that asks now would be admitted.
func (k *Key) Expected(now time.Time, trunk string) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring == nil {
		return now
	}
	return k.time(max(k.at(now), k.expected(trunk, false)))
}

// Leave takes w out of its queue: the caller gave up. It reports false when w was
// told its result before, or is just being told.
func (k *Key) Leave(w *Waiter) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.remove(w) {
		return false
	}
	k.counts.Left++
	return true
}

// remove takes w out of the queue. k.mu is held.
func (k *Key) remove(w *Waiter) bool {
	m := w.member
	if m == nil {
		return false
	}
	for i, other := range m.waiting {
		if other == w {
			m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
			w.member = nil
			k.queued--
			if len(m.waiting) == 0 {
				k.dropTurn(m)
			}
			return true
		}
	}
	return false
}

func (k *Key) dropTurn(m *member) {
	delete(k.byName, m.name)
	for i, other := range k.turns {
		if other == m {
			k.turns = append(k.turns[:i], k.turns[i+1:]...)
			return
		}
	}
}

// Next returns when Serve is due; false when nobody waits.
func (k *Key) Next() (time.Time, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.queued == 0 {
		return time.Time{}, false
	}
	next := k.due()
	for _, m := range k.turns {
		for _, w := range m.waiting {
			next = min(next, k.at(w.Deadline))
			if !w.UnderWay {
				break // those behind have come later, and their trunk gives them as long
			}
		}
	}
	return k.time(next), true
}

// Serve admits who is due at now, one from each trunk in turn, and tells those
// whose deadline has come.
func (k *Key) Serve(now time.Time) {
	for {
		tell := k.serveOne(now)
		if tell == nil {
			return
		}
		tell()
	}
}

// serveOne settles one waiter and returns how to tell it, nil when nothing is due.
func (k *Key) serveOne(now time.Time) func() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.turns {
		for _, w := range m.waiting {
			if !w.Deadline.After(now) {
				k.remove(w)
				k.counts.Rejected++
				return w.Expired
			}
		}
	}
	at := k.at(now)
	k.grow(at)
	if k.queued == 0 || k.ring != nil && k.due() > at {
		return nil
	}
	m := k.turns[0]
	w := m.waiting[0]
	k.remove(w)
	if len(m.waiting) > 0 { // its next turn comes after all others
		k.turns = append(k.turns[1:], m)
	}
	var ticket Ticket
	if k.ring != nil {
		ticket = k.book(at)
	}
	k.counts.Delayed++
	k.waits.observe(at - w.since)
	return func() { w.Granted(ticket) }
}
