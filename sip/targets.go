package sip

import (
	"net/netip"
	"slices"
	"time"

	"trunkline/config"
	"trunkline/sip/admit"
	"trunkline/sip/call"
	"trunkline/sip/rewrite"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// maxTargets bounds the places one call is tried at.
const maxTargets = 16

// targets says how many places the callee can be tried at: addresses that a
// listener suits.
func (c *session) targets() uint8 {
	n := 0
	if c.callee.trunk != nil {
		n = c.suited(c.callee.trunk, c.callee.trunk.Servers, protoOf(c.callee.trunk.Transport))
		now := c.shard.port.Now()
		for i, t := range c.route.Number.Routes {
			if c.routed&(1<<i) == 0 && t.Usable(now) == trunks.NoReason {
				n += c.suited(t, t.Servers, protoOf(t.Transport))
			}
		}
	} else {
		n = len(c.bound)
		for i := range c.callee.agent.Destinations {
			d := &c.callee.agent.Destinations[i]
			n += c.suited(nil, d.Addrs, protoOf(d.URI.Transport))
		}
	}
	return uint8(min(max(n, 1), maxTargets))
}

// suited counts the servers of a trunk, or of an agent if t is nil, that some
// listener can send to.
func (c *session) suited(t *trunks.Trunk, servers []netip.AddrPort, p transport.Proto) int {
	if len(servers) == 1 {
		return 1 // that no listener suits it is worth an attempt and its log line
	}
	n := 0
	for i := range servers {
		if c.suits(t, p, servers[i]) {
			n++
		}
	}
	return n
}

// suits reports whether some listener can send there.
func (c *session) suits(t *trunks.Trunk, p transport.Proto, addr netip.AddrPort) bool {
	_, ok := c.shard.edge.socketFor(t, transport.Flow{Proto: p, Remote: addr})
	return ok
}

// policy is what the machine goes by: what the callee's trunk or agent asks for.
func (c *session) policy() *call.Options {
	e := c.shard.edge
	w := e.ways.Load()
	var p *call.Options
	if t := c.callee.trunk; t != nil {
		p = w.trunkPolicies[t.Name]
	} else if c.phones {
		p = w.phonePolicies[c.callee.agent.Name]
	} else {
		p = w.agentPolicies[c.callee.agent.Name]
	}
	if p == nil { // a reload has removed it
		p = &e.policy
	}
	return p
}

var redirects = map[config.Redirect]call.Redirect{
	config.RedirectFollow: call.RedirectFollow, config.RedirectRefuse: call.RedirectRefuse, config.RedirectRelay: call.RedirectRelay,
}

// policiesOf are the edge's policy p as each trunk and agent asks for it, by name. Those of phones are of agents that may register.
func policiesOf(p call.Options, s *trunks.Snapshot) (byTrunk, byAgent, ofPhones map[string]*call.Options) {
	byTrunk, byAgent, ofPhones = map[string]*call.Options{}, map[string]*call.Options{}, map[string]*call.Options{}
	for _, t := range s.Trunks {
		own := policyWith(p, t.FailoverAfter, t.Redirect)
		own.Failover = failoverOf(t.FailoverOn)
		byTrunk[t.Name] = own
	}
	for _, a := range s.Agents {
		byAgent[a.Name] = policyWith(p, a.FailoverAfter, a.Redirect)
		if a.AuthUser != "" {
			own := policyWith(p, a.FailoverAfter, a.Redirect)
			own.Failover = nextPhone
			ofPhones[a.Name] = own
		}
	}
	return byTrunk, byAgent, ofPhones
}

// nextPhone takes a call on to the agent's next phone: what one of them says speaks for that one alone, short of a 6xx, which speaks for
// all of them (RFC 3261 §16.7 and §21.6).
var nextPhone = failoverOf([]config.Failover{"4xx", "5xx", config.FailoverTimeout})

func policyWith(p call.Options, silence config.Duration, r config.Redirect) *call.Options {
	p.Silence = silence.D()
	if redirect, ok := redirects[r]; ok {
		p.Redirect = redirect
	}
	return &p
}

// failoverOf translates the configured table; nil means the default one.
func failoverOf(table []config.Failover) call.Failover {
	if table == nil {
		return call.Failover{}
	}
	var codes []int
	for _, f := range table {
		from, to := f.Codes()
		for code := from; code > 0 && code <= to; code++ {
			codes = append(codes, code)
		}
	}
	return call.FailoverOn(slices.Contains(table, config.FailoverTimeout), codes...)
}

// nextTarget chooses where the next attempt goes: a contact of a followed
// redirection, a trunk's next server, the first of the next trunk, or an agent's
// next destination.
func (c *session) nextTarget(now time.Time) (target, bool) {
	if len(c.contacts) > 0 {
		uri := c.contacts[0]
		c.contacts = c.contacts[1:]
		c.server = 0
		return c.contactTarget(uri)
	}
	if c.callee.trunk == nil {
		return c.agentPlace(now, c.shard.read(c.caller.trunk, c.called))
	}
	if !c.useless() {
		if t, ok := c.trunkTarget(now); ok {
			return t, true
		}
	}
	for c.moveOn(now) {
		if t, ok := c.trunkTarget(now); ok {
			return t, true
		}
	}
	return target{}, false
}

// uriExtras is what stands in a Request-URI and a To beside user and host.
const uriExtras = "sip:@;user=phone<sip:@;user=phone>"

// trunkTarget addresses the called number at the trunk's domain. Where the trunk is
// registered comes first.
func (c *session) trunkTarget(now time.Time) (target, bool) {
	t := c.callee.trunk
	proto := protoOf(t.Transport)
	tried := c.tried | c.avoid(now, t.Servers, proto, c.tried, func(nth int) bool { return t.ServerDown(now, nth) })
	next := c.shard.edge.registered(t, tried)
	at := c.shard.edge.binding(t)
	if next < 0 {
		next, at = t.Choose(tried, c.shard.random.Uint64()), nil
	}
	if next < 0 {
		return target{}, false
	}
	c.tried |= 1 << next
	c.server = next + 1
	t.Tried(now, next)
	called := c.shard.dialled(t, c.called)
	out := target{proto: proto, addr: t.Servers[next], peer: c.shard.edge.ways.Load().peers.byTrunk[t.Name]}
	party := calledParty(t, called, c.tel)
	text := party.AppendURI(make([]byte, 0, 2*len(called)+len(party.Host)+len(t.Domain)+len(uriExtras)))
	out.uri = text[:len(text):len(text)]
	party.Host = t.Domain
	out.to = rewrite.AppendTo(text[len(text):], party)
	if admit.IsSOS(c.called) {
		out = c.sosTarget(out)
	}
	if c.via.trunk == t {
		out = c.viaTarget(out)
	}
	if at != nil && at.hop.IsValid() && c.suits(t, proto, at.hop) {
		out.addr = at.hop
		if at.hop != at.Server {
			c.server = 0 // a proxy of the carrier, none of the trunk's servers
		}
	}
	return out, true
}

// agentPlace is the next place of an agent that is called for a number: where it has registered, then its destinations.
func (c *session) agentPlace(now time.Time, called []byte) (target, bool) {
	if t, ok := c.boundTarget(called); ok {
		return t, true
	}
	return c.agentTarget(now, called)
}

// agentTarget addresses the called number at one of the agent's destinations; a
// destination with a user of its own keeps it. All addresses of a destination
// have their turn before the next destination.
func (c *session) agentTarget(now time.Time, called []byte) (target, bool) {
	agent := c.callee.agent
	i, address := c.destination-1, -1
	if i >= 0 {
		address = c.destinationServer(now, i)
	}
	if address < 0 {
		if i = agent.Choose(c.tried|c.restingDestinations(now), c.shard.random.Uint64()); i < 0 {
			return target{}, false
		}
		c.tried |= 1 << i
		c.destination, c.addresses = i+1, 0
		address = c.destinationServer(now, i)
	}
	if address < 0 {
		return target{}, false
	}
	c.addresses |= 1 << address
	way := &c.shard.edge.ways.Load().destinations(agent)[i]
	if way.user != "" {
		called = []byte(way.user)
	}
	text := make([]byte, 0, 2*len(called)+len(way.hostPort)+len(way.params)+len(way.host)+16)
	text = appendURI(text, called, way.hostPort, way.params)
	uri := text[:len(text):len(text)]
	return target{uri: uri, to: rewrite.AppendTo(text[len(text):], rewrite.Party{User: called, Host: way.host}), proto: way.proto, addr: agent.Destinations[i].Addrs[address]}, true
}

// destinationServer chooses the address to try next of the agent's destination i,
// -1 when none is left.
func (c *session) destinationServer(now time.Time, i int) int {
	d := &c.callee.agent.Destinations[i]
	tried := c.addresses | c.avoid(now, d.Addrs, protoOf(d.URI.Transport), c.addresses, nil)
	return d.Choose(tried, c.shard.random.Uint64())
}

func (c *session) avoid(now time.Time, servers []netip.AddrPort, p transport.Proto, tried uint64, down func(nth int) bool) uint64 {
	return c.shard.edge.avoid(now, c.callee.trunk, servers, p, tried, down)
}

// restingDestinations marks destinations of which every address has failed lately,
// as long as others are left.
func (c *session) restingDestinations(now time.Time) (resting uint64) {
	destinations := c.callee.agent.Destinations
	left := 0
	for i := range destinations {
		if c.tried&(1<<i) != 0 || len(destinations[i].Addrs) == 0 {
			continue
		}
		left++
		if c.allRest(now, destinations[i].Addrs) {
			resting |= 1 << i
			left--
		}
	}
	if left == 0 {
		return 0
	}
	return resting
}

func (c *session) allRest(now time.Time, servers []netip.AddrPort) bool {
	for i := range servers {
		if !c.shard.edge.rests.Resting(now, servers[i]) {
			return false
		}
	}
	return true
}

// latest reports whether attempt is the last whose INVITE went out: what comes in
// for it tells of the target at hand.
func (c *session) latest(attempt uint8) bool { return int(attempt) == len(c.attempts)-1 }

// heardFrom learns from a response to our INVITE how its target is. A 503 that
// names a time has it rest that long (RFC 3261 §21.5.4); one that does not is
// about this call alone. One that is about our pace, hurried, is the limit's.
func (c *session) heardFrom(now time.Time, m *wire.Message, attempt uint8, hurried bool) {
	if !c.latest(attempt) {
		return
	}
	c.unheard = false
	if hurried {
		c.shard.edge.rests.Worked(c.callee.flow.Remote)
		return
	}
	c.judgeAnswer(now, m.Status)
	c.shard.heardFrom(now, c.callee.flow.Remote, m)
}

func (s *shard) heardFrom(now time.Time, target netip.AddrPort, m *wire.Message) {
	if m.Status != 503 {
		s.edge.rests.Worked(target)
	} else if after := retryAfterOf(m); after > 0 {
		s.edge.rests.Failed(now, target, after)
	}
}

// targetFailed has a target rest that cannot be reached or never answered.
func (c *session) targetFailed(now time.Time, attempt uint8, f transaction.Failure) {
	if c.latest(attempt) && f != transaction.RingTimeout {
		c.judgeFailure(now, causeOf(f))
		c.rest(now)
	}
}

// targetSilent has the target before this attempt rest if it was given up without
// a word from it.
func (c *session) targetSilent(now time.Time) {
	if c.unheard {
		c.judgeFailure(now, call.CauseNoResponse)
		c.rest(now)
	}
	if t := c.lastTry(); t != nil && t.code == 0 {
		c.triedWith(t.attempt, 0, call.CauseNoResponse)
	}
}

func (c *session) rest(now time.Time) {
	c.unheard = false
	c.shard.edge.rests.Failed(now, c.callee.flow.Remote, 0)
}
