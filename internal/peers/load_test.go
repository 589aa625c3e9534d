//go:build interop

package peers

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// fullLoad asks for the load that releases are measured by; what runs otherwise fits beside other tests on two cores.
func fullLoad() bool { return os.Getenv("TRUNKLINE_LOAD") == "full" }

// footprint is what an edge takes.
type footprint struct{ goroutines, files, heap, resident float64 }

func (s *stage) footprint() footprint {
	m := s.Metrics()
	// The collector's next goal is what was alive at its last run, plus the allowance of GOGC.
	return footprint{m["go_goroutines"], m["process_open_fds"], m["go_memstats_next_gc_bytes"] / (1 + float64(collectorPercent)/100), m["process_resident_memory_bytes"]}
}

const collectorPercent = 50 // GOGC of edges whose heap is looked at: more collections, so that the figure is of now

// settled are the options of an edge whose memory is compared: the ring of messages is full soon.
func settled(relay bool) stageOptions {
	return stageOptions{relay: relay, media: fmt.Sprintf("ports: 10000-%d", 10000+mediaPorts()-1), more: "trace: {memory: 2MiB}", env: []string{"GOGC=" + fmt.Sprint(collectorPercent)}}
}

// mediaPorts are few enough that each is used many times.
func mediaPorts() int {
	if fullLoad() {
		return 10000
	}
	return 4000
}

// returnsTo waits until the edge takes no more than before: finished transactions are remembered for 32 s, sockets of media are
// closed bit by bit after 30 s, the heap is collected every two minutes at the latest, and what is pooled for the next calls may stay.
func (s *stage) returnsTo(t *testing.T, before footprint, pooled float64) {
	t.Helper()
	var now footprint
	start := time.Now()
	for time.Since(start) < 150*time.Second {
		now = s.footprint()
		m := s.Metrics()
		if m.Sum("trunkline_sip_transaction_memory_bytes") == 0 && m.Sum("trunkline_sip_transactions") == 0 &&
			now.goroutines <= before.goroutines+2 && now.files <= before.files+float64(mediaPorts()) && now.heap <= before.heap+pooled {
			t.Logf("before: %.0f; back after %.0f s: %.0f", before, time.Since(start).Seconds(), now)
			return
		}
		time.Sleep(500 * time.Millisecond) // a scrape is work too
	}
	t.Errorf("before: %.0f; two and a half minutes after the last call: %.0f", before, now)
}

// run is one SIPp calling another through the edge over UDP.
type run struct {
	calls, rate int
	hold        time.Duration
	scenario    string        // of the caller; empty: uac.xml
	during      func()        // called once a second
	ends        time.Duration // when the last call is over, after SIPp is; zero: 10 s
}

func (s *stage) load(t *testing.T, r run) Result {
	t.Helper()
	if r.scenario == "" {
		r.scenario = "uac.xml"
	}
	caller := FreePort(t, CarrierHost)
	answering := SIPp{Scenario: scenario("uas.xml"), Local: s.app}.Start(t)
	length := time.Duration(r.calls)*time.Second/time.Duration(r.rate) + r.hold
	call := SIPp{Scenario: scenario(r.scenario), Local: caller, Remote: s.udp, Service: ourNumber, Calls: r.calls, Rate: r.rate, Pause: r.hold,
		Open: r.calls + 1000, Keys: map[string]string{"caller": theirNumber}, Limit: length + 30*time.Second}
	calling, statistics := call.start(t)
	dropped := 0
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-calling.Done():
			over = true
		case <-tick.C:
			dropped = DatagramsDropped(caller, s.app, s.udp)
			if r.during != nil {
				r.during()
			}
		}
	}
	if r.ends == 0 {
		r.ends = 10 * time.Second
	}
	Eventually(t, r.ends, "no call is left", func() bool { return s.Metrics().Sum("trunkline_calls") == 0 }) // before the callee is stopped
	answering.Stop()
	result, err := readStatistics(statistics)
	if err != nil {
		t.Fatal(err)
	}
	if dropped > 0 {
		t.Logf("the kernel dropped %d datagrams: %d of them at the edge", dropped, DatagramsDropped(s.udp))
	}
	return result
}

// TestLoad: every call of a steady load is good, in the records, and gone afterwards; the edge repeats nothing.
func TestLoad(t *testing.T) {
	Need(t, "sipp")
	rate, seconds := 500, 12
	if fullLoad() {
		rate, seconds = 1000, 60
	}
	s := newStage(t, settled(true))
	before := s.footprint()
	scrapes := 0
	r := s.load(t, run{calls: rate * seconds, rate: rate, hold: 100 * time.Millisecond, during: func() { s.Metrics(); scrapes++ }})
	if r.Good != rate*seconds || r.Failed != 0 {
		t.Errorf("%+v, want %d good", r, rate*seconds)
	}
	m := s.Metrics()
	if n := m.Sum("trunkline_sip_retransmissions_total"); r.Repeated != 0 || n != 0 {
		t.Errorf("SIPp repeated %d messages; the edge sent or saw %g again", r.Repeated, n)
	}
	s.returnsTo(t, before, 4<<20)
	s.Stop()
	checkRecords(t, s.Edge, rate*seconds)
}

// checkRecords: so many answered calls, each once.
func checkRecords(t *testing.T, e *Edge, want int) {
	t.Helper()
	records, ids := e.Records(), map[string]bool{}
	for _, r := range records {
		ids[r.ID] = true
		if r.Outcome != "answered" || r.EndedBy != "caller" || r.Answered.IsZero() || r.Ended.Before(r.Answered) {
			t.Fatalf("%+v", r)
		}
	}
	if len(records) != want || len(ids) != want {
		t.Errorf("%d records of %d calls, want %d", len(records), len(ids), want)
	}
}

// TestHeldCalls: thousands of calls are up at once and end; then memory is what it was.
func TestHeldCalls(t *testing.T) {
	Need(t, "sipp")
	calls, rate := 2000, 500
	if fullLoad() {
		calls, rate = 10000, 1000
	}
	s := newStage(t, settled(false))
	before := s.footprint()
	top, resident := 0.0, 0.0
	r := s.load(t, run{calls: calls, rate: rate, hold: time.Duration(calls/rate+3) * time.Second, scenario: "uac-hold.xml", during: func() {
		top, resident = max(top, s.Metrics().Sum("trunkline_calls", `state="answered"`)), max(resident, s.footprint().resident)
	}})
	if r.Good != calls || r.Failed != 0 || r.Repeated != 0 {
		t.Errorf("%+v, want %d good", r, calls)
	}
	if int(top) != calls {
		t.Errorf("only %g of %d calls were up at once", top, calls)
	}
	t.Logf("%g calls were up at once for %.1f KiB each at most", top, (resident-before.resident)/1024/top)
	s.returnsTo(t, before, 8<<20)
}
