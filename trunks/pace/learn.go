package pace

import "time"

// learned is what the carrier's refusals have taught. The zero value: nothing.
type learned struct {
	rate    float64       // in force; 0: no limit
	pause   moment        // nothing goes out before
	refused []bool        // admissions in the ring that the carrier refused; nil: none was ever
	since   uint64        // number of the first admission after the last lesson
	hold    time.Duration // how long the last lesson stands before more is tried
	last    moment        // when the last lesson was
	grows   moment        // when more is tried
	told    News          // what News said last
	news    bool
}

const (
	// holdFirst is how long a lesson stands; each that comes while the one before is
	// not forgotten stands twice as long as that, up to holdMost.
	holdFirst = 30 * time.Second
	holdMost  = 10 * time.Minute
	// growEach is how long each step up is tried, and growBy its part of the limit.
	growEach = 10 * time.Second
	growBy   = 0.1
	// least is the part of the limit that is always tried.
	least = 0.1
	// pauseMost bounds the time a carrier may ask for.
	pauseMost = time.Minute
)

// News is a change that the carrier has brought about.
type News struct {
	Limit float64   // calls per second that the key allows
	Rate  float64   // that are sent now
	Pause time.Time // nothing is sent before; zero: no such time
}

// Refused tells that the carrier refused an admission because of its pace, which
// means that it allows less than the limit. What it took in the second before the
// call it refused is then sent, no more; from time to time a little more is tried,
// up to the limit. after is the time the carrier asks for, none is sent in it.
func (k *Key) Refused(now time.Time, t Ticket, after time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.counts.Refused++
	if k.ring == nil {
		return
	}
	l, at := &k.learned, k.at(now)
	if until := at + min(after, pauseMost); after > 0 && until > l.pause {
		l.pause, l.news = until, true
	}
	if t.era != k.era || k.next-t.number > uint64(len(k.ring)) {
		return // too long ago to tell anything
	}
	if l.refused == nil {
		l.refused = make([]bool, len(k.ring))
	}
	l.refused[t.number%uint64(len(k.ring))] = true
	if t.number < l.since {
		return // was under way when the lesson was learned
	}
	rate := min(float64(k.taken(t)), l.rate-growBy*k.limit.Rate/2)
	k.lesson(at, max(rate, least*k.limit.Rate))
}

// taken is how many admissions before t the carrier took in the second that ends
// with it. k.mu is held.
func (k *Key) taken(t Ticket) (n int) {
	size := uint64(len(k.ring))
	end := k.ring[t.number%size]
	for number := t.number; number > 0 && k.next-(number-1) <= size; number-- {
		i := (number - 1) % size
		if end-k.ring[i] >= time.Second {
			break
		}
		if !k.learned.refused[i] {
			n++
		}
	}
	return n
}

// lesson sends at most rate from now on. k.mu is held.
func (k *Key) lesson(now moment, rate float64) {
	l := &k.learned
	if l.hold == 0 || now-l.last > holdMost {
		l.hold = holdFirst
	} else {
		l.hold = min(2*l.hold, holdMost)
	}
	l.last, l.since, l.grows, l.news = now, k.next, now+l.hold, true
	k.apply(rate)
}

// grow tries more when its time has come. k.mu is held.
func (k *Key) grow(now moment) {
	l := &k.learned
	if l.rate >= k.limit.Rate || now < l.grows {
		return
	}
	l.grows = now + growEach
	rate := min(l.rate+growBy*k.limit.Rate, k.limit.Rate)
	l.news = l.news || rate == k.limit.Rate
	k.apply(rate)
}

// News tells what the carrier has changed since it was last asked: a lower rate, a
// pause, or that the limit is in force again; steps between are not told.
func (k *Key) News(now time.Time) (News, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := &k.learned
	if !l.news {
		return News{}, false
	}
	l.news = false
	n := News{Limit: k.limit.Rate, Rate: l.rate}
	if l.pause > k.at(now) {
		n.Pause = k.time(l.pause)
	}
	changed := n != l.told
	l.told = n
	return n, changed
}
