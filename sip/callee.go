package sip

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"trunkline/config"
	"trunkline/sip/call"
	"trunkline/sip/dialog"
	"trunkline/sip/digest"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// target is where one attempt goes.
type target struct {
	uri   []byte // Request-URI
	to    []byte // To value
	proto transport.Proto
	addr  netip.AddrPort
	peer  *transport.Peer
	route []byte         // Route value to preload in place of the trunk's; nil: the trunk's
	flow  transport.Flow // to use as it is, where it is set: an agent's registration
}

// inviteCallee makes the dialog of a new attempt and sends its INVITE.
func (c *session) inviteCallee(now time.Time, a call.Action) {
	s := c.shard
	if c.callee.joint.peer != 0 {
		c.inviteJoint(a)
		return
	}
	if c.otherShard != 0 {
		c.inviteElsewhere(now, a)
		return
	}
	c.targetSilent(now)
	t, ok := c.nextTarget(now)
	c.tries = append(c.tries, try{attempt: a.Attempt, trunk: c.callee.trunk, began: now})
	if !ok {
		why := call.CauseUnresolved
		if agent := c.callee.agent; agent != nil && len(agent.Destinations) == 0 {
			why = call.CauseUnregistered
		}
		c.triedWith(a.Attempt, 0, why)
		c.then(call.Event{Kind: call.CalleeFailed, Attempt: a.Attempt, Cause: why})
		return
	}
	f := transport.Flow{Proto: t.proto, Remote: t.addr, Peer: t.peer}
	if t.flow.Remote.IsValid() {
		f = t.flow
	} else {
		f.Socket, ok = s.edge.socketFor(c.callee.trunk, f)
	}
	if !ok {
		s.logNoSocket(c, t)
		c.triedWith(a.Attempt, 0, call.CauseUnresolved)
		c.then(call.Event{Kind: call.CalleeFailed, Attempt: a.Attempt, Cause: call.CauseNoRoute})
		return
	}
	c.callee.flow, c.callee.flowOnly = f, t.flow.Remote.IsValid()
	last := &c.tries[len(c.tries)-1]
	last.flow, last.flowOnly = f, c.callee.flowOnly
	c.callee.session, c.callee.intervals, c.callee.update = c.callee.sessionPolicy().Propose(), 0, false
	c.callee.digest, c.callee.auth, c.callee.noTCP = digest.Attempt{}, c.callee.auth[:0], false
	if err := c.replaceMedia(); err != nil {
		c.mediaFailed(err)
		return
	}
	var tag, callID [2*tagSize + 1]byte
	invite := c.original()
	c.callee.dialog = dialog.NewCaller(
		s.appendCallID(callID[:0]), appendTag(tag[:0], s.random, s.index, c.slot),
		c.fromValue(invite), t.to, t.uri, s.edge.contactOf(c.callee.trunk, c.callee.flow))
	c.preloadRoute(t.route)
	c.waitingBody = a.Body
	if !c.paced(now, a.Attempt, false) {
		return
	}
	if err := c.sendInvite(now, invite, a.Attempt, a.Body); err != nil {
		c.inviteUnsent(a.Attempt, err)
		return
	}
	if c.moved { // the patience is another trunk's now
		c.moved = false
		c.then(call.Event{Kind: call.CalleeSent, Attempt: a.Attempt})
	}
}

// preloadRoute gives the new dialog with a trunk its route: the one given, else
// the outbound proxy, then what the registrar asks for (RFC 3261 §8.1.2, RFC 3608
// §5).
func (c *session) preloadRoute(route []byte) {
	t := c.callee.trunk
	if t == nil {
		return
	}
	if route != nil {
		c.callee.dialog.AddRoute(route)
		return
	}
	if t.OutboundProxy.Host != "" {
		c.callee.dialog.AddRoute(fmt.Appendf(nil, "<sip:%s;lr>", t.OutboundProxy))
	}
	if b := c.shard.edge.binding(t); b != nil {
		for _, value := range b.Routes {
			c.callee.dialog.AddRoute([]byte(value))
		}
	}
}

// original returns the caller's INVITE: the message at hand for the first
// attempt, read again from what was kept for later ones.
func (c *session) original() *wire.Message {
	s := c.shard
	if len(s.in.Bytes) == len(c.invite) && s.in.IsRequest() && bytes.Equal(s.in.Bytes, c.invite) {
		return &s.in
	}
	if s.kept.Parse(c.invite) != nil {
		panic("the kept INVITE does not parse any more")
	}
	return &s.kept
}

// sendInvite writes and sends the INVITE of the attempt whose dialog is set up,
// for the first time or after a challenge.
func (c *session) sendInvite(now time.Time, invite *wire.Message, attempt uint8, body call.Body) error {
	s := c.shard
	kind, sdp, err := c.inviteBody(invite, body)
	if err != nil {
		return err
	}
	kind, sdp = c.withLocation(invite, kind, sdp)
	b, branch := c.writeInvite(now, invite, kind, sdp)
	if c.oversize(b) {
		c.callee.flow.Proto = transport.TCP
		b, branch = c.writeInvite(now, invite, kind, sdp)
	}
	client, err := s.layer.Request(now, transaction.Request{
		Branch: branch, Method: wire.INVITE, Flow: c.callee.flow, Bytes: b,
		User: clientUser{s}, Token: c.token(purposeInvite | uint16(attempt)), Timers: s.timers(c.callee.trunk),
	})
	if err != nil {
		return err
	}
	c.wentOut()
	c.invites++
	c.unheard = true
	for len(c.attempts) <= int(attempt) {
		c.attempts = append(c.attempts, transaction.Client{})
	}
	c.attempts[attempt] = client
	return nil
}

