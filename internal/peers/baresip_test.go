package peers

import (
	"os"
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

			call, err := other.Call(t.Context(), "+15550001234", "app")
			if err != nil {
				t.Fatal(err)
			}
			Eventually(t, 10*time.Second, "baresip's tone is heard", func() bool { return call.Info().Media.Hertz == 400 })
			if err := call.HangUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			phone.WaitForEvent(5*time.Second, "CALL_CLOSED")
			if info, err := os.Stat(phone.Recording); err != nil || info.Size() < 8000 {
				t.Errorf("recording: %v, %v", info, err)
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
