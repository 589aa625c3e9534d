package transaction

import (
	"net/netip"
	"time"

	"trunkline/sip/transport"
)

// past holds transactions that only wait for copies: a record each, and the bytes
// to answer a copy with. All that linger for the same time share a queue, whose
// oldest record is the first to expire, so that remembering and forgetting one
// costs no timer and no search.
type past[R any] struct {
	queues []queue[R]
	spare  []*pastChunk[R]
	count  int // records
	stored int // bytes of the messages
}

type queue[R any] struct {
	life        time.Duration
	chunks      []*pastChunk[R] // of pastChunkSize records each, oldest first
	first, next uint32          // sequence numbers of the oldest record and of the next one
}

const (
	pastChunkSize = 128
	pastSpares    = 16 // chunks kept for use
	maxQueues     = 8
	lingering     = 1 << 31 // marks a table value as naming a record
	sequenceBits  = 28
	sequenceMask  = 1<<sequenceBits - 1
)

type pastChunk[R any] struct {
	records [pastChunkSize]pastRecord[R]
	bytes   []byte // of all records, one behind the other
}

type pastRecord[R any] struct {
	key     uint64
	expires time.Duration // since the layer began
	from    uint32        // where its bytes begin in the chunk
	size    uint32
	is      R
}

// add remembers a transaction for life and returns its table value. The record
// may be filled in until the next add. Its bytes are parts, one behind the other.
func (p *past[R]) add(key uint64, now, life time.Duration, parts ...[]byte) (uint32, *R) {
	n := p.queueFor(life)
	q := &p.queues[n]
	at := q.next % pastChunkSize
	if at == 0 || len(q.chunks) == 0 {
		q.chunks = append(q.chunks, p.chunk())
	}
	c := q.chunks[len(q.chunks)-1]
	r := &c.records[at]
	r.key, r.expires, r.from = key, now+q.life, uint32(len(c.bytes))
	for _, part := range parts {
		c.bytes = append(c.bytes, part...)
	}
	r.size = uint32(len(c.bytes)) - r.from
	p.stored += int(r.size)
	p.count++
	value := lingering | uint32(n)<<sequenceBits | q.next&sequenceMask
	q.next++
	return value, &r.is
}

// queueFor returns the queue for records that live that long: when there are
// enough queues already, the one that lives the shortest time above it, or else
// the longest.
func (p *past[R]) queueFor(life time.Duration) int {
	for i := range p.queues {
		if p.queues[i].life == life {
			return i
		}
	}
	if len(p.queues) < maxQueues {
		p.queues = append(p.queues, queue[R]{life: life})
		return len(p.queues) - 1
	}
	best := 0
	for i := range p.queues {
		this, that := p.queues[i].life, p.queues[best].life
		if this > life && (that < life || this < that) || that < life && this > that {
			best = i
		}
	}
	return best
}

// get returns the record that a table value names, and its bytes.
func (p *past[R]) get(value uint32) (*pastRecord[R], []byte) {
	q := &p.queues[value>>sequenceBits&(maxQueues-1)]
	c, at := q.locate(value)
	r := &c.records[at]
	return r, c.bytes[r.from : r.from+r.size]
}

func (q *queue[R]) locate(value uint32) (*pastChunk[R], uint32) {
	base := q.first &^ (pastChunkSize - 1)
	ahead := (value - base) & sequenceMask
	return q.chunks[ahead/pastChunkSize], ahead % pastChunkSize
}

// expire forgets the records whose time is over at now.
func (p *past[R]) expire(now time.Duration, forget func(value uint32, r *pastRecord[R])) {
	for n := range p.queues {
		for p.queues[n].first != p.queues[n].next && p.oldest(n).expires <= now {
			p.forget(n, forget)
		}
	}
}

// evict forgets the record that is nearest to its end. There must be one.
func (p *past[R]) evict(forget func(value uint32, r *pastRecord[R])) {
	best := -1
	for n := range p.queues {
		if p.queues[n].first != p.queues[n].next && (best < 0 || p.oldest(n).expires < p.oldest(best).expires) {
			best = n
		}
	}
	p.forget(best, forget)
}

func (p *past[R]) oldest(n int) *pastRecord[R] {
	q := &p.queues[n]
	return &q.chunks[0].records[q.first%pastChunkSize]
}

func (p *past[R]) forget(n int, forget func(value uint32, r *pastRecord[R])) {
	q := &p.queues[n]
	r := p.oldest(n)
	forget(lingering|uint32(n)<<sequenceBits|q.first&sequenceMask, r)
	p.stored -= int(r.size)
	p.count--
	*r = pastRecord[R]{}
	q.first++
	if q.first%pastChunkSize != 0 && q.first != q.next {
		return
	}
	if q.first == q.next { // empty: begin a new chunk next time
		q.first, q.next = 0, 0
	}
	c := q.chunks[0]
	c.bytes = c.bytes[:0]
	q.chunks = q.chunks[:copy(q.chunks, q.chunks[1:])]
	q.chunks[:cap(q.chunks)][len(q.chunks)] = nil
	if len(p.spare) < pastSpares {
		p.spare = append(p.spare, c)
	}
}

func (p *past[R]) chunk() *pastChunk[R] {
	if n := len(p.spare); n > 0 {
		c := p.spare[n-1]
		p.spare = p.spare[:n-1]
		return c
	}
	return new(pastChunk[R])
}

// next returns when the oldest record expires.
func (p *past[R]) next() (at time.Duration, ok bool) {
	for n := range p.queues {
		if p.queues[n].first != p.queues[n].next {
			if e := p.oldest(n).expires; !ok || e < at {
				at, ok = e, true
			}
		}
	}
	return at, ok
}

// A flow is kept as bytes beside a stored message. Only datagram flows are: a
// transaction over a stream leaves nothing behind that would have to be sent.
func appendFlow(b []byte, f transport.Flow) []byte {
	b = append(b, byte(f.Proto), byte(f.Socket>>8), byte(f.Socket))
	b = appendAddrPort(b, f.Local)
	return appendAddrPort(b, f.Remote)
}

func appendAddrPort(b []byte, a netip.AddrPort) []byte {
	at := len(b)
	b = append(b, 0)
	b, _ = a.AppendBinary(b) // cannot fail
	b[at] = byte(len(b) - at - 1)
	return b
}

// cutFlow is the reverse of appendFlow and returns the bytes behind the flow.
func cutFlow(b []byte) (f transport.Flow, rest []byte) {
	f.Proto, f.Socket = transport.Proto(b[0]), uint16(b[1])<<8|uint16(b[2])
	b = b[3:]
	_ = f.Local.UnmarshalBinary(b[1 : 1+b[0]]) // written by appendFlow
	b = b[1+b[0]:]
	_ = f.Remote.UnmarshalBinary(b[1 : 1+b[0]])
	return f, b[1+b[0]:]
}
