//go:build interop

package peers

import (
	"testing"
	"time"
)

// calls runs a calling scenario at the application against an answering one at the carrier, through an edge.
func (s *stage) calls(t *testing.T, caller, callee string, n int, pause time.Duration) {
	t.Helper()
	answering := SIPp{Scenario: scenario(callee), Local: s.carrier, Pause: pause, Limit: 2 * time.Minute}
	answering.Start(t)
	r := SIPp{Scenario: scenario(caller), Local: s.app, Remote: s.udp, Service: theirNumber, Calls: n, Rate: 20, Pause: pause,
		Keys: map[string]string{"caller": ourNumber}, Limit: 2 * time.Minute}.Run(t)
	if r.Good != n || r.Failed != 0 {
		t.Errorf("%s to %s: %+v\n%s", caller, callee, r, s.Log())
	}
}

// outcomes are the call records of an edge that is to end now, by outcome and reason.
func (s *stage) outcomes() map[string]int {
	s.Stop()
	count := map[string]int{}
	for _, r := range s.Records() {
		count[r.Outcome+" "+r.Reason]++
	}
	return count
}

// TestReliableProvisionals: a side that insists on 100rel meets one that has never heard of it, and one of its kind.
func TestReliableProvisionals(t *testing.T) {
	for _, test := range []struct{ caller, callee string }{
		{"uac.xml", "uas-prack.xml"}, {"uac-prack.xml", "uas.xml"}, {"uac-prack.xml", "uas-prack.xml"},
	} {
		t.Run(test.caller+" "+test.callee, func(t *testing.T) {
			s := newStage(t, stageOptions{relay: true})
			s.calls(t, test.caller, test.callee, 20, 100*time.Millisecond)
			if got := s.outcomes(); got["answered bye"] != 20 {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestSessionTimers: the carrier leaves the refresh to the edge, which does it at half of the 90 s; the application does it
// itself, after its first interval was refused.
func TestSessionTimers(t *testing.T) {
	t.Run("the edge refreshes", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, stageOptions{relay: false})
		s.calls(t, "uac.xml", "uas-timer.xml", 5, 48*time.Second)
	})
	t.Run("the caller refreshes", func(t *testing.T) {
		s := newStage(t, stageOptions{relay: false})
		s.calls(t, "uac-timer.xml", "uas.xml", 20, 100*time.Millisecond)
	})
}

// TestBlindTransfer: the application transfers the callee to a second one; both talk on, until one hangs up.
func TestBlindTransfer(t *testing.T) {
	const calls = 20
	s := newStage(t, stageOptions{relay: true})
	s.calls(t, "uac-refer.xml", "uas-transferred.xml", calls, 500*time.Millisecond)
	Eventually(t, 10*time.Second, "no call is left", func() bool { return s.Metrics().Sum("trunkline_calls") == 0 })
	if got := s.outcomes(); got["answered bye"] != 2*calls {
		t.Errorf("%v", got)
	}
}
