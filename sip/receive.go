package sip

import (
	"bytes"
	"errors"
	"hash/maphash"
	"net/netip"
	"time"

	"trunkline/config"
	"trunkline/sip/admit"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// receive takes one packet through the gates, cheapest first: envelope, shard,
// source, retransmission, rate, full parse. Only then does a message have an effect.
func (s *shard) receive(now time.Time, p transport.Packet) {
	if p.Err != nil {
		s.undelivered(now, p)
		return
	}
	if !wire.Scan(p.Bytes, &s.env) {
		s.count.drop(dropNotSIP)
		return
	}
	if home := home(&s.env, len(s.edge.shards)); home != s.index {
		s.port.Forward(home, p)
		return
	}
	defer s.survive(now)
	s.at = p.Flow
	if s.env.Request {
		s.receiveRequest(now, p)
	} else {
		s.receiveResponse(now, p)
	}
}

// undelivered: an earlier Send turned out to have failed.
func (s *shard) undelivered(now time.Time, p transport.Packet) {
	defer s.survive(now)
	s.broken = p.Err
	defer func() { s.broken = nil }()
	s.logUndelivered(now, p)
	switch {
	case p.Ref != 0:
		s.layer.TransportFailed(now, p.Ref)
	case p.Flow.Conn != 0:
		s.layer.ConnectionLost(now, p.Flow)
		s.edge.connectionLost(p.Flow)
	default:
		s.hopFailed(now, p.Flow.Remote)
		s.layer.TransportFailedTo(now, p.Flow.Remote)
	}
}

// home returns the shard, of n, that owns a message: the one named in the tag or
// branch that we minted, else one chosen by Call-ID, so that an INVITE and its
// CANCEL meet.
func home(env *wire.Envelope, n int) int {
	if n == 1 {
		return 0
	}
	if env.Request {
		if shard, _, ok := readTag(env.ToTag); ok && shard < n {
			return shard
		}
	} else if shard, ok := transaction.BranchShard(env.Branch); ok && shard < n {
		return shard
	}
	return int(maphash.Bytes(homeSeed, env.CallID) % uint64(n))
}

var homeSeed = maphash.MakeSeed()

// Dispatch returns the function that finds the shard, of n, for a message, for
// transport.Options.
func Dispatch(n int) func(b []byte) (shard int) {
	return func(b []byte) int {
		var env wire.Envelope
		if !wire.Scan(b, &env) {
			return 0
		}
		return home(&env, n)
	}
}

func (s *shard) receiveRequest(now time.Time, p transport.Packet) {
	s.count.request(received, s.env.Method, p.Flow.Proto)
	from := s.edge.snapshot.Load().Source(p.Flow.Proto.String(), p.Flow.Remote)
	s.proven = nil
	if !from.Known() && !s.inCall(p.Flow) {
		if s.edge.expects() && s.fromUnlisted(now, p) {
			return
		}
		var ok bool
		if from, ok = s.authenticate(now, p); !ok {
			return
		}
	}
	s.handle(now, p, from)
}

// handle takes a request of somebody known, or inside a call.
func (s *shard) handle(now time.Time, p transport.Packet, from trunks.Principal) {
	if s.layer.Absorb(now, &s.env, p.Flow) {
		s.noteRepeated(now, p)
		return
	}
	if s.flooding(now, p, from) {
		return
	}
	if err := s.in.Parse(p.Bytes); err != nil {
		s.refuseBroken(now, p, err)
		return
	}
	if c := s.traced(&s.env); c != nil {
		s.note(c, now, false, p.Flow, p.Bytes)
	}
	if len(s.in.To.Tag) == 0 {
		if shard, ok := s.elsewhere(p.Flow); ok {
			s.moveTo(shard, p, from)
			return
		}
	}
	switch {
	case s.in.Method == wire.ACK:
		if _, verdict := s.layer.ReceiveRequest(now, &s.env, &s.in, p.Flow); verdict == transaction.AckFor2xx {
			s.receiveAck(now, p, from)
		}
	case s.in.Method == wire.CANCEL:
		s.receiveCancel(now, p)
	case len(s.in.To.Tag) > 0:
		s.receiveInDialog(now, p, from)
	default:
		s.receiveInitial(now, p, from)
	}
}

// inCall reports whether the request at hand carries the tag of a live call and
// comes from where that side lives: a reload may have removed its trunk, but the
// call goes on.
func (s *shard) inCall(f transport.Flow) bool {
	_, slot, ok := readTag(s.env.ToTag)
	if !ok {
		return false
	}
	c := s.session(slot)
	if c == nil {
		return false
	}
	for _, l := range [...]*leg{&c.caller, &c.callee} {
		if bytes.Equal(s.env.ToTag, l.dialog.LocalTag) && l.flow.Remote.Addr() == f.Remote.Addr() {
			return true
		}
	}
	return false
}

// fromUnlisted takes a request of a test's call that comes from an address nobody
// has listed yet: its INVITE, copies of it and the ACK for our answer.
func (s *shard) fromUnlisted(now time.Time, p transport.Packet) bool {
	switch s.env.Method {
	case wire.INVITE, wire.ACK:
		return s.layer.Absorb(now, &s.env, p.Flow) ||
			s.env.Method == wire.INVITE && s.in.Parse(p.Bytes) == nil && s.takeExpected(now, p, trunks.Principal{})
	}
	return false
}

// refuseStranger answers a source that is neither trunk nor agent: the same 403
// whatever was asked, so that a scanner learns nothing (RFC 5853 §3.5), and
// silence above a rate, so that a forged source is not worth forging; and above a
// rate of its own, since what all together are answered challenges agents, too.
func (s *shard) refuseStranger(now time.Time, p transport.Packet) {
	s.count.reject(trunks.BadSource.String())
	if s.env.Method == wire.ACK || s.edge.limits().UnknownAnswer == config.UnknownDrop ||
		!s.answersStranger(now, p.Flow.Remote.Addr()) || s.in.Parse(p.Bytes) != nil {
		return
	}
	s.replyStateless(now, p.Flow, &admit.Rejection{Status: 403, Cause: "bad_source", Anonymous: true})
}

// refuseBroken answers a message that failed the border's checks, if it can be
// answered at all (RFC 4475 §3.1.2). It is counted always and logged seldom.
func (s *shard) refuseBroken(now time.Time, p transport.Packet, err error) {
	broken, ok := errors.AsType[*wire.Error](err)
	if !ok {
		s.count.drop(dropNotSIP)
		return
	}
	s.count.parseError(broken.Cause)
	s.logBroken(now, p.Flow, broken)
	if broken.Status == 0 || !s.env.Request || s.env.Method == wire.ACK || len(s.in.To.URI) == 0 {
		return
	}
	s.replyStateless(now, p.Flow, &admit.Rejection{Status: broken.Status, Reason: broken.Reason, Cause: broken.Cause})
}

// answersStranger reports whether a source that nobody is known by is answered now: within what it, and all of them, may cost.
func (s *shard) answersStranger(now time.Time, source netip.Addr) bool {
	s.strangers.rate = s.strangerRate()
	return s.sources.allow(now, source) && s.strangers.allow(now)
}

// strangerRate is this shard's part of limits.unknown_rate.
func (s *shard) strangerRate() float64 {
	return s.edge.limits().UnknownRate / float64(len(s.edge.shards))
}

func (s *shard) receiveResponse(now time.Time, p transport.Packet) {
	s.count.response(received, s.env.Method, s.env.Status, p.Flow.Proto)
	if len(s.watched) > 0 {
		s.watch(now, false, &s.env, p.Flow, p.Bytes)
	}
	if s.layer.Absorb(now, &s.env, p.Flow) {
		s.noteRepeated(now, p)
		return
	}
	if err := s.in.Parse(p.Bytes); err != nil {
		s.refuseBroken(now, p, err)
		return
	}
	if c := s.traced(&s.env); c != nil {
		s.note(c, now, false, p.Flow, p.Bytes)
	}
	if !s.layer.ReceiveResponse(now, &s.in) {
		s.count.drop(dropStray)
	}
}

// receiveInitial takes a request outside any dialog.
func (s *shard) receiveInitial(now time.Time, p transport.Packet, from trunks.Principal) {
	if s.edge.expects() && s.takeExpected(now, p, from) {
		return
	}
	if s.in.Method == wire.INVITE && s.sheds(now, p) {
		return
	}
	server, verdict := s.layer.ReceiveRequest(now, &s.env, &s.in, p.Flow)
	if verdict == transaction.Full {
		s.refuseBusy(now, p.Flow)
		return
	}
	if verdict != transaction.New {
		return
	}
	if s.in.Method == wire.REGISTER && s.gate != nil && from.Agent != nil && from.Agent.AuthUser != "" {
		s.register(now, server, from.Agent)
		return
	}
	if r := admit.Initial(&s.in); r != nil {
		s.refuse(now, server, r)
		return
	}
	if from.Trunk != nil {
		from.Trunk.Heard(now)
	}
	if s.in.Method == wire.OPTIONS {
		s.answerOptions(now, server)
		return
	}
	s.invite(now, p, server, from)
}
