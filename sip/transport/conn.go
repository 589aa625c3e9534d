package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/sip/wire"
)

// errGone says that a connection found in the pool is closed by now.
var errGone = errors.New("connection is gone")

// conn is one stream connection. A goroutine reads and serves it, a second one writes; shards only append to its queue.
type conn struct {
	s           *streams
	key         connKey
	dialled     bool
	ctx         context.Context // ends when the connection is closed
	cancel      context.CancelFunc
	signal      chan struct{} // something is queued, or the connection shall finish
	certificate atomic.Pointer[x509.Certificate]
	used        atomic.Int64 // when a byte last went either way, ns
	heard       atomic.Int64 // when one last came in, ns

	mu        sync.Mutex
	flow      Flow     // Local is known once connected
	raw       net.Conn // TCP; nil while connecting
	nc        net.Conn // raw, or TLS over it
	open      bool     // connected, handshake done
	closed    bool
	finishing bool
	pending   []byte // bytes to write, and the messages they hold
	refs      []sentRef
	busy      int // bytes being written, and their messages
	busyRefs  []sentRef
	shards    uint64 // bit per shard that has sent anything here
}

// sentRef remembers one queued message until it is written.
type sentRef struct {
	ref   uint64
	shard int
	end   int // where it ends in its batch
}

// noShard sends what no shard is to hear about.
const noShard = -1

// queue appends b to what the writer has to write.
func (c *conn) queue(shard int, b []byte, ref uint64) error {
	c.mu.Lock()
	if c.closed || c.finishing {
		c.mu.Unlock()
		return errGone
	}
	if c.busy+len(c.pending)+len(b) > c.s.n.options.WriteQueue {
		open := c.open
		c.mu.Unlock()
		if open {
			c.close(ClosedSlow, fmt.Errorf("slow reader: %w", ErrFull))
		}
		return ErrFull
	}
	c.pending = append(c.pending, b...)
	if shard != noShard {
		c.refs = append(c.refs, sentRef{ref: ref, shard: shard, end: len(c.pending)})
		c.shards |= 1 << shard
		c.s.n.shared.sent[c.key.proto].add(len(b))
	}
	c.mu.Unlock()
	c.nudge()
	return nil
}

func (c *conn) nudge() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// connected hands over the socket, so that close can close it; false: the connection is closed already, and so is the socket now.
func (c *conn) connected(raw net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		raw.Close()
		return false
	}
	c.raw = raw
	c.flow.Local = addrPortOf(raw.LocalAddr())
	return true
}

// serve reads and writes until the connection ends.
func (c *conn) serve(nc net.Conn) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.nc, c.open = nc, true
	flow := c.flow
	c.mu.Unlock()
	if !c.dialled {
		flow.Peer = nil
		c.s.file(c)
	}
	c.touch(true)
	var writer sync.WaitGroup
	writer.Go(c.write) // ends when the connection is closed, as read does
	c.read(flow)
	writer.Wait()
}

