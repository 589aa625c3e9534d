package media

import (
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
	relay *Relay
	local [2]netip.Addr
}

// Bridge opens the media of a call. The addresses are local ones, where the relay receives from that side; what the
// descriptions show instead is Options.Advertise. Nothing is opened until the first offer, so it cannot fail.
// It may be called from any goroutine.
func (r *Relay) Bridge(caller, callee netip.Addr) *Bridge {
	return &Bridge{relay: r, local: [2]netip.Addr{caller, callee}}
}

// Peer says how the party on a side is met: the address its SIP messages come from (zero: unknown) and how far its
// packets' source may differ from what its description says. Call it before the side's first description; without
// it the source is unknown and the relay's policy holds.
func (b *Bridge) Peer(side Side, signalling netip.Addr, latch Latch) {}

// Offer takes an offer of one party and appends to dst what to offer to the other one. A first offer takes ports on
// both sides and works at once, so that early media finds its way; a later one (re-INVITE, UPDATE) waits for its
// answer, and [Bridge.Withdraw] forgets it. The error is an *Error; then nothing changed and dst is returned as it was.
// Neither slice is kept. RFC 3264 §5 and §8.
func (b *Bridge) Offer(from Side, sdp, dst []byte) ([]byte, error) { return append(dst, sdp...), nil }

// Answer takes the answer of one party to the other's last offer and appends to dst what to answer to the offerer.
// It may come again, repeated or changed (a 183, then the 200; another fork): the last one wins. Error and slices as in Offer.
// RFC 3264 §6, RFC 6337 §3.
func (b *Bridge) Answer(from Side, sdp, dst []byte) ([]byte, error) { return append(dst, sdp...), nil }

// Withdraw forgets an offer that was refused (a failed re-INVITE): the media goes on as agreed before. RFC 6141 §3.
func (b *Bridge) Withdraw() {}

// Replace gives the side to another party, met at the local address: failover to the next trunk, or a transfer.
// Its addresses, ports and description version are forgotten; the other side keeps its own. The next call must be an Offer.
func (b *Bridge) Replace(side Side, local netip.Addr) {}

// Heard tells when a packet was last accepted from the side (zero: never), and whether any is to be expected from it:
// false while it has no stream, or every stream is on hold in its direction.
func (b *Bridge) Heard(side Side) (last time.Time, expected bool) { return time.Time{}, false }

// Stats returns what has flowed so far. It may also be asked after Close.
func (b *Bridge) Stats() Stats { return Stats{} }

// Close ends the media and gives back every port. It may be called again.
func (b *Bridge) Close() {}
