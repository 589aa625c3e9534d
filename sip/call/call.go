package call

import (
	"cmp"
	"time"
)

// Options are the policy of a call. Many calls share one; it must not change while one of them lives.
// Nil or a zero field means the documented default.
type Options struct {
	T1              time.Duration // RFC 3261 §17.1.1.1; default 500 ms. 64*T1 bounds every wait for an ACK, a BYE, a cancelled INVITE
	RingTimeout     time.Duration // from Start to the answer, over all targets; default 3 min. The caller's Expires may shorten it
	Silence         time.Duration // how long a target may send nothing at all before the next is tried; default, and for the last one: Timer B
	MaxDuration     time.Duration // longest answered call; default 12 h
	ReinviteTimeout time.Duration // longest wait for the final response to a re-INVITE; default 3 min
	Failover        Failover      // what moves on to the next target; default 5xx and timeout
	Redirect        Redirect      // what a 3xx does
	MaxRedirects    uint8         // 3xx followed in one call; default 5. With RedirectFollow only
	Pass            MethodSet     // INFO, UPDATE, MESSAGE, REFER, NOTIFY, SUBSCRIBE that cross the edge; default none
	Codes           []CodeRule    // rows that replace those of the response table
}

// Redirect says what a 3xx of the callee does.
type Redirect uint8

const (
	RedirectRefuse Redirect = iota // the caller hears 480
	RedirectRelay                  // the caller hears the 3xx with its Contact
	RedirectFollow                 // contacts are tried, up to MaxRedirects; then the caller hears 480
)

// CodeRule replaces one row of the response table: the callee's From is shown to the caller as To (400–699).
type CodeRule struct{ From, To uint16 }

// The machine tells targets and dialogs of one call apart up to these numbers. A 2xx of a fork beyond
// is ACKed and BYEd without being remembered; a target beyond is not tried.
const (
	maxAttempts = 16
	maxForks    = 32
	maxRelays   = 8 // relayed requests of one side that wait for their answer
	maxActions  = 8 // longest list a Step returns
)

// never marks a moment that has not come.
const never = time.Duration(-1)

var defaults = Options{
	T1:              500 * time.Millisecond,
	RingTimeout:     3 * time.Minute,
	MaxDuration:     12 * time.Hour,
	ReinviteTimeout: 3 * time.Minute,
	MaxRedirects:    5,
}

// Call is one call through the edge. One goroutine owns it. The zero value must be Reset before use;
// a Call may be part of a larger struct and be reused.
type Call struct {
	opts  *Options
	start time.Time

	// Moments, as time since start; never = not yet.
	deadline   time.Duration // end of the wait of this state
	limit      time.Duration // setup: the callee must have answered; Ending: Finish whatever is open
	ringing    time.Duration
	answer     time.Duration
	accepted   time.Duration // first 2xx of any fork
	end        time.Duration
	byeSent    time.Duration
	disconnect time.Duration // length, not a moment

	exchange exchange
	sessions [2]session    // of Caller and Callee
	alarm    time.Duration // when the first of them wants something
	reason   Reason

	calleeReason Reason // of the last final response to our INVITE

	seed       uint32
	open       uint32 // attempts without a final response, by number
	forks      uint32 // dialogs of the callee heard of
	early      uint32 // forks of the current attempt that ring
	described  uint32 // forks that have sent an SDP answer in a provisional
	settled    uint32 // of these, forks that did so reliably: their offer/answer exchange is over
	acked      uint32 // forks whose 2xx was ACKed
	byed       uint32 // forks whose BYE waits for its answer
	code       uint16
	calleeCode uint16
	reinvites  uint16
	ignored    uint16

	state        State
	outcome      Outcome
	endedBy      Side
	cause        Cause
	attempt      uint8 // the one that may still win
	attempts     uint8 // made so far
	unsent       uint8 // of these, never sent
	targets      uint8 // not tried yet
	redirects    uint8
	chosen       uint8 // the fork that answered; noFork before
	callerRelays uint8 // relayed requests of a side without answer
	calleeRelays uint8
	provisional  uint8 // last 1xx to the caller, less 100
	carried      carried
	carriedFork  uint8
	reliable     reliable
	transfer     transfer

	late         bool // INVITE without an offer: it comes in the 2xx, the answer in the ACK (RFC 3261 §13.2.1)
	heard        bool // the attempt got a provisional
	listened     bool // the caller was sent an answer before the call was: it hears this target
	expires      bool // limit comes from the caller's Expires
	byeOnAck     bool // BYE to the caller as soon as its ACK came or cannot come any more (RFC 3261 §15)
	byeCaller    bool // our BYE to the caller waits for its answer
	lateAnswer   bool
	n            uint8
	actionsArray [maxActions]Action
}

// noFork is no number of a dialog.
const noFork = 255

// carried remembers the one action with a body of the last Step, in case media cannot do it.
type carried uint8

const (
	carriedNothing carried = iota
	carriedInvite
	carriedProvisional
	carriedAnswer
	carriedAck
	carriedReoffer
	carriedReanswer
	carriedReack
	carriedUpdate
	carriedUpdateAnswer
	carriedPrack
)

