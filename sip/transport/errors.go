package transport

import "errors"

var (
	// ErrFull: the socket buffer, or the connection's write queue, has no room. A connection whose reader is that slow is closed.
	ErrFull = errors.New("send queue full")
	// ErrTooBig: more than a datagram holds (65,507 bytes over IPv4), or a stream's receiver must take (wire.MaxMessage).
	ErrTooBig = errors.New("message too big")
	// ErrClosed: the network is closed.
	ErrClosed = errors.New("network closed")
	// ErrNoSocket: Flow.Socket names no listener of that protocol and address family, or Flow.Remote is not usable.
	ErrNoSocket = errors.New("no socket for this flow")
	// ErrLimit: Options.MaxDialled connections are open already.
	ErrLimit = errors.New("too many connections")
	// ErrLost: the connection was closed by the peer, timed out or broke after the message was written. It comes with Flow.Conn
	// and Ref 0, once per shard that sent anything over that connection; whether what is pending on it failed is for the
	// transactions to say.
	ErrLost = errors.New("connection lost")
)
