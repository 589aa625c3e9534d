package transport

import "github.com/prometheus/client_golang/prometheus"

// Register exposes what the network counts. more, if not nil, adds the reasons for which the layers above dropped messages to
// trunkline_sip_dropped_total; its reasons must be others than those of Drop, and always the same ones. It is called at each scrape,
// concurrently.
func Register(r prometheus.Registerer, n *Network, more func(add func(reason string, total uint64))) error {
	return r.Register(&collector{n: n, more: more})
}

type collector struct {
	n    *Network
	more func(add func(reason string, total uint64))
}

var (
	descReceived = prometheus.NewDesc("trunkline_sip_received_bytes_total", "Bytes of SIP messages received.", []string{"transport"}, nil)
	descSent     = prometheus.NewDesc("trunkline_sip_sent_bytes_total", "Bytes of SIP messages sent, or queued on a connection.", []string{"transport"}, nil)
	descMessages = prometheus.NewDesc("trunkline_sip_messages_total", "SIP messages received and sent, good or bad.", []string{"direction", "transport"}, nil)
	descAlive    = prometheus.NewDesc("trunkline_sip_keepalives_total", "Keep-alives received (CRLF and the like).", []string{"transport"}, nil)
	descDropped  = prometheus.NewDesc("trunkline_sip_dropped_total", "What was dropped, by reason.", []string{"reason"}, nil)
	descFailed   = prometheus.NewDesc("trunkline_sip_send_failures_total", "Messages that failed after they were accepted for sending.", []string{"reason"}, nil)
	descOpen     = prometheus.NewDesc("trunkline_sip_stream_connections", "Open TCP and TLS connections.", []string{"direction", "transport"}, nil)
	descClosed   = prometheus.NewDesc("trunkline_sip_stream_closed_total", "TCP and TLS connections closed, by reason.", []string{"reason"}, nil)
)

// transports are the values of the label transport.
var transports = [...]string{UDP: "udp", TCP: "tcp", TLS: "tls"}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReceived, descSent, descMessages, descAlive, descDropped, descFailed, descOpen, descClosed} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.n.Stats()
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for p := UDP; p <= TLS; p++ {
		counter(descReceived, s.Received[p].Bytes, transports[p])
		counter(descSent, s.Sent[p].Bytes, transports[p])
		counter(descMessages, s.Received[p].Messages, "inbound", transports[p])
		counter(descMessages, s.Sent[p].Messages, "outbound", transports[p])
		counter(descAlive, s.KeepAlives[p], transports[p])
	}
	for _, p := range []Proto{TCP, TLS} {
		gauge(descOpen, s.Accepted[p], "inbound", transports[p])
		gauge(descOpen, s.Dialled[p], "outbound", transports[p])
	}
	for d := range drops {
		counter(descDropped, s.Dropped[d], d.String())
	}
	for f := range failures {
		counter(descFailed, s.Failed[f], f.String())
	}
	for k := range closings {
		counter(descClosed, s.Closed[k], k.String())
	}
	if c.more != nil {
		c.more(func(reason string, total uint64) { counter(descDropped, total, reason) })
	}
}
