package sip

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"trunkline/config"
	"trunkline/media"
	"trunkline/sip/admit"
	"trunkline/sip/call"
	"trunkline/sip/rewrite"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// transfer is the transfer of a call that is under way, or the call that wants to take the place of a side
// (RFC 3515, RFC 3891).
type transfer struct {
	side     call.Side // in whose place the target is to stand
	target   []byte    // raw user part of who is to be called; nil: the call named by Replaces
	referrer []byte    // Referred-By, as the target sees it
	event    uint32    // CSeq number of the REFER, which names its subscription; 0: it was the dialog's first
	silent   bool      // no NOTIFYs are wanted (RFC 4488)

	begun bool

	elsewhere int    // the shard, from 1, that has the call named by Replaces; 0: this one
	replaces  []byte // header lines for it
	peer      uint64 // token of the call with the target; 0: none yet
	peerSide  call.Side
	kind      targetKind
	offered   bool // it has answered, and is offered to the party
	retries   uint8
}

// subscription is that of the side that asked for a transfer to its progress.
type subscription struct {
	event    uint32
	silent   bool
	underway uint16 // serial of the NOTIFY that has no answer; 0: none
	next     uint16 // status to tell when it has
}

// targetKind says how the other call came to be.
type targetKind uint8

const (
	targetCalled   targetKind = iota // by us, for the transfer: its caller is the party
	targetHeld                       // the side that asked was talking to it: attended transfer
	targetReplaces                   // its caller asked to replace the side (INV-15)
)

// transfers is what a REFER of a side does.
func (l *leg) transfers() config.Transfer {
	switch {
	case l.trunk != nil:
		return l.trunk.Transfer
	case l.agent != nil:
		return l.agent.Transfer
	}
	return config.TransferRefuse
}

// allow is the value of Allow for a side: REFER is in it where it does something, NOTIFY where one may come of a REFER that
// was passed the other way (RFC 3261 §20.5).
func (c *session) allow(side call.Side) string {
	refer := c.leg(side).transfers() != config.TransferRefuse
	notify := c.leg(side.Other()).transfers() == config.TransferPass
	switch {
	case refer && notify:
		return admit.Allow + ", REFER, NOTIFY"
	case refer:
		return admit.Allow + ", REFER"
	case notify:
		return admit.Allow + ", NOTIFY"
	}
	return admit.Allow
}

// appendSupported appends the Supported line for a side.
func (l *leg) appendSupported(b []byte, reliable bool) []byte {
	b = append(b, "Supported: "...)
	if reliable {
		b = append(b, admit.Supported...)
	} else {
		b = append(b, admit.WithoutReliable...)
	}
	if l.transfers() == config.TransferHandle {
		b = append(b, admit.WithoutReferSub...)
	}
	return append(b, crlf...)
}

// refer takes the REFER at hand of a side whose transfers are ours to handle.
func (c *session) refer(now time.Time, side call.Side, fork uint8) {
	m := &c.shard.in
	t := &transfer{side: side}
	ev := call.Event{Kind: call.Referred, Side: side, Fork: fork, Code: c.readRefer(m, t)}
	if c.refers > 0 {
		t.event = m.CSeq
	}
	switch {
	case ev.Code != 0:
	case c.transfer != nil:
		ev.Code = 491
	default:
		c.transfer = t
	}
	c.step(now, ev)
	if c.transfer == t && !t.begun { // the machine would not have it
		c.transfer = nil
	}
}