// writeInvite returns the INVITE for the callee and its branch, both valid until
// the next message is written.
func (c *session) writeInvite(now time.Time, invite *wire.Message, kind string, sdp []byte) (b, branch []byte) {
	s := c.shard
	f := c.callee.flow
	s.branch = s.layer.MintBranch(s.branch[:0])
	b = c.callee.dialog.AppendNamed(s.out[:0], "INVITE", wire.INVITE, f.Proto.String(), s.sentBy(f), s.branch, forwards(invite))
	b = c.appendCredentials(now, b, &c.callee, "INVITE", c.callee.dialog.Target())
	if c.otherShard != 0 {
		b = append(b, c.replaces...)
	} else {
		b = c.appendIdentity(b, invite)
	}
	b = c.appendCrossing(b, invite, call.Callee)
	b = wire.AppendHeaderString(b, "Allow", c.allow(call.Callee))
	// Without an offer in it a reliable provisional response would bring one, whose answer only a caller can give that
	// takes such responses itself (RFC 3262 §5).
	b = c.callee.appendSupported(b, !c.lateOffer || c.reliable)
	b = c.callee.session.AppendRequest(b)
	b = s.appendUserAgent(b)
	s.out = wire.AppendBody(b, kind, sdp)
	return s.out, s.branch
}

// forwards is the Max-Forwards for the other leg: one less, so that a loop
// through us ends (RFC 7332 §5).
func forwards(m *wire.Message) int {
	if m.MaxForwards < 0 {
		return maxForwards
	}
	return max(m.MaxForwards-1, 0)
}

const maxForwards = 70

func (c *session) inviteBody(invite *wire.Message, body call.Body) (kind string, sdp []byte, err error) {
	switch {
	case body == call.BodyNone:
		return "", nil, nil
	case body == bodyAgain:
		return bodyKind(c, invite), c.callee.sdp, nil
	}
	kind, sdp, err = c.crossBody(invite, call.Caller, offer)
	if err == nil {
		c.callee.sdp = append(c.callee.sdp[:0], sdp...)
	}
	return kind, sdp, err
}

// bodyAgain is the body of an INVITE that is sent again: the same.
const bodyAgain call.Body = 255

func bodyKind(c *session, invite *wire.Message) string {
	if c.bridge == nil {
		return string(invite.Get(wire.HContentType))
	}
	return sdpType
}

// inviteAgain sends the INVITE of an attempt again: with credentials, or another
// way. Where the limit counts each INVITE it has to wait for its turn.
func (c *session) inviteAgain(now time.Time, attempt uint8) {
	if t := c.callee.trunk; t != nil && t.CPSCounts == config.CountInvites {
		c.waitingBody = c.bodyAgain()
		if !c.paced(now, attempt, true) {
			c.step(now, c.takeNext())
			return
		}
	}
	if err := c.sendInvite(now, c.original(), attempt, c.bodyAgain()); err != nil {
		c.inviteUnsent(attempt, err)
		c.step(now, c.takeNext())
		return
	}
	c.step(now, call.Event{Kind: call.CalleeSent, Attempt: attempt})
}

// bodyAgain is the body of an INVITE that is sent again.
func (c *session) bodyAgain() call.Body {
	if c.lateOffer {
		return call.BodyNone
	}
	return bodyAgain
}

// oversize reports whether a request is to move from UDP to TCP, by the trunk's
// setting (RFC 3261 §18.1.1).
func (c *session) oversize(b []byte) bool {
	return len(b) > maxDatagram && c.callee.flow.Proto == transport.UDP && !c.callee.noTCP &&
		c.callee.trunk != nil && c.callee.trunk.Oversize == config.OversizeTCP
}

// backToUDP sends a large INVITE over UDP after all, when TCP did not work
// (RFC 3261 §18.1.1), and reports whether it did.
func (c *session) backToUDP(now time.Time, attempt uint8) bool {
	t := c.callee.trunk
	if t == nil || t.Transport != config.UDP || c.callee.flow.Proto != transport.TCP || c.callee.noTCP || c.invite == nil {
		return false
	}
	c.callee.noTCP = true
	c.callee.flow.Proto, c.callee.flow.Conn = transport.UDP, 0
	c.inviteAgain(now, attempt)
	return true
}

// maxDatagram is the size above which a request should not go over UDP when the
// path's MTU is unknown.
const maxDatagram = 1300

