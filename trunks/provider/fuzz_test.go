package provider

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"unicode/utf8"

	"trunkline/config"
)

// FuzzAnswers lets a provider say anything to everything. Whatever it says, the client comes to an end, yields only telephone
// numbers, and shows no secret.
func FuzzAnswers(f *testing.F) {
	for i, body := range []string{
		`{"data":[{"id":"1","phone_number":"+15550000100","status":"active","connection_id":"77"}],"meta":{"total_pages":2}}`,
		`{"data":{"id":"77","record_type":"ip_connection","active":true,"enabled":true,"whitelisted_destinations":["US"]}}`,
		`{"incoming_phone_numbers":[{"phone_number":"+15550000100","trunk_sid":null,"capabilities":{"voice":true}}],"next_page_uri":"//evil.example/x?Page=1"}`,
		`{"trunks":[{"sid":"TK1","account_sid":"AC1"}],"meta":{"next_page_url":"http://evil.example/%zz"}}`,
		`{"data":[],"links":{"next":"https://evil.example/a?page_token=x"}}`,
		`{"count":3,"numbers":[{"msisdn":"15550000100","voiceCallbackType":"sip","voiceCallbackValue":",,sip:"}],"value":1}`,
		`{"errors":[{"code":"10009","title":"x"}]}`, `{"errors":{"status":"x"}}`, `{"code":20003,"message":"x"}`, `{}`, `[]`, `null`, ``, `{"data":null}`,
	} {
		f.Add(uint8(i), uint16(200), []byte(body))
		f.Add(uint8(i), uint16(400), []byte(body))
	}
	telephone := regexp.MustCompile(`^\+[1-9][0-9]{2,14}$`)
	all := accounts(0)
	f.Fuzz(func(t *testing.T, which uint8, status uint16, body []byte) {
		if status < 200 || status > 499 || status == 429 {
			t.Skip("repeats take their time; others look at them")
		}
		asked := 0
		answer := roundTrip(func(r *http.Request) (*http.Response, error) {
			if asked++; asked > 40 {
				status, body = 404, nil // an endless list is cut short here; the client has a limit of its own
			}
			w := httptest.NewRecorder()
			w.WriteHeader(int(status))
			w.Write(body)
			return w.Result(), nil
		})
		directory, err := New(Options{Transport: answer})
		if err != nil {
			t.Fatal(err)
		}
		a := all[int(which)%len(all)]
		p, err := directory.Open(a.kind, a.credentials)
		if err != nil {
			t.Fatal(err)
		}
		see := func(err error) {
			if err != nil {
				noSecret(t, err.Error())
				if !utf8.ValidString(err.Error()) {
					t.Errorf("an error that is no text: %q", err)
				}
			}
		}
		see(p.Check(t.Context()))
		for n, err := range p.Numbers(t.Context()) {
			see(err)
			if err == nil && !telephone.MatchString(n.Number) {
				t.Errorf("number %q", n.Number)
			}
		}
		line := Line{Number: "+15550000100", Username: "u", Addresses: here()}
		_, err = p.Inbound(t.Context(), line)
		see(err)
		_, err = p.Outbound(t.Context(), line)
		see(err)
		_, err = p.Name(t.Context())
		see(err)
		if guided, ok := p.(Guided); ok {
			_, err = guided.SetUp(t.Context(), Guide{Reference: "r", Numbers: []string{"+15550000100"}})
			see(err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzCredentials checks that what is accepted can be opened, and that no word about it shows the value.
func FuzzCredentials(f *testing.F) {
	f.Add("signalwire", "spaceUrl", "acme.signalwire.com")
	f.Add("twilio", "apiKey", twilioKey)
	f.Add("manual", "username", "a b")
	directory, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	space := regexp.MustCompile(`^[a-z0-9-]+\.signalwire\.com$`)
	f.Fuzz(func(t *testing.T, kind, name, value string) {
		base := Credentials{}
		for _, a := range accounts(0) {
			if a.kind == Kind(kind) {
				base = a.credentials
			}
		}
		p, err := directory.Open(Kind(kind), Merge(base, Credentials{name: config.Secret(value)}))
		if err != nil {
			return
		}
		if wire, ok := p.(*signalWire); ok && !space.MatchString(wire.base.Host) {
			t.Errorf("credentials would go to %q", wire.base.Host)
		}
	})
}
