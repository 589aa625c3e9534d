package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count deliveries. A nil Metrics counts nothing.
type Metrics struct {
	attempts *prometheus.CounterVec
	duration prometheus.Histogram
	waiting  prometheus.Gauge
}

// NewMetrics registers the metrics with to, every series at zero.
func NewMetrics(to prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_webhook_deliveries_total",
			Help: "Attempts to deliver an event, by result; given_up counts events after their last attempt.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "trunkline_webhook_duration_seconds",
			Help:    "Time of one attempt to deliver an event.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},

			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "trunkline_webhook_waiting",
			Help: "Events that wait to be delivered.",
		}),
	}
	for _, result := range []string{"delivered", "failed", "refused", "given_up"} {
		m.attempts.WithLabelValues(result)
	}
	for _, c := range []prometheus.Collector{m.attempts, m.duration, m.waiting} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) attempted(result string, took time.Duration) {
	if m == nil {
		return
	}
	m.attempts.WithLabelValues(result).Inc()
	m.duration.Observe(took.Seconds())
}

func (m *Metrics) gaveUp() {
	if m != nil {
		m.attempts.WithLabelValues("given_up").Inc()
	}
}

func (m *Metrics) waits(n int) {
	if m != nil {
		m.waiting.Set(float64(n))
	}
}
