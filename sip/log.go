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

// logEnd writes the one line each call gets. It hands its attributes to the handler itself: a Logger would box each of them, and
// look up a source line that no handler of ours shows.
func (s *shard) logEnd(now time.Time, c *session, r *call.Record) {
	ctx, handler := context.Background(), s.log.Handler()
	if !handler.Enabled(ctx, slog.LevelInfo) {
		return
	}
	var masked [maskedSize]byte
	line := slog.NewRecord(now, slog.LevelInfo, "call ended", 0)
	line.AddAttrs(
		slog.String("call", string(c.id[:])), slog.String("direction", c.direction.String()), slog.String("trunk", c.trunkName()),
		slog.String("caller", string(appendMasked(masked[:0], c.number))), slog.String("called", string(appendMasked(masked[:0], c.called))),
		slog.String("outcome", r.Outcome.String()), slog.String("ended_by", r.EndedBy.String()), slog.Uint64("code", uint64(r.Code)),
		slog.String("cause", r.Cause.String()), slog.String("refusal", c.refusal.String()),
		slog.Duration("duration", r.Duration().Round(time.Millisecond)))
	_ = handler.Handle(ctx, line) // a log that fails has nobody to tell
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

// appendMasked appends a number of which only the ends are shown, for logs.
func appendMasked(b, number []byte) []byte {
	at := len(b)
	b = append(b, number...)
	if len(number) > 6 {
		for i := at + 4; i < len(b)-2; i++ {
			b[i] = '*'
		}
	}
	return b
}

// maskedSize is what a number usually takes, generously.
const maskedSize = 32