// read cuts the stream into messages until it ends. Only what cannot be cut closes the connection: whether a message is good is not its business.
func (c *conn) read(flow Flow) {
	const most = 4096 // bytes asked for at a time
	var stream wire.Framer
	opts := &c.s.n.options
	taken, handed := 0, 0       // bytes read, and bytes of what was cut out of them
	spoken := c.dialled         // the peer has said something whole; the one we called may be silent
	partial := time.Now()       // when what we have a part of began
	waits := func() time.Time { // by when more must come
		if !spoken || taken > handed {
			return partial.Add(opts.MessageTimeout)
		}
		return c.idleUntil()
	}
	for {
		if err := c.nc.SetReadDeadline(waits()); err != nil {
			c.close(ClosedError, err)
			return
		}
		n, err := c.nc.Read(stream.Space(most))
		if n > 0 {
			c.touch(true)
			stream.Filled(n)
			if taken == handed {
				partial = time.Now()
			}
			taken += n
			cut, err := c.cut(&stream, flow)
			if cut > 0 {
				handed += cut
				spoken, partial = true, time.Now()
			}
			if err != nil {
				c.s.n.shared.dropped[DropFraming].Add(1)
				c.close(ClosedFraming, err)
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			c.close(ClosedByPeer, io.EOF)
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Now().Before(waits()) {
				continue // we have written meanwhile
			}
			if !spoken || taken > handed {
				c.close(ClosedUnheard, errors.New("no whole message in time"))
			} else {
				c.bye()
				c.close(ClosedIdle, errors.New("idle"))
			}
			return
		default:
			c.close(ClosedError, c.explained(err))
			return
		}
	}
}

// idleUntil is when the connection is closed if no byte goes over it before; zero: it is not.
func (c *conn) idleUntil() time.Time {
	if c.s.n.options.IdleTimeout == Never {
		return time.Time{}
	}
	return time.Unix(0, c.used.Load()).Add(c.s.n.options.IdleTimeout)
}

// explained makes an alert of a TLS server that we called an error that says what it means.
func (c *conn) explained(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && c.dialled {
		return tlsError(c.key.remote, err, false)
	}
	return err
}

// cut hands out all that is whole and returns how many bytes that was.
func (c *conn) cut(stream *wire.Framer, flow Flow) (bytes int, err error) {
	const crlf = "\r\n"
	for {
		b, ev, err := stream.Next()
		if err != nil {
			return bytes, err
		}
		switch ev {
		case wire.None:
			return bytes, nil
		case wire.Whole:
			bytes += len(b)
			c.deliver(flow, b)
		case wire.Pong: // or the first half of a ping
			bytes += len(crlf)
			c.s.n.shared.keepAlives[c.key.proto].Add(1)
		case wire.Ping:
			bytes += len(crlf)
			if err := c.queue(noShard, []byte(crlf), 0); err != nil {
				return bytes, nil // closed as too slow; the next read will say so
			}
		}
	}
}

// deliver puts a message into its shard's queue. While there is no room it waits a little, and with it the peer.
func (c *conn) deliver(flow Flow, b []byte) {
	const patience = time.Second
	c.s.n.shared.received[c.key.proto].add(len(b))
	p := c.s.n.ports[c.s.n.home(b)]
	if p.in.postPatiently(flow, b, patience) {
		p.Wake()
	}
}

// write sends what is queued, and keep-alives if they are wanted, until the connection is closed.
func (c *conn) write() {
	var due <-chan time.Time
	var alarm *time.Timer
	var pinged time.Time // when the keep-alive went out whose answer is awaited
	interval := time.Duration(0)
	if c.key.peer != nil && c.key.peer.Ping > 0 {
		interval = c.key.peer.Ping
		alarm = time.NewTimer(interval)
		defer alarm.Stop()
		due = alarm.C
	}
	for {
		wrote, ok := c.flush()
		if !ok {
			return
		}
		if wrote && due != nil && pinged.IsZero() {
			alarm.Reset(interval)
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.signal:
		case <-due:
			switch {
			case pinged.IsZero():
				pinged = time.Now()
				if c.queue(noShard, []byte(Ping), 0) != nil {
					return
				}
				alarm.Reset(c.s.n.options.PongTimeout)
			case c.heard.Load() >= pinged.UnixNano():
				pinged = time.Time{}
				alarm.Reset(interval)
			default: // RFC 5626 §4.4.1: the flow has failed
				c.close(ClosedUnheard, errors.New("no answer to a keep-alive"))
				return
			}
		}
	}
}

// flush writes all that is queued. Not ok: the connection is closed.
func (c *conn) flush() (wrote, ok bool) {
	var spare []byte
	for {
		c.mu.Lock()
		batch := c.pending
		if c.closed {
			c.mu.Unlock()
			return wrote, false
		}
		if len(batch) == 0 {
			finishing := c.finishing
			if spare != nil {
				c.pending = spare
			}
			c.mu.Unlock()
			if finishing {
				c.bye()
				c.close(ClosedShutdown, ErrClosed)
			}
			return wrote, !finishing
		}
		c.pending, c.busy = spare, len(batch)
		c.busyRefs, c.refs = c.refs, c.busyRefs[:0]
		c.mu.Unlock()

		n, err := c.writeAll(batch)
		wrote = true
		c.touch(false)

		const keep = 16 << 10 // an idle connection should not hold the buffer of its busiest moment
		if spare = batch[:0]; cap(spare) > keep {
			spare = nil
		}
		c.mu.Lock()
		c.busy = 0
		if err != nil {
			written := 0
			for written < len(c.busyRefs) && c.busyRefs[written].end <= n {
				written++
			}
			c.busyRefs = c.busyRefs[written:]
			c.mu.Unlock()
			kind := ClosedError
			if errors.Is(err, os.ErrDeadlineExceeded) {
				kind = ClosedSlow
			}
			c.close(kind, fmt.Errorf("write to %s: %w", c.key.remote, plain(err)))
			return wrote, false
		}
		c.busyRefs = c.busyRefs[:0]
		c.mu.Unlock()
	}
}

// writeAll writes b in pieces that must each go out in time, so that a slow but moving reader gets a large queue.
func (c *conn) writeAll(b []byte) (n int, err error) {
	const piece = 64 << 10
	for n < len(b) && err == nil {
		if err = c.nc.SetWriteDeadline(time.Now().Add(c.s.n.options.WriteTimeout)); err != nil {
			return n, err
		}
		var more int
		more, err = c.nc.Write(b[n:min(n+piece, len(b))])
		n += more
	}
	return n, err
}

// finish lets the writer end the connection once everything is written.
func (c *conn) finish() {
	c.mu.Lock()
	c.finishing = true
	open := c.open
	c.mu.Unlock()
	if !open {
		c.close(ClosedShutdown, ErrClosed)
		return
	}
	c.nudge()
}

// bye tells a TLS peer that nothing follows.
func (c *conn) bye() {
	if t, ok := c.nc.(*tls.Conn); ok {
		if t.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
			_ = t.CloseWrite() // the socket is closed next either way
		}
	}
}

