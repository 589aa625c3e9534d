package call

import (
	"cmp"
	"time"
)

// exchange is the one change of the session that may be under way: a re-INVITE or an UPDATE with SDP,
// passed from one side to the other, or a re-INVITE of our own. RFC 3261 §14, RFC 6141, RFC 3311.
type exchange struct {
	deadline time.Duration
	phase    phase
	from     Side // whose request it is; Edge = ours
	to       Side
	method   Method // UPDATE or PRACK: what brought the offer; else it was a re-INVITE
	ref      uint8
	retries  uint8
	late     bool // re-INVITE without an offer: the 2xx brings it, the ACK the answer
	acked    bool // the 2xx of to was ACKed
	open     bool // our INVITE to to has no final response yet
}

type phase uint8

const (
	quiet      phase = iota
	offered          // to's final response is awaited
	confirming       // the 2xx went to from, whose ACK is awaited
	cancelling       // from gave up, or to took too long; to's final response is awaited
	backingOff       // our own re-INVITE met 491 and will be repeated
	updating         // an UPDATE with SDP crossed, its answer is awaited
)

func (x *exchange) busy() bool { return x.phase != quiet && x.phase != backingOff || x.open }

func (x *exchange) waitsForAck(from Side, ref uint8) bool {
	return x.phase == confirming && x.from == from && x.ref == ref
}

func (x *exchange) waitsForFinal(to Side, ref uint8) bool {
	return (x.phase == offered || x.phase == cancelling) && x.to == to && x.ref == ref
}

// begin starts a new exchange; what the last one left behind is forgotten.
func (x *exchange) begin(p phase, from, to Side, until time.Duration) {
	*x = exchange{deadline: until, phase: p, from: from, to: to, ref: x.ref, retries: x.retries}
	if p == offered {
		x.open = true
		if x.ref++; x.ref == 0 { // 0 is the first INVITE
			x.ref = 1
		}
	}
}

func (x *exchange) done() { x.phase, x.deadline = quiet, never }

// reinviteRequested passes a re-INVITE on if nothing else is under way.
func (c *Call) reinviteRequested(at time.Duration, ev Event) {
	x := &c.exchange
	switch {
	case c.state == Idle || c.state == Ending:
		c.respond(ev, 481)
	case c.unanswered() && ev.Side == Caller:
		c.respondLater(ev) // its first INVITE is still open
	case c.state != Connected: // RINV-03; the callee's also while its 2xx was not passed on
		c.respond(ev, 491)
	case c.transfer.gone(ev.Side.Other()): // there is nobody to pass it to, yet
		c.respond(ev, 491)
	case ev.SDP == SDPBad:
		c.respond(ev, 488)
	case x.from == ev.Side && (x.phase == offered || x.phase == cancelling || x.phase == updating):
		c.respondLater(ev) // RINV-05
	case x.busy(): // RINV-02, RINV-03: glare, or the ACK to the last one is on its way
		c.respond(ev, 491)
	default:
		x.begin(offered, ev.Side, ev.Side.Other(), at+cmp.Or(c.opts.ReinviteTimeout, defaults.ReinviteTimeout))
		x.retries = 0
		x.late = ev.SDP == SDPNone
		a := Action{Kind: Reinvite, Side: x.to, Ref: x.ref}
		if !x.late {
			a.Body = BodyAtHand
			c.carried = carriedReoffer
		}
		c.do(a)
	}
}

// refresh sends an own re-INVITE, unless some other would do as well.
func (c *Call) refresh(at time.Duration, ev Event) {
	if c.state != Connected || c.exchange.busy() || (ev.Side != Caller && ev.Side != Callee) {
		c.ignore()
		return
	}
	c.exchange.retries = 0
	c.reinviteOwn(at, ev.Side)
}

