package register

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	stateDesc = prometheus.NewDesc("trunkline_registration_state",
		"1 for the state the trunk's registration is in.", []string{"trunk", "state"}, nil)
	attemptsDesc = prometheus.NewDesc("trunkline_registration_attempts_total",
		"REGISTERs that have ended, by result.", []string{"trunk", "result"}, nil)
	delayDesc = prometheus.NewDesc("trunkline_registration_delay_seconds",
		"From the first REGISTER of a try to its 200, challenges and servers that failed included (RFC 6076 §4.1).", []string{"trunk"}, nil)
	nextDesc = prometheus.NewDesc("trunkline_registration_next_attempt_timestamp_seconds",
		"When the next REGISTER is due.", []string{"trunk"}, nil)
	expiryDesc = prometheus.NewDesc("trunkline_registration_expiry_timestamp_seconds",
		"When the binding ends.", []string{"trunk"}, nil)
)

// results is the closed set of the label result.
var results = []string{"ok", "unregistered", string(AuthFailed), string(Rejected), string(Unreachable)}

// Describe implements prometheus.Collector.
func (k *Keeper) Describe(out chan<- *prometheus.Desc) {
	out <- stateDesc
	out <- attemptsDesc
	out <- expiryDesc
	out <- delayDesc
	out <- nextDesc
}

// Collect implements prometheus.Collector.
func (k *Keeper) Collect(out chan<- prometheus.Metric) {
	for _, s := range k.Status() {
		for _, state := range States {
			value := 0.0
			if s.State == state {
				value = 1
			}
			out <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, value, s.Trunk, string(state))
		}
		if s.State == Disabled {
			continue
		}
		if !s.Next.IsZero() {
			out <- prometheus.MustNewConstMetric(nextDesc, prometheus.GaugeValue, float64(s.Next.Unix()), s.Trunk)
		}
		if !s.Expires.IsZero() {
			out <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(s.Expires.Unix()), s.Trunk)
		}
		k.counting.Lock()
		for _, result := range results {
			n := k.counts[countKey{s.Trunk, result}]
			out <- prometheus.MustNewConstMetric(attemptsDesc, prometheus.CounterValue, float64(n), s.Trunk, result)
		}
		d := k.delays[s.Trunk]
		if d == nil {
			d = new(delays)
		}
		out <- prometheus.MustNewConstHistogram(delayDesc, d.count, d.sum, d.buckets(), s.Trunk)
		k.counting.Unlock()
	}
}

// delayBounds are the upper bounds of trunkline_registration_delay_seconds: one round
// trip, a challenge, a repetition, a silent server, several.
var delayBounds = [...]time.Duration{50 * time.Millisecond, 200 * time.Millisecond, time.Second, 5 * time.Second, 32 * time.Second}

// delays is how long the registrations of a trunk took.
type delays struct {
	within [len(delayBounds)]uint64
	count  uint64
	sum    float64 // seconds
}

func (d *delays) add(took time.Duration) {
	d.count++
	d.sum += took.Seconds()
	for i, bound := range delayBounds {
		if took <= bound {
			d.within[i]++
		}
	}
}

func (d *delays) buckets() map[float64]uint64 {
	all := make(map[float64]uint64, len(delayBounds))
	for i, bound := range delayBounds {
		all[bound.Seconds()] = d.within[i]
	}
	return all
}
