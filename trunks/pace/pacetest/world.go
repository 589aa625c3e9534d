package pacetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"trunkline/trunks/pace"
)

// load is what is offered to one key.
type load struct {
	limit    pace.Limit
	times    float64       // the limit's rate
	trunks   int           // that offer, all the same
	during   time.Duration // the offers come
	patience time.Duration // of each call
	leaves   float64       // part of the calls that give up while they wait
	late     time.Duration // up to so long lies between an admission and the wire
	seed     uint64
}

func (l load) String() string {
	return fmt.Sprintf("%g calls a second burst %d queue %d, %.1f times that from %d trunks for %s, patience %s, %.0f %% leave, %s late, seed %d",
		l.limit.Rate, l.limit.Burst, l.limit.Queue, l.times, l.trunks, l.during, l.patience, 100*l.leaves, l.late, l.seed)
}

// seen is what came of a load.
type seen struct {
	mu       sync.Mutex
	admitted []time.Time
	sent     []time.Time
	byTrunk  map[string]int
	offered  int
	at       [4]int // by result
	longest  int    // queue
	mistakes []string
}

// What became of a call.
const (
	admitted = iota
	delayed
	rejected
	left
)

// mistake notes what a limiter should not have done. s.mu is held.
func (s *seen) mistake(format string, args ...any) {
	if len(s.mistakes) < 10 {
		s.mistakes = append(s.mistakes, fmt.Sprintf(format, args...))
	}
}

// world is a key, whoever serves it, and callers.
type world struct {
	seen
	limiter pace.Limiter
	load    load
	name    string // its trunks' names begin so
	kick    chan struct{}
	sending sync.WaitGroup
	refuses func(at time.Time) (after time.Duration, refused bool) // the carrier; nil: takes all
}

// run offers the load and returns when all calls have come to something. It must run in a bubble.
func (w *world) run() {
	w.byTrunk, w.kick = map[string]int{}, make(chan struct{}, 1)
	done := make(chan struct{})
	var serving, calling sync.WaitGroup
	serving.Go(func() { w.serve(done) }) // ends with done
	for i := range w.load.trunks {
		calling.Go(func() { w.offer(fmt.Sprint(w.name, "trunk", i), rand.New(rand.NewPCG(w.load.seed, uint64(i)))) }) // ends with the load
	}
	calling.Wait()
	time.Sleep(w.load.patience + w.load.late + time.Second)
	w.sending.Wait()
	close(done)
	serving.Wait()
}

// serve does what the owner of a key does: it comes back when the key says so.
func (w *world) serve(done <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w.limiter.Serve(time.Now())
		at, waiting := w.limiter.Next()
		if waiting {
			timer.Reset(max(time.Until(at), 0))
		} else {
			timer.Reset(time.Hour)
		}
		select {
		case <-timer.C:
		case <-w.kick:
		case <-done:
			return
		}
	}
}

// offer has one trunk's calls come at random.
func (w *world) offer(trunk string, r *rand.Rand) {
	each := w.load.limit.Rate * w.load.times / float64(w.load.trunks)
	end := time.Now().Add(w.load.during)
	for {
		time.Sleep(time.Duration(r.ExpFloat64() / each * float64(time.Second)))
		if !time.Now().Before(end) {
			return
		}
		w.call(trunk, r)
	}
}

// call asks for one admission, waits for it if it must, and may give up.
func (w *world) call(trunk string, r *rand.Rand) {
	late := time.Duration(0)
	if w.load.late > 0 {
		late = time.Duration(r.Int64N(int64(w.load.late)))
	}
	now := time.Now()
	deadline := now.Add(w.load.patience)
	told := 0
	result := func(what int, ticket pace.Ticket) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if told++; told > 1 {
			w.mistake("a call of %s was told its result %d times", trunk, told)
		}
		w.at[what]++
		if what != admitted && what != delayed {
			return
		}
		if time.Now().After(deadline) {
			w.mistake("a call of %s was admitted %s after its deadline", trunk, time.Since(deadline))
		}
		w.admitted = append(w.admitted, time.Now())
		w.byTrunk[trunk]++
		w.sending.Go(func() { w.send(ticket, late) }) // ends with the answer
	}
	w.mu.Lock()
	w.offered++
	w.mu.Unlock()
	if ticket, ok := w.limiter.Admit(now); ok {
		result(admitted, ticket)
		return
	}
	waiter := &pace.Waiter{
		Deadline: deadline,
		Granted:  func(t pace.Ticket) { result(delayed, t) },
		Expired:  func() { result(rejected, pace.Ticket{}) },
	}
	if !w.limiter.Wait(now, trunk, waiter) {
		result(rejected, pace.Ticket{})
		return
	}
	n := w.limiter.Stats(now).Counts.Waiting
	w.mu.Lock()
	w.longest = max(w.longest, n)
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
	if r.Float64() >= w.load.leaves {
		return
	}
	patience := time.Duration(r.Int64N(int64(w.load.patience)))
	w.sending.Go(func() { // ends with the caller's patience
		time.Sleep(patience)
		if w.limiter.Leave(waiter) {
			result(left, pace.Ticket{})
		}
		if w.limiter.Leave(waiter) {
			w.mu.Lock()
			w.mistake("a call of %s could leave twice", trunk)
			w.mu.Unlock()
		}
	})
}

// send puts the INVITE of an admission on the wire, a little later, and hears the carrier's answer.
func (w *world) send(ticket pace.Ticket, late time.Duration) {
	time.Sleep(late)
	now := time.Now()
	w.limiter.Sent(ticket, now)
	w.mu.Lock()
	w.sent = append(w.sent, now)
	after, refused := time.Duration(0), false
	if w.refuses != nil {
		after, refused = w.refuses(now)
	}
	w.mu.Unlock()
	if refused {
		time.Sleep(20 * time.Millisecond)
		w.limiter.Refused(time.Now(), ticket, after)
	}
}
