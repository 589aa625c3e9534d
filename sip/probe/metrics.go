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

var (
	verdictDesc = prometheus.NewDesc("trunkline_probe_verdict",
		"1 for what the trunk's check last came to when it was proven by schedule.", []string{"trunk", "check", "verdict"}, nil)
	numbersDesc = prometheus.NewDesc("trunkline_probe_numbers",
		"Numbers of the trunk by what their check last came to when they were proven by schedule.", []string{"trunk", "check", "verdict"}, nil)
	driftsDesc = prometheus.NewDesc("trunkline_probe_drifts_total",
		"Checks that changed their verdict between scheduled proofs, by the new one.", []string{"trunk", "check", "verdict"}, nil)
	ranDesc = prometheus.NewDesc("trunkline_probe_last_run_timestamp_seconds",
		"When the trunk was last proven by schedule.", []string{"trunk"}, nil)
	expiryDesc = prometheus.NewDesc("trunkline_probe_tls_expiry_timestamp_seconds",
		"When the certificate that the trunk's server shows ends, or the first of its chain.", []string{"trunk"}, nil)
)

// Describe implements prometheus.Collector.
func (v *Verifier) Describe(out chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{verdictDesc, numbersDesc, driftsDesc, ranDesc, expiryDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (v *Verifier) Collect(out chan<- prometheus.Metric) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.snapshot == nil {
		return
	}
	type series struct {
		trunk   string
		check   Check
		verdict Verdict
	}
	numbers := map[series]int{}
	for one, known := range v.subjects {
		for check, verdict := range known.verdict {
			if one.number != "" {
				numbers[series{one.trunk, check, verdict}]++
			}
		}
	}
	for _, t := range v.snapshot.Trunks {
		known := v.subjects[subject{t.Name, ""}]
		for _, check := range allChecks {
			for _, verdict := range [...]Verdict{Pass, Fail} {
				is := 0.0
				if known != nil && known.verdict[check] == verdict {
					is = 1
				}
				out <- prometheus.MustNewConstMetric(verdictDesc, prometheus.GaugeValue, is, t.Name, string(check), string(verdict))
				out <- prometheus.MustNewConstMetric(numbersDesc, prometheus.GaugeValue, float64(numbers[series{t.Name, check, verdict}]), t.Name, string(check), string(verdict))
				out <- prometheus.MustNewConstMetric(driftsDesc, prometheus.CounterValue, float64(v.drifts[driftCount{t.Name, check, verdict}]), t.Name, string(check), string(verdict))
			}
		}
		if known != nil && !known.ran.IsZero() {
			out <- prometheus.MustNewConstMetric(ranDesc, prometheus.GaugeValue, float64(known.ran.Unix()), t.Name)
		}
		if known != nil && !known.expires.IsZero() {
			out <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(known.expires.Unix()), t.Name)
		}
	}
}
