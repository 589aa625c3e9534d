package sip

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"trunkline/sip/call"
	"trunkline/sip/dialog"
	"trunkline/sip/rewrite"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Origination asks for a call that nobody has placed over SIP.
type Origination struct {
	Agent string // who is called first, by name
	From  string // +E.164 that the agent may use: what the other end sees
	To    string // who is called when the agent has answered
}

// origin is the agent's side of a call that we make: we are the caller of it too (RFC 3725 §4.1, flow I). The agent is
// invited without an offer and makes one in its 2xx; that is what the call to the number begins with. Its ACK waits for the answer of the
// number, and carries it. From then on it is a call as others are.
type origin struct {
	made    bool // we make this call
	waiting bool // the agent has not answered
	client  transaction.Client
	answer  []byte // the agent's 2xx until its ACK
	ack     []byte // repeated for copies of the 2xx
}

// Originate calls an agent and then, for it, a number. It returns the id of the call as soon as the agent is being called. The error is a
// *trunks.Refusal when the agent may not call so, or no call is possible now.
func (e *Edge) Originate(ctx context.Context, o Origination) (id string, err error) {
	s := e.shards[rand.IntN(len(e.shards))]
	var refusal *trunks.Refusal
	err = s.do(ctx, func(now time.Time) { id, refusal = s.originate(now, o) })
	if err == nil && refusal != nil {
		return "", refusal
	}
	return id, err
}

func (s *shard) originate(now time.Time, o Origination) (string, *trunks.Refusal) {
	e := s.edge
	snapshot := e.snapshot.Load()
	agent := snapshot.Agent(o.Agent)
	if agent == nil {
		return "", &trunks.Refusal{Reason: trunks.NoRoute, User: o.Agent}
	}
	route, refusal := snapshot.Outbound(agent, []byte(o.From), []byte(o.To))
	emergency := e.isEmergency([]byte(o.To))
	if refusal == nil && !emergency {
		if refusal = route.Barred([]byte(o.To)); refusal != nil {
			refusal.Count()
			s.count.reject(refusal.Reason.String())
		}
	}
	if refusal != nil {
		return "", refusal
	}
	if e.draining.Load() || !emergency && (s.overload.on() || e.full()) {
		return "", &trunks.Refusal{Reason: trunks.Overload}
	}
	c := s.newSession()
	if c == nil {
		return "", &trunks.Refusal{Reason: trunks.Overload}
	}
	appendTag(c.id[:0], s.random, s.index, c.slot)
	c.direction, c.route, c.emergency = trunks.OutboundCall, route, emergency
	c.called, c.number = []byte(o.To), []byte(o.From)
	c.chain = noTrace
	c.origin = origin{made: true, waiting: true}
	e.calls.Add(1)
	s.current = c
	defer func() { s.current = nil }()
	if refusal := c.sit(now); refusal != nil {
		c.refused(now, refusal)
		return "", refusal
	}
	c.countOn(now)
	c.findBindings(now, route.Agent)
	c.inviteAgent(now)
	return string(c.id[:]), nil
}

// inviteAgent calls the agent, for its own number, at the next place where it has registered or that is configured, or gives the call up.
func (c *session) inviteAgent(now time.Time) {
	s := c.shard
	trunk := c.callee.trunk
	c.callee.trunk, c.callee.agent = nil, c.route.Agent // as for a call to the agent
	t, ok := c.agentPlace(now, c.number)
	c.callee.trunk, c.callee.agent = trunk, nil
	f := t.flow
	if ok && !f.Remote.IsValid() {
		f = transport.Flow{Proto: t.proto, Remote: t.addr}
		f.Socket, ok = s.edge.socketFor(nil, f)
	}
	switch {
	case !ok && c.source.IsValid():
		c.originFailed(now, 480, call.CauseNoResponse)
		return
	case !ok && len(c.route.Agent.Destinations) == 0:
		c.originFailed(now, 480, call.CauseUnregistered)
		return
	case !ok:
		c.originFailed(now, 480, call.CauseUnresolved)
		return
	}
	c.source = f.Remote
	var callID [2*tagSize + 1]byte
	from := rewrite.AppendTo(nil, rewrite.Party{User: c.called, Host: hostOf(s.sentBy(f))})
	c.caller.flow, c.caller.flowOnly = f, t.flow.Remote.IsValid()
	c.caller.dialog = dialog.NewCaller(s.appendCallID(callID[:0]), c.id[:], from, t.to, t.uri, s.contact(f))
	s.branch = s.layer.MintBranch(s.branch[:0])
	b := c.caller.dialog.AppendNamed(s.out[:0], "INVITE", wire.INVITE, f.Proto.String(), s.sentBy(f), s.branch, maxForwards)
	b = wire.AppendHeaderString(b, "Allow", c.allow(call.Caller))
	b = s.appendUserAgent(b)
	s.out = wire.AppendBody(b, "", nil)
	var err error
	c.origin.client, err = s.layer.Request(now, transaction.Request{
		Branch: s.branch, Method: wire.INVITE, Flow: f, Bytes: s.out, User: clientUser{s}, Token: c.token(purposeOrigin),
	})
	if err != nil {
		s.count.drop(dropUnsent)
		c.inviteAgent(now)
	}
}

