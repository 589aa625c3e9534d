package media

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// Side names one of the two parties of a call, as seen from the edge.
type Side uint8

// The sides of a bridge.
const (
	Caller Side = iota // sent the INVITE to us
	Callee             // got the INVITE from us
)

// Other returns the opposite side.
func (s Side) Other() Side { return s ^ 1 }

// String returns "caller" or "callee".
func (s Side) String() string {
	if s == Caller {
		return "caller"
	}
	return "callee"
}

// Bridge is the media of one call. All its methods belong to one goroutine, the one that owns the call; packets flow
// on the relay's threads beside it. Close it on every path, or its ports are never given back.
type Bridge struct {
	relay   *Relay
	parties [2]party
	streams []*stream // one per m= line, in order
	first   stream    // most calls have one: room for it
	only    [1]*stream

	offerer  Side
	offered  int // m= lines of the last offer
	offerSum uint64
	pending  bool // the last offer has no answer yet
	answered bool // there has been an answer: offers wait for theirs
	settled  bool // the last answer was final
	closed   bool

	inbox *inbox // nil while no party speaks of digits by INFO
}

// Terms are how the party on a side is met. The zero value knows nothing of it and wants nothing of it.
type Terms struct {
	Signalling netip.Addr // where its SIP messages come from; zero = unknown
	Latch      Latch      // how far its packets' source may differ from what its description says
	Codecs     Codecs     // those it may use, in both directions; empty = any
	SRTP       SRTP       // how its RTP is protected
	DTMF       DTMF       // how it speaks of digits
}

// party is what the bridge knows of one side.
type party struct {
	local  netip.Addr // where we receive from it
	terms  Terms
	origin origin // of the descriptions we send it
	heard  uint64 // sum of the last description it sent that counted
}

// stream is one m= line of the call.
type stream struct {
	media    string
	path     *path    // nil = no ports: refused so far
	proposal proposal // of the last offer
	agreed   bool     // both want it, by the last answer
	mux      bool     // with RTCP on the RTP port, by the last answer
	ways     [2]direction
	held     [2]bool // the party takes no packets
	numbers  numbering
	rings    *[2]keyRing // our keys towards each party; nil while none was needed
	srtp     [2]bool     // the party has SRTP that ends at us, by the last answer
	ends     bool        // SRTP ends at us, by the last answer
	past     [2]Flow     // what flowed on earlier paths
	digits   *conversion // nil while neither party speaks of digits by INFO
}

// proposal is one m= line of an offer until its answer applies it.
type proposal struct {
	rtp, rtcp netip.AddrPort
	head      string // see shownLine
	media     string
	kind      kind
	codec     codec // by the payload types that the other party is shown
	numbers   numbering
	guard     protection
	way       direction
	wanted    bool // we carry it and the offerer did not disable it
	mux       bool
}

// Bridge opens the media of a call. The addresses are local ones, where the relay receives from that side; what the
// descriptions show instead is Options.Advertise. Nothing is opened until the first offer, so it cannot fail.
// It may be called from any goroutine.
func (r *Relay) Bridge(caller, callee netip.Addr) *Bridge {
	b := &Bridge{relay: r}
	b.parties[Caller] = party{local: caller, terms: Terms{Latch: r.options.Latch}, origin: r.newOrigin()}
	b.parties[Callee] = party{local: callee, terms: Terms{Latch: r.options.Latch}, origin: r.newOrigin()}
	return b
}

// newOrigin starts the o= line of a leg. The id has 31 bits: some devices read no more.
func (r *Relay) newOrigin() origin { return origin{id: r.random() >> 33} }

// Peer says how the party on a side is met. Call it before the side's first description, and again after [Bridge.Replace]; when the
// party moves, [Bridge.Moved];
// without it nothing is known of the party and the relay's latching policy holds.
func (b *Bridge) Peer(side Side, t Terms) {
	t.Signalling = t.Signalling.Unmap()
	b.parties[side].terms = t
	for _, s := range b.streams {
		if s.path != nil {
			s.path.sides[side].rtp.meet(t.Signalling, t.Latch)
			if rtcp := s.path.sides[side].rtcp; rtcp != nil {
				rtcp.meet(t.Signalling, t.Latch)
			}
		}
	}
}

// Moved says where the SIP of the party on a side comes from now.
func (b *Bridge) Moved(side Side, host netip.Addr) {
	t := b.parties[side].terms
	t.Signalling = host
	b.Peer(side, t)
}

