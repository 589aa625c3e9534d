package sip

import (
	"time"

	"trunkline/sip/call"
	"trunkline/trunks"
	"trunkline/trunks/pace"
)

// keysOf makes the limits of a snapshot, by trunk and by name. A key that existed
// before is kept with its history; its limit is the smallest of its members'.
func keysOf(s *trunks.Snapshot, old map[string]*pace.Key) (byTrunk, byName map[string]*pace.Key) {
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
	byTrunk, byName = map[string]*pace.Key{}, map[string]*pace.Key{}
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
// may go out now; false when the call waits, or was refused and the machine will
// hear so.
func (c *session) paced(now time.Time, attempt uint8) bool {
	t := c.callee.trunk
	if t == nil {
		return true
	}
	s := c.shard
	key := s.edge.ways.Load().keys[t.Name]
	if key == nil {
		return true
	}
	if ticket, ok := key.Admit(now); ok {
		c.ticket, c.key = ticket, key
		return true
	}
	token := c.token(purposeInvite | uint16(attempt))
	w := &pace.Waiter{
		Deadline: now.Add(t.CPSWait.D()),
		Granted:  func(t pace.Ticket) { s.post(func(now time.Time) { s.turnCame(now, token, key, t) }) },
		Expired:  func() { s.post(func(now time.Time) { s.turnCame(now, token, nil, pace.Ticket{}) }) },
	}
	if t.CPSWait == 0 || !key.Wait(now, t.Name, w) {
		c.triedWith(attempt, 0, call.CauseThrottled)
		c.then(throttled(attempt, key.Expected(now, t.Name).Sub(now)))
		return false
	}
	c.waiter = w
	c.then(call.Event{Kind: call.CalleeQueued, Attempt: attempt})
	s.queued[key] = struct{}{}
	s.serveQueues(now)
	return false
}

func throttled(attempt uint8, after time.Duration) call.Event {
	return call.Event{Kind: call.CalleeFailed, Attempt: attempt, Cause: call.CauseThrottled, After: max(after, time.Second)}
}

// turnCame ends the wait of a call: its INVITE goes out, or, without a key, it is
// refused.
func (s *shard) turnCame(now time.Time, token uint64, key *pace.Key, ticket pace.Ticket) {
	c, purpose := s.owner(token)
	if c == nil || c.waiter == nil {
		return
	}
	c.waiter = nil
	attempt := uint8(purpose)
	if key == nil {
		c.triedWith(attempt, 0, call.CauseThrottled)
		c.step(now, throttled(attempt, 0))
		return
	}
	s.current = c
	c.key, c.ticket = key, ticket
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
	if c.key != nil {
		c.key.Sent(c.ticket, time.Now())
		c.key = nil
	}
}

// leaveQueue gives up the call's wait, and reports whether it was waiting.
func (c *session) leaveQueue() bool {
	if c.waiter == nil {
		return false
	}
	c.waiter.Leave()
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
func (e *Edge) PaceKeys() map[string]*pace.Key { return e.ways.Load().byName }