// originResponse takes what the agent answers.
func (c *session) originResponse(now time.Time, m *wire.Message) {
	switch {
	case m.Status < 200:
	case !c.origin.waiting && m.Status < 300:
		if c.origin.ack != nil {
			c.shard.Send(c.caller.flow, c.origin.ack, 0)
		}
	case !c.origin.waiting:
	case m.Status < 300 && c.sdpOf(m) == call.SDPGood && hasContact(m):
		c.agentAnswered(now, m)
	case m.Status < 300:
		c.origin.waiting = false
		c.shard.endOrphan(now, m)
		c.originFailed(now, 488, call.CauseMedia)
	case m.Status >= 600 || (m.Status == 486 || m.Status == 487) && len(c.bound) == 0: // else another of its telephones may take it
		c.originFailed(now, uint16(m.Status), call.CauseRejected)
	default:
		c.inviteAgent(now)
	}
}

// agentAnswered begins the call to the number, with the agent's offer as that of any caller.
func (c *session) agentAnswered(now time.Time, m *wire.Message) {
	s := c.shard
	c.origin.waiting = false
	c.origin.answer = bytes.Clone(m.Bytes)
	c.caller.learnFlow(s.at)
	c.caller.dialog.Learn(m)
	c.invite = c.writeOriginated(s.buffer(), m.Body)
	c.tried, c.destination, c.addresses = 0, 0, 0
	c.openMedia()
	c.machine.Use(c.policy())
	c.step(now, call.Event{Kind: call.Start, SDP: call.SDPGood, Targets: c.targets()})
}

// writeOriginated appends the INVITE that the agent would have sent.
func (c *session) writeOriginated(b, sdp []byte) []byte {
	s := c.shard
	host := s.sentBy(c.caller.flow)
	b = append(append(append(b, "INVITE sip:"...), c.called...), '@')
	b = append(append(b, host...), " SIP/2.0\r\n"...)
	b = wire.AppendVia(b, c.caller.flow.Proto.String(), host, s.layer.MintBranch(nil))
	b = strconv.AppendInt(append(b, "Max-Forwards: "...), maxForwards, 10)
	b = append(append(append(b, "\r\nFrom: <sip:"...), c.number...), '@')
	b = append(append(append(b, host...), ">;tag="...), c.caller.dialog.RemoteTag...)
	b = append(append(append(b, "\r\nTo: <sip:"...), c.called...), '@')
	b = append(append(append(b, host...), ">\r\nCall-ID: "...), c.caller.dialog.CallID...)
	b = append(append(append(b, "\r\nCSeq: 1 INVITE\r\nContact: <sip:"...), host...), ">\r\n"...)
	return wire.AppendBody(b, sdpType, sdp)
}

// respondOrigin does for the agent what a response to its INVITE would: nothing while the number rings, the ACK when it answers, the
// end when it does not.
func (c *session) respondOrigin(now time.Time, a call.Action) {
	s := c.shard
	_, body, err := c.chooseBody(a.Body, &s.in, call.Caller, answer)
	if err != nil {
		c.mediaFailed(err)
		return
	}
	if a.Code < 200 {
		return
	}
	c.fork = a.Fork
	if a.Code >= 300 {
		c.dismissAgent(now)
		c.forgetInvite()
		return
	}
	c.talk(now)
	sdp := bytes.Clone(body)
	c.forgetInvite()
	if c.counts != nil {
		c.countIn(&c.counts.answered)
	}
	f, d := c.caller.flow, &c.caller.dialog
	s.branch = s.layer.MintBranch(s.branch[:0])
	c.origin.ack = wire.AppendBody(d.AppendRequest(nil, wire.ACK, f.Proto.String(), s.sentBy(f), s.branch), sdpType, sdp)
	c.origin.answer = nil
	if s.Send(f, c.origin.ack, 0) != nil {
		s.count.drop(dropUnsent)
	}
	c.settle()
	c.then(call.Event{Kind: call.CallerAcked})
}

// dismissAgent ends the agent's side when nothing comes of the call.
func (c *session) dismissAgent(now time.Time) {
	switch {
	case c.origin.waiting:
		c.origin.waiting = false
		c.origin.client.Cancel(now, nil)
	case c.origin.answer != nil:
		var m wire.Message
		if m.Parse(c.origin.answer) == nil {
			s, at := c.shard, c.shard.at
			s.at = c.caller.flow
			s.endOrphan(now, &m) // its ACK and a BYE
			s.at = at
		}
		c.origin.answer = nil
	}
}

// originFailed ends a call whose agent was not reached.
func (c *session) originFailed(now time.Time, code uint16, why call.Cause) {
	c.origin.waiting = false
	c.step(now, call.Event{Kind: call.Refuse, Code: code, Cause: why})
}
