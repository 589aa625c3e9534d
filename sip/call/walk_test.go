package call

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// chance is where a walk gets its decisions from: a seeded generator, or the bytes of a fuzz input.
type chance interface {
	pick(n int) int // in [0, n)
	over() bool     // no decisions left
}

type seeded struct {
	*rand.Rand
	left int
}

func (s *seeded) pick(n int) int { s.left--; return s.IntN(n) }
func (s *seeded) over() bool     { return s.left <= 0 }

type bytesChance struct{ b []byte }

func (s *bytesChance) pick(n int) int {
	if len(s.b) == 0 {
		return 0
	}
	x := int(s.b[0])
	s.b = s.b[1:]
	return x % n
}
func (s *bytesChance) over() bool { return len(s.b) == 0 }

// world is a small model of what surrounds one call. It answers actions as peers and transactions would,
// and, the wilder it is, loses, repeats and reorders what it answers or makes events up.
type world struct {
	chance
	call    *Call
	monitor *monitor
	now     time.Time
	started time.Time
	pending []Event // what may happen next, in any order
	log     []string
	steps   int
	wild    bool // events may also be senseless
	media   bool // negotiation may fail
	fork    uint8
}

var walkOptions = []Options{
	{},
	{Silence: 3 * time.Second, Pass: Methods(INFO, MESSAGE, UPDATE, REFER)},
	{Redirect: RedirectFollow, MaxRedirects: 2, Failover: FailoverOn(true, 486, 503)},
	{Redirect: RedirectRelay, MaxDuration: time.Minute, ReinviteTimeout: 10 * time.Second, Pass: Methods(UPDATE)},
	{RingTimeout: 20 * time.Second, Failover: FailoverOn(false)},
}

