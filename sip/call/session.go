package call

import "time"

// session is the session timer of one side (RFC 4028). It runs in an answered call; never = it does not.
type session struct {
	refresh time.Duration // when we refresh; never: the other end does
	end     time.Duration // when the call is given up if nothing came
	update  bool          // by UPDATE, else by a re-INVITE
}

// ownUpdate is the Ref of an UPDATE of ours.
const ownUpdate = 1

// OwnInfo is the Ref of an INFO that the edge sends by itself.
const OwnInfo = 1

// sessionOf returns the timer of Caller or Callee.
func (c *Call) sessionOf(s Side) *session { return &c.sessions[s-Caller] }

// sessionAgreed starts the timer of a side again. A side that refreshes itself is given up a little before its session
// expires, by a third or 32 s (RFC 4028 §10); one that we refresh at the same time, if no refresh came through.
func (c *Call) sessionAgreed(at time.Duration, ev Event) {
	if c.state != Withheld && c.state != Answering && c.state != Connected ||
		ev.Side != Caller && ev.Side != Callee || ev.Side == Callee && ev.Fork != c.chosen {
		c.ignore()
		return
	}
	*c.sessionOf(ev.Side) = session{refresh: never, end: never, update: ev.Method == UPDATE}
	if s := c.sessionOf(ev.Side); ev.After > 0 {
		s.end = at + ev.After - min(ev.After/3, 32*time.Second)
		if ev.Ours {
			s.refresh = at + ev.After/2
		}
	}
	c.setAlarm()
}

// setAlarm finds what is due first.
func (c *Call) setAlarm() {
	c.alarm = never
	for i := range c.sessions {
		for _, d := range [...]time.Duration{c.sessions[i].refresh, c.sessions[i].end} {
			if d > 0 && (c.alarm == never || d < c.alarm) { // 0: no timer was agreed on
				c.alarm = d
			}
		}
	}
}

// sessionsDue refreshes what is to be refreshed and ends a call with a side that was not heard of (TMR-04, TMR-05).
func (c *Call) sessionsDue(at time.Duration) {
	for side := Caller; side <= Callee; side++ {
		s := c.sessionOf(side)
		switch {
		case s.end > 0 && at >= s.end && c.state == Withheld:
			s.end, s.refresh = never, never // the ring limit is for this
		case s.end > 0 && at >= s.end:
			c.lost(at, CauseSession)
			return
		case s.refresh > 0 && at >= s.refresh:
			c.refreshSession(at, side)
		}
	}
	c.setAlarm()
}

// refreshSession sends a refresh, or waits until it may. It is repeated if nothing has come of it in time.
func (c *Call) refreshSession(at time.Duration, side Side) {
	s := c.sessionOf(side)
	switch {
	case c.state != Connected || !s.update && c.exchange.busy():
		s.refresh = at + 2*time.Second
		return
	case s.update:
		c.do(Action{Kind: Update, Side: side, Fork: c.forkOf(side), Ref: ownUpdate})
	default:
		c.exchange.retries = 0
		c.reinviteOwn(at, side)
	}
	s.refresh = at + max((s.end-at)/2, c.patience()+2*time.Second)
}

// refreshLater tries again after a refusal, while there is time.
func (c *Call) refreshLater(at time.Duration, side Side) {
	s := c.sessionOf(side)
	if c.state != Connected || s.end <= 0 {
		return
	}
	s.refresh = at + max((s.end-at)/2, 2*time.Second)
	c.setAlarm()
}

// refreshAnswered takes the final response to an UPDATE of ours. What a 2xx agrees to is told by SessionAgreed. A side
// that knows no UPDATE gets a re-INVITE.
func (c *Call) refreshAnswered(at time.Duration, ev Event) {
	switch ev.Code {
	case 481, 408:
		c.lost(at, CauseDialogLost)
	case 405, 501:
		s := c.sessionOf(ev.Side)
		if s.update && c.state == Connected {
			s.update = false
			s.refresh = at
			c.setAlarm()
		}
	default:
		if ev.Code >= 300 {
			c.refreshLater(at, ev.Side)
		}
	}
}
