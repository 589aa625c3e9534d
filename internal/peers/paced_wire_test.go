//go:build interop && linux

package peers

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// pacedFor is how long each load of TestPacedByCapture lasts: -paced 60s for the figures of docs/speed.md.
var pacedFor = flag.Duration("paced", 6*time.Second, "how long each load of TestPacedByCapture lasts")

// TestPacedByCapture: three trunks share a key of 40 calls a second and are offered that, twice that and ten times that by
// SIPp, most of it to the first. What a capture of the wire shows is never more than 40 INVITEs in any rolling second, nearly all of them,
// and each trunk has its part.
func TestPacedByCapture(t *testing.T) {
	Need(t, "sipp")
	const limit = 40
	edge, carrier := FreePort(t, EdgeHost), FreePort(t, CarrierHost)
	var config strings.Builder
	fmt.Fprintf(&config, "sip: {listen: [\"udp://%s\"]}\nmedia: {relay: false}\ntrunks:\n", edge)
	callers := []string{"+15550000001", "+15550000002", "+15550000003"}
	for i := range callers {
		fmt.Fprintf(&config, "  - {name: trunk%d, server: \"%s\", source_addresses: [127.0.0.%d], cps_key: shared, cps_limit: %d}\n", i, carrier, 201+i, limit+10*i)
	}
	fmt.Fprintf(&config, "agents: [{name: app, destinations: [{uri: \"sip:%s\"}], source_addresses: [%s]}]\nnumbers:\n", FreePort(t, AppHost), AppHost)
	for i, number := range callers {
		fmt.Fprintf(&config, "  - {number: %q, trunk: trunk%d, outbound_agent: app}\n", number, i)
	}
	e := StartEdge(t, EdgeOptions{Config: config.String()})
	SIPp{Scenario: scenario("uas.xml"), Local: carrier}.Start(t)
	for _, times := range []int{1, 2, 10} {
		t.Run(fmt.Sprintf("%d times the limit", times), func(t *testing.T) {
			wire := StartCapture(t, carrier, func(text string) bool { return strings.HasPrefix(text, "INVITE ") })
			var offering sync.WaitGroup
			start := time.Now()
			for i, part := range []float64{0.6, 0.2, 0.2} {
				rate := int(part * float64(times*limit))
				s := SIPp{Scenario: scenario("uac-hold.xml"), Local: FreePort(t, AppHost), Remote: edge, Service: theirNumber, Calls: int(float64(rate) * pacedFor.Seconds()),
					Rate: rate, Pause: 10 * time.Millisecond, Keys: map[string]string{"caller": callers[i]}, Limit: *pacedFor + 30*time.Second}
				p := s.Start(t)
				offering.Go(func() { <-p.Done() }) // ends with its calls
			}
			offering.Wait()
			checkPaced(t, wire.Taken(), limit, times, start, callers)
		})
	}
	if t.Failed() {
		t.Log(e.Log())
	}
}

func checkPaced(t *testing.T, wire []Captured, limit, times int, start time.Time, callers []string) {
	t.Helper()
	var at []time.Time
	byCaller, known := map[string]int{}, map[string]bool{}
	from, to := start.Add(2*time.Second), start.Add(*pacedFor) // it is offered in all of it
	inside := 0
	for _, m := range wire {
		if via := m.Header("Via"); !known[via] { // a copy is no call
			known[via] = true
			at = append(at, m.At)
			caller, _, _ := strings.Cut(strings.TrimPrefix(m.Header("From"), "<sip:"), "@")
			byCaller[caller]++
			if m.At.After(from) && m.At.Before(to) {
				inside++
			}
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	busiest, first := 0, 0
	for last := range at {
		for at[last].Sub(at[first]) >= time.Second {
			first++
		}
		busiest = max(busiest, last-first+1)
	}
	goodput := float64(inside) / to.Sub(from).Seconds() / float64(limit)
	t.Logf("%d INVITEs, %d in the busiest second of %d allowed, %.1f %% of the limit in %s under load, by caller %v", len(at), busiest, limit, 100*goodput, to.Sub(from), byCaller)
	if busiest > limit {
		t.Errorf("%d INVITEs in a rolling second at a limit of %d", busiest, limit)
	}
	least, part := 0.8, 0.7 // a machine that is busy elsewhere serves late, never early
	if *pacedFor >= time.Minute {
		least, part = 0.99, 0.95
	}
	if times > 1 && goodput < least {
		t.Errorf("%.3f of the limit went out", goodput)
	}
	for _, caller := range callers {
		share := min(0.2*float64(times), 1.0/3)
		if n := byCaller[caller]; float64(n) < part*share*float64(limit)*pacedFor.Seconds() {
			t.Errorf("%s had %d of %d: starved", caller, n, len(at))
		}
	}
}
