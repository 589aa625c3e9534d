package probe

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"trunkline/sip"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Engine sends and receives for probes; *sip.Edge is one.
type Engine interface {
	Desk(key uint64) sip.Desk
	// Way returns where requests to a trunk's nth address leave and go, and our
	// Contact there; false when no listener or address suits.
	Way(t *trunks.Trunk, nth int) (transport.Flow, string, bool)
	// Peer is what is demanded of, and shown to, the server of a trunk that the
	// snapshot in force need not have. It reads the trunk's files.
	Peer(t *trunks.Trunk) (*transport.Peer, error)
	Expect(x *sip.Expected) (end func(), ok bool)
	Trunks() *trunks.Snapshot
}

var (
	errNoWay       = errors.New("the server has no address, or no listener suits it")
	errInterrupted = errors.New("the test was interrupted")
	errSilence     = errors.New("no answer")
	errNoEnd       = errors.New("the call was given up, and the carrier did not confirm that")
	errBare        = errors.New("the request was sent without credentials")
)

// way is how a trunk is reached.
type way struct {
	trunk *trunks.Trunk
	peer  *transport.Peer // of a trunk that is not in force
	nth   int             // of its addresses
}

func (w *way) next(e Engine) (transport.Flow, string, bool) {
	f, contact, ok := e.Way(w.trunk, w.nth)
	if w.peer != nil {
		f.Peer = w.peer
	}
	return f, contact, ok
}

// stage is one part of a probe.
type stage uint8

const (
	askOptions stage = iota
	askRegistrar
	bind
	callOut
	callIn
	restore
	stages
)

// job is one probe under way: what its requests hear drives it, so that it costs
// no goroutine. It belongs to its desk's shard, but for the fields set before it
// begins.
type job struct {
	p    *Prober
	desk sip.Desk
	r    Request
	home *side // the trunk under test
	out  *side // that the number is dialled out of
	done func(Report)
	sink func(Step)

	report  Report
	at      stage
	step    Step // under way
	x       *exchange
	all     []*exchange
	log     []sip.Traced // messages, redacted
	told    int          // of them that stand in a step
	own     *transaction.Timers
	dial    *dialIn
	pass    sip.Alarm // waits that belong to no exchange
	bound   *binding
	waiting func() // gives up what the stage waits for before it sends
	over    bool
	stopped bool
	cause   error
}

func newJob(p *Prober, r Request, home, out way) *job {
	j := &job{p: p, r: r, home: &side{way: home}, desk: p.options.Engine.Desk(rand.Uint64())}
	if j.out = j.home; out.trunk != home.trunk {
		j.out = &side{way: out}
	}
	t := home.trunk
	j.report = Report{Trunk: t.Name, Server: t.Server.String(), Transport: string(t.Transport), Started: time.Now().UTC()}
	for _, a := range t.Servers {
		j.report.Facts.Addresses = append(j.report.Facts.Addresses, a.String())
	}
	return j
}

// found adds a step that was done without the desk.
func (j *job) found(s Step) {
	j.report.Steps = append(j.report.Steps, s)
	if j.sink != nil {
		j.sink(s)
	}
}

// begin opens a step.
func (j *job) begin(now time.Time, c Check, name string) {
	j.step = Step{Check: c, Name: name, At: now.UTC()}
}

// finish closes the step under way and goes on.
func (j *job) finish(now time.Time, f finding) {
	j.close(now, f)
	j.at++
	j.proceed(now)
}

// close ends the step under way.
func (j *job) close(now time.Time, f finding) {
	f.into(&j.step)
	j.step.Duration = Duration(now.Sub(j.step.At))
	if j.x != nil {
		j.step.Status = j.x.o.code
	}
	j.step.Messages = slices.Clone(j.log[j.told:])
	j.told = len(j.log)
	j.found(j.step)
	j.x = nil
}

// proceed begins the next stage there is a reason for.
func (j *job) proceed(now time.Time) {
	for ; j.at < stages; j.at++ {
		if j.stopped && j.at != restore || !j.wants(j.at) {
			continue
		}
		switch j.at {
		case askOptions:
			j.sendOptions(now)
		case askRegistrar:
			j.sendQuery(now)
		case bind:
			j.sendBinding(now)
		case callOut:
			j.sendCall(now)
		case callIn:
			j.sendDialIn(now)
		case restore:
			j.sendRestore(now)
		}
		return
	}
	j.end(now)
}

