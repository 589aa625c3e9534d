package health

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/trunks"
)

var (
	upDesc = prometheus.NewDesc("trunkline_trunk_up",
		"0 while every server of the trunk is down.", []string{"trunk"}, nil)
	optionsDesc = prometheus.NewDesc("trunkline_trunk_options_total",
		"OPTIONS to the trunk that have ended, by result.", []string{"trunk", "result"}, nil)
	secondsDesc = prometheus.NewDesc("trunkline_trunk_options_seconds",
		"OPTIONS to their final response.", []string{"trunk"}, nil)
)

// results are the values of the label result.
var results = [...]string{
	trunks.OptionsAnswered: "answered", trunks.OptionsRefused: "refused",
	trunks.OptionsSilent: "silent", trunks.OptionsUnreachable: "unreachable",
}

// bounds of the buckets, in seconds.
var bounds = [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5}

// counts are those of one trunk.
type counts struct {
	results [len(results)]uint64
	buckets [len(bounds) + 1]uint64
	sum     float64
}

// counted notes how an OPTIONS ended and how long that took.
func (w *Watcher) counted(trunk string, s trunks.Sign, took time.Duration) {
	w.counting.Lock()
	defer w.counting.Unlock()
	c := w.counts[trunk]
	if c == nil {
		c = new(counts)
		w.counts[trunk] = c
	}
	c.results[s]++
	if s != trunks.OptionsAnswered && s != trunks.OptionsRefused {
		return
	}
	i, seconds := 0, took.Seconds()
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	c.buckets[i]++
	c.sum += seconds
}

// Describe implements prometheus.Collector.
func (w *Watcher) Describe(out chan<- *prometheus.Desc) {
	out <- upDesc
	out <- optionsDesc
	out <- secondsDesc
}

// Collect implements prometheus.Collector.
func (w *Watcher) Collect(out chan<- prometheus.Metric) {
	w.mu.Lock()
	s := w.snapshot
	w.mu.Unlock()
	if s == nil {
		return
	}
	for _, t := range s.Trunks {
		up := 1.0
		if t.Down() {
			up = 0
		}
		out <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, up, t.Name)
		if t.Health.Interval > 0 {
			w.collect(out, t.Name)
		}
	}
}

func (w *Watcher) collect(out chan<- prometheus.Metric, trunk string) {
	w.counting.Lock()
	defer w.counting.Unlock()
	c := w.counts[trunk]
	if c == nil {
		c = new(counts)
	}
	for i, n := range c.results {
		out <- prometheus.MustNewConstMetric(optionsDesc, prometheus.CounterValue, float64(n), trunk, results[i])
	}
	buckets, count := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, bound := range bounds {
		count += c.buckets[i]
		buckets[bound] = count
	}
	count += c.buckets[len(bounds)]
	out <- prometheus.MustNewConstHistogram(secondsDesc, count, c.sum, buckets, trunk)
}

var keepAlivesDesc = prometheus.NewDesc("trunkline_agent_keepalives_total",
	"OPTIONS to agents behind a NAT that have ended, by result.", []string{"result"}, nil)

// Describe implements prometheus.Collector.
func (k *KeepAlive) Describe(out chan<- *prometheus.Desc) { out <- keepAlivesDesc }

// Collect implements prometheus.Collector.
func (k *KeepAlive) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(keepAlivesDesc, prometheus.CounterValue, float64(k.answered.Load()), "answered")
	out <- prometheus.MustNewConstMetric(keepAlivesDesc, prometheus.CounterValue, float64(k.silent.Load()), "silent")
}