// readRefer finds out whom a REFER wants to be called. It returns 0, or the response that refuses it: toll rules are those
// of a call that the call's agent would make (REF-01).
func (c *session) readRefer(m *wire.Message, t *transfer) uint16 {
	var value []byte
	n := 0
	for value = range m.Values(wire.HReferTo) {
		n++
	}
	address, err := wire.ParseAddress(value)
	if n != 1 || err != nil {
		return 400 // RFC 3515 §2.4.2
	}
	uri, err := wire.ParseURI(address.URI)
	if err != nil {
		return 416
	}
	switch string(bytes.ToLower(uri.Scheme)) {
	case "sip", "sips", "tel":
	default:
		return 416
	}
	if method, ok := uri.Param("method"); ok && !bytes.EqualFold(method, []byte("INVITE")) {
		return 403
	}
	t.silent = bytes.EqualFold(bytes.TrimSpace(m.Get(wire.HReferSub)), []byte("false"))
	t.referrer = bytes.Clone(rewrite.AppendReferredBy(nil, m, hostOf(c.shard.sentBy(c.leg(t.side).flow))))
	if replaces, ok := wire.ReplacesInURI(uri); ok {
		if shard, _, ours := readTag(replaces.ToTag); ours && shard != c.shard.index && shard < len(c.shard.edge.shards) {
			t.elsewhere = shard + 1
			t.replaces = replaces.Append([]byte("Replaces: "))
			t.replaces = append(append(t.replaces, "\r\n"+partyHeader+": "...), c.leg(t.side).party()...)
			t.replaces = append(t.replaces, "\r\n"...)
			t.target = []byte("transfer")
			return 0
		}
		held, side := c.shard.replaced(replaces)
		if held == nil || side == call.Nobody || held == c || !held.leg(side).sameParty(c.leg(t.side)) {
			return 481
		}
		if held.machine.State() != call.Connected || held.transfer != nil || held.leg(side).joint.peer != 0 {
			return 486
		}
		t.kind, t.peer, t.peerSide = targetHeld, held.token(0), side
		return 0
	}
	t.target = bytes.Clone(admit.User(address.URI))
	if _, _, r := c.targetRoute(t.target); r != nil {
		c.shard.count.reject(r.Reason.String())
		return refuseEvent(r, 0).Code
	}
	return 0
}

// targetRoute routes the call to the target of a transfer as one that the call's agent makes now: a reload may have changed it since
// the call began, or removed it.
func (c *session) targetRoute(target []byte) (route trunks.Route, emergency bool, refusal *trunks.Refusal) {
	e := c.shard.edge
	emergency = e.isEmergency(target)
	snapshot := e.snapshot.Load()
	agent := snapshot.Agent(c.route.Agent.Name)
	if agent == nil {
		return route, emergency, &trunks.Refusal{Reason: trunks.NumberUnverified, Agent: c.route.Agent, User: string(c.ownNumber())}
	}
	route, refusal = snapshot.Outbound(agent, c.ownNumber(), target)
	if refusal == nil && !emergency {
		if refusal = route.Barred(target); refusal != nil {
			refusal.Count()
		}
	}
	return route, emergency, refusal
}

// appendTransfer appends what a REFER that is passed on asks for, as the other side can reach it, and what a NOTIFY about
// it says.
func (c *session) appendTransfer(b []byte, m *wire.Message, a call.Action) []byte {
	switch a.Method {
	case call.REFER:
		host := c.hostFor(a.Side)
		for v := range m.Values(wire.HReferTo) {
			address, err := wire.ParseAddress(v)
			if err != nil {
				continue
			}
			var known *wire.Replaces
			if uri, err := wire.ParseURI(address.URI); err == nil {
				known = c.shard.knownToTarget(uri)
			}
			b = rewrite.AppendReferTo(b, address, host, known)
		}
		b = wire.AppendLines(b, m, wire.HReferSub)
		if m.HasToken(wire.HRequire, admit.NoReferSub) {
			b = wire.AppendHeaderString(b, "Require", admit.NoReferSub)
		}
	case call.NOTIFY:
		b = wire.AppendLines(b, m, wire.HEvent)
		b = wire.AppendLines(b, m, wire.HSubscriptionState)
	}
	return b
}

