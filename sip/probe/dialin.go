package probe

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"trunkline/sip"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// dialIn is the armed dial-in: a number is called, and the call is seen to come in.
type dialIn struct {
	x       *exchange
	unarm   func()
	arrived *sip.Arrival
	passed  *sip.Arrival // a call to the number by somebody else
}

// arrivalWait is how long the dial-in may still come in after the carrier has ended
// its other side, and that side may last after the arrival.
const arrivalWait = time.Second

// sendDialIn dials the number out and waits for the INVITE, which the edge answers
// 486: nothing rings, nothing is charged. A call that comes in with another caller
// may be somebody's: it goes its way, and ours is given up at once.
func (j *job) sendDialIn(now time.Time) {
	j.begin(now, Inbound, "dial-in")
	x := j.exchange(j.out, wire.INVITE, j.r.Timeout)
	j.aim(x, j.r.Number)
	x.ring, x.patient = j.p.options.RingLimit, true
	d := &dialIn{x: x}
	j.dial = d
	ready := func() {
		end, ok := j.p.options.Engine.Expect(&sip.Expected{
			Called: j.r.Number, Caller: j.r.From,
			Took:   func(_ time.Time, a sip.Arrival) { j.desk.Post(func(now time.Time) { j.arrived(now, a) }) },
			Passed: func(_ time.Time, a sip.Arrival) { j.desk.Post(func(now time.Time) { j.passedBy(now, a) }) },
		})
		if ok {
			d.unarm = end
		}
	}
	j.call(now, x, numbersIn(j.r.Number, j.r.From), ready, func(now time.Time, o outcome) {
		if d.arrived != nil || d.passed != nil || o.err != nil && !errors.Is(o.err, errNoEnd) {
			j.dialled(now, o)
			return
		}
		j.pass.Ring = func(now time.Time) { j.dialled(now, o) } // it may be on its way from another shard
		j.desk.Set(&j.pass, now.Add(arrivalWait))
	})
}

func (j *job) arrived(now time.Time, a sip.Arrival) {
	d := j.dial
	if j.over || d.arrived != nil || j.step.Name != "dial-in" {
		return
	}
	d.arrived = &a
	if j.r.Messages {
		j.note(sip.Traced{At: now, Flow: a.Flow, Bytes: a.Invite})
		j.note(sip.Traced{At: now, Sent: true, Flow: a.Flow, Bytes: a.Response})
	}
	j.report.Facts.Inbound = inboundCall(a)
	if d.x.over {
		return // its end waits for us
	}
	j.pass.Ring = func(now time.Time) { d.x.giveUp(now) }
	j.desk.Set(&j.pass, now.Add(arrivalWait))
}

func (j *job) passedBy(now time.Time, a sip.Arrival) {
	d := j.dial
	if j.over || d.arrived != nil || d.passed != nil || j.step.Name != "dial-in" {
		return
	}
	d.passed = &a
	d.x.giveUp(now)
}

// dialled ends the stage: what the call out tells, then what came in.
func (j *job) dialled(now time.Time, o outcome) {
	d := j.dial
	j.desk.Stop(&j.pass)
	if d.unarm != nil {
		d.unarm()
	}
	if j.r.To == "" && j.r.wants(Outbound) {
		out := Step{Check: Outbound, Name: "INVITE", At: j.step.At, Duration: Duration(now.Sub(j.step.At)), Status: o.code}
		found := judgeCall(o, j.judgement(j.out))
		if d.arrived != nil {
			found = passes("the carrier takes the call up, and it came in")
		}
		found.into(&out)
		out.proven = o.answered && o.challenge == nil && j.out == j.home
		j.found(out)
	}
	j.finish(now, j.judgeDialIn(o))
}

func (j *job) judgeDialIn(o outcome) finding {
	d := j.dial
	switch {
	case d.arrived == nil && j.stopped:
		return leavesOpen(Interrupted, "%v", errInterrupted)
	case d.arrived != nil:
		return judgeArrival(d.arrived, j.home.way.trunk, j.p.options.Engine.Trunks())
	case d.unarm == nil && o.err == nil:
		return leavesOpen(InUse, "another test waits for a call to the number")
	case d.passed != nil:
		return leavesOpen(CallerChanged, "a call to the number came in by %s while ours was under way, but its caller is %q and not %s; it was left alone",
			d.passed.Flow.Remote, d.passed.Caller, j.r.From)
	}
	return judgeAbsence(o, j.judgement(j.out))
}

