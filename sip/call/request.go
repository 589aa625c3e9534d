package call

import "time"

// requested answers or passes on an in-dialog request.
func (c *Call) requested(at time.Duration, ev Event) {
	switch {
	case ev.Side != Caller && ev.Side != Callee:
		c.ignore()
	case ev.Side == Callee && c.chosen != noFork && ev.Fork != c.chosen:
		c.requestedByLoser(ev)
	case ev.Side == Callee && c.setup() && c.early&bit(ev.Fork) == 0 && ev.Fork < maxForks:
		c.requestedByLoser(ev) // its early dialog has ended
	case ev.Method == BYE:
		c.byeRequested(at, ev)
	case ev.Method == PRACK && c.state != Idle:
		c.pracked(at, ev)
	case ev.Method == INVITE:
		c.reinviteRequested(at, ev)
	case c.state == Idle || c.state == Ending:
		c.respond(ev, 481)
	case ev.Method == OPTIONS:
		c.respond(ev, 200) // DLG-08
	case ev.Method == UPDATE:
		c.updateRequested(at, ev)
	case ev.Method == INFO && ev.Digit:
		c.digitRequested(ev)
	default:
		c.relay(ev)
	}
}

// requestedByLoser answers a fork that was not chosen; it is being hung up on.
func (c *Call) requestedByLoser(ev Event) {
	if ev.Method == BYE {
		c.respond(ev, 200)
		return
	}
	c.respond(ev, 481)
}

// relay passes INFO, MESSAGE and the like on by policy.
func (c *Call) relay(ev Event) {
	switch {
	case !c.opts.Pass.Has(ev.Method) && !ev.Pass || ev.Method == UnknownMethod || ev.Method == OtherMethod:
		c.respond(ev, refusal(ev.Method))
	case c.unanswered():
		c.respond(ev, 491) // there is no one dialog yet to pass it into
	case c.transfer.gone(ev.Side.Other()):
		c.respond(ev, 491)
	case *c.relays(ev.Side) == maxRelays:
		c.respondLater(ev)
	default:
		*c.relays(ev.Side)++
		c.do(Action{Kind: Relay, Side: ev.Side.Other(), Method: ev.Method, Fork: c.forkOf(ev.Side.Other())})
	}
}

// digitRequested has a digit played that came in an INFO (MED-06). Before the answer a caller may have business with the target
// that it hears; which of several targets the caller should hear digits of, nobody could say.
func (c *Call) digitRequested(ev Event) {
	if c.unanswered() && (ev.Side == Callee || c.reliable.audible == noFork) {
		c.respond(ev, 491)
		return
	}
	c.do(Action{Kind: Play, Side: ev.Side, Method: INFO, Fork: ev.Fork})
}

// Reaches returns the dialog in which the edge may send a request of its own to Caller or Callee now; ok is false while there is
// none. Before the answer that is the early dialog of the target whose media the caller hears (RFC 3261 §12.1).
func (c *Call) Reaches(s Side) (fork uint8, ok bool) {
	switch {
	case c.transfer.gone(s):
		return 0, false
	case c.setup():
		fork = c.reliable.audible
		return fork, s == Callee && fork != noFork && c.early&bit(fork) != 0
	case c.state == Answering:
		return c.chosen, s == Callee && c.acked&bit(c.chosen) != 0
	}
	return c.forkOf(s), c.state == Connected
}

// relays returns how many relayed requests of a side wait for their answer.
func (c *Call) relays(from Side) *uint8 {
	if from == Caller {
		return &c.callerRelays
	}
	return &c.calleeRelays
}

// forkOf returns the dialog that a request to a side goes to; 0 for the caller, who has but one.
func (c *Call) forkOf(s Side) uint8 {
	switch {
	case s != Callee:
	case c.chosen != noFork:
		return c.chosen
	case c.reliable.audible != noFork:
		return c.reliable.audible
	}
	return 0
}

// updateRequested answers an UPDATE without SDP itself (UPD-03: each leg has its own timer and target) and
// passes an offer on when none is open (RFC 3311 §5.2).
func (c *Call) updateRequested(at time.Duration, ev Event) {
	x := &c.exchange
	switch {
	case ev.SDP == SDPNone:
		c.respond(ev, 200)
	case !c.opts.Pass.Has(UPDATE):
		c.respond(ev, 405)
	case ev.SDP == SDPBad:
		c.respond(ev, 488)
	case c.unanswered():
		c.earlyUpdate(at, ev)
	case x.busy() && x.from == ev.Side:
		c.respondLater(ev) // its last offer has no answer
	case c.state != Connected || x.busy() || c.transfer.gone(ev.Side.Other()):
		c.respond(ev, 491) // ours has none
	case ev.NoUpdate:
		c.updateByReinvite(at, ev)
	default:
		c.relayOffer(at, ev, UPDATE)
	}
}