// startTransfer calls the target, or asks the party that the side was talking to for a description.
func (c *session) startTransfer(now time.Time) {
	t := c.transfer
	t.begun = true
	if t.kind == targetHeld {
		held, _ := c.shard.owner(t.peer)
		held.leg(t.peerSide).joint = joint{peer: c.token(0), side: t.side}
		held.leg(t.peerSide).inherits = c.token(0)
		c.shard.deliveries = append(c.shard.deliveries, delivery{to: t.peer, from: c.token(0), kind: deliverRequest,
			ev: call.Event{Kind: call.Requested, Side: t.peerSide, Method: call.INVITE}, serial: serialJoin, method: wire.INVITE, nothing: true})
		return
	}
	target := c.shard.newSession()
	if target == nil {
		c.then(call.Event{Kind: call.TargetProgress, Code: 503})
		c.transfer = nil
		return
	}
	t.peer, t.peerSide = target.token(0), call.Caller
	target.callFor(now, c, t)
}

// callFor makes c the call to the target of a transfer: the party that is transferred is its caller.
func (c *session) callFor(now time.Time, first *session, t *transfer) {
	s := c.shard
	party := first.leg(t.side.Other())
	appendTag(c.id[:0], s.random, s.index, c.slot)
	c.source, c.caller.flow = first.source, party.flow
	c.caller.joint = joint{peer: first.token(0), side: t.side}
	c.called, c.number = bytes.Clone(t.target), bytes.Clone(first.ownNumber())
	c.invite = c.writeTransferred(s.buffer(), first.resumed(t.side), t)
	c.chain = noTrace
	c.direction = trunks.OutboundCall
	s.edge.calls.Add(1)
	if t.elsewhere != 0 {
		c.callElsewhere(now, first, t)
		return
	}
	route, emergency, refusal := first.targetRoute(t.target)
	if refusal != nil { // a reload came between
		c.refused(now, refusal)
		return
	}
	c.route, c.emergency = route, emergency
	if r := c.sit(now); r != nil {
		c.refused(now, r)
		return
	}
	c.countOn(now)
	c.openMedia()
	c.inheritMedia(call.Caller, first, t.side.Other())
	c.machine.Use(c.policy())
	c.step(now, call.Event{Kind: call.Start, SDP: call.SDPGood, Targets: c.targets()})
}

// writeTransferred appends the INVITE that the party would have sent to the target: what follows is that of any call of
// the agent.
func (c *session) writeTransferred(b, sdp []byte, t *transfer) []byte {
	s := c.shard
	host := s.sentBy(c.caller.flow)
	b = append(b, "INVITE sip:"...)
	b = append(append(b, t.target...), '@')
	b = append(append(b, host...), " SIP/2.0\r\n"...)
	b = wire.AppendVia(b, c.caller.flow.Proto.String(), host, s.layer.MintBranch(nil))
	b = append(b, "Max-Forwards: "...)
	b = strconv.AppendInt(b, maxForwards, 10)
	b = append(b, "\r\nFrom: <sip:"...)
	b = append(append(append(b, c.number...), '@'), host...)
	b = append(append(b, ">;tag="...), c.id[:]...)
	b = append(b, "\r\nTo: <sip:"...)
	b = append(append(append(b, t.target...), '@'), host...)
	b = append(b, ">\r\nCall-ID: "...)
	b = append(append(b, c.id[:]...), "\r\nCSeq: 1 INVITE\r\nContact: <sip:"...)
	b = append(append(b, host...), ">\r\n"...)
	b = append(b, t.referrer...)
	return wire.AppendBody(b, sdpType, sdp)
}

// resumed is the description of the party on the other side of a side that transfers it: as that side has seen it, but off hold, and
// protected as the party itself is.
func (c *session) resumed(side call.Side) []byte {
	if c.bridge == nil {
		return media.AppendResumed(nil, c.leg(side).sdp)
	}
	return c.bridge.AppendResumed(nil, c.leg(side).sdp, mediaSide(side))
}

// respondParty takes a response to the INVITE of a call that we made for a transfer: the first call hears of it.
func (c *session) respondParty(now time.Time, a call.Action) {
	if a.Body != call.BodyNone {
		if err := c.describeTarget(a); err != nil {
			c.mediaFailed(err)
			return
		}
	}
	if a.Code < 200 {
		c.deliver(call.Caller, delivery{ev: call.Event{Kind: call.TargetProgress, Code: a.Code}})
		return
	}
	c.fork = a.Fork
	c.forgetInvite()
	if a.Code >= 300 {
		c.deliver(call.Caller, delivery{ev: call.Event{Kind: call.TargetProgress, Code: a.Code}})
		return
	}
	c.talk(now)
	if c.counts != nil {
		c.countIn(&c.counts.answered)
	}
	c.deliver(call.Caller, delivery{kind: deliverJoin})
}

