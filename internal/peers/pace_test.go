//go:build interop

package peers

import (
	"testing"
	"time"

	"trunkline/internal/carrier"
)

// TestPacing: ten calls a second are allowed and thirty are asked for. The carrier, which refuses the eleventh of any rolling second,
// refuses hardly any: it counts when it gets round to a message, so that a busy machine may make two seconds look like one
// (TestPacedOnTheWire counts by the kernel's clock, and allows none). What cannot wait is refused by the edge, with
// Retry-After, and everything is in the records.
func TestPacing(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	const limit, calls = 10, 120
	s := newStage(t, stageOptions{trunk: "cps_limit: 10"})
	c, err := carrier.Start(t.Context(), carrier.Options{Listen: s.carrier, Contact: "sip:" + s.udp.String(), CPS: limit, Ring: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	start := time.Now()
	r := SIPp{Scenario: scenario("uac-hold.xml"), Local: FreePort(t, AppHost), Remote: s.udp, Service: theirNumber, Calls: calls, Rate: 30,
		Pause: 10 * time.Millisecond, Keys: map[string]string{"caller": ourNumber}, Limit: 40 * time.Second}.Run(t)
	took := time.Since(start)
	s.quiet(t)
	refused := int(c.Throttled())
	if refused > 3 {
		t.Errorf("the carrier refused %d calls", refused)
	}
	if n := c.Peak(); n > limit {
		t.Errorf("%d calls in one second", n)
	}
	t.Logf("%+v in %s; peak %d a second", r, took, c.Peak())
	if least := int(took.Seconds()*limit*0.8) - limit; r.Good < min(least, calls) {
		t.Errorf("only %d calls were good in %s", r.Good, took)
	}
	if r.Repeated != 0 {
		t.Errorf("%+v: who waits hears a 100", r)
	}
	s.Stop()
	outcomes := map[string]int{}
	for _, r := range s.Records() {
		outcomes[r.Outcome]++
	}
	// What the carrier refuses goes out once more in its turn, and is seldom refused again.
	if failed := outcomes["carrier_error"]; outcomes["answered"] != r.Good || failed > refused || outcomes["answered"]+outcomes["throttled"]+failed != calls {
		t.Errorf("%v, SIPp says %+v", outcomes, r)
	}
}

// TestChannelLimit: a trunk of ten channels carries ten calls and refuses the others; when they end there is room again.
func TestChannelLimit(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	s := newStage(t, stageOptions{trunk: "max_calls: 10"})
	for range 2 {
		if r := s.load(t, run{calls: 30, rate: 100, hold: 2 * time.Second, scenario: "uac-hold.xml"}); r.Good != 10 || r.Failed != 20 || r.Repeated != 0 {
			t.Errorf("%+v, want 10 good", r)
		}
	}
	if n := s.Metrics().Sum("trunkline_call_rejections_total", `reason="limit_channels"`); n != 40 {
		t.Errorf("%g refusals are counted, want 40", n)
	}
}

// TestCarrierTakesFewer: twenty calls a second are configured, the carrier takes eight, and twelve are asked for. Few are refused before
// the edge sends eight, no caller hears of those, and the metrics and one line of log say so.
func TestCarrierTakesFewer(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	s := newStage(t, stageOptions{trunk: "cps_limit: 20"})
	c, err := carrier.Start(t.Context(), carrier.Options{Listen: s.carrier, Contact: "sip:" + s.udp.String(), CPS: 8, CPSRetryAfter: -1, Dialect: carrier.Telnyx, Ring: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r := SIPp{Scenario: scenario("uac-hold.xml"), Local: FreePort(t, AppHost), Remote: s.udp, Service: theirNumber, Calls: 120, Rate: 12,
		Pause: 10 * time.Millisecond, Keys: map[string]string{"caller": ourNumber}, Limit: 40 * time.Second}.Run(t)
	m := s.Metrics()
	refused, rate := m.Sum("trunkline_cps_refused_by_carrier_total"), m.Sum("trunkline_cps_rate")
	t.Logf("%+v; the carrier refused %g, %g a second in force", r, refused, rate)
	if refused == 0 || refused != float64(c.Throttled()) || refused > 20 {
		t.Errorf("the carrier refused %d calls, and %g are counted", c.Throttled(), refused)
	}
	if rate > 8 {
		t.Errorf("%g a second in force", rate)
	}
	if r.Good < 60 {
		t.Errorf("%+v", r)
	}
	s.WaitForLog(time.Second, "the carrier takes fewer calls a second than cps_limit")
}
