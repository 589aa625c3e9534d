//go:build interop

package peers

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trunkline/trunks"
)

// TestPhonesBehindNAT: the agent's phone describes an address and a port where it is not, and its RTP comes from another host than its SIP.
// Where that may be a NAT both phones are heard, from the first packet on; where only the phone's own host is believed neither is, and
// what it sends is counted.
func TestPhonesBehindNAT(t *testing.T) {
	t.Parallel()
	inside := func(toEdge bool, message string) string {
		if !toEdge {
			return message
		}
		return audioPort.ReplaceAllLiteralString(connection.ReplaceAllLiteralString(message, "c=IN IP4 127.0.77.3"), "m=audio 9")
	}
	t.Run("believed", func(t *testing.T) {
		t.Parallel()
		p := startPhones(t, phoneOptions{latch: "auto", agentLine: &Line{Edit: inside}})
		for _, caller := range []*Phone{p.carrier, p.agent} {
			p.call(t, caller)
			p.talk(t)
			caller.HangUp()
			p.quiet(t)
		}
		for _, r := range p.end(t, 2) {
			clean(t, r, "PCMU")
		}
	})
	t.Run("not believed", func(t *testing.T) {
		t.Parallel()
		p := startPhones(t, phoneOptions{latch: "strict", agentLine: &Line{Edit: inside}})
		p.call(t, p.carrier)
		Eventually(t, 10*time.Second, "a second of its packets is dropped", func() bool {
			return p.Metrics().Sum("trunkline_rtp_discarded_packets_total") >= 50
		})
		for _, phone := range []*Phone{p.carrier, p.agent} {
			if heard := phone.Recording().Length(); heard != 0 {
				t.Errorf("%s of sound came through", heard)
			}
		}
		p.carrier.HangUp()
		p.end(t, 1)
	})
}

// TestPhonesMusicOnHold: a party that holds by a=sendonly is heard on, and hears nothing, until it takes the call up again. Debian's baresip
// sends nothing while it holds: the line says it for the phone.
func TestPhonesMusicOnHold(t *testing.T) {
	t.Parallel()
	var holds atomic.Bool
	p := startPhones(t, phoneOptions{agentLine: &Line{Edit: func(toEdge bool, message string) string {
		if toEdge && holds.Load() {
			message = strings.Replace(message, "a=sendrecv", "a=sendonly", 1)
		}
		return message
	}}})
	p.call(t, p.agent)
	p.talk(t)
	holds.Store(true)
	p.agent.Reinvite()
	silent(t, p.agent)
	hear(t, ear{p.carrier, toneOfAgent})
	holds.Store(false)
	p.agent.Reinvite()
	p.talk(t)
	p.agent.HangUp()
	p.end(t, 1)
}

// TestPhonesShortTags: SRTP with the other suite that every phone has to know, AES_CM_128_HMAC_SHA1_32: the line leaves no other.
func TestPhonesShortTags(t *testing.T) {
	t.Parallel()
	p := startPhones(t, phoneOptions{trunk: "srtp: sdes", agent: "srtp: off", carrier: Baresip{Secure: true},
		carrierLine: &Line{Edit: func(toEdge bool, message string) string {
			if first := strings.Index(message, "a=crypto:1 "); !toEdge && first >= 0 && strings.Contains(message, "a=crypto:2 ") {
				_, rest, _ := strings.Cut(message[first:], "\r\n")
				message = message[:first] + rest
			}
			return message
		}}})
	p.call(t, p.agent)
	p.talk(t)
	p.carrier.WaitForLog(time.Second, "SRTP is Enabled (cryptosuite=AES_CM_128_HMAC_SHA1_32)")
	p.agent.HangUp()
	clean(t, p.end(t, 1)[0], "PCMU")
}

// TestPhonesNumberOpusDifferently: Opus is 96 to one phone and 111 to the other, which says so when it answers and when it offers.
func TestPhonesNumberOpusDifferently(t *testing.T) {
	t.Parallel()
	opus := Baresip{Codecs: "opus/48000/2"}
	p := startPhones(t, phoneOptions{carrier: opus, phone: opus, agentLine: &Line{Number: [2]int{96, 111}}})
	for _, caller := range []*Phone{p.carrier, p.agent} {
		p.call(t, caller)
		p.talk(t)
		p.agent.Hold()
		silent(t, p.carrier, p.agent)
		p.agent.Resume()
		p.talk(t)
		caller.HangUp()
		p.quiet(t)
	}
	for _, r := range p.end(t, 2) {
		clean(t, r, "opus")
	}
}

