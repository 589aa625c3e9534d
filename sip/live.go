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
	State     string    // of its machine: inviting, ringing, talking, …
	Started   time.Time // INVITE received
	Ringing   time.Time // zero: not yet
	Answered  time.Time // zero: not yet
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
		r := c.machine.Record()
		found = append(found, LiveCall{ID: string(c.id[:]), Direction: c.direction, Trunk: trunk, Agent: agent, Caller: string(c.number), Called: string(c.called),
			State: c.machine.State().String(), Started: r.Start, Ringing: r.Ringing, Answered: r.Answer})
	}
	return found
}
