//go:build interop

package peers

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// carrierStage is an edge whose trunk is a Kamailio that demands digest.
type carrierStage struct {
	*stage
	kamailio *RunningKamailio
	made     Kamailio // of what
}

// newCarrierStage starts both; addresses and files of k are filled in.
func newCarrierStage(t *testing.T, transport string, k Kamailio, trunk string) *carrierStage {
	t.Helper()
	Need(t, "sipp", "kamailio")
	authority := NewAuthority(t)
	k.Listen, k.TLS, k.Behind = FreePort(t, CarrierHost), FreePort(t, CarrierHost), FreePort(t, CarrierHost)
	k.Certificate, k.Key = authority.Issue(CarrierHost)
	if k.User == "" {
		k.User, k.Password = "customer", "s3cret"
	}
	s := &carrierStage{made: k, kamailio: k.Start(t)}
	server := k.Listen
	if transport == "tls" {
		server = k.TLS
	}
	s.stage = newStage(t, stageOptions{transport: transport, appTransport: "udp", carrier: server, authority: authority, trunk: trunk,
		sip: "shards: 1"}) // each shard has nonces of its own
	return s
}

// out plays calls from the application through the edge and Kamailio to the network behind.
func (s *carrierStage) out(t *testing.T, calls int) Result {
	t.Helper()
	answering := SIPp{Scenario: scenario("uas.xml"), Local: s.made.Behind}.Start(t)
	defer answering.Stop()
	r := SIPp{Scenario: scenario("uac.xml"), Local: FreePort(t, AppHost), Remote: s.udp, Service: theirNumber, Calls: calls, Rate: 1000,
		Open: 1, Pause: 10 * time.Millisecond, Keys: map[string]string{"caller": ourNumber}, Limit: 20 * time.Second}.Run(t)
	s.quiet(t) // the callee's side of the last BYE
	return r
}

// login are the trunk's keys for Kamailio; TLS keys are allowed on TLS trunks only.
func login(transport, password string) string {
	text := "auth_user: customer\n    auth_password: " + password + "\n    domain: carrier.example"
	if transport == "tls" {
		text += "\n    tls: {server_name: 127.0.0.2}"
	}
	return text
}

// TestKamailioChallengesCalls: Kamailio answers 407 to the first call, the edge answers the challenge, and every later call costs
// one INVITE, over each transport and with both digests.
func TestKamailioChallengesCalls(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		for _, algorithm := range []string{"MD5", "SHA-256"} {
			t.Run(transport+" "+algorithm, func(t *testing.T) {
				s := newCarrierStage(t, transport, Kamailio{Algorithm: algorithm}, login(transport, "s3cret"))
				if r := s.out(t, 10); r.Good != 10 || r.Failed != 0 || r.Repeated != 0 {
					t.Errorf("%+v", r)
				}
				if all, answered := s.kamailio.Seen("INVITE"); all != 11 || answered != 10 {
					t.Errorf("10 calls took %d INVITEs, %d of them with credentials", all, answered)
				}
				s.Stop()
				for _, r := range s.Records() {
					if r.Outcome != "answered" || r.Attempts > 2 {
						t.Errorf("%+v", r)
					}
				}
			})
		}
	}
}

// TestKamailioStaleNonce: a nonce that has grown too old is replaced without anybody noticing.
func TestKamailioStaleNonce(t *testing.T) {
	t.Parallel()
	s := newCarrierStage(t, "udp", Kamailio{NonceLife: 1}, login("udp", "s3cret"))
	for range 3 {
		if r := s.out(t, 2); r.Good != 2 || r.Repeated != 0 {
			t.Errorf("%+v", r)
		}
		time.Sleep(2100 * time.Millisecond) // until the nonce is stale
	}
	if all, _ := s.kamailio.Seen("INVITE"); all != 9 {
		t.Errorf("6 calls and 3 nonces took %d INVITEs, want 9", all)
	}
}

