package sip

import (
	"slices"
	"time"

	"trunkline/sip/call"
	"trunkline/trunks"
)

// takeTrunk takes an outbound call to the next trunk among the routes of its
// number that can have it, with a channel there. The routes it passes over on the
// way stand among the tries. When none is left it says why; the call then stays
// where it was.
func (c *session) takeTrunk(now time.Time) *trunks.Refusal {
	n := c.route.Number
	for {
		i := slices.Index(n.Routes, c.via.trunk)
		if i < 0 || c.routed&(1<<i) != 0 {
			i = n.Choose(c.routed, c.tiredRoutes(now), c.shard.random.Uint64())
		}
		if i < 0 && c.lastResort() {
			return nil
		}
		if i < 0 {
			return c.noneLeft()
		}
		c.routed |= 1 << i
		t := n.Routes[i]
		reason := t.Usable(now)
		if reason == trunks.NoReason {
			if c.sitOn(t) {
				return nil
			}
			reason = trunks.LimitChannels
		}
		c.tries = append(c.tries, try{attempt: passedOver, trunk: t, refusal: reason, began: now})
	}
}

// sitOn takes the call to a trunk if there is a channel.
func (c *session) sitOn(t *trunks.Trunk) bool {
	if !c.acquire(t) {
		return false
	}
	c.route.Trunk, c.callee.trunk, c.onTrunk = t, t, true
	return true
}

// noneLeft is the refusal of a call that no route can take.
func (c *session) noneLeft() *trunks.Refusal {
	var passed []trunks.Passed
	for i := range c.tries {
		if t := &c.tries[i]; t.attempt == passedOver {
			passed = append(passed, trunks.Passed{Trunk: t.trunk, Reason: t.refusal})
		}
	}
	return trunks.NoneLeft(c.route, passed)
}

// tiredRoutes marks those whose trunks have failed lately, at every address.
func (c *session) tiredRoutes(now time.Time) (tired uint64) {
	routes := c.route.Number.Routes
	if len(routes) < 2 {
		return 0
	}
	for i, t := range routes {
		if c.allRest(now, t.Servers) {
			tired |= 1 << i
		}
	}
	return tired
}

// leaveTrunk gives a trunk's channel back and counts what came of trying it, as
// the call's own result is counted where it ends.
func (c *session) leaveTrunk(now time.Time) {
	c.giveTrunkBack()
	if c.counts != nil {
		outcome := call.CarrierError
		if t := c.lastTry(); t != nil {
			outcome = t.outcome()
		}
		c.counts.results[outcome.String()]++
		c.counts.failure.observe(now.Sub(c.arrived))
	}
	c.tried, c.contacts, c.spill = 0, nil, false
}

// moveOn takes a call whose trunk has no target left for it to the next one, with
// what that trunk asks of the machine.
func (c *session) moveOn(now time.Time) bool {
	c.leaveTrunk(now)
	if c.takeTrunk(now) != nil {
		return false
	}
	c.countOn(now)
	c.machine.Use(c.policy())
	c.moved = true
	return true
}

// countOn counts the call with its trunk from now on.
func (c *session) countOn(now time.Time) {
	c.arrived = now
	c.counts = c.shard.count.of(c.route.Trunk.Name, c.direction)
	c.counts.attempts++
	c.countIn(&c.counts.setup)
}

func (c *session) giveTrunkBack() {
	if c.onTrunk {
		c.onTrunk = false
		c.route.Trunk.Release()
	}
}

// useless reports whether what the trunk at hand has said, or its limit, makes
// its other servers no use for this call: only a 5xx and silence are about one
// server (RFC 3263 §4.3).
func (c *session) useless() bool {
	if c.spill {
		return true
	}
	t := c.lastTry()
	return t != nil && t.trunk == c.callee.trunk && t.cause == call.CauseNone && t.code >= 400 && t.code/100 != 5
}
