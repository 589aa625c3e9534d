package provider

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"trunkline/config"
	"trunkline/internal/providerfake"
)

// What the accounts of these tests have. The secrets are looked for in every error.
const (
	telnyxKey      = "KEY0198C0FFEE_telnyxSecret"
	twilioAccount  = "AC0123456789abcdef0123456789abcdef"
	twilioToken    = "fedcba9876543210fedcba9876543210"
	twilioKey      = "SK0123456789abcdef0123456789abcdef"
	twilioSecret   = "twilioSecretTwilioSecret12345678"
	twilioTrunkSID = "TK00000000000000000000000000000001"
	wireProject    = "5a3c1f60-0000-4000-8000-00000000abcd"
	wireToken      = "PTsignalWireSecret"
	vonageKey      = "a1b2c3d4"
	vonageSecret   = "vonageSecret99"
)

var ourAddress = netip.MustParseAddr("203.0.113.7")

// account is a fake with the credentials that open it.
type account struct {
	kind        Kind
	fake        fake
	credentials Credentials
}

type fake interface {
	http.Handler
	Fail(providerfake.Fault)
	Refused() []string
	Requests() []string
}

// accounts returns one account each, with numbers on it.
func accounts(numbers int) []account {
	telnyx := providerfake.NewTelnyx(telnyxKey)
	telnyx.Connections = []*providerfake.TelnyxConnection{{ID: "77", RecordType: "credential_connection", Name: "Acme Main", UserName: "acmeuser", Profile: "88"}}
	telnyx.Profiles = []*providerfake.TelnyxProfile{{ID: "88", Name: "Acme out", Enabled: true, Destinations: []string{"US", "CA"}}}
	twilio := providerfake.NewTwilio(twilioAccount, twilioToken, twilioKey, twilioSecret)
	twilio.Trunks = []*providerfake.TwilioTrunk{{SID: twilioTrunkSID, Name: "Acme Trunk", Domain: "acme.pstn.twilio.com", Auth: "CREDENTIAL_LIST"}}
	wire := providerfake.NewSignalWire(wireProject, wireToken)
	vonage := providerfake.NewVonage(vonageKey, vonageSecret)
	for i := range numbers {
		digits := fmt.Sprintf("1555%07d", 100+i)
		telnyx.Numbers = append(telnyx.Numbers, &providerfake.TelnyxNumber{ID: fmt.Sprint(i + 1), Number: "+" + digits, Status: "active", ConnectionID: "77"})
		twilio.Numbers = append(twilio.Numbers, &providerfake.TwilioNumber{SID: fmt.Sprintf("PN%032d", i), Number: "+" + digits, Trunk: twilioTrunkSID})
		wire.Numbers = append(wire.Numbers, &providerfake.SignalWireNumber{ID: fmt.Sprint(i), Number: "+" + digits, Handler: "relay_sip_endpoint", Endpoint: "e1"})
		vonage.Numbers = append(vonage.Numbers, &providerfake.VonageNumber{MSISDN: digits, Country: "US", Type: "mobile-lvn", Features: []string{"VOICE", "SMS"}})
	}
	wire.Endpoints = []*providerfake.SignalWireEndpoint{{ID: "e1", Username: "acme", SendAs: "+15550000100"}}
	return []account{
		{Telnyx, telnyx, Credentials{"apiKey": telnyxKey}},
		{Twilio, twilio, Credentials{"apiKey": twilioKey, "apiSecret": twilioSecret, "accountSid": twilioAccount}},
		{SignalWire, wire, Credentials{"projectId": wireProject, "apiToken": wireToken, "spaceUrl": "acme.signalwire.com"}},
		{Vonage, vonage, Credentials{"apiKey": vonageKey, "apiSecret": vonageSecret}},
	}
}

// accountAt returns one account of kind.
func accountAt(t *testing.T, kind Kind, numbers int) account {
	t.Helper()
	for _, a := range accounts(numbers) {
		if a.kind == kind {
			return a
		}
	}
	t.Fatalf("no fake of %s", kind)
	return account{}
}

// open opens a with other credentials where given; without a socket. When the test ends, the fake must have understood everything.
func (a account) open(t *testing.T, changes Credentials) Provider {
	t.Helper()
	directory, err := New(Options{Transport: providerfake.Transport(a.fake)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := directory.Open(a.kind, Merge(a.credentials, changes))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if refused := a.fake.Refused(); len(refused) > 0 {
			t.Errorf("%s does not understand: %q", a.kind, refused)
		}
	})
	return p
}

// noSecret fails when text carries a secret of these tests.
func noSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{telnyxKey, twilioToken, twilioSecret, wireToken, vonageSecret} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret shows: %s", text)
		}
	}
}

func secret(s string) config.Secret { return config.Secret(s) }
