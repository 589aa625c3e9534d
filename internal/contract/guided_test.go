package contract

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"trunkline/internal/peers"
	"trunkline/internal/providerfake"
)

// TestGuidedSetUp is TP-06 and Q-25: an account at Telnyx is set up over its API, tested over SIP, and becomes a connection.
func TestGuidedSetUp(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	s := o.shell()
	number := w.number()
	w.telnyx.Connections = []*providerfake.TelnyxConnection{{ID: "1293384261075731777", RecordType: "credential_connection", Name: "Acme Main", UserName: sipUser, Password: sipPassword}}
	w.telnyx.Numbers = []*providerfake.TelnyxNumber{{ID: "1", Number: number, Status: "active"}}
	w.telnyx.Registered = func(user string) string {
		if _, ok := w.carrier.Registered(user); !ok {
			return ""
		}
		return peers.EdgeHost
	}
	credentials := filepath.Join(t.TempDir(), "telnyx.yaml")
	write := func(key string) {
		text := fmt.Sprintf("apiKey: %s\nconnectionId: \"1293384261075731777\"\nsipUsername: %s\nsipPassword: %s\n", key, sipUser, sipPassword)
		if err := os.WriteFile(credentials, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	carrier := []string{"--provider", "telnyx", "--credentials-file", credentials, "--server", w.carrier.Addr().String(), "--domain", "carrier.example", "--transport", "udp", "--register"}

	t.Run("a wrong key changes nothing over there", func(t *testing.T) {
		write(wrongTelnyxKey)
		_, talk := s.run(t, 3, append([]string{"trunk", "create", "--guided", "--test-number", number, "--source", w.carrier.Addr().Addr().String()}, carrier...)...)
		contains(t, talk, "✗ account", "Telnyx portal", "✗ credentials_valid")
		equal(t, len(w.telnyx.Profiles), 0)
	})
	write(telnyxKey)
	t.Run("without the guide the test names what is missing", func(t *testing.T) {
		out, _ := s.run(t, 3, append([]string{"trunk", "test", "--inbound", number}, carrier...)...)
		contains(t, out, "the number is on no connection", "fix:")
	})
	t.Run("with it the account is ready and the connection made", func(t *testing.T) {
		made := s.json(t, append([]string{"trunk", "create", "--guided", "--test-number", number, "--source", w.carrier.Addr().Addr().String()}, carrier...)...)
		equal(t, made.str("provider"), "telnyx")
		equal(t, made.str("setup_method"), "guided_telnyx")
		equal(t, made.str("name"), "Telnyx: Acme Main ("+number+")")
		equal(t, w.telnyx.Numbers[0].ConnectionID, "1293384261075731777")
		equal(t, len(w.telnyx.Profiles), 1)
		equal(t, w.telnyx.Connections[0].Profile, w.telnyx.Profiles[0].ID)
		id := fmt.Sprint(made.num("id"))
		out, _ := s.run(t, 0, "number", "available", id)
		contains(t, out, number)
		s.run(t, 0, "number", "import", id, "--all")
		s.run(t, 0, "number", "verify", number)
	})
	t.Run("the provider understood everything", func(t *testing.T) {
		if refused := slices.Clone(w.telnyx.Refused()); len(refused) > 0 {
			t.Errorf("refused: %q", refused)
		}
	})
}
