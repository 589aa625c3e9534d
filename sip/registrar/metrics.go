package registrar

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	bindingsDesc = prometheus.NewDesc("trunkline_agent_bindings",
		"Places where the agent is registered.", []string{"agent"}, nil)
	registrationsDesc = prometheus.NewDesc("trunkline_agent_registrations_total",
		"REGISTERs of authenticated agents, by result.", []string{"result"}, nil)
)

// Describe implements prometheus.Collector.
func (r *Registrar) Describe(out chan<- *prometheus.Desc) {
	out <- bindingsDesc
	out <- registrationsDesc
}

// Collect implements prometheus.Collector.
func (r *Registrar) Collect(out chan<- prometheus.Metric) {
	r.mu.Lock()
	agents := slices.Collect(maps.Keys(r.agents))
	r.mu.Unlock()
	now := time.Now()
	for _, agent := range agents {
		out <- prometheus.MustNewConstMetric(bindingsDesc, prometheus.GaugeValue, float64(r.Count(agent, now)), agent)
	}
	out <- prometheus.MustNewConstMetric(registrationsDesc, prometheus.CounterValue, float64(r.Accepted.Load()), "accepted")
	out <- prometheus.MustNewConstMetric(registrationsDesc, prometheus.CounterValue, float64(r.Refused.Load()), "refused")
}
