package sip

import (
	"bytes"
	"strconv"
	"time"

	"trunkline/config"
	"trunkline/sip/admit"
	"trunkline/sip/call"
	"trunkline/sip/resolve"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// find returns the session, side and fork whose dialog the request at hand
// belongs to: tags, Call-ID and source must all be right (RFC 3261 §12.2.2).
func (s *shard) find(p transport.Packet, from trunks.Principal) (*session, call.Side, uint8) {
	_, slot, ok := readTag(s.in.To.Tag)
	if !ok {
		return nil, call.Nobody, 0
	}
	c := s.session(slot)
	if c == nil {
		return nil, call.Nobody, 0
	}
	side, fork, ok := c.sideOf(&s.in)
	if !ok || !c.mayBe(side, fork, p.Flow, from) {
		return nil, call.Nobody, 0
	}
	return c, side, fork
}

// mayBe: the request comes from where this side lives, by address or by
// configuration. A carrier may answer from another of its hosts.
func (c *session) mayBe(side call.Side, fork uint8, f transport.Flow, from trunks.Principal) bool {
	at := c.seatOf(side, fork)
	if f.Remote.Addr() == at.flow.Remote.Addr() {
		return true
	}
	if at.trunk != nil {
		return from.Trunk != nil && from.Trunk.Name == at.trunk.Name
	}
	agent := c.leg(side).agent
	return agent != nil && from.Agent != nil && from.Agent.Name == agent.Name
}

// receiveInDialog takes a request with a To tag, other than ACK and CANCEL.
func (s *shard) receiveInDialog(now time.Time, p transport.Packet, from trunks.Principal) {
	server, verdict := s.layer.ReceiveRequest(now, &s.env, &s.in, p.Flow)
	if verdict == transaction.Full {
		s.refuseBusy(now, p.Flow)
		return
	}
	if verdict != transaction.New {
		return
	}
	c, side, fork := s.find(p, from)
	if c == nil {
		s.refuse(now, server, &admit.Rejection{Status: 481, Cause: "no_dialog"})
		return
	}
	l := c.leg(side)
	if c.seated(side, fork) {
		l.learnFlow(p.Flow)
	}
	if r := admit.InDialog(&s.in); r != nil {
		s.refuse(now, server, r)
		return
	}
	if l.joint.up {
		c.receiveFromGone(now, server)
		return
	}
	d := c.dialogOf(side, fork)
	if d.Accept(s.in.CSeq) != nil {
		s.refuse(now, server, &admit.Rejection{Status: 500, Reason: "CSeq Out Of Order", Cause: "cseq"})
		return
	}
	if (l.left || s.in.Method == wire.BYE) && c.awaitsOther(side) && c.livesIn(side, fork) {
		l.left = true
		c.receiveFromGone(now, server)
		return
	}
	if c.seated(side, fork) && (l.flowOnly || s.proven != nil) {
		c.follow(side, p.Flow)
	}
	timer := l.session
	switch s.in.Method {
	case wire.INVITE, wire.UPDATE:
		d.Refresh(&s.in)
		l.learnAllow(&s.in)
		policy, ok := l.sessionPolicy(), false
		if timer, ok = policy.Accept(&s.in, l.session); !ok {
			s.refuse(now, server, tooBrief(policy))
			return
		}
	case wire.PRACK:
		if !c.prackConfirms(now, side) {
			s.refuse(now, server, &admit.Rejection{Status: 481, Cause: "rack"})
			return
		}
	}
	purpose := uint16(0)
	if s.in.Method == wire.INVITE {
		purpose = purposeReinvite | uint16(side-call.Caller)
	}
	server.Bind(s.in.To.Tag, c.token(purpose))
	c.atHand = opened{
		server: server, method: s.in.Method, seq: s.in.CSeq, session: timer,
		offer: len(s.in.Body) > 0, head: s.appendHead(s.buffer(), &s.in, s.in.To.Tag, p.Flow),
	}
	if s.in.Method == wire.BYE {
		l.left = l.left || c.livesIn(side, fork)
		if side == call.Caller && c.machine.State() >= call.Answering {
			l.server.Acked(now) // whoever hangs up has heard the 2xx, though the ACK may come late or never
		}
	}
	if s.in.Method == wire.REFER && l.transfers() == config.TransferHandle {
		c.refer(now, side, fork)
		c.leave()
		return
	}
	ev := call.Event{Kind: call.Requested, Side: side, Method: methodOf(s.in.Method), Fork: fork, SDP: c.sdpOf(&s.in), Reason: reasonOf(&s.in)}
	switch ev.Method {
	case call.UPDATE:
		other := c.leg(side.Other())
		ev.NoUpdate = !other.update && !other.joint.up
	case call.INFO:
		ev.Digit = c.playsDigit(side)
	case call.REFER:
		ev.Pass = l.transfers() == config.TransferPass
	case call.NOTIFY: // of the subscription that a REFER passed the other way has made
		ev.Pass = c.leg(side.Other()).transfers() == config.TransferPass
	}
	if ev.Method != call.INVITE && ev.Method != call.UPDATE && ev.Method != call.PRACK {
		ev.SDP = call.SDPNone
	}
	c.step(now, ev)
	c.leave()
}

// leave gives back the head of a request at hand that was answered at once.
func (c *session) leave() {
	c.atHand.giveBack(c.shard)
	c.atHand = opened{}
}

func methodOf(m wire.Method) call.Method {
	switch m {
	case wire.INVITE:
		return call.INVITE
	case wire.BYE:
		return call.BYE
	case wire.INFO:
		return call.INFO
	case wire.UPDATE:
		return call.UPDATE
	case wire.MESSAGE:
		return call.MESSAGE
	case wire.REFER:
		return call.REFER
	case wire.NOTIFY:
		return call.NOTIFY
	case wire.SUBSCRIBE:
		return call.SUBSCRIBE
	case wire.OPTIONS:
		return call.OPTIONS
	case wire.PRACK:
		return call.PRACK
	case wire.Unknown:
		return call.UnknownMethod
	}
	return call.OtherMethod
}

// receiveAck takes an ACK that no transaction wanted: the one for a 2xx.
func (s *shard) receiveAck(now time.Time, p transport.Packet, from trunks.Principal) {
	c, side, _ := s.find(p, from)
	if c == nil {
		if _, slot, ours := readTag(s.env.ToTag); !ours || slot != maxSlots-1 { // else it ends a refusal of which nothing was kept
			s.count.drop(dropAck)
		}
		return
	}
	l := c.leg(side)
	switch {
	case side == call.Caller && s.in.CSeq == l.seq:
		l.server.Acked(now)
		if !l.acked {
			l.acked = true
			c.step(now, call.Event{Kind: call.CallerAcked, SDP: c.sdpOf(&s.in)})
		}
	case l.open.server != (transaction.Server{}) && s.in.CSeq == l.open.seq:
		l.open.server.Acked(now)
		if !l.open.acked {
			l.open.acked = true
			c.step(now, call.Event{Kind: call.ReinviteAcked, Side: side, Ref: l.open.ref, SDP: c.sdpOf(&s.in)})
		}
	default:
		s.count.drop(dropAck)
	}
}

// receiveCancel takes a CANCEL; the transaction layer finds what it is about and
// answers it.
func (s *shard) receiveCancel(now time.Time, p transport.Packet) {
	server, verdict := s.layer.ReceiveRequest(now, &s.env, &s.in, p.Flow)
	if verdict != transaction.Cancelled {
		return
	}
	c, purpose := s.owner(server.Token())
	if c == nil {
		return
	}
	s.note(c, now, false, p.Flow, p.Bytes)
	if purpose == purposeCaller {
		c.step(now, call.Event{Kind: call.CallerCancelled, Reason: reasonOf(&s.in)})
		return
	}
	side := call.Caller + call.Side(purpose&1)
	c.step(now, call.Event{Kind: call.ReinviteCancelled, Side: side, Ref: c.leg(side).open.ref})
}

// AckTimeout: nobody confirmed a 2xx of ours.
func (u serverUser) AckTimeout(now time.Time, server transaction.Server) {
	c, purpose := u.shard.owner(server.Token())
	switch {
	case c == nil:
	case purpose == purposeCaller:
		c.step(now, call.Event{Kind: call.AckTimeout, Side: call.Caller})
	case purpose&purposeReinvite != 0:
		side := call.Caller + call.Side(purpose&1)
		c.step(now, call.Event{Kind: call.AckTimeout, Side: side, Ref: c.leg(side).open.ref})
	}
}

// Failed: a response was not delivered or not confirmed. A refusal needs no
// more, and an INVITE that is never answered ends by the machine's deadlines.
func (u serverUser) Failed(time.Time, transaction.Server, transaction.Failure) {}

// respond answers the in-dialog request at hand without asking the other side.
func (c *session) respond(now time.Time, a call.Action) {
	s := c.shard
	if c.atHand.joint != 0 {
		c.respondToJoint(now, a.Side, c.atHand.joint, a.Code, false)
		return
	}
	b := s.appendReply(s.out[:0], int(a.Code), c.atHand.head)
	switch a.Code {
	case 200:
		if c.atHand.method == wire.OPTIONS {
			b = wire.AppendHeaderString(b, "Allow", c.allow(a.Side))
			b = wire.AppendHeaderString(b, "Accept", admit.Accept)
		} else if c.atHand.method == wire.UPDATE {
			b = wire.AppendHeader(b, "Contact", s.edge.contactOf(c.leg(a.Side).trunk, c.leg(a.Side).flow))
			b = c.atHand.session.AppendResponse(b)
			c.agree(a.Side, c.atHand.session)
		}
	case 202: // RFC 3515 §2.4.4
		b = wire.AppendHeader(b, "Contact", s.edge.contactOf(c.leg(a.Side).trunk, c.leg(a.Side).flow))
		if c.transfer != nil && c.transfer.silent {
			b = wire.AppendHeaderString(b, "Refer-Sub", "false")
		}
	case 405, 501:
		b = wire.AppendHeaderString(b, "Allow", c.allow(a.Side))
	}
	if a.RetryAfter > 0 {
		b = append(b, "Retry-After: "...)
		b = strconv.AppendUint(b, uint64(a.RetryAfter), 10)
		b = append(b, crlf...)
	}
	s.out = wire.AppendBody(b, "", nil)
	s.respond(now, c.atHand.server, int(a.Code), s.out)
}

// bye ends the dialog with a side.
func (c *session) bye(now time.Time, a call.Action) {
	s := c.shard
	var tail []byte
	if a.AtHand {
		tail = wire.AppendLines(s.line[:0], &s.in, wire.HReason)
	} else {
		tail = appendReason(s.line[:0], a.Reason)
		if len(tail) == 0 {
			tail = append(tail, reasonText(a.Cause)...)
		}
	}
	s.line = wire.AppendBody(tail, "", nil)
	l := c.leg(a.Side)
	switch lives := a.Side == call.Caller || a.Fork == c.fork; {
	case lives && l.joint.up:
		c.sendToJoint(c.add(pending{method: call.BYE, side: a.Side, fork: a.Fork}), a.AtHand)
		return
	case lives && l.left: // its dialog is over already
		c.then(call.Event{Kind: call.RequestAnswered, Side: a.Side, Method: call.BYE, Fork: a.Fork, Code: 200})
		return
	}
	c.send(now, c.add(pending{method: call.BYE, side: a.Side, fork: a.Fork}), s.line, maxForwards)
}

// reasonText is the Reason line of a BYE that the edge sends by itself.
func reasonText(cause call.Cause) string {
	switch cause {
	case call.CauseAckTimeout:
		return "Reason: SIP;cause=408;text=\"ACK not received\"\r\n"
	case call.CauseMediaTimeout:
		return "Reason: Q.850;cause=102;text=\"No media\"\r\n"
	case call.CauseBadAnswer, call.CauseMedia:
		return "Reason: SIP;cause=488;text=\"Session description not usable\"\r\n"
	case call.CauseSession:
		return "Reason: SIP;cause=408;text=\"Session expired\"\r\n"
	case call.CauseMaxDuration:
		return "Reason: Q.850;cause=16;text=\"Longest call duration reached\"\r\n"
	case call.CauseDrain:
		return "Reason: Q.850;cause=41;text=\"Going down\"\r\n"
	}
	return ""
}

// relay carries the in-dialog request at hand to the other side.
func (c *session) relay(now time.Time, a call.Action) {
	s := c.shard
	to := c.leg(a.Side)
	s.line = c.appendCrossing(s.line[:0], &s.in, a.Side)
	s.line = c.appendTransfer(s.line, &s.in, a)
	kind, body := string(s.in.Get(wire.HContentType)), s.in.Body
	if a.Body == call.BodyAtHand {
		var err error
		if kind, body, err = c.chooseBody(a.Body, &s.in, a.Side, offer); err != nil {
			c.mediaFailed(err)
			return
		}
	}
	s.line = wire.AppendBody(s.line, kind, body)
	p := c.add(pending{method: a.Method, side: a.Side, fork: a.Fork, from: c.atHand, offer: a.Body == call.BodyAtHand, fresh: a.Body == call.BodyAtHand})
	if a.Method == call.UnknownMethod || a.Method == call.OtherMethod {
		p.name = string(s.in.MethodName)
	}
	c.atHand = opened{}
	if to.joint.up {
		c.sendToJoint(p, false)
		return
	}
	c.send(now, p, s.line, forwards(&s.in))
}

// send writes a pending request with the given tail, further headers and body,
// and starts its transaction.
func (c *session) send(now time.Time, p *pending, tail []byte, forwards int) {
	s := c.shard
	if p.sent.IsZero() {
		p.sent = now
	}
	l := c.leg(p.side)
	d := c.dialogOf(p.side, p.fork)
	at := c.seatOf(p.side, p.fork)
	f, query, known := s.nextHop(now, at, d)
	method, name := wireMethod(p.method), p.name
	if name == "" {
		name = method.String()
	}
	refreshes := method == wire.INVITE || method == wire.UPDATE
	named := query != (resolve.Query{})
	if p.tail == nil && (named || at.trunk != nil && at.trunk.AuthUser != "" || refreshes && l.session.Interval > 0) {
		p.tail = bytes.Clone(tail)
	}
	s.branch = s.layer.MintBranch(s.branch[:0])
	b := d.AppendNamed(s.out[:0], name, method, f.Proto.String(), s.sentBy(f), s.branch, forwards)
	if method == wire.INVITE {
		b = c.appendCredentials(now, b, l, name, d.Target())
	} else {
		b = c.appendRequestCredentials(now, b, at.trunk, name, d.Target(), &p.digest)
	}
	if refreshes {
		b = l.appendSupported(b, true)
		b = l.session.AppendRequest(b)
	}
	b = s.appendUserAgent(b)
	s.out = append(b, tail...)
	w := parked{query: query, flow: f, branch: s.branch, bytes: s.out, request: p.serial}
	if !known || len(c.parked) > 0 {
		c.park(w, known)
		return
	}
	c.launch(now, p, w)
}

func wireMethod(m call.Method) wire.Method {
	switch m {
	case call.INVITE:
		return wire.INVITE
	case call.BYE:
		return wire.BYE
	case call.INFO:
		return wire.INFO
	case call.UPDATE:
		return wire.UPDATE
	case call.MESSAGE:
		return wire.MESSAGE
	case call.REFER:
		return wire.REFER
	case call.NOTIFY:
		return wire.NOTIFY
	case call.SUBSCRIBE:
		return wire.SUBSCRIBE
	case call.OPTIONS:
		return wire.OPTIONS
	case call.PRACK:
		return wire.PRACK
	}
	return wire.Unknown
}

// requestResponse takes a response to one of our in-dialog requests.
func (c *session) requestResponse(now time.Time, m *wire.Message, serial uint16) {
	p := c.request(serial)
	if p == nil || m.Status < 200 {
		return
	}
	if c.requestChallenged(now, m, p) || c.requestInterval(now, m, p) {
		return
	}
	c.acceptedCredentials(now, m, p.side)
	if p.method == call.BYE && c.counts != nil {
		c.counts.disconnect.observe(now.Sub(p.sent))
	}
	if p.method == call.INVITE || p.method == call.UPDATE {
		if m.Status < 300 {
			c.dialogOf(p.side, p.fork).Refresh(m)
			if !p.done {
				c.refreshed(p.side, m)
				c.mediaRefreshed(p, m)
			}
		} else if !p.done {
			c.withdraw(p)
		}
	}
	ev := call.Event{Kind: call.RequestAnswered, Side: p.side, Method: p.method, Code: uint16(m.Status),
		SDP: c.sdpOf(m), Fork: p.fork, Ref: p.ref, Reason: reasonOf(m), After: retryAfterOf(m)}
	if m.Status >= 300 && c.leg(p.side).gone() {
		ev.Code = requestTerminated
	}
	c.answered(now, p, ev)
}

// requestTerminated is what a refusal means, whatever it says, of a side that has ended its dialog meanwhile (RFC 3261 §15.1.2). That the
// dialog is lost is no news then: after a transfer the call goes on without that side.
const requestTerminated = 487

// requestFailed takes the end of one of our in-dialog requests without a
// response.
func (c *session) requestFailed(now time.Time, serial uint16, f transaction.Failure) {
	p := c.request(serial)
	if p == nil || p.done || c.finished || c.elsewhere(now, p, f) {
		return
	}
	c.withdraw(p)
	ev := call.Event{Kind: call.RequestFailed, Side: p.side, Method: p.method, Fork: p.fork, Ref: p.ref, Cause: causeOf(f)}
	if c.leg(p.side).gone() {
		ev.Kind, ev.Code = call.RequestAnswered, requestTerminated
		c.shard.in = wire.Message{MaxForwards: -1} // nothing is at hand
	}
	c.answered(now, p, ev)
}

// answered steps with the answer of p at hand and then forgets p, except a
// re-INVITE, whose 2xx may come again.
func (c *session) answered(now time.Time, p *pending, ev call.Event) {
	if p.own {
		held := *p
		c.remove(p.serial)
		if held.method == call.NOTIFY {
			c.notified(now, held)
		}
		return
	}
	held := c.shard.hold(p)
	p.done, p.from.head = true, nil // the copy has it
	c.current = held
	c.step(now, ev)
	c.current = nil
	held.from.giveBack(c.shard)
	switch {
	case held.method != call.INVITE:
		c.remove(held.serial)
		c.digitAnswered(now, *held, ev)
	case ev.Kind == call.RequestFailed || ev.Code >= 300:
		c.remove(held.serial)
	default:
		c.removeAnswered(held.side, held.serial)
	}
	c.shard.unhold(held)
}

// hold returns a copy of p that stays where it is while the list that p is in changes. Answers nest when calls are joined, so
// there are as many copies as that goes deep.
func (s *shard) hold(p *pending) *pending {
	n := len(s.held)
	if n == 0 {
		held := *p
		return &held
	}
	held := s.held[n-1]
	s.held = s.held[:n-1]
	*held = *p
	return held
}

func (s *shard) unhold(p *pending) {
	*p = pending{}
	s.held = append(s.held, p)
}

// relayResponse answers the request that was relayed with what came of it.
func (c *session) relayResponse(now time.Time, a call.Action) {
	s, p := c.shard, c.relayed(a)
	if p == nil {
		return
	}
	b := s.appendReply(s.out[:0], int(a.Code), p.from.head)
	kind, body := "", []byte(nil)
	if ok := a.Body; ok == call.BodyAtHand {
		var err error
		if kind, body, err = c.chooseBody(a.Body, &s.in, a.Side, answer); err != nil {
			c.mediaFailed(err)
			return
		}
	} else if a.AtHand && s.in.Status == int(a.Code) && p.method != call.UPDATE {
		kind, body = string(s.in.Get(wire.HContentType)), s.in.Body
	}
	if p.from.joint != 0 {
		c.respondToJoint(now, a.Side, p.from.joint, a.Code, a.Body != call.BodyNone)
		return
	}
	if a.Code < 300 && p.from.method == wire.REFER {
		b = wire.AppendLines(b, &s.in, wire.HReferSub) // RFC 4488 §4
		b = wire.AppendHeader(b, "Contact", s.edge.contactOf(c.leg(a.Side).trunk, c.leg(a.Side).flow))
	}
	if a.Code < 300 && p.from.method == wire.UPDATE { // RFC 3311 §5.2
		b = wire.AppendHeader(b, "Contact", s.edge.contactOf(c.leg(a.Side).trunk, c.leg(a.Side).flow))
		b = p.from.session.AppendResponse(b)
		c.agree(a.Side, p.from.session)
	}
	if a.AtHand && s.in.Status == int(a.Code) {
		b = c.appendCrossing(b, &s.in, a.Side)
	}
	s.out = wire.AppendBody(b, kind, body)
	s.respond(now, p.from.server, int(a.Code), s.out)
}

// carriesOffer: it relays an UPDATE or PRACK.
func (p *pending) carriesOffer() bool {
	return (p.from.method == wire.UPDATE || p.from.method == wire.PRACK) && (p.from.head != nil || p.from.joint != 0)
}

// relayed returns the request of ours that a response to a relayed one speaks of: the one whose answer is at hand, or an
// UPDATE that has none.
func (c *session) relayed(a call.Action) *pending {
	if a.Method != call.UPDATE && a.Method != call.PRACK || c.current != nil && c.current.carriesOffer() {
		return c.current
	}
	for i := range c.pending {
		if p := &c.pending[i]; p.carriesOffer() && p.side == a.Side.Other() && !p.done {
			return p
		}
	}
	return nil
}
