package notice

import "github.com/prometheus/client_golang/prometheus"

// Metrics count events that were lost. A nil Metrics counts nothing.
type Metrics struct{ lost prometheus.Counter }

// NewMetrics registers the metrics with to.
func NewMetrics(to prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{prometheus.NewCounter(prometheus.CounterOpts{
		Name: "trunkline_events_dropped_total",
		Help: "Events of calls and trunks that were lost: the queue was full, or they could not be written before the end.",
	})}
	return m, to.Register(m.lost)
}

func (m *Metrics) dropped(n int) {
	if m != nil {
		m.lost.Add(float64(n))
	}
}
