package sip

import (
	"time"

	"trunkline/config"
	"trunkline/sip/call"
	"trunkline/sip/wire"
	"trunkline/trunks"
	"trunkline/trunks/pace"
	"trunkline/trunks/provider"
)

// tooFast learns from a final response that says the carrier takes fewer calls a
// second than the limit has let out, and reports whether it is one.
func (c *session) tooFast(now time.Time, m *wire.Message, attempt uint8) bool {
	t := c.callee.trunk
	if c.key == nil || t == nil || !c.latest(attempt) || !refusesPace(m, t) {
		return false
	}
	c.key.Refused(now, c.ticket, retryAfterOf(m))
	c.shard.logPace(now, t, c.key)
	return true
}

// refusesPace reports whether m, a final response of the trunk's carrier, is about
// calls per second: by its status, its carrier's words or codes, or, where nothing
// else is said, because it asks for time.
func refusesPace(m *wire.Message, t *trunks.Trunk) bool {
	if t.CPSBackoff == config.BackoffNever || m.Status != 403 && m.Status != 429 && m.Status != 503 {
		return false
	}
	meaning, known := provider.Explain(provider.Refusal{
		Domain: t.Domain, Status: m.Status, Reason: string(m.Reason),
		Header: func(name string) string { return string(m.GetName(name)) },
	})
	switch {
	case known && meaning.Cause == "cps_exceeded":
		return true
	case m.Status != 503:
		return m.Status == 429
	case t.CPSBackoff == config.BackoffAny:
		return true
	}
	return !known && retryAfterOf(m) > 0
}

// sentAgain sends a call that the carrier has refused for its pace again, once and
// in its turn, where such calls wait.
func (c *session) sentAgain(now time.Time, attempt uint8) bool {
	t, key := c.callee.trunk, c.key
	if c.slowed || t.CPSOver == config.OverReject || c.machine.State() == call.Ending || c.invite == nil {
		return false
	}
	c.waitingBody = c.bodyAgain()
	if !c.waits(now, attempt, true, t, key) {
		return false
	}
	c.slowed = true
	c.step(now, call.Event{Kind: call.CalleeQueued, Attempt: attempt})
	c.shard.serveQueues(now)
	return true
}

// logPace says once when a carrier's refusals have changed the pace.
func (s *shard) logPace(now time.Time, t *trunks.Trunk, key pace.Limiter) {
	news, ok := key.News(now)
	switch {
	case !ok:
	case news.Rate < news.Limit || !news.Pause.IsZero():
		s.log.Warn("the carrier takes fewer calls a second than cps_limit: fewer are sent for a while", "cps_key", keyName(t), "trunk", t.Name,
			"limit", news.Limit, "rate", news.Rate, "pause", max(news.Pause.Sub(now), 0).Round(time.Millisecond))
	default:
		s.log.Info("the carrier takes calls at cps_limit again", "cps_key", keyName(t), "trunk", t.Name, "limit", news.Limit)
	}
}
