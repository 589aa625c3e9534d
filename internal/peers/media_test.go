//go:build interop

package peers

import (
	"sync"
	"testing"
	"time"

	"trunkline/internal/carrier"
)

// TestTwoHundredCallsWithMedia: 200 calls up at once, each with a packet every 20 ms both ways. Each party hears the other one, hardly a
// packet is lost, and the records say so.
func TestTwoHundredCallsWithMedia(t *testing.T) {
	const calls, talk = 200, 4 * time.Second
	s := newStage(t, stageOptions{relay: true, media: "ports: 10000-10999"})
	c := newCarrier(t, s)
	app, err := carrier.StartApp(t.Context(), carrier.AppOptions{Listen: s.app, Edge: s.udp})
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	up := make(chan *carrier.Call, calls)
	var dialling sync.WaitGroup
	for range calls {
		time.Sleep(10 * time.Millisecond) // a hundred calls a second
		dialling.Go(func() {
			call, err := c.Call(t.Context(), theirNumber, ourNumber)
			if err != nil {
				t.Error(err)
				return
			}
			up <- call
		})
	}
	dialling.Wait()
	close(up)
	if n := s.Metrics().Sum("trunkline_calls", `state="answered"`); n != calls {
		t.Errorf("%g calls are up, want %d", n, calls)
	}
	time.Sleep(talk)
	var ending sync.WaitGroup
	for call := range up {
		ending.Go(func() {
			if err := call.HangUp(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	ending.Wait()
	s.quiet(t)
	m := s.Metrics()
	var sent, received, lost uint64
	for _, side := range []struct {
		name  string
		calls []carrier.CallInfo
		hears int
	}{{"carrier", c.Calls(), appTone}, {"app", app.Calls(), carrierTone}} {
		for _, call := range side.calls {
			sent, received, lost = sent+call.Media.Sent, received+call.Media.Received, lost+call.Media.Lost
			if call.Media.Hertz != side.hears || call.Media.Lost > call.Media.Received/50 || call.Media.Sent < uint64(talk/(20*time.Millisecond)*8/10) {
				t.Errorf("the %s: %+v", side.name, call.Media)
			}
		}
	}
	if lost > received/1000 {
		t.Errorf("%d of %d packets were lost", lost, received)
	}
	relayed := m.Sum("trunkline_rtp_packets_total", `direction="tx"`)
	t.Logf("%d packets sent, %d received, %d lost; %.0f relayed; refused: %.0f", sent, received, lost, relayed, m.Sum("trunkline_rtp_discarded_packets_total"))
	if relayed < float64(received) || relayed > float64(sent) {
		t.Errorf("the edge says it relayed %.0f packets", relayed)
	}
	if inUse := m.Sum("trunkline_rtp_ports_in_use"); inUse != 0 {
		t.Errorf("%g ports are still in use", inUse)
	}
	if silent := m.Sum("trunkline_calls_without_media_total"); silent != 0 {
		t.Errorf("%g calls were without media", silent)
	}
	s.Stop()
	s.checkMedia(t, calls, "PCMU")
}
