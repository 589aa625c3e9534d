package call

import (
	"fmt"
	"time"
)

// monitor watches one call from outside and knows what must hold whatever happens. It sees each event with
// the actions that answered it and keeps a list of what was broken.
type monitor struct {
	broken []string

	last            []Action // of the Step before
	finals          int      // to the caller's INVITE
	confirmed       time.Time
	callerMayGetBye bool
	callerBye       bool
	open            map[uint8]bool // attempts
	cancelled       map[uint8]bool
	answered        map[uint8]bool // forks that sent a 2xx
	ackedForks      map[uint8]bool
	byedForks       map[uint8]bool
	asked           map[uint8]Side    // re-INVITEs passed on, by Ref: who waits for a final response
	sent            map[uint8]Side    // re-INVITEs of ours without a final response
	accepted        map[[2]uint8]bool // {side, ref} with a 2xx: true once ACKed
	relayed         [3]int            // requests of a side that wait for their answer
	closed          int
	finished        int
	target          bool // of a transfer is being called
	referrer        Side
	kept            []Action          // responses to the caller that wait for a PRACK
	confirming      bool              // a reliable one was sent and not confirmed
	owed            map[uint8]int     // reliable provisionals of a fork that got no PRACK yet
	chosen          uint8             // the fork whose 2xx crossed
	byed            map[[2]uint8]bool // {side, fork} that got a BYE
	byes            map[[2]uint8]bool // of these, without an answer
}

func newMonitor() *monitor {
	return &monitor{open: map[uint8]bool{}, cancelled: map[uint8]bool{}, answered: map[uint8]bool{}, ackedForks: map[uint8]bool{},
		byedForks: map[uint8]bool{}, asked: map[uint8]Side{}, sent: map[uint8]Side{}, accepted: map[[2]uint8]bool{},
		owed: map[uint8]int{}, byed: map[[2]uint8]bool{}, byes: map[[2]uint8]bool{}}
}

func (m *monitor) fail(format string, args ...any) {
	m.broken = append(m.broken, fmt.Sprintf(format, args...))
}

// see takes one step.
func (m *monitor) see(c *Call, now time.Time, before State, ev Event, actions []Action) {
	if m.finished > 0 {
		if len(actions) > 0 {
			m.fail("actions after Finish: %v", actions)
		}
		return
	}
	m.event(now, before, ev)
	if ev.Kind == CalleeAnswered && before != Idle {
		m.copyAcked(ev, actions)
	}
	bodies := 0
	responses := 0
	for i, a := range actions {
		if a.Body == BodyAtHand || a.Kind == InviteCallee || a.Kind == RespondCaller && a.Body != BodyNone {
			bodies++
		}
		switch a.Kind {
		case Respond, Relay, Play:
			responses++
		case Reinvite:
			if ev.Kind == Requested {
				responses++
			}
		case Finish:
			if i != len(actions)-1 {
				m.fail("Finish is not the last action: %v", actions)
			}
		}
		m.action(now, ev, a)
	}
	if bodies > 1 {
		m.fail("%d actions with a body in one step: %v", bodies, actions)
	}
	if ev.Kind == Requested && (ev.Side == Caller || ev.Side == Callee) && responses != 1 {
		m.fail("%v was answered or passed on %d times: %v", ev, responses, actions)
	}
	if s := c.State(); s != Idle && s != Ended && c.NextDeadline().IsZero() {
		m.fail("%v waits without a deadline", s)
	}
	if c.State() == Ended && m.finished != 1 {
		m.fail("ended without Finish")
	}
	m.last = append(m.last[:0], actions...)
}

// copyAcked checks that each 2xx is ACKed, copies too, except while the ACK waits for the caller's (INV-08).
func (m *monitor) copyAcked(ev Event, actions []Action) {
	for _, a := range actions {
		if a.Kind == AckCallee && a.Fork == ev.Fork || a.Kind == RespondCaller && a.Code == 200 {
			return
		}
	}
	if m.ackedForks[ev.Fork] || ev.Fork != m.chosen {
		m.fail("%v was not ACKed: %v", ev, actions)
	}
}

