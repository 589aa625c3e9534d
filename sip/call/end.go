package call

import "time"

// byeRequested answers a BYE of either side, in any state, and ends the call (RFC 3261 §15.1.2).
func (c *Call) byeRequested(at time.Duration, ev Event) {
	switch c.state {
	case Idle:
		c.do(Action{Kind: Respond, Side: ev.Side, Method: BYE, Fork: ev.Fork, Code: 481})
	case Inviting, Ringing, Withheld:
		c.earlyBye(at, ev)
	case Answering, Connected:
		c.answerBye(ev)
		if c.leaves(ev) {
			return
		}
		c.reason = ev.Reason
		c.leaveExchange()
		c.ackChosen()
		if ev.Side == Callee {
			c.hangUpCaller(at, Action{Reason: ev.Reason, Cause: CauseBye, AtHand: true})
		} else {
			c.bye(at, Action{Side: Callee, Fork: c.chosen, Reason: ev.Reason, Cause: CauseBye, AtHand: true})
		}
		c.over(at, Answered, ev.Side, CauseBye)
	default: // Ending: both hung up at once (RFC 5407 §3.2); our own BYE keeps waiting for its answer
		c.answerBye(ev)
		if ev.Side == Caller {
			c.byeOnAck = false
		}
	}
}

func (c *Call) answerBye(ev Event) {
	c.do(Action{Kind: Respond, Side: ev.Side, Method: BYE, Fork: ev.Fork, Code: 200})
}

// earlyBye is DLG-06. RFC 3261 §15 allows it to the caller; callees that do it nevertheless mean the
// same: this dialog will not be answered, and with the last one the call is over.
func (c *Call) earlyBye(at time.Duration, ev Event) {
	c.answerBye(ev)
	if ev.Side == Caller {
		c.reason = ev.Reason
		c.respondFinal(Action{Code: 487})
		c.dropCallee(at, Action{Reason: ev.Reason, AtHand: true})
		c.over(at, Cancelled, Caller, CauseBye)
		return
	}
	if c.state == Withheld { // whose answer the caller has not heard of
		c.reason = ev.Reason
		c.ackChosen()
		c.respondFinal(Action{Code: 480, AtHand: true, Reason: ev.Reason})
		c.over(at, Rejected, Callee, CauseBye)
		return
	}
	rang := c.early&bit(ev.Fork) != 0
	c.early &^= bit(ev.Fork)
	if !rang || c.early != 0 {
		return // another phone rings on
	}
	c.reason = ev.Reason
	c.respondFinal(Action{Code: 480, AtHand: true, Reason: ev.Reason})
	c.cancelCallee(Action{})
	c.over(at, Rejected, Callee, CauseBye)
}

// hangUp ends the call because the edge wants it.
func (c *Call) hangUp(at time.Duration, ev Event) {
	c.stop(at, ev, failure(ev.Code, ev.Cause))
}

// panicked ends a call in which the edge has met a bug of its own: once as hangUp would, the second
// time without waiting for anything.
func (c *Call) panicked(at time.Duration) {
	if c.state != Ending {
		c.stop(at, Event{Cause: CausePanic}, 500)
		return
	}
	c.giveUp(at)
}

func (c *Call) stop(at time.Duration, ev Event, code uint16) {
	outcome := LocalError
	switch c.state {
	case Idle:
		c.respondFinal(Action{Code: code})
	case Inviting, Ringing, Withheld:
		c.reason = ev.Reason
		c.respondFinal(Action{Code: code, Reason: ev.Reason})
		c.dropCallee(at, Action{Reason: ev.Reason, Cause: ev.Cause})
	case Answering, Connected:
		c.reason = ev.Reason
		c.hangUpBoth(at, ev.Cause)
		if ev.Cause != CausePanic {
			outcome = Answered
		}
	default:
		c.ignore()
		return
	}
	c.over(at, outcome, Edge, ev.Cause)
}

// hangUpBoth sends a BYE to both sides of a call with confirmed dialogs.
func (c *Call) hangUpBoth(at time.Duration, why Cause) {
	c.leaveExchange()
	c.ackChosen()
	c.hangUpCaller(at, Action{Reason: c.reason, Cause: why})
	c.bye(at, Action{Side: Callee, Fork: c.chosen, Reason: c.reason, Cause: why})
}