// end reports.
func (j *job) end(now time.Time) {
	j.report.Duration = Duration(now.Sub(j.report.Started))
	j.over = true
	if j.r.Messages {
		for _, x := range j.all {
			if !x.live {
				j.desk.Watch(x.tag, nil)
			}
		}
		if n := len(j.report.Steps); n > 0 {
			last := &j.report.Steps[n-1]
			last.Messages = append(last.Messages, j.log[j.told:]...)
		}
	}
	j.report.Checks = checks(j.report.Steps, j.r, j.home.way.trunk)
	j.report.Verdict = verdict(j.report.Checks)
	j.done(j.report)
}

// note keeps a message for the ladder.
func (j *job) note(t sip.Traced) {
	if j.over {
		return
	}
	t.Bytes = sip.Redact(bytes.Clone(t.Bytes))
	t.Repeated = slices.ContainsFunc(j.log, func(o sip.Traced) bool { return o.Sent == t.Sent && bytes.Equal(o.Bytes, t.Bytes) })
	j.log = append(j.log, t)
}

// stop ends the probe early: a call under way is given up, and a binding taken back.
func (j *job) stop(now time.Time, cause error) {
	if j.over || j.stopped {
		return
	}
	j.stopped, j.cause = true, cause
	switch {
	case j.waiting != nil:
		j.waiting()
		j.waiting = nil
		j.finish(now, leavesOpen(Interrupted, "%v", errInterrupted))
	case j.x != nil:
		j.x.stop(now)
	}
}

// run starts an exchange of the step under way.
func (j *job) run(now time.Time, x *exchange, ended func(now time.Time, o outcome)) {
	j.x = x
	j.all = append(j.all, x)
	x.ended = ended
	x.start(now)
}

// wants decides whether there is a reason for a stage, by what was found so far.
func (j *job) wants(s stage) bool {
	t := j.home.way.trunk
	registrar := j.last("REGISTER")
	blocked := j.blocked()
	switch {
	case s == askOptions:
		servers := t.Servers
		return j.r.only || len(servers) == 0 || j.p.asked.may(time.Now(), server{servers[j.home.way.nth%len(servers)], t.Transport}, j.p.options.Pause)
	case j.r.only:
		return false
	}
	switch s {
	case askRegistrar:
		return t.Register && j.r.wants(Credentials, Inbound)
	case bind:
		return t.Register && j.r.Bind && !blocked && registrar != nil &&
			(registrar.Code == ContactRequired || j.r.Number != "" && j.r.wants(Inbound) && registrar.Verdict == Pass)
	case callOut:
		return !blocked && (j.r.To != "" && j.r.wants(Outbound, Credentials) ||
			j.r.wants(Credentials) && !t.Register && t.AuthUser != "" && (j.r.Number == "" || !j.r.wants(Inbound)))
	case callIn:
		return !blocked && j.r.Number != "" && (j.r.wants(Inbound) || j.r.wants(Outbound) && j.r.To == "")
	case restore:
		return j.bound != nil
	}
	return false
}

// blocked reports whether a step found what every later one would meet again: the
// server cannot be reached, or refuses the password, which must not be repeated.
func (j *job) blocked() bool {
	for i := range j.report.Steps {
		s := &j.report.Steps[i]
		if s.Verdict == Fail && (s.Code.locks() || s.Code.unreachable() && s.Name != "OPTIONS") {
			return true
		}
	}
	return false
}

// last returns the last step of that name, or nil.
func (j *job) last(name string) *Step { return lastOf(j.report.Steps, name) }

func lastOf(steps []Step, name string) *Step {
	for i := range slices.Backward(steps) {
		if steps[i].Name == name {
			return &steps[i]
		}
	}
	return nil
}

// sendOptions: RFC 3261 §11. Any answer shows that the carrier is there, a challenge
// too, which is not worth a try of the password; silence shows nothing. Each address
// of the server has its turn until one answers.
func (j *job) sendOptions(now time.Time) {
	j.begin(now, "", "OPTIONS")
	x := j.exchange(j.home, wire.OPTIONS, min(j.r.Timeout, optionsWait))
	x.uri, x.to, x.from, x.bare = j.uri(j.home, ""), j.uri(j.home, ""), j.uri(j.home, user(j.home)), true
	j.run(now, x, func(now time.Time, o outcome) {
		f := judgeOptions(o, x.flow)
		if w := &j.home.way; o.code == 0 && w.nth+1 < min(len(w.trunk.Servers), maxAddresses) && !j.stopped {
			w.nth++
			j.at-- // the next address
		}
		j.finish(now, f)
	})
}

