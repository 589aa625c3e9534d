package media

import "github.com/prometheus/client_golang/prometheus"

// Register adds the relay's metrics to a registry. They are read when they are scraped; packets cost nothing for it.
func (r *Relay) Register(to prometheus.Registerer) error { return to.Register(collector{r}) }

// collector reads a relay for Prometheus. Every series exists from the start, so that a rate sees the first packet.
type collector struct{ relay *Relay }

var (
	packetsDesc = prometheus.NewDesc("trunkline_rtp_packets_total",
		"RTP packets received (rx) and sent on (tx), by the stream's codec.", []string{"direction", "codec"}, nil)
	bytesDesc = prometheus.NewDesc("trunkline_rtp_bytes_total",
		"UDP payload bytes of RTP received (rx) and sent on (tx), by the stream's codec.", []string{"direction", "codec"}, nil)
	reportsDesc = prometheus.NewDesc("trunkline_rtp_reports_total",
		"RTCP packets received.", nil, nil)
	discardedDesc = prometheus.NewDesc("trunkline_rtp_discarded_packets_total",
		"RTP and RTCP packets that were not relayed, by reason.", []string{"reason"}, nil)
	portsInUseDesc = prometheus.NewDesc("trunkline_rtp_ports_in_use",
		"UDP ports taken by calls.", nil, nil)
	portsLimitDesc = prometheus.NewDesc("trunkline_rtp_ports_limit",
		"UDP ports there are, on all local addresses that calls have used.", nil, nil)
)

// Describe implements prometheus.Collector.
func (collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{packetsDesc, bytesDesc, reportsDesc, discardedDesc, portsInUseDesc, portsLimitDesc} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	counter := func(desc *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	sum := c.relay.totals()
	for name := range codecs {
		counter(packetsDesc, sum.received[name].packets, "rx", name.String())
		counter(packetsDesc, sum.sent[name].packets, "tx", name.String())
		counter(bytesDesc, sum.received[name].bytes, "rx", name.String())
		counter(bytesDesc, sum.sent[name].bytes, "tx", name.String())
	}
	counter(reportsDesc, sum.reports)
	for why := range discards {
		counter(discardedDesc, sum.discarded[why], why.String())
	}
	counter(discardedDesc, c.relay.strays.Load(), "no_call")
	inUse, limit := c.relay.Ports()
	to <- prometheus.MustNewConstMetric(portsInUseDesc, prometheus.GaugeValue, float64(inUse))
	to <- prometheus.MustNewConstMetric(portsLimitDesc, prometheus.GaugeValue, float64(limit))
}
