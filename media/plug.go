package media

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// plug is what one party's RTP, or RTCP, of one stream is received by. It sits in a jack, the UDP port on our side,
// and packets from it leave by the opposite plug's jack.
type plug struct {
	route    atomic.Pointer[route]
	other    atomic.Pointer[plug] // faces the other party
	jack     *jack                // set before packets come
	control  bool                 // RTCP
	event    bool                 // the packet at hand is a telephone-event; the reader's own
	streak   int32                // accepted packets since the raw engine last looked whether to connect; the reader's own
	returned int32                // packets of the source before, while another has the lock; the reader's own
	meter    meter
	settled  tally // what the relay has booked already; under its mutex
}

// begin readies a new plug. Routes never change, so plugs may begin with the same one.
func (p *plug) begin(at *route, control bool) *plug {
	p.control = control
	p.route.Store(at)
	return p
}

// take decides about one received packet: it returns what to send on by the other socket and the route for it, or nil if it
// ends here, counted. It is called by the one reader of p.jack, whose buffer it uses; it does not allocate unless it learns a source.
func (p *plug) take(packet []byte, source netip.AddrPort, now time.Duration) (*route, []byte) {
	r := p.route.Load()
	what := classify(packet, r.kind, p.control)
	if what == rubbish {
		p.discard(Malformed)
		return nil, nil
	}
	if r.unseal != nil {
		if source != r.source && r.judge(source) == stranger {
			p.discard(WrongSource)
			return nil, nil
		}
		var ok bool
		if packet, ok = r.unseal.open(packet, what); !ok { // before its source is learned: only the party has the key
			p.discard(Unauthentic)
			return nil, nil
		}
	}
	if source != r.source {
		if r = p.learn(source); r == nil {
			p.discard(WrongSource)
			return nil, nil
		}
	}
	p.event = what == rtpPacket && r.codec.isEvent(packet)
	switch what {
	case rtpPacket:
		p.meter.rtp(packet, r.codec.clock, p.event, now)
	case rtcpPacket:
		bump(&p.meter.reports, 1)
		p.reports(packet, now)
	default:
		p.meter.opaque(packet, now)
	}
	if r.converter != nil {
		return r.converter.convert(p, r, packet, what, now)
	}
	return p.pass(r.types, packet, what)
}

// pass readies an accepted packet for the other party, by the payload types that one knows.
func (p *plug) pass(types *renumber, packet []byte, what packetClass) (*route, []byte) {
	out := p.other.Load().route.Load()
	if !out.open {
		p.drop(packet, NoDestination)
		return nil, nil
	}
	if types != nil && what == rtpPacket {
		types.apply(packet)
	}
	if out.seal != nil && what != opaquePacket {
		sealed, ok := out.seal.seal(packet, what)
		if !ok {
			p.drop(packet, NoKey)
			return nil, nil
		}
		packet = sealed
	}
	return out, packet
}

// drop counts the packet at hand, which was accepted and did not leave by the other socket.
func (p *plug) drop(packet []byte, why Discard) {
	p.discard(why)
	if classify(packet, p.route.Load().kind, p.control) == rtcpPacket {
		return
	}
	p.leaveOut(packet)
}

// leaveOut counts the packet at hand, which was accepted and for which another one leaves, or a word in the signalling.
func (p *plug) leaveOut(packet []byte) {
	bump(&p.meter.dropped, 1)
	bump(&p.meter.droppedBytes, uint64(len(packet)))
	if p.event {
		bump(&p.meter.droppedEvents, 1)
	}
}

func (p *plug) discard(why Discard) { bump(&p.meter.discarded[why], 1) }

// learn locks to the source if it may be believed. The call's goroutine may publish a new description meanwhile; then that one decides.
func (p *plug) learn(source netip.AddrPort) *route {
	for {
		r := p.route.Load()
		if source == r.source {
			return r
		}
		locked := r.learn(source)
		if locked == nil {
			if locked = r.regain(source); locked == nil {
				return nil
			}
			if p.returned++; p.returned < regains {
				return nil
			}
		}
		if p.route.CompareAndSwap(r, locked) {
			p.returned = 0
			return locked
		}
	}
}

// redescribe publishes what a new description says.
func (p *plug) redescribe(u update) {
	for {
		r := p.route.Load()
		next := r.redescribed(u)
		if !p.route.CompareAndSwap(r, next) {
			continue
		}
		if !next.source.IsValid() {
			p.jack.loosen()
		}
		return
	}
}

// meet publishes how the party is met, see Bridge.Peer.
func (p *plug) meet(host netip.Addr, policy Latch) {
	for {
		r := p.route.Load()
		next := *r
		next.host, next.policy = host, policy
		if p.route.CompareAndSwap(r, &next) {
			return
		}
	}
}

// packetClass is what a datagram is.
type packetClass uint8

const (
	rubbish packetClass = iota
	rtpPacket
	rtcpPacket
	opaquePacket
)

// classify looks at the two bytes that matter, never further. RFC 3550 §5.1 and §6.4.1, RFC 5761 §4, RFC 7983.
func classify(packet []byte, k kind, control bool) packetClass {
	if len(packet) == 0 {
		return rubbish
	}
	if k == kindOpaque {
		return opaquePacket
	}
	if k == kindDTLS && packet[0] >= 20 && packet[0] <= 63 {
		return opaquePacket
	}
	if len(packet) < 8 || packet[0]>>6 != 2 {
		return rubbish
	}
	if packet[1] >= 192 && packet[1] <= 223 {
		return rtcpPacket
	}
	if control || len(packet) < 12 {
		return rubbish
	}
	return rtpPacket
}