func (m *monitor) event(now time.Time, before State, ev Event) {
	switch ev.Kind {
	case TargetProgress:
		m.target = m.target && ev.Code < 300
	case Joined:
		m.target = m.target && (before != Connected || ev.Side != m.referrer)
	case CalleeProvisional:
		if ev.Reliable {
			m.owed[ev.Fork]++
		}
	case CalleeAnswered:
		if before != Idle {
			m.open[ev.Attempt] = false
			m.answered[ev.Fork] = true
		}
	case CalleeRejected:
		m.open[ev.Attempt] = false
	case CalleeFailed:
		if ev.Cause == CauseRingTimeout {
			m.cancelled[ev.Attempt] = m.cancelled[ev.Attempt] || m.open[ev.Attempt] // by the layer
		} else {
			m.open[ev.Attempt] = false
		}
	case CallerAcked, AckTimeout:
		if m.finals > 0 && (ev.Kind == CallerAcked || ev.Ref == 0 && ev.Side == Caller) {
			m.callerMayGetBye = true
		}
	case Tick:
		if !m.confirmed.IsZero() && now.Sub(m.confirmed) >= 32*time.Second {
			m.callerMayGetBye = true
		}
	case Requested:
		if ev.Method == PRACK && ev.Side == Caller {
			m.confirming = false
		}
		if ev.Method == BYE && ev.Side == Caller {
			m.callerBye = true
		}
		if ev.Method == BYE && ev.Side == Callee {
			m.byedForks[ev.Fork] = true
		}
	case RequestAnswered, RequestFailed:
		if ev.Method == BYE && (ev.Kind == RequestFailed || ev.Code >= 200) {
			delete(m.byes, [2]uint8{uint8(ev.Side), forkOf(ev.Side, ev.Fork)})
		}
		if ev.Method == INVITE {
			if ev.Side == m.sent[ev.Ref] {
				delete(m.sent, ev.Ref)
			}
			if ev.Kind == RequestAnswered && ev.Code >= 200 && ev.Code < 300 && before != Idle && (ev.Side == Caller || ev.Side == Callee) {
				k := [2]uint8{uint8(ev.Side), ev.Ref}
				if _, known := m.accepted[k]; !known { // awaited from here on
					m.accepted[k] = false
				}
			}
		}
	case MediaFailed:
		m.undo()
	}
}

// undo takes back the action of the last step that media could not serve.
func (m *monitor) undo() {
	for _, a := range m.last {
		switch {
		case a.Kind == InviteCallee:
			m.open[a.Attempt] = false
		case a.Kind == RespondCaller && a.Later && a.Body != BodyNone:
			m.kept = m.kept[:len(m.kept)-1]
		case a.Kind == RespondCaller && a.Reliable && a.Body != BodyNone:
			m.confirming = false
		case a.Kind == RespondCaller && a.Body != BodyNone && a.Code >= 200:
			m.finals--
			m.confirmed = time.Time{}
		case a.Body != BodyAtHand:
		case a.Kind == Prack:
			m.owed[a.Fork]++
		case a.Kind == AckCallee:
			delete(m.ackedForks, a.Fork)
		case a.Kind == Reinvite:
			delete(m.sent, a.Ref)
			if _, asked := m.asked[a.Ref]; !asked { // it stands for an UPDATE, which is answered by Respond
				m.relayed[a.Side.Other()]--
			}
		case a.Kind == RespondReinvite:
			m.asked[a.Ref] = a.Side
		case a.Kind == AckReinvite:
			m.accepted[[2]uint8{uint8(a.Side), a.Ref}] = false
		case a.Kind == Relay: // the request is answered by Respond
			m.relayed[a.Side.Other()]--
		case a.Kind == RelayResponse:
			m.relayed[a.Side]++
		}
	}
	m.last = m.last[:0]
}

