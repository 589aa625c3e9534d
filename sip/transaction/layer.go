package transaction

import (
	"net/netip"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Options of a layer. Zero values are usable but for Sender.
type Options struct {
	Shard      int        // 0 … MaxShards-1: goes into branches
	Sender     Sender     // required
	ServerUser ServerUser // may be nil: nobody wants to know
	Timers     Timers     // defaults of this layer's requests and responses

	MaxClients int // live client transactions; default 1<<20
	MaxServers int // live server transactions; default 1<<20
	MaxLinger  int // bytes kept for finished transactions, client and server; default 256 MiB. The oldest go first.

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
}

// NewLayer returns a layer without transactions whose time begins at now.
func NewLayer(now time.Time, o Options) *Layer { return &Layer{} }

// Absorb deals with copies before they are parsed: repeated requests get the
// stored response, an ACK ends a refused INVITE, a repeated refusal gets its ACK
// again. It reports whether the packet is dealt with. Requests without the magic
// cookie (RFC 2543) are left to ReceiveRequest.
func (l *Layer) Absorb(now time.Time, e *wire.Envelope, f transport.Flow) bool { return false }

// ReceiveResponse takes a parsed response that Absorb did not want and reports
// whether it belongs to a transaction; if not it is a stray, to be dropped and
// counted (RFC 3261 §18.1.2).
func (l *Layer) ReceiveResponse(now time.Time, m *wire.Message) bool { return false }

// TransportFailed takes a failure that the transport reports later than Send.
// ref is the one given to Send; unknown ones are ignored.
func (l *Layer) TransportFailed(now time.Time, ref uint64) {}

// TransportFailedTo takes an ICMP error from addr: every UDP client transaction
// to addr that has not heard a response yet fails with TransportError.
func (l *Layer) TransportFailedTo(now time.Time, addr netip.AddrPort) {}

// Advance does all that is due at now.
func (l *Layer) Advance(now time.Time) {}

// Next returns how long after now Advance is due: 0 if it is overdue, at most an
// hour.
func (l *Layer) Next(now time.Time) time.Duration { return time.Hour }

// MintBranch appends a branch for one request of this layer: the magic cookie,
// the shard and 64 unpredictable bits.
func (l *Layer) MintBranch(b []byte) []byte { return b }

// Stats returns the counters and sizes of now.
func (l *Layer) Stats() Stats { return Stats{} }
