package probe

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"trunkline/trunks"
)

// VerifierOptions are those of a Verifier. Prober is required.
type VerifierOptions struct {
	Prober  *Prober
	Trunks  time.Duration // between two proofs of a trunk; 0: none
	Numbers time.Duration // between two dial-ins of a number; 0: none
	Log     *slog.Logger  // told of drift; nil: not
	Drifted func(Drift)   // as well, from a goroutine or shard that must not be kept; nil: not
}

// Drift is a check whose verdict has changed for good: it failed twice, or passes
// again.
type Drift struct {
	Trunk  string
	Number string // empty: the trunk itself was proven
	Was    Verdict
	Now    Result
}

// Verifier proves trunks and numbers again and again, each at its own time within
// the interval, so that what changes at a carrier shows before a caller meets it.
// Its methods may be called concurrently.
type Verifier struct {
	options VerifierOptions

	mu       sync.Mutex
	snapshot *trunks.Snapshot
	subjects map[subject]*verification
	drifts   map[driftCount]uint64
	closed   bool
}

// subject is what is proven: a trunk, or one of its numbers.
type subject struct{ trunk, number string }

type driftCount struct {
	trunk   string
	check   Check
	verdict Verdict
}

// verification is what is known of one subject.
type verification struct {
	timer   *time.Timer
	running *Running
	verdict map[Check]Verdict // the last that was pass or fail
	suspect bool              // the last proof failed where the one before passed
	ran     time.Time
	expires time.Time // of the certificate
}

// confirmAfter is how long after a first failure it is looked at once more.
const confirmAfter = time.Minute

// NewVerifier returns a verifier without trunks.
func NewVerifier(o VerifierOptions) *Verifier {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Verifier{options: o, subjects: map[subject]*verification{}, drifts: map[driftCount]uint64{}}
}

// Apply makes the subjects those of the snapshot.
func (v *Verifier) Apply(s *trunks.Snapshot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	v.snapshot = s
	wanted := map[subject]bool{}
	want := func(one subject, every time.Duration) {
		if every == 0 {
			return
		}
		wanted[one] = true
		if v.subjects[one] == nil {
			v.subjects[one] = &verification{verdict: map[Check]Verdict{}}
			v.plan(one, rand.N(every))
		}
	}
	for _, t := range s.Trunks {
		want(subject{t.Name, ""}, v.options.Trunks)
	}
	for _, n := range s.Numbers {
		want(subject{n.Trunk.Name, n.E164}, v.options.Numbers)
	}
	for one, known := range v.subjects {
		if !wanted[one] {
			known.timer.Stop()
			delete(v.subjects, one)
		}
	}
}

// plan sets the time of the next proof. v.mu is held.
func (v *Verifier) plan(one subject, after time.Duration) {
	known := v.subjects[one]
	if known.timer != nil {
		known.timer.Stop()
	}
	known.timer = time.AfterFunc(after, func() { v.prove(one) })
}

// every is the interval of a subject, more or less a tenth.
func (v *Verifier) every(one subject) time.Duration {
	interval := v.options.Trunks
	if one.number != "" {
		interval = v.options.Numbers
	}
	return interval*9/10 + rand.N(interval/5+1)
}

// prove begins a proof. It costs no goroutine while it runs.
func (v *Verifier) prove(one subject) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known := v.subjects[one]
	if v.closed || known == nil {
		return
	}
	v.plan(one, v.every(one)) // whatever becomes of this one
	r, ok := v.request(one)
	if !ok {
		return
	}
	running, err := v.options.Prober.Start(r, func(report Report) { go v.proven(one, report) }) // ends at once; a shard must not wait for v.mu
	switch {
	case errors.Is(err, ErrBusy):
		v.plan(one, confirmAfter/2+rand.N(confirmAfter))
	case err == nil:
		known.running = running
	}
}

// request is what proves a subject without costing anything. v.mu is held.
func (v *Verifier) request(one subject) (Request, bool) {
	t := v.snapshot.Trunk(one.trunk)
	if t == nil {
		return Request{}, false
	}
	if one.number != "" {
		return Request{Trunk: t, Number: one.number, Checks: []Check{Inbound, Outbound}}, true
	}
	r := Request{Trunk: t, Checks: []Check{Credentials, Inbound}}
	if i := slices.IndexFunc(v.snapshot.Numbers, func(n *trunks.Number) bool { return n.Trunk == t }); i >= 0 && v.options.Prober.options.Target != "" {
		r.From, r.Checks = v.snapshot.Numbers[i].E164, nil
	}
	return r, true
}

// proven takes a report over.
func (v *Verifier) proven(one subject, r Report) {
	v.mu.Lock()
	known := v.subjects[one]
	if v.closed || known == nil {
		v.mu.Unlock()
		return
	}
	known.running, known.ran = nil, time.Now()
	if r.Facts.TLS != nil {
		known.expires = r.Facts.TLS.Expires
	}
	drifts, again := known.take(one, r.Checks)
	for _, d := range drifts {
		v.drifts[driftCount{d.Trunk, d.Now.Check, d.Now.Verdict}]++
	}
	if again {
		v.plan(one, confirmAfter)
	}
	v.mu.Unlock()
	for _, d := range drifts {
		v.tell(d)
	}
}

// take notes the verdicts and returns what has drifted. A check that passed and
// fails is looked at once more before it counts: one lost packet is no drift.
func (k *verification) take(one subject, checks []Result) (drifts []Drift, again bool) {
	failing := false
	for _, c := range checks {
		was := k.verdict[c.Check]
		if c.Verdict != Pass && c.Verdict != Fail {
			continue
		}
		if was == Pass && c.Verdict == Fail && !k.suspect {
			failing = true
			continue
		}
		if was != "" && was != c.Verdict {
			drifts = append(drifts, Drift{Trunk: one.trunk, Number: one.number, Was: was, Now: c})
		}
		k.verdict[c.Check] = c.Verdict
	}
	k.suspect = failing
	return drifts, failing
}

func (v *Verifier) tell(d Drift) {
	attributes := []any{"trunk", d.Trunk, "check", string(d.Now.Check), "was", string(d.Was), "verdict", string(d.Now.Verdict)}
	if d.Number != "" {
		attributes = append(attributes, "number", masked(d.Number))
	}
	if d.Now.Verdict == Fail {
		attributes = append(attributes, "code", string(d.Now.Code), "message", d.Now.Message, "fix", d.Now.Fix)
	}
	level := slog.LevelWarn
	if d.Now.Verdict == Pass {
		level = slog.LevelInfo
	}
	v.options.Log.Log(context.Background(), level, "drift: a check has changed its verdict", attributes...)
	if v.options.Drifted != nil {
		v.options.Drifted(d)
	}
}

// masked is a number with its middle hidden.
func masked(number string) string {
	if len(number) < 8 {
		return number
	}
	return number[:4] + strings.Repeat("*", len(number)-6) + number[len(number)-2:]
}

// Close ends all proving. Apply does nothing after it.
func (v *Verifier) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	for _, known := range v.subjects {
		known.timer.Stop()
		if known.running != nil {
			known.running.Stop(ErrClosed)
		}
	}
	clear(v.subjects)
}
