//go:build interop

package peers

import (
	"net/netip"
	"testing"
	"time"

	"trunkline/internal/carrier"
)

// newCarrier starts a carrier on sipgo with media at the stage's trunk.
func newCarrier(t *testing.T, s *stage) *carrier.Carrier {
	t.Helper()
	c, err := carrier.Start(t.Context(), carrier.Options{Listen: s.carrier, Contact: "sip:" + s.udp.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

const (
	carrierTone = 400 // hertz
	appTone     = 620
)

// TestBaresipAudio: baresip as the application, called and calling, over each transport, with sound both ways through the relay;
// either side hangs up.
func TestBaresipAudio(t *testing.T) {
	Need(t, "baresip")
	for _, test := range []struct{ transport, codec string }{{"udp", "PCMU"}, {"tcp", "PCMU"}, {"tls", "PCMU"}, {"udp", "PCMA"}} {
		t.Run(test.transport+" "+test.codec, func(t *testing.T) {
			// baresip's media leave from the address that the kernel prefers towards the edge, whatever it describes.
			app := FreePort(t, EdgeHost)
			listen := app
			if test.transport == "tls" {
				listen = netip.AddrPortFrom(app.Addr(), app.Port()-1)
			}
			s := newStage(t, stageOptions{appTransport: test.transport, app: app, relay: true, media: "ports: 10000-10999"})
			c := newCarrier(t, s)
			edge := s.edgeAddress(test.transport)
			phone := Baresip{Listen: listen, Transport: test.transport, User: ourNumber, Proxy: edge.String(), Hertz: appTone,
				Codecs: test.codec + "/8000/1", Authority: s.authority}.Start(t)

			inbound, err := c.Call(t.Context(), theirNumber, ourNumber)
			if err != nil {
				t.Fatal(err)
			}
			s.talk(t, inbound)
			if err := inbound.HangUp(t.Context()); err != nil {
				t.Error(err)
			}
			s.quiet(t)

			inbound, err = c.Call(t.Context(), theirNumber, ourNumber)
			if err != nil {
				t.Fatal(err)
			}
			s.talk(t, inbound)
			phone.HangUp()
			s.over(t, inbound)
			s.quiet(t)

			phone.Dial("sip:" + theirNumber + "@" + edge.String() + ";transport=" + test.transport)
			Eventually(t, 5*time.Second, "its call is answered", func() bool {
				calls := c.Calls()
				return len(calls) == 3 && !calls[2].Answer.IsZero()
			})
			s.heard(t, func() carrier.CallInfo { return c.Calls()[2] })
			phone.HangUp()
			s.quiet(t)

			if phone.Recording().Tone(carrierTone) < 2*talkTime {
				t.Error("baresip has not heard the carrier's tone")
			}
			s.Stop()
			s.checkMedia(t, 3, test.codec)
		})
	}
}

const talkTime = 1500 * time.Millisecond // of speech; on a busy machine it takes longer to come

// talk lets the parties hear each other for a while.
func (s *stage) talk(t *testing.T, c *carrier.Call) {
	t.Helper()
	s.heard(t, c.Info)
}

// heard waits until the carrier's side of a call has sent and heard that much, and checks what it was.
func (s *stage) heard(t *testing.T, info func() carrier.CallInfo) {
	t.Helper()
	const least = uint64(talkTime / (20 * time.Millisecond))
	Eventually(t, 15*time.Second, "both have spoken for talkTime", func() bool {
		m := info().Media
		return m.Sent >= least && m.Received >= least
	})
	if m := info().Media; m.Hertz != appTone || m.Lost > m.Received/100 {
		t.Errorf("%+v, want %d Hz", m, appTone)
	}
}

// over waits until the other side has hung up.
func (s *stage) over(t *testing.T, c *carrier.Call) {
	t.Helper()
	select {
	case <-c.Ended():
	case <-time.After(5 * time.Second):
		t.Error("the call does not end")
	}
	if by := c.Info().EndedBy; by != "them" {
		t.Errorf("ended by %q", by)
	}
}

// checkMedia: so many answered calls, each with packets of a codec both ways in its record, and hardly one lost.
func (s *stage) checkMedia(t *testing.T, calls int, codec string) {
	t.Helper()
	records := s.Records()
	if len(records) != calls {
		t.Errorf("%d records, want %d", len(records), calls)
	}
	for _, r := range records {
		for _, m := range []struct {
			packets, lost uint64
			codec         string
			jitter        time.Duration
		}{
			{r.Caller2Callee.Packets, r.Caller2Callee.Lost, r.Caller2Callee.Codec, r.Caller2Callee.Jitter},
			{r.Callee2Caller.Packets, r.Callee2Caller.Lost, r.Callee2Caller.Codec, r.Callee2Caller.Jitter},
		} {
			const least = uint64(talkTime / (20 * time.Millisecond))
			talked := r.Ended.Sub(r.Answered)
			if most := uint64(talked/(20*time.Millisecond))*12/10 + 10; m.packets < least || m.packets > most || m.lost > m.packets/50 || m.codec != codec || m.jitter > talked {
				t.Errorf("%+v in %s, want %d to %d packets of %s\n%+v", m, talked, least, most, codec, r)
			}
		}
	}
}
