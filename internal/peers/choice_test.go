//go:build interop

package peers

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestCallsMoveToTheNextTrunk: SIPp calls out through an edge whose first trunk refuses every call with 503, whose second is not there at all
// and whose third answers. Every call is answered by the third, as one record with its tries, and each trunk counts its own. Once
// OPTIONS have found the second down calls pass it over; a number that has only that one hears 503 at once, and no INVITE is risked.
func TestCallsMoveToTheNextTrunk(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	const calls = 40
	at := FreePort(t, EdgeHost)
	refusing, gone, answering := FreePort(t, CarrierHost), FreePort(t, CarrierHost), FreePort(t, CarrierHost)
	e := StartEdge(t, EdgeOptions{Config: fmt.Sprintf(`sip: {listen: ["udp://%s"]}
media: {relay: true, ports: 32000-32999}
trunks:
  - {name: refusing, server: "%s", number_format: digits}
  - {name: gone, server: "%s", health: {interval: 1s, misses: 2}}
  - {name: answering, server: "%s", trusted: true}
agents: [{name: app, source_addresses: [%s]}]
numbers:
  - {number: "%s", trunk: refusing, outbound_agent: app, routes: [{trunk: refusing, priority: 1}, {trunk: gone, priority: 2}, {trunk: answering, priority: 3}]}
  - {number: "+15550005678", trunk: gone, outbound_agent: app}
`, at, refusing, gone, answering, AppHost, ourNumber)})
	first := SIPp{Scenario: scenario("uas-503.xml"), Local: refusing}.Start(t)
	defer first.Stop()
	last := SIPp{Scenario: scenario("uas.xml"), Local: answering}.Start(t)
	defer last.Stop()
	Eventually(t, 20*time.Second, "the trunk that is not there is down", func() bool {
		m := e.Metrics()
		return m.Sum("trunkline_trunk_options_total", `trunk="gone"`, `result="unreachable"`) >= 2 && m.Sum("trunkline_trunk_up", `trunk="gone"`) == 0
	})
	call := func(number string, calls int) Result {
		return SIPp{Scenario: scenario("uac.xml"), Local: FreePort(t, AppHost), Remote: at, Service: theirNumber, Calls: calls, Rate: 20,
			Pause: 100 * time.Millisecond, Keys: map[string]string{"caller": number}, Limit: 40 * time.Second}.Run(t)
	}
	if r := call(ourNumber, calls); r.Good != calls || r.Failed != 0 || r.Repeated != 0 {
		t.Errorf("%+v, want %d good calls", r, calls)
	}
	if r := call("+15550005678", calls); r.Failed != calls {
		t.Errorf("%+v where every trunk is down", r)
	}
	Eventually(t, 10*time.Second, "no call is left", func() bool { return e.Metrics().Sum("trunkline_calls") == 0 })
	m := e.Metrics()
	for series, want := range map[string]float64{
		"trunkline_call_results_total refusing carrier_error": calls,
		"trunkline_call_results_total answering answered":     calls,
		"trunkline_trunk_up refusing":                         1,
	} {
		words := strings.Fields(series)
		labels := []string{`trunk="` + words[1] + `"`}
		if len(words) > 2 {
			labels = append(labels, `outcome="`+words[2]+`"`)
		}
		if got := m.Sum(words[0], labels...); got != want {
			t.Errorf("%s is %g, want %g", series, got, want)
		}
	}
	// A server that never answered OPTIONS may be proven up by a call alone: one in an interval is tried there.
	const trials = 10
	if n := m.Sum("trunkline_call_attempts_total", `trunk="gone"`); n > trials {
		t.Errorf("%g calls were tried at a trunk that is down", n)
	}
	if n := m.Sum("trunkline_call_rejections_total", `reason="trunk_down"`); n < calls-trials || n > calls {
		t.Errorf("%g refusals are counted, want %d or a few less", n, calls)
	}
	if n := m.Sum("trunkline_trunk_options_total", `trunk="gone"`, `result="unreachable"`); n < 2 {
		t.Errorf("%g OPTIONS found nobody", n)
	}
	e.Stop()
	stories := map[string]int{}
	for _, r := range e.Records() {
		var tries []string
		for _, try := range r.Tries {
			try.Target = ""
			tries = append(tries, try.String())
		}
		stories[r.Outcome+": "+strings.Join(tries, ", ")]++
	}
	answered := 0
	for story, n := range stories {
		if strings.HasPrefix(story, "answered: refusing 503, ") && strings.HasSuffix(story, "answering 200") {
			answered += n
		}
	}
	if answered != calls || stories["answered: refusing 503, gone trunk_down, answering 200"] == 0 {
		t.Errorf("records: %v, want %d calls answered by the third trunk, most of them past one that is down", stories, calls)
	}
}
