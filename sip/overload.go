package sip

import (
	"hash/maphash"
	"time"

	"trunkline/sip/admit"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

const (
	// halfFull is how much of a queue may be in use: a small socket buffer overflows before anything in it has waited for long.
	halfFull = 0.5
	// catchUp is for how long every new INVITE has to come late before one is refused. A process that was stopped for a moment works
	// off what came meanwhile, and refuses nobody.
	catchUp = 200 * time.Millisecond
	// stale is when a copy of a refused INVITE is dropped: another will come, or has, if the refusal was lost. It is T1.
	stale = 500 * time.Millisecond
	// lookEvery bounds what it costs to know: the kernel is asked twice.
	lookEvery = 10 * time.Millisecond
	// calmAfter without a late INVITE the overload is over.
	calmAfter = time.Second
)

// overload judges by how long new INVITEs had waited to be received whether a shard has more to do than it can. What it then refuses
// costs a fifth of a call, and the refusals keep the wait at the limit: those who are taken never have to repeat a message, which
// would make more work of the same calls. It belongs to one goroutine.
type overload struct {
	limit time.Duration // how long they may wait; 0: for ever, nobody is refused

	since    time.Time // when the first came of those that were all late since, at most a second apart; zero: the last one was in time
	lastLate time.Time
	waited   time.Duration // by the last one that was asked; 0 as well when the queue was empty since
	looked   time.Time     // when one was last asked how long it had waited
	began    time.Time     // zero: there is no overload
	refused  uint64        // since it began
	// copies are hashes of the INVITEs refused lately. A copy that had to wait less must not become a call: its caller has gone
	// away with the 503.
	copies []uint64
}

// copiesKept bounds copies; beyond it old ones give way at random.
const copiesKept = 1 << 13

// asks reports whether to ask a new INVITE how long it waited: while none is late, one in a moment will do.
func (o *overload) asks(now time.Time) bool {
	if o.since.IsZero() && !o.on() && now.Sub(o.looked) < lookEvery {
		return false
	}
	o.looked = now
	return true
}

// late takes the wait of a new INVITE, and reports whether it is to be refused for it.
func (o *overload) late(now time.Time, b transport.Backlog) bool {
	o.waited = b.Waited
	if b.Waited < o.limit && b.Filled < halfFull {
		o.since = time.Time{}
		return false
	}
	if o.since.IsZero() || now.Sub(o.lastLate) >= calmAfter {
		o.since = now
	}
	o.lastLate = now
	return o.on() || now.Sub(o.since) >= catchUp
}

func (o *overload) on() bool { return !o.began.IsZero() }

// behind is how old what is received now was when it came. Whether a message has to be repeated is judged by what had come until then: the
// answer may lie in the queue, and to repeat messages for want of it would make the queue longer.
func (o *overload) behind() time.Duration {
	if !o.on() {
		return 0
	}
	return o.waited
}

// refuse notes that an INVITE was refused, and reports whether that is how an overload begins.
func (o *overload) refuse(now time.Time, hash uint64) (begins bool) {
	if begins = !o.on(); begins {
		o.began, o.refused, o.copies = now, 0, make([]uint64, copiesKept)
	}
	o.refused++
	o.copies[hash%copiesKept] = hash
	return begins
}

// copied reports whether an INVITE was refused before.
func (o *overload) copied(hash uint64) bool {
	return o.copies != nil && o.copies[hash%copiesKept] == hash
}

// over reports whether an overload ends now.
func (o *overload) over(now time.Time) bool {
	if !o.on() || now.Sub(o.lastLate) < calmAfter {
		return false
	}
	o.began, o.copies = time.Time{}, nil
	return true
}

// sheds refuses the new INVITE at hand, before there is any state, if the shard is behind with its work. Calls for help, INVITEs that
// continue a call (RFC 3891) and whatever is not a new INVITE are never refused for that.
func (s *shard) sheds(now time.Time, p transport.Packet) bool {
	o := &s.overload
	if o.limit == 0 || isLoop(p.Flow) {
		return false
	}
	s.calmDown(now)
	if !o.asks(now) {
		return false
	}
	b := s.port.Backlog()
	s.count.waited.observe(b.Waited)
	late := o.late(now, b)
	if !late && o.copies == nil {
		return false
	}
	hash := maphash.Bytes(homeSeed, s.env.Branch) ^ maphash.Bytes(homeSeed, s.env.CallID)<<1
	if !late && !o.copied(hash) || s.in.Has(wire.HReplaces) || s.callsForHelp() {
		return false
	}
	if o.copied(hash) && b.Waited >= stale {
		s.count.drop(dropStale)
		return true
	}
	if o.refuse(now, hash) {
		s.edge.behind.Add(1)
		s.log.Warn("more calls than can be served: new ones are refused until messages are received in time", "shard", s.index,
			"waited", b.Waited.Round(time.Millisecond), "queue_filled", b.Filled)
	}
	s.refuseBusy(now, p.Flow)
	return true
}

// refuseBusy answers the request at hand, of which nothing is kept, with 503.
func (s *shard) refuseBusy(now time.Time, f transport.Flow) {
	if after := s.edge.limits().RetryAfter; s.busy == nil || after != s.busyFor {
		s.busy, s.busyFor = s.overloaded(trunks.Overload.String()), after
	}
	s.count.reject(s.busy.Cause)
	s.replyStateless(now, f, s.busy)
}

func (s *shard) callsForHelp() bool {
	called, _ := admit.Numbers(&s.in, true)
	return s.edge.isEmergency(called)
}

// calmDown ends an overload when its time has come.
func (s *shard) calmDown(now time.Time) {
	if began, refused := s.overload.began, s.overload.refused; s.overload.over(now) {
		s.edge.behind.Add(-1)
		s.log.Info("calls are served again", "shard", s.index, "refused", refused, "lasted", now.Sub(began).Round(time.Millisecond))
	}
}
