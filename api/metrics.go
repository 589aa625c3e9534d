package api

import (
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is the registry of one edge, so that two fit in one process. The other parts register theirs with Registerer.
type Metrics struct {
	registry  *prometheus.Registry
	log       *slog.Logger
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	reloaded  prometheus.Gauge
	reloadAt  prometheus.Gauge
}

// Build names the program in trunkline_build_info.
type Build struct{ Version, Commit, Go string }

// NewMetrics makes a registry with the Go runtime's, the process's and this package's metrics. log may be nil; it hears
// of collectors that fail.
func NewMetrics(build Build, log *slog.Logger) *Metrics {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Metrics{registry: prometheus.NewRegistry(), log: log}
	m.registry.MustRegister(
		// The live heap is what a leak shows in; the usual figures follow the collector's rhythm.
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$`)})),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "trunkline_build_info",
		Help: "1, labelled with the version, the commit and the Go version of this binary.",
	}, []string{"version", "commit", "go"})
	info.WithLabelValues(build.Version, build.Commit, build.Go).Set(1)
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trunkline_http_requests_total",
		Help: "HTTP requests answered, by the route's pattern, method and class of status.",
	}, []string{"route", "method", "code"})
	m.durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                            "trunkline_http_request_duration_seconds",
		Help:                            "Time from a request's header to the end of its answer.",
		Buckets:                         []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, []string{"route", "method"})
	m.reloaded = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "trunkline_config_last_reload_successful",
		Help: "1 if the configuration last read is in force, 0 if it was refused and the one before it stays.",
	})
	m.reloadAt = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "trunkline_config_last_reload_success_timestamp_seconds",
		Help: "When the configuration in force was read.",
	})
	m.registry.MustRegister(info, m.requests, m.durations, m.reloaded, m.reloadAt)
	return m
}

// Registerer is where the parts of the edge put their metrics.
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// Gatherer is what /metrics shows.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Reloaded notes that a configuration was read at now, and whether it is in force.
func (m *Metrics) Reloaded(now time.Time, ok bool) {
	if !ok {
		m.reloaded.Set(0)
		return
	}
	m.reloaded.Set(1)
	m.reloadAt.Set(float64(now.UnixMilli()) / 1000)
}

// handler shows the registry: classic buckets over text, native histograms over protobuf. Scrapes that overlap share
// one gathering, and a collector that fails costs its own metrics only.
func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		Registry:            m.registry,
		MaxRequestsInFlight: 4,
		CoalesceGather:      true,
		Timeout:             20 * time.Second,
		EnableOpenMetrics:   true,
	})
}

// counted counts a route's requests by its pattern, never by the path that was asked for.
func (m *Metrics) counted(pattern string, next http.Handler) http.Handler {
	method, route, ok := strings.Cut(pattern, " ")
	if !ok {
		method, route = "any", pattern
	}
	for _, class := range []string{"2xx", "4xx", "5xx"} {
		m.requests.WithLabelValues(route, method, class)
	}
	duration := m.durations.WithLabelValues(route, method)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		answered := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			duration.Observe(time.Since(start).Seconds())
			m.requests.WithLabelValues(route, method, strconv.Itoa(answered.status/100)+"xx").Inc()
		}()
		next.ServeHTTP(answered, r)
	})
}

// statusWriter remembers the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