func (c *session) inviteUnsent(attempt uint8, err error) {
	if _, negotiation := asMedia(err); negotiation || err == errNoBody {
		c.mediaFailed(err)
		return
	}
	c.shard.count.drop(dropUnsent)
	why := c.unreached(call.CauseTransport)
	c.triedWith(attempt, 0, why)
	c.then(call.Event{Kind: call.CalleeFailed, Attempt: attempt, Cause: why})
}

// contactTarget follows a redirection, but only to where the callee side is
// known to live: anything else would let a callee dial through us.
func (c *session) contactTarget(uri []byte) (target, bool) {
	u, err := wire.ParseURI(uri)
	if err != nil {
		return target{}, false
	}
	addr, ok := numericHost(u)
	if !ok {
		return target{}, false
	}
	proto := protoOfURI(u)
	if !c.mayFollow(proto, addr) {
		return target{}, false
	}
	return target{uri: bytes.Clone(uri), to: bytes.Clone(c.callee.dialog.Remote), proto: proto, addr: addr}, true
}

// mayFollow: the address belongs to the same trunk, or to the same agent.
func (c *session) mayFollow(p transport.Proto, addr netip.AddrPort) bool {
	found := c.shard.edge.snapshot.Load().Source(p.String(), addr)
	if c.callee.trunk != nil {
		return found.Trunk != nil && found.Trunk.Name == c.callee.trunk.Name
	}
	return found.Agent != nil && found.Agent.Name == c.callee.agent.Name
}

// takeContacts keeps the contacts of the 3xx at hand that may be followed.
func (c *session) takeContacts() { c.contacts = append(c.followable(), c.contacts...) }

// followable returns copies of those contacts, in order, each once.
func (c *session) followable() (uris [][]byte) {
	for v := range c.shard.in.Values(wire.HContact) {
		a, err := wire.ParseAddress(v)
		if err != nil {
			continue
		}
		if u, err := wire.ParseURI(a.URI); err == nil {
			if addr, ok := numericHost(u); ok && c.mayFollow(protoOfURI(u), addr) && len(uris) < maxTargets {
				uris = append(uris, bytes.Clone(a.URI))
			}
		}
	}
	return uris
}

// cancelCallee gives an attempt up.
func (c *session) cancelCallee(now time.Time, a call.Action) {
	if c.callee.joint.peer != 0 {
		c.deliver(call.Callee, delivery{ev: call.Event{Kind: call.ReinviteCancelled}})
		return
	}
	if c.leaveQueue() { // nothing was sent, so nothing is to be waited for
		c.then(call.Event{Kind: call.CalleeFailed, Attempt: a.Attempt, Cause: call.CauseThrottled})
		return
	}
	if int(a.Attempt) >= len(c.attempts) {
		return
	}
	var headers []byte
	if a.AtHand {
		headers = wire.AppendLines(nil, &c.shard.in, wire.HReason)
	} else {
		headers = appendReason(nil, a.Reason)
	}
	c.attempts[a.Attempt].Cancel(now, headers)
}

// ackCallee confirms a 2xx. The ACK of a late offer carries the caller's answer;
// a copy of the 2xx gets the same again.
func (c *session) ackCallee(now time.Time, a call.Action) {
	if c.callee.joint.up && a.Fork == c.fork {
		return // the other call has its ACK already
	}
	kind, body, err := c.ackBody(a, call.Callee)
	if err != nil {
		c.mediaFailed(err)
		return
	}
	c.sendAck(now, call.Callee, a.Fork, a.Again, kind, body)
	if body != nil && !a.Again {
		c.settle()
	}
}

// ackBody returns what an ACK to side carries.
func (c *session) ackBody(a call.Action, to call.Side) (kind string, body []byte, err error) {
	l := c.leg(to)
	if a.Again {
		if l.answer == nil || l.answerSeq != c.shard.in.CSeq {
			return "", nil, nil
		}
		return sdpType, l.answer, nil
	}
	l.answer, l.answerSeq = nil, c.dialogOf(to, a.Fork).InviteSeq()
	kind, body, err = c.chooseBody(a.Body, &c.shard.in, to, answer)
	if err == nil && body != nil {
		l.answer = bytes.Clone(body)
	}
	return kind, body, err
}

// sendAck writes an ACK for a 2xx and sends it once: it has no transaction
// (RFC 3261 §13.2.2.4). A copy of the 2xx at hand may be of an INVITE before the last.
func (c *session) sendAck(now time.Time, side call.Side, fork uint8, again bool, kind string, body []byte) {
	s := c.shard
	d := c.dialogOf(side, fork)
	seq := d.InviteSeq()
	if again {
		seq = s.in.CSeq
	}
	f, query, known := s.nextHop(now, c.seatOf(side, fork), d)
	s.branch = s.layer.MintBranch(s.branch[:0])
	b := d.AppendAck(s.out[:0], seq, f.Proto.String(), s.sentBy(f), s.branch)
	if c.strayTry(side, fork) == nil { // else they are another trunk's
		b = append(b, c.leg(side).auth...)
	}
	s.out = wire.AppendBody(b, kind, body)
	if !known || len(c.parked) > 0 {
		c.park(parked{query: query, flow: f, bytes: s.out}, known)
		return
	}
	if s.Send(f, s.out, 0) != nil {
		s.count.drop(dropUnsent)
	}
}
