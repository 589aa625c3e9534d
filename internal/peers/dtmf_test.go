//go:build interop

package peers

import (
	"testing"
	"time"
)

// TestDigitsBetweenINFOAndTelephoneEvent_MED06: SIPp is a carrier that says digits by INFO and sends no RTP, baresip the application, with audio
// and telephone-event. Each is told the other's digits in its own way, once and in order, over plain RTP and SRTP.
func TestDigitsBetweenINFOAndTelephoneEvent_MED06(t *testing.T) {
	Need(t, "sipp")
	Need(t, "baresip")
	for _, secure := range []bool{false, true} {
		name, agent := "RTP", ""
		if secure {
			name, agent = "SRTP", "media: {srtp: sdes}"
		}
		t.Run(name, func(t *testing.T) {
			app := FreePort(t, EdgeHost)
			s := newStage(t, stageOptions{app: app, relay: true, media: "ports: 10000-10999", trunk: "media: {dtmf: info}", agent: agent})
			phone := Baresip{Listen: app, User: ourNumber, Proxy: s.udp.String(), Secure: secure}.Start(t)
			carrier, statistics := SIPp{Scenario: scenario("uac-info.xml"), Local: FreePort(t, s.carrier.Addr().String()), Remote: s.udp, Service: ourNumber,
				Pause: 300 * time.Millisecond, Keys: map[string]string{"caller": theirNumber}}.start(t)

			phone.WaitFor(20*time.Second, "5 and # are heard", func() bool { return phone.Keys() == "5#" })
			phone.Press("7")
			phone.WaitFor(10*time.Second, "the carrier is told of 7", func() bool { return s.said() == 1 })
			phone.Press("8")
			carrier.Wait(70 * time.Second)
			s.quiet(t)
			if r, err := readStatistics(statistics); err != nil || r.Good != 1 || r.Repeated != 0 {
				t.Errorf("SIPp: %+v, %v\n%s", r, err, carrier.Log())
			}
			if keys := phone.Keys(); keys != "5#" {
				t.Errorf("baresip heard %q", keys)
			}
			m := s.Metrics()
			for series, want := range map[[2]string]float64{{"info_to_rtp", "converted"}: 2, {"rtp_to_info", "converted"}: 2, {"info_to_rtp", "dropped"}: 0,
				{"rtp_to_info", "refused"}: 0, {"rtp_to_info", "dropped"}: 0} {
				if n := m.Sum("trunkline_dtmf_digits_total", `direction="`+series[0]+`"`, `outcome="`+series[1]+`"`); n != want {
					t.Errorf("%g digits are counted as %v, want %g", n, series, want)
				}
			}
			if events := m.Sum("trunkline_rtp_packets_total", `codec="telephone-event"`, `direction="tx"`); events < 2*10 {
				t.Errorf("%g packets of telephone-events have left", events)
			}
		})
	}
}

// said is how many digits the edge has told by INFO.
func (s *stage) said() float64 {
	return s.Metrics().Sum("trunkline_dtmf_digits_total", `direction="rtp_to_info"`, `outcome="converted"`)
}
