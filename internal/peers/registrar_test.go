//go:build interop

package peers

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRegistrationIsTakenBackLast: at SIGTERM a call that came to our registration goes on to its end, and only then is the binding
// taken back; a call that is still up at the deadline has its BYE before (OVL-04).
func TestRegistrationIsTakenBackLast(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, drain string
		hold        time.Duration
	}{
		{"the call ends by itself", "20s", 2 * time.Second},
		{"the call outlasts the deadline", "500ms", 15 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newCarrierStage(t, "udp", Kamailio{}, "register: true\n    "+login("udp", "s3cret"))
			o := s.options
			o.more = "drain: {deadline: " + test.drain + "}"
			s.Configure(EdgeOptions{Config: s.config(o)})
			s.Signal(syscall.SIGHUP)
			s.WaitForLog(5*time.Second, "configuration reloaded")
			s.becomes(t, 5*time.Second, "registered")
			answering := SIPp{Scenario: scenario("uas.xml"), Local: s.app}.Start(t)
			defer answering.Stop()
			calling, _ := SIPp{Scenario: scenario("uac.xml"), Local: s.made.Behind, Remote: s.made.Listen, Service: ourNumber, Calls: 1, Rate: 10,
				Pause: test.hold, Keys: map[string]string{"caller": theirNumber}, Limit: 20 * time.Second}.start(t)
			defer calling.Stop()
			Eventually(t, 5*time.Second, "the call is up", func() bool { return s.Metrics().Sum("trunkline_calls", `state="answered"`) == 1 })
			s.Signal(syscall.SIGTERM)
			if status := s.Wait(15 * time.Second); status != 0 {
				t.Errorf("exit status %d", status)
			}
			log := s.kamailio.Log()
			bye, gone := strings.Index(log, "seen BYE"), strings.Index(log, "registered for 0 s")
			if bye < 0 || gone < bye {
				t.Errorf("BYE at %d, binding taken back at %d of the registrar's log", bye, gone)
			}
		})
	}
}

// TestRegistrarWithAnotherName: what is wrong with the registrar's certificate stands in the page of registrations.
func TestRegistrarWithAnotherName(t *testing.T) {
	t.Parallel()
	trunk := strings.Replace(login("tls", "s3cret"), "server_name: 127.0.0.2", "server_name: sip.other.example", 1)
	s := newCarrierStage(t, "tls", Kamailio{}, "register: true\n    "+trunk)
	s.becomes(t, 10*time.Second, "unreachable")
	if _, page := s.Get("/debug/registrations"); !strings.Contains(page, "the certificate is for 127.0.0.2, not for sip.other.example") {
		t.Errorf("the page says\n%s", page)
	}
}
