//go:build interop

package peers

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestUnreachableTrunk: an edge starts whatever its trunks do, and a call to one where nobody listens fails at once, over each
// transport: the application hears a 503 or 502, not 32 seconds of silence, and the record says why.
func TestUnreachableTrunk(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			s := newStage(t, stageOptions{transport: transport, appTransport: "udp"})
			start := time.Now()
			r := SIPp{Scenario: scenario("uac.xml"), Local: FreePort(t, AppHost), Remote: s.udp, Service: theirNumber, Calls: 5, Rate: 50,
				Keys: map[string]string{"caller": ourNumber}, Limit: 10 * time.Second}.Run(t)
			if took := time.Since(start); r.Failed != 5 || took > 5*time.Second {
				t.Errorf("%+v after %s", r, took)
			}
			s.quiet(t)
			s.Stop()
			records := s.Records()
			if len(records) != 5 {
				t.Errorf("%d records", len(records))
			}
			for _, r := range records {
				if r.Outcome == "answered" || r.Code < 500 || r.Ended.Sub(r.Started) > time.Second {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestSilentTrunk: a carrier that takes packets and says nothing costs Timer B and no more; the INVITE is repeated as RFC 3261 wants.
func TestSilentTrunk(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	s := newStage(t, stageOptions{trunk: "timers: {timer_b: 4s}"})
	silent, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.carrier))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var arrived []time.Duration
	var reading sync.WaitGroup
	reading.Go(func() { // ends when the socket is closed
		buffer := make([]byte, 65536)
		var first time.Time
		for {
			n, err := silent.Read(buffer)
			if err != nil {
				return
			}
			if strings.HasPrefix(string(buffer[:n]), "INVITE ") {
				if first.IsZero() {
					first = time.Now()
				}
				arrived = append(arrived, time.Since(first).Round(100*time.Millisecond))
			}
		}
	})
	r := SIPp{Scenario: scenario("uac.xml"), Local: FreePort(t, AppHost), Remote: s.udp, Service: theirNumber, Calls: 1,
		Keys: map[string]string{"caller": ourNumber}, Limit: 15 * time.Second}.Run(t)
	if r.Failed != 1 {
		t.Errorf("%+v", r)
	}
	silent.Close()
	reading.Wait()
	want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond}
	for i := range want {
		if len(arrived) != len(want) || (arrived[i]-want[i]).Abs() > 200*time.Millisecond {
			t.Fatalf("INVITEs came after %v, want %v", arrived, want)
		}
	}
	s.Stop()
	if records := s.Records(); len(records) != 1 || records[0].Outcome != "timeout" && records[0].Outcome != "carrier_error" {
		t.Errorf("%+v", records)
	}
}

// TestAgentGoesAway: an application that dies in the middle of its calls leaves nothing behind: the carrier's hang-up is answered at
// once, and the edge gives the other side up.
func TestAgentGoesAway(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			s := newStage(t, stageOptions{transport: transport})
			answering := SIPp{Scenario: scenario("uas.xml"), Local: s.app, Transport: transport}.Start(t)
			time.AfterFunc(time.Second, answering.Kill)
			r := SIPp{Scenario: scenario("uac-hold.xml"), Local: FreePort(t, CarrierHost), Remote: s.udp, Transport: transport, Service: ourNumber,
				Calls: 50, Rate: 200, Pause: 2 * time.Second, Keys: map[string]string{"caller": theirNumber}, Limit: 20 * time.Second}.Run(t)
			if r.Good != 50 || r.Repeated != 0 {
				t.Errorf("%+v", r)
			}
			s.quiet(t) // nobody listens there: that is known at once, not after 32 s
			s.Stop()
			checkRecords(t, s.Edge, 50)
		})
	}
}