func (m *monitor) action(now time.Time, ev Event, a Action) {
	switch a.Kind {
	case RespondKept:
		if len(m.kept) == 0 {
			m.fail("%v: nothing is kept", a)
			return
		}
		a, m.kept = m.kept[0], m.kept[1:]
		a.Later = false
		m.action(now, ev, a)
	case RespondCaller:
		if m.finals > 0 {
			m.fail("%v after a final response", a)
		}
		if a.Later {
			if !m.confirming {
				m.fail("%v waits for nothing", a)
			}
			m.kept = append(m.kept, a)
			if a.Code >= 200 {
				m.chosen = a.Fork
			}
			return
		}
		if a.Reliable {
			if m.confirming {
				m.fail("%v before the PRACK of the last (PRK-02)", a)
			}
			m.confirming = true
		}
		if a.Code >= 200 {
			m.kept = nil
			m.finals++
			if a.Code < 300 {
				m.confirmed, m.chosen = now, a.Fork
			}
		}
		if ev.Kind == CalleeRejected && (a.Code == 401 || a.Code == 407) {
			m.fail("the caller was challenged: %v", a)
		}
	case InviteCallee:
		if m.finals > 0 {
			m.fail("%v although the caller has its final response", a)
		}
		m.open[a.Attempt] = true
	case CancelCallee:
		if !m.open[a.Attempt] || m.cancelled[a.Attempt] {
			m.fail("%v: nothing to cancel", a)
		}
		m.cancelled[a.Attempt] = true
	case AckCallee:
		if !m.answered[a.Fork] {
			m.fail("%v without a 2xx", a)
		}
		m.ackedForks[a.Fork] = true
	case Bye:
		k := [2]uint8{uint8(a.Side), forkOf(a.Side, a.Fork)}
		if m.byed[k] && a.Fork < maxForks {
			m.fail("%v for the second time", a)
		}
		m.byed[k] = true
		if a.Fork < maxForks {
			m.byes[k] = true
		}
		if a.Side == Callee {
			if m.answered[a.Fork] && !m.ackedForks[a.Fork] {
				m.fail("%v before its ACK", a)
			}
			m.byedForks[a.Fork] = true
			return
		}
		if m.confirmed.IsZero() {
			m.fail("BYE to a caller without a dialog")
		}
		if !m.callerMayGetBye && now.Sub(m.confirmed) < 32*time.Second && ev.Kind != Panicked {
			m.fail("BYE to the caller before its ACK or its time (BYE-03)")
		}
		m.callerBye = true
	case Prack:
		if m.owed[a.Fork]--; m.owed[a.Fork] < 0 {
			m.fail("%v without a reliable provisional", a)
		}
	case Transfer:
		if m.target {
			m.fail("%v while another target is called", a)
		}
		m.target, m.referrer = true, a.Side
	case Notify:
		if a.Code >= 200 {
			m.target = false
		}
	case DropTarget:
		if !m.target {
			m.fail("%v: there is none", a)
		}
		m.target = false
	case Relay:
		m.relayed[a.Side.Other()]++
	case RelayResponse:
		if m.relayed[a.Side]--; m.relayed[a.Side] < 0 {
			m.fail("%v answers nothing", a)
		}
	case Reinvite:
		for _, s := range m.sent {
			if s == a.Side {
				m.fail("%v while another re-INVITE is open", a)
			}
		}
		m.sent[a.Ref] = a.Side
		delete(m.accepted, [2]uint8{uint8(a.Side), a.Ref}) // numbers wrap
		switch {
		case ev.Kind == Requested && ev.Method == UPDATE:
			m.relayed[ev.Side]++
		case ev.Kind == Requested:
			m.asked[a.Ref] = ev.Side
		}
	case RespondReinvite:
		if m.asked[a.Ref] != a.Side {
			m.fail("%v answers nothing", a)
		}
		delete(m.asked, a.Ref)
	case AckReinvite:
		m.accepted[[2]uint8{uint8(a.Side), a.Ref}] = true
	case CloseMedia:
		m.closed++
	case Finish:
		m.finished++
		m.end()
		if ev.Kind != Tick && ev.Kind != Panicked {
			m.quiet()
		}
	}
}

// end says what must be true of every finished call.
func (m *monitor) end() {
	if m.finals != 1 {
		m.fail("the caller got %d final responses", m.finals)
	}
	if m.closed != 1 {
		m.fail("media was closed %d times", m.closed)
	}
	for f := range m.answered {
		if !m.ackedForks[f] {
			m.fail("the 2xx of fork %d was never ACKed", f)
		}
		if !m.byedForks[f] {
			m.fail("the dialog of fork %d got no BYE", f)
		}
	}
	if !m.confirmed.IsZero() && !m.callerBye {
		m.fail("the caller's dialog got no BYE")
	}
	for attempt, open := range m.open {
		if open && !m.cancelled[attempt] {
			m.fail("attempt %d was neither cancelled nor answered", attempt)
		}
	}
	for ref, s := range m.asked {
		m.fail("re-INVITE %d of the %v was never answered", ref, s)
	}
	for k, acked := range m.accepted {
		if !acked {
			m.fail("the 2xx of the %v to re-INVITE %d was never ACKed", Side(k[0]), k[1])
		}
	}
}

// quiet says what must be true of a call that finished before its time: nothing is awaited any more.
func (m *monitor) quiet() {
	for k := range m.byes {
		m.fail("finished before the %v (fork %d) answered our BYE", Side(k[0]), k[1])
	}
	for attempt, open := range m.open {
		if open {
			m.fail("finished before attempt %d got its final response", attempt)
		}
	}
	if len(m.sent) > 0 {
		m.fail("finished before re-INVITEs %v got their final response", m.sent)
	}
	if m.relayed != [3]int{} {
		m.fail("finished before relayed requests were answered")
	}
}

// forkOf tells the dialogs of the callee apart; the caller has one.
func forkOf(s Side, fork uint8) uint8 {
	if s == Caller {
		return 0
	}
	return fork
}

// check looks at the record of a finished call.
func (m *monitor) check(r Record) {
	switch {
	case m.finished != 1:
		m.fail("%d times Finish", m.finished)
	case r.Outcome == NoOutcome, r.EndedBy == Nobody, r.Cause == CauseNone, r.Code < 200, r.Start.IsZero(), r.End.IsZero():
		m.fail("the record is not complete: %+v", r)
	case r.End.Before(r.Start), !r.Answer.IsZero() && r.Answer.Before(r.Start), !r.Answer.IsZero() && r.End.Before(r.Answer),
		!r.Ringing.IsZero() && r.Ringing.Before(r.Start):
		m.fail("the record's times are out of order: %+v", r)
	case (r.Code < 300) != !r.Answer.IsZero():
		m.fail("answered and answer time disagree: %+v", r)
	}
}