// Replace gives the side to another party, met at the local address: failover to the next trunk, or a transfer.
// Its ports, addresses and description version are forgotten; the other side keeps its own. The next call must be an
// Offer of the other side. The error is an *Error; then the bridge is of no more use and wants to be closed.
func (b *Bridge) Replace(side Side, local netip.Addr) error {
	if b.closed {
		return errClosed
	}
	next := party{local: local, terms: Terms{Latch: b.relay.options.Latch}, origin: b.relay.newOrigin()}
	for _, s := range b.streams {
		s.numbers = s.numbers.forget(side)
		if s.rings != nil {
			s.rings[side] = keyRing{}
		}
		if s.path == nil {
			continue
		}
		s.digits.forget(side, s.path.sides[side].rtp)
		old := s.path.sides[side]
		if err := b.relay.replaceEnd(s.path, side, local, next.route(s.proposal.kind, s.proposal.codec)); err != nil {
			return err
		}
		old.flow(&s.past[side], b.relay.start)
	}
	b.parties[side] = next
	b.answered, b.settled, b.pending, b.offered, b.offerSum = false, false, false, 0, 0
	return nil
}

// Withdraw forgets an offer that was refused (a failed re-INVITE): the media goes on as agreed before, and the ports of lines that
// only that offer had are given back. RFC 6141 §3.
func (b *Bridge) Withdraw() {
	b.pending, b.offerSum = false, 0
	if b.settled {
		b.Settle()
	}
}

// Settle gives back what the last answer made needless: the ports of refused lines and, with rtcp-mux agreed, those
// of RTCP. Call it when the answer is final; before that, another fork may still want them.
func (b *Bridge) Settle() {
	if b.pending || !b.answered || b.closed {
		return
	}
	b.settled = true
	for _, s := range b.streams {
		switch {
		case s.path == nil:
		case !s.agreed:
			b.dropPath(s)
		case s.mux:
			for side := range s.past {
				if rtcp := s.path.sides[side].rtcp; rtcp != nil {
					rtcp.meter.flow(&s.past[side], 0, b.relay.start)
				}
			}
			b.relay.dropRTCP(s.path)
		}
	}
}

// Heard tells when a packet was last accepted from the side (zero: never), and whether any is to be expected from it:
// false while it has no stream, or every stream is on hold in its direction, or there are no sockets.
func (b *Bridge) Heard(side Side) (last time.Time, expected bool) {
	var latest time.Duration
	for _, s := range b.streams {
		if s.path == nil {
			continue
		}
		latest = max(latest, time.Duration(s.path.sides[side].rtp.meter.last.Load()))
		expected = expected || s.agreed && s.flows(side) && b.relay.options.Engine != EngineNone
	}
	if latest != 0 {
		last = b.relay.start.Add(latest)
	}
	return last, expected
}

// flows tells whether the party may send: it wants to, and the other one wants to hear. RFC 3264 §8.4.
func (s *stream) flows(from Side) bool {
	way, other := s.ways[from], s.ways[from.Other()]
	return (way == sendrecv || way == sendonly) && (other == sendrecv || other == recvonly) && !s.held[from.Other()]
}

// Close ends the media and gives back every port. It may be called again.
func (b *Bridge) Close() {
	if b.closed {
		return
	}
	b.closed = true
	for _, s := range b.streams {
		b.dropPath(s)
	}
}

// dropPath ends the stream's path and keeps its figures.
func (b *Bridge) dropPath(s *stream) {
	if s.path == nil {
		return
	}
	s.digits.stop()
	b.relay.closePath(s.path)
	for side := range s.past {
		s.path.sides[side].flow(&s.past[side], b.relay.start)
	}
	s.path, s.rings, s.digits = nil, nil, nil
}

// read describes a description and sums it, so that a repeated one can be told.
func (b *Bridge) read(sdp []byte, d *description) (sum uint64, err *Error) {
	if b.closed {
		return 0, errClosed
	}
	if err := describe(sdp, d); err != nil {
		return 0, err
	}
	return maphash.Bytes(b.relay.seed, sdp), nil
}

// route is where the packets of a new path start: nothing is known but how the party is met.
func (p *party) route(k kind, c codec) *route {
	return &route{kind: k, codec: c, host: p.terms.Signalling, policy: p.terms.Latch}
}
