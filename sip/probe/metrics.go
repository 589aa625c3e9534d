package probe

import "github.com/prometheus/client_golang/prometheus"

var (
	checksDesc = prometheus.NewDesc("trunkline_probe_checks_total",
		"Checks that probes have come to a verdict on.", []string{"check", "verdict"}, nil)
	stepsDesc = prometheus.NewDesc("trunkline_probe_steps_total",
		"Steps that probes have done, by verdict.", []string{"step", "verdict"}, nil)
	durationDesc = prometheus.NewDesc("trunkline_probe_duration_seconds",
		"How long probes took.", nil, nil)
	inFlightDesc = prometheus.NewDesc("trunkline_probe_in_flight",
		"Probes under way.", nil, nil)
)

// The closed sets of the labels.
var (
	allVerdicts = []Verdict{Pass, Fail, Inconclusive, Skipped}
	allChecks   = []Check{Credentials, Inbound, Outbound}
	allSteps    = []string{"resolve", "connect", "tls", "OPTIONS", "REGISTER", "binding", "bind", "INVITE", "dial-in", "restore", "look around"}
)

// Describe implements prometheus.Collector.
func (p *Prober) Describe(out chan<- *prometheus.Desc) {
	out <- checksDesc
	out <- stepsDesc
	out <- durationDesc
	out <- inFlightDesc
}

// Collect implements prometheus.Collector.
func (p *Prober) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue, float64(p.InFlight()))
	c := &p.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range allVerdicts {
		for _, check := range allChecks {
			out <- prometheus.MustNewConstMetric(checksDesc, prometheus.CounterValue, float64(c.checks[checkCount{check, v}]), string(check), string(v))
		}
		for _, step := range allSteps {
			out <- prometheus.MustNewConstMetric(stepsDesc, prometheus.CounterValue, float64(c.steps[stepCount{step, v}]), step, string(v))
		}
	}
	upTo := map[float64]uint64{}
	for i, bound := range bounds {
		upTo[bound] = c.duration.counts[i]
	}
	out <- prometheus.MustNewConstHistogram(durationDesc, c.duration.total, c.duration.sum.Seconds(), upTo)
}
