package sip

import (
	"time"

	"trunkline/config"
	"trunkline/sip/call"
	"trunkline/trunks"
	"trunkline/trunks/pace"
)

// keysOf makes the limits of a snapshot, by trunk and by name. A key that existed
// before is kept with its history; its limit is the smallest of its members'.
func keysOf(s *trunks.Snapshot, old map[string]pace.Limiter) (byTrunk, byName map[string]pace.Limiter) {
	limits := map[string]pace.Limit{}
	for _, t := range s.Trunks {
		if t.CPSLimit == nil {
			continue
		}
		name := keyName(t)
		if l, ok := limits[name]; !ok || *t.CPSLimit < l.Rate {
			limits[name] = pace.Limit{Rate: *t.CPSLimit, Burst: t.CPSBurst}
		}
	}
	byTrunk, byName = map[string]pace.Limiter{}, map[string]pace.Limiter{}
	for name, limit := range limits {
		k := old[name]
		if k == nil {
			k = pace.NewKey(limit)
		}
		k.Configure(limit)
		byName[name] = k
	}
	for _, t := range s.Trunks {
		if k := byName[keyName(t)]; k != nil { // also a trunk without a limit of its own, by its key
			byTrunk[t.Name] = k
		}
	}
	return byTrunk, byName
}

// keyName is the limit a trunk falls under: the key it shares, else its own.
func keyName(t *trunks.Trunk) string {
	if t.CPSKey != "" {
		return t.CPSKey
	}
	return t.Name
}

// paced asks the trunk's limit for one admission. It returns true when the INVITE
// may go out now; false when the call waits, goes elsewhere or was refused, and an
// event tells the machine so. underWay says that an INVITE of this attempt has gone
// out before.
func (c *session) paced(now time.Time, attempt uint8, underWay bool) bool {
	s, t := c.shard, c.callee.trunk
	c.key = nil
	if t == nil || c.emergency {
		return true
	}
	key := s.edge.ways.Load().keys[t.Name]
	if key == nil {
		return true
	}
	ticket, ok := key.Admit(now)
	s.logPace(now, t, key)
	if ok {
		c.key, c.ticket, c.admitted = key, ticket, true
		return true
	}
	if t.CPSOver == config.OverSpill && !underWay && c.otherRoute(now) {
		c.spill = true
		c.triedWith(attempt, 0, call.CauseThrottled)
		c.then(call.Event{Kind: call.CalleeFailed, Attempt: attempt, Cause: call.CauseThrottled, Targets: 1})
		return false
	}
	if !c.waits(now, attempt, underWay, t, key) {
		c.then(c.throttled(attempt, key.Expected(now, t.Name).Sub(now)))
		return false
	}
	c.then(call.Event{Kind: call.CalleeQueued, Attempt: attempt})
	s.serveQueues(now)
	return false
}

// otherRoute reports whether the number has a route that was not taken yet and
// can be.
func (c *session) otherRoute(now time.Time) bool {
	if len(c.contacts) > 0 || c.route.Number == nil {
		return false
	}
	for i, t := range c.route.Number.Routes {
		if c.routed&(1<<i) == 0 && t.Usable(now) == trunks.NoReason {
			return true
		}
	}
	return false
}

// waits queues the call, if its trunk lets calls wait and there is room.
func (c *session) waits(now time.Time, attempt uint8, underWay bool, t *trunks.Trunk, key pace.Limiter) bool {
	if t.CPSWait == 0 || t.CPSOver == config.OverReject && !underWay {
		return false
	}
	s := c.shard
	token := c.token(purposeInvite | uint16(attempt))
	w := &pace.Waiter{
		Deadline: now.Add(t.CPSWait.D()),
		UnderWay: underWay,
		Granted:  func(t pace.Ticket) { s.post(func(now time.Time) { s.turnCame(now, token, key, t) }) },
		Expired:  func() { s.post(func(now time.Time) { s.turnCame(now, token, nil, pace.Ticket{}) }) },
	}
	if !key.Wait(now, t.Name, w) {
		return false
	}
	c.waiter, c.waitsFor = w, key
	s.queued[key] = struct{}{}
	return true
}

// throttled is the end of a call above its trunk's limit.
func (c *session) throttled(attempt uint8, after time.Duration) call.Event {
	c.triedWith(attempt, 0, call.CauseThrottled)
	c.refusal = trunks.LimitCPS
	c.shard.count.reject(trunks.LimitCPS.String())
	c.shard.logRefusal(c, &trunks.Refusal{Reason: trunks.LimitCPS, Trunk: c.callee.trunk})
	return call.Event{Kind: call.CalleeFailed, Attempt: attempt, Cause: call.CauseThrottled, After: max(after, time.Second)}
}

// turnCame ends the wait of a call: its INVITE goes out, or, without a key, it is
// refused.
func (s *shard) turnCame(now time.Time, token uint64, key pace.Limiter, ticket pace.Ticket) {
	c, purpose := s.owner(token)
	if c == nil || c.waiter == nil {
		return
	}
	c.waiter = nil
	attempt := uint8(purpose)
	if key == nil {
		c.step(now, c.throttled(attempt, 0))
		return
	}
	s.current = c
	c.key, c.ticket, c.admitted = key, ticket, true
	if err := c.sendInvite(now, c.original(), attempt, c.waitingBody); err != nil {
		c.inviteUnsent(attempt, err)
		c.step(now, c.takeNext())
	} else {
		c.step(now, call.Event{Kind: call.CalleeSent, Attempt: attempt})
	}
	s.current = nil
}

// wentOut tells the limit when the INVITE it admitted was sent, so that a delay on
// our side does not make the carrier count one more in a second than we do.
func (c *session) wentOut() {
	if c.admitted {
		c.key.Sent(c.ticket, time.Now())
		c.admitted = false
	}
}

// leaveQueue gives up the call's wait, and reports whether it was waiting.
func (c *session) leaveQueue() bool {
	if c.waiter == nil {
		return false
	}
	c.waitsFor.Leave(c.waiter)
	c.waiter = nil
	return true
}

// serveQueues serves the limits that calls of this shard wait for, and sees to it
// that the shard is woken for the next turn.
func (s *shard) serveQueues(now time.Time) {
	var next time.Time
	for key := range s.queued {
		key.Serve(now)
		at, waiting := key.Next()
		switch {
		case !waiting:
			delete(s.queued, key)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	s.turnDue = next
	if !next.IsZero() { // the wheel's ticks would be too coarse
		s.turnTimer.Reset(max(next.Sub(now), 0))
	}
}

// PaceKeys returns the limits in force by name, for metrics.
func (e *Edge) PaceKeys() map[string]pace.Limiter { return e.ways.Load().byName }
