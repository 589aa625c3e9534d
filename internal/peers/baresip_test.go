package peers

import (
	"context"
	"testing"
	"time"

	"trunkline/internal/carrier"
)

// TestBaresipAlone calls baresip and is called by it, without the edge: audio flows both ways, and baresip has a recording of ours.
func TestBaresipAlone(t *testing.T) {
	Need(t, "baresip")
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			at := FreePort(t, AppHost)
			other, err := carrier.StartApp(t.Context(), carrier.AppOptions{Listen: FreePort(t, CarrierHost), Edge: at, Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			phone := Baresip{Listen: at, Transport: transport, Proxy: other.Addr().String()}.Start(t)

			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			call, err := other.Call(ctx, "+15550001234", "app")
			if err != nil {
				t.Fatal(err)
			}
			Eventually(t, 10*time.Second, "baresip's tone is heard", func() bool { return call.Info().Media.Hertz == 400 })
			// The other way is only seen in the recording, afterwards: let it have a second.
			Eventually(t, 10*time.Second, "a second of our tone is sent", func() bool { return call.Info().Media.Sent >= 50 })
			if err := call.HangUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			phone.WaitForEvent(5*time.Second, "CALL_CLOSED")
			if phone.Recording().Tone(620) < time.Second/2 {
				t.Error("baresip has no recording of the other side's tone")
			}

			phone.Dial("sip:+14155550100@" + other.Addr().String())
			Eventually(t, 10*time.Second, "baresip's call has audio", func() bool {
				calls := other.Calls()
				return calls[len(calls)-1].Incoming && calls[len(calls)-1].Media.Hertz == 400
			})
			phone.HangUp()
			Eventually(t, 5*time.Second, "its end", func() bool {
				calls := other.Calls()
				return calls[len(calls)-1].EndedBy == "them"
			})
		})
	}
}
