package provider

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestCheckCredentials(t *testing.T) {
	for _, test := range []struct {
		name  string
		kind  Kind
		c     Credentials
		wrong string // fields, with commas
	}{
		{"nothing for Twilio", Twilio, nil, "apiKey,apiSecret"},
		{"half a key", Twilio, Credentials{"apiKey": twilioKey}, "apiSecret"},
		{"a key that is an account", Twilio, Credentials{"apiKey": twilioAccount, "apiSecret": "x"}, "apiKey"},
		{"a token without its account", Twilio, Credentials{"authToken": twilioToken}, "accountSid"},
		{"a trunk that is none", Twilio, Credentials{"apiKey": twilioKey, "apiSecret": "x", "trunkSid": "TK1"}, "trunkSid"},
		{"a name in the wrong case", Telnyx, Credentials{"api_key": "KEY"}, "api_key,apiKey"},
		{"a key with a line break", Telnyx, Credentials{"apiKey": "KEY\r\nX: y"}, "apiKey"},
		{"a connection that is no number", Telnyx, Credentials{"apiKey": "KEY", "connectionId": "../x"}, "connectionId"},
		{"a password without its user", Telnyx, Credentials{"apiKey": "KEY", "sipPassword": "x"}, "sipUsername"},
		{"no space", SignalWire, Credentials{"projectId": wireProject, "apiToken": "PT"}, "spaceUrl"},
		{"a space elsewhere", SignalWire, Credentials{"projectId": wireProject, "apiToken": "PT", "spaceUrl": "evil.example.com"}, "spaceUrl"},
		{"a space with a path", SignalWire, Credentials{"projectId": wireProject, "apiToken": "PT", "spaceUrl": "acme.signalwire.com/../x"}, "spaceUrl"},
		{"a space with a user", SignalWire, Credentials{"projectId": wireProject, "apiToken": "PT", "spaceUrl": "a@evil.example.com"}, "spaceUrl"},
		{"too long", Vonage, Credentials{"apiKey": "a", "apiSecret": secret(strings.Repeat("x", 513))}, "apiSecret"},
		{"a password alone", Manual, Credentials{"password": "x"}, "username"},
		{"an unknown provider", "acme", nil, "provider"},

		{"a good key", Twilio, Credentials{"apiKey": twilioKey, "apiSecret": "x"}, ""},
		{"account and token", Twilio, Credentials{"accountSid": twilioAccount, "authToken": twilioToken}, ""},
		{"a good key of Telnyx", Telnyx, Credentials{"apiKey": "KEY", "connectionId": "1293384261075731499"}, ""},
		{"the name of a space", SignalWire, Credentials{"projectId": wireProject, "apiToken": "PT", "spaceUrl": "acme"}, ""},
		{"the URL of a space", SignalWire, Credentials{"projectId": wireProject, "apiToken": "PT", "spaceUrl": "https://Acme.signalwire.com/"}, ""},
		{"Vonage", Vonage, Credentials{"apiKey": "a1", "apiSecret": "x"}, ""},
		{"by address alone", Manual, nil, ""},
		{"user and password", Manual, Credentials{"username": "u", "password": "p", "authRealm": "r s"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			err := Check(test.kind, test.c)
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				for _, e := range joined.Unwrap() {
					got = append(got, e.(*CredentialError).Field)
				}
			} else if one, ok := errors.AsType[*CredentialError](err); ok {
				got = []string{one.Field}
			}
			if strings.Join(got, ",") != test.wrong {
				t.Errorf("got %q (%v), want %q", got, err, test.wrong)
			}
			for _, value := range test.c {
				if len(value) > 3 && err != nil && strings.Contains(err.Error(), value.Reveal()) {
					t.Errorf("the value shows: %v", err)
				}
			}
		})
	}
}

func TestMerge(t *testing.T) {
	stored := Credentials{"apiKey": "old", "connectionId": "1", "sipUsername": "u"}
	got := Merge(stored, Credentials{"apiKey": "new", "sipUsername": ""})
	if !maps.Equal(got, Credentials{"apiKey": "new", "connectionId": "1"}) {
		t.Errorf("got %d credentials", len(got))
	}
	if stored["apiKey"] != "old" || stored["sipUsername"] != "u" {
		t.Error("what was stored has changed")
	}
}

func TestComplete(t *testing.T) {
	for domain, want := range map[string]string{
		"acme-1a2b3c.sip.signalwire.com":    "acme.signalwire.com",
		"acme-eu-1a2b3c.sip.signalwire.com": "acme-eu.signalwire.com",
		"sip.example.com":                   "",
	} {
		if got := Complete(SignalWire, Credentials{"projectId": "x"}, domain)["spaceUrl"].Reveal(); got != want {
			t.Errorf("%s: %q, want %q", domain, got, want)
		}
	}
	if got := Complete(SignalWire, Credentials{"spaceUrl": "b"}, "acme-1.sip.signalwire.com")["spaceUrl"]; got != "b" {
		t.Error("what was given has changed")
	}
}