// describeTarget makes the description of the target that the party is to see: an offer, although the target has answered
// one, for the party has made none.
func (c *session) describeTarget(a call.Action) error {
	if a.Body == call.BodyAtHand {
		c.description = append(c.description[:0], sdpIn(&c.shard.in)...)
	}
	if _, _, err := c.chooseBody(a.Body, &c.shard.in, call.Caller, answer); err != nil {
		return err
	}
	if a.Code < 200 || c.bridge == nil {
		return nil
	}
	sdp, err := c.bridge.Offer(media.Callee, c.description, nil)
	if err == nil {
		c.caller.sdp = append(c.caller.sdp[:0], sdp...)
	}
	return err
}

// offerTarget offers the target to the party, as a re-INVITE of the side that asked.
func (c *session) offerTarget(now time.Time) {
	t := c.transfer
	if t == nil || t.peer == 0 {
		return
	}
	t.offered = true
	l := c.leg(t.side)
	l.joint = joint{peer: t.peer, side: t.peerSide, theirs: true}
	ev := call.Event{Kind: call.Requested, Side: t.side, Method: call.INVITE, SDP: call.SDPGood}
	if t.side == call.Callee {
		ev.Fork = c.fork
	}
	c.atHand = opened{method: wire.INVITE, offer: true, joint: serialJoin, session: l.session}
	c.step(now, ev)
	c.leave()
}

// targetTaken takes the party's answer to the target.
func (c *session) targetTaken(now time.Time, side call.Side, ev call.Event) {
	t := c.transfer
	if t == nil { // held for another call's transfer: that call hears of it
		c.describedForTransfer(side, ev)
		return
	}
	own := func(d delivery) {
		d.to, d.from, d.ev.Side = c.token(0), c.token(0), side
		c.shard.deliveries = append(c.shard.deliveries, d)
	}
	switch {
	case ev.Code < 300 && c.connectTarget(t):
		own(delivery{ev: call.Event{Kind: call.ReinviteAcked}})
		own(delivery{kind: deliverUp})
		c.transfer = nil
	case ev.Code < 300:
		own(delivery{ev: call.Event{Kind: call.ReinviteAcked}})
		own(delivery{ev: call.Event{Kind: call.HangUp, Cause: call.CauseMedia}})
	case (ev.Code == 491 || ev.Code == 500) && t.retries < maxJoins && t.kind != targetReplaces:
		t.retries++
		c.leg(side).joint = joint{}
		wait := 2100*time.Millisecond + time.Duration(c.shard.random.Uint64()%190)*10*time.Millisecond // RFC 3261 §14.1
		c.shard.wheel.Start(&c.joining, now.Add(wait))
	default:
		c.dropTarget(ev.Code)
		own(delivery{ev: call.Event{Kind: call.TargetProgress, Code: ev.Code}})
	}
}

// maxJoins bounds how often a target is offered to a party that has another request open.
const maxJoins = 4

// connectTarget tells the call with the target that the party has taken it, and reports whether its answer is of use.
func (c *session) connectTarget(t *transfer) bool {
	target, _ := c.shard.owner(t.peer)
	if target == nil {
		return false
	}
	to := func(d delivery) {
		d.to, d.from, d.ev.Side = t.peer, c.token(0), t.peerSide
		c.shard.deliveries = append(c.shard.deliveries, d)
	}
	switch t.kind {
	case targetCalled:
		sdp := sdpIn(&c.shard.in)
		if sdp == nil {
			return false
		}
		if target.bridge != nil {
			if _, err := target.bridge.Answer(media.Caller, sdp, nil); err != nil {
				return false
			}
			target.settle()
		}
		target.caller.joint.up = true
		to(delivery{ev: call.Event{Kind: call.CallerAcked}})
	case targetHeld:
		to(delivery{ev: call.Event{Kind: call.ReinviteAcked, SDP: c.sdpOf(&c.shard.in)}})
		to(delivery{kind: deliverUp})
	case targetReplaces:
		target.callee.joint.up = true
		to(delivery{ev: call.Event{Kind: call.CalleeAnswered, Attempt: target.replacing, Code: 200, SDP: c.sdpOf(&c.shard.in)}})
	}
	return true
}

