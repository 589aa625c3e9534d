package transaction

import (
	"errors"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Errors of Layer.Request beside those of the Sender.
var (
	ErrBranch = errors.New("branch is not one this layer minted, or is in use")
	ErrFull   = errors.New("too many client transactions")
	ErrMethod = errors.New("ACK and CANCEL have no transaction of their own")
)

// Client names a client transaction. It is a value: copy it, compare it, keep it
// for as long as you like; a Client whose transaction is over does nothing. The
// zero Client names none.
type Client struct {
	Token uint64 // as given in Request
	layer *Layer
	nonce uint64
}

// Request is what a client transaction is started with.
type Request struct {
	Branch []byte // from Layer.MintBranch; the one in the top Via of Bytes
	Method wire.Method
	Flow   transport.Flow
	Bytes  []byte // the whole message; copied
	User   User
	Token  uint64  // the user's own name for it: Client.Token in every callback
	Timers *Timers // nil: the layer's
}

// clientTx is a client transaction that has not had its final response.
type clientTx struct {
	timer   Timer
	nonce   uint64 // key in byNonce; 0 when the slot is free
	token   uint64
	user    User // nil for a CANCEL, which is the layer's own
	flow    transport.Flow
	message []byte // the request, then the headers for its CANCEL; lent by buffers
	size    int    // of the request

	t1, t2, t4, c time.Duration
	interval      time.Duration // between this repetition and the next; 0: no more
	repeat        time.Duration // when to repeat, since the layer began
	deadline      time.Duration // when to give up

	generation               uint32
	unheardNext, unheardPrev uint32 // neighbours in Layer.unheard; slot plus one
	method                   wire.Method
	heard                    bool // a provisional response came: RFC 3261's Proceeding
	cancelling               bool // the user asked for CANCEL
	cancelled                bool // CANCEL was sent
	silent                   bool // no callbacks but for a 2xx
}

func (tx *clientTx) invite() bool { return tx.method == wire.INVITE }

func (tx *clientTx) ref(slot uint32) uint64 { return uint64(tx.generation)<<32 | uint64(slot) }

func (tx *clientTx) name(l *Layer) Client { return Client{tx.token, l, tx.nonce} }

// clientPast is a client transaction that has had its final response, or none.
type clientPast struct {
	token  uint64
	user   User // of an INVITE, for a late 2xx
	method wire.Method
	state  clientState
}

type clientState uint8

const (
	// answered: a 2xx to the INVITE came. Its copies and those of other forks go
	// to the user (RFC 6026 §7.2, Timer M).
	answered clientState = iota
	// refused: the INVITE got another final response and its ACK, which copies get
	// again (Timer D). The record's bytes are flow and ACK.
	refused
	// silence: nothing came in time. A 2xx goes to the user, who must hang up.
	silence
	// done: a non-INVITE had its final response (Timer K).
	done
)

// Request sends r and starts its transaction. When the transport refuses at once
// it returns that error, and neither transaction nor callback remains.
func (l *Layer) Request(now time.Time, r Request) (Client, error) {
	at := l.since(now)
	shard, nonce, ok := readBranch(r.Branch)
	if !ok || shard != l.shard || nonce == 0 {
		return Client{}, ErrBranch
	}
	if _, used := l.byNonce.get(nonce); used {
		return Client{}, ErrBranch
	}
	if r.Method == wire.ACK || r.Method == wire.CANCEL {
		return Client{}, ErrMethod
	}
	if l.clients.live >= l.options.MaxClients {
		l.stats.Full++
		return Client{}, ErrFull
	}
	slot, tx := l.begin(nonce, r.Method, r.Flow, r.Bytes)
	tx.token, tx.user = r.Token, r.User
	timers := &l.timers
	if r.Timers != nil {
		own := r.Timers.over(l.timers)
		timers = &own
	}
	tx.t1, tx.t2, tx.t4, tx.c = timers.T1, timers.T2, timers.T4, timers.C
	tx.deadline = at + timers.F
	if tx.invite() {
		l.stats.ClientInvites++
		tx.deadline = at + timers.B
	}
	if err := l.open(at, slot, tx); err != nil {
		return Client{}, err
	}
	return tx.name(l), nil
}

// begin takes a slot for a client transaction and fills in what every one has.
func (l *Layer) begin(nonce uint64, method wire.Method, f transport.Flow, message []byte) (uint32, *clientTx) {
	slot, tx := l.clients.take()
	tx.nonce, tx.method, tx.flow = nonce, method, f
	tx.message, tx.size = l.buffers.copyOf(message, 0), len(message)
	tx.timer.Owner, tx.timer.Kind = uint64(slot), clientTimer
	return slot, tx
}

// open sends the request for the first time and starts its timers.
func (l *Layer) open(at time.Duration, slot uint32, tx *clientTx) error {
	if err := l.sender.Send(tx.flow, tx.message, tx.ref(slot)); err != nil {
		l.stats.SendErrors++
		if !transient(&tx.flow, err) {
			l.closeClient(slot, tx)
			return err
		}
	}
	l.stats.ClientsBegun++
	l.byNonce.set(tx.nonce, slot)
	l.listUnheard(slot, tx)
	if !tx.flow.Proto.Reliable() {
		tx.interval, tx.repeat = tx.t1, at+tx.t1
	}
	l.armClient(tx)
	return nil
}

func (l *Layer) armClient(tx *clientTx) {
	due := tx.deadline
	if tx.interval > 0 {
		due = min(due, tx.repeat)
	}
	l.wheel.start(&tx.timer, due)
}

// clientDue repeats a request or gives it up.
func (l *Layer) clientDue(now time.Time, at time.Duration, slot uint32) {
	tx := l.clients.at(slot)
	switch {
	case at < tx.deadline:
		l.repeat(now, at, slot, tx)
	case tx.invite() && tx.cancelled: // RFC 3261 §9.1
		l.fail(now, slot, tx, CancelTimeout)
	case tx.invite() && tx.heard:
		l.ringTooLong(now, at, tx)
	default:
		l.fail(now, slot, tx, Timeout)
	}
}

// repeat sends the request again. INVITE doubles its pause without limit (Timer
// A, RFC 3261 §17.1.1.2); others up to T2, and T2 at once when a provisional
// response has come (Timer E, §17.1.2.2).
func (l *Layer) repeat(now time.Time, at time.Duration, slot uint32, tx *clientTx) {
	l.stats.RequestRepeats[kind(tx.method)]++
	tx.interval *= 2
	if !tx.invite() {
		if tx.interval = min(tx.interval, tx.t2); tx.heard {
			tx.interval = tx.t2
		}
	}
	tx.repeat = at + tx.interval
	if err := l.sender.Send(tx.flow, tx.message[:tx.size], tx.ref(slot)); err != nil {
		l.stats.SendErrors++
		if !transient(&tx.flow, err) {
			l.fail(now, slot, tx, TransportError)
			return
		}
	}
	l.armClient(tx)
}

// ringTooLong: Timer C (RFC 3261 §16.8). The layer hangs on for the final
// response to its CANCEL, but its user need not.
func (l *Layer) ringTooLong(now time.Time, at time.Duration, tx *clientTx) {
	l.sendCancel(at, tx)
	l.stats.Failures[RingTimeout]++
	silent := tx.silent
	tx.silent = true
	if !silent {
		tx.user.Failed(now, tx.name(l), RingTimeout)
	}
}

// fail ends a transaction that will not get its final response.
func (l *Layer) fail(now time.Time, slot uint32, tx *clientTx, cause Failure) {
	user, name, silent := tx.user, tx.name(l), tx.silent
	l.stats.Failures[cause]++
	if tx.invite() && cause != TransportError {
		l.lingerClient(l.since(now), tx, silence, 64*tx.t1)
	}
	l.closeClient(slot, tx)
	if user != nil && !silent {
		user.Failed(now, name, cause)
	}
}

// ReceiveResponse takes a parsed response that Absorb did not want and reports
// whether it belongs to a transaction; if not it is a stray, to be dropped and
// counted (RFC 3261 §18.1.2).
func (l *Layer) ReceiveResponse(now time.Time, m *wire.Message) bool {
	at := l.since(now)
	value, ok := l.findClient(m.Via.Branch, m.CSeqMethod)
	if !ok {
		return false
	}
	if value&lingering != 0 {
		return l.lateResponse(now, value, m)
	}
	tx := l.clients.at(value)
	switch {
	case tx.method != m.CSeqMethod:
		return false
	case m.Status < 200:
		l.provisional(now, at, value, tx, m)
	default:
		l.final(now, at, value, tx, m)
	}
	return true
}

// findClient matches a response by the branch of its top Via and the method in
// its CSeq (RFC 3261 §17.1.3).
func (l *Layer) findClient(branch []byte, method wire.Method) (value uint32, ok bool) {
	shard, nonce, ok := readBranch(branch)
	if !ok || shard != l.shard {
		return 0, false
	}
	if method == wire.CANCEL {
		nonce ^= cancelMark
	}
	return l.byNonce.get(nonce)
}

func (l *Layer) provisional(now time.Time, at time.Duration, slot uint32, tx *clientTx, m *wire.Message) {
	if !tx.heard {
		tx.heard = true
		l.unlistUnheard(slot, tx)
		if tx.invite() {
			tx.interval, tx.deadline = 0, at+tx.c
		}
	}
	if tx.invite() && !tx.cancelled {
		if m.Status > 100 {
			tx.deadline = at + tx.c // RFC 3261 §16.7 step 2
		}
		if tx.cancelling {
			l.sendCancel(at, tx)
		}
	}
	l.armClient(tx)
	if !tx.silent && tx.user != nil {
		tx.user.Response(now, tx.name(l), m)
	}
}

func (l *Layer) final(now time.Time, at time.Duration, slot uint32, tx *clientTx, m *wire.Message) {
	user, name, silent := tx.user, tx.name(l), tx.silent
	switch {
	case !tx.invite():
		if !tx.flow.Proto.Reliable() {
			l.lingerClient(at, tx, done, tx.t4)
		}
	case m.Status < 300:
		if silent {
			silent = false
			l.stats.LateAnswers++
		}
		l.lingerClient(at, tx, answered, 64*tx.t1)
	default:
		l.acknowledge(at, tx, m)
	}
	l.closeClient(slot, tx)
	if !silent && user != nil {
		user.Response(now, name, m)
	}
}

// lateResponse takes a response to a transaction that has ended.
func (l *Layer) lateResponse(now time.Time, value uint32, m *wire.Message) bool {
	r, stored := l.clientPast.get(value)
	if r.is.method != m.CSeqMethod {
		return false
	}
	name, user := Client{r.is.token, l, r.key}, r.is.user
	switch {
	case r.is.state == done || m.Status < 200:
		return r.is.state != silence
	case m.Status < 300:
		if r.is.state == answered {
			l.stats.ResponseCopies[1]++
		} else {
			l.stats.LateAnswers++
		}
		user.Response(now, name, m)
		return true
	case r.is.state == refused:
		l.acknowledgeAgain(stored)
		return true
	}
	return r.is.state == answered
}

// absorbResponse deals with copies of final responses that need no user.
func (l *Layer) absorbResponse(e *wire.Envelope) bool {
	value, ok := l.findClient(e.Branch, e.CSeqMethod)
	if !ok || value&lingering == 0 {
		return false
	}
	r, stored := l.clientPast.get(value)
	if r.is.method != e.CSeqMethod {
		return false
	}
	switch {
	case r.is.state == done:
		l.stats.ResponseCopies[0]++
		return true
	case r.is.state == refused && e.Status >= 300:
		l.acknowledgeAgain(stored)
		return true
	}
	return false
}

// Abandon ends the callbacks, but for a late 2xx to an INVITE, which its user
// must still ACK and BYE. The transaction itself goes on: refusals are ACKed, a
// CANCEL asked for is sent.
func (c Client) Abandon() {
	if _, tx := c.live(); tx != nil {
		tx.silent = true
	}
}

// Live reports whether the transaction still waits for its final response.
func (c Client) Live() bool {
	_, tx := c.live()
	return tx != nil
}

func (c Client) live() (uint32, *clientTx) {
	if c.layer == nil {
		return 0, nil
	}
	slot, ok := c.layer.byNonce.get(c.nonce)
	if !ok || slot&lingering != 0 {
		return 0, nil
	}
	return slot, c.layer.clients.at(slot)
}

// lingerClient remembers a transaction for copies of its final response. The
// slot is still to be closed.
func (l *Layer) lingerClient(at time.Duration, tx *clientTx, state clientState, life time.Duration, stored ...[]byte) {
	value, r := l.clientPast.add(tx.nonce, at, life, stored...)
	*r = clientPast{token: tx.token, method: tx.method, state: state}
	if tx.invite() {
		r.user = tx.user
	}
	l.byNonce.set(tx.nonce, value)
	l.makeRoom()
}

func (l *Layer) forgetClient(value uint32, r *pastRecord[clientPast]) {
	l.byNonce.remove(r.key, value)
}

// closeClient frees the slot of a transaction.
func (l *Layer) closeClient(slot uint32, tx *clientTx) {
	l.wheel.Stop(&tx.timer)
	l.unlistUnheard(slot, tx)
	l.byNonce.remove(tx.nonce, slot)
	l.buffers.giveBack(tx.message)
	*tx = clientTx{generation: nextGeneration(tx.generation)}
	l.clients.release(slot)
}

// listUnheard puts a transaction into the list of those without any response.
func (l *Layer) listUnheard(slot uint32, tx *clientTx) {
	if tx.unheardNext = l.unheard; tx.unheardNext != 0 {
		l.clients.at(tx.unheardNext - 1).unheardPrev = slot + 1
	}
	l.unheard = slot + 1
}

func (l *Layer) unlistUnheard(slot uint32, tx *clientTx) {
	if l.unheard != slot+1 && tx.unheardPrev == 0 {
		return // not in the list
	}
	if tx.unheardPrev == 0 {
		l.unheard = tx.unheardNext
	} else {
		l.clients.at(tx.unheardPrev - 1).unheardNext = tx.unheardNext
	}
	if tx.unheardNext != 0 {
		l.clients.at(tx.unheardNext - 1).unheardPrev = tx.unheardPrev
	}
	tx.unheardNext, tx.unheardPrev = 0, 0
}

// kind is the index of the counters kept per kind of request.
func kind(m wire.Method) int {
	if m == wire.INVITE {
		return 1
	}
	return 0
}

func isFull(err error) bool { return errors.Is(err, transport.ErrFull) }
