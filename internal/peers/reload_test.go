//go:build interop

package peers

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// TestReloadUnderLoad: SIGHUP after SIGHUP, with other trunks, numbers and mistakes each time, is not heard in any call.
func TestReloadUnderLoad(t *testing.T) {
	Need(t, "sipp")
	s := newStage(t, stageOptions{relay: true, media: "ports: 10000-13999"})
	o, reloads := s.options, 0
	r := s.load(t, run{calls: 2400, rate: 300, hold: 500 * time.Millisecond, during: func() {
		for range 4 {
			reloads++
			o.trunk = fmt.Sprintf("cps_limit: %d\n    max_calls: %d", 1000+reloads, 5000+reloads)
			o.more = fmt.Sprintf("log: {level: %s}", []string{"info", "warn", "error", "nonsense"}[reloads%4])
			s.Configure(EdgeOptions{Config: s.config(o)})
			s.Signal(syscall.SIGHUP)
			time.Sleep(20 * time.Millisecond) // two signals that are not yet delivered are one
		}
	}})
	if r.Good != 2400 || r.Repeated != 0 {
		t.Errorf("%+v after %d reloads", r, reloads)
	}
	s.Stop()
	checkRecords(t, s.Edge, 2400)
}

// TestLoadOverStreams: all calls over one connection on each side, TCP and TLS.
func TestLoadOverStreams(t *testing.T) {
	Need(t, "sipp")
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			s := newStage(t, stageOptions{transport: transport})
			s.playAt(t, "inbound", transport, "uac.xml", "uas.xml", 1500, 300)
			s.Stop()
			checkRecords(t, s.Edge, 1500)
		})
	}
}

// TestDrainUnderLoad: SIGTERM in the middle of a load: calls that are up end in order, new ones are refused, the edge ends by itself
// with status 0, and every call has its record.
func TestDrainUnderLoad(t *testing.T) {
	Need(t, "sipp")
	s := newStage(t, stageOptions{relay: true, media: "ports: 10000-13999"})
	answering := SIPp{Scenario: scenario("uas.xml"), Local: s.app}.Start(t)
	calling, statistics := SIPp{Scenario: scenario("uac-hold.xml"), Local: FreePort(t, CarrierHost), Remote: s.udp, Service: ourNumber, Calls: 800, Rate: 200,
		Pause: time.Second, Keys: map[string]string{"caller": theirNumber}, Limit: 30 * time.Second}.start(t)
	time.Sleep(2 * time.Second)
	up := s.Metrics().Sum("trunkline_calls", `state="answered"`)
	s.Signal(syscall.SIGTERM)
	if status := s.Wait(15 * time.Second); status != 0 {
		t.Errorf("exit status %d", status)
	}
	calling.Stop()
	answering.Stop()
	r, err := readStatistics(statistics)
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	for _, r := range s.Records() {
		outcomes[r.Outcome]++
		if r.Outcome == "answered" && (r.EndedBy != "caller" || r.Ended.Sub(r.Answered) < 900*time.Millisecond) {
			t.Errorf("%+v", r)
		}
	}
	t.Logf("%g calls were up at the signal; %+v; %v", up, r, outcomes)
	if up < 100 || outcomes["answered"] < r.Good || outcomes["answered"] > r.Good+1 {
		t.Errorf("%g calls were up, %d records of answered calls, SIPp says %+v", up, outcomes["answered"], r)
	}
}