const (
	optionsWait  = 2 * time.Second
	maxAddresses = 4 // of a server that OPTIONS tries
)

// sendCall asks for a call and gives it up as soon as the carrier has taken it up:
// nothing rings, nothing is charged. Without a number to call, one is called that
// nobody has: behind the challenge its refusal proves the credentials.
func (j *job) sendCall(now time.Time) {
	check, to := Outbound, j.r.To
	if to == "" {
		check, to = Credentials, nobodysNumber
	}
	j.begin(now, check, "INVITE")
	x := j.exchange(j.home, wire.INVITE, j.r.Timeout)
	j.aim(x, to)
	x.ring = j.p.options.RingLimit
	j.call(now, x, numbersIn(to, j.r.From), nil, func(now time.Time, o outcome) {
		j.step.proven = o.answered && o.challenge == nil
		if j.stopped && (o.err != nil || o.code == 487) {
			j.finish(now, leavesOpen(Interrupted, "%v", errInterrupted))
			return
		}
		if check == Credentials {
			j.finish(now, judgeNobody(o, j.judgement(j.home)))
			return
		}
		j.finish(now, judgeCall(o, j.judgement(j.home)))
	})
}

// nobodysNumber is reserved for fiction (NANPA, 555-0100 to 555-0199): no phone
// rings, no carrier charges.
const nobodysNumber = "+12025550143"

// call runs an INVITE once no other test calls its numbers, and the trunk's limit
// has room for one more.
// ready is called just before it goes out, if it is not nil.
func (j *job) call(now time.Time, x *exchange, numbers []string, ready func(), ended func(now time.Time, o outcome)) {
	place := &place{numbers: numbers, owner: j.r.sweep}
	turn := func(now time.Time) {
		sent := false
		leave := j.desk.Turn(now, x.side.way.trunk, turnWait, func(now time.Time, ok bool) {
			sent, j.waiting = true, nil
			if !ok {
				j.p.guard.leave(place)
				j.finish(now, leavesOpen(Throttled, "cps_limit of the trunk left no room for a test call within %s", turnWait))
				return
			}
			flow, _, _ := x.side.way.next(j.p.options.Engine)
			x.body, x.place = silence(flow), place
			if ready != nil {
				ready()
			}
			j.run(now, x, ended)
		})
		if !sent {
			j.waiting = func() { leave(); j.p.guard.leave(place) }
		}
	}
	place.granted = func() {
		j.desk.Post(func(now time.Time) {
			if j.p.guard.holds(place) {
				j.desk.Stop(&j.pass)
				j.waiting = nil
				turn(now)
			}
		})
	}
	if j.p.guard.take(place) {
		turn(now)
		return
	}
	j.pass.Ring = func(now time.Time) {
		j.waiting = nil
		j.p.guard.leave(place)
		j.finish(now, leavesOpen(InUse, "another test call for the number was under way for %s", numberWait))
	}
	j.desk.Set(&j.pass, now.Add(numberWait))
	j.waiting = func() {
		j.desk.Stop(&j.pass)
		j.p.guard.leave(place)
	}
}

const (
	turnWait   = 30 * time.Second // for our own limit of calls per second
	numberWait = 30 * time.Second // for another test of the number to end
)

func (j *job) judgement(s *side) judgement {
	t := s.way.trunk
	v := judgement{user: t.AuthUser != "", realm: t.Realm, seenAs: j.report.Facts.SeenAs, caller: j.r.From}
	if o := j.last("OPTIONS"); o != nil {
		v.options = o.Status
	}
	return v
}

func (j *job) uri(s *side, user string) string {
	if user == "" {
		return "sip:" + s.way.trunk.Domain
	}
	return "sip:" + user + "@" + s.way.trunk.Domain
}

// aim has x call a number, written as calls are and sent where they go, or a URI as
// it is.
func (j *job) aim(x *exchange, to string) {
	as := sip.Address(x.side.way.trunk, to, j.r.From)
	x.uri, x.to, x.from, x.lines = as.URI, as.To, as.From, as.Lines
	if isURI(to) {
		x.uri, x.to = to, to
	}
}

// user is the trunk's user as it stands in a URI.
func user(s *side) string {
	if name := s.way.trunk.AuthUser; name != "" {
		return string(wire.AppendUser(nil, name))
	}
	return "trunkline"
}
