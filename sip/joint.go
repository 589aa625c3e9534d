package sip

import (
	"time"

	"trunkline/media"
	"trunkline/sip/call"
	"trunkline/sip/transaction"
	"trunkline/sip/wire"
)

// A transfer makes one conversation of two calls: B, whom A has transferred, and C, whom we called for A or who A was
// talking to. Each call keeps its machine, its records and the side with a peer; in place of A each has a side that is the
// other call. What a machine does to such a side is not written but delivered to the other call, as if A had done it there,
// with the same message at hand. Both calls live in one shard, and deliveries are made one after the other when the step
// that brought them is over, before the next message is received.

// joint says that a side of a call is a side of another call.
type joint struct {
	peer   uint64 // token of the other call; 0: the side is a peer as others are
	side   call.Side
	theirs bool // the other call's bridge carries the media: descriptions come from there as the party here is to see them
	up     bool // the old dialog of the side is over; until then the other call is only offered to the party
}

// Serials of requests that no pending one stands for.
const (
	serialJoin   = 0xffff // the re-INVITE that offers the other call to the party
	serialNobody = 0xfffe // nobody waits for the answer
)

// delivery is what a call has done to its joint side.
type delivery struct {
	to      uint64 // token of the call it goes to
	ev      call.Event
	from    uint64 // token of the call that did it
	serial  uint16 // its pending request, which ev tells of or answers
	kind    deliveryKind
	method  wire.Method // of a request
	offer   bool        // the request carries an offer
	nothing bool        // no message is at hand
	digit   media.Digit
}

type deliveryKind uint8

const (
	deliverEvent   deliveryKind = iota // to the machine as it is
	deliverRequest                     // a request of the joint side
	deliverAnswer                      // the final response to a request towards the joint side
	deliverJoin                        // the target has answered: offer it to the party
	deliverUp                          // the party has taken it
	deliverDigit                       // to be said to the party that the joint side talks to
)

// deliver puts something done to the joint side where it takes effect.
func (c *session) deliver(side call.Side, d delivery) {
	j := c.leg(side).joint
	d.to, d.from = j.peer, c.token(0)
	if d.ev.Side == call.Nobody {
		d.ev.Side = j.side
	}
	c.shard.deliveries = append(c.shard.deliveries, d)
}

// makeDeliveries brings the calls of this shard what their partners have done. It runs when no call is being stepped.
func (s *shard) makeDeliveries(now time.Time) {
	if len(s.deliveries) == 0 {
		return
	}
	defer s.survive(now)
	for len(s.deliveries) > 0 {
		d := s.deliveries[0]
		s.deliveries = append(s.deliveries[:0], s.deliveries[1:]...)
		if d.nothing {
			s.in = wire.Message{MaxForwards: -1}
		}
		c, _ := s.owner(d.to)
		if c == nil {
			if from, _ := s.owner(d.from); from != nil && d.kind == deliverRequest {
				from.answeredByJoint(now, d.serial, call.Event{Code: 481})
			}
			continue
		}
		c.take(now, d)
	}
}

// take lets a delivery take effect.
func (c *session) take(now time.Time, d delivery) {
	l := c.leg(d.ev.Side)
	if d.ev.Side == call.Callee {
		d.ev.Fork = c.fork
	}
	switch d.kind {
	case deliverEvent:
		switch d.ev.Kind {
		case call.ReinviteAcked, call.ReinviteCancelled:
			if t := c.transfer; t != nil && t.kind == targetReplaces && l.left { // nobody is on that side: what the other one says is no matter
				c.dropTarget(requestTerminated)
				return
			}
			if d.ev.Ref = l.open.ref; l.open.acked {
				return
			}
			l.open.acked = d.ev.Kind == call.ReinviteAcked
		case call.TargetProgress:
			if d.ev.Code >= 300 {
				c.endTransfer()
			}
		}
		c.step(now, d.ev)
	case deliverDigit:
		c.sayDigit(now, d.ev.Side.Other(), d.digit)
	case deliverRequest:
		d.ev.Digit = d.ev.Method == call.INFO && c.playsDigit(d.ev.Side)
		c.atHand = opened{method: d.method, offer: d.offer, joint: d.serial, session: l.session}
		c.step(now, d.ev)
		c.leave()
	case deliverAnswer:
		c.answeredByJoint(now, d.serial, d.ev)
	case deliverJoin:
		c.offerTarget(now)
	case deliverUp:
		c.up(now, d.ev.Side)
	}
}

// answeredByJoint takes the answer to a request of ours towards a joint side.
func (c *session) answeredByJoint(now time.Time, serial uint16, ev call.Event) {
	p := c.request(serial)
	if p == nil {
		return
	}
	if ev.Code >= 300 {
		c.withdraw(p)
	}
	ev.Kind, ev.Side, ev.Method, ev.Fork, ev.Ref = call.RequestAnswered, p.side, p.method, p.fork, p.ref
	c.answered(now, p, ev)
}

