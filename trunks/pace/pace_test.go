package pace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// begin is no round number of seconds.
var begin = time.Unix(1_790_000_000, 123_456_789)

// play offers calls at the given times to a key, serves it as its owner would, and
// returns when they were sent, in order, and how many each trunk had. Each is sent up
// to jitter after its admission, and Sent says so.
func play(k *Key, offered []offer, patience, jitter time.Duration) (sent []time.Time, byTrunk map[string]int) {
	byTrunk = map[string]int{}
	r := rand.New(rand.NewPCG(1, 2))
	var late []struct {
		ticket Ticket
		at     time.Time
	}
	confirm := func(now time.Time) { // those that were really sent by now
		for i := 0; i < len(late); {
			if late[i].at.After(now) {
				i++
				continue
			}
			k.Sent(late[i].ticket, late[i].at)
			late = append(late[:i], late[i+1:]...)
		}
	}
	defer func() { slices.SortFunc(sent, time.Time.Compare) }()
	now := begin
	for i := 0; ; {
		next, waiting := k.Next()
		if i < len(offered) && (!waiting || !offered[i].at.After(next)) {
			now = offered[i].at
			confirm(now)
			trunk := offered[i].trunk
			took := func(t Ticket) {
				at := now
				if jitter > 0 {
					at = at.Add(time.Duration(r.Int64N(int64(jitter))))
				}
				sent = append(sent, at)
				late = append(late, struct {
					ticket Ticket
					at     time.Time
				}{t, at})
				byTrunk[trunk]++
			}
			i++
			if ticket, ok := k.Admit(now); ok {
				took(ticket)
			} else {
				k.Wait(now, trunk, &Waiter{Deadline: now.Add(patience), Granted: took, Expired: func() {}})
			}
			continue
		}
		if !waiting {
			return sent, byTrunk
		}
		if next.After(now) {
			now = next
		}
		confirm(now)
		k.Serve(now)
	}
}

type offer struct {
	at    time.Time
	trunk string
}

// random offers rate calls a second for seconds, at random times, from trunks.
func random(r *rand.Rand, rate float64, seconds int, trunks int) []offer {
	var all []offer
	for t := 0.0; t < float64(seconds); t += r.ExpFloat64() / rate {
		all = append(all, offer{begin.Add(time.Duration(t * float64(time.Second))), fmt.Sprint("trunk", r.IntN(trunks))})
	}
	return all
}

// busiest returns the most admissions in any half-open window.
func busiest(admitted []time.Time, window time.Duration) int {
	best, from := 0, 0
	for to := range admitted {
		for admitted[to].Sub(admitted[from]) >= window {
			from++
		}
		best = max(best, to-from+1)
	}
	return best
}

// Never more than N in any rolling second, and under enough load no less.
func TestRollingSecond(t *testing.T) {
	for _, rate := range []float64{0.1, 0.5, 1, 2, 2.5, 7, 10, 33.3, 100, 1000} {
		for _, burst := range []int{0, 1, 3, 1000} {
			for _, load := range []float64{0.5, 1, 2, 10} {
				t.Run(fmt.Sprintf("rate %v burst %d load %v", rate, burst, load), func(t *testing.T) {
					seconds := max(20, int(40/rate))
					r := rand.New(rand.NewPCG(uint64(rate*10), uint64(burst)))
					k := NewKey(Limit{Rate: rate, Burst: burst})
					admitted, _ := play(k, random(r, rate*load, seconds, 3), 10*time.Second, 0)
					count, window := guard(rate)
					if got := busiest(admitted, window); got > count {
						t.Errorf("%d in %v, allowed are %d", got, window, count)
					}
					if got := busiest(admitted, time.Second); got > int(math.Ceil(rate)) {
						t.Errorf("%d in a second", got)
					}
					if burst <= 1 {
						for i := 1; i < len(admitted); i++ {
							if gap := admitted[i].Sub(admitted[i-1]); gap < time.Duration(float64(time.Second)/rate)-slack-time.Microsecond {
								t.Fatalf("admissions %v apart are not spaced", gap)
							}
						}
					}
					if want := 0.97*rate*float64(seconds) - 3; load >= 2 && float64(len(admitted)) < want {
						t.Errorf("%d admitted in %d s, fewer than %.0f", len(admitted), seconds, want)
					}
				})
			}
		}
	}
}

// What lies between admission and wire does not matter, not even when calls
// overtake each other: the second is counted from when they were sent.
func TestRollingSecondOnTheWire(t *testing.T) {
	for _, rate := range []float64{1, 10, 50, 500} {
		for _, jitter := range []time.Duration{time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond} {
			t.Run(fmt.Sprintf("rate %v jitter %v", rate, jitter), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(rate), uint64(jitter)))
				k := NewKey(Limit{Rate: rate, Burst: int(rate)})
				sent, _ := play(k, random(r, 10*rate, 30, 3), 5*time.Second, jitter)
				if got := busiest(sent, time.Second); got > int(rate) {
					t.Errorf("%d in a second on the wire", got)
				}
			})
		}
	}
}

