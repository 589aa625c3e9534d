package sip

import (
	"time"

	"trunkline/sip/call"
	"trunkline/sip/dialog"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Response takes what a client transaction heard: the face of the shard towards
// the requests it sent.
func (u clientUser) Response(now time.Time, client transaction.Client, m *wire.Message) {
	s := u.shard
	c, purpose := s.owner(client.Token)
	switch {
	case purpose == purposeOutside:
		s.outsideResponse(now, client, m)
	case c == nil:
		s.endOrphan(now, m)
	case purpose == purposeOrigin:
		c.originResponse(now, m)
	case purpose&purposeInvite != 0:
		c.inviteResponse(now, m, uint8(purpose))
	default:
		c.requestResponse(now, m, purpose)
	}
}

// Failed takes the end of a client transaction without a final response.
func (u clientUser) Failed(now time.Time, client transaction.Client, f transaction.Failure) {
	s := u.shard
	c, purpose := s.owner(client.Token)
	switch {
	case purpose == purposeOutside:
		s.outsideFailed(now, client, f)
	case c == nil:
	case purpose == purposeOrigin && c.origin.waiting:
		c.inviteAgent(now)
	case purpose == purposeOrigin:
	case purpose&purposeInvite != 0 && f == transaction.TransportError && c.backToUDP(now, uint8(purpose)):
	case purpose&purposeInvite != 0:
		c.targetFailed(now, uint8(purpose), f)
		why := c.unreached(causeOf(f))
		c.triedWith(uint8(purpose), 0, why)
		c.step(now, call.Event{Kind: call.CalleeFailed, Attempt: uint8(purpose), Cause: why})
	default:
		c.requestFailed(now, purpose, f)
	}
}

// unreached is why the target at hand was not reached. A phone that is not where its agent has registered is no failure of the edge: its
// 503 would make carriers pass the edge over.
func (c *session) unreached(why call.Cause) call.Cause {
	if why == call.CauseTransport && c.callee.agent != nil && c.callee.flowOnly {
		return call.CauseGone
	}
	return why
}

func causeOf(f transaction.Failure) call.Cause {
	switch f {
	case transaction.TransportError:
		return call.CauseTransport
	case transaction.RingTimeout:
		return call.CauseRingTimeout
	}
	return call.CauseNoResponse
}

// inviteResponse takes a response to one of our INVITEs to the callee.
func (c *session) inviteResponse(now time.Time, m *wire.Message, attempt uint8) {
	s := c.shard
	c.callee.learnFlow(s.at)
	hurried := m.Status >= 400 && c.tooFast(now, m, attempt)
	c.heardFrom(now, m, attempt, hurried)
	switch {
	case m.Status == 100:
		c.step(now, call.Event{Kind: call.CalleeProvisional, Attempt: attempt, Code: 100})
	case m.Status < 200:
		fork, ok := c.forkOf(m, attempt)
		if !ok {
			s.count.drop(dropStray)
			return
		}
		rseq, reliable := m.Reliable()
		if reliable && !c.forks[fork].AcceptReliable(rseq, m.CSeq) {
			s.count.drop(dropRSeq)
			return
		}
		c.forks[fork].Learn(m)
		c.step(now, call.Event{Kind: call.CalleeProvisional, Attempt: attempt, Fork: fork, Code: uint16(m.Status), SDP: c.sdpOf(m), Reliable: reliable})
	case m.Status < 300:
		c.triedWith(attempt, uint16(m.Status), call.CauseNone)
		c.acceptedInvite(now, m, attempt)
		fork, ok := c.forkOf(m, attempt)
		if !ok {
			s.endOrphan(now, m)
			return
		}
		c.forks[fork].Learn(m)
		c.step(now, call.Event{Kind: call.CalleeAnswered, Attempt: attempt, Fork: fork, Code: uint16(m.Status),
			SDP: c.sdpOf(m), NoContact: !hasContact(m)})
		c.answeredBy(now, m, fork)
	case c.challenged(now, m, attempt), c.intervalRefused(now, m, attempt):
	case hurried && c.sentAgain(now, attempt):
	default:
		c.triedWith(attempt, uint16(m.Status), call.CauseNone)
		c.acceptedInvite(now, m, attempt)
		ev := call.Event{Kind: call.CalleeRejected, Attempt: attempt, Code: uint16(m.Status), Reason: reasonOf(m), After: retryAfterOf(m)}
		if m.Status < 400 {
			ev.Targets = uint8(len(c.followable()))
		}
		c.step(now, ev)
	}
}

func hasContact(m *wire.Message) bool {
	for v := range m.Values(wire.HContact) {
		if a, err := wire.ParseAddress(v); err == nil {
			if u, err := wire.ParseURI(a.URI); err == nil && len(u.Host) > 0 {
				return true
			}
		}
	}
	return false
}

// learnFlow keeps the connection that a stream peer uses, for what goes to it
// later.
func (l *leg) learnFlow(f transport.Flow) {
	if f.Proto.Reliable() && f.Proto == l.flow.Proto && f.Remote.Addr() == l.flow.Remote.Addr() {
		l.flow.Conn = f.Conn
	}
}

// follow has an agent that is known by digest reached where it speaks from now: its NAT has another port for it, or it is in another
// network.
func (c *session) follow(side call.Side, f transport.Flow) {
	l := c.leg(side)
	if moved := f.Remote.Addr() != l.flow.Remote.Addr(); moved && c.bridge != nil {
		c.bridge.Moved(mediaSide(side), f.Remote.Addr())
	}
	l.flow, l.flowOnly = f, true
}

// endOrphan ends a call that nobody here knows any more: a 2xx that came after
// everything was over is ACKed and, as its first copy, told BYE, both from what
// the response itself says. The carrier would bill it otherwise.
func (s *shard) endOrphan(now time.Time, m *wire.Message) {
	if m.Method != wire.INVITE || m.Status < 200 || m.Status >= 300 {
		return
	}
	s.count.orphans++
	f := s.at
	d := dialog.FromOrphan(m, s.contact(f))
	for _, method := range [...]wire.Method{wire.ACK, wire.BYE} {
		s.branch = s.layer.MintBranch(s.branch[:0])
		b := d.AppendRequest(s.out[:0], method, f.Proto.String(), s.sentBy(f), s.branch)
		s.out = wire.AppendBody(b, "", nil)
		if method == wire.ACK {
			s.Send(f, s.out, 0)
			continue
		}
		s.layer.Request(now, transaction.Request{
			Branch: s.branch, Method: wire.BYE, Flow: f, Bytes: s.out,
			User: clientUser{s}, Token: uint64(maxSlots-1) << 40,
		})
	}
}
