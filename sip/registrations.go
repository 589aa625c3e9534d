package sip

import (
	"slices"
	"strconv"
	"time"

	"trunkline/sip/admit"
	"trunkline/sip/registrar"
	"trunkline/sip/rewrite"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// register takes the REGISTER at hand of an agent that is known by digest, also where its address is known (RFC 3261 §10.3).
func (s *shard) register(now time.Time, server transaction.Server, agent *trunks.Agent) {
	source := server.Flow().Remote.Addr()
	if s.proven != agent {
		proven, err := s.prove(now, s.edge.snapshot.Load(), source)
		if err != nil {
			s.refuse(now, server, s.unproven(now, source, err))
			return
		}
		agent = proven
	}
	if r := admit.Register(&s.in); r != nil {
		s.refuse(now, server, r)
		return
	}
	f := s.at
	a := s.edge.options.Registrar.Register(now, agent.Name, &s.in, f)
	var tag [tagSize]byte
	local := appendTag(tag[:0], s.random, s.index, maxSlots-1)
	server.Bind(local, 0)
	reason := a.Reason
	if reason == "" {
		reason = wire.ReasonPhrase(a.Status)
	}
	b := wire.AppendResponse(s.out[:0], &s.in, a.Status, reason, local, f.Remote)
	switch a.Status {
	case 200:
		b = registrar.AppendContacts(b, a.Bindings, now)
		b = wire.AppendHeaderString(b, "Date", now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	case 423:
		b = wire.AppendHeaderString(b, "Min-Expires", strconv.Itoa(int(a.MinExpires/time.Second)))
	}
	b = s.appendServer(b)
	s.out = wire.AppendBody(b, "", nil)
	s.respond(now, server, a.Status, s.out)
	s.log.Debug("agent registers", "agent", agent.Name, "status", a.Status, "contacts", len(a.Bindings))
	if a.Status == 403 && s.complaint.allow(now) {
		s.log.Warn("agent may not register here, too", "agent", agent.Name, "source", source, "cause", "it is registered at sip.registrar.contacts places")
	}
}

// findBindings looks up where an agent that is to be called has registered. Places that have failed lately come last: a phone that was
// switched off stays registered, and would hold up every call to the others.
func (c *session) findBindings(now time.Time, agent *trunks.Agent) {
	r := c.shard.edge.options.Registrar
	if r == nil || agent == nil || agent.AuthUser == "" {
		return
	}
	c.bound = r.Bindings(agent.Name, now)
	if c.phones = len(c.bound) > 1; !c.phones {
		return
	}
	resting := func(b registrar.Binding) int {
		if c.shard.edge.rests.Resting(now, b.Flow.Remote) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(c.bound, func(a, b registrar.Binding) int { return resting(a) - resting(b) })
}

// boundTarget is the next place where the agent has registered: its Contact as Request-URI, over the flow that the REGISTER came
// by, since no other may lead there (RFC 5626 §5.3). called is the number that it is called for.
func (c *session) boundTarget(called []byte) (target, bool) {
	if len(c.bound) == 0 {
		return target{}, false
	}
	b := c.bound[0]
	c.bound = c.bound[1:]
	host := ""
	if uri, err := wire.ParseURI([]byte(b.URI)); err == nil {
		host = string(uri.Host)
	}
	return target{uri: []byte(b.URI), to: rewrite.AppendTo(nil, rewrite.Party{User: called, Host: host}), proto: b.Flow.Proto, addr: b.Flow.Remote, flow: b.Flow}, true
}

// connectionLost forgets what was registered over a stream connection that has ended.
func (e *Edge) connectionLost(f transport.Flow) {
	if e.options.Registrar != nil {
		e.options.Registrar.Lost(f)
	}
}