// close ends the connection, once, and tells the shards what did not get through. It never blocks; anybody may call it.
func (c *conn) close(kind Closing, err error) {
	c.s.remove(c)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	raw, flow, open := c.raw, c.flow, c.open
	unsent := append(c.busyRefs[:len(c.busyRefs):len(c.busyRefs)], c.refs...)
	shards := c.shards
	c.pending, c.refs, c.busyRefs = nil, nil, nil
	c.mu.Unlock()
	c.cancel()
	if raw != nil {
		if t, ok := raw.(*net.TCPConn); ok && kind == ClosedSlow {
			_ = t.SetLinger(0) // what the peer does not read, the kernel need not keep
		}
		raw.Close()
	}
	if open {
		c.s.n.shared.closed[kind].Add(1)
	}
	if kind != ClosedShutdown {
		c.report(flow, open, kind, err, unsent, shards)
	}
}

// report posts one failure for each message that was not written and, for a connection that was open, one to each shard that used it.
func (c *conn) report(flow Flow, open bool, kind Closing, err error, unsent []sentRef, shards uint64) {
	how := FailWrite
	if !open {
		how = FailConnect
	}
	for _, m := range unsent {
		c.s.n.shared.failed[how].Add(1)
		if m.ref == 0 && open {
			continue // ErrLost says it
		}
		c.s.n.ports[m.shard].fail(flow, nil, err, m.ref)
	}
	if !open || kind == ClosedIdle {
		return
	}
	lost := fmt.Errorf("%w: %w", ErrLost, err)
	for ; shards != 0; shards &= shards - 1 {
		c.s.n.shared.failed[FailLost].Add(1)
		c.s.n.ports[bits.TrailingZeros64(shards)].fail(flow, nil, lost, 0)
	}
}

// touch notes that bytes went over the connection.
func (c *conn) touch(in bool) {
	now := time.Now().UnixNano()
	c.used.Store(now)
	if in {
		c.heard.Store(now)
	}
}
