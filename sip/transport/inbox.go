package transport

import (
	"sync"
	"sync/atomic"
	"time"
)

// posted is a packet waiting in an inbox; its bytes lie in the inbox's ring.
type posted struct {
	flow     Flow
	err      error
	ref      uint64
	at       time.Time // when it came; zero for news of a failure
	from, to int       // bytes of the message in the ring
}

// inbox is the bounded queue of packets for one shard: what streams read, what other shards forward, what failed.
// Messages are copied into one ring of bytes and leave it in order, so a full day of traffic allocates nothing and the
// memory has a bound whatever the size of the messages. Many may post, one takes.
type inbox struct {
	maxItems, maxBytes int

	takenAt time.Time    // when the packet taken last came; the taker's own
	ready   atomic.Int32 // items waiting, for a look without the lock

	mu       sync.Mutex
	room     *sync.Cond // signalled when somebody waits for room and some was made
	waiting  int
	closed   bool
	items    []posted // ring: count items from first on
	first    int
	count    int
	ring     []byte // bytes in use run from read to write, perhaps round the end
	read     int
	write    int
	refused  uint64 // messages there was no room for
	failures uint64 // news of failed sends there was no room for
}

func newInbox(maxItems, maxBytes int) *inbox {
	q := &inbox{maxItems: maxItems, maxBytes: maxBytes}
	q.room = sync.NewCond(&q.mu)
	return q
}

// post copies a message that came at a time into the queue; false when it had no room and was counted as refused.
func (q *inbox) post(f Flow, b []byte, ref uint64, at time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if !q.fits(len(b)) {
		q.refused++
		return false
	}
	q.push(posted{flow: f, ref: ref, at: at}, b)
	return true
}

// postPatiently is post for a stream, whose peer the kernel slows down while we do not read: it waits for room for as long as limit.
func (q *inbox) postPatiently(f Flow, b []byte, limit time.Duration) bool {
	came := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed && !q.fits(len(b)) {
		end := came.Add(limit)
		alarm := time.AfterFunc(limit, func() {
			q.mu.Lock()
			q.room.Broadcast()
			q.mu.Unlock()
		})
		defer alarm.Stop()
		for !q.closed && !q.fits(len(b)) && time.Now().Before(end) {
			q.waiting++
			q.room.Wait()
			q.waiting--
		}
	}
	if q.closed {
		return false
	}
	if !q.fits(len(b)) {
		q.refused++
		return false
	}
	q.push(posted{flow: f, at: came}, b)
	return true
}

// postFailure queues the news that a send failed. An eighth of the places is kept for such news.
func (q *inbox) postFailure(f Flow, quoted []byte, err error, ref uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if q.count >= q.maxItems {
		q.failures++
		return false
	}
	if !q.hasBytes(len(quoted)) {
		quoted = nil
	}
	q.push(posted{flow: f, err: err, ref: ref}, quoted)
	return true
}

// take returns the oldest packet. Its bytes stay as they are until the next take or release.
func (q *inbox) take() (Packet, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == 0 {
		q.empty()
		return Packet{}, false
	}
	it := q.items[q.first]
	q.items[q.first] = posted{}
	q.first = (q.first + 1) % len(q.items)
	q.count--
	q.ready.Store(int32(q.count))
	q.takenAt = it.at
	q.read = it.from // what lies before is free again
	if q.waiting > 0 {
		q.room.Broadcast()
	}
	p := Packet{Flow: it.flow, Err: it.err, Ref: it.ref}
	if it.to > it.from {
		p.Bytes = q.ring[it.from:it.to:it.to]
	}
	return p, true
}

// release gives back the bytes of the packet taken last.
func (q *inbox) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == 0 {
		q.empty()
	} else {
		q.read = q.items[q.first].from
	}
	if q.waiting > 0 {
		q.room.Broadcast()
	}
}

// close refuses whatever is posted from now on and frees those who wait for room.
func (q *inbox) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.room.Broadcast()
}

// filled returns how much of the queue is in use, 0 to 1.
func (q *inbox) filled() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes := q.write - q.read
	if bytes < 0 {
		bytes += len(q.ring)
	}
	return max(float64(q.count)/float64(q.maxItems), float64(bytes)/float64(q.maxBytes))
}

// drops returns how many messages and how much news of failures there was no room for.
func (q *inbox) drops() (messages, failures uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refused, q.failures
}

func (q *inbox) empty() { q.read, q.write = 0, 0 }

func (q *inbox) fits(n int) bool {
	return q.count < q.maxItems-q.maxItems/8 && q.hasBytes(n)
}

// hasBytes finds n bytes in one piece, growing the ring up to its bound if need be.
func (q *inbox) hasBytes(n int) bool {
	for !q.hole(n) {
		if len(q.ring) >= q.maxBytes {
			return false
		}
		q.grow()
	}
	return true
}

// hole reports whether n bytes fit in one piece, and moves write to where they do.
func (q *inbox) hole(n int) bool {
	switch {
	case n == 0:
		return true
	case q.write < q.read:
		return n < q.read-q.write // never let write catch up with read: that would mean empty
	case n <= len(q.ring)-q.write:
		return true
	case n < q.read:
		q.write = 0
		return true
	}
	return false
}

// grow doubles the ring. The packet taken last keeps its bytes in the old one.
func (q *inbox) grow() {
	size := min(max(2*len(q.ring), 64<<10), q.maxBytes)
	ring := make([]byte, size)
	used := 0
	for i := range q.count {
		it := &q.items[(q.first+i)%len(q.items)]
		n := copy(ring[used:], q.ring[it.from:it.to])
		it.from, it.to = used, used+n
		used += n
	}
	q.ring, q.read, q.write = ring, 0, used
}

func (q *inbox) push(it posted, b []byte) {
	if q.count == len(q.items) {
		q.widen()
	}
	it.from = q.write
	it.to = q.write + copy(q.ring[q.write:], b)
	q.write = it.to
	q.items[(q.first+q.count)%len(q.items)] = it
	q.count++
	q.ready.Store(int32(q.count))
}

// widen doubles the places for items.
func (q *inbox) widen() {
	items := make([]posted, min(max(2*len(q.items), 64), q.maxItems))
	for i := range q.count {
		items[i] = q.items[(q.first+i)%len(q.items)]
	}
	q.items, q.first = items, 0
}
