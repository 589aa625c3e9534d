package sip

import (
	"context"
	"crypto/rand"
	"log/slog"
	mathrand "math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"trunkline/config"
	"trunkline/sip/admit"
	"trunkline/sip/call"
	"trunkline/sip/digest"
	"trunkline/sip/resolve"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
	"trunkline/trunks/pace"
)

// shard owns a part of the transactions, dialogs and calls. Everything in it
// belongs to the goroutine that runs it, except posted.
type shard struct {
	edge   *Edge
	index  int
	port   transport.Port
	layer  *transaction.Layer
	wheel  *transaction.Wheel // deadlines of the calls' machines
	random *mathrand.ChaCha8
	log    *slog.Logger

	sessions   []*session // by slot; nil is free
	free       []uint32   // free slots, oldest first, so that a slot rests before it is used again
	pool       []*session // ended ones, to be used again
	live       int
	generation uint32
	current    *session // the call being stepped

	moved      map[string]int            // Call-IDs of INVITEs that another shard has taken
	deliveries []delivery                // from calls to those they are joined with
	queued     map[pace.Limiter]struct{} // limits that calls of this shard wait for
	turnDue    time.Time                 // when the next of them is due; zero: nobody waits
	turnTimer  *time.Timer               // wakes the shard then

	accounts  map[string]account // by trunk
	outside   map[uint64]*Outside
	broken    error                   // what the transport says of the failure at hand; nil: nothing
	watched   map[string]func(Traced) // by From tag; see Desk.Watch
	alarms    map[uint64]*Alarm       // that are set
	nextAlarm uint64
	hops      map[resolve.Query]hop
	waiting   map[resolve.Query][]uint64 // tokens of calls that wait for a look-up
	trace     *trace
	ended     endedCalls
	count     counters
	strangers limiter
	sources   sources
	helped    limiter // calls for help of strangers
	floods    floods
	gate      *digest.Server // of agents known by digest
	proven    *trunks.Agent  // who signed the request at hand; nil: it was not asked
	complaint limiter        // how often bad messages are logged
	overload  overload
	busy      *admit.Rejection // of what it refuses
	busyFor   config.Duration  // the Retry-After of busy

	in      wire.Message   // the message at hand
	env     wire.Envelope  // its envelope
	at      transport.Flow // where it came from
	kept    wire.Message   // a caller's INVITE read again
	sending wire.Envelope  // of the message being sent
	out     []byte         // the message being written
	line    []byte         // header lines being collected
	sdp     []byte         // the session description being written
	body    []byte         // a body of several parts being written
	branch  []byte
	number  []byte
	buffers [][]byte
	held    []*pending // copies of requests being answered, to be used again

	mu     sync.Mutex
	posted []func(now time.Time)
}

func newShard(e *Edge, index int, port transport.Port) *shard {
	var seed [32]byte
	rand.Read(seed[:])
	s := &shard{
		edge: e, index: index, port: port, log: e.options.Log,
		random:    mathrand.NewChaCha8(seed),
		accounts:  map[string]account{},
		queued:    map[pace.Limiter]struct{}{},
		outside:   map[uint64]*Outside{},
		hops:      map[resolve.Query]hop{},
		waiting:   map[resolve.Query][]uint64{},
		trace:     newTrace(e.options.Trace / e.options.Shards),
		sources:   sources{rate: perSource},
		complaint: limiter{rate: 1},
		overload:  overload{limit: e.options.OverloadDelay},
		count:     counters{waited: newHistogram(waitBounds)},
	}
	if e.options.Registrar != nil {
		s.gate = newGate(e)
	}
	s.turnTimer = time.AfterFunc(time.Hour, port.Wake)
	s.turnTimer.Stop()
	now := port.Now()
	s.wheel = transaction.NewWheel(now)
	s.layer = transaction.NewLayer(s, transaction.Options{
		Shard: index, ServerUser: serverUser{s}, Timers: *timersOf(e.options.Timers),
	})
	return s
}

// idle is how long a shard waits when nothing is due.
const idle = time.Second

// run receives and steps until ctx ends, then hangs up what is left.
func (s *shard) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, s.port.Wake)
	defer stop()
	for ctx.Err() == nil {
		s.turn()
	}
	s.turnTimer.Stop()
	s.lastTurns()
	s.finishAll()
}

