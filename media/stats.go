package media

import (
	"net/netip"
	"time"
)

// Discard is a reason why a packet was not relayed.
type Discard uint8

// The reasons, a closed set.
const (
	Malformed     Discard = iota // not RTP or RTCP version 2, or cut short
	WrongSource                  // from an address that is not the party's
	NoDestination                // the other party's address is unknown or on hold
	SendFailed                   // the kernel refused it
	discards
)

// String returns the reason as a metric label.
func (d Discard) String() string {
	switch d {
	case Malformed:
		return "malformed"
	case WrongSource:
		return "wrong_source"
	case NoDestination:
		return "no_destination"
	case SendFailed:
		return "send_failed"
	}
	return "other"
}

// Flow is what came from one party on one stream.
type Flow struct {
	Packets, Bytes uint64           // RTP accepted from the party; UDP payload bytes
	Relayed        uint64           // of those packets, sent on to the other party
	Reports        uint64           // RTCP packets accepted
	Events         uint64           // of Packets, telephone-events (RFC 4733)
	Lost           uint64           // estimate from sequence numbers, RFC 3550 §A.3; never negative
	Jitter         time.Duration    // last interarrival jitter, RFC 3550 §A.8
	Last           time.Time        // when the last RTP packet came; zero = none yet
	Discarded      [discards]uint64 // by Discard, RTP and RTCP together
	Source         netip.AddrPort   // the source locked to; zero = none yet
	Codec          string           // PCMU, PCMA, G722, G729, opus or other; by the party's description
}

// StreamStats are the two directions of one m= line.
type StreamStats struct {
	Media string  // audio, video, image, …; as in the m= line
	From  [2]Flow // by Side
}

// Stats are the streams of a bridge, in the order of the m= lines; refused lines are left out.
type Stats struct {
	Streams []StreamStats
}
