package transaction

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestWheelFiresWithinOneTickOfEachDeadline(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := NewWheel(begin)
	const timers = 5000
	due := make([]time.Time, timers)
	all := make([]Timer, timers)
	now := begin
	for i := range all {
		all[i].Owner = uint64(i)
		due[i] = begin.Add(time.Duration(random.ExpFloat64() * float64(10*time.Minute)))
		if i%7 == 0 {
			due[i] = begin.Add(time.Duration(random.Int64N(int64(3 * time.Second))))
		}
		if i%1000 == 0 {
			due[i] = begin.Add(time.Duration(random.Int64N(int64(40 * 24 * time.Hour))))
		}
		w.Start(&all[i], due[i])
	}
	stopped := map[int]bool{}
	for i := range timers / 5 {
		w.Stop(&all[i*5])
		w.Stop(&all[i*5])
		stopped[i*5] = true
	}
	fired := 0
	for w.Len() > 0 {
		wait, ok := w.Next(now)
		if !ok {
			t.Fatal("Next says nothing runs")
		}
		now = now.Add(wait)
		w.Advance(now, func(timer *Timer) {
			fired++
			i := int(timer.Owner)
			if stopped[i] {
				t.Fatalf("timer %d was stopped and fired", i)
			}
			if late := now.Sub(due[i]); late < 0 || late > Tick {
				t.Fatalf("timer %d is %v late", i, late)
			}
		})
	}
	if fired != timers-len(stopped) {
		t.Errorf("fired %d of %d", fired, timers-len(stopped))
	}
	if _, ok := w.Next(now); ok {
		t.Error("an empty wheel wants to advance")
	}
}

// TestWheelAgainstList starts, restarts, stops and advances at random and
// compares with a plain list of deadlines.
func TestWheelAgainstList(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 7))
		w := NewWheel(begin)
		var all [64]Timer
		want := map[uint64]time.Time{}
		now := begin
		for range 4000 {
			i := random.Uint64N(64)
			switch random.IntN(4) {
			case 0, 1:
				at := now.Add(time.Duration(random.ExpFloat64()*float64(20*time.Second)) - time.Second)
				all[i].Owner = i
				w.Start(&all[i], at)
				if at.Before(now) {
					at = now
				}
				want[i] = at
			case 2:
				w.Stop(&all[i])
				delete(want, i)
			case 3:
				step := time.Duration(random.ExpFloat64() * float64(time.Second))
				if random.IntN(50) == 0 {
					step *= 300
				}
				if wait, ok := w.Next(now); ok && random.IntN(2) == 0 {
					step = wait
				}
				now = now.Add(step)
				last := int64(0)
				w.Advance(now, func(timer *Timer) {
					if timer.tick < last {
						t.Fatal("out of order")
					}
					last = timer.tick
					if now.Before(want[timer.Owner]) {
						t.Fatal("early")
					}
					delete(want, timer.Owner)
					if random.IntN(3) == 0 { // restart from inside
						at := now.Add(time.Duration(random.Int64N(int64(time.Minute))))
						w.Start(timer, at)
						want[timer.Owner] = at
					}
				})
				for owner, at := range want {
					if now.Sub(at) > 2*Tick {
						t.Fatalf("seed %d: timer %d is overdue by %v", seed, owner, now.Sub(at))
					}
				}
			}
			if w.Len() != len(want) {
				t.Fatalf("seed %d: %d timers run, want %d", seed, w.Len(), len(want))
			}
		}
	}
}

func TestWheelKeepsOrder(t *testing.T) {
	w := NewWheel(begin)
	var timers [6]Timer
	at := []time.Duration{90 * time.Second, 3 * time.Hour, 50 * time.Millisecond, 90 * time.Second, 41 * time.Minute, 50 * time.Millisecond}
	for i := range timers {
		timers[i].Owner = uint64(i)
		w.Start(&timers[i], begin.Add(at[i]))
	}
	var order []uint64
	w.Advance(begin.Add(4*time.Hour), func(timer *Timer) { order = append(order, timer.Owner) })
	if want := []uint64{2, 5, 0, 3, 4, 1}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

func TestWheelPastDeadlineWaitsForNextAdvance(t *testing.T) {
	w := NewWheel(begin)
	var timer Timer
	fired := 0
	w.Start(&timer, begin.Add(-time.Hour))
	now := begin
	for range 3 {
		now = now.Add(time.Second)
		w.Advance(now, func(timer *Timer) {
			fired++
			w.Start(timer, now.Add(-time.Minute)) // must not loop
		})
	}
	if fired != 3 {
		t.Errorf("fired %d times, want once per Advance", fired)
	}
}

func BenchmarkWheelStartFire(b *testing.B) {
	w := NewWheel(begin)
	timers := make([]Timer, 10000)
	now := begin
	for i := range timers {
		w.Start(&timers[i], now.Add(time.Duration(i)*3*time.Millisecond))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.Start(&timers[i], now.Add(500*time.Millisecond))
		if i++; i == len(timers) {
			i = 0
			now = now.Add(30 * time.Second)
			w.Advance(now, func(t *Timer) { w.Start(t, now.Add(time.Minute)) })
		}
	}
}
