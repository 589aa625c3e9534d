package sip

import (
	"bytes"
	"strconv"
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

// invite takes the first INVITE of a call that passed package admit: finds its
// route, makes the session and starts the machine.
func (s *shard) invite(now time.Time, p transport.Packet, server transaction.Server, from trunks.Principal) {
	if s.edge.draining.Load() {
		s.refuse(now, server, s.overloaded("draining"))
		return
	}
	if s.in.Has(wire.HReplaces) {
		s.replace(now, p, server, from)
		return
	}
	found := s.findRoute(from)
	if s.edge.full() && !found.emergency {
		s.refuse(now, server, s.overloaded("overload"))
		return
	}
	policy := sessionPolicy(from.Trunk, from.Agent)
	timer, ok := policy.Accept(&s.in, dialog.Session{})
	if !ok {
		s.refuse(now, server, tooBrief(policy))
		return
	}
	if !s.routed(now, server, &found) {
		return
	}
	c := s.newSession()
	if c == nil {
		s.refuse(now, server, s.overloaded("overload"))
		return
	}
	c.caller.session = timer
	c.caller.learnAllow(&s.in)
	s.current = c // for survive; a step does the same
	c.start(now, p, server, found)
	s.current = nil
}

// start takes the call up, or refuses it.
func (c *session) start(now time.Time, p transport.Packet, server transaction.Server, found found) {
	c.begin(p, server, found)
	if found.refusal != nil {
		c.refused(now, found.refusal)
		return
	}
	c.route = found.route
	if r := c.sit(now); r != nil {
		c.refused(now, r)
		return
	}
	c.countOn(now)
	c.findBindings(now, c.callee.agent)
	c.openMedia()
	server.Trying(now)
	ev := call.Event{Kind: call.Start, SDP: c.sdpOf(&c.shard.in), Targets: c.targets(), After: expires(&c.shard.in),
		Reliable: c.shard.in.HasToken(wire.HSupported, admit.Reliable), Required: c.shard.in.HasToken(wire.HRequire, admit.Reliable)}
	c.machine.Use(c.policy())
	c.lateOffer, c.reliable = ev.SDP == call.SDPNone, ev.Reliable || ev.Required
	c.step(now, ev)
}

// begin fills in what every session has, refused ones too.
func (c *session) begin(p transport.Packet, server transaction.Server, found found) {
	s := c.shard
	m := &s.in
	appendTag(c.id[:0], s.random, s.index, c.slot)
	server.Bind(c.id[:], c.token(purposeCaller))
	c.direction, c.emergency, c.via = found.direction, found.emergency, found.via
	c.source = p.Flow.Remote
	c.caller.flow = p.Flow
	c.caller.server, c.caller.seq = server, m.CSeq
	c.caller.dialog = dialog.FromInvite(m, c.id[:], s.edge.contactOf(found.from, p.Flow))
	c.invite = append(s.buffer(), p.Bytes...)
	c.head = s.appendHead(s.buffer(), m, c.id[:], p.Flow)
	c.called, c.number, c.stands = bytes.Clone(found.called), bytes.Clone(found.number), found.stands
	c.tel = isTel(m.URI)
	if c.private = rewrite.Private(m); c.private && c.direction == trunks.InboundCall {
		c.number = nil // nobody is to know it, in records either (RFC 3323 §5)
	}
	c.chain = s.trace.add(noTrace, s.port.Now(), false, false, p.Flow, p.Bytes)
	s.edge.calls.Add(1)
}

// sit says who sits on which side and takes a channel on both.
func (c *session) sit(now time.Time) *trunks.Refusal {
	if c.emergency {
		c.route.Agent.Take()
	} else if !c.route.Agent.Acquire() {
		return &trunks.Refusal{Reason: trunks.LimitChannels, Agent: c.route.Agent}
	}
	c.onAgent = true
	if c.direction == trunks.OutboundCall {
		c.caller.agent = c.route.Agent
		c.caller.flowOnly = c.shard.anywhere(c.route.Agent, c.caller.flow)
		if !c.emergency {
			if r := c.route.Agent.Spend(now); r != nil {
				return r
			}
		}
		return c.takeTrunk(now)
	}
	c.caller.trunk, c.callee.agent = c.route.Trunk, c.route.Agent
	if !c.route.Trunk.Acquire() {
		return &trunks.Refusal{Reason: trunks.LimitChannels, Trunk: c.route.Trunk}
	}
	c.onTrunk = true
	return nil
}

// talk books that an agent's call was answered. One that takes the place of a side is booked with the call it joins.
func (c *session) talk(now time.Time) {
	if c.direction == trunks.OutboundCall && !c.talking && c.callee.joint.peer == 0 && c.otherShard == 0 {
		c.talking = true
		c.route.Agent.Answered(now)
		c.watchToll(now)
	}
}

// found is where an INVITE may go, or why not.
type found struct {
	direction      trunks.Direction
	from           *trunks.Trunk // that an inbound call came from; nil for outbound ones
	called, number []byte        // raw user parts of who is called and who calls, in the message at hand
	stands         bool          // number is the agent's own, for it named none that it may use
	route          trunks.Route
	refusal        *trunks.Refusal
	emergency      bool
	via            via // what a Route of the INVITE asks for; zero: nothing
}

// findRoute asks the snapshot where the INVITE at hand may go.
func (s *shard) findRoute(from trunks.Principal) (f found) {
	snapshot := s.edge.snapshot.Load()
	if f.from = from.Trunk; f.from == nil {
		f.direction = trunks.OutboundCall
		f.called, f.number = admit.Numbers(&s.in, true)
		f.emergency = s.edge.isEmergency(f.called)
		var number []byte
		if f.route, number, f.refusal = Outbound(snapshot, from.Agent, &s.in, f.emergency); number != nil {
			f.number, f.stands = number, true
		}
		if f.refusal == nil && !f.emergency {
			f.refusal = f.route.Barred(f.called)
		}
		return f
	}
	f.direction = trunks.InboundCall
	f.route, f.called, f.refusal = Inbound(snapshot, f.from, s.at.Proto.String(), s.at.Remote, &s.in)
	if f.refusal == nil {
		f.from = f.route.Trunk
	}
	_, f.number = admit.Numbers(&s.in, f.from.Trusted)
	return f
}

// Outbound routes an INVITE of an agent: its caller must be a number that the
// agent may use. An agent that forwards calls of others may name such a number as
// the one that diverted the call instead (RFC 5806, RFC 7044). One that names no
// number, or its own user name, as telephones do that are not told more, calls from
// the only number it may use, which own is then; in an emergency from any it has,
// whatever it says.
func Outbound(s *trunks.Snapshot, a *trunks.Agent, m *wire.Message, emergency bool) (route trunks.Route, own []byte, refusal *trunks.Refusal) {
	called, number := admit.Numbers(m, true)
	route, refusal = s.Outbound(a, number, called)
	if refusal == nil || refusal.Reason != trunks.NumberUnverified {
		return route, nil, refusal
	}
	if by := rewrite.Diverter(m); by != nil && a.Forwarding {
		if diverted, other := s.Outbound(a, by, called); other == nil {
			return diverted, nil, nil
		}
	}
	if n := a.OwnNumber(emergency); n != nil && (emergency || !rewrite.IsNumber(number) || string(number) == a.AuthUser) {
		if by, other := s.Outbound(a, []byte(n.E164), called); other == nil {
			return by, []byte(n.E164), nil
		}
	}
	return route, nil, refusal
}

// anywhere reports whether an agent, known by digest, speaks from where nobody is listed: nothing but the flow need lead there.
func (s *shard) anywhere(a *trunks.Agent, f transport.Flow) bool {
	return a.AuthUser != "" && !s.edge.snapshot.Load().Source(f.Proto.String(), f.Remote).Known()
}

// refused ends a call that we do not take: the machine answers and records.
func (c *session) refused(now time.Time, r *trunks.Refusal) {
	c.shard.count.reject(r.Reason.String())
	r.Count()
	c.shard.logRefusal(c, r)
	c.refusal = r.Reason
	c.step(now, refuseEvent(r, c.shard.edge.limits().RetryAfter.D()))
}

// refuseEvent says what the peer hears of a refusal. It is the same for every
// number that is not served, so that nobody can search for those that are.
func refuseEvent(r *trunks.Refusal, retryAfter time.Duration) call.Event {
	ev := call.Event{Kind: call.Refuse, Code: 403, Cause: call.CauseForbidden}
	switch r.Reason {
	case trunks.NoRoute:
		ev.Code, ev.Cause = 404, call.CauseNoRoute
	case trunks.NoTrunk, trunks.TrunkDown:
		ev.Code, ev.Cause, ev.After = 503, call.CauseNoRoute, retryAfter
	case trunks.LimitChannels:
		ev.Code, ev.Cause, ev.After = 503, call.CauseLimit, retryAfter
	case trunks.LimitCPS:
		ev.Code, ev.Cause, ev.After = 503, call.CauseThrottled, retryAfter
	case trunks.Overload:
		ev.Code, ev.Cause, ev.After = 503, call.CauseOverload, retryAfter
	}
	return ev
}

func (s *shard) overloaded(cause string) *admit.Rejection {
	return &admit.Rejection{Status: 503, Header: retryAfterLine(s.edge.limits().RetryAfter), Cause: cause}
}

// retryAfterLine is the Retry-After of a 503 of ours; empty for 0.
func retryAfterLine(after config.Duration) string {
	if after == 0 {
		return ""
	}
	return "Retry-After: " + strconv.Itoa(int(after.D()/time.Second)) + "\r\n"
}

// full reports whether there are as many calls as limits.max_calls allows.
func (e *Edge) full() bool {
	limit := e.limits().MaxCalls
	return limit > 0 && e.Calls() >= limit
}

// respondCaller answers the first INVITE.
func (c *session) respondCaller(now time.Time, a call.Action) {
	s := c.shard
	if c.caller.joint.peer != 0 {
		c.respondParty(now, a)
		return
	}
	if c.origin.made {
		c.respondOrigin(now, a)
		return
	}
	x := answer
	if c.lateOffer {
		x = offer
	}
	kind, body, err := c.chooseBody(a.Body, &s.in, call.Caller, x)
	if err != nil {
		c.mediaFailed(err)
		return
	}
	b := s.appendReply(s.out[:0], int(a.Code), c.head)
	if a.Code < 300 {
		b = wire.AppendHeader(b, "Contact", c.caller.dialog.Contact)
	}
	r := response{status: int(a.Code), fork: a.Fork, answers: x == answer}
	if a.Reliable {
		b = c.appendReliable(b, &r)
	}
	b = c.appendResponseHeaders(b, a, call.Caller)
	if a.Code >= 200 && a.Code < 300 {
		b = c.caller.session.AppendResponse(b)
	}
	s.out = wire.AppendBody(b, kind, body)
	if a.Later {
		r.bytes = bytes.Clone(s.out)
		c.kept = append(c.kept, r)
		return
	}
	c.respondWith(now, r, s.out)
}

// response is one to the caller's INVITE, on its way or kept until its turn.
type response struct {
	bytes   []byte
	status  int
	rseq    uint32 // 0: not reliable
	fork    uint8
	answers bool // the INVITE had an offer
}

// respondWith sends a response to the caller's INVITE.
func (c *session) respondWith(now time.Time, r response, b []byte) {
	s := c.shard
	if r.rseq != 0 {
		c.caller.dialog.AwaitPrack(r.rseq)
		if c.caller.server.RespondReliably(now, b) != nil {
			s.count.drop(dropUnsent)
		}
		return
	}
	s.respond(now, c.caller.server, r.status, b)
	if r.status < 200 {
		return
	}
	c.kept = nil
	if r.status < 300 {
		c.talk(now)
		if c.counts != nil {
			c.countIn(&c.counts.answered)
		}
		if r.answers {
			c.settle()
		}
		c.agreed(call.Caller)
	}
	c.fork = r.fork
	c.forgetInvite()
}

// appendResponseHeaders appends what is not about the dialog: capabilities, what
// the other side's response says, and the machine's own Reason and Retry-After.
func (c *session) appendResponseHeaders(b []byte, a call.Action, to call.Side) []byte {
	l := c.leg(to)
	s := c.shard
	if a.Code >= 200 && a.Code < 300 {
		b = wire.AppendHeaderString(b, "Allow", c.allow(to))
		b = l.appendSupported(b, true)
	}
	if a.AtHand {
		b = c.appendCrossing(b, &s.in, to)
		if a.Code >= 300 && a.Code < 400 {
			b = rewrite.AppendRedirection(b, &s.in, c.hostFor(call.Caller))
		}
	}
	if a.RetryAfter > 0 {
		b = append(b, "Retry-After: "...)
		b = strconv.AppendUint(b, uint64(a.RetryAfter), 10)
		b = append(b, "\r\n"...)
	}
	if !a.AtHand {
		b = appendReason(b, a.Reason)
	}
	return b
}

// hostFor is the host at which a side reaches numbers through us, or at home.
func (c *session) hostFor(side call.Side) string {
	l := c.leg(side)
	if l.trunk != nil {
		return HostPort(l.trunk)
	}
	return c.shard.sentBy(l.flow)
}

// forgetInvite gives back what was kept for answering and for further attempts.
func (c *session) forgetInvite() {
	c.shard.giveBack(c.invite)
	c.shard.giveBack(c.head)
	c.invite, c.head, c.contacts = nil, nil, nil
}

// expires returns the Expires of an INVITE, 0 for none (RFC 3261 §13.3.1).
func expires(m *wire.Message) time.Duration {
	v := m.Get(wire.HExpires)
	if v == nil {
		return 0
	}
	n, err := strconv.ParseUint(string(v), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
