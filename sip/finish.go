package sip

import (
	"bytes"
	"time"

	"trunkline/media"
	"trunkline/sip/call"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// newSession returns a session with a slot, or nil when there is none left.
func (s *shard) newSession() *session {
	var c *session
	if n := len(s.pool); n > 0 {
		c = s.pool[n-1]
		s.pool = s.pool[:n-1]
		c.reset()
	} else {
		c = new(session)
	}
	c.shard = s
	if !s.claim(c) {
		return nil
	}
	c.due.Owner, c.due.Kind = uint64(c.slot), machineTimer
	c.silence.Owner, c.silence.Kind = uint64(c.slot), silenceTimer
	c.toll.Owner, c.toll.Kind = uint64(c.slot), tollTimer
	c.joining.Owner, c.joining.Kind = uint64(c.slot), joinTimer
	c.machine.Reset(&s.edge.policy, uint32(s.random.Uint64()))
	return c
}

// reset empties a session for the next call, keeping the room its lists have.
func (c *session) reset() {
	clear(c.forks)
	clear(c.pending)
	clear(c.tries)
	*c = session{
		next: c.next[:0], forks: c.forks[:0], forkAttempts: c.forkAttempts[:0], tries: c.tries[:0], attempts: c.attempts[:0], pending: c.pending[:0],
		caller: leg{sdp: c.caller.sdp[:0], auth: c.caller.auth[:0]},
		callee: leg{sdp: c.callee.sdp[:0], auth: c.callee.auth[:0]},
	}
}

// pooledSessions bounds the sessions kept for reuse, per shard.
const pooledSessions = 1 << 8

// finish ends a session: one record, then nothing refers to it any more.
func (c *session) finish(now time.Time) {
	s := c.shard
	c.unpark(now, true)
	c.finished = true
	c.stopTimers()
	c.leaveQueue()
	c.closeMedia()
	c.dropDigits()
	c.replacesNobody()
	r := c.machine.Record()
	c.keepRecord(&r)
	c.bookMinutes(&r)
	c.countEnd(&r)
	s.logEnd(now, c, &r)
	s.ended.add(c)
	c.forgetInvite()
	for _, o := range [...]*opened{&c.atHand, &c.caller.open, &c.callee.open} {
		o.giveBack(s)
	}
	for i := range c.pending {
		c.pending[i].from.giveBack(s)
	}
	s.release(c)
	if len(s.pool) < pooledSessions {
		s.pool = append(s.pool, c)
	}
	s.edge.calls.Add(-1)
}

func (c *session) stopTimers() {
	for _, t := range [...]*transaction.Timer{&c.due, &c.silence, &c.toll, &c.joining} {
		c.shard.wheel.Stop(t)
	}
}

// keepRecord hands over the record of the ended call, once.
func (c *session) keepRecord(r *call.Record) {
	records := c.shard.edge.options.Records
	if c.recorded || records == nil || c.otherShard != 0 || isLoop(c.caller.flow) { // those two calls are one's own
		return
	}
	c.recorded = true
	records.Record(c.callRecord(r))
}

// bookMinutes ends the agent's minutes of the call, once.
func (c *session) bookMinutes(r *call.Record) {
	if c.talking {
		c.talking = false
		c.route.Agent.Ended(r.Answer, r.End)
	}
}

// callRecord is the record of an ended call; its strings are copies.
func (c *session) callRecord(r *call.Record) trunks.CallRecord {
	out := trunks.CallRecord{
		ID:        string(c.id[:]),
		Direction: c.direction,
		Caller:    string(c.number),
		Called:    string(c.called),
		Outcome:   r.Outcome.String(),
		EndedBy:   r.EndedBy.String(),
		Code:      int(r.Code),
		Reason:    r.Cause.String(),
		Refusal:   c.refusal,
		Started:   r.Start,
		Ringing:   r.Ringing,
		Answered:  r.Answer,
		Ended:     r.End,
		Attempts:  c.invites,
		Tries:     c.triesTold(r.Start),
		Source:    c.source.String(),

		CallerCallID:  string(c.caller.dialog.CallID),
		CalleeCallID:  string(c.callee.dialog.CallID),
		Caller2Callee: mediaStats(c.stats, media.Caller),
		Callee2Caller: mediaStats(c.stats, media.Callee),
	}
	if c.route.Trunk != nil {
		out.Trunk = c.route.Trunk.Name
	}
	if c.route.Agent != nil {
		out.Agent = c.route.Agent.Name
	}
	if c.callee.flow.Remote.IsValid() {
		out.Target = c.callee.flow.Remote.String()
	}
	return out
}

// buffer returns an empty buffer for a kept message or head.
func (s *shard) buffer() []byte {
	if n := len(s.buffers); n > 0 {
		b := s.buffers[n-1]
		s.buffers = s.buffers[:n-1]
		return b[:0]
	}
	return make([]byte, 0, keptSize)
}

// giveBack ends the use of the head, once: a call may end while a request of it is at hand, and who had it at hand asks again.
func (o *opened) giveBack(s *shard) {
	s.giveBack(o.head)
	o.head = nil
}

// giveBack takes a buffer for reuse; nil and oversized ones are dropped. Nobody may hold it any more: it is another call's next.
func (s *shard) giveBack(b []byte) {
	if cap(b) >= keptSize && cap(b) <= 4*keptSize && len(s.buffers) < keptBuffers {
		s.buffers = append(s.buffers, b)
	}
}

const (
	keptSize    = 1 << 10
	keptBuffers = 1 << 12
)

// note adds a message to a call's trace.
func (s *shard) note(c *session, now time.Time, sent bool, f transport.Flow, b []byte) {
	c.chain = s.trace.add(c.chain, now, sent, false, f, b)
}

// noteRepeated adds an absorbed copy to the trace of the call it belongs to.
func (s *shard) noteRepeated(now time.Time, p transport.Packet) {
	if c := s.traced(&s.env); c != nil {
		c.chain = s.trace.add(c.chain, now, false, true, p.Flow, p.Bytes)
	}
}

// traced returns the call a message belongs to, by the tag of ours in it.
func (s *shard) traced(e *wire.Envelope) *session {
	if !s.trace.on() {
		return nil
	}
	for _, tag := range [...][]byte{e.ToTag, e.FromTag} {
		if shard, slot, ok := readTag(tag); ok && shard == s.index {
			if c := s.session(slot); c != nil && (bytes.Equal(tag, c.id[:]) || bytes.Equal(tag, c.callee.dialog.LocalTag)) {
				return c
			}
		}
	}
	return nil
}

// endedCalls remembers where the traces of the last calls begin.
type endedCalls struct {
	ring []endedCall
	next int
}

type endedCall struct {
	id    [tagSize]byte
	chain uint64
}

const endedKept = 4096

func (e *endedCalls) add(c *session) {
	if c.chain == noTrace {
		return
	}
	if len(e.ring) < endedKept {
		e.ring = append(e.ring, endedCall{c.id, c.chain})
		return
	}
	e.ring[e.next] = endedCall{c.id, c.chain}
	e.next = (e.next + 1) % endedKept
}

// messages returns the trace of a call that runs or has ended lately.
func (s *shard) messages(id string) []Traced {
	if _, slot, ok := readTag([]byte(id)); ok {
		if c := s.session(slot); c != nil && string(c.id[:]) == id {
			return s.trace.messages(c.chain)
		}
	}
	for i := range s.ended.ring {
		if string(s.ended.ring[i].id[:]) == id {
			return s.trace.messages(s.ended.ring[i].chain)
		}
	}
	return nil
}

// timers returns the transaction timers of a side; nil means the usual ones.
func (s *shard) timers(t *trunks.Trunk) *transaction.Timers {
	if t == nil {
		return nil
	}
	return s.edge.ways.Load().timers[t.Name]
}