// No trunk starves: one that offers ten times as much as another still leaves it
// its share.
func TestFairBetweenTrunks(t *testing.T) {
	var offered []offer
	for i := range 6000 {
		at := begin.Add(time.Duration(i) * 10 * time.Millisecond)
		offered = append(offered, offer{at, "greedy"})
		if i%10 == 0 {
			offered = append(offered, offer{at, "modest"}, offer{at, "third"})
		}
	}
	_, by := play(NewKey(Limit{Rate: 30, Queue: 100}), offered, 5*time.Second, 0)
	if by["modest"] < 540 || by["third"] < 540 { // of 600 each
		t.Errorf("the greedy trunk starves the others: %v", by)
	}
}

// Who gives up, or whose deadline comes, costs nothing.
func TestLeavingCostsNothing(t *testing.T) {
	k := NewKey(Limit{Rate: 1, Queue: 10})
	if _, ok := k.Admit(begin); !ok {
		t.Fatal("the first is not admitted")
	}
	var told []string
	wait := func(name string, patience time.Duration) *Waiter {
		w := &Waiter{Deadline: begin.Add(patience), Granted: func(Ticket) { told = append(told, name) }, Expired: func() { told = append(told, name+" expired") }}
		if !k.Wait(begin, name, w) {
			t.Fatalf("%s cannot wait", name)
		}
		return w
	}
	gone := wait("gone", time.Minute)
	wait("short", 2500*time.Millisecond)
	wait("long", time.Minute)
	if !k.Leave(gone) || k.Leave(gone) {
		t.Error("leaving works once")
	}
	for at, waiting := k.Next(); waiting; at, waiting = k.Next() {
		k.Serve(at)
	}
	if got := fmt.Sprint(told); got != "[short long]" {
		t.Errorf("told %s", got)
	}
	if c := k.Stats(begin).Counts; c != (Counts{Admitted: 1, Delayed: 2, Left: 1}) {
		t.Errorf("counts %+v", c)
	}
}

// A wait that would be in vain is refused at once.
func TestNoVainWait(t *testing.T) {
	k := NewKey(Limit{Rate: 1, Queue: 100})
	k.Admit(begin)
	for i := range 5 {
		w := &Waiter{Deadline: begin.Add(3500 * time.Millisecond), Granted: func(Ticket) {}, Expired: func() { t.Error("somebody waited in vain") }}
		if got, want := k.Wait(begin, "a", w), i < 3; got != want {
			t.Errorf("waiter %d: %v", i, got)
		}
	}
	for at, waiting := k.Next(); waiting; at, waiting = k.Next() {
		k.Serve(at)
	}
}

// A lower limit counts what went out before, a higher one does not forget it.
func TestConfigureKeepsTheLastSecond(t *testing.T) {
	k := NewKey(Limit{Rate: 10, Burst: 10})
	for range 10 {
		if _, ok := k.Admit(begin); !ok {
			t.Fatal("the burst is not admitted")
		}
	}
	k.Configure(Limit{Rate: 5, Burst: 5})
	if _, ok := k.Admit(begin.Add(900 * time.Millisecond)); ok {
		t.Error("admitted within the second of ten others at a limit of five")
	}
	k.Configure(Limit{Rate: 11, Burst: 11})
	n := 0
	for range 20 {
		if _, ok := k.Admit(begin.Add(950 * time.Millisecond)); ok {
			n++
		}
	}
	if n > 6 { // five are still known of
		t.Errorf("%d more in the same second at a limit of eleven", n)
	}
	k.Configure(Limit{})
	if _, ok := k.Admit(begin.Add(951 * time.Millisecond)); !ok {
		t.Error("refused without a limit")
	}
}

func TestPeak(t *testing.T) {
	k := NewKey(Limit{Rate: 50, Burst: 50})
	for i := range 30 {
		k.Admit(begin.Add(time.Duration(i) * time.Millisecond))
	}
	for after, want := range map[time.Duration]int{100 * time.Millisecond: 30, 1010 * time.Millisecond: 19, 2 * time.Second: 0} {
		if got := k.Stats(begin.Add(after)).Used; got != want {
			t.Errorf("%d used after %s, want %d", got, after, want)
		}
	}
	if got := k.Stats(begin.Add(40 * time.Second)).Peak; got != 30 {
		t.Errorf("peak %d, want 30", got)
	}
	if got := k.Stats(begin.Add(2 * time.Minute)).Peak; got != 0 {
		t.Errorf("peak %d after a quiet minute", got)
	}
}

func BenchmarkAdmit(b *testing.B) {
	k := NewKey(Limit{Rate: 1e6, Burst: 1000})
	now := begin
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(2 * time.Microsecond)
		if _, ok := k.Admit(now); !ok {
			b.Fatal("refused")
		}
	}
}
