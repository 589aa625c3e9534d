package media

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// socket is one local UDP port that faces one party: the RTP or the RTCP of one stream.
type socket struct {
	control bool                   // RTCP
	other   atomic.Pointer[socket] // faces the other party; packets from here leave there
	local   netip.AddrPort
	route   atomic.Pointer[route]
	closed  atomic.Bool
	meter   meter
	settled tally        // what the relay has booked already; under its mutex
	plug    plug         // what the raw engine keeps
	conn    *net.UDPConn // what the portable engine keeps
}

// engine opens sockets, reads them, and passes every packet through socket.take.
type engine interface {
	// open binds the sockets to their local addresses and begins to read; or it opens neither. rtcp may be nil. It does not block.
	open(rtp, rtcp *socket) openResult
	// close ends reading and frees the socket within lingers. It ignores sockets that are not open.
	close(s *socket)
	// stop ends everything and waits for it. All sockets have been closed.
	stop()
	// threads is how many Ps the engine may occupy.
	threads() int
}

// receiveRoom is the receive buffer of a socket in bytes (Linux doubles it): more would be delay, not robustness.
const receiveRoom = 64 << 10

// lingers is how long a closed socket may still hold its port.
const lingers = 100 * time.Millisecond

type openResult uint8

const (
	opened    openResult = iota
	portTaken            // by another process
	noSockets            // the process or the machine has no more
	noAddress            // the local address is not ours
)

// take decides about one received packet: it returns the route to send it on by the other socket, or nil if it ends
// here, counted. It is called by the one reader of s; it does not allocate unless it learns a source.
func (s *socket) take(packet []byte, source netip.AddrPort, now time.Duration) *route {
	r := s.route.Load()
	what := classify(packet, r.kind, s.control)
	if what == rubbish {
		s.discard(Malformed)
		return nil
	}
	if source != r.source {
		if r = s.learn(source); r == nil {
			s.discard(WrongSource)
			return nil
		}
	}
	switch what {
	case rtpPacket:
		s.meter.rtp(packet, r.codec, now)
	case rtcpPacket:
		bump(&s.meter.reports, 1)
	default:
		s.meter.opaque(packet, now)
	}
	out := s.other.Load().route.Load()
	if !out.dest.IsValid() {
		s.drop(packet, NoDestination)
		return nil
	}
	return out
}

// drop counts an accepted packet that did not leave by the other socket.
func (s *socket) drop(packet []byte, why Discard) {
	s.discard(why)
	r := s.route.Load()
	what := classify(packet, r.kind, s.control)
	if what == rtcpPacket {
		return
	}
	bump(&s.meter.dropped, 1)
	bump(&s.meter.droppedBytes, uint64(len(packet)))
	if what == rtpPacket && r.codec.isEvent(packet) {
		bump(&s.meter.droppedEvents, 1)
	}
}

func (s *socket) discard(why Discard) { bump(&s.meter.discarded[why], 1) }

// learn locks to the source if it may be believed. The call's goroutine may publish a new description meanwhile; then that one decides.
func (s *socket) learn(source netip.AddrPort) *route {
	for {
		r := s.route.Load()
		if source == r.source {
			return r
		}
		locked := r.learn(source)
		if locked == nil {
			return nil
		}
		if s.route.CompareAndSwap(r, locked) {
			return locked
		}
	}
}

// redescribe publishes what a new description says.
func (s *socket) redescribe(u update) {
	for {
		r := s.route.Load()
		if s.route.CompareAndSwap(r, r.redescribed(u)) {
			return
		}
	}
}

// meet publishes how the party is met, see Bridge.Peer.
func (s *socket) meet(host netip.Addr, policy Latch) {
	for {
		r := s.route.Load()
		next := *r
		next.host, next.policy = host, policy
		if s.route.CompareAndSwap(r, &next) {
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