// hangUpCaller sends the caller a BYE, or, as the callee of that dialog must not send one before the ACK
// (RFC 3261 §15), remembers to do so (BYE-03).
func (c *Call) hangUpCaller(at time.Duration, a Action) {
	if c.state == Answering {
		c.byeOnAck = true
		return
	}
	a.Side = Caller
	c.bye(at, a)
}

// ackChosen sends the ACK that waited for an answer which will not come any more.
func (c *Call) ackChosen() {
	if c.chosen != noFork && c.acked&bit(c.chosen) == 0 {
		c.ackCallee(c.attempt, c.chosen, BodyNone)
	}
}

// bye sends a BYE and waits for its answer.
func (c *Call) bye(at time.Duration, a Action) {
	if c.transfer.gone(a.Side) {
		return // its dialog is over
	}
	a.Kind = Bye
	if a.Side == Caller {
		c.byeCaller = true
	} else {
		c.byed |= bit(a.Fork)
	}
	if c.byeSent == never && (a.Side == Caller || a.Fork == c.chosen) {
		c.byeSent = at
	}
	c.do(a)
}

// byeDone notes that a BYE of ours was answered or given up. Any answer ends the dialog (BYE-02).
func (c *Call) byeDone(at time.Duration, ev Event, answered bool) {
	if answered && c.byeSent != never && c.disconnect == 0 && (ev.Side == Caller || ev.Fork == c.chosen) {
		c.disconnect = at - c.byeSent
	}
	if ev.Side == Caller {
		c.byeCaller = false
	} else {
		c.byed &^= bit(ev.Fork)
	}
}

// over settles the outcome; from here on the call only cleans up.
func (c *Call) over(at time.Duration, o Outcome, by Side, why Cause) {
	c.leaveExchange()
	if c.transfer.to != Nobody {
		c.transfer = transfer{}
		c.do(Action{Kind: DropTarget})
	}
	c.outcome, c.endedBy, c.cause = o, by, why
	c.end, c.alarm = at, never
	c.do(Action{Kind: CloseMedia})
	c.limit = at + 2*c.patience()
	c.enter(Ending, at+c.patience())
}

// settle finishes a call that waits for nothing any more.
func (c *Call) settle(at time.Duration) {
	if c.state != Ending || c.open != 0 || c.byed != 0 || c.byeCaller || c.byeOnAck || c.exchange.open ||
		c.callerRelays != 0 || c.calleeRelays != 0 {
		return
	}
	if until := c.accepted + c.patience(); c.accepted != never && c.forked() && at < until {
		c.deadline = min(until, c.limit) // other forks may still answer
		return
	}
	c.finish()
}

// giveUp finishes a call whatever it waits for.
func (c *Call) giveUp(at time.Duration) {
	if c.byeOnAck {
		c.byeNow(at)
	}
	c.finish()
}

func (c *Call) finish() {
	c.do(Action{Kind: Finish})
	c.enter(Ended, never)
}

// tick ends a wait.
func (c *Call) tick(at time.Duration) {
	if x := c.exchange.deadline; x != never && at >= x {
		c.exchangeExpired(at)
	}
	if c.alarm != never && at >= c.alarm {
		c.sessionsDue(at)
	}
	if c.deadline == never || at < c.deadline {
		return
	}
	switch c.state {
	case Inviting, Ringing:
		c.setupExpired(at)
	case Withheld:
		c.prackTimeout(at)
	case Answering:
		c.neverAcked(at)
	case Connected:
		c.stop(at, Event{Cause: CauseMaxDuration}, 0)
	case Ending:
		if c.byeOnAck && at < c.limit {
			c.byeNow(at)
			return
		}
		c.giveUp(at)
	}
}

func (c *Call) setupExpired(at time.Duration) {
	if at < c.limit {
		c.silent(at)
		return
	}
	cause := CauseRingTimeout
	if c.expires {
		cause = CauseExpired
	}
	c.cancelCallee(Action{})
	c.rangOut(at, cause)
}