// sendToJoint is send for a side that is another call.
func (c *session) sendToJoint(p *pending, reason bool) {
	ev := call.Event{Kind: call.Requested, Method: p.method}
	if p.offer {
		ev.SDP = call.SDPGood
	}
	if reason {
		ev.Reason = reasonOf(&c.shard.in)
	}
	c.deliver(p.side, delivery{kind: deliverRequest, ev: ev, serial: p.serial, method: wireMethod(p.method), offer: p.offer,
		nothing: p.method == call.BYE && !reason})
}

// respondToJoint answers a request that came from another call.
func (c *session) respondToJoint(now time.Time, side call.Side, serial uint16, code uint16, sdp bool) {
	ev := call.Event{Code: code}
	if sdp {
		ev.SDP = call.SDPGood
	}
	switch serial {
	case serialNobody:
	case serialJoin:
		c.targetTaken(now, side, ev)
	default:
		c.deliver(side, delivery{kind: deliverAnswer, ev: ev, serial: serial})
	}
}

// ackToJoint confirms a 2xx that came from another call.
func (c *session) ackToJoint(side call.Side, body bool) {
	ev := call.Event{Kind: call.ReinviteAcked}
	if body {
		ev.SDP = call.SDPGood
	}
	c.deliver(side, delivery{ev: ev})
}

// bodyFromJoint is the description that the party on the other side of a joint one is to see, made by the partner.
func (c *session) bodyFromJoint(side call.Side) []byte {
	j := c.leg(side).joint
	partner, _ := c.shard.owner(j.peer)
	if partner == nil {
		return nil
	}
	return partner.leg(j.side).sdp
}

// up ends the old dialog of a side in whose place another call stands from now on.
func (c *session) up(now time.Time, side call.Side) {
	l := c.leg(side)
	if l.joint.up || c.machine.State() != call.Connected {
		return
	}
	fork := uint8(0)
	if side == call.Callee {
		fork = c.fork
	}
	c.step(now, call.Event{Kind: call.Joined, Side: side, Fork: fork})
	if !l.left {
		c.shard.line = wire.AppendBody(c.shard.line[:0], "", nil)
		c.send(now, c.add(pending{method: call.BYE, side: side, fork: fork, own: true}), c.shard.line, maxForwards)
	}
	l.joint.up = true
	if l.joint.theirs && c.bridge != nil {
		c.endBridge()
	}
}

// awaitsOther reports whether another call is to take the place of a side that need not wait for it: it was talked to by who transfers
// somebody to the other side, or is replaced.
func (c *session) awaitsOther(side call.Side) bool {
	if t := c.transfer; t != nil {
		return t.kind == targetReplaces && t.side == side
	}
	j := c.leg(side).joint
	return j.peer != 0 && !j.up
}

// notReplaced ends a call with the side, if that has hung up because another call was to take its place, and none will.
func (c *session) notReplaced(side call.Side) {
	if c.leg(side).left && c.machine.State() == call.Connected {
		c.shard.deliveries = append(c.shard.deliveries, delivery{to: c.token(0), from: c.token(0), kind: deliverRequest, nothing: true,
			ev: call.Event{Kind: call.Requested, Side: side, Method: call.BYE}, serial: serialNobody, method: wire.BYE})
	}
}

// replacesNobody has a call forget one that was to take the place of a side of it, and has ended before it could.
func (c *session) replacesNobody() {
	j := c.callee.joint
	if j.peer == 0 || j.up {
		return
	}
	if first, _ := c.shard.owner(j.peer); first != nil && first.transfer != nil && first.transfer.peer == c.token(0) {
		first.endTransfer()
	}
}

// receiveFromGone answers a request in the old dialog of a side in whose place another call stands, or will.
func (c *session) receiveFromGone(now time.Time, server transaction.Server) {
	s := c.shard
	status := 481
	if s.in.Method == wire.BYE {
		status = 200
	}
	server.Bind(s.in.To.Tag, 0)
	b := wire.AppendResponse(s.out[:0], &s.in, status, wire.ReasonPhrase(status), s.in.To.Tag, server.Flow().Remote)
	s.out = wire.AppendBody(s.appendServer(b), "", nil)
	s.respond(now, server, status, s.out)
}

// leaveJoints ends the calls that stand in the place of a side, for a call that cannot do so in order.
func (c *session) leaveJoints() {
	for side := call.Caller; side <= call.Callee; side++ {
		if c.leg(side).joint.up {
			c.deliver(side, delivery{kind: deliverRequest, ev: call.Event{Kind: call.Requested, Method: call.BYE}, serial: serialNobody, method: wire.BYE, nothing: true})
		}
	}
}

// inheritMedia has the party on side see its session go on when another bridge takes it over.
func (c *session) inheritMedia(side call.Side, from *session, fromSide call.Side) {
	if c.bridge == nil {
		return
	}
	terms := from.leg(fromSide).terms()
	if from.bridge != nil {
		c.bridge.Inherit(mediaSide(side), from.bridge, mediaSide(fromSide))
		terms.SRTP = from.bridge.Protection(mediaSide(fromSide))
	}
	c.meet(mediaSide(side), terms)
}
