package pace

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	requestsDesc  = describe("requests_total", "Calls that asked for an admission, by decision.", "cps_key", "decision")
	limitDesc     = describe("limit", "Calls per second that the key allows.", "cps_key")
	burstDesc     = describe("burst", "Calls that may go out without spacing after a pause.", "cps_key")
	availableDesc = describe("available_tokens", "Calls that would be admitted at once.", "cps_key")
	waitingDesc   = describe("waiting", "Calls that wait for their turn.", "cps_key")
	peakDesc      = describe("peak", "Most admissions in any one second of the last minute.", "cps_key")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("trunkline_cps_"+name, help, labels, nil)
}

// Collector returns the metrics of the keys that keys returns at each scrape; keys
// must be safe to call from any goroutine.
func Collector(keys func() map[string]*Key) prometheus.Collector { return collector(keys) }

type collector func() map[string]*Key

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{requestsDesc, limitDesc, burstDesc, availableDesc, waitingDesc, peakDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	now := time.Now()
	for name, k := range c() {
		counts, limit := k.Counts(), k.Limit()
		for decision, n := range map[string]uint64{"admitted": counts.Admitted, "delayed": counts.Delayed, "rejected": counts.Rejected, "left": counts.Left} {
			out <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(n), name, decision)
		}
		gauge := func(d *prometheus.Desc, v float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, name)
		}
		gauge(limitDesc, limit.Rate)
		gauge(burstDesc, float64(max(limit.Burst, 1)))
		gauge(availableDesc, float64(k.Available(now)))
		gauge(waitingDesc, float64(counts.Waiting))
		gauge(peakDesc, float64(k.Peak(now)))
	}
}
