package call

import (
	"cmp"
	"math/bits"
	"time"
)

// calleeAnswered takes the first good 2xx and gets rid of every other (RFC 3261 §13.2.2.4).
func (c *Call) calleeAnswered(at time.Duration, ev Event) {
	if c.state == Idle {
		c.ignore()
		return
	}
	fork := bit(ev.Fork)
	c.open &^= bit(ev.Attempt)
	c.forks |= fork
	if c.accepted == never {
		c.accepted = at
	}
	switch {
	case c.acked&fork != 0: // INV-08: a copy; the caller is not touched
		c.do(Action{Kind: AckCallee, Attempt: ev.Attempt, Fork: ev.Fork, Again: true})
	case ev.Fork == c.chosen:
		// A copy, while our ACK still waits for the answer in the caller's.
	case c.setup() && ev.Attempt == c.attempt:
		c.choose(at, ev)
	default: // INV-05, CAN-03, RTE-08: another fork, or too late
		c.lateAnswer = c.lateAnswer || c.state == Ending
		c.turnAway(at, ev)
	}
}

// choose connects the caller with the fork that answered first.
func (c *Call) choose(at time.Duration, ev Event) {
	c.calleeCode = ev.Code
	r := &c.reliable
	body, usable := BodyAtHand, ev.SDP == SDPGood
	switch {
	case r.moved && ev.Fork == r.audible: // what was agreed since an answer in a provisional
		body, usable = BodyNone, true
	case ev.SDP == SDPNone && !c.late && c.described&bit(ev.Fork) != 0:
		body, usable = BodyLast, true // answered in a provisional of this fork already
	}
	if !usable || ev.NoContact || ev.Fork >= maxForks || r.offerer != noFork { // INV-11
		c.turnAway(at, ev)
		c.respondFinal(Action{Code: 502})
		c.over(at, CarrierError, Edge, CauseBadAnswer)
		return
	}
	c.chosen = ev.Fork
	a := Action{Kind: RespondCaller, Code: 200, Fork: ev.Fork, Body: body, AtHand: true, Later: r.withholds()}
	c.do(a)
	c.carried = carriedAnswer
	if a.Later {
		r.keep(false)
		c.enter(Withheld, c.limit)
	} else {
		c.code, c.answer = a.Code, at
		r.open, r.kept = false, 0
		c.enter(Answering, at+c.patience())
	}
	if !c.late {
		c.ackCallee(ev.Attempt, ev.Fork, BodyNone)
	}
}

// turnAway ACKs a 2xx nobody wants and hangs up on it.
func (c *Call) turnAway(at time.Duration, ev Event) {
	c.ackCallee(ev.Attempt, ev.Fork, BodyNone)
	c.bye(at, Action{Side: Callee, Fork: ev.Fork})
	if c.state == Ending {
		c.deadline = min(at+c.patience(), c.limit)
	}
}

func (c *Call) ackCallee(attempt, fork uint8, body Body) {
	c.acked |= bit(fork)
	c.do(Action{Kind: AckCallee, Attempt: attempt, Fork: fork, Body: body})
}

// callerAcked completes the call, or lets the BYE go that had to wait for this ACK.
func (c *Call) callerAcked(at time.Duration, ev Event) {
	switch {
	case c.state == Ending && c.byeOnAck:
		c.byeNow(at)
	case c.state != Answering:
		c.ignore()
	case !c.late:
		c.connected(at)
	case ev.SDP == SDPGood: // INV-04
		c.connected(at)
		c.ackCallee(c.attempt, c.chosen, BodyAtHand)
		c.carried = carriedAck
	default: // the callee's offer stays without an answer
		c.connected(at)
		c.hangUpBoth(at, CauseMedia)
		c.over(at, LocalError, Edge, CauseMedia)
	}
}

func (c *Call) connected(at time.Duration) {
	c.enter(Connected, at+cmp.Or(c.opts.MaxDuration, defaults.MaxDuration))
}

// ackTimeout ends a call whose 2xx was never acknowledged (RFC 3261 §13.3.1.4).
func (c *Call) ackTimeout(at time.Duration, ev Event) {
	switch {
	case ev.Ref != 0 && c.state == Connected && c.exchange.waitsForAck(ev.Side, ev.Ref):
		c.lost(at, CauseAckTimeout)
	case ev.Ref != 0:
		c.ignore()
	case c.state == Answering && ev.Side == Caller:
		c.neverAcked(at)
	case c.state == Ending && c.byeOnAck && ev.Side == Caller:
		c.byeNow(at)
	default:
		c.ignore()
	}
}

// neverAcked is INV-07: BYE to both.
func (c *Call) neverAcked(at time.Duration) {
	c.connected(at) // the wait is over: the BYE to the caller may go now
	c.hangUpBoth(at, CauseAckTimeout)
	c.over(at, TimedOut, Edge, CauseAckTimeout)
}

// byeNow sends the BYE that waited for the caller's ACK.
func (c *Call) byeNow(at time.Duration) {
	c.byeOnAck = false
	c.bye(at, Action{Side: Caller, Reason: c.reason, Cause: c.cause})
	c.deadline = min(at+c.patience(), c.limit)
}

// forked reports whether more than one dialog of the callee was heard of, so that more 2xx may come
// as long as the client transaction accepts them (RFC 6026 §7.2, Timer M).
func (c *Call) forked() bool { return bits.OnesCount32(c.forks) > 1 }