// lastMessages bounds them: the stop does not wait for a flood to end.
const lastMessages = 64

// lastTurns takes what has arrived already, without waiting: an ACK among it
// decides whether its caller can be sent a BYE (RFC 3261 §15).
func (s *shard) lastTurns() {
	s.edge.draining.Store(true)
	for range lastMessages {
		if p, ok := s.port.Receive(0); ok { // not ok: nothing, or a wake-up before something
			s.receive(s.port.Now(), p)
			s.makeDeliveries(s.port.Now())
		}
	}
}

// turn waits for one thing and does what it asks for, then what is due.
func (s *shard) turn() {
	s.in.Bytes = nil // Receive takes them back; what is at hand later is not this message
	p, ok := s.port.Receive(s.wait(s.port.Now()))
	now := s.port.Now()
	if ok {
		s.receive(now, p)
		s.makeDeliveries(now)
	} else {
		s.overload.waited = 0
	}
	s.work(now)
	s.advance(now)
	s.makeDeliveries(now)
}

// wait is how long nothing is due.
func (s *shard) wait(now time.Time) time.Duration {
	wait := idle
	if due, some := s.layer.Next(now); some {
		wait = min(wait, due)
	}
	if due, some := s.wheel.Next(now); some {
		wait = min(wait, due)
	}
	return wait
}

// advance does what is due.
func (s *shard) advance(now time.Time) {
	defer s.survive(now)
	s.calmDown(now)
	if !s.turnDue.IsZero() && !now.Before(s.turnDue) {
		s.serveQueues(now)
	}
	s.layer.Advance(now.Add(-s.overload.behind()))
	s.wheel.Advance(now, func(t *transaction.Timer) {
		if t.Kind == alarmTimer {
			s.ring(now, t.Owner)
			return
		}
		switch c := s.session(uint32(t.Owner)); {
		case c == nil:
		case t.Kind == silenceTimer:
			c.checkSilence(now)
		case t.Kind == tollTimer:
			c.checkToll(now)
		case t.Kind == joinTimer:
			s.in = wire.Message{MaxForwards: -1} // nothing is at hand
			c.offerTarget(now)
		default:
			c.step(now, call.Event{Kind: call.Tick})
		}
	})
}

// What the timers of a shard's wheel are for.
const (
	machineTimer uint8 = iota // a call's machine wants its Tick
	joinTimer                 // time to offer the target of a transfer again
	silenceTimer              // time to look whether a call's media flows
	tollTimer                 // time to look whether a call's minutes are used up
	alarmTimer                // work outside calls, see Desk
)

// hangUpAll ends every call with a BYE.
func (s *shard) hangUpAll(now time.Time) {
	for _, c := range s.sessions {
		if c != nil {
			c.step(now, call.Event{Kind: call.HangUp, Cause: call.CauseDrain})
		}
	}
	s.makeDeliveries(now)
}

// finishAll ends every call, for a stop that waits no longer.
func (s *shard) finishAll() {
	now := s.port.Now()
	s.hangUpAll(now)
	// A callee that still has to answer our BYE is not waited for; the record is.
	for _, c := range s.sessions {
		if c != nil {
			c.finish(now)
		}
	}
}

// survive keeps a panic inside the call it happened in: that call ends with a
// 500 and a record, the others go on.
func (s *shard) survive(now time.Time) {
	bug := recover()
	if bug == nil {
		return
	}
	s.count.panics++
	s.log.Error("panic in a call", "panic", bug, "stack", string(debug.Stack()))
	c := s.current
	s.current = nil
	if c == nil {
		return
	}
	defer func() {
		if again := recover(); again != nil || c.finished { // ending it did not work either
			s.abandon(now, c)
		}
		s.current = nil
	}()
	if c.finished {
		return
	}
	c.next = c.next[:0]
	c.step(now, call.Event{Kind: call.Panicked})
}

