package register_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	run(t, oneTrunk, func(w *world) {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(w.keeper)
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
		want := func(text string) {
			t.Helper()
			if err := testutil.GatherAndCompare(registry, strings.NewReader(text),
				"trunkline_registration_state", "trunkline_registration_attempts_total", "trunkline_registration_expiry_timestamp_seconds"); err != nil {
				t.Error(err)
			}
		}
		attempts := func(counts string) string { // ok, unregistered, auth_failed, rejected, unreachable
			n := strings.Fields(counts)
			return `# HELP trunkline_registration_attempts_total REGISTERs that have ended, by result.
# TYPE trunkline_registration_attempts_total counter
trunkline_registration_attempts_total{result="ok",trunk="carrier"} ` + n[0] + `
trunkline_registration_attempts_total{result="unregistered",trunk="carrier"} ` + n[1] + `
trunkline_registration_attempts_total{result="auth_failed",trunk="carrier"} ` + n[2] + `
trunkline_registration_attempts_total{result="rejected",trunk="carrier"} ` + n[3] + `
trunkline_registration_attempts_total{result="unreachable",trunk="carrier"} ` + n[4] + "\n"
		}
		state := func(in string) string {
			var text strings.Builder
			text.WriteString("# HELP trunkline_registration_state 1 for the state the trunk's registration is in.\n# TYPE trunkline_registration_state gauge\n")
			for _, s := range []string{"auth_failed", "disabled", "registered", "registering", "rejected", "unreachable"} {
				value := "0"
				if s == in {
					value = "1"
				}
				text.WriteString(`trunkline_registration_state{state="` + s + `",trunk="carrier"} ` + value + "\n")
			}
			return text.String()
		}
		m := w.next(time.Second)
		want(attempts("0 0 0 0 0") + state("registering"))
		w.answer(m, 500)
		want(attempts("0 0 0 1 0") + state("rejected"))
		w.granted(w.next(8*time.Second), 60)
		want(attempts("1 0 0 1 0") + state("registered") + `# HELP trunkline_registration_expiry_timestamp_seconds When the binding ends.
# TYPE trunkline_registration_expiry_timestamp_seconds gauge
trunkline_registration_expiry_timestamp_seconds{trunk="carrier"} ` + fmt.Sprint(float64(w.status().Expires.Unix())) + "\n")
	})
}
