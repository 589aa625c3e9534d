package media

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.PortLow, o.PortHigh = freeRange(t, 8)
		r := newRelay(t, o)
		registry := prometheus.NewPedanticRegistry()
		if err := r.Register(registry); err != nil {
			t.Fatal(err)
		}
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
		c := answeredCall(t, r, loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		for range 3 {
			c.caller.speak(c.forCaller, "hello")
			c.callee.expect("hello")
		}
		c.caller.rtp.WriteToUDPAddrPort([]byte("rubbish"), c.forCaller)
		c.caller.rtp.WriteToUDPAddrPort([]byte{0x80, 101, 0, 4, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0x8a, 0, 160}, c.forCaller)
		c.callee.hear()
		if _, err := c.bridge.Offer(Caller, []byte(strings.ReplaceAll(string(c.caller.sdp()), "RTP/AVP 0", "RTP/AVP 8 0")), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.bridge.Answer(Callee, []byte(strings.ReplaceAll(string(c.callee.sdp()), "RTP/AVP 0", "RTP/AVP 8 0")), nil); err != nil {
			t.Fatal(err)
		}
		c.caller.speak(c.forCaller, "now in another codec")
		c.callee.expect("now in another codec")

		wanted := func(ports string) string {
			return `
# HELP trunkline_rtp_discarded_packets_total RTP and RTCP packets that were not relayed, by reason.
# TYPE trunkline_rtp_discarded_packets_total counter
trunkline_rtp_discarded_packets_total{reason="malformed"} 1
trunkline_rtp_discarded_packets_total{reason="no_call"} 0
trunkline_rtp_discarded_packets_total{reason="no_destination"} 0
trunkline_rtp_discarded_packets_total{reason="no_key"} 0
trunkline_rtp_discarded_packets_total{reason="send_failed"} 0
trunkline_rtp_discarded_packets_total{reason="unauthentic"} 0
trunkline_rtp_discarded_packets_total{reason="wrong_source"} 0
# HELP trunkline_rtp_packets_total RTP packets received (rx) and sent on (tx), by the stream's codec.
# TYPE trunkline_rtp_packets_total counter
trunkline_rtp_packets_total{codec="G722",direction="rx"} 0
trunkline_rtp_packets_total{codec="G722",direction="tx"} 0
trunkline_rtp_packets_total{codec="G729",direction="rx"} 0
trunkline_rtp_packets_total{codec="G729",direction="tx"} 0
trunkline_rtp_packets_total{codec="PCMA",direction="rx"} 1
trunkline_rtp_packets_total{codec="PCMA",direction="tx"} 1
trunkline_rtp_packets_total{codec="PCMU",direction="rx"} 3
trunkline_rtp_packets_total{codec="PCMU",direction="tx"} 3
trunkline_rtp_packets_total{codec="opus",direction="rx"} 0
trunkline_rtp_packets_total{codec="opus",direction="tx"} 0
trunkline_rtp_packets_total{codec="other",direction="rx"} 0
trunkline_rtp_packets_total{codec="other",direction="tx"} 0
trunkline_rtp_packets_total{codec="telephone-event",direction="rx"} 1
trunkline_rtp_packets_total{codec="telephone-event",direction="tx"} 1
# HELP trunkline_rtp_ports_in_use UDP ports taken by calls.
# TYPE trunkline_rtp_ports_in_use gauge
trunkline_rtp_ports_in_use ` + ports + `
# HELP trunkline_rtp_ports_limit UDP ports there are, on all local addresses that calls have used.
# TYPE trunkline_rtp_ports_limit gauge
trunkline_rtp_ports_limit 8
`
		}
		compare := func(ports string) {
			t.Helper()
			if err := testutil.GatherAndCompare(registry, strings.NewReader(wanted(ports)), "trunkline_rtp_packets_total",
				"trunkline_rtp_discarded_packets_total", "trunkline_rtp_ports_in_use", "trunkline_rtp_ports_limit"); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "all packets are counted", func() bool { return r.totals().received[codecPCMA].packets == 1 })
		compare("4")
		c.bridge.Close()
		compare("0") // a call that ended takes nothing out of the counters
	})
}