// walk lets one call live and die, and reports what was broken.
func walk(ch chance) (*world, error) {
	o := &walkOptions[ch.pick(len(walkOptions))]
	w := &world{chance: ch, call: New(o, uint32(ch.pick(256))), monitor: newMonitor(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.started = w.now
	w.wild = ch.pick(3) == 0
	w.media = ch.pick(4) == 0
	start := Event{Kind: Start, SDP: SDPGood, Targets: uint8(ch.pick(4))}
	if ch.pick(4) == 0 {
		start.SDP = SDPNone
	}
	start.Reliable = ch.pick(3) != 0
	start.Required = start.Reliable && ch.pick(3) == 0
	if ch.pick(6) == 0 {
		start.After = 15 * time.Second
	}
	for !w.over() && w.pick(8) == 0 { // before the INVITE
		w.step(w.anything())
	}
	w.step(start)
	for range 400 {
		if ch.over() || w.call.State() == Ended {
			break
		}
		w.happen()
	}
	// The world falls silent: only time passes now.
	silence := w.now
	for range 200 {
		if w.call.State() == Ended {
			break
		}
		w.now = w.call.NextDeadline()
		w.step(Event{Kind: Tick})
	}
	if w.call.State() != Ended {
		w.monitor.fail("still %v after 200 ticks", w.call.State())
	} else if took := w.now.Sub(silence); took > 12*time.Hour+5*time.Minute {
		w.monitor.fail("took %v to end in silence", took)
	}
	for range 4 { // nothing may follow
		w.step(w.anything())
	}
	w.monitor.check(w.call.Record())
	if len(w.monitor.broken) > 0 {
		return w, fmt.Errorf("%s", strings.Join(w.monitor.broken, "\n"))
	}
	return w, nil
}

// step gives the call one event and lets the world react to its actions.
func (w *world) step(ev Event) {
	w.steps++
	before := w.call.State()
	actions := w.call.Step(w.now, ev)
	w.log = append(w.log, fmt.Sprintf("%8v %v", w.now.Sub(w.started), ev))
	for _, a := range actions {
		w.log = append(w.log, "             "+a.String())
	}
	w.monitor.see(w.call, w.now, before, ev, actions)
	failed := false
	for _, a := range actions {
		body := a.Body == BodyAtHand || a.Kind == InviteCallee || a.Kind == RespondCaller && a.Body == BodyLast
		if body && w.media && w.pick(3) == 0 {
			failed = true
			continue
		}
		w.react(a)
	}
	if failed {
		w.step(Event{Kind: MediaFailed, Code: []uint16{0, 488, 400, 503}[w.pick(4)]})
	}
}

// happen lets the next thing happen: mostly what is pending, in any order.
func (w *world) happen() {
	switch n := w.pick(16); {
	case n < 9 && len(w.pending) > 0:
		i := 0
		if w.pick(4) == 0 {
			i = w.pick(len(w.pending))
		}
		ev := w.pending[i]
		switch w.pick(12) {
		case 0: // lost
			w.pending = append(w.pending[:i], w.pending[i+1:]...)
			return
		case 1: // repeated
		default:
			w.pending = append(w.pending[:i], w.pending[i+1:]...)
		}
		w.now = w.now.Add(time.Duration(w.pick(200)) * time.Millisecond)
		w.step(ev)
	case n < 12:
		w.step(w.party())
	case n < 13:
		w.now = w.now.Add(time.Duration(w.pick(100)) * 100 * time.Millisecond)
		w.step(Event{Kind: Tick})
	case n < 14:
		if d := w.call.NextDeadline(); d.After(w.now) && d.Sub(w.now) < time.Hour {
			w.now = d
		}
		w.step(Event{Kind: Tick})
	default:
		if w.wild {
			w.step(w.anything())
		}
	}
}

// party is something one of the parties, or the operator, does by itself.
func (w *world) party() Event {
	side := Caller + Side(w.pick(2))
	fork := w.call.chosen
	if fork == noFork || w.pick(10) == 0 {
		fork = uint8(w.pick(4))
	}
	if side == Caller {
		fork = 0
	}
	sdp := SDP(w.pick(3))
	switch w.pick(32) {
	case 28, 29:
		return Event{Kind: Referred, Side: side, Fork: fork, Code: []uint16{0, 0, 0, 403}[w.pick(4)]}
	case 30:
		return Event{Kind: TargetProgress, Code: []uint16{180, 183, 486, 503}[w.pick(4)]}
	case 31:
		return Event{Kind: Joined, Side: side, Fork: fork}
	case 26, 27:
		ours := w.pick(2) == 0
		method := INVITE
		if w.pick(2) == 0 {
			method = UPDATE
		}
		return Event{Kind: SessionAgreed, Side: side, Fork: fork, Method: method, Ours: ours, After: time.Duration(w.pick(3)) * 90 * time.Second}
	case 24:
		return Event{Kind: PrackTimeout}
	case 25:
		return Event{Kind: Requested, Side: side, Method: PRACK, SDP: sdp, Fork: fork}
	case 0:
		return Event{Kind: CallerCancelled, Reason: Reason{SIP: 200}}
	case 1, 2:
		return Event{Kind: Requested, Side: side, Method: BYE, Fork: fork, Reason: Reason{Q850: 16}}
	case 3:
		return Event{Kind: HangUp, Cause: []Cause{CauseDrain, CauseAPI, CauseMediaTimeout, CauseSession}[w.pick(4)]}
	case 4:
		return Event{Kind: Refresh, Side: side}
	case 5:
		return Event{Kind: AckTimeout, Side: Caller}
	case 6, 7, 8:
		return Event{Kind: Requested, Side: side, Method: UPDATE, SDP: sdp, Fork: fork, NoUpdate: w.pick(2) == 0}
	case 9, 10, 11:
		return Event{Kind: Requested, Side: side, Method: Method(w.pick(len(methodNames))), SDP: sdp, Fork: fork, Pass: w.pick(4) == 0, Digit: w.pick(2) == 0}
	case 12:
		return Event{Kind: ReinviteCancelled, Side: side, Ref: w.call.exchange.ref}
	case 13:
		if w.pick(8) == 0 {
			return Event{Kind: Panicked}
		}
	}
	return Event{Kind: Requested, Side: side, Method: INVITE, SDP: sdp, Fork: fork}
}

// anything is an event with arbitrary fields.
func (w *world) anything() Event {
	return Event{
		Kind: EventKind(w.pick(len(eventNames) + 1)), Side: Side(w.pick(5)), Method: Method(w.pick(len(methodNames) + 1)), SDP: SDP(w.pick(4)),
		Attempt: uint8(w.pick(6)), Fork: uint8(w.pick(40)), Ref: uint8(w.pick(6)), Cause: Cause(1 + w.pick(len(causeNames)-1)), Targets: uint8(w.pick(4)),
		NoContact: w.pick(8) == 0, Reliable: w.pick(2) == 0, Required: w.pick(3) == 0, Code: []uint16{100, 180, 183, 200, 202, 302, 401, 404, 408, 481, 486, 491, 500, 503, 603, 699}[w.pick(16)],
		After: time.Duration(w.pick(40)) * time.Second,
	}
}

// later makes events pending.
func (w *world) later(list ...Event) { w.pending = append(w.pending, list...) }

// react does what the peer of an action would: not always what it should.
func (w *world) react(a Action) {
	final := []uint16{200, 200, 200, 481, 408, 488, 491, 500, 302}
	switch a.Kind {
	case InviteCallee:
		w.inviteAnswered(a.Attempt)
	case CancelCallee:
		w.later(Event{Kind: CalleeRejected, Attempt: a.Attempt, Code: 487})
	case RespondKept:
		w.later(Event{Kind: Requested, Side: Caller, Method: PRACK, SDP: SDP(w.pick(3))}, Event{Kind: CallerAcked, SDP: SDP(w.pick(3))})
	case Prack:
		w.later(Event{Kind: RequestAnswered, Side: Callee, Method: PRACK, Fork: a.Fork, Code: final[w.pick(len(final))]})
	case RespondCaller:
		if a.Reliable && !a.Later {
			w.later(Event{Kind: Requested, Side: Caller, Method: PRACK, SDP: SDP(w.pick(3))})
		}
		if a.Code >= 200 && a.Code < 300 {
			sdp := SDPNone
			if w.call.late && w.pick(5) != 0 {
				sdp = SDPGood
			}
			w.later(Event{Kind: CallerAcked, SDP: sdp})
		}
	case Bye:
		w.later(Event{Kind: RequestAnswered, Side: a.Side, Method: BYE, Fork: a.Fork, Code: []uint16{200, 200, 481, 500}[w.pick(4)]})
	case Update:
		if w.pick(5) == 0 {
			w.later(Event{Kind: RequestFailed, Side: a.Side, Method: UPDATE, Fork: a.Fork, Ref: a.Ref, Cause: CauseNoResponse})
			return
		}
		answer := Event{Kind: RequestAnswered, Side: a.Side, Method: UPDATE, Fork: a.Fork, Ref: a.Ref, Code: final[w.pick(len(final))]}
		w.later(answer)
		if answer.Code < 300 {
			w.later(Event{Kind: SessionAgreed, Side: a.Side, Fork: a.Fork, Method: UPDATE, Ours: true, After: 90 * time.Second})
		}
	case Transfer:
		w.later(Event{Kind: TargetProgress, Code: 180})
		switch w.pick(3) {
		case 0:
			w.later(Event{Kind: TargetProgress, Code: 486})
		case 1: // answered: its description comes as a re-INVITE
			w.later(Event{Kind: Requested, Side: a.Side, Method: INVITE, SDP: SDPGood, Fork: w.call.forkOf(a.Side)}, Event{Kind: Joined, Side: a.Side})
		}
	case Relay:
		if w.pick(5) == 0 {
			w.later(Event{Kind: RequestFailed, Side: a.Side, Method: a.Method, Cause: CauseNoResponse})
			return
		}
		w.later(Event{Kind: RequestAnswered, Side: a.Side, Method: a.Method, Code: final[w.pick(len(final))], SDP: SDP(w.pick(3))})
	case Reinvite:
		sdp := SDPGood
		if w.pick(8) == 0 {
			sdp = SDP(w.pick(3))
		}
		if w.pick(6) == 0 {
			w.later(Event{Kind: RequestFailed, Side: a.Side, Method: INVITE, Ref: a.Ref, Cause: CauseNoResponse})
			return
		}
		w.later(Event{Kind: RequestAnswered, Side: a.Side, Method: INVITE, Ref: a.Ref, Code: final[w.pick(len(final))], SDP: sdp})
	case CancelReinvite:
		w.later(Event{Kind: RequestAnswered, Side: a.Side, Method: INVITE, Ref: a.Ref, Code: 487})
	case RespondReinvite:
		if a.Code < 300 {
			ack := Event{Kind: ReinviteAcked, Side: a.Side, Ref: a.Ref, SDP: SDP(w.pick(3))}
			if w.pick(6) == 0 {
				ack = Event{Kind: AckTimeout, Side: a.Side, Ref: a.Ref}
			}
			w.later(ack)
		}
	}
}

// inviteAnswered is one of the ways a target may take an INVITE.
func (w *world) inviteAnswered(attempt uint8) {
	fork := w.fork
	w.fork++
	if w.wild && w.pick(10) == 0 {
		fork = 0
	}
	provisional := Event{Kind: CalleeProvisional, Attempt: attempt, Fork: fork, Code: []uint16{180, 181, 182, 183, 199, 150}[w.pick(6)], SDP: SDP(w.pick(3)), Reliable: w.pick(2) == 0}
	if w.pick(3) == 0 { // several in a row
		for range w.pick(10) {
			w.later(provisional)
		}
	}
	answer := Event{Kind: CalleeAnswered, Attempt: attempt, Fork: fork, Code: 200, SDP: SDPGood}
	if w.pick(2) == 0 {
		w.later(Event{Kind: CalleeProvisional, Attempt: attempt, Code: 100})
	}
	switch w.pick(12) {
	case 0: // dead
	case 1:
		w.later(Event{Kind: CalleeFailed, Attempt: attempt, Cause: []Cause{CauseNoResponse, CauseTransport, CauseThrottled, CauseUnresolved, CauseUnregistered, CauseGone}[w.pick(6)]})
	case 2:
		w.later(provisional, Event{Kind: CalleeFailed, Attempt: attempt, Cause: CauseRingTimeout}, Event{Kind: CalleeRejected, Attempt: attempt, Code: 487})
	case 3:
		w.later(provisional, Event{Kind: CalleeRejected, Attempt: attempt, Code: []uint16{401, 404, 480, 486, 487, 500, 503, 603}[w.pick(8)]})
	case 4:
		w.later(Event{Kind: CalleeRejected, Attempt: attempt, Code: 302, Targets: uint8(w.pick(3))})
	case 5: // a proxy forked: two phones, two answers
		other := answer
		other.Fork = w.fork
		ring := provisional
		ring.Fork = w.fork
		w.fork++
		w.later(provisional, ring, answer, other, answer)
	case 6:
		answer.SDP = SDP(w.pick(3))
		answer.NoContact = w.pick(2) == 0
		w.later(provisional, answer)
	default:
		w.later(provisional, answer)
	}
}

// TestRandomWalk proves over a few hundred thousand steps what monitor knows: no call wedges, leaks, or
// ends without exactly one record.
func TestRandomWalk(t *testing.T) {
	steps, outcomes := 0, map[Outcome]int{}
	states := map[State]int{}
	for seed := uint64(1); steps < 300_000; seed++ {
		w, err := walk(&seeded{Rand: rand.New(rand.NewPCG(seed, 7)), left: 6000})
		steps += w.steps
		outcomes[w.call.Record().Outcome]++
		states[w.call.State()]++
		if err != nil {
			t.Fatalf("seed %d:\n%v\n%s", seed, err, strings.Join(w.log, "\n"))
		}
	}
	t.Logf("%d steps, outcomes %v", steps, outcomes)
	for o := Answered; o <= LocalError; o++ {
		if outcomes[o] == 0 {
			t.Errorf("no walk ended as %v: the world is too tame", o)
		}
	}
}

func FuzzCall(f *testing.F) {
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, 64+64*seed)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		w, err := walk(&bytesChance{b})
		if err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(w.log, "\n"))
		}
	})
}
