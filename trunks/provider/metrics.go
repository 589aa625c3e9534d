package provider

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count requests to providers. A nil Metrics counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics registers the metrics with to, every series at zero.
func NewMetrics(to prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_provider_requests_total",
			Help: "HTTP exchanges with providers, repeats included, by outcome.",
		}, []string{"provider", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "trunkline_provider_request_duration_seconds",
			Help:    "Time of one HTTP exchange with a provider.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},

			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"provider"}),
	}
	for _, kind := range Kinds[:len(Kinds)-1] { // manual has no API
		for _, outcome := range []string{"ok", string(Unauthorized), string(Forbidden), string(NotFound), string(Rejected), string(RateLimited),
			string(Unavailable), string(TimedOut), string(Malformed), string(TooLarge)} {
			m.requests.WithLabelValues(string(kind), outcome)
		}
		m.duration.WithLabelValues(string(kind))
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) asked(kind Kind, outcome string, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(string(kind), outcome).Inc()
	m.duration.WithLabelValues(string(kind)).Observe(took.Seconds())
}
