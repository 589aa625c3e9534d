package transport

import (
	"sync"
	"sync/atomic"
)

// Drop says why something that came in, or should have gone out, was dropped.
type Drop uint8

const (
	DropQueueFull    Drop = iota // a message for a shard whose queue was full
	DropSocketBuffer             // a datagram the kernel had no room for (Linux)
	DropSendFull                 // a message the socket buffer or write queue had no room for
	DropSendError                // a message the kernel refused to send
	DropFraming                  // a stream that could not be cut into messages; it was closed
	DropNewsLost                 // the news of a failed send, when the shard's queue was full
	DropConnection               // a connection refused: Options.MaxAccepted or MaxPerSource
	DropHandshake                // an accepted connection that failed its TLS handshake
	drops
)

var dropNames = [drops]string{"queue_full", "socket_buffer", "send_full", "send_error", "framing", "failure_news", "connection_limit", "tls_handshake"}

// String returns the value of the label reason.
func (d Drop) String() string { return dropNames[d] }

// Failure says how a message that Send had accepted failed later.
type Failure uint8

const (
	FailICMP    Failure = iota // the network said the peer cannot be reached
	FailConnect                // no connection: refused, timed out, TLS
	FailWrite                  // the connection broke, or was closed as too slow, before the message was written
	FailLost                   // the connection was lost after that
	failures
)

var failureNames = [failures]string{"icmp", "connect", "write", "lost"}

func (f Failure) String() string { return failureNames[f] }

// Closing says why a stream connection was closed.
type Closing uint8

const (
	ClosedByPeer   Closing = iota
	ClosedError            // read or write error
	ClosedIdle             // Options.IdleTimeout
	ClosedUnheard          // Options.MessageTimeout or PongTimeout
	ClosedSlow             // Options.WriteQueue or WriteTimeout
	ClosedFraming          // what came was no SIP stream
	ClosedShutdown         // Network.Close
	closings
)

var closingNames = [closings]string{"peer", "error", "idle", "unheard", "slow", "framing", "shutdown"}

func (c Closing) String() string { return closingNames[c] }

// Traffic counts messages and their bytes without IP and transport headers.
type Traffic struct{ Messages, Bytes uint64 }

func (t *Traffic) add(n int) {
	t.Messages++
	t.Bytes += uint64(n)
}

// Stats is a snapshot of everything the network counted since it was opened. Arrays over Proto have no use for index 0.
type Stats struct {
	Received, Sent [TLS + 1]Traffic // keep-alives not included
	KeepAlives     [TLS + 1]uint64  // pings and pongs that came in
	Dropped        [drops]uint64
	Failed         [failures]uint64
	Accepted       [TLS + 1]int // connections open now that came to us
	Dialled        [TLS + 1]int // connections open or being opened by us
	Closed         [closings]uint64
}

// tally is what a shard counts, in plain numbers of its own.
type tally struct {
	received, sent Traffic
	keepAlives     uint64
	dropped        [drops]uint64
	failed         [failures]uint64
}

// published is the copy of a tally that others read. Padding keeps the shards off each other's cache lines.
type published struct {
	_  [64]byte
	mu sync.Mutex
	t  tally
	_  [64]byte
}

func (p *published) store(t *tally) {
	p.mu.Lock()
	p.t = *t
	p.mu.Unlock()
}

func (p *published) load() tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.t
}

func (s *Stats) add(t tally) {
	s.Received[UDP].Messages += t.received.Messages
	s.Received[UDP].Bytes += t.received.Bytes
	s.Sent[UDP].Messages += t.sent.Messages
	s.Sent[UDP].Bytes += t.sent.Bytes
	s.KeepAlives[UDP] += t.keepAlives
	for i, n := range t.dropped {
		s.Dropped[i] += n
	}
	for i, n := range t.failed {
		s.Failed[i] += n
	}
}

// sharedTally is counted by many goroutines: those of connections and of the portable loop.
type sharedTally struct {
	received, sent [TLS + 1]sharedTraffic
	keepAlives     [TLS + 1]atomic.Uint64
	dropped        [drops]atomic.Uint64
	failed         [failures]atomic.Uint64
	closed         [closings]atomic.Uint64
}

type sharedTraffic struct{ messages, bytes atomic.Uint64 }

func (t *sharedTraffic) add(n int) {
	t.messages.Add(1)
	t.bytes.Add(uint64(n))
}

func (s *Stats) addShared(t *sharedTally) {
	for i := range t.received {
		s.Received[i].Messages += t.received[i].messages.Load()
		s.Received[i].Bytes += t.received[i].bytes.Load()
		s.Sent[i].Messages += t.sent[i].messages.Load()
		s.Sent[i].Bytes += t.sent[i].bytes.Load()
		s.KeepAlives[i] += t.keepAlives[i].Load()
	}
	for i := range t.dropped {
		s.Dropped[i] += t.dropped[i].Load()
	}
	for i := range t.failed {
		s.Failed[i] += t.failed[i].Load()
	}
	for i := range t.closed {
		s.Closed[i] += t.closed[i].Load()
	}
}
