package call

import (
	"cmp"
	"math"
	"time"
)

// begin invites the first target for an admitted INVITE.
func (c *Call) begin(at time.Duration, ev Event) {
	if c.state != Idle {
		c.ignore()
		return
	}
	if ev.SDP == SDPBad {
		c.respondFinal(Action{Code: 488})
		c.over(at, LocalError, Edge, CauseMedia)
		return
	}
	c.late = ev.SDP == SDPNone
	c.reliable.able, c.reliable.must = ev.Reliable || ev.Required, ev.Required
	c.targets = max(ev.Targets, 1)
	c.limit = at + cmp.Or(c.opts.RingTimeout, defaults.RingTimeout)
	if ev.After > 0 && at+ev.After < c.limit {
		c.limit, c.expires = at+ev.After, true
	}
	c.inviteNext(at)
}

// refuse answers an INVITE that no callee will ever see.
func (c *Call) refuse(at time.Duration, ev Event) {
	if c.state != Idle {
		c.ignore()
		return
	}
	c.respondFinal(Action{Code: failure(ev.Code, ev.Cause), RetryAfter: seconds(ev.After)})
	o := OutcomeOfCause(ev.Cause)
	if ev.Cause == CauseRejected { // the caller's side of a call that we make
		o = OutcomeOf(ev.Code)
	}
	c.over(at, o, Edge, ev.Cause)
}

// setup reports whether the callee still may answer.
func (c *Call) setup() bool { return c.state == Inviting || c.state == Ringing }

// unanswered reports whether the caller's INVITE is still open and a callee was invited.
func (c *Call) unanswered() bool { return c.setup() || c.state == Withheld }

// inviteNext sends the INVITE to the next target and reports false if none is left.
func (c *Call) inviteNext(at time.Duration) bool {
	if c.targets == 0 || c.attempts == maxAttempts || at >= c.limit {
		return false
	}
	c.targets--
	c.attempt = c.attempts
	c.attempts++
	c.open |= bit(c.attempt)
	c.heard = false
	c.early = 0
	c.reliable.audible = noFork
	c.enter(Inviting, c.patienceEnds(at))
	a := Action{Kind: InviteCallee, Attempt: c.attempt, Body: BodyLast}
	if c.late {
		a.Body = BodyNone
	}
	c.do(a)
	c.carried = carriedInvite
	return true
}

// patienceEnds is when a target invited at this moment counts as silent. The last one has Timer B: to give it up would win
// nothing.
func (c *Call) patienceEnds(at time.Duration) time.Duration {
	if s := c.opts.Silence; s > 0 && c.targets > 0 && c.attempts < maxAttempts && c.opts.Failover.OnTimeout() && !c.listened {
		return min(c.limit, at+s)
	}
	return c.limit
}

// calleeQueued stops the clock of silence: the target does not know of the call yet.
func (c *Call) calleeQueued(ev Event) {
	if c.state != Inviting || ev.Attempt != c.attempt || c.heard {
		c.ignore()
		return
	}
	c.deadline = c.limit
}

// calleeSent starts the clock of silence, or starts it again.
func (c *Call) calleeSent(at time.Duration, ev Event) {
	if c.state != Inviting || ev.Attempt != c.attempt || c.heard {
		c.ignore()
		return
	}
	c.deadline = c.patienceEnds(at)
}

// calleeProvisional passes ringing and early media on. All forks are shown to the caller in one dialog:
// the relay keeps our media address the same, whichever fork sends (RFC 3960; RFC 7092 §3.1).
func (c *Call) calleeProvisional(at time.Duration, ev Event) {
	if !c.setup() || ev.Attempt != c.attempt || c.open&bit(ev.Attempt) == 0 {
		c.ignore()
		return
	}
	c.heard = true
	c.deadline = c.limit
	if ev.Code == 100 {
		return // hop by hop
	}
	c.forks |= bit(ev.Fork)
	if ev.Code == 199 {
		c.earlyDialogEnded(ev)
		return
	}
	c.early |= bit(ev.Fork)
	if c.ringing == never {
		c.ringing = at
	}
	a := Action{Kind: RespondCaller, Code: 183, Fork: ev.Fork, AtHand: true}
	if ev.Code >= 180 && ev.Code <= 183 {
		a.Code = ev.Code
	}
	if ev.SDP == SDPGood && c.maySee(ev) {
		a.Body = BodyAtHand
		c.describe(ev)
		c.listened = true
		c.carried, c.carriedFork = carriedProvisional, ev.Fork
	}
	c.provisional = uint8(a.Code - 100)
	c.enter(Ringing, c.limit)
	c.respondProvisional(a, ev.Reliable)
	if ev.Reliable && c.reliable.offerer != ev.Fork {
		c.do(Action{Kind: Prack, Fork: ev.Fork})
	}
}

// earlyDialogEnded is DLG-05: a proxy tells that one of the phones will not answer (RFC 6228). Another may.
func (c *Call) earlyDialogEnded(ev Event) {
	c.early &^= bit(ev.Fork)
	if c.reliable.audible == ev.Fork {
		c.reliable.audible = noFork
	}
	if ev.Reliable {
		c.do(Action{Kind: Prack, Fork: ev.Fork})
	}
}

