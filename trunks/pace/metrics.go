package pace

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	requestsDesc  = describe("requests_total", "Calls that asked for an admission, by decision.", "cps_key", "decision")
	refusedDesc   = describe("refused_by_carrier_total", "Calls within the limit that the carrier refused because there were too many in a second.", "cps_key")
	limitDesc     = describe("limit", "Calls per second that the key allows.", "cps_key")
	rateDesc      = describe("rate", "Calls per second in force: the limit, or less while the carrier refuses that many.", "cps_key")
	burstDesc     = describe("burst", "Calls that may go out without spacing after a pause.", "cps_key")
	availableDesc = describe("available_tokens", "Calls that would be admitted at once.", "cps_key")
	waitingDesc   = describe("waiting", "Calls that wait for their turn.", "cps_key")
	peakDesc      = describe("peak", "Most admissions in any one second of the last minute.", "cps_key")
	waitDesc      = describe("wait_seconds", "How long admitted calls have waited; those admitted at once have not.", "cps_key", "direction")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("trunkline_cps_"+name, help, labels, nil)
}

// Collector returns the metrics of the limiters that keys returns at each scrape;
// keys must be safe to call from any goroutine.
func Collector(keys func() map[string]Limiter) prometheus.Collector { return collector(keys) }

type collector func() map[string]Limiter

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{requestsDesc, refusedDesc, limitDesc, rateDesc, burstDesc, availableDesc, waitingDesc, peakDesc, waitDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	now := time.Now()
	for name, k := range c() {
		s := k.Stats(now)
		for decision, n := range map[string]uint64{"admitted": s.Counts.Admitted, "delayed": s.Counts.Delayed, "rejected": s.Counts.Rejected, "left": s.Counts.Left} {
			out <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(n), name, decision)
		}
		out <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(s.Counts.Refused), name)
		gauge := func(d *prometheus.Desc, v float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, name)
		}
		gauge(limitDesc, s.Limit.Rate)
		gauge(rateDesc, s.Rate)
		gauge(burstDesc, float64(max(s.Limit.Burst, 1)))
		gauge(availableDesc, float64(s.Available))
		gauge(waitingDesc, float64(s.Counts.Waiting))
		gauge(peakDesc, float64(s.Peak))
		out <- s.Waits.metric(name)
	}
}

// metric is the histogram. Only calls to carriers are paced: outbound ones.
func (w *Waits) metric(name string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(WaitBounds))
	count := uint64(0)
	for i, bound := range WaitBounds {
		count += w.Buckets[i]
		buckets[bound.Seconds()] = count
	}
	count += w.Buckets[len(WaitBounds)]
	return prometheus.MustNewConstHistogram(waitDesc, count, w.Sum.Seconds(), buckets, name, "outbound")
}
