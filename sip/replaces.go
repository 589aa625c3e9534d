package sip

import (
	"bytes"
	"time"

	"trunkline/config"
	"trunkline/sip/admit"
	"trunkline/sip/call"
	"trunkline/sip/dialog"
	"trunkline/sip/rewrite"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// replace takes an INVITE that wants to take the place of a side of a call we have (RFC 3891 §3): who sends it must be the
// trunk or agent of that side, or whom that side's REFER was passed to. Its own call has that side for a callee.
func (s *shard) replace(now time.Time, p transport.Packet, server transaction.Server, from trunks.Principal) {
	policy := sessionPolicy(from.Trunk, from.Agent)
	timer, enough := policy.Accept(&s.in, dialog.Session{})
	r, ok := s.in.Replaces()
	first, side := s.replaced(r)
	caller := leg{trunk: from.Trunk, agent: from.Agent}
	allowed := first != nil && side != call.Nobody && first.leg(side).sameParty(&caller)
	if first == nil || side == call.Nobody {
		first, side = s.replacedAsKnownTo(r)
		allowed = first != nil && first.leg(side).transfers() == config.TransferPass
	}
	if isLoop(p.Flow) && first != nil {
		allowed = string(s.in.GetName(partyHeader)) == first.leg(side).party()
	}
	switch {
	case !enough:
		s.refuse(now, server, tooBrief(policy))
		return
	case !ok:
		s.refuse(now, server, &admit.Rejection{Status: 400, Reason: "Bad Replaces", Cause: "replaces"})
		return
	case first == nil, first.machine.State() < call.Answering, first.machine.State() > call.Connected:
		s.refuse(now, server, &admit.Rejection{Status: 481, Cause: "no_dialog"})
		return
	case !allowed:
		s.refuse(now, server, &admit.Rejection{Status: 403, Cause: "replaces"})
		return
	case r.EarlyOnly, first.transfer != nil, first.leg(side).joint.peer != 0, len(s.in.Body) == 0:
		s.refuse(now, server, &admit.Rejection{Status: 486, Cause: "replaces"})
		return
	}
	c := s.newSession()
	if c == nil {
		s.refuse(now, server, s.overloaded("overload"))
		return
	}
	s.current = c
	c.startReplacing(now, p, server, first, side, caller, timer)
	s.current = nil
}

func (c *session) startReplacing(now time.Time, p transport.Packet, server transaction.Server, first *session, side call.Side, caller leg, timer dialog.Session) {
	s := c.shard
	called, number := admit.Numbers(&s.in, true)
	c.begin(p, server, found{direction: first.direction, from: caller.trunk, called: called, number: number})
	if caller.agent != nil && !rewrite.IsNumber(number) {
		c.number = bytes.Clone(first.ownNumber()) // what it calls from, if it transfers
	}
	c.caller.trunk, c.caller.agent, c.caller.session = caller.trunk, caller.agent, timer
	c.caller.flowOnly = caller.agent != nil && s.anywhere(caller.agent, p.Flow)
	c.caller.learnAllow(&s.in)
	c.route = first.route
	c.callee.joint = joint{peer: first.token(0), side: side}
	c.callee.flow = first.leg(side.Other()).flow
	first.transfer = &transfer{side: side, kind: targetReplaces, begun: true, peer: c.token(0), peerSide: call.Callee}
	c.openMedia()
	server.Trying(now)
	c.step(now, call.Event{Kind: call.Start, SDP: c.sdpOf(&s.in), Targets: 1, After: expires(&s.in),
		Reliable: s.in.HasToken(wire.HSupported, admit.Reliable), Required: s.in.HasToken(wire.HRequire, admit.Reliable)})
}

// partyHeader names, from shard to shard, who asks for a side to be replaced. It never reaches a socket.
const partyHeader = "X-Trunkline-Party"

// party is the name of a side's trunk or agent.
func (l *leg) party() string {
	switch {
	case l.trunk != nil:
		return "trunk/" + l.trunk.Name
	case l.agent != nil:
		return "agent/" + l.agent.Name
	}
	return ""
}

// callElsewhere makes c a call to the shard that has the other call of an attended transfer.
func (c *session) callElsewhere(now time.Time, first *session, t *transfer) {
	c.otherShard, c.replaces = t.elsewhere, t.replaces
	c.route = first.route
	c.openMedia()
	c.inheritMedia(call.Caller, first, t.side.Other())
	c.step(now, call.Event{Kind: call.Start, SDP: call.SDPGood, Targets: 1})
}

// inviteElsewhere asks the other shard to let the party take the place of the side there.
func (c *session) inviteElsewhere(now time.Time, a call.Action) {
	s := c.shard
	c.callee.flow = loopTo(c.otherShard-1, c.caller.flow.Socket)
	if err := c.replaceMedia(); err != nil {
		c.mediaFailed(err)
		return
	}
	invite := c.original()
	var tag, callID [2*tagSize + 1]byte
	contact := s.contact(c.callee.flow)
	uri := append([]byte("sip:transfer@"), s.sentBy(c.callee.flow)...)
	c.callee.dialog = dialog.NewCaller(s.appendCallID(callID[:0]), appendTag(tag[:0], s.random, s.index, c.slot), contact, contact, uri, contact)
	if err := c.sendInvite(now, invite, a.Attempt, a.Body); err != nil {
		c.inviteUnsent(a.Attempt, err)
	}
}

// inviteJoint offers the caller to the party whose peer it wants to replace.
func (c *session) inviteJoint(a call.Action) {
	c.replacing = a.Attempt
	first, _ := c.shard.owner(c.callee.joint.peer)
	if first == nil || first.transfer == nil {
		c.then(call.Event{Kind: call.CalleeFailed, Attempt: a.Attempt, Cause: call.CauseUnresolved})
		return
	}
	if c.bridge != nil {
		if err := c.replaceMedia(); err != nil {
			c.mediaFailed(err)
			return
		}
		c.inheritMedia(call.Callee, first, c.callee.joint.side.Other())
	}
	_, sdp, err := c.crossBody(c.original(), call.Caller, offer)
	if err != nil {
		c.mediaFailed(err)
		return
	}
	c.callee.sdp = append(c.callee.sdp[:0], sdp...)
	c.deliver(call.Callee, delivery{kind: deliverJoin})
}

// knownToTarget returns the dialog that a Replaces in a Refer-To names as the target of the transfer knows it: its own with
// us, where the REFER has the one that its sender has with us (REF-03).
func (s *shard) knownToTarget(uri wire.URI) *wire.Replaces {
	r, ok := wire.ReplacesInURI(uri)
	if !ok {
		return nil
	}
	held, side := s.replaced(r)
	if held == nil || side == call.Nobody {
		return nil
	}
	d := held.dialogOf(side.Other(), held.fork)
	return &wire.Replaces{CallID: d.CallID, ToTag: d.RemoteTag, FromTag: d.LocalTag}
}

// ownNumber is the number of the agent in this call: it is who calls when the agent transfers.
func (c *session) ownNumber() []byte {
	if c.agentSide() == call.Caller {
		return c.number
	}
	return c.called
}

func (c *session) agentSide() call.Side {
	if c.caller.agent != nil {
		return call.Caller
	}
	return call.Callee
}

// sameParty: both sides are the same trunk or the same agent.
func (l *leg) sameParty(other *leg) bool {
	if l.trunk != nil {
		return other.trunk != nil && l.trunk.Name == other.trunk.Name
	}
	return l.agent != nil && other.agent != nil && l.agent.Name == other.agent.Name
}

// replaced returns the call of this shard and the side of it whose dialog a Replaces names, as we are named in it
// (RFC 3891 §3).
func (s *shard) replaced(r wire.Replaces) (*session, call.Side) {
	_, slot, ok := readTag(r.ToTag)
	if !ok {
		return nil, call.Nobody
	}
	c := s.session(slot)
	if c == nil {
		return nil, call.Nobody
	}
	return c, c.sideIn(r.CallID, r.ToTag, r.FromTag)
}

// replacedAsKnownTo is replaced for the dialog as the peer in it is named, which only who got a REFER of ours can know: the
// side to be replaced is the other one.
func (s *shard) replacedAsKnownTo(r wire.Replaces) (*session, call.Side) {
	r.ToTag, r.FromTag = r.FromTag, r.ToTag
	c, side := s.replaced(r)
	if side == call.Nobody {
		return nil, side
	}
	return c, side.Other()
}

// sideIn returns the side whose confirmed dialog these are, tags as seen from our end; Nobody if there is none.
func (c *session) sideIn(callID, local, remote []byte) call.Side {
	fork, answered := c.machine.Chosen()
	switch {
	case c.caller.dialog.Is(callID, local, remote):
		return call.Caller
	case answered && c.dialogOf(call.Callee, fork).Is(callID, local, remote):
		return call.Callee
	}
	return call.Nobody
}
