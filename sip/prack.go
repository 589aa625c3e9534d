package sip

import (
	"strconv"
	"time"

	"trunkline/sip/admit"
	"trunkline/sip/call"
	"trunkline/sip/transaction"
	"trunkline/sip/wire"
)

// appendReliable makes a provisional response one that its caller confirms with a PRACK (RFC 3262 §3). Allow tells that an
// UPDATE may follow before the answer (RFC 3311 §4).
func (c *session) appendReliable(b []byte, r *response) []byte {
	r.rseq = c.caller.dialog.NextRSeq(uint32(1 + c.shard.random.Uint64()%(1<<31-1)))
	b = append(b, "Require: "+admit.Reliable+"\r\nRSeq: "...)
	b = strconv.AppendUint(b, uint64(r.rseq), 10)
	b = append(b, crlf...)
	return wire.AppendHeaderString(b, "Allow", c.allow(call.Caller))
}

// respondKept sends the response that waited longest for the PRACK of the one before it.
func (c *session) respondKept(now time.Time) {
	r := c.kept[0]
	c.kept = c.kept[1:]
	c.respondWith(now, r, r.bytes)
}

// prackConfirms reports whether the PRACK at hand is for the response that waits for one, and ends its repetition.
func (c *session) prackConfirms(now time.Time, side call.Side) bool {
	if side != call.Caller || !c.caller.dialog.Acknowledge(&c.shard.in, c.caller.seq) {
		return false
	}
	c.caller.server.Pracked(now)
	return true
}

// PrackTimeout: nobody confirmed a reliable provisional response of ours.
func (u serverUser) PrackTimeout(now time.Time, server transaction.Server) {
	if c, purpose := u.shard.owner(server.Token()); c != nil && purpose == purposeCaller {
		c.step(now, call.Event{Kind: call.PrackTimeout})
	}
}

// prack confirms the last reliable provisional response of a fork (RFC 3262 §4).
func (c *session) prack(now time.Time, a call.Action) {
	s := c.shard
	kind, body, err := c.chooseBody(a.Body, &s.in, call.Callee, answer)
	if err != nil {
		c.mediaFailed(err)
		return
	}
	s.line = c.forks[a.Fork].AppendRAck(s.line[:0])
	s.line = wire.AppendBody(s.line, kind, body)
	c.send(now, c.add(pending{method: call.PRACK, side: call.Callee, fork: a.Fork}), s.line, maxForwards)
}
