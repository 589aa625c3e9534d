package transaction

import (
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Options of a layer. Zero values are usable.
type Options struct {
	Shard      int        // 0 … MaxShards-1: goes into branches
	ServerUser ServerUser // nil: nobody wants to know
	Timers     Timers     // defaults of this layer's requests, and of its responses

	MaxClients int // live client transactions; default 1<<20
	MaxServers int // live server transactions; default 1<<20
	MaxLinger  int // bytes kept of finished transactions; default 256 MiB. What would expire first goes first.

	// Unanswered bounds the life of an INVITE server transaction that gets no
	// response from its user; default 10 min, measured from the last provisional.
	Unanswered time.Duration

	// ReplyToSource sends responses to the port a request came from even when its
	// Via does not ask for it with rport (RFC 3581).
	ReplyToSource bool
}

// Layer holds the transactions of one shard. All its methods, and those of its
// Clients and Servers, belong to one goroutine.
type Layer struct {
	sender  Sender
	user    ServerUser
	options Options
	timers  Timers // complete
	shard   int
	random  *rand.ChaCha8
	seeds   [2]maphash.Seed

	wheel   Wheel
	swept   time.Duration // when finished transactions were last looked at
	clients slab[clientTx]
	servers slab[serverTx]
	unheard uint32 // first of the client transactions without any response; slot plus one

	byNonce table // client transactions by the random part of their branch
	byKey   table // server transactions by the first half of their key
	merging table // server transactions that a merged request would meet (RFC 3261 §8.2.2.2)

	clientPast past[clientPast]
	serverPast past[serverPast]

	buffers buffers
	out     []byte       // message being written
	text    []byte       // key being hashed
	flow    []byte       // flow being stored
	request wire.Message // INVITE being read to write its ACK or CANCEL

	stats Stats
}

// recordSize is what a finished transaction costs beside its bytes, roughly, with
// its place in a table.
const recordSize = 64

// sweepPause is the least time between two looks at finished transactions: they
// may stay that much longer, and an idle shard is not woken for each of them.
const sweepPause = time.Second

// tryingAfter is how long an INVITE may wait for its first response before the
// layer sends 100 (RFC 3261 §17.2.1).
const tryingAfter = 200 * time.Millisecond

// NewLayer returns a layer without transactions. It panics when the shard is out
// of range.
func NewLayer(s Sender, o Options) *Layer {
	if o.Shard < 0 || o.Shard >= MaxShards {
		panic("transaction: shard out of range")
	}
	if o.MaxClients == 0 {
		o.MaxClients = 1 << 20
	}
	if o.MaxServers == 0 {
		o.MaxServers = 1 << 20
	}
	if o.MaxLinger == 0 {
		o.MaxLinger = 256 << 20
	}
	if o.Unanswered == 0 {
		o.Unanswered = 10 * time.Minute
	}
	return &Layer{
		sender: s, user: o.ServerUser, options: o, shard: o.Shard,
		timers: o.Timers.over(defaultTimers),
		random: newRandom(),
		seeds:  [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

// since returns now as the time since the layer began, which is its first call.
func (l *Layer) since(now time.Time) time.Duration {
	if l.wheel.begun.IsZero() {
		l.wheel.begin(now)
	}
	return now.Sub(l.wheel.begun)
}

// Absorb deals with copies before they are parsed: a repeated request gets the
// stored response, an ACK ends a refused INVITE, a repeated refusal gets its ACK
// again. It reports whether the packet is dealt with. Requests without the magic
// cookie (RFC 2543) are left to ReceiveRequest.
func (l *Layer) Absorb(now time.Time, e *wire.Envelope, f transport.Flow) bool {
	at := l.since(now)
	if !e.Request {
		return l.absorbResponse(e)
	}
	if !hasCookie(e.Branch) {
		return false
	}
	if e.Method == wire.ACK {
		_, absorbed := l.ack(at, l.key(e, wire.INVITE), nil)
		return absorbed
	}
	return l.copied(at, l.key(e, e.Method))
}

// TransportFailed takes a failure that the transport reports later than Send.
// ref is the one given to Send; unknown ones are ignored.
func (l *Layer) TransportFailed(now time.Time, ref uint64) {
	l.since(now)
	slot, generation := uint32(ref), uint32(ref>>32)&generationMask
	if ref&serverRef != 0 {
		if tx := l.serverAt(slot, generation); tx != nil {
			l.undelivered(now, slot, tx)
		}
		return
	}
	if !l.clients.holds(slot) {
		return
	}
	// A ringing INVITE sends nothing any more: what failed was heard after all.
	if tx := l.clients.at(slot); tx.generation == generation && tx.nonce != 0 && !(tx.invite() && tx.heard) {
		l.fail(now, slot, tx, TransportError)
	}
}

// TransportFailedTo takes an ICMP error from addr: every client transaction to
// addr over UDP that has not heard a response yet fails with TransportError.
func (l *Layer) TransportFailedTo(now time.Time, addr netip.AddrPort) {
	l.failUnheard(now, func(f *transport.Flow) bool {
		return f.Remote == addr && !f.Proto.Reliable()
	})
}

// ConnectionLost takes the loss of a stream connection: the client transactions
// that went over it, or to its remote address by whatever connection, and have
// not heard a response yet fail with TransportError. For the others a response
// may still come over a new connection (RFC 3261 §18.2.2).
func (l *Layer) ConnectionLost(now time.Time, lost transport.Flow) {
	l.failUnheard(now, func(f *transport.Flow) bool {
		if f.Conn != 0 {
			return f.Conn == lost.Conn
		}
		return f.Proto == lost.Proto && f.Remote == lost.Remote
	})
}

func (l *Layer) failUnheard(now time.Time, lost func(*transport.Flow) bool) {
	l.since(now)
	// Callbacks may start and end any transaction, so take them by name first.
	var refs []uint64
	for next := l.unheard; next != 0; {
		tx := l.clients.at(next - 1)
		if lost(&tx.flow) {
			refs = append(refs, tx.ref(next-1))
		}
		next = tx.unheardNext
	}
	for _, ref := range refs {
		l.TransportFailed(now, ref)
	}
}

// Advance does all that is due at now.
func (l *Layer) Advance(now time.Time) {
	at := l.since(now)
	l.wheel.Advance(now, func(t *Timer) {
		if t.Kind == clientTimer {
			l.clientDue(now, at, uint32(t.Owner))
		} else {
			l.serverDue(now, at, uint32(t.Owner))
		}
	})
	if at-l.swept >= sweepPause {
		l.swept = at
		l.clientPast.expire(at, l.forgetClient)
		l.serverPast.expire(at, l.forgetServer)
	}
}

// Next returns how long after now Advance is due, 0 when it is overdue; ok is
// false when there is nothing to wait for.
func (l *Layer) Next(now time.Time) (wait time.Duration, ok bool) {
	at := l.since(now)
	wait, ok = l.wheel.Next(now)
	for _, next := range [2]func() (time.Duration, bool){l.clientPast.next, l.serverPast.next} {
		if expires, some := next(); some {
			if due := max(expires, l.swept+sweepPause, at) - at; !ok || due < wait {
				wait, ok = due, true
			}
		}
	}
	return wait, ok
}

// The kinds of the layer's own timers. A transaction has one, set to the earlier
// of its next repetition and its end.
const (
	clientTimer = iota
	serverTimer
)

// A ref, as the transport knows a Send by, is the slot and generation of a live
// transaction and which kind it is.
const (
	serverRef      = 1 << 63
	generationMask = 1<<31 - 1
)

// nextGeneration never returns 0, so no ref is 0.
func nextGeneration(g uint32) uint32 { return max(1, (g+1)&generationMask) }

// makeRoom forgets finished transactions until no more than Options.MaxLinger is kept.
func (l *Layer) makeRoom() {
	for l.lingerBytes() > l.options.MaxLinger && l.clientPast.count+l.serverPast.count > 0 {
		l.stats.LingerEvicted++
		if l.serverPast.count > 0 && (l.clientPast.count == 0 || size(&l.serverPast) >= size(&l.clientPast)) {
			l.serverPast.evict(l.forgetServer)
		} else {
			l.clientPast.evict(l.forgetClient)
		}
	}
}

func size[R any](p *past[R]) int { return p.stored + recordSize*p.count }

func (l *Layer) lingerBytes() int { return size(&l.clientPast) + size(&l.serverPast) }

// Stats returns the counters, and the sizes at the moment.
func (l *Layer) Stats() Stats {
	s := l.stats
	s.Clients, s.Servers = l.clients.live, l.servers.live
	s.LingerRecords = l.clientPast.count + l.serverPast.count
	s.LingerBytes = l.lingerBytes()
	return s
}

// transient reports whether a Send error is as good as a lost datagram, which
// repetition repairs.
func transient(f *transport.Flow, err error) bool {
	return !f.Proto.Reliable() && isFull(err)
}
