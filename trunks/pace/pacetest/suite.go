package pacetest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/trunks/pace"
)

// Test runs the suite on limiters that fresh makes, each without history. It takes some seconds.
func Test(t *testing.T, fresh func(pace.Limit) pace.Limiter) {
	t.Run("random loads", func(t *testing.T) { randomLoads(t, fresh) })
	t.Run("fair", func(t *testing.T) { fair(t, fresh) })
	t.Run("carrier wants less", func(t *testing.T) { wantsLess(t, fresh) })
	t.Run("carrier wants time", func(t *testing.T) { wantsTime(t, fresh) })
	t.Run("limit changes", func(t *testing.T) { limitChanges(t, fresh) })
	t.Run("no limit", func(t *testing.T) { noLimit(t, fresh) })
}

// cases is how many random loads are tried.
const cases = 60

// randomLoads: whatever is offered, never more than the limit in any rolling second on the wire, nearly all of it if enough is
// offered, and each call told its result once.
func randomLoads(t *testing.T, fresh func(pace.Limit) pace.Limiter) {
	for seed := range uint64(cases) {
		r := rand.New(rand.NewPCG(seed, 17))
		l := load{
			limit:    pace.Limit{Rate: pick(r, 0.5, 1, 2, 2.5, 7, 10, 33.3, 100, 300), Queue: pick(r, 0, 0, 1, 30, -1)},
			times:    pick(r, 0.3, 1, 2, 10),
			trunks:   pick(r, 1, 3, 5),
			patience: pick(r, 500*time.Millisecond, 3*time.Second, 10*time.Second),
			leaves:   pick(r, 0, 0, 0.1, 0.5),
			late:     pick(r, 0, time.Millisecond, 5*time.Millisecond, 200*time.Millisecond),
			seed:     seed,
		}
		l.limit.Burst = pick(r, 0, 1, 3, int(l.limit.Rate))
		l.during = time.Duration(max(30, 60/l.limit.Rate) * float64(time.Second))
		synctest.Test(t, func(t *testing.T) {
			w := &world{limiter: fresh(l.limit), load: l}
			w.run()
			w.check(t)
			if t.Failed() {
				t.Logf("under %s", l)
			}
		})
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// check compares what was seen with what a limiter promises.
func (w *world) check(t *testing.T) {
	t.Helper()
	for _, m := range w.mistakes {
		t.Error(m)
	}
	rate := w.load.limit.Rate
	count := max(1, int(math.Ceil(rate)))
	slices.SortFunc(w.sent, time.Time.Compare)
	if n := busiest(w.sent, time.Duration(float64(count)/rate*float64(time.Second))); n > count {
		t.Errorf("%d went out in %.2f s", n, float64(count)/rate)
	}
	if n := busiest(w.sent, time.Second); n > count {
		t.Errorf("%d went out in a second", n)
	}
	if w.load.limit.Burst <= 1 {
		w.checkSpacing(t)
	}
	w.checkCounts(t)
	// A call in hand for each second, and a queue that does not run dry between them.
	if enough := w.load.times >= 2 && w.load.leaves == 0 && w.load.late <= 5*time.Millisecond && w.load.limit.Queue == 0 && w.load.patience >= 3*time.Second && rate >= 1; enough {
		if least := 0.99*rate*w.load.during.Seconds() - 2; float64(len(w.sent)) < least {
			t.Errorf("%d went out, at least %.0f could", len(w.sent), least)
		}
	}
}

// busiest is the most in any half-open window.
func busiest(at []time.Time, window time.Duration) (most int) {
	from := 0
	for to := range at {
		for at[to].Sub(at[from]) >= window {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// catchUp is what spacing may give way to a server that came late.
const catchUp = 25 * time.Millisecond

func (w *world) checkSpacing(t *testing.T) {
	t.Helper()
	space := time.Duration(float64(time.Second) / w.load.limit.Rate)
	for i := 1; i < len(w.admitted); i++ {
		if gap := w.admitted[i].Sub(w.admitted[i-1]); gap < space-catchUp {
			t.Errorf("admissions %s apart, where %s is the spacing", gap, space)
			return
		}
	}
}

func (w *world) checkCounts(t *testing.T) {
	t.Helper()
	s := w.limiter.Stats(time.Now())
	if got := [4]int{int(s.Counts.Admitted), int(s.Counts.Delayed), int(s.Counts.Rejected), int(s.Counts.Left)}; got != w.at {
		t.Errorf("it counts %v admitted, delayed, rejected, left; seen were %v", got, w.at)
	}
	if total := w.at[admitted] + w.at[delayed] + w.at[rejected] + w.at[left]; total != w.offered || s.Counts.Waiting != 0 {
		t.Errorf("%d calls, and %d heard what became of them; %d still wait", w.offered, total, s.Counts.Waiting)
	}
	room := w.load.limit.Queue
	switch {
	case room < 0:
		room = 0
	case room == 0:
		room = max(1, int(2*w.load.limit.Rate))
	}
	if w.longest > room {
		t.Errorf("%d waited, where there is room for %d", w.longest, room)
	}
	waits := uint64(0)
	for _, n := range s.Waits.Buckets {
		waits += n
	}
	if int(waits) != w.at[admitted]+w.at[delayed] {
		t.Errorf("%d waits are counted of %d calls that went out", waits, w.at[admitted]+w.at[delayed])
	}
	// The peak is of the last minute, and may be of seconds that begin every tenth of a second.
	if most := busiest(w.admitted, time.Second); w.load.during <= 30*time.Second && (s.Peak > most || s.Peak < most*3/4-1) {
		t.Errorf("a peak of %d, and %d were admitted in a second", s.Peak, most)
	}
}

// fair: a trunk that offers ten times as much as two others leaves them their share.
func fair(t *testing.T, fresh func(pace.Limit) pace.Limiter) {
	synctest.Test(t, func(t *testing.T) {
		limit := pace.Limit{Rate: 30, Queue: 60}
		w := &world{limiter: fresh(limit), load: load{limit: limit, times: 10, trunks: 1, during: time.Minute, patience: 4 * time.Second, seed: 1}}
		modest := &world{name: "modest", limiter: w.limiter, load: load{limit: limit, times: 0.5, trunks: 2, during: time.Minute, patience: 4 * time.Second, seed: 2}}
		other := make(chan struct{})
		go func() { modest.run(); close(other) }() // ends with its load
		w.run()
		<-other
		served := modest.at[admitted] + modest.at[delayed]
		if served < modest.offered*97/100 {
			t.Errorf("two trunks below their share had %d of %d calls served", served, modest.offered)
		}
		if n := w.at[admitted] + w.at[delayed]; n < 60*14 {
			t.Errorf("the greedy one had %d, less than what is left", n)
		}
	})
}

// wantsLess: a carrier that takes fewer than the limit refuses few, has most of what it takes, and later the limit.
func wantsLess(t *testing.T, fresh func(pace.Limit) pace.Limiter) {
	synctest.Test(t, func(t *testing.T) {
		limit := pace.Limit{Rate: 50}
		var took []time.Time
		most, refusals := 20, 0
		w := &world{limiter: fresh(limit), load: load{limit: limit, times: 2, trunks: 3, during: 25 * time.Second, patience: 3 * time.Second, seed: 3}}
		w.refuses = func(at time.Time) (time.Duration, bool) {
			for len(took) > 0 && at.Sub(took[0]) >= time.Second {
				took = took[1:]
			}
			if len(took) >= most {
				refusals++
				return 0, true
			}
			took = append(took, at)
			return 0, false
		}
		w.run()
		good := len(w.sent) - refusals
		if refusals == 0 || refusals > 50 || good < 400 {
			t.Errorf("the carrier took %d in 25 s and refused %d", good, refusals)
		}
		if s := w.limiter.Stats(time.Now()); s.Rate > 20 || s.Limit.Rate != 50 || s.Counts.Refused != uint64(refusals) {
			t.Errorf("%g a second are in force, %d refusals counted", s.Rate, s.Counts.Refused)
		}
		if news, ok := w.limiter.News(time.Now()); !ok || news.Rate > 20 || news.Limit != 50 {
			t.Errorf("news %+v, %v", news, ok)
		}
		most = 1000
		w.load.during = 30 * time.Minute
		w.run()
		if s := w.limiter.Stats(time.Now()); s.Rate != 50 {
			t.Errorf("%g a second are in force half an hour after the carrier takes more", s.Rate)
		}
		if news, ok := w.limiter.News(time.Now()); !ok || news.Rate != 50 {
			t.Errorf("news %+v, %v", news, ok)
		}
	})
}

// wantsTime: nothing goes out in the time a carrier asks for.
func wantsTime(t *testing.T, fresh func(pace.Limit) pace.Limiter) {
	synctest.Test(t, func(t *testing.T) {
		limit := pace.Limit{Rate: 20}
		until := time.Time{}
		w := &world{limiter: fresh(limit), load: load{limit: limit, times: 1, trunks: 2, during: 20 * time.Second, patience: 10 * time.Second, seed: 4}}
		start := time.Now()
		w.refuses = func(at time.Time) (time.Duration, bool) {
			if at.Sub(start) < 5*time.Second || !until.IsZero() {
				return 0, false
			}
			until = at.Add(20*time.Millisecond + 4*time.Second)
			return 4 * time.Second, true
		}
		w.run()
		for _, at := range w.sent {
			if asked := until.Add(-4 * time.Second); at.After(asked) && at.Before(until) {
				t.Fatalf("a call went out %s after the carrier asked for 4 s", at.Sub(asked))
			}
		}
		if until.IsZero() || len(w.sent) < 100 {
			t.Errorf("%d calls went out", len(w.sent))
		}
	})
}

// limitChanges: who waits goes on waiting, and what was sent before still counts.
func limitChanges(t *testing.T, fresh func(pace.Limit) pace.Limiter) {
	synctest.Test(t, func(t *testing.T) {
		limit := pace.Limit{Rate: 40}
		w := &world{limiter: fresh(limit), load: load{limit: limit, times: 2, trunks: 3, during: 20 * time.Second, patience: 2 * time.Second, seed: 5}}
		start := time.Now()
		for i, rate := range []float64{10, 40, 25} {
			time.AfterFunc(time.Duration(i+1)*5*time.Second, func() { w.limiter.Configure(pace.Limit{Rate: rate}) })
		}
		w.run()
		for _, m := range w.mistakes {
			t.Error(m)
		}
		slices.SortFunc(w.sent, time.Time.Compare)
		for i, most := range []int{40, 10, 40, 25} {
			from, to := start.Add(time.Duration(i)*5*time.Second), start.Add(time.Duration(i+1)*5*time.Second)
			var part []time.Time
			for _, at := range w.sent {
				if at.After(from) && at.Before(to) {
					part = append(part, at)
				}
			}
			if n := busiest(part, time.Second); n > most || n < most-1 {
				t.Errorf("%d in a second at a limit of %d", n, most)
			}
		}
		if n := busiest(w.sent, time.Second); n > 40 {
			t.Errorf("%d in a second across a change", n)
		}
	})
}

// noLimit: everything goes out.
func noLimit(t *testing.T, fresh func(pace.Limit) pace.Limiter) {
	l := fresh(pace.Limit{})
	now := time.Now()
	for range 1000 {
		if _, ok := l.Admit(now); !ok {
			t.Fatal("refused without a limit")
		}
	}
	if s := l.Stats(now); s.Counts.Admitted != 1000 || s.Peak != 1000 {
		t.Errorf("%+v", s)
	}
}