func (c *Call) reinviteOwn(at time.Duration, to Side) {
	c.exchange.begin(offered, Edge, to, at+cmp.Or(c.opts.ReinviteTimeout, defaults.ReinviteTimeout))
	c.do(Action{Kind: Reinvite, Side: to, Ref: c.exchange.ref, Body: BodyLast})
}

// reinviteAnswered takes a final response to a re-INVITE we sent.
func (c *Call) reinviteAnswered(at time.Duration, ev Event) {
	x := &c.exchange
	expected := x.waitsForFinal(ev.Side, ev.Ref)
	if ev.Side == x.to && ev.Ref == x.ref {
		x.open = false
	}
	switch {
	case ev.Code >= 300 && !expected:
		// The 487 of a re-INVITE that a BYE overtook.
	case ev.Code >= 300:
		c.reinviteRejected(at, ev)
	case !expected && x.waitsForAck(x.from, ev.Ref) && x.late && ev.Side == x.to:
		// A copy, while our ACK still waits for the answer in the other side's.
	case !expected: // a copy, or too late: RFC 3261 §13.2.2.4 wants an ACK for each
		c.do(Action{Kind: AckReinvite, Side: ev.Side, Ref: ev.Ref, Again: true})
	case x.from == Edge:
		c.ackReinvite(BodyNone)
		c.reinvited()
	default:
		c.reinviteAccepted(at, ev)
	}
}

// reinviteAccepted passes a 2xx on. Without an offer in the re-INVITE the ACK waits for the other side's.
func (c *Call) reinviteAccepted(at time.Duration, ev Event) {
	x := &c.exchange
	switch {
	case ev.SDP == SDPGood && x.method == UPDATE:
		c.do(Action{Kind: RelayResponse, Side: x.from, Method: UPDATE, Code: 200, Body: BodyAtHand, AtHand: true})
		c.carried = carriedUpdateAnswer
		c.ackReinvite(BodyNone)
		c.reinvited()
	case ev.SDP == SDPGood:
		x.phase, x.deadline = confirming, at+c.patience()
		c.do(Action{Kind: RespondReinvite, Side: x.from, Ref: x.ref, Code: 200, Body: BodyAtHand, AtHand: true})
		c.carried = carriedReanswer
		if !x.late {
			c.ackReinvite(BodyNone)
		}
	case ev.SDP == SDPNone || x.late: // nothing to tell the other side: the session stays as it was
		c.ackReinvite(BodyNone)
		c.rejectReinvite(Action{Code: 500})
	default: // the callee believes in a session we do not know
		c.ackReinvite(BodyNone)
		c.rejectReinvite(Action{Code: 488})
		c.lost(at, CauseMedia)
	}
}

// reinviteRejected leaves the session as it was (RINV-04), except after 481 and 408: RFC 3261 §12.2.1.2.
func (c *Call) reinviteRejected(at time.Duration, ev Event) {
	x := &c.exchange
	if x.from == Edge && ev.Code == 491 && x.phase == offered && x.retries < 4 {
		x.retries++
		x.phase, x.deadline = backingOff, at+c.backOff(x.to)
		return
	}
	c.rejectReinvite(Action{Code: insideDialog(ev.Code), AtHand: true})
	if x.from == Edge {
		c.refreshLater(at, x.to)
	}
	if ev.Code == 481 || ev.Code == 408 {
		c.lost(at, CauseDialogLost)
	}
}

// backOff is the wait after glare: 2.1–4 s if we made the Call-ID of that dialog, else 0–2 s, in steps of
// 10 ms (RFC 3261 §14.1).
func (c *Call) backOff(to Side) time.Duration {
	if to == Callee {
		return 2100*time.Millisecond + time.Duration(c.random(191))*10*time.Millisecond
	}
	return time.Duration(c.random(201)) * 10 * time.Millisecond
}

