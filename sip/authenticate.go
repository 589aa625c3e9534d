package sip

import (
	"errors"
	"net/netip"
	"time"

	"trunkline/sip/admit"
	"trunkline/sip/digest"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// newGate makes a shard's digest server for agents. Who may come in is asked of the snapshot in force.
func newGate(e *Edge) *digest.Server {
	return digest.NewServer(digest.ServerOptions{Realm: e.options.Realm, Algorithms: e.options.Digests, Secret: func(user string, a digest.Algorithm) ([]byte, bool) {
		agent := e.snapshot.Load().User(user)
		if agent == nil {
			return nil, false
		}
		return digest.AppendSecret(nil, a, user, e.options.Realm, agent.AuthPassword.Reveal()), true
	}})
}

// authenticate finds out who sent a request whose source no one is known by: an agent says so by digest (RFC 3261 §22). It is
// false when the request ends here: answered by a challenge or a refusal that are the same for every user, taken as part of
// what is under way, or met with silence.
func (s *shard) authenticate(now time.Time, p transport.Packet) (from trunks.Principal, ok bool) {
	snapshot := s.edge.snapshot.Load()
	if !snapshot.HasUsers() {
		s.refuseStranger(now, p)
		return from, false
	}
	if s.layer.Absorb(now, &s.env, p.Flow) { // a copy, or the ACK to a refusal
		s.noteRepeated(now, p)
		return from, false
	}
	inside := len(s.env.ToTag) > 0
	switch s.env.Method {
	case wire.ACK: // to a challenge, of which nothing is kept
		return from, false
	case wire.CANCEL: // cannot be challenged, RFC 3261 §22.1: its INVITE speaks for it
		if s.in.Parse(p.Bytes) == nil && s.layer.Working(&s.env, &s.in) {
			s.receiveCancel(now, p)
		} else {
			s.refuseStranger(now, p)
		}
		return from, false
	case wire.INVITE, wire.REGISTER, wire.OPTIONS:
	default:
		if !inside {
			s.refuseStranger(now, p)
			return from, false
		}
	}
	if s.in.Parse(p.Bytes) != nil || inside && !s.mayHaveMoved() {
		s.refuseStranger(now, p)
		return from, false
	}
	agent, err := s.prove(now, snapshot, p.Flow.Remote.Addr())
	if err != nil {
		s.challengeUnlisted(now, p, err)
		return from, false
	}
	return trunks.Principal{Agent: agent}, true
}

// mayHaveMoved reports whether the request at hand belongs to a call and to a side of it that is an agent known by digest: it may speak from
// another network than before.
func (s *shard) mayHaveMoved() bool {
	_, slot, ok := readTag(s.in.To.Tag)
	if !ok {
		return false
	}
	c := s.session(slot)
	if c == nil {
		return false
	}
	side, _, ok := c.sideOf(&s.in)
	return ok && c.leg(side).agent != nil && c.leg(side).agent.AuthUser != ""
}

// prove checks the credentials of the request at hand.
func (s *shard) prove(now time.Time, snapshot *trunks.Snapshot, source netip.Addr) (*trunks.Agent, error) {
	user, err := s.gate.Check(now, &s.in, source)
	if err != nil {
		return nil, err
	}
	agent := snapshot.User(user)
	if agent == nil { // a reload came between
		return nil, digest.ErrRefused
	}
	s.proven = agent
	return agent, nil
}

// challengeUnlisted answers a request that nobody is known to have sent, within what its source and all of them may cost.
func (s *shard) challengeUnlisted(now time.Time, p transport.Packet, err error) {
	r := s.unproven(now, p.Flow.Remote.Addr(), err)
	s.count.reject(r.Cause)
	if s.answersStranger(now, p.Flow.Remote.Addr()) || s.help(now) {
		s.replyStateless(now, p.Flow, r)
	}
}

// help reports whether the request at hand is a call for help that is challenged although others have used up what strangers may
// cost: an agent behind a changing address is one until it has answered. Such calls have as much to themselves (IDN-11).
func (s *shard) help(now time.Time) bool {
	s.helped.rate = s.strangerRate()
	return s.in.Method == wire.INVITE && s.callsForHelp() && s.helped.allow(now)
}

// unproven is what credentials that do not do are answered with. A wrong password and an unknown user are told apart by
// nobody.
func (s *shard) unproven(now time.Time, source netip.Addr, err error) *admit.Rejection {
	if errors.Is(err, digest.ErrRefused) {
		s.logRefusedCredentials(now, source)
		return &admit.Rejection{Status: 403, Cause: "credentials", Anonymous: true}
	}
	r := &admit.Rejection{Status: 401, Cause: "unauthenticated", Anonymous: true}
	stale := !errors.Is(err, digest.ErrMissing)
	if stale {
		r.Cause = "stale_nonce"
	}
	r.Header = string(s.gate.AppendChallenge(nil, now, source, stale))
	return r
}

// logRefusedCredentials tells the operator, and nobody else, which half of them is wrong, at most once a second.
func (s *shard) logRefusedCredentials(now time.Time, source netip.Addr) {
	if !s.complaint.allow(now) {
		return
	}
	user := s.gate.Claimed(&s.in)
	why := "no agent has this auth_user"
	if agent := s.edge.snapshot.Load().User(user); agent != nil {
		why = "they do not fit auth_password of agent " + agent.Name
	}
	s.log.Warn("wrong credentials", "source", source, "method", s.in.Method.String(), "user", user[:min(len(user), maxLoggedUser)], "cause", why)
}

// maxLoggedUser bounds what strangers may write into the log, in bytes.
const maxLoggedUser = 64
