package sip

import (
	"context"
	"time"

	"trunkline/trunks"
)

// LiveCall is a call that has not ended.
type LiveCall struct {
	ID        string
	Direction trunks.Direction
	Trunk     string // name; empty: none was chosen
	Agent     string
	Caller    string
	Called    string
	State     string       // of its machine: inviting, ringing, talking, …
	Started   time.Time    // INVITE received
	Ringing   time.Time    // zero: not yet
	Answered  time.Time    // zero: not yet
	Tries     []trunks.Try // as in a record
}

// Live returns calls that have not ended and that keep says yes to, by trunk and agent, at most limit of each shard, in no
// order. keep is called on the shards and must be quick.
func (e *Edge) Live(ctx context.Context, limit int, keep func(trunk, agent string) bool) ([]LiveCall, error) {
	var all []LiveCall
	for _, s := range e.shards {
		found := make(chan []LiveCall, 1)
		if err := s.do(ctx, func(time.Time) { found <- s.liveCalls(limit, keep) }); err != nil {
			return nil, err
		}
		all = append(all, <-found...)
	}
	return all, nil
}

func (s *shard) liveCalls(limit int, keep func(trunk, agent string) bool) (found []LiveCall) {
	for _, c := range s.sessions {
		if len(found) == limit {
			break
		}
		if c == nil || c.finished {
			continue
		}
		var trunk, agent string
		if c.route.Trunk != nil {
			trunk = c.route.Trunk.Name
		}
		if c.route.Agent != nil {
			agent = c.route.Agent.Name
		}
		if !keep(trunk, agent) {
			continue
		}
		found = append(found, c.told())
	}
	return found
}

// told is the call as it stands.
func (c *session) told() LiveCall {
	r := c.machine.Record()
	l := LiveCall{ID: string(c.id[:]), Direction: c.direction, Trunk: c.trunkName(), Caller: string(c.number), Called: string(c.called),
		State: c.machine.State().String(), Started: r.Start, Ringing: r.Ringing, Answered: r.Answer, Tries: c.triesTold(r.Start)}
	if c.route.Agent != nil {
		l.Agent = c.route.Agent.Name
	}
	return l
}

// ByCallID returns the calls that have not ended and have that SIP Call-ID on either side, or our own id.
func (e *Edge) ByCallID(ctx context.Context, callID string) ([]LiveCall, error) {
	var all []LiveCall
	for _, s := range e.shards {
		found := make(chan []LiveCall, 1)
		if err := s.do(ctx, func(time.Time) { found <- s.callsWith(callID) }); err != nil {
			return nil, err
		}
		all = append(all, <-found...)
	}
	return all, nil
}

func (s *shard) callsWith(callID string) (found []LiveCall) {
	for _, c := range s.sessions {
		if c != nil && !c.finished && (string(c.caller.dialog.CallID) == callID || string(c.callee.dialog.CallID) == callID || string(c.id[:]) == callID) {
			found = append(found, c.told())
		}
	}
	return found
}
