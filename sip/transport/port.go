package transport

import (
	"runtime"
	"sync/atomic"
	"time"
)

// event says how one attempt to receive from a shard's sockets ended.
type event uint8

const (
	quiet       event = iota // nothing within a tick
	message                  // a datagram for the shard
	failure                  // the news that an earlier send failed
	keepAlive                // a datagram of CR, LF, NUL and blanks only
	woken                    // somebody called Wake
	interrupted              // by a signal, most likely the runtime asking the thread to stop
	skipped                  // something that is of no interest
)

// sockets are the UDP sockets of one shard, and what it waits on.
type sockets interface {
	// receive waits up to one tick, or not at all, for one event. The packet's bytes are valid until the next receive.
	receive(block bool) (Packet, event)
	// send hands one datagram to the kernel without waiting.
	send(f Flow, b []byte) error
	// wake makes a receive that blocks, or the next one, return woken. It may be called from any goroutine; false: it did not work.
	wake() bool
	// backlog is that of the datagram which receive returned last.
	backlog(now time.Time) Backlog
	// kernelDrops returns how many datagrams the kernel had no room for.
	kernelDrops() uint64
	close()
}

const (
	// yieldEvery that many receives the shard lets others run: raw system calls have no preemption point.
	yieldEvery = 1024
	// maxSkipped bounds one Receive, so that a flood of keep-alives cannot hold up the shard's timers.
	maxSkipped = 64
	// maxStreak packets in a row may come from the queue before the sockets are looked at, so that neither starves the other.
	maxStreak = 8
)

// port is one shard's door. Fields without a note belong to the shard's goroutine.
type port struct {
	n       *Network
	shard   int
	sockets sockets
	in      *inbox      // shared: many post
	gate    *gate       // shared
	woken   atomic.Bool // shared: a wake is under way
	clock   time.Time   // what Now says until the next Receive; zero: not asked yet
	rounds  uint
	streak  int
	held    bool // a packet taken from the queue still lies in its ring
	queued  bool // the packet returned last came from the queue
	t       tally
	public  published // shared: t as of a moment ago
}

func (p *port) Receive(wait time.Duration) (Packet, bool) {
	// A wait of one tick takes a kernel of 250 Hz up to six milliseconds longer, so ticks are no measure of time.
	until := p.Now().Add(wait)
	p.clock = time.Time{}
	if !p.gate.enter() {
		p.public.store(&p.t)
		return Packet{}, false
	}
	defer p.gate.leave()
	if p.rounds++; p.rounds%yieldEvery == 0 {
		p.public.store(&p.t)
		runtime.Gosched()
	}
	for range maxSkipped {
		if p.streak < maxStreak {
			if pk, ok := p.take(); ok {
				p.streak++
				p.queued = true
				return pk, true
			}
		}
		p.streak, p.queued = 0, false
		block := wait > 0 && p.in.ready.Load() == 0
		pk, ev := p.sockets.receive(block)
		switch ev {
		case message:
			p.t.received.add(len(pk.Bytes))
			return pk, true
		case failure:
			p.t.failed[FailICMP]++
			p.n.broadcast(p.shard, pk)
			return pk, true
		case keepAlive:
			p.t.keepAlives++
		case woken:
			p.woken.Store(false)
			if p.in.ready.Load() == 0 {
				p.public.store(&p.t)
				return Packet{}, false
			}
		case quiet:
			p.woken.Store(false) // whatever was sent to wake us is either here by now or lost
			if p.in.ready.Load() > 0 {
				continue
			}
			if block {
				wait = time.Until(until)
			}
			if wait <= 0 || p.gate.isShut() {
				p.public.store(&p.t)
				return Packet{}, false
			}
		case interrupted:
			runtime.Gosched()
		}
	}
	return Packet{}, false
}

// take returns the oldest packet of the queue.
func (p *port) take() (Packet, bool) {
	if p.in.ready.Load() == 0 {
		if p.held {
			p.in.release()
			p.held = false
		}
		return Packet{}, false
	}
	pk, ok := p.in.take()
	p.held = ok
	return pk, ok
}

func (p *port) Send(f Flow, b []byte, ref uint64) error {
	if !p.gate.enter() {
		return ErrClosed
	}
	defer p.gate.leave()
	if f.Proto.Reliable() {
		return p.n.streams.send(p.shard, f, b, ref)
	}
	if f.Proto != UDP {
		return ErrNoSocket
	}
	err := p.sockets.send(f, b)
	switch err {
	case nil:
		p.t.sent.add(len(b))
	case ErrFull:
		p.t.dropped[DropSendFull]++
	default:
		p.t.dropped[DropSendError]++
	}
	return err
}

func (p *port) Wake() {
	if p.woken.Swap(true) {
		return
	}
	if !p.gate.enter() {
		return
	}
	defer p.gate.leave()
	if !p.sockets.wake() {
		p.woken.Store(false) // the tick is the fallback
	}
}

func (p *port) Forward(shard int, pk Packet) {
	if shard < 0 || shard >= len(p.n.ports) {
		p.t.dropped[DropQueueFull]++
		return
	}
	to := p.n.ports[shard]
	if pk.Err != nil {
		to.fail(pk.Flow, pk.Bytes, pk.Err, pk.Ref)
		return
	}
	if to.in.post(pk.Flow, pk.Bytes, pk.Ref, p.Now().Add(-p.Backlog().Waited)) {
		to.Wake()
	}
}

func (p *port) Backlog() Backlog {
	if p.queued {
		return Backlog{Waited: p.Now().Sub(p.in.takenAt), Filled: p.in.filled()}
	}
	if !p.gate.enter() {
		return Backlog{}
	}
	defer p.gate.leave()
	return p.sockets.backlog(p.Now())
}

func (p *port) Now() time.Time {
	if p.clock.IsZero() {
		p.clock = time.Now()
	}
	return p.clock
}

// fail posts the news of a failed send. It may be called from any goroutine.
func (p *port) fail(f Flow, quoted []byte, err error, ref uint64) {
	if p.in.postFailure(f, quoted, err, ref) {
		p.Wake()
	}
}

// isKeepAlive recognises what phones and NAT-minded peers send to hold a binding open: nothing, CRLF, CRLFCRLF, NUL.
func isKeepAlive(b []byte) bool {
	for _, c := range b {
		if c != '\r' && c != '\n' && c != 0 && c != ' ' {
			return false
		}
	}
	return true
}
