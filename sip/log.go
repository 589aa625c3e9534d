package sip

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"trunkline/sip/call"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// logEnd writes the one line each call gets.
func (s *shard) logEnd(c *session, r *call.Record) {
	if !s.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	s.log.Info("call ended",
		"call", string(c.id[:]), "direction", c.direction.String(), "trunk", c.trunkName(),
		"caller", maskNumber(c.number), "called", maskNumber(c.called),
		"outcome", r.Outcome.String(), "ended_by", r.EndedBy.String(), "code", r.Code, "cause", r.Cause.String(), "refusal", c.refusal.String(),
		"duration", r.Duration().Round(time.Millisecond))
}

func (c *session) trunkName() string {
	if c.route.Trunk == nil {
		return ""
	}
	return c.route.Trunk.Name
}

// logRefusal says in full why we did not take a call; the peer is told less. It
// looks at every number and source and shows whole numbers, so it is for Debug.
func (s *shard) logRefusal(c *session, r *trunks.Refusal) {
	if !s.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	s.log.Debug("call refused", "call", string(c.id[:]), "source", c.source.String(),
		"reason", r.Reason.String(), "detail", r.Detail())
}

// logBroken complains about a message that is not valid, at most once a second.
func (s *shard) logBroken(now time.Time, f transport.Flow, e *wire.Error) {
	if s.complaint.allow(now) {
		s.log.Warn("invalid message", "source", f.Remote.String(), "transport", f.Proto.String(), "cause", e.Cause, "status", e.Status)
	}
}

// logUndelivered says why a server cannot be reached, at most once a second. A
// connection that ends is no news.
func (s *shard) logUndelivered(now time.Time, p transport.Packet) {
	_, refused := errors.AsType[*transport.TLSError](p.Err)
	if (refused || !errors.Is(p.Err, transport.ErrLost)) && s.complaint.allow(now) {
		s.log.Warn("not delivered", "transport", p.Flow.Proto.String(), "target", p.Flow.Remote.String(), "error", p.Err)
	}
}

func (s *shard) logNoSocket(c *session, t target) {
	s.log.Error("no listener suits the target: add one of its transport and address family to sip.listen",
		"call", string(c.id[:]), "transport", t.proto.String(), "target", t.addr.String())
}

// maskNumber keeps the ends of a number, for logs.
func maskNumber(b []byte) string {
	if len(b) <= 6 {
		return string(b)
	}
	out := append([]byte(nil), b...)
	for i := 4; i < len(out)-2; i++ {
		out[i] = '*'
	}
	return string(out)
}
