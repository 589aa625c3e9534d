package call

import "time"

// transfer is the transfer under way (RFC 3515, RFC 5589): a side has asked for the other one to be connected with a
// target. The target is called by the shell, as a call of its own; until it has answered and is joined, this call goes on
// as it was.
type transfer struct {
	to   Side // who is to be connected with the target; Nobody: no transfer
	left bool // the side that asked has hung up already
	told uint8
}

// gone reports whether a side has hung up after it asked for a transfer.
func (t transfer) gone(s Side) bool { return t.left && t.to == s.Other() }

// referred begins a transfer, one at a time.
func (c *Call) referred(ev Event) {
	ev.Method = REFER
	switch {
	case ev.Side != Caller && ev.Side != Callee:
		c.ignore()
	case c.state == Idle || c.state == Ending || ev.Side == Callee && c.chosen != noFork && ev.Fork != c.chosen:
		c.respond(ev, 481)
	case ev.Code != 0:
		c.respond(ev, ev.Code)
	case c.state != Connected || c.transfer.to != Nobody:
		c.respond(ev, 491)
	default:
		c.respond(ev, 202)
		c.transfer = transfer{to: ev.Side.Other()}
		c.notify(100)
		c.do(Action{Kind: Transfer, Side: ev.Side})
	}
}

// notify tells the side that asked how it goes (REF-02), each thing once.
func (c *Call) notify(code uint16) {
	t := &c.transfer
	if t.left || code < 200 && t.told == uint8(code-100+1) {
		return
	}
	if code < 200 {
		t.told = uint8(code - 100 + 1)
	}
	side := t.to.Other()
	c.do(Action{Kind: Notify, Side: side, Fork: c.forkOf(side), Code: code})
}

// targetProgress passes on what the target says. When it fails the first call comes back (REF-04), unless the side that
// asked is gone.
func (c *Call) targetProgress(at time.Duration, ev Event) {
	t := &c.transfer
	switch {
	case t.to == Nobody || ev.Code <= 100 || ev.Code >= 200 && ev.Code < 300:
		c.ignore()
	case ev.Code < 200:
		c.notify(ev.Code)
	default:
		c.notify(ev.Code)
		alone, left := t.to, t.left
		*t = transfer{}
		if !left {
			return
		}
		c.leaveExchange()
		c.bye(at, Action{Side: alone, Fork: c.forkOf(alone), Reason: c.reason, Cause: CauseBye})
		c.over(at, Answered, alone.Other(), CauseBye)
	}
}

// joined puts the target in the place of a side.
func (c *Call) joined(ev Event) {
	if c.state != Connected || ev.Side != Caller && ev.Side != Callee {
		c.ignore()
		return
	}
	if c.transfer.to == ev.Side.Other() {
		c.notify(200)
		c.transfer = transfer{}
	}
	*c.sessionOf(ev.Side) = session{refresh: never, end: never} // the target's call has its own
	c.setAlarm()
}

// leaves reports whether a BYE is that of a side that has asked for a transfer and need not wait for its end. The call
// goes on with the other one.
func (c *Call) leaves(ev Event) bool {
	t := &c.transfer
	if t.to != ev.Side.Other() || c.state != Connected {
		return false
	}
	if x := &c.exchange; x.from == ev.Side || x.from == Edge && x.to == ev.Side {
		c.leaveExchange()
	}
	t.left = true
	c.reason = ev.Reason
	*c.sessionOf(ev.Side) = session{refresh: never, end: never}
	c.setAlarm()
	return true
}
