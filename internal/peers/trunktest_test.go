//go:build interop

package peers

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTrunkTest: `trunk test` tells a good trunk from each bad one, by exit status and cause, over each transport.
func TestTrunkTest(t *testing.T) {
	Need(t, "sipp", "kamailio")
	Binary(t) // not to be timed
	authority := NewAuthority(t)
	certificate, key := authority.Issue(CarrierHost)
	k := Kamailio{Listen: FreePort(t, CarrierHost), TLS: FreePort(t, CarrierHost), Certificate: certificate, Key: key,
		User: "customer", Password: "s3cret", Behind: FreePort(t, CarrierHost)}
	carrier := k.Start(t)
	SIPp{Scenario: scenario("uas-ring.xml"), Local: k.Behind}.Start(t)
	closed := FreePort(t, CarrierHost)
	_, strange := NewAuthority(t), NewAuthority(t)
	for _, transport := range []string{"udp", "tcp", "tls"} {
		server := k.Listen
		if transport == "tls" {
			server = k.TLS
		}
		for _, test := range []struct {
			name           string
			server         netip.AddrPort
			user, password string
			ca             string
			more           []string
			status         int
			check, cause   string // a check that failed, and why; empty: none did
		}{
			{"good credentials, by REGISTER and a call", server, "customer", "s3cret", authority.File, []string{"--register", "--to", theirNumber}, 0, "", ""},
			{"good credentials, by a call alone", server, "customer", "s3cret", authority.File, []string{"--to", theirNumber}, 0, "", ""},
			{"a wrong password, by REGISTER", server, "customer", "wrong", authority.File, []string{"--register"}, 3, "credentials_valid", "wrong_password"},
			{"a wrong password, by a call", server, "customer", "wrong", authority.File, []string{"--to", theirNumber}, 3, "credentials_valid", "wrong_password"},
			{"an unknown user", server, "nobody", "s3cret", authority.File, []string{"--register"}, 3, "credentials_valid", "unknown_user"},
			{"no credentials at all", server, "", "", authority.File, []string{"--to", theirNumber}, 3, "credentials_valid", "missing_credentials"},
			{"a closed port", closed, "customer", "s3cret", authority.File, []string{"--register", "--to", theirNumber}, 3, "credentials_valid", "port_closed"},
			{"an authority we do not trust", server, "customer", "s3cret", strange.File, []string{"--register"}, 3, "credentials_valid", "tls_untrusted"},
		} {
			if test.ca == strange.File && transport != "tls" {
				continue
			}
			t.Run(transport+" "+test.name, func(t *testing.T) {
				args := []string{"trunk", "test", "--server", test.server.String(), "--transport", transport, "--timeout", "3s", "-o", "json"}
				if transport == "tls" {
					args = append(args, "--tls-ca", test.ca)
				} else {
					args = append(args, "--domain", "carrier.example")
				}
				if test.user != "" {
					file := filepath.Join(t.TempDir(), "password")
					if err := os.WriteFile(file, []byte(test.password+"\n"), 0o600); err != nil {
						t.Fatal(err)
					}
					args = append(args, "--auth-user", test.user, "--auth-password-file", file)
				}
				start := time.Now()
				status, out, talk := Command(t, append(args, test.more...)...)
				if status != test.status {
					t.Errorf("exit status %d, want %d\n%s%s", status, test.status, out, talk)
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("it took %s", took)
				}
				if strings.Contains(out+talk, "s3cret") {
					t.Error("the password is shown")
				}
				var report struct {
					Checks []struct{ Check, Verdict, Code, Fix string }
				}
				if err := json.Unmarshal([]byte(out), &report); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				found := test.check == ""
				for _, c := range report.Checks {
					switch {
					case c.Check == test.check && c.Verdict == "fail" && c.Code == test.cause && c.Fix != "":
						found = true
					case c.Verdict == "fail" && test.check == "":
						t.Errorf("%+v", c)
					}
				}
				if !found {
					t.Errorf("%s does not fail by %s: %+v\n%s", test.check, test.cause, report.Checks, talk)
				}
			})
		}
	}
	if n := strings.Count(carrier.Log(), "registered for 0 s"); n > 0 {
		t.Errorf("%d bindings were taken away by a test", n)
	}
}
