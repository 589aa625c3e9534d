package transaction

import (
	"net/netip"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// ReceiveRequest takes a parsed request that Absorb did not want. e and m are the
// same request; f is where it came from.
func (l *Layer) ReceiveRequest(now time.Time, e *wire.Envelope, m *wire.Message, f transport.Flow) (Server, Verdict) {
	at := l.since(now)
	switch e.Method {
	case wire.ACK:
		s, absorbed := l.ack(at, l.keyOf(e, m, wire.INVITE), e)
		if absorbed {
			return Server{}, Absorbed
		}
		return s, AckFor2xx
	case wire.CANCEL:
		return l.cancel(at, e, m, f)
	}
	k := l.keyOf(e, m, e.Method)
	if l.copied(at, k) {
		return Server{}, Absorbed
	}
	if len(e.ToTag) == 0 {
		if _, working := l.merging.get(l.mergeKey(e)); working {
			l.stats.Merged++
			l.replyOnce(m, 482, nil, l.replyFlow(f, m))
			return Server{}, Merged
		}
	}
	if l.servers.live >= l.options.MaxServers {
		l.stats.Full++
		return Server{}, Full
	}
	slot, tx := l.openServer(at, k, e, l.replyFlow(f, m))
	if tx.invite() {
		l.stats.ServerInvites++
		l.prepareTrying(at, tx, m)
	} else {
		tx.deadline = at + 64*tx.t1
	}
	l.armServer(tx)
	return tx.name(l, slot), New
}

// Working reports whether the INVITE that a CANCEL is about is being worked on.
func (l *Layer) Working(e *wire.Envelope, m *wire.Message) bool {
	_, tx, _, _ := l.findServer(l.keyOf(e, m, wire.INVITE))
	return tx != nil
}

// prepareTrying writes the 100 to an INVITE, for Trying or for 200 ms later.
func (l *Layer) prepareTrying(at time.Duration, tx *serverTx, m *wire.Message) {
	l.out = wire.AppendResponse(l.out[:0], m, 100, wire.ReasonPhrase(100), nil, tx.flow.Remote)
	l.out = wire.AppendBody(l.out, "", nil)
	tx.message = l.buffers.replace(tx.message, l.out)
	tx.unsent = true
	tx.deadline = at + tryingAfter
}

// replyFlow returns where the responses to m go: back over the flow it came from,
// and over UDP to the port in its Via when it does not ask for the source port
// (RFC 3261 §18.2.2, RFC 3581 §4).
func (l *Layer) replyFlow(f transport.Flow, m *wire.Message) transport.Flow {
	if !f.Proto.Reliable() && !m.Via.RPort && !l.options.ReplyToSource {
		port := uint16(m.Via.Port)
		if port == 0 {
			port = 5060
		}
		f.Remote = netip.AddrPortFrom(f.Remote.Addr(), port)
	}
	return f
}

// replyOnce answers m and keeps no transaction; the response is left in l.out.
// Without a tag it gets a fresh one.
func (l *Layer) replyOnce(m *wire.Message, status int, tag []byte, f transport.Flow) {
	if len(tag) == 0 {
		l.text = l.MintBranch(l.text[:0])
		tag = l.text[len(cookie):]
	}
	l.out = wire.AppendResponse(l.out[:0], m, status, wire.ReasonPhrase(status), tag, f.Remote)
	l.out = wire.AppendBody(l.out, "", nil)
	if err := l.sender.Send(f, l.out, 0); err != nil {
		l.stats.SendErrors++
	}
}

// copied deals with a request whose transaction is known: its stored response
// goes out again. It reports whether there is such a transaction.
func (l *Layer) copied(at time.Duration, k key) bool {
	slot, tx, r, stored := l.findServer(k)
	switch {
	case tx != nil:
		l.stats.RequestCopies[kind(tx.method)]++
		switch {
		case tx.unsent:
			l.trying(at, slot, tx) // the peer is in a hurry
		case tx.state != accepting && len(tx.message) > 0:
			_ = l.reply(slot, tx) // counted
		}
	case r != nil:
		l.stats.RequestCopies[b2i(r.is.state != replied)]++
		if r.is.state == replied {
			f, response := cutFlow(stored)
			if err := l.sender.Send(f, response, 0); err != nil {
				l.stats.SendErrors++
			}
		}
	default:
		return false
	}
	return true
}

// ack takes an ACK; k is the key of the INVITE that it would have were it for a
// refusal. It reports whether the ACK ends here; if not it belongs to a 2xx.
func (l *Layer) ack(at time.Duration, k key, old *wire.Envelope) (invite Server, absorbed bool) {
	slot, tx, r, _ := l.findServer(k)
	switch {
	case tx != nil && tx.state == accepting, r != nil && r.is.state == accepted:
		if tx != nil {
			invite = tx.name(l, slot)
		}
		return invite, false
	case tx != nil && tx.state == refusing && ackMatches(tx, old):
		l.lingerServer(at, tx, confirmed)
		l.closeServer(slot, tx)
		return Server{}, true
	case tx != nil || r != nil:
		l.stats.AckCopies++
		return Server{}, true
	}
	return Server{}, false
}

// ackMatches: without the magic cookie the To tag must be the response's too
// (RFC 3261 §17.2.3).
func ackMatches(tx *serverTx, e *wire.Envelope) bool {
	return e == nil || hasCookie(e.Branch) || len(tx.tag) == 0 || string(e.ToTag) == string(tx.tag)
}

// cancel takes a CANCEL that is no copy of another: it has a transaction of its
// own, whose only response goes out here (RFC 3261 §9.2).
func (l *Layer) cancel(at time.Duration, e *wire.Envelope, m *wire.Message, f transport.Flow) (Server, Verdict) {
	own := l.keyOf(e, m, wire.CANCEL)
	if l.copied(at, own) {
		return Server{}, Absorbed
	}
	slot, invite, past, tag := l.findServer(l.keyOf(e, m, wire.INVITE))
	if invite != nil {
		tag = invite.tag
		// A CANCEL from elsewhere is not its caller's, whatever it knows.
		if invite.flow.Remote.Addr() != f.Remote.Addr() {
			invite = nil
		}
	}
	f = l.replyFlow(f, m)
	if invite == nil && past == nil {
		l.stats.UnmatchedCancels++
		l.replyOnce(m, 481, nil, f)
		l.rememberReply(at, own, 64*l.timers.T1, f, l.out)
		return Server{}, Unmatched
	}
	l.replyOnce(m, 200, tag, f)
	l.rememberReply(at, own, 64*l.timers.T1, f, l.out)
	if invite == nil || invite.state != proceeding {
		return Server{}, Absorbed // RFC 3261 §9.2: no effect after a final response
	}
	return invite.name(l, slot), Cancelled
}