// abandon ends a session that cannot be ended in order: it goes out of the table, gives back what it holds, and has its record. Each of these
// is tried by itself, for any of them may be what does not work.
func (s *shard) abandon(now time.Time, c *session) {
	if s.session(c.slot) != c {
		return
	}
	c.finished = true
	c.stopTimers()
	s.attempt(func() { // from whatever state
		c.machine.Step(now, call.Event{Kind: call.Panicked})
		c.machine.Step(now, call.Event{Kind: call.Panicked})
	})
	r := c.machine.Record()
	for _, give := range [...]func(){
		func() { c.leaveQueue() },
		func() { c.leaveJoints() },
		func() { c.dropTarget(0) },
		c.replacesNobody,
		c.dropBridge,
		c.giveTrunkBack, c.giveAgentBack,
		func() { c.keepRecord(&r) },
		func() { c.bookMinutes(&r) },
		func() { c.countEnd(&r) },
	} {
		s.attempt(give)
	}
	s.ended.add(c)
	s.release(c)
	s.edge.calls.Add(-1)
}

// attempt runs a part of what abandon does.
func (s *shard) attempt(part func()) {
	defer func() { recover() }()
	part()
}

// Send is the way out of every message: counted, traced, sent.
func (s *shard) Send(f transport.Flow, b []byte, ref uint64) error {
	if method, status, ok := wire.KindOf(b); ok && status == 0 {
		s.count.request(sent, method, f.Proto)
	} else if ok {
		s.count.response(sent, method, status, f.Proto)
	}
	if len(s.watched) > 0 && wire.Scan(b, &s.sending) {
		s.watch(s.port.Now(), true, &s.sending, f, b)
	}
	if s.trace.on() {
		if c := s.sender(b); c != nil {
			s.note(c, s.port.Now(), true, f, b)
		}
	}
	if isLoop(f) {
		s.sendToShard(f, b)
		return nil
	}
	return s.port.Send(f, b, ref)
}

// sender returns the call that a message being sent belongs to: the one being stepped, or else, as for a repetition, the one whose
// tag it carries.
func (s *shard) sender(b []byte) *session {
	if s.current == nil && wire.Scan(b, &s.sending) {
		return s.traced(&s.sending)
	}
	return s.current
}

// post hands work to the shard's goroutine. It may be called from anywhere and
// never blocks.
func (s *shard) post(f func(now time.Time)) {
	s.mu.Lock()
	s.posted = append(s.posted, f)
	s.mu.Unlock()
	s.port.Wake()
}

// do posts f and waits until it ran or ctx ended.
func (s *shard) do(ctx context.Context, f func(now time.Time)) error {
	done := make(chan struct{})
	s.post(func(now time.Time) { defer close(done); f(now) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// work runs what was posted.
func (s *shard) work(now time.Time) {
	s.mu.Lock()
	jobs := s.posted
	s.posted = nil
	s.mu.Unlock()
	for _, job := range jobs {
		s.run1(now, job)
	}
}

func (s *shard) run1(now time.Time, job func(time.Time)) {
	defer s.survive(now)
	job(now)
}

// claim gives a session a slot; false when the table is full. The last slot is
// never given: tags without a call carry its number.
func (s *shard) claim(c *session) bool {
	if len(s.free) > slotRest || (len(s.sessions) == maxSlots-1 && len(s.free) > 0) {
		c.slot = s.free[0]
		s.free = s.free[1:]
		s.sessions[c.slot] = c
	} else {
		if len(s.sessions) == maxSlots-1 {
			return false
		}
		c.slot = uint32(len(s.sessions))
		s.sessions = append(s.sessions, c)
	}
	s.generation++
	c.generation = s.generation
	s.live++
	return true
}

// slotRest keeps a few slots unused, so that a late message for a call that
// ended seldom meets another call. It could not be mistaken for it: the whole
// tag is compared.
const slotRest = 64

func (s *shard) release(c *session) {
	s.sessions[c.slot] = nil
	s.free = append(s.free, c.slot)
	s.live--
}

func (s *shard) session(slot uint32) *session {
	if int(slot) >= len(s.sessions) {
		return nil
	}
	return s.sessions[slot]
}

// sentBy returns host and port for the Via of messages on this flow.
func (s *shard) sentBy(f transport.Flow) string { return s.edge.listeners[f.Socket].SentBy }

// contact returns our Contact value on this flow.
func (s *shard) contact(f transport.Flow) []byte { return s.edge.contact(f) }
