package store

import (
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Registerer takes the metrics of a Records.
type Registerer = prometheus.Registerer

// metrics are those of the records file. A nil metrics counts nothing.
type metrics struct {
	registerer prometheus.Registerer
	write      prometheus.Histogram
	collectors []prometheus.Collector
}

// newMetrics makes and registers the metrics of r.
func newMetrics(registerer Registerer, r *Records) (*metrics, error) {
	if registerer == nil {
		return nil, nil
	}
	m := &metrics{registerer: registerer}
	m.write = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "trunkline_db_write_seconds",
		Help:    "Time to commit a batch of call records.",
		Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5},

		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	})
	wal := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "trunkline_db_wal_bytes",
		Help: "Size of the write-ahead log of the call records.",
	}, func() float64 {
		info, err := os.Stat(r.path + "-wal")
		if err != nil {
			return 0
		}
		return float64(info.Size())
	})
	dropped := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "trunkline_cdr_dropped_total",
		Help: "Call records lost: the queue was full, or they could not be written before the end.",
	}, func() float64 { return float64(r.Dropped()) })
	for _, c := range []prometheus.Collector{m.write, wal, dropped} {
		if err := registerer.Register(c); err != nil {
			m.unregister()
			return nil, err
		}
		m.collectors = append(m.collectors, c)
	}
	return m, nil
}

// wrote notes one commit.
func (m *metrics) wrote(d time.Duration) {
	if m != nil {
		m.write.Observe(d.Seconds())
	}
}

// unregister takes the metrics out again, so that another Records may be opened in this process.
func (m *metrics) unregister() {
	if m == nil {
		return
	}
	for _, c := range m.collectors {
		m.registerer.Unregister(c)
	}
}
