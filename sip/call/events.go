package call

import "time"

// EventKind says what happened. The comment of each names the fields of Event it uses.
type EventKind uint8

const (
	// Start: an INVITE was admitted. SDP: None = no offer (late offer). Targets: how many
	// destinations the route has (0 counts as 1). After: value of its Expires, 0 = none.
	// Reliable: the caller takes reliable provisional responses. Required: it takes no others.
	Start EventKind = iota + 1
	// Refuse: the edge itself turns the call down before a callee was invited (no route, limit,
	// overload). May be the first event. Code, Cause, After (Retry-After to show, 0 = none).
	Refuse
	// CallerCancelled: a CANCEL matched the caller's INVITE; the transaction layer has answered
	// 200 to the CANCEL. Reason.
	CallerCancelled
	// CallerAcked: the first ACK to our 2xx to the first INVITE. SDP.
	CallerAcked
	// AckTimeout: no ACK to a 2xx we sent, in 64*T1. Side: who owes it.
	// Ref: 0 for the first INVITE, else the Ref of the re-INVITE.
	AckTimeout
	// PrackTimeout: the caller did not confirm a reliable provisional response in 64*T1.
	PrackTimeout
	// CalleeProvisional: 100–199 to our INVITE. Attempt, Fork (irrelevant for 100), Code, SDP.
	// Reliable: it wants a PRACK; the shell has dropped copies and what came before its turn.
	CalleeProvisional
	// CalleeAnswered: a 2xx to our INVITE: the first, a repeated one, or one of another fork; the
	// machine tells them apart. Attempt, Fork, Code, SDP, NoContact.
	CalleeAnswered
	// CalleeRejected: 300–699 to our INVITE (the ACK is the transaction layer's). 401 and 407 only
	// when the shell has no answer to the challenge. Attempt, Code, Reason, After (Retry-After),
	// Targets (3xx: contacts that may be tried and were not tried yet).
	CalleeRejected
	// CalleeFailed: our INVITE ended without a final response. Attempt.
	// Cause: CauseNoResponse (Timer B), CauseTransport (ICMP, connect, write), CauseGone (the same, of a phone),
	// CauseRingTimeout (Timer C; the layer has sent the CANCEL and the attempt is still open until
	// its final response or another CalleeFailed), CauseThrottled or CauseLimit (never sent, and the
	// first of them ends the call unless Targets says it may go elsewhere; After = Retry-After), CauseUnresolved (never sent: no address, no socket, no target of that number), CauseUnregistered (never sent: an agent that is nowhere).
	CalleeFailed
	// CalleeQueued: our INVITE waits for its turn. Nothing is expected of the target meanwhile. Attempt.
	CalleeQueued
	// CalleeSent: our INVITE went out only now, or again. The target's silence counts from here. Attempt.
	CalleeSent
	// MediaFailed: the shell could not carry out the one action with a body in the list of the Step
	// before this one, because negotiation failed. That action was skipped, the rest of the list was
	// done, no other event came between. Code: the status media suggests (488, 400, 503), 0 = 488.
	MediaFailed
	// Requested: an in-dialog request other than ACK and CANCEL is at hand, its CSeq already checked.
	// Side: who sent it. Method, SDP, Fork (callee side), Reason (BYE). A PRACK confirms the reliable
	// provisional response that waits for one: the shell has refused any other with 481.
	Requested
	// RequestAnswered: a final response to an in-dialog request we sent. Side: who answered.
	// Method, Code, SDP, Fork (BYE to the callee), Ref (INVITE, Update). A 2xx to INVITE is reported each time it
	// comes; provisionals and a challenge the shell can answer are not reported.
	RequestAnswered
	// RequestFailed: no final response to an in-dialog request we sent. Side, Method, Fork (BYE),
	// Ref (INVITE, Update), Cause: CauseNoResponse or CauseTransport.
	RequestFailed
	// ReinviteAcked: the first ACK to our 2xx to a re-INVITE of Side. Ref, SDP.
	ReinviteAcked
	// ReinviteCancelled: a CANCEL matched the open re-INVITE of Side; the layer has answered it. Ref.
	ReinviteCancelled
	// SessionAgreed: a 2xx to an INVITE or UPDATE, either way, has agreed on the session timer of Side, Fork
	// (RFC 4028). After: its interval, 0 = none. Ours: we refresh. Method: UPDATE if that side takes it, else INVITE.
	SessionAgreed
	// Referred: a REFER of Side, Fork asks for the other party to be connected with a target. Code: 0, or the final
	// response with which the shell refuses it (the target is none the side may call).
	Referred
	// TargetProgress: what the target of the transfer under way says. Code: 101–199, or the final response, 300–699,
	// with which it or the join with it failed. That it has answered shows as a re-INVITE of the side that transferred
	// (Requested), which the shell makes of its description.
	TargetProgress
	// Joined: that re-INVITE crossed: in place of Side, whose old dialog the shell ends, stands the target from now on.
	Joined
	// Refresh: the shell wants an own re-INVITE with the session as it is sent to Side (session
	// timer, moved connection). Refused silently (Ignore) while another INVITE is open.
	Refresh
	// HangUp: the edge ends the call (API, drain, no media). Cause, Code (final
	// response if the caller has none yet, 0 = by cause), Reason.
	HangUp
	// Panicked: the shell recovered from a panic while it worked for this call.
	Panicked
	// Tick: NextDeadline has come. Early and repeated ticks do no harm.
	Tick
)