// calleeRejected tries another target or tells the caller. A target that the caller has been hearing is the last one: what it says
// there, an announcement perhaps, was about the call, and another target's answer would contradict the one given (RFC 3264 §4).
func (c *Call) calleeRejected(at time.Duration, ev Event) {
	if c.open&bit(ev.Attempt) == 0 {
		c.ignore()
		return
	}
	c.open &^= bit(ev.Attempt)
	if !c.setup() || ev.Attempt != c.attempt {
		return // the 487 after our CANCEL
	}
	c.calleeCode = ev.Code
	if ev.Code < 400 && c.redirected(at, ev) {
		return
	}
	c.calleeReason = ev.Reason
	if !c.listened && c.opts.Failover.On(ev.Code) && c.inviteNext(at) {
		return
	}
	c.respondFinal(Action{Code: c.forCaller(ev.Code), AtHand: true, Reason: ev.Reason})
	c.rejected(at)
}

// rejected ends the call with what the callee said last.
func (c *Call) rejected(at time.Duration) {
	c.reason = c.calleeReason
	cause := CauseRejected
	if c.calleeCode == 401 || c.calleeCode == 407 {
		cause = CauseAuth
	}
	c.over(at, OutcomeOf(c.calleeCode), Callee, cause)
}

// redirected follows a 3xx if policy, the limit and its contacts allow it (RFC 3261 §8.1.3.4).
func (c *Call) redirected(at time.Duration, ev Event) bool {
	if c.opts.Redirect != RedirectFollow || ev.Targets == 0 || c.attempts == maxAttempts || at >= c.limit ||
		c.redirects >= cmp.Or(c.opts.MaxRedirects, defaults.MaxRedirects) {
		return false
	}
	c.redirects++
	c.targets = uint8(min(int(c.targets)+int(ev.Targets), maxAttempts))
	c.do(Action{Kind: TakeContacts})
	return c.inviteNext(at)
}

// calleeFailed tries another target or tells the caller that nobody answered the INVITE.
func (c *Call) calleeFailed(at time.Duration, ev Event) {
	if c.open&bit(ev.Attempt) == 0 {
		c.ignore()
		return
	}
	if ev.Cause == CauseRingTimeout { // Timer C has cancelled; the attempt lives on until its final response
		if c.setup() && ev.Attempt == c.attempt {
			c.rangOut(at, CauseRingTimeout)
		}
		return
	}
	c.open &^= bit(ev.Attempt)
	unsent, moves := true, true
	switch ev.Cause {
	case CauseNoRoute:
		ev.Cause = CauseUnresolved // the number is routed, its target cannot be reached: 503, not 404
	case CauseLimit, CauseUnresolved, CauseUnregistered:
	case CauseThrottled:
		moves = ev.Targets > 0
	default:
		unsent, moves = false, c.opts.Failover.OnTimeout() && !c.listened
	}
	if unsent {
		c.unsent++
	}
	if !c.setup() || ev.Attempt != c.attempt || moves && c.inviteNext(at) {
		return
	}
	if c.calleeCode != 0 && (unsent || c.calleeCode/100 == 4) { // a target before this one has spoken, and that says more: RFC 3261 §16.7 step 6
		c.respondFinal(Action{Code: c.forCaller(c.calleeCode), RetryAfter: seconds(ev.After), Reason: c.calleeReason})
		c.rejected(at)
		return
	}
	c.respondFinal(Action{Code: statusOf(ev.Cause), RetryAfter: seconds(ev.After)})
	c.over(at, OutcomeOfCause(ev.Cause), Edge, ev.Cause)
}

// silent gives up a target that has sent nothing at all. Should it wake up, its 2xx is ACKed and BYEd.
func (c *Call) silent(at time.Duration) {
	c.cancelCallee(Action{})
	if c.inviteNext(at) {
		return
	}
	c.respondFinal(Action{Code: 408})
	c.over(at, TimedOut, Edge, CauseNoResponse)
}

// rangOut tells the caller that nobody came to the phone: 480, or 408 if it never rang (INV-14). RFC 3261
// §13.3.1 would have 487 for an expired INVITE; carriers read 487 as the caller's own CANCEL.
func (c *Call) rangOut(at time.Duration, cause Cause) {
	code, outcome := uint16(480), NoAnswer
	if c.ringing == never {
		code, outcome = 408, TimedOut
	}
	c.respondFinal(Action{Code: code})
	c.over(at, outcome, Edge, cause)
}

// respondFinal answers the caller's INVITE for good.
func (c *Call) respondFinal(a Action) {
	a.Kind = RespondCaller
	c.code = a.Code
	c.do(a)
}

// seconds turns a Retry-After into what fits its field; 0 stays none.
func seconds(d time.Duration) uint16 {
	if d <= 0 {
		return 0
	}
	return uint16(min((d+time.Second-1)/time.Second, math.MaxUint16))
}
