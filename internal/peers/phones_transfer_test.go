//go:build interop

package peers

import (
	"fmt"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"trunkline/internal/lab"
)

const (
	thirdNumber = "+14155550199" // behind the carrier, too
	toneOfThird = 700
)

// threePhones is two phones and a third one behind the carrier, whose switch leads called numbers to the one and the other.
func threePhones(t *testing.T, o phoneOptions) (*phones, *Phone) {
	t.Helper()
	third := FreePort(t, CarrierHost)
	o.carrierLine = &Line{Phones: map[string]netip.AddrPort{thirdNumber: third}}
	p := startPhones(t, o)
	return p, p.start(t, Baresip{Listen: third, Transport: "udp", User: thirdNumber, Hertz: toneOfThird, Secure: o.carrier.Secure})
}

// TestLabPhonesBlindTransfer: one phone refers the other to a third one. The two that are left hear each other, and the third phone's tone
// comes in the place of the one that has gone.
func TestLabPhonesBlindTransfer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name             string
		byCarrier, rekey bool
		o                phoneOptions
	}{
		{"by the agent", false, false, phoneOptions{}},
		{"by the agent, who has SRTP", false, false, phoneOptions{trunk: "srtp: off", agent: "srtp: sdes", phone: Baresip{Secure: true}}},
		{"by the agent, of a caller who has SRTP", false, true, phoneOptions{trunk: "srtp: sdes", agent: "srtp: off", carrier: Baresip{Secure: true}}},
		{"by the carrier's customer", true, false, phoneOptions{more: stageOptions{trunk: "transfer: handle"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, third := threePhones(t, test.o)
			p.call(t, p.carrier)
			p.talk(t)
			by, left, tone := p.agent, p.carrier, toneOfCarrier
			if test.byCarrier {
				by, left, tone = p.carrier, p.agent, toneOfAgent
			}
			by.Transfer("sip:" + thirdNumber + "@" + p.udp.String())
			third.WaitForEvent(10*time.Second, "CALL_ESTABLISHED")
			by.WaitForEvent(10*time.Second, "CALL_CLOSED")
			hear(t, ear{third, tone})
			if !test.rekey { // Debian's baresip takes no new key during a call, and is deaf from here on
				hear(t, ear{left, toneOfThird})
			}
			third.HangUp()
			left.WaitForEvent(10*time.Second, "CALL_CLOSED")
			for _, r := range p.end(t, 2) {
				clean(t, r, "PCMU")
			}
			switch {
			case test.byCarrier:
				p.passed(t, p.carrier, lab.BlindTransfer, "")
			default:
				p.passed(t, p.carrier, "", lab.BlindTransfer)
			}
		})
	}
}

// TestLabPhonesAttendedTransfer: the agent's phone talks to the caller, then to a third phone, and joins the two.
func TestLabPhonesAttendedTransfer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		rekey bool
		o     phoneOptions
	}{
		{"plain RTP", false, phoneOptions{}},
		{"SRTP towards the agent", false, phoneOptions{trunk: "srtp: off", agent: "srtp: sdes", phone: Baresip{Secure: true}}},
		{"SRTP towards the carrier", true, phoneOptions{trunk: "srtp: sdes", agent: "srtp: off", carrier: Baresip{Secure: true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, third := threePhones(t, test.o)
			p.call(t, p.carrier)
			p.talk(t)
			p.agent.Hold()
			silent(t, p.carrier)
			p.agent.Dial("sip:" + thirdNumber + "@" + p.udp.String() + ";transport=udp")
			third.WaitForEvent(10*time.Second, "CALL_ESTABLISHED")
			hear(t, ear{third, toneOfAgent}, ear{p.agent, toneOfThird})
			d := p.agent.Dialed(thirdNumber)
			p.agent.Switch(1)
			replaces := url.QueryEscape(fmt.Sprintf("%s;to-tag=%s;from-tag=%s", d.CallID, d.RemoteTag, d.LocalTag))
			p.agent.Transfer(fmt.Sprintf("<sip:%s@%s?Replaces=%s>", thirdNumber, p.udp, replaces))
			Eventually(t, 10*time.Second, "the agent has no call any more", func() bool { return p.agent.Count("CALL_CLOSED") == 2 })
			hear(t, ear{third, toneOfCarrier})
			if !test.rekey { // as after a blind transfer
				hear(t, ear{p.carrier, toneOfThird})
			}
			p.carrier.HangUp()
			third.WaitForEvent(10*time.Second, "CALL_CLOSED")
			for _, r := range p.end(t, 2) {
				clean(t, r, "PCMU")
			}
			p.passed(t, p.carrier, "", lab.AttendedByPeer)
		})
	}
}
