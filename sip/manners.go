package sip

import (
	"bytes"

	"trunkline/config"
	"trunkline/sip/admit"
	"trunkline/sip/call"
	"trunkline/sip/rewrite"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// manners is what a trunk wants of the messages that go to it and come from it:
// made of its configuration when a snapshot comes into force.
type manners struct {
	toTrunk, toAgent rewrite.Lists
	divert           rewrite.Divert
	written          func(dst, user []byte) []byte // a number as the carrier writes it; nil: as it came
	read             func(dst, user []byte) []byte // a number of the carrier's as we write it; nil: as it came
}

var diverts = map[config.Diversion]rewrite.Divert{
	config.DiversionKeep: rewrite.DivertAsIs, config.DiversionPlain: rewrite.DivertPlain,
	config.DiversionHistory: rewrite.DivertHistory, config.DiversionDrop: rewrite.DivertHidden,
}

func mannersOf(t *trunks.Trunk) *manners {
	h := t.Headers
	m := &manners{
		toTrunk: rewrite.NewLists(words(h.OutAllow), words(h.OutDeny)),
		toAgent: rewrite.NewLists(words(h.InAllow), words(h.InDeny)),
		divert:  diverts[t.Diversion],
	}
	if plan := t.Plan; plan.Reshapes() {
		m.written, m.read = plan.Write, plan.Read
	}
	return m
}

func words(names []config.HeaderName) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = string(name)
	}
	return list
}

// mannersWith returns those of the call's trunk.
func (c *session) mannersWith(t *trunks.Trunk) *manners {
	if m := c.shard.edge.ways.Load().manners[t.Name]; m != nil {
		return m
	}
	return mannersOf(t) // a reload has removed the trunk
}

// appendCrossing appends the headers of m that a side may see.
func (c *session) appendCrossing(b []byte, m *wire.Message, to call.Side) []byte {
	l, trunk := c.leg(to), c.route.Trunk
	p := rewrite.Policy{Host: c.shard.sentBy(l.flow), Private: c.private}
	if trunk == nil {
		return rewrite.AppendCrossing(b, m, &p)
	}
	own := c.mannersWith(trunk)
	if l.trunk != nil {
		p.Lists, p.Trusted, p.Divert, p.Number = &own.toTrunk, trunk.Trusted, own.divert, own.written
	} else {
		p.Lists, p.Number = &own.toAgent, own.read
	}
	return rewrite.AppendCrossing(b, m, &p)
}

// dialled is the called number as the trunk wants it in Request-URI and To. The
// result is valid until the next number is written.
func (s *shard) dialled(t *trunks.Trunk, number []byte) []byte {
	if t.TechPrefix == "" {
		return s.written(t, number)
	}
	s.number = t.Plan.Write(append(s.number[:0], t.TechPrefix...), number)
	return s.number
}

// written is any other number as the trunk wants it: byte for byte, unless the
// trunk has a form of its own. The result is valid until the next is written.
func (s *shard) written(t *trunks.Trunk, number []byte) []byte {
	if !t.Plan.Reshapes() {
		return number
	}
	s.number = t.Plan.Write(s.number[:0], number)
	return s.number
}

// read is a number that came from the trunk in our own form, +E.164.
func (s *shard) read(t *trunks.Trunk, number []byte) []byte {
	if t == nil || !t.Plan.Reshapes() {
		return number
	}
	s.number = t.Plan.Read(s.number[:0], number)
	return s.number
}

// fromValue is the caller's identity as the callee's side sees it.
func (c *session) fromValue(invite *wire.Message) []byte {
	s, t := c.shard, c.callee.trunk
	if t == nil {
		p := rewrite.Party{User: s.read(c.caller.trunk, admit.User(invite.From.URI)), Host: hostOf(s.sentBy(c.callee.flow))}
		return rewrite.AppendFrom(nil, invite.From, p, c.private)
	}
	p := callerParty(t, s.written(t, shownCaller(t, invite, c.number, c.stands)))
	return rewrite.AppendFrom(nil, invite.From, p, c.private)
}

