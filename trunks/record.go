package trunks

import "time"

// CallRecord is what remains of one call, exactly one per call. Strings are the record's own: they must not alias
// buffers that are used again.
type CallRecord struct {
	ID        string // our id of the call; unique, best when it grows with time
	Direction Direction
	Trunk     string // name; empty: none was chosen
	Agent     string // name; empty: none was chosen
	Caller    string // E.164 or the user part as it came; empty: anonymous
	Called    string // E.164 or the user part as it came

	Outcome string // answered, busy, no_answer, cancelled, rejected, redirected, carrier_error, timeout, throttled, local_error
	EndedBy string // caller, callee, edge
	Code    int    // SIP status that ended the attempt, 200 for an answered call; 0: none was sent or received
	Reason  string // phrase of that status, Reason header or our cause; for people
	Refusal Reason // NoReason unless the edge refused the call

	Started  time.Time // INVITE received
	Ringing  time.Time // first 18x; zero: none
	Answered time.Time // 200 to the INVITE; zero: never
	Ended    time.Time // last BYE, final response or failure

	Attempts     int    // INVITEs sent to the callee's side, challenges and failover included
	Source       string // address:port the caller's INVITE came from
	Target       string // address:port of the last attempt; empty: none
	CallerCallID string // Call-ID of the caller's dialog
	CalleeCallID string // Call-ID of the last attempt's dialog; empty: none

	Caller2Callee, Callee2Caller MediaStats
}

// MediaStats is what one direction of the relay saw. All zero: no media passed through the edge.
type MediaStats struct {
	Packets uint64        // RTP packets forwarded
	Bytes   uint64        // RTP bytes forwarded, headers included
	Lost    uint64        // packets missing by sequence number
	Jitter  time.Duration // interarrival jitter at the end (RFC 3550 §6.4.1)
	Codec   string        // name in the SDP answer; empty: unknown
}

// Direction is the way a call takes through the edge.
type Direction uint8

const (
	NoDirection  Direction = iota // refused before it was known
	InboundCall                   // trunk to agent
	OutboundCall                  // agent to trunk
)

// String returns "inbound", "outbound" or "none".
func (d Direction) String() string {
	switch d {
	case InboundCall:
		return "inbound"
	case OutboundCall:
		return "outbound"
	}
	return "none"
}