// reinviteFailed takes the silence of a side for its end. A side that was cancelled and keeps quiet gets
// the benefit of the doubt.
func (c *Call) reinviteFailed(at time.Duration, ev Event) {
	x := &c.exchange
	expected := x.waitsForFinal(ev.Side, ev.Ref)
	if ev.Side == x.to && ev.Ref == x.ref {
		x.open = false
	}
	switch {
	case !expected:
	case x.phase == cancelling:
		c.rejectReinvite(Action{Code: 487})
	default:
		c.rejectReinvite(Action{Code: 408})
		c.lost(at, ev.Cause)
	}
}

// reinviteAcked completes a re-INVITE.
func (c *Call) reinviteAcked(ev Event) {
	x := &c.exchange
	if !x.waitsForAck(ev.Side, ev.Ref) || c.state != Connected {
		c.ignore()
		return
	}
	if x.late {
		if ev.SDP == SDPGood {
			c.ackReinvite(BodyAtHand)
			c.carried = carriedReack
		} else { // an offer must not stay without an answer: the one we gave last
			c.ackReinvite(BodyLast)
		}
	}
	c.reinvited()
}

// reinviteCancelled passes the CANCEL on and leaves it to the other side whether it came in time, so that
// both sides hold the same session afterwards.
func (c *Call) reinviteCancelled(at time.Duration, ev Event) {
	x := &c.exchange
	if x.phase != offered || x.from != ev.Side || x.ref != ev.Ref {
		c.ignore()
		return
	}
	c.cancelReinvite(at)
}

func (c *Call) cancelReinvite(at time.Duration) {
	x := &c.exchange
	x.phase, x.deadline = cancelling, at+c.patience()
	c.do(Action{Kind: CancelReinvite, Side: x.to, Ref: x.ref})
}

// exchangeExpired ends a wait of the exchange.
func (c *Call) exchangeExpired(at time.Duration) {
	x := &c.exchange
	switch x.phase {
	case offered:
		c.cancelReinvite(at)
	case cancelling:
		c.rejectReinvite(Action{Code: 487})
	case confirming:
		c.lost(at, CauseAckTimeout)
	case backingOff:
		c.reinviteOwn(at, x.to)
	case updating:
		c.updateFailed(at, CauseNoResponse)
	default:
		x.done()
	}
}

// leaveExchange tidies up when the call ends: the open request gets its final response (RFC 3261 §15.1.2:
// 487), the open 2xx its ACK. Our own open INVITE is ended by the BYE that follows.
func (c *Call) leaveExchange() {
	x := &c.exchange
	switch x.phase {
	case offered, cancelling:
		c.rejectReinvite(Action{Code: 487})
	case confirming:
		if x.late {
			c.ackReinvite(BodyLast)
		}
	case updating:
		c.do(Action{Kind: RelayResponse, Side: x.from, Method: x.method, Code: 481})
	}
	x.done()
}

// lost ends a connected call because of what happened to a request inside its dialogs.
func (c *Call) lost(at time.Duration, why Cause) {
	if c.state != Connected && c.state != Answering {
		return
	}
	c.hangUpBoth(at, why)
	c.over(at, Answered, Edge, why)
}

// rejectReinvite gives the side that asked its non-2xx and ends the exchange.
func (c *Call) rejectReinvite(a Action) {
	x := &c.exchange
	x.done()
	if x.from == Edge {
		return
	}
	a.Kind, a.Side, a.Ref = RespondReinvite, x.from, x.ref
	if x.method == UPDATE {
		a.Kind, a.Method, a.Ref, a.Code = RelayResponse, UPDATE, 0, insideRequest(a.Code)
	}
	c.do(a)
}

func (c *Call) ackReinvite(body Body) {
	c.exchange.acked = true
	c.do(Action{Kind: AckReinvite, Side: c.exchange.to, Ref: c.exchange.ref, Body: body})
}

// reinvited counts a completed exchange.
func (c *Call) reinvited() {
	c.exchange.done()
	if c.reinvites < 1<<16-1 {
		c.reinvites++
	}
}
