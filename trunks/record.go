package trunks

import (
	"strconv"
	"strings"
	"time"
)

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
	Tries        []Try  // in order; nil for a call that its first target took or ended

	Caller2Callee, Callee2Caller MediaStats
}

// Try is one thing done to reach the callee: an attempt at one target, or a trunk that was passed over.
type Try struct {
	Trunk   string        // name; empty: a destination of the agent
	Target  string        // address:port; empty: none was chosen
	Code    int           // final response; 0: none came
	Cause   string        // why it was left without a final response, or before one came; empty: it was not
	Refusal Reason        // why the trunk was passed over; NoReason: it was not
	After   time.Duration // from the INVITE of the caller to the begin of the try
}

// String is "carrier 192.0.2.20:5060 503", "carrier 192.0.2.20:5060 no_response" or "carrier limit_channels".
func (t Try) String() string {
	var words []string
	for _, word := range []string{t.Trunk, t.Target} {
		if word != "" {
			words = append(words, word)
		}
	}
	if t.Code != 0 {
		words = append(words, strconv.Itoa(t.Code))
	}
	if t.Cause != "" {
		words = append(words, t.Cause)
	}
	if t.Refusal != NoReason {
		words = append(words, t.Refusal.String())
	}
	return strings.Join(words, " ")
}

// MediaStats is what one direction of the relay saw. All zero: no media passed through the edge.
type MediaStats struct {
	Packets uint64        // RTP packets forwarded
	Bytes   uint64        // RTP bytes forwarded, headers included
	Lost    uint64        // packets missing by sequence number
	Jitter  time.Duration // interarrival jitter at the end (RFC 3550 §6.4.1)

	RoundTrip time.Duration // between the edge and the sender, by RTCP; 0: unknown
	MOS       float64       // estimated listening quality of what arrived at the edge, 1 to 4.5, to the hundredth (ITU-T G.107); 0: unknown
	Codec     string        // name in the SDP answer; empty: unknown
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