// TestPhonesQuality: what a call record and the metrics say of a clean network and of one that loses a packet in twenty, each way. The
// calls are long enough for RTCP to say how far the phones are.
func TestPhonesQuality(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		line           *Line
		loss, lossMost float64 // share of what the carrier's phone sent
		mos, mosMost   float64 // of that
	}{
		{"a clean network", nil, 0, 0, 4, 4.5},
		{"one packet in twenty is lost", &Line{Lose: 20}, 0.04, 0.06, 3.4, 4.1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startPhones(t, phoneOptions{carrierLine: test.line})
			p.call(t, p.carrier)
			p.talk(t)
			time.Sleep(17 * time.Second) // three reports of RTCP, the first of which is about nothing
			p.carrier.HangUp()
			p.quiet(t)
			m := p.Metrics()
			r := p.end(t, 1)[0]
			of := func(m trunks.MediaStats) float64 { return float64(m.Lost) / float64(m.Packets+m.Lost) }
			if loss := of(r.Caller2Callee); loss < test.loss || loss > test.lossMost {
				t.Errorf("%.3f of what the carrier's phone sent is lost: %+v", loss, r.Caller2Callee)
			}
			if loss := of(r.Callee2Caller); loss != 0 {
				t.Errorf("%.3f of what the agent's phone sent is lost: %+v", loss, r.Callee2Caller)
			}
			if r.Caller2Callee.MOS < test.mos || r.Caller2Callee.MOS > test.mosMost || r.Callee2Caller.MOS < 4 {
				t.Errorf("MOS %.2f and %.2f", r.Caller2Callee.MOS, r.Callee2Caller.MOS)
			}
			for _, s := range []trunks.MediaStats{r.Caller2Callee, r.Callee2Caller} {
				if s.RoundTrip <= 0 || s.RoundTrip > time.Second || s.Jitter > 100*time.Millisecond {
					t.Errorf("round trip %s, jitter %s", s.RoundTrip, s.Jitter)
				}
			}
			for family, bounds := range map[string][2]float64{
				"trunkline_rtp_loss_ratio": {test.loss, test.lossMost}, "trunkline_rtp_mos": {test.mos, test.mosMost},
				"trunkline_rtp_jitter_seconds": {0, 0.1}, "trunkline_rtp_round_trip_seconds": {1e-6, 1},
			} {
				count, sum := m.Sum(family+"_count", `trunk="carrier"`), m.Sum(family+"_sum", `trunk="carrier"`)
				if count != 1 || sum < bounds[0] || sum > bounds[1] {
					t.Errorf("%s: %g in all of %g calls, want one between %g and %g", family, sum, count, bounds[0], bounds[1])
				}
			}
			if silent := m.Sum("trunkline_calls_without_media_total"); silent != 0 {
				t.Errorf("%g calls were without media", silent)
			}
			t.Logf("the carrier's phone: %+v; the agent's: %+v", r.Caller2Callee, r.Callee2Caller)
		})
	}
}

// TestPhoneThatSendsNothing: its call is counted among those without media, and its record says who was silent.
func TestPhoneThatSendsNothing(t *testing.T) {
	t.Parallel()
	p := startPhones(t, phoneOptions{phone: Baresip{Mute: true}})
	p.call(t, p.carrier)
	hear(t, ear{p.agent, toneOfCarrier})
	p.carrier.HangUp()
	p.quiet(t)
	if counted := p.Metrics().Sum("trunkline_calls_without_media_total", `trunk="carrier"`, `direction="inbound"`); counted != 1 {
		t.Errorf("%g calls without media are counted", counted)
	}
	if r := p.end(t, 1)[0]; r.Caller2Callee.Packets < 45 || r.Callee2Caller.Packets != 0 || r.Callee2Caller.MOS != 0 {
		t.Errorf("%+v", r)
	}
}
