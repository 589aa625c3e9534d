package media

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// jack is one bound UDP socket. It outlives calls: between two it rests with nobody plugged in, so that late packets
// of the last call are swallowed and counted, and the next call saves the five system calls of a new socket.
type jack struct {
	user  atomic.Pointer[plug] // nil = at rest
	wire  wire                 // what the raw engine keeps
	conn  *net.UDPConn         // what the portable engine keeps
	local netip.AddrPort
}

// pair is the two jacks of an even RTP port and the odd one above it.
type pair struct {
	port      uint16
	open      bool // the jacks are bound
	since     time.Duration
	rtp, rtcp jack
}

// plugIn gives the jacks to a call. rtcp may be nil.
func (p *pair) plugIn(rtp, rtcp *plug) {
	rtp.jack = &p.rtp
	p.rtp.user.Store(rtp)
	if rtcp != nil {
		rtcp.jack = &p.rtcp
		p.rtcp.user.Store(rtcp)
	}
}

// pullOut ends the use of the jacks.
func (p *pair) pullOut() {
	p.rtp.user.Store(nil)
	p.rtp.loosen()
	p.rtcp.user.Store(nil)
	p.rtcp.loosen()
}

// engine opens jacks, reads them, and passes every packet through plug.take.
//
// An engine has lanes: both sides of a path are on one, and all jacks of a lane have the same reader. That reader is the only
// writer of its plugs' meters.
type engine interface {
	lanes() int
	// open binds both jacks, whose local addresses are set, and begins to read; or it opens neither. It does not block.
	open(lane int, p *pair) openResult
	// write sends a packet of ours, for any goroutine.
	write(j *jack, to *route, packet []byte) bool
	// close frees the jacks. With keeps() it is called by the lane's reader only, else by anyone.
	close(p *pair)
	// keeps tells whether jacks are worth keeping between calls.
	keeps() bool
	// stop ends everything and waits for it. No jack has a user any more.
	stop()
	// threads is how many Ps the engine may occupy.
	threads() int
}

// receiveRoom is the receive buffer of a jack in bytes (Linux doubles it): more would be delay, not robustness.
const receiveRoom = 64 << 10

// The raw engine connects a jack after so many packets in a row from one source.
const (
	steady     = 50  // from the described address: a second
	steadyElse = 500 // from any other that may be connected, see route.final
)

// maxDatagram is the largest datagram we relay, in bytes: nothing in RTP over UDP comes near.
const maxDatagram = 8192

// sealRoom is what SRTP may add to a datagram: an index and a tag. RFC 3711 §3.1 and §3.4, RFC 7714 §8 and §9.
const sealRoom = 32

type openResult uint8

const (
	opened    openResult = iota
	portTaken            // by another process
	noSockets            // the process or the machine has no more
	noAddress            // the local address is not ours
)
