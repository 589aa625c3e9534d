package transaction

import (
	"time"

	"trunkline/sip/wire"
)

// cancelMark turns the key of an INVITE into that of its CANCEL, which has the
// same branch (RFC 3261 §9.1).
const cancelMark = 0x9e3779b97f4a7c15

// Cancel gives the INVITE up (RFC 3261 §9.1): CANCEL goes out at once if a
// provisional response has come, else when the first one comes; never after a
// final one. headers are whole lines for the CANCEL ("Reason: …\r\n") or nil, and
// are copied. The 487, or a 2xx that crossed the CANCEL, still comes to the user;
// without any final response in 64*T1 after the CANCEL, Failed with CancelTimeout
// does.
func (c Client) Cancel(now time.Time, headers []byte) {
	_, tx := c.live()
	if tx == nil || !tx.invite() || tx.cancelling || tx.cancelled {
		return
	}
	l := c.layer
	tx.cancelling = true
	tx.message = l.buffers.extend(tx.message, headers)
	if tx.heard {
		l.sendCancel(l.since(now), tx)
		l.armClient(tx)
	}
}

// sendCancel sends the CANCEL of an INVITE in a transaction of its own, whose
// outcome matters to nobody: the INVITE's does.
func (l *Layer) sendCancel(at time.Duration, invite *clientTx) {
	invite.cancelled = true
	invite.deadline = at + 64*invite.t1
	l.armClient(invite)
	l.stats.Cancels++
	if !l.readInvite(invite) {
		return
	}
	b := l.appendOwn(l.out[:0], wire.CANCEL, l.request.Get(wire.HTo))
	b = append(b, invite.message[invite.size:]...)
	l.out = wire.AppendBody(b, "", nil)
	slot, tx := l.begin(invite.nonce^cancelMark, wire.CANCEL, invite.flow, l.out)
	tx.t1, tx.t2, tx.t4 = invite.t1, invite.t2, invite.t4
	tx.deadline = invite.deadline
	_ = l.open(at, slot, tx) // counted; the INVITE's deadline stands
}

// acknowledge sends the ACK for a final response other than 2xx and keeps it for
// copies of the response (RFC 3261 §17.1.1.3, Timer D).
func (l *Layer) acknowledge(at time.Duration, invite *clientTx, response *wire.Message) {
	if !l.readInvite(invite) {
		return
	}
	b := l.appendOwn(l.out[:0], wire.ACK, response.Get(wire.HTo))
	l.out = wire.AppendBody(b, "", nil)
	l.stats.Acks++
	if err := l.sender.Send(invite.flow, l.out, 0); err != nil {
		l.stats.SendErrors++
	}
	if !invite.flow.Proto.Reliable() {
		l.flow = appendFlow(l.flow[:0], invite.flow)
		l.lingerClient(at, invite, refused, max(64*invite.t1, timerD), l.flow, l.out)
	}
}

// timerD is the least time a refused INVITE is remembered over UDP.
const timerD = 32 * time.Second

// acknowledgeAgain answers a copy of a refusal at once: the first ACK was lost.
func (l *Layer) acknowledgeAgain(stored []byte) {
	l.stats.ResponseCopies[1]++
	l.stats.Acks++
	f, ack := cutFlow(stored)
	if err := l.sender.Send(f, ack, 0); err != nil {
		l.stats.SendErrors++
	}
}

// readInvite indexes the stored INVITE. It fails only if its sender gave us
// something that is no INVITE.
func (l *Layer) readInvite(invite *clientTx) bool {
	if l.request.Parse(invite.message[:invite.size]) == nil {
		return true
	}
	l.stats.Unsendable++
	return false
}

// appendOwn appends the head of the ACK or CANCEL for the INVITE in l.request:
// the same Request-URI, top Via, Route, From, Call-ID and CSeq number.
func (l *Layer) appendOwn(b []byte, method wire.Method, to []byte) []byte {
	m := &l.request
	b = wire.AppendRequestLine(b, method.String(), m.URI)
	b = wire.AppendHeader(b, "Via", m.Get(wire.HVia))
	for route := range m.All(wire.HRoute) {
		b = wire.AppendHeader(b, "Route", route)
	}
	b = append(b, "Max-Forwards: 70\r\n"...)
	b = wire.AppendHeader(b, "From", m.Get(wire.HFrom))
	b = wire.AppendHeader(b, "To", to)
	b = wire.AppendHeader(b, "Call-ID", m.CallID)
	return wire.AppendCSeq(b, m.CSeq, method.String())
}
