package sip

import (
	"time"

	"trunkline/sip/call"
	"trunkline/sip/wire"
)

// sendReinvite sends a re-INVITE to a side: the one at hand of the other side, or
// one of our own with the session as it is.
func (c *session) sendReinvite(now time.Time, a call.Action) {
	s := c.shard
	kind, body, err := c.chooseBody(a.Body, &s.in, a.Side, offer)
	if err != nil {
		c.mediaFailed(err)
		return
	}
	s.line = s.line[:0]
	hops := maxForwards
	if relayed := c.atHand.method == wire.INVITE; relayed {
		from := c.leg(a.Side.Other())
		from.open.giveBack(s)
		c.atHand.ref = a.Ref
		from.open, c.atHand = c.atHand, opened{}
		if s.in.IsRequest() {
			s.line = c.appendCrossing(s.line, &s.in, a.Side)
			hops = forwards(&s.in)
		}
	}
	s.line = wire.AppendHeaderString(s.line, "Allow", c.allow(a.Side))
	s.line = wire.AppendBody(s.line, kind, body)
	p := c.add(pending{method: call.INVITE, side: a.Side, fork: c.fork, ref: a.Ref, offer: a.Body != call.BodyNone, fresh: a.Body == call.BodyAtHand})
	if c.atHand.method == wire.UPDATE { // that it stands for
		p.from, c.atHand = c.atHand, opened{}
	}
	if c.leg(a.Side).joint.up {
		c.sendToJoint(p, false)
		return
	}
	c.send(now, p, s.line, hops)
}

// respondReinvite answers the re-INVITE of a side, the one at hand or one that
// came before.
func (c *session) respondReinvite(now time.Time, a call.Action) {
	s := c.shard
	l := c.leg(a.Side)
	if c.atHand.method == wire.INVITE { // not relayed: answered as it came
		l.open.giveBack(s)
		c.atHand.ref = a.Ref
		l.open, c.atHand = c.atHand, opened{}
	}
	x := answer
	if !l.open.offer {
		x = offer
	}
	if l.open.joint != 0 && l.inherits != 0 && a.Code >= 200 && a.Code < 300 {
		if err := c.giveMediaAway(a.Side); err != nil {
			c.mediaFailed(err)
			return
		}
	}
	kind, body, err := c.chooseBody(a.Body, &s.in, a.Side, x)
	if err != nil {
		c.mediaFailed(err)
		return
	}
	if l.open.joint != 0 {
		if a.Code < 300 && x == answer {
			c.settle()
		}
		c.respondToJoint(now, a.Side, l.open.joint, a.Code, a.Body != call.BodyNone)
		return
	}
	b := s.appendReply(s.out[:0], int(a.Code), l.open.head)
	if a.Code < 300 {
		b = wire.AppendHeader(b, "Contact", c.dialogOf(a.Side, c.fork).Contact)
	}
	if a.Code >= 200 && a.Code < 300 {
		b = l.open.session.AppendResponse(b)
	}
	b = c.appendResponseHeaders(b, a, a.Side)
	s.out = wire.AppendBody(b, kind, body)
	s.respond(now, l.open.server, int(a.Code), s.out)
	if a.Code >= 200 && a.Code < 300 {
		if x == answer {
			c.settle()
		}
		c.agree(a.Side, l.open.session)
	}
	if a.Code >= 200 {
		l.open.giveBack(s)
	}
}

// ackReinvite confirms the 2xx of a side to our re-INVITE.
func (c *session) ackReinvite(now time.Time, a call.Action) {
	kind, body, err := c.ackBody(a, a.Side)
	if err != nil {
		c.mediaFailed(err)
		return
	}
	if c.leg(a.Side).joint.up {
		if !a.Again {
			c.ackToJoint(a.Side, body != nil)
		}
		return
	}
	c.sendAck(now, a.Side, c.fork, a.Again, kind, body)
	if body != nil && !a.Again {
		c.settle()
	}
}

// cancelReinvite gives our re-INVITE up.
func (c *session) cancelReinvite(now time.Time, a call.Action) {
	if c.leg(a.Side).joint.up {
		c.deliver(a.Side, delivery{ev: call.Event{Kind: call.ReinviteCancelled}})
		return
	}
	if p := c.reinvite(a.Side, a.Ref); p != nil {
		p.client.Cancel(now, nil)
	}
}
