package transport

import (
	"net/netip"
	"time"
)

// Proto is the transport protocol of a flow.
type Proto uint8

const (
	UDP Proto = iota + 1
	TCP
	TLS
)

// String returns the spelling used in Via: "UDP", "TCP" or "TLS"; "?" for the zero value.
func (p Proto) String() string {
	switch p {
	case UDP:
		return "UDP"
	case TCP:
		return "TCP"
	case TLS:
		return "TLS"
	}
	return "?"
}

// Reliable reports whether the transport repeats lost bytes itself, so that transactions must not (RFC 3261 §17).
func (p Proto) Reliable() bool { return p == TCP || p == TLS }

// Ping is the keep-alive of RFC 5626 §3.5.1. A shard may Send it over UDP to hold a NAT binding open; on streams Peer.Ping does it.
const Ping = "\r\n\r\n"

// Flow says where a message came in and so how to answer it, or where one shall go. It is a comparable value.
//
// A response goes out with the Flow of its request: from the socket and address it arrived at (RFC 3261 §18.2.2).
// For a request of our own fill in Proto, Socket, Remote and, for TLS, Peer; leave Conn and Local zero.
type Flow struct {
	Proto  Proto
	Socket uint16 // index into Listeners: where it arrived, or must leave. For dialled streams it gives the local address only, never its port
	// Conn names one stream connection. Send uses it while it is open, whatever Remote says, and otherwise goes by Remote:
	// reuse of an open connection to it, else a new one. So an in-dialog request may carry the connection of its dialog
	// and, as Remote, the address to dial should that connection be gone. 0: none known. Numbers are never used twice.
	Conn   uint64
	Local  netip.AddrPort // our address. May be left zero when sending
	Remote netip.AddrPort // theirs
	Peer   *Peer          // what is demanded of a dialled connection; nil for UDP and for accepted connections
}

// Packet is what Receive returns: one whole message, or the news that an earlier Send failed.
type Packet struct {
	Flow  Flow
	Bytes []byte // one whole message, valid until the next Receive. With Err: what an ICMP error quoted of our datagram, often enough to hold its Via; else nil
	Err   error  // an earlier Send failed (ICMP, connect, TLS, write, connection lost). Flow.Remote, or Flow.Conn when set, says on the way to whom
	Ref   uint64 // as given to the Send that failed; 0 when it is not known which (ICMP, connection lost)
}

// Backlog says how far a shard is behind, as a packet shows that it has just received.
type Backlog struct {
	Waited time.Duration // how long the packet had lain in its queue; 0 where that is not known
	Filled float64       // how much of that queue is in use behind it, 0 to 1
}

// Port is one shard's door to the network. Its methods are called by the shard's goroutine only, but for Wake, which may be
// called from anywhere.
type Port interface {
	// Receive waits up to wait (rounded up to the next Options.Tick; 0 = do not wait) for the next message or failure.
	// False means the time is over, somebody called Wake, or the network was closed. The first call may lock the
	// goroutine to its thread for good.
	Receive(wait time.Duration) (Packet, bool)
	// Send never blocks and copies b where it must keep it. A nil error says the message was handed to the kernel or
	// queued; what fails later comes back from Receive with the same ref. The errors are ErrFull, ErrTooBig, ErrClosed,
	// ErrNoSocket, ErrLimit, or the kernel's.
	Send(f Flow, b []byte, ref uint64) error
	// Wake makes a Receive that waits, or else the next one, return soon. Wakes before that count as one.
	Wake()
	// Forward copies p into the queue of another shard, whose Receive then returns it. When that queue is full p is
	// dropped and counted.
	Forward(shard int, p Packet)
	// Backlog is that of the packet which Receive returned last, before anything was sent. It may cost two system calls.
	Backlog() Backlog
	// Now is the time by which the shard lives.
	Now() time.Time
}
