package transaction

import (
	"errors"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// ErrOver is returned by Server.Respond when the transaction is over or has had
// its final response.
var ErrOver = errors.New("transaction is over")

// Server names a server transaction. It is a value: copy it, compare it, keep it
// for as long as you like; a Server whose transaction is over does nothing. The
// zero Server names none.
type Server struct {
	layer *Layer
	id    uint64 // slot and generation
}

// serverState is that of a live transaction.
type serverState uint8

const (
	// proceeding: no final response yet. A copy of the request gets the last
	// provisional, if there is one (RFC 3261 §17.2.1, §17.2.2).
	proceeding serverState = iota
	// refusing: an INVITE got a final response other than 2xx, which is repeated
	// until its ACK comes (Timers G and H). RFC 3261's Completed.
	refusing
	// accepting: an INVITE got a 2xx, which is repeated until the dialog has its
	// ACK (RFC 3261 §13.3.1.4). Copies of the INVITE are swallowed (RFC 6026 §7.1).
	accepting
)

// serverTx is a server transaction that has something to do.
type serverTx struct {
	timer   Timer
	key     key
	merge   uint64 // key in Layer.merging; 0: not there
	token   uint64
	flow    transport.Flow // where responses go
	message []byte         // the last response; lent by buffers
	tag     []byte         // our tag; the memory stays with the slot

	t1, t2   time.Duration
	begun    time.Duration // since the layer began
	interval time.Duration // between this repetition and the next; 0: none
	repeat   time.Duration // when to repeat
	deadline time.Duration // when to end

	generation uint32
	method     wire.Method
	state      serverState
	unsent     bool // message is a 100 that waits for its time
	used       bool // the slot is not free
}

func (tx *serverTx) invite() bool { return tx.method == wire.INVITE }

func (tx *serverTx) name(l *Layer, slot uint32) Server {
	return Server{l, uint64(tx.generation)<<32 | uint64(slot)}
}

// serverPast is a server transaction that has had its final response and, if an
// INVITE, its ACK. The bytes of an INVITE's record are our tag, those of others
// flow and response.
type serverPast struct {
	check uint64
	merge uint64
	state serverPastState
}

type serverPastState uint8

const (
	// replied: a non-INVITE; copies get the response again (Timer J).
	replied serverPastState = iota
	// accepted: an INVITE with a 2xx and its ACK (RFC 6026 §7.1, Timer L).
	accepted
	// confirmed: a refused INVITE that has its ACK (Timer I).
	confirmed
)

// openServer takes a slot for a new server transaction.
func (l *Layer) openServer(at time.Duration, k key, e *wire.Envelope, f transport.Flow) (uint32, *serverTx) {
	slot, tx := l.servers.take()
	tx.used, tx.key, tx.method, tx.flow, tx.begun = true, k, e.Method, f, at
	tx.tag = append(tx.tag[:0], e.ToTag...)
	tx.t1, tx.t2 = l.timers.T1, l.timers.T2
	tx.generation = nextGeneration(tx.generation)
	tx.timer.Owner, tx.timer.Kind = uint64(slot), serverTimer
	l.byKey.set(k.place, slot)
	if len(e.ToTag) == 0 {
		tx.merge = l.mergeKey(e)
		l.merging.set(tx.merge, slot)
	}
	l.stats.ServersBegun++
	return slot, tx
}

// Bind gives a new transaction the local tag that its responses carry, so that
// the 200 to a CANCEL has it too, and the user's own name for the transaction.
// Call it straight after the verdict New. tag is copied; a request that has a To
// tag keeps that one.
func (s Server) Bind(tag []byte, token uint64) {
	if _, tx := s.live(); tx != nil {
		tx.token = token
		if len(tx.tag) == 0 {
			tx.tag = append(tx.tag[:0], tag...)
		}
	}
}

// SetTimers replaces the layer's T1 and T2 for the responses of this transaction.
func (s Server) SetTimers(t Timers) {
	if _, tx := s.live(); tx != nil {
		t = t.over(s.layer.timers)
		tx.t1, tx.t2 = t.T1, t.T2
	}
}

// Token returns what Bind was given; 0 when the transaction is over.
func (s Server) Token() uint64 {
	if _, tx := s.live(); tx != nil {
		return tx.token
	}
	return 0
}

// Flow returns where responses go; the zero Flow when the transaction is over.
func (s Server) Flow() transport.Flow {
	if _, tx := s.live(); tx != nil {
		return tx.flow
	}
	return transport.Flow{}
}

// Live reports whether the transaction is more than a memory: unanswered, or its
// final response not yet ACKed.
func (s Server) Live() bool {
	_, tx := s.live()
	return tx != nil
}

func (s Server) live() (uint32, *serverTx) {
	if s.layer == nil {
		return 0, nil
	}
	slot := uint32(s.id)
	return slot, s.layer.serverAt(slot, uint32(s.id>>32))
}

func (l *Layer) serverAt(slot, generation uint32) *serverTx {
	if !l.servers.holds(slot) {
		return nil
	}
	if tx := l.servers.at(slot); tx.used && tx.generation == generation {
		return tx
	}
	return nil
}

// Trying sends the 100 that the layer made when the INVITE came. Without it, the
// 100 goes out after 200 ms if nothing else has (RFC 3261 §17.2.1).
func (s Server) Trying(now time.Time) {
	if slot, tx := s.live(); tx != nil && tx.unsent {
		s.layer.trying(s.layer.since(now), slot, tx)
	}
}

func (l *Layer) trying(at time.Duration, slot uint32, tx *serverTx) {
	tx.unsent = false
	tx.interval, tx.deadline = 0, at+l.options.Unanswered
	l.armServer(tx)
	_ = l.reply(slot, tx) // counted
}

// Respond sends b, the whole response, and stores it for copies of the request. A
// final response other than 2xx to an INVITE is repeated until its ACK; a 2xx is
// repeated until Acked. It returns ErrOver, or the transport's error, after which
// the transaction goes on as if b had been lost.
//
// Not sent, and nil: 408 to a non-INVITE, and provisionals to a non-INVITE that
// RFC 4320 §4.1 forbids.
func (s Server) Respond(now time.Time, status int, b []byte) error {
	slot, tx := s.live()
	if tx == nil || tx.state != proceeding {
		return ErrOver
	}
	l, at := s.layer, s.layer.since(now)
	if !tx.invite() && l.pointless(at, tx, status) {
		l.stats.Suppressed++
		if status >= 200 {
			l.closeServer(slot, tx)
		}
		return nil
	}
	tx.unsent = false
	tx.message = l.buffers.replace(tx.message, b)
	err := l.reply(slot, tx)
	switch {
	case status < 200:
		if tx.invite() {
			tx.interval, tx.deadline = 0, at+l.options.Unanswered
			l.armServer(tx)
		}
	case !tx.invite():
		l.lingerServer(at, tx, replied)
		l.closeServer(slot, tx)
	default:
		l.awaitAck(at, tx, status)
	}
	return err
}

// RespondReliably is Respond for a provisional response to an INVITE that its
// caller confirms with a PRACK: b is repeated after T1, twice that and so on until
// Pracked, a later response, or 64*T1, over every transport (RFC 3262 §3).
func (s Server) RespondReliably(now time.Time, b []byte) error {
	err := s.Respond(now, 180, b)
	if err == ErrOver {
		return err
	}
	if _, tx := s.live(); tx != nil && tx.invite() {
		at := s.layer.since(now)
		tx.interval, tx.repeat, tx.deadline = tx.t1, at+tx.t1, at+64*tx.t1
		s.layer.armServer(tx)
	}
	return err
}

// Pracked ends the repetition of a reliable provisional response.
func (s Server) Pracked(now time.Time) {
	if _, tx := s.live(); tx != nil && tx.state == proceeding && tx.interval > 0 {
		tx.interval, tx.deadline = 0, s.layer.since(now)+s.layer.options.Unanswered
		s.layer.armServer(tx)
	}
}

// pointless: RFC 4320 §4. The client of a non-INVITE has given up when a 408
// could come; 100 is of use only when the client has slowed down to T2, and no
// other provisional is.
func (l *Layer) pointless(at time.Duration, tx *serverTx, status int) bool {
	switch {
	case status >= 200:
		return status == 408
	case status > 100:
		return true
	}
	slow := time.Duration(0) // when Timer E reaches T2
	for e := tx.t1; e < tx.t2; e *= 2 {
		slow += e
	}
	return !tx.flow.Proto.Reliable() && at-tx.begun < slow
}

// awaitAck repeats a final response to an INVITE until its ACK: a 2xx over every
// transport, others over datagrams only.
func (l *Layer) awaitAck(at time.Duration, tx *serverTx, status int) {
	tx.interval, tx.repeat, tx.deadline = tx.t1, at+tx.t1, at+64*tx.t1
	tx.state = accepting
	if status >= 300 {
		tx.state = refusing
		l.unmerge(tx)
		if tx.flow.Proto.Reliable() {
			tx.interval = 0
		}
	}
	l.armServer(tx)
}

// unmerge: the request is no longer being worked on. A proxy that got a refusal
// may well try another path.
func (l *Layer) unmerge(tx *serverTx) {
	if tx.merge != 0 {
		l.merging.remove(tx.merge, uint32(tx.timer.Owner))
		tx.merge = 0
	}
}

// reply sends the stored response.
func (l *Layer) reply(slot uint32, tx *serverTx) error {
	err := l.sender.Send(tx.flow, tx.message, serverRef|uint64(tx.generation)<<32|uint64(slot))
	if err != nil {
		l.stats.SendErrors++
	}
	return err
}

func (l *Layer) armServer(tx *serverTx) {
	due := tx.deadline
	if tx.interval > 0 {
		due = min(due, tx.repeat)
	}
	l.wheel.start(&tx.timer, due)
}

// Acked ends the repetition of a 2xx to an INVITE: its ACK has come.
func (s Server) Acked(now time.Time) {
	if slot, tx := s.live(); tx != nil && tx.state == accepting {
		s.layer.lingerServer(s.layer.since(now), tx, accepted)
		s.layer.closeServer(slot, tx)
	}
}

// serverDue repeats a response or ends a transaction.
func (l *Layer) serverDue(now time.Time, at time.Duration, slot uint32) {
	tx := l.servers.at(slot)
	switch {
	case tx.unsent:
		l.trying(at, slot, tx)
	case at < tx.deadline:
		l.stats.ResponseRepeats[b2i(tx.state == accepting)]++
		tx.interval *= 2
		if tx.state != proceeding { // RFC 3262 §3 has no T2
			tx.interval = min(tx.interval, tx.t2)
		}
		tx.repeat = at + tx.interval
		l.armServer(tx)
		_ = l.reply(slot, tx) // counted
	case tx.state == proceeding && tx.interval > 0:
		tx.interval, tx.deadline = 0, at+l.options.Unanswered
		l.armServer(tx)
		if l.user != nil {
			l.user.PrackTimeout(now, tx.name(l, slot))
		}
	default:
		l.endServer(now, slot, tx)
	}
}

// endServer ends a transaction whose time is over and tells its user, except of a
// non-INVITE: whoever sent that has given up (RFC 4320).
func (l *Layer) endServer(now time.Time, slot uint32, tx *serverTx) {
	state, invite, name := tx.state, tx.invite(), tx.name(l, slot)
	if invite && l.user != nil {
		tx.state = refusing // no more responses, while Token and Flow still work
		switch state {
		case accepting:
			l.stats.AckTimeouts++
			l.user.AckTimeout(now, name)
		default:
			l.user.Failed(now, name, Timeout)
		}
	}
	l.closeServer(slot, tx)
}

// undelivered: the transport could not deliver a response.
func (l *Layer) undelivered(now time.Time, slot uint32, tx *serverTx) {
	l.stats.SendErrors++
	if l.user != nil {
		l.user.Failed(now, tx.name(l, slot), TransportError)
	}
}

// lingerServer remembers a transaction for copies of its request. The slot is
// still to be closed.
func (l *Layer) lingerServer(at time.Duration, tx *serverTx, state serverPastState) {
	switch {
	case state == accepted:
		value := l.remember(at, tx.key, 64*tx.t1, serverPast{state: state, merge: tx.merge}, tx.tag)
		if tx.merge != 0 {
			l.merging.set(tx.merge, value)
		}
	case tx.flow.Proto.Reliable(): // Timers I and J are zero
	case state == confirmed:
		l.remember(at, tx.key, l.timers.T4, serverPast{state: state}, tx.tag)
	default:
		l.rememberReply(at, tx.key, 64*tx.t1, tx.flow, tx.message)
	}
}

// rememberReply remembers the only response of a transaction, which went to f.
func (l *Layer) rememberReply(at time.Duration, k key, life time.Duration, f transport.Flow, response []byte) {
	if !f.Proto.Reliable() {
		l.flow = appendFlow(l.flow[:0], f)
		l.remember(at, k, life, serverPast{state: replied}, l.flow, response)
	}
}

func (l *Layer) remember(at time.Duration, k key, life time.Duration, is serverPast, stored ...[]byte) (value uint32) {
	value, r := l.serverPast.add(k.place, at, life, stored...)
	*r = is
	r.check = k.check
	l.byKey.set(k.place, value)
	l.makeRoom()
	return value
}

// forgetServer takes a record out of the tables.
func (l *Layer) forgetServer(value uint32, r *pastRecord[serverPast]) {
	l.byKey.remove(r.key, value)
	if r.is.merge != 0 {
		l.merging.remove(r.is.merge, value)
	}
}

// closeServer frees the slot of a transaction.
func (l *Layer) closeServer(slot uint32, tx *serverTx) {
	l.wheel.Stop(&tx.timer)
	l.unmerge(tx)
	l.byKey.remove(tx.key.place, slot)
	l.buffers.giveBack(tx.message)
	*tx = serverTx{generation: tx.generation, tag: tx.tag[:0]}
	l.servers.release(slot)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
