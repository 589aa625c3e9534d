package sip

import (
	"time"

	"trunkline/config"
	"trunkline/sip/admit"
	"trunkline/sip/call"
	"trunkline/sip/dialog"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// sessionPolicy is what a trunk's or an agent's configuration says about session timers.
func sessionPolicy(t *trunks.Trunk, a *trunks.Agent) dialog.SessionPolicy {
	of := func(expires, least config.Duration) dialog.SessionPolicy {
		return dialog.SessionPolicy{Expires: expires.D(), Min: least.D()}
	}
	switch {
	case t != nil:
		return of(t.SessionExpires, t.MinSE)
	case a != nil:
		return of(a.SessionExpires, a.MinSE)
	}
	return dialog.SessionPolicy{}
}

func (l *leg) sessionPolicy() dialog.SessionPolicy { return sessionPolicy(l.trunk, l.agent) }

// tooBrief is the refusal of a session interval below ours (RFC 4028 §9).
func tooBrief(p dialog.SessionPolicy) *admit.Rejection {
	return &admit.Rejection{Status: 422, Header: string(p.AppendMinSE(nil)), Cause: "session_interval"}
}

// learnAllow notes whether a side takes UPDATE, when a message of it says what it takes.
func (l *leg) learnAllow(m *wire.Message) {
	if m.Has(wire.HAllow) {
		l.update = m.HasToken(wire.HAllow, "UPDATE")
	}
}

// agree puts the session timer in force that our 2xx to a request of a side tells.
func (c *session) agree(side call.Side, s dialog.Session) {
	if _, answered := c.machine.Chosen(); side == call.Callee && !answered {
		return // the 2xx to our INVITE will tell
	}
	c.leg(side).session = s
	c.agreed(side)
}

// agreed tells the machine of the session timer in force with a side.
func (c *session) agreed(side call.Side) {
	l := c.leg(side)
	if l.gone() {
		return
	}
	ev := call.Event{Kind: call.SessionAgreed, Side: side, After: l.session.Interval, Ours: l.session.Ours, Method: call.INVITE}
	if side == call.Callee {
		ev.Fork = c.fork
	}
	if l.update {
		ev.Method = call.UPDATE
	}
	c.then(ev)
}

// refreshed takes the session timer from the 2xx of a side to an INVITE or UPDATE inside the dialog.
func (c *session) refreshed(side call.Side, m *wire.Message) {
	l := c.leg(side)
	l.learnAllow(m)
	l.intervals = 0
	if l.session.Interval > 0 {
		l.session = l.session.Agreed(m)
		c.agreed(side)
	}
}

// mediaRefreshed follows the media of a side that answers a re-INVITE of our own. An answer that is of no use leaves it where it is.
func (c *session) mediaRefreshed(p *pending, m *wire.Message) {
	if p.method != call.INVITE || !p.offer || p.fresh || c.bridge == nil {
		return
	}
	if sdp := sdpIn(m); sdp != nil && c.bridge.Refreshed(mediaSide(p.side), sdp) != nil {
		c.shard.count.ignored++
	}
}

// answeredBy takes the session timer from the callee's 2xx that the machine has just been told of, if it is the one that
// counts and no copy.
func (c *session) answeredBy(now time.Time, m *wire.Message, fork uint8) {
	chosen, answered := c.machine.Chosen()
	if c.finished || !answered || chosen != fork || c.callee.session.Named {
		return
	}
	l := &c.callee
	l.learnAllow(m)
	l.session = l.session.Agreed(m)
	c.fork = fork
	c.agreed(call.Callee)
	c.step(now, c.takeNext())
}

// maxIntervals bounds how often one request is sent again because of 422.
const maxIntervals = 3

// intervalRefused answers a 422 to an INVITE of ours to the callee with a larger interval (RFC 4028 §7.3), and reports
// whether it did.
func (c *session) intervalRefused(now time.Time, m *wire.Message, attempt uint8) bool {
	if m.Status != 422 || c.invite == nil || c.machine.State() == call.Ending || !c.latest(attempt) || c.callee.intervals == maxIntervals {
		return false
	}
	larger, ok := c.callee.session.Refused(m)
	if !ok {
		return false
	}
	c.callee.session = larger
	c.callee.intervals++
	c.inviteAgain(now, attempt)
	return true
}

// requestInterval is intervalRefused for a request inside the dialog.
func (c *session) requestInterval(now time.Time, m *wire.Message, p *pending) bool {
	l := c.leg(p.side)
	if m.Status != 422 || p.tail == nil || l.intervals == maxIntervals || p.method != call.INVITE && p.method != call.UPDATE {
		return false
	}
	larger, ok := l.session.Refused(m)
	if !ok {
		return false
	}
	l.session = larger
	l.intervals++
	c.send(now, p, p.tail, maxForwards)
	return true
}

// sendUpdate refreshes the session with a side (RFC 4028 §7.4).
func (c *session) sendUpdate(now time.Time, a call.Action) {
	s := c.shard
	s.line = wire.AppendHeaderString(s.line[:0], "Allow", c.allow(a.Side))
	s.line = wire.AppendBody(s.line, "", nil)
	c.send(now, c.add(pending{method: call.UPDATE, side: a.Side, fork: a.Fork, ref: a.Ref}), s.line, maxForwards)
}
