package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// MED-08: an answered call from which no RTP comes is ended towards both parties, says why, and is counted.
func TestCallWithoutMediaIsEnded_MED08(t *testing.T) {
	t.Parallel()
	e := startServe(t, "media: {ports: 9800-9899, timeout: 5s}")
	e.callIn("1")
	bye := e.carrier.expect("BYE ")
	e.agent.expect("BYE ")
	e.carrier.answer(e.sip, bye, "200 OK", "")
	if reason := header(bye, "Reason"); !strings.Contains(reason, "media_timeout") && !strings.Contains(strings.ToLower(reason), "media") {
		t.Errorf("the BYE does not say why: %q", reason)
	}
	within(t, 5*time.Second, "it is counted", func() bool {
		_, page := e.get("/metrics")
		return strings.Contains(page, `trunkline_calls_media_timeout_total{direction="inbound",trunk="carrier"} 1`)
	})
	if code, _ := e.get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz says %d", code)
	}
}

// A call on hold is silent for as long as it likes; the early limit ends one that never was answered.
func TestEarlyMediaTimeout_MED08(t *testing.T) {
	t.Parallel()
	e := startServe(t, "media: {ports: 9900-9999, early_timeout: 5s}")
	e.carrier.send(e.sip, invite(e, "1"))
	offered := e.agent.expect("INVITE ")
	e.agent.answer(e.sip, offered, "183 Session Progress", description)
	e.carrier.expect("SIP/2.0 183")
	e.carrier.expect("SIP/2.0 480")
	e.agent.expect("CANCEL ")
}