// updateByReinvite passes the offer of an UPDATE on in a re-INVITE, to a side that knows no other way.
func (c *Call) updateByReinvite(at time.Duration, ev Event) {
	x := &c.exchange
	x.begin(offered, ev.Side, ev.Side.Other(), at+c.patience())
	x.method = UPDATE
	c.do(Action{Kind: Reinvite, Side: x.to, Ref: x.ref, Body: BodyAtHand})
	c.carried = carriedReoffer
}

// relayOffer passes the offer at hand on in an UPDATE; its answer goes back in the response to the request that brought it.
func (c *Call) relayOffer(at time.Duration, ev Event, method Method) {
	x := &c.exchange
	x.begin(updating, ev.Side, ev.Side.Other(), at+c.patience())
	x.method = method
	c.reliable.moved = true
	c.do(Action{Kind: Relay, Side: x.to, Method: UPDATE, Fork: c.forkOf(x.to), Body: BodyAtHand})
	c.carried = carriedUpdate
}

// requestAnswered takes the final response to an in-dialog request we sent.
func (c *Call) requestAnswered(at time.Duration, ev Event) {
	switch {
	case c.state == Idle || ev.Side != Caller && ev.Side != Callee || ev.Code < 200:
		c.ignore()
	case ev.Method == BYE:
		c.byeDone(at, ev, true)
	case ev.Method == INVITE:
		c.reinviteAnswered(at, ev)
	case ev.Method == UPDATE && ev.Ref != 0:
		c.refreshAnswered(at, ev)
	case ev.Method == UPDATE:
		c.updateAnswered(at, ev)
	case ev.Method == INFO && ev.Ref != 0:
		if ev.Code == 481 || ev.Code == 408 { // RFC 3261 §12.2.1.2, RFC 5057 §5.1
			c.lost(at, CauseDialogLost)
		}
	case ev.Method == PRACK: // its failure is the INVITE's, which ends by itself
	case *c.relays(ev.Side.Other()) == 0:
		c.ignore()
	default:
		*c.relays(ev.Side.Other())--
		c.do(Action{Kind: RelayResponse, Side: ev.Side.Other(), Method: ev.Method, Code: insideRequest(ev.Code), AtHand: true})
		if ev.Code == 481 {
			c.lost(at, CauseDialogLost)
		}
	}
}

// requestFailed takes the silence that answered an in-dialog request. An INFO without an answer is no
// reason to end a call; an UPDATE or re-INVITE is (RFC 3261 §12.2.1.2).
func (c *Call) requestFailed(at time.Duration, ev Event) {
	switch {
	case c.state == Idle || ev.Side != Caller && ev.Side != Callee:
		c.ignore()
	case ev.Method == BYE:
		c.byeDone(at, ev, false)
	case ev.Method == INVITE:
		c.reinviteFailed(at, ev)
	case ev.Method == UPDATE && ev.Ref != 0:
		c.lost(at, ev.Cause)
	case ev.Method == UPDATE:
		if c.exchange.phase != updating || c.exchange.to != ev.Side {
			c.ignore()
			return
		}
		c.updateFailed(at, ev.Cause)
	case ev.Method == PRACK, ev.Method == INFO && ev.Ref != 0:
	case *c.relays(ev.Side.Other()) == 0:
		c.ignore()
	default:
		*c.relays(ev.Side.Other())--
		c.do(Action{Kind: RelayResponse, Side: ev.Side.Other(), Method: ev.Method, Code: insideRequest(408)})
	}
}

func (c *Call) updateAnswered(at time.Duration, ev Event) {
	x := &c.exchange
	if x.phase != updating || x.to != ev.Side {
		c.ignore()
		return
	}
	a := Action{Kind: RelayResponse, Side: x.from, Method: x.method, Code: insideRequest(ev.Code), AtHand: true}
	switch {
	case ev.Code < 300 && ev.SDP == SDPGood:
		a.Body = BodyAtHand
		c.carried = carriedUpdateAnswer
	case ev.Code == 405, ev.Code == 501: // the method is ours to take; the offer cannot be passed on
		a.Code = 488
	}
	x.done()
	c.do(a)
	if ev.Code == 481 || ev.Code == 408 {
		c.lost(at, CauseDialogLost)
	}
}

func (c *Call) updateFailed(at time.Duration, why Cause) {
	x := &c.exchange
	x.done()
	c.do(Action{Kind: RelayResponse, Side: x.from, Method: x.method, Code: 504})
	c.lost(at, why)
}

// respond answers the in-dialog request at hand.
func (c *Call) respond(ev Event, code uint16) {
	c.do(Action{Kind: Respond, Side: ev.Side, Method: ev.Method, Fork: ev.Fork, Code: code})
}

// respondLater asks to repeat the request at hand in a moment (RFC 3261 §14.2).
func (c *Call) respondLater(ev Event) {
	c.do(Action{Kind: Respond, Side: ev.Side, Method: ev.Method, Fork: ev.Fork, Code: 500, RetryAfter: c.retryAfter()})
}
