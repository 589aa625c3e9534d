package transport

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Every series exists from the start, has a closed set of labels, and the layers above add their reasons for dropping.
func TestMetrics(t *testing.T) {
	n := open(t, Options{Listen: []string{"udp://127.0.0.1:0"}})
	r := prometheus.NewPedanticRegistry()
	err := Register(r, n, func(add func(string, uint64)) { add("stray_response", 3) })
	if err != nil {
		t.Fatal(err)
	}
	peer := udpPeer(t, "127.0.0.1:0")
	writeTo(t, peer, "hello", n.Listeners()[0].Addr)
	flow, _ := nextMessage(t, n.Port(0))
	mustSend(t, n.Port(0), flow, "hello back", 0)
	n.Port(0).Receive(0)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "trunkline_sip_") || f.GetHelp() == "" {
			t.Errorf("metric %s", f.GetName())
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[f.GetName()+" "+strings.Join(labels, " ")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for series, want := range map[string]float64{
		"trunkline_sip_received_bytes_total udp":        5,
		"trunkline_sip_sent_bytes_total udp":            10,
		"trunkline_sip_messages_total inbound udp":      1,
		"trunkline_sip_messages_total outbound udp":     1,
		"trunkline_sip_keepalives_total tls":            0,
		"trunkline_sip_dropped_total queue_full":        0,
		"trunkline_sip_dropped_total stray_response":    3,
		"trunkline_sip_send_failures_total icmp":        0,
		"trunkline_sip_stream_connections inbound tls":  0,
		"trunkline_sip_stream_connections outbound tcp": 0,
		"trunkline_sip_stream_closed_total idle":        0,
	} {
		if v, ok := got[series]; !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", series, v, ok, want)
		}
	}
	if len(got) != 3*5+4+int(drops)+1+int(failures)+int(closings) {
		t.Errorf("%d series", len(got))
	}
}