// shownCaller is the user part that From of an outbound call shows before it takes
// the trunk's form: the caller's own, or, to a trunk that is told nothing else and
// where that is none that the agent may use, the number that it may.
func shownCaller(t *trunks.Trunk, invite *wire.Message, number []byte, stands bool) []byte {
	if (!t.Trusted || stands) && len(number) > 0 {
		return number
	}
	return admit.User(invite.From.URI)
}

// callerParty is who calls, as From towards the trunk says it; user has the trunk's
// form already.
func callerParty(t *trunks.Trunk, user []byte) rewrite.Party {
	p := rewrite.Party{User: user, Host: t.Domain, Phone: t.UserPhone}
	if t.FromUser == config.FromAuthUser && t.AuthUser != "" {
		p.User, p.Phone = wire.AppendUser(nil, t.AuthUser), false
	}
	if t.FromDomain != "" {
		p.Host = t.FromDomain
	}
	return p
}

// calledParty is who is called, as the Request-URI towards the trunk says it; user
// has the trunk's form already.
func calledParty(t *trunks.Trunk, user []byte, tel bool) rewrite.Party {
	return rewrite.Party{User: user, Host: HostPort(t), Phone: t.UserPhone || tel}
}

// Addressed is how a call of ours stands in its INVITE.
type Addressed struct {
	URI, To string // of the called number
	From    string // URI of the caller
	Lines   string // further header lines that say who calls
}

// Address writes a call from one number to another as calls to the trunk are
// written. An empty caller stands for the trunk's own user.
func Address(t *trunks.Trunk, called, caller string) Addressed {
	number := t.Plan.Write([]byte(t.TechPrefix), []byte(called))
	party := calledParty(t, number, false)
	a := Addressed{URI: string(party.AppendURI(nil))}
	party.Host = t.Domain
	a.To = string(party.AppendURI(nil))
	if caller == "" {
		user := t.AuthUser
		if user == "" {
			user = "trunkline"
		}
		a.From = string(callerParty(t, wire.AppendUser(nil, user)).AppendURI(nil))
		return a
	}
	own := t.Plan.Write(nil, []byte(caller))
	a.From = string(callerParty(t, own).AppendURI(nil))
	if t.Trusted {
		p := rewrite.Party{User: own, Host: t.Domain, Phone: t.UserPhone}
		a.Lines = "P-Asserted-Identity: " + string(rewrite.AppendTo(nil, p)) + "\r\n"
	}
	return a
}

// isTel reports whether a Request-URI is a tel URI.
func isTel(uri []byte) bool {
	return len(uri) > len(telScheme) && bytes.EqualFold(uri[:len(telScheme)], telScheme)
}

var telScheme = []byte("tel:")

// appendIdentity appends to an INVITE for the callee who is asserted to call
// (RFC 3325 §9.1): towards a trusted trunk the number the agent may use, towards an
// agent what a trusted trunk says, unless the caller withholds it. A caller who
// does so by an anonymous From has it asked for in the usual way too.
func (c *session) appendIdentity(b []byte, invite *wire.Message) []byte {
	s := c.shard
	switch t := c.callee.trunk; {
	case t == nil && c.caller.trunk.Trusted && !c.private:
		b = rewrite.CrossAsserted(b, invite, hostOf(s.sentBy(c.callee.flow)), c.mannersWith(c.caller.trunk).read)
	case t != nil && t.Trusted && rewrite.IsNumber(c.number):
		b = rewrite.AppendAsserted(b, invite, rewrite.Party{User: s.written(t, c.number), Host: t.Domain, Phone: t.UserPhone})
	}
	if c.private && !invite.Has(wire.HPrivacy) {
		b = append(b, "Privacy: id\r\n"...)
	}
	return b
}
