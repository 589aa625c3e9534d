//go:build interop

package peers

import (
	"sync"
	"syscall"
	"testing"
	"time"
)

// slow gives a program a sixth of a CPU, by stopping it again and again, until the function returned is called.
func slow(p *Process) (stop func()) {
	const runs, rests = 4 * time.Millisecond, 20 * time.Millisecond
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // ends with stop
		for {
			p.Signal(syscall.SIGSTOP)
			time.Sleep(rests)
			p.Signal(syscall.SIGCONT)
			select {
			case <-done:
				return
			case <-time.After(runs):
			}
		}
	})
	return func() { close(done); all.Wait() }
}

// TestTwiceTheLoad: an edge with a sixth of a CPU is offered more and more calls until it refuses some, and then twice as many as that for
// ten seconds. Each is good or refused with 503 at once, the refusals cost it little, and nothing is left (OVL-02).
func TestTwiceTheLoad(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	s := newStage(t, stageOptions{more: "trace: {memory: 2MiB}\nlog: {level: warn}", env: []string{"GOGC=50"}})
	before := s.footprint()
	stop := slow(s.Process)
	defer func() { stop() }()
	refused := func() float64 { return s.Metrics().Sum("trunkline_call_rejections_total", `reason="overload"`) }
	offer := func(rate, seconds int) (r Result, refusals float64) {
		was := refused()
		r = s.load(t, run{calls: rate * seconds, rate: rate, hold: 100 * time.Millisecond, ends: time.Minute}) // a lost answer of SIPp's is never repeated: timer B
		return r, refused() - was
	}
	carries := 0 // calls a second
	for rate := 250; ; rate *= 2 {
		r, refusals := offer(rate, 2)
		carries = max(carries, r.Good/2)
		if refusals > float64(rate)/10 {
			break
		}
		if rate > 16_000 {
			t.Fatalf("%d calls a second are still carried: there is no more to offer", carries)
		}
	}
	const seconds = 10
	r, refusals := offer(2*carries, seconds)
	t.Logf("%d calls a second are carried; of %d a second %.0f are good, %.0f refused; SIPp repeated %d messages", carries, 2*carries,
		float64(r.Good)/seconds, refusals/seconds, r.Repeated)
	// A collapse is four repeated messages a call; some are the machine's, which has other work.
	if r.Failed == 0 || r.Failed-int(refusals) > r.Created/100 || r.Repeated > r.Created {
		t.Errorf("%+v, of which %.0f were refused", r, refusals)
	}
	if r.Good < carries*seconds/3 {
		t.Errorf("%d calls a second are good at twice the load, %d at half of it", r.Good/seconds, carries)
	}
	Eventually(t, 60*time.Second, "nothing is left of it", func() bool {
		m, now := s.Metrics(), s.footprint()
		return m.Sum("trunkline_calls") == 0 && m.Sum("trunkline_sip_transactions") == 0 && m.Sum("trunkline_sip_transaction_memory_bytes") == 0 &&
			m.Sum("trunkline_sip_shards_overloaded") == 0 && now.goroutines <= before.goroutines+6 && now.files <= before.files+4
	})
}
