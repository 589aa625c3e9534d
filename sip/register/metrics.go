package register

import "github.com/prometheus/client_golang/prometheus"

var (
	stateDesc = prometheus.NewDesc("trunkline_registration_state",
		"1 for the state the trunk's registration is in.", []string{"trunk", "state"}, nil)
	attemptsDesc = prometheus.NewDesc("trunkline_registration_attempts_total",
		"REGISTERs that have ended, by result.", []string{"trunk", "result"}, nil)
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
		if !s.Expires.IsZero() {
			out <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(s.Expires.Unix()), s.Trunk)
		}
		k.counting.Lock()
		for _, result := range results {
			n := k.counts[countKey{s.Trunk, result}]
			out <- prometheus.MustNewConstMetric(attemptsDesc, prometheus.CounterValue, float64(n), s.Trunk, result)
		}
		k.counting.Unlock()
	}
}