// New returns a call ready for its Start event. See Reset.
func New(o *Options, seed uint32) *Call {
	c := new(Call)
	c.Reset(o, seed)
	return c
}

// Reset makes c a fresh call. seed spreads Retry-After and glare back-off; any value will do.
func (c *Call) Reset(o *Options, seed uint32) {
	if o == nil {
		o = &defaults
	}
	*c = Call{
		opts: o, seed: seed*2654435769 | 1, chosen: noFork,
		deadline: never, limit: never, ringing: never, answer: never, accepted: never, end: never, byeSent: never,
		exchange: exchange{deadline: never}, alarm: never, reliable: reliable{audible: noFork, offerer: noFork},
	}
}

// Use makes o the policy from here on. The shell calls it before Start, and while it does an InviteCallee whose target belongs to
// another trunk; then it tells CalleeSent when the INVITE is out, so that the new patience holds.
func (c *Call) Use(o *Options) { c.opts = o }

// Step applies one event that happened at now and returns what must be done, in order. The slice is
// valid until the next Step of this call. No allocation.
func (c *Call) Step(now time.Time, ev Event) []Action {
	if c.state == Ended {
		return nil
	}
	if c.state == Idle {
		c.start = now
	}
	at := max(now.Sub(c.start), 0)
	c.n = 0
	carried := c.carried
	c.carried = carriedNothing

	switch ev.Kind {
	case Start:
		c.begin(at, ev)
	case Refuse:
		c.refuse(at, ev)
	case CallerCancelled:
		c.callerCancelled(at, ev)
	case CallerAcked:
		c.callerAcked(at, ev)
	case AckTimeout:
		c.ackTimeout(at, ev)
	case PrackTimeout:
		c.prackTimeout(at)
	case CalleeProvisional:
		c.calleeProvisional(at, ev)
	case CalleeAnswered:
		c.calleeAnswered(at, ev)
	case CalleeRejected:
		c.calleeRejected(at, ev)
	case CalleeFailed:
		c.calleeFailed(at, ev)
	case CalleeQueued:
		c.calleeQueued(ev)
	case CalleeSent:
		c.calleeSent(at, ev)
	case MediaFailed:
		c.mediaFailed(at, ev, carried)
	case Requested:
		c.requested(at, ev)
	case RequestAnswered:
		c.requestAnswered(at, ev)
	case RequestFailed:
		c.requestFailed(at, ev)
	case ReinviteAcked:
		c.reinviteAcked(ev)
	case ReinviteCancelled:
		c.reinviteCancelled(at, ev)
	case SessionAgreed:
		c.sessionAgreed(at, ev)
	case Referred:
		c.referred(ev)
	case TargetProgress:
		c.targetProgress(at, ev)
	case Joined:
		c.joined(ev)
	case Refresh:
		c.refresh(at, ev)
	case HangUp:
		c.hangUp(at, ev)
	case Panicked:
		c.panicked(at)
	case Tick:
		c.tick(at)
	default:
		c.ignore()
	}
	c.settle(at)
	return c.actionsArray[:c.n]
}

// NextDeadline says when a Tick is due; zero before Start and after Finish.
func (c *Call) NextDeadline() time.Time {
	d := c.deadline
	if x := c.exchange.deadline; x != never && (d == never || x < d) {
		d = x
	}
	if x := c.alarm; x != never && (d == never || x < d) {
		d = x
	}
	return c.moment(d)
}

// State returns where the call stands.
func (c *Call) State() State { return c.state }

// Chosen returns the fork whose 2xx was chosen; ok is false as long as there is none.
func (c *Call) Chosen() (fork uint8, ok bool) {
	return c.chosen, c.chosen != noFork && c.state >= Withheld && c.state <= Connected
}

// enter changes the state. until is when its wait ends at the latest.
func (c *Call) enter(s State, until time.Duration) { c.state, c.deadline = s, until }

// do puts an action on the list.
func (c *Call) do(a Action) {
	c.actionsArray[c.n] = a
	c.n++
}

// ignore counts an event that has no place in this state.
func (c *Call) ignore() {
	if c.ignored < 1<<16-1 {
		c.ignored++
	}
	c.do(Action{Kind: Ignore})
}

// patience is 64*T1: the longest a transaction of a live peer takes.
func (c *Call) patience() time.Duration { return 64 * cmp.Or(c.opts.T1, defaults.T1) }

// random returns a number in [0, n).
func (c *Call) random(n uint32) uint32 {
	c.seed ^= c.seed << 13
	c.seed ^= c.seed >> 17
	c.seed ^= c.seed << 5
	return c.seed % n
}

// retryAfter is the random wait we ask for with a 500 (RFC 3261 §14.2: 0–10 s; 0 would mean no header).
func (c *Call) retryAfter() uint16 { return uint16(1 + c.random(10)) }

// bit returns the mask of fork or attempt i, 0 for one too high to be remembered.
func bit(i uint8) uint32 {
	if i >= maxForks {
		return 0
	}
	return 1 << i
}