var eventNames = [...]string{"", "start", "refuse", "caller-cancelled", "caller-acked", "ack-timeout",
	"prack-timeout", "callee-provisional", "callee-answered", "callee-rejected", "callee-failed", "callee-queued", "callee-sent", "media-failed", "requested",
	"request-answered", "request-failed", "reinvite-acked", "reinvite-cancelled", "session-agreed", "referred", "target-progress", "joined", "refresh", "hang-up", "panicked", "tick"}

func (k EventKind) String() string { return name(eventNames[:], uint8(k)) }

// Event is something that happened to one call. It is a plain value; fields that the kind does not
// name are ignored. The message it tells about is "the message at hand" while its Step's actions are done.
type Event struct {
	Kind      EventKind
	Side      Side
	Method    Method
	SDP       SDP
	Attempt   uint8 // which InviteCallee, as numbered by that action
	Fork      uint8 // which dialog of the callee: the shell numbers To-tags 0, 1, 2 … per call, over all attempts
	Ref       uint8 // which re-INVITE, as numbered by Reinvite, on both sides; 0 = the first INVITE
	Cause     Cause
	Targets   uint8
	NoContact bool // a 2xx without a usable Contact
	Reliable  bool // see Start, CalleeProvisional
	Required  bool
	Ours      bool // see SessionAgreed
	Pass      bool // Requested: it crosses whatever Options.Pass says
	NoUpdate  bool // Requested, UPDATE: the other side takes no UPDATE
	Digit     bool // Requested, INFO: it is one that the edge plays to the other side's media
	Code      uint16
	Reason    Reason
	After     time.Duration
}

// SDP says what the message at hand carries.
type SDP uint8

const (
	SDPNone SDP = iota // no session description
	SDPGood            // one that parses; whether it can be negotiated shows when an action uses it
	SDPBad             // one that does not parse, or a body of a type we do not take
)

var sdpNames = [...]string{"none", "sdp", "bad"}

func (s SDP) String() string { return name(sdpNames[:], uint8(s)) }

// Method is an in-dialog method, as far as decisions differ.
type Method uint8

const (
	UnknownMethod Method = iota // a method we never heard of: 501
	INVITE
	BYE
	INFO
	UPDATE
	MESSAGE
	REFER
	NOTIFY
	SUBSCRIBE
	OPTIONS
	PRACK
	OtherMethod // known, but senseless inside a dialog (REGISTER, PUBLISH): 405
)

var methodNames = [...]string{"unknown", "INVITE", "BYE", "INFO", "UPDATE", "MESSAGE", "REFER", "NOTIFY", "SUBSCRIBE", "OPTIONS", "PRACK", "other"}

func (m Method) String() string { return name(methodNames[:], uint8(m)) }

// MethodSet is a set of methods.
type MethodSet uint16

// Methods returns the set of the given methods.
func Methods(list ...Method) (s MethodSet) {
	for _, m := range list {
		s |= 1 << m
	}
	return s
}

// Has reports whether m is in the set.
func (s MethodSet) Has(m Method) bool { return s&(1<<m) != 0 }

// Reason holds the cause numbers of a Reason header (RFC 3326); zero = not given.
type Reason struct {
	SIP  uint16 // protocol=SIP
	Q850 uint8  // protocol=Q.850
}