// judgeArrival: the call came; did it come as it should?
func judgeArrival(a *sip.Arrival, t *trunks.Trunk, s *trunks.Snapshot) finding {
	from := fmt.Sprintf("%s over %s", a.Flow.Remote, strings.ToLower(a.Flow.Proto.String()))
	inForce := s.Trunk(t.Name)
	switch {
	case a.Trunk != nil && inForce != nil && a.Trunk.SharesSource(inForce):
		return passes("the call came in from %s, to %q, from %q; it was answered 486, so nothing is charged", from, a.Called, a.Caller)
	case a.Trunk != nil && inForce == nil && t.CallsFrom(a.Flow.Proto.String(), a.Flow.Remote): // a second set of credentials at one carrier, or new ones
		return passes("the call came in from %s, to %q, from %q; it was answered 486, so nothing is charged", from, a.Called, a.Caller)
	case a.Trunk != nil:
		return fails(WrongTrunk, "the call came in by trunk %s, from %s", a.Trunk.Name, from)
	case inForce == nil:
		f := passes("the call came in from %s, to %q, from %q; it was answered 486, so nothing is charged", from, a.Called, a.Caller)
		f.message += "; list " + a.Flow.Remote.Addr().String() + " in source_addresses"
		return f
	}
	f := fails(UnlistedSource, "the call came in from %s, which no trunk lists: calls from there are refused", from)
	f.fix = "add " + a.Flow.Remote.Addr().String() + " to source_addresses of trunk " + t.Name
	return f
}

// judgeAbsence: the call did not come. What does the other side of it tell?
func judgeAbsence(o outcome, v judgement) finding {
	elsewhere := func(how string) finding {
		return fails(RoutedElsewhere, "the number %s (%d %s), and the call did not come in here", how, o.code, o.reason)
	}
	switch {
	case errors.Is(o.err, errNoEnd) && o.rang:
		return fails(RoutedElsewhere, "the number rings somewhere else: the call did not come in here")
	case errors.Is(o.err, errNoEnd):
		return fails(DidNotArrive, "the carrier has the call (100 Trying) but did not send it here in time")
	case o.err != nil:
	case o.code < 300:
		f := elsewhere("is answered by somebody else")
		f.message += "; it was ended with a BYE at once, and may be charged"
		return f
	case o.code == 487 && o.rang:
		return fails(RoutedElsewhere, "the number rings somewhere else: the call did not come in here")
	case o.code == 487:
		return fails(DidNotArrive, "the carrier took the call up but did not send it here in time")
	case o.known && Cause(o.meaning.Cause) == NotRegistered:
		return told(o)
	case o.known:
	case o.code == 486, o.code == 600:
		return elsewhere("is busy somewhere else")
	case o.code == 603 && o.rang:
		return elsewhere("is declined by somebody else")
	case o.code == 480, o.code == 404, o.code == 410, o.code == 604, o.code == 484:
		return fails(DidNotArrive, "the carrier cannot deliver calls to the number: %d %s", o.code, o.reason)
	}
	f := judgeCall(o, v)
	if f.code != "" && !f.code.unreachable() && !f.code.locks() {
		f.verdict = Inconclusive
	}
	f.message = "the number could not be dialled, so nothing could come in: " + f.message
	return f
}

// inboundCall is what is reported of an arrival.
func inboundCall(a sip.Arrival) *InboundCall {
	c := &InboundCall{Source: a.Flow.Remote.String(), Transport: strings.ToLower(a.Flow.Proto.String()), Called: a.Called, Caller: a.Caller, Format: formatOf(a.Called)}
	if a.Trunk != nil {
		c.Trunk = a.Trunk.Name
	}
	m := new(wire.Message)
	if m.Parse(a.Invite) == nil {
		for i := range m.Headers {
			c.Headers = append(c.Headers, string(m.Headers[i].Name))
		}
	}
	return c
}

// formatOf tells how a number is written, in the words of number_format.
func formatOf(user string) string {
	digits := strings.TrimPrefix(strings.ToLower(user), "%2b")
	switch {
	case strings.HasPrefix(user, "+"), digits != strings.ToLower(user):
		return "e164"
	case len(digits) > 10 && !strings.HasPrefix(digits, "0"):
		return "digits"
	}
	return "national"
}
