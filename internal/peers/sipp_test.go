package peers

import (
	"path/filepath"
	"testing"
	"time"
)

func scenario(name string) string { return filepath.Join("..", "..", "testdata", "sipp", name) }

// TestSIPpAlone runs each calling scenario against its answering one, with nothing between: what fails here is not the edge's fault.
func TestSIPpAlone(t *testing.T) {
	Need(t, "sipp")
	for _, test := range []struct {
		caller, callee, transport string
		calls                     int
		pause                     time.Duration
	}{
		{"uac.xml", "uas.xml", "udp", 50, 100 * time.Millisecond},
		{"uac.xml", "uas.xml", "tcp", 20, 100 * time.Millisecond},
		{"uac-hold.xml", "uas.xml", "udp", 50, time.Second},
		{"uac-reinvite.xml", "uas.xml", "udp", 20, 100 * time.Millisecond},
		{"uac-cancel.xml", "uas-ring.xml", "udp", 20, 200 * time.Millisecond},
	} {
		t.Run(test.caller+" "+test.transport, func(t *testing.T) {
			callee := SIPp{Scenario: scenario(test.callee), Local: FreePort(t, AppHost), Transport: test.transport}
			callee.Start(t)
			r := SIPp{Scenario: scenario(test.caller), Local: FreePort(t, CarrierHost), Remote: callee.Local, Transport: test.transport,
				Service: "+14155550100", Calls: test.calls, Rate: 50, Pause: test.pause, Keys: map[string]string{"caller": "+15550001234"}, Limit: 30 * time.Second}.Run(t)
			if r.Good != test.calls || r.Failed != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}