// TestKamailioWrongPassword: the application hears no challenge that is not its own, and Kamailio meets two tries per call at most:
// a nonce may have grown old without a word.
func TestKamailioWrongPassword(t *testing.T) {
	s := newCarrierStage(t, "udp", Kamailio{}, login("udp", "wrong"))
	if r := s.out(t, 3); r.Failed != 3 {
		t.Errorf("%+v", r)
	}
	if all, answered := s.kamailio.Seen("INVITE"); all > 6 || answered > 5 {
		t.Errorf("3 calls took %d INVITEs, %d with credentials", all, answered)
	}
	s.Stop()
	for _, r := range s.Records() {
		if r.Code == 401 || r.Code == 407 || r.Outcome == "answered" {
			t.Errorf("%+v", r)
		}
	}
}

// state is that of the trunk's registration, by the edge's metrics; empty while there is none.
func (s *carrierStage) state() string {
	for series, value := range s.Metrics() {
		var state string
		if _, err := fmt.Sscanf(series, `trunkline_registration_state{state=%q,trunk="carrier"}`, &state); err == nil && value == 1 {
			return state
		}
	}
	return ""
}

func (s *carrierStage) becomes(t *testing.T, limit time.Duration, state string) {
	t.Helper()
	last := ""
	for end := time.Now().Add(limit); last != state; time.Sleep(50 * time.Millisecond) {
		if last = s.state(); time.Now().After(end) {
			t.Fatalf("after %s the registration is %s, want %s", limit, last, state)
		}
	}
}

// TestKamailioRegistrar: the edge registers, refreshes with one REGISTER each, is called at its contact, and takes the binding back.
func TestKamailioRegistrar(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			s := newCarrierStage(t, transport, Kamailio{MaxExpires: 3}, "register: true\n    "+login(transport, "s3cret"))
			s.becomes(t, 5*time.Second, "registered")
			Eventually(t, 10*time.Second, "it was refreshed twice", func() bool { _, answered := s.kamailio.Seen("REGISTER"); return answered >= 3 })
			if all, answered := s.kamailio.Seen("REGISTER"); all != answered+1 {
				t.Errorf("%d of %d REGISTERs carried credentials: one challenge is enough", answered, all)
			}
			// A call to the binding: Kamailio takes it from the network behind it.
			answering := SIPp{Scenario: scenario("uas.xml"), Local: s.app}.Start(t)
			r := SIPp{Scenario: scenario("uac.xml"), Local: s.made.Behind, Remote: s.made.Listen, Service: ourNumber, Calls: 5, Rate: 20,
				Pause: 50 * time.Millisecond, Keys: map[string]string{"caller": theirNumber}, Limit: 20 * time.Second}.Run(t)
			s.quiet(t)
			answering.Stop()
			if r.Good != 5 || r.Repeated != 0 {
				t.Errorf("%+v", r)
			}
			s.Stop()
			s.kamailio.WaitForLog(5*time.Second, "registered for 0 s")
		})
	}
}

// TestKamailioRefusesRegistration: wrong credentials are tried once, not again and again until the account is locked.
func TestKamailioRefusesRegistration(t *testing.T) {
	t.Parallel()
	s := newCarrierStage(t, "udp", Kamailio{}, "register: true\n    "+login("udp", "wrong"))
	s.becomes(t, 5*time.Second, "auth_failed")
	all, answered := s.kamailio.Seen("REGISTER")
	if all != 2 || answered != 1 {
		t.Errorf("%d REGISTERs, %d with credentials; want the challenged one and one answer", all, answered)
	}
	time.Sleep(7 * time.Second) // longer than the wait after any other failure
	if later, _ := s.kamailio.Seen("REGISTER"); later != all {
		t.Errorf("%d more REGISTERs in seven seconds", later-all)
	}
	// Reload with the right password: at once.
	o := s.options
	o.trunk = "register: true\n    " + login("udp", "s3cret")
	s.Configure(EdgeOptions{Config: s.config(o)})
	s.Signal(syscall.SIGHUP)
	s.becomes(t, 5*time.Second, "registered")
}

// TestKamailioComesBack: a registrar that restarts has forgotten nonces and bindings; the edge registers anew.
func TestKamailioComesBack(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			s := newCarrierStage(t, transport, Kamailio{MaxExpires: 3}, "register: true\n    "+login(transport, "s3cret"))
			s.becomes(t, 5*time.Second, "registered")
			s.kamailio.Kill()
			s.becomes(t, 40*time.Second, "unreachable")
			s.kamailio = s.made.Start(t)
			s.becomes(t, 40*time.Second, "registered")
		})
	}
}
