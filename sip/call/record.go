package call

import "time"

// Outcome classifies a finished call; String gives the value of the label "outcome".
type Outcome uint8

const (
	NoOutcome    Outcome = iota // not ended yet
	Answered                    // both sides were connected
	Busy                        // 486, 600
	NoAnswer                    // rang out, 480, 487 from the callee
	Cancelled                   // the caller gave up first
	Rejected                    // the callee or its network said no: other 4xx and 6xx
	Redirected                  // 3xx that was not followed
	CarrierError                // 5xx, 401/407, transport error, unusable answer
	TimedOut                    // silence: Timer B, 408, 504, no ACK
	Throttled                   // our rate or channel limit
	LocalError                  // no route, refused by us, drained, media, panic
)

var outcomeNames = [...]string{"none", "answered", "busy", "no_answer", "cancelled", "rejected", "redirected", "carrier_error", "timeout", "throttled", "local_error"}

func (o Outcome) String() string { return name(outcomeNames[:], uint8(o)) }

// Cause says why a call ended, for us and not for the peer; String gives a name from a closed set.
type Cause uint8

const (
	CauseNone         Cause = iota
	CauseBye                // BYE of a party
	CauseCancel             // CANCEL of the caller
	CauseRejected           // final response of the callee
	CauseAuth               // 401 or 407 that could not be answered
	CauseRingTimeout        // rang too long (INV-14, Timer C)
	CauseExpired            // the caller's Expires passed
	CauseNoResponse         // nothing came back: Timer B, F, or the silence limit
	CauseTransport          // ICMP, connect or write error
	CauseBadAnswer          // 2xx without Contact or usable SDP (INV-11)
	CauseMedia              // negotiation failed
	CauseAckTimeout         // a 2xx was never acknowledged (INV-07)
	CauseDialogLost         // 481 or 408 to a request inside the dialog (RINV-04)
	CauseSession            // session timer ran out
	CauseMediaTimeout       // no RTP
	CauseMaxDuration        // longest allowed call
	CauseTollSpent          // the minutes of the day are used up
	CauseDrain              // the edge is going down
	CauseAPI                // ended over the API
	CauseNoRoute            // no number, agent or trunk fits
	CauseUnresolved         // the target's name has no address
	CauseUnregistered       // the agent is registered nowhere and has no other address
	CauseGone               // the agent has registered, but nothing can be sent there any more
	CauseLimit              // concurrent calls
	CauseThrottled          // calls per second
	CauseOverload           // the edge is overloaded
	CauseForbidden          // refused by policy
	CausePanic              // a bug
)

var causeNames = [...]string{"none", "bye", "cancel", "rejected", "auth", "ring_timeout", "expired", "no_response", "transport",
	"bad_answer", "media", "ack_timeout", "dialog_lost", "session", "media_timeout", "max_duration", "toll_spent", "drain", "api", "no_route", "unresolved",
	"unregistered", "gone", "limit", "throttled", "overload", "forbidden", "panic"}

func (c Cause) String() string { return name(causeNames[:], uint8(c)) }

// Record is what remains of a call, but for numbers, trunk and media, which the shell knows. Complete when
// Finish is returned; before that, what is known so far.
type Record struct {
	Outcome    Outcome
	EndedBy    Side
	Cause      Cause
	Code       uint16 // final status the caller got for its INVITE; 0 = none yet
	CalleeCode uint16 // last final status the callee sent to our INVITE; 0 = none
	Reason     Reason // cause numbers of the BYE, CANCEL or response that ended the call

	Start      time.Time     // the INVITE
	Ringing    time.Time     // first 101–199 of the callee; zero = never
	Answer     time.Time     // 2xx passed to the caller; zero = never
	End        time.Time     // the call was over for the parties
	Disconnect time.Duration // from our first BYE to its answer; 0 = none answered

	Attempts   uint8  // INVITEs sent to targets
	Redirects  uint8  // 3xx followed
	Reinvites  uint16 // re-INVITEs that crossed with a 2xx
	LateAnswer bool   // a 2xx came after the end and was ACKed and BYEd; the carrier may bill it
	Ignored    uint16 // events that had no place in their state
}

// Record returns what is known of the call; complete once Finish was returned.
func (c *Call) Record() Record {
	return Record{
		Outcome: c.outcome, EndedBy: c.endedBy, Cause: c.cause, Code: c.code, CalleeCode: c.calleeCode, Reason: c.reason,
		Start: c.start, Ringing: c.moment(c.ringing), Answer: c.moment(c.answer), End: c.moment(c.end), Disconnect: c.disconnect,
		Attempts: c.attempts - c.unsent, Redirects: c.redirects, Reinvites: c.reinvites, LateAnswer: c.lateAnswer, Ignored: c.ignored,
	}
}

// moment turns a time since the start into a time, zero for never.
func (c *Call) moment(d time.Duration) time.Time {
	if d == never {
		return time.Time{}
	}
	return c.start.Add(d)
}

// Duration returns the answered time, 0 for a call without answer.
func (r *Record) Duration() time.Duration {
	if r.Answer.IsZero() {
		return 0
	}
	return r.End.Sub(r.Answer)
}
