package peers

import (
	"testing"
	"time"
)

// TestKamailioAlone registers, calls with digest and is called, with SIPp on both sides: what fails here is not the edge's fault.
func TestKamailioAlone(t *testing.T) {
	Need(t, "kamailio", "sipp")
	customer, network := FreePort(t, AppHost), FreePort(t, CarrierHost)
	k := Kamailio{Listen: FreePort(t, CarrierHost), Network: network, User: "alice", Password: "secret"}
	k.Start(t)
	keys := map[string]string{"caller": "alice", "contact": customer.String(), "realm": "carrier.example"}
	login := SIPp{Scenario: scenario("register.xml"), Local: customer, Remote: k.Listen, Service: "alice", User: "alice", Password: "wrong", Keys: keys, Limit: 20 * time.Second}
	if r := login.Run(t); r.Good != 0 {
		t.Errorf("a wrong password registers: %+v", r)
	}
	login.Password = "secret"
	if r := login.Run(t); r.Good != 1 {
		t.Fatalf("register: %+v", r)
	}
	callee := SIPp{Scenario: scenario("uas.xml"), Local: customer}.Start(t)
	in := SIPp{Scenario: scenario("uac.xml"), Local: network, Remote: k.Listen, Service: "+15550001234", Calls: 10, Keys: map[string]string{"caller": "+14155550199"}, Limit: 20 * time.Second}
	if r := in.Run(t); r.Good != 10 {
		t.Errorf("calls to the customer: %+v", r)
	}
	callee.Stop()
	SIPp{Scenario: scenario("uas.xml"), Local: network}.Start(t)
	out := SIPp{Scenario: scenario("uac-digest.xml"), Local: customer, Remote: k.Listen, Service: "+14155550100", Calls: 10, User: "alice", Password: "secret", Keys: keys, Limit: 20 * time.Second}
	if r := out.Run(t); r.Good != 10 {
		t.Errorf("calls of the customer: %+v", r)
	}
}

// TestKamailioSHA256 only starts: SIPp 3.6 answers MD5 challenges alone.
func TestKamailioSHA256(t *testing.T) {
	Kamailio{Listen: FreePort(t, CarrierHost), Network: FreePort(t, CarrierHost), User: "alice", Password: "secret", Algorithm: "SHA-256"}.Start(t)
}