// dropTarget ends the call with a target that nobody will be joined with. code is what became of the join, 0 when the
// first call has ended.
func (c *session) dropTarget(code uint16) {
	t := c.transfer
	c.transfer = nil
	c.shard.wheel.Stop(&c.joining)
	if t == nil || t.peer == 0 {
		return
	}
	if j := &c.leg(t.side).joint; !j.up {
		*j = joint{}
	}
	target, _ := c.shard.owner(t.peer)
	if target == nil {
		return
	}
	to := func(d delivery) {
		d.to, d.from, d.ev.Side, d.nothing = t.peer, c.token(0), t.peerSide, true
		c.shard.deliveries = append(c.shard.deliveries, d)
	}
	switch {
	case t.kind == targetReplaces:
		to(delivery{ev: call.Event{Kind: call.CalleeRejected, Attempt: target.replacing, Code: max(code, 480)}})
		c.notReplaced(t.side)
	case t.kind == targetHeld && target.leg(t.peerSide).left:
		target.notReplaced(t.peerSide)
	case t.kind == targetHeld && t.offered: // its media was taken from the side that asked
		to(delivery{ev: call.Event{Kind: call.HangUp, Cause: call.CauseMedia}})
	case t.kind == targetHeld:
		to(delivery{ev: call.Event{Kind: call.ReinviteCancelled}})
	case target.machine.State() < call.Answering:
		to(delivery{ev: call.Event{Kind: call.CallerCancelled}})
	default:
		to(delivery{ev: call.Event{Kind: call.CallerAcked}})
		to(delivery{kind: deliverRequest, ev: call.Event{Kind: call.Requested, Method: call.BYE}, serial: serialNobody, method: wire.BYE})
	}
}

// endTransfer forgets a transfer whose target has failed: the first call goes on.
func (c *session) endTransfer() {
	t := c.transfer
	c.transfer = nil
	c.shard.wheel.Stop(&c.joining)
	if t != nil && !c.leg(t.side).joint.up {
		c.leg(t.side).joint = joint{}
		if t.kind == targetReplaces {
			c.notReplaced(t.side)
		}
	}
}

// describedForTransfer passes on what the party says that a side, who transfers another, was talking to: its description,
// or why there is none.
func (c *session) describedForTransfer(side call.Side, ev call.Event) {
	if ev.Code < 300 {
		c.deliver(side, delivery{kind: deliverJoin})
		return
	}
	c.deliver(side, delivery{ev: call.Event{Kind: call.TargetProgress, Code: ev.Code}})
	c.leg(side).joint, c.leg(side).inherits = joint{}, 0
	c.notReplaced(side)
}

// errNoTransfer: the transfer has ended before its target could be offered to anybody.
var errNoTransfer = errors.New("nobody is left to be joined with")

// giveMediaAway takes a side's media from the peer there and gives it to the party that another call has, if that still wants it.
func (c *session) giveMediaAway(side call.Side) error {
	l := c.leg(side)
	first, _ := c.shard.owner(l.inherits)
	l.inherits = 0
	if first == nil || first.transfer == nil || first.transfer.peer != c.token(0) {
		return errNoTransfer
	}
	if c.bridge == nil {
		return nil
	}
	party := l.joint.side.Other()
	if err := c.bridge.Replace(mediaSide(side), c.shard.mediaAddress(first.leg(party).flow)); err != nil {
		return err
	}
	c.inheritMedia(side, first, party)
	return nil
}
