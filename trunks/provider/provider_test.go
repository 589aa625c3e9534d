package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/internal/providerfake"
)

func TestCheckProvesCredentials(t *testing.T) {
	for _, a := range accounts(3) {
		t.Run(string(a.kind), func(t *testing.T) {
			if err := a.open(t, nil).Check(t.Context()); err != nil {
				t.Errorf("good credentials: %v", err)
			}
		})
	}
}

func TestWrongCredentialsAreUnauthorized(t *testing.T) {
	wrong := map[Kind]Credentials{Telnyx: {"apiKey": "KEYwrong"}, Twilio: {"apiSecret": "wrong"}, SignalWire: {"apiToken": "wrong"}, Vonage: {"apiSecret": "wrong"}}
	for _, a := range accounts(3) {
		t.Run(string(a.kind), func(t *testing.T) {
			err := a.open(t, wrong[a.kind]).Check(t.Context())
			known, ok := errors.AsType[*Error](err)
			if !ok || known.Class != Unauthorized || known.Fix() == "" || known.Message == "" {
				t.Fatalf("got %#v, want unauthorized with words and a fix", err)
			}
			if f := FindingOf(err); f.Verdict != Fail || f.Code != "api_unauthorized" || f.Fix == "" {
				t.Errorf("as a finding: %+v", f)
			}
			if len(a.fake.Requests()) != 1 {
				t.Errorf("a refusal was asked for again: %q", a.fake.Requests())
			}
		})
	}
}

func TestMissingScopeIsForbidden(t *testing.T) {
	for _, a := range accounts(1) {
		var p Provider
		switch fake := a.fake.(type) {
		case *providerfake.Telnyx:
			fake.NumbersOnly = true
			p = a.open(t, Credentials{"connectionId": "77"})
		case *providerfake.Twilio:
			fake.NumbersOnly = true
			p = a.open(t, Credentials{"accountSid": ""}) // the account can only be found through the trunks
		case *providerfake.SignalWire:
			fake.NoScope = true
			p = a.open(t, nil)
		default:
			continue // a key of Vonage has no scopes
		}
		err := p.Check(t.Context())
		if known, ok := errors.AsType[*Error](err); !ok || known.Class != Forbidden || FindingOf(err).Verdict != Fail {
			t.Errorf("%s: got %v, want forbidden", a.kind, err)
		}
	}
}

// A standard key may not read the account: whoever tests a key that way finds good keys bad (providers.md fact 6).
func TestTwilioFindsTheAccountOfAKey(t *testing.T) {
	a := accountAt(t, Twilio, 2)
	p := a.open(t, Credentials{"accountSid": ""})
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(collect(t, p)); n != 2 {
		t.Errorf("%d numbers, want 2", n)
	}
	a.fake.(*providerfake.Twilio).Trunks = nil
	err := p.Check(t.Context())
	if known, ok := errors.AsType[*Error](err); !ok || known.Class != Incomplete || !strings.Contains(known.Fix(), "accountSid") {
		t.Errorf("without a trunk: %v, want a hint at accountSid", err)
	}
}

func TestTwilioTakesAccountAndToken(t *testing.T) {
	a := accountAt(t, Twilio, 1)
	if err := a.open(t, Credentials{"apiKey": "", "apiSecret": "", "authToken": secret(twilioToken)}).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestVonageByQuery(t *testing.T) {
	a := accountAt(t, Vonage, 1)
	a.fake.(*providerfake.Vonage).QueryAuth = true
	directory, err := New(Options{Transport: providerfake.Transport(a.fake), VonageQueryAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := directory.Open(Vonage, a.credentials)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context()); err != nil {
		t.Error(err)
	}
	a.fake.Fail(providerfake.Fault{Cut: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = p.Check(ctx)
	if err == nil {
		t.Fatal("no error from a connection that was cut")
	}
	noSecret(t, err.Error())
}

func collect(t *testing.T, p Provider) (numbers []Number) {
	t.Helper()
	for n, err := range p.Numbers(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func TestNumbersOfAllPages(t *testing.T) {
	for _, count := range []int{0, 1, 100, 250, 1000, 2345} {
		for _, a := range accounts(count) {
			t.Run(fmt.Sprintf("%s/%d", a.kind, count), func(t *testing.T) {
				numbers := collect(t, a.open(t, nil))
				if len(numbers) != count {
					t.Fatalf("%d numbers, want %d", len(numbers), count)
				}
				for i, n := range numbers {
					if want := fmt.Sprintf("+1555%07d", 100+i); n.Number != want || !n.Voice || !n.Active {
						t.Fatalf("number %d is %+v, want %s", i, n, want)
					}
				}
			})
		}
	}
}

func TestNumbersStopWhenNobodyAsks(t *testing.T) {
	for _, a := range accounts(2345) {
		for range a.open(t, nil).Numbers(t.Context()) {
			break
		}
		if n := len(a.fake.Requests()); n != 1 {
			t.Errorf("%s: %d requests for one number", a.kind, n)
		}
	}
}

func TestEmptyObject(t *testing.T) {
	for _, a := range accounts(3) {
		a.fake.Fail(providerfake.Fault{Status: http.StatusOK, Body: "{}"})
		p := a.open(t, nil)
		checked := p.Check(t.Context())
		if known, ok := errors.AsType[*Error](checked); !ok || known.Class != Malformed {
			t.Errorf("%s: Check of {}: %v, want malformed", a.kind, checked)
		}
		var listed error
		for _, err := range p.Numbers(t.Context()) {
			listed = err
		}
		if a.kind == Vonage { // says {} when there is no number
			if listed != nil {
				t.Errorf("vonage: numbers of {}: %v", listed)
			}
			continue
		}
		if known, ok := errors.AsType[*Error](listed); !ok || known.Class != Malformed {
			t.Errorf("%s: numbers of {}: %v, want malformed: an empty account is not known", a.kind, listed)
		}
	}
}

// TestTrouble looks at how long a client bears trouble, in real durations.
func TestTrouble(t *testing.T) {
	ok := Class("")
	for _, test := range []struct {
		name     string
		fault    providerfake.Fault
		want     Class
		requests int
		atLeast  time.Duration
		atMost   time.Duration
	}{
		{"a 503 passes", providerfake.Fault{Status: 503, Times: 1}, ok, 2, 100 * time.Millisecond, 2 * time.Second},
		{"Retry-After is obeyed", providerfake.Fault{Status: 429, Times: 1, Header: http.Header{"Retry-After": {"7"}}}, ok, 2, 7 * time.Second, 8 * time.Second},
		{"Retry-After of a 503 as well", providerfake.Fault{Status: 503, Times: 1, Header: http.Header{"Retry-After": {"3"}}}, ok, 2, 3 * time.Second, 4 * time.Second},
		{"the reset of Telnyx is obeyed", providerfake.Fault{Status: 429, Times: 1, Header: http.Header{"X-Ratelimit-Reset": {"2"}}}, ok, 2, 2 * time.Second, 3 * time.Second},
		{"an hour is too long to wait", providerfake.Fault{Status: 429, Header: http.Header{"Retry-After": {"3600"}}}, RateLimited, 1, 0, time.Second},
		{"a 429 without more is borne three times", providerfake.Fault{Status: 429}, RateLimited, 4, time.Second, 15 * time.Second},
		{"a 500 for ever", providerfake.Fault{Status: 500}, Unavailable, 4, time.Second, 15 * time.Second},
		{"a connection that is cut", providerfake.Fault{Cut: true, Times: 2}, ok, 3, 200 * time.Millisecond, 5 * time.Second},
		{"an answer that never comes", providerfake.Fault{Delay: time.Hour, Times: 1}, ok, 2, 10 * time.Second, 12 * time.Second},
		{"four answers that never come", providerfake.Fault{Delay: time.Hour}, TimedOut, 4, 40 * time.Second, 50 * time.Second},
		{"a slow answer is an answer", providerfake.Fault{Delay: 9 * time.Second}, ok, 1, 9 * time.Second, 9 * time.Second},
		{"no JSON", providerfake.Fault{Status: 200, Body: "<html>login</html>"}, Malformed, 1, 0, 0},
		{"half a JSON", providerfake.Fault{Status: 200, Body: `{"data":[{"phone_number":"+1555`}, Malformed, 1, 0, 0},
		{"two JSONs", providerfake.Fault{Status: 200, Body: `{} {}`}, Malformed, 1, 0, 0},
		{"the wrong type", providerfake.Fault{Status: 200, Body: `{"data":"x","incoming_phone_numbers":"x","value":"x"}`}, Malformed, 1, 0, 0},
		{"nothing", providerfake.Fault{Status: 200, Body: " "}, Malformed, 1, 0, 0},
		{"too much", providerfake.Fault{Status: 200, Body: strings.Repeat(" ", largestAnswer+1)}, TooLarge, 1, 0, 0},
		{"a redirect is not followed", providerfake.Fault{Status: 302, Header: http.Header{"Location": {"http://169.254.169.254/"}}}, Malformed, 1, 0, 0},
		{"a 400 without words", providerfake.Fault{Status: 400, Body: "no"}, Rejected, 1, 0, 0},
	} {
		for _, kind := range Kinds[:4] {
			t.Run(test.name+"/"+string(kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := accountAt(t, kind, 3)
					a.fake.Fail(test.fault)
					began := time.Now()
					err := a.open(t, nil).Check(t.Context())
					took := time.Since(began)
					known, isError := errors.AsType[*Error](err)
					switch {
					case test.want == ok && err != nil:
						t.Fatal(err)
					case test.want != ok && (!isError || known.Class != test.want):
						t.Fatalf("got %v, want %s", err, test.want)
					}
					if isError {
						noSecret(t, err.Error())
						if FindingOf(err).Verdict != Inconclusive && known.Class != Rejected {
							t.Errorf("trouble over there is a %s", FindingOf(err).Verdict)
						}
					}
					if n := len(a.fake.Requests()); n != test.requests {
						t.Errorf("%d requests, want %d", n, test.requests)
					}
					if took < test.atLeast || took > test.atMost {
						t.Errorf("took %v, want %v to %v", took, test.atLeast, test.atMost)
					}
				})
			})
		}
	}
}

func TestDeadlineEndsRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := accountAt(t, Telnyx, 1)
		a.fake.Fail(providerfake.Fault{Status: 429, Header: http.Header{"Retry-After": {"10"}}})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		err := a.open(t, nil).Check(ctx)
		known, ok := errors.AsType[*Error](err)
		if !ok || known.Class != RateLimited || known.RetryAfter != 10*time.Second {
			t.Errorf("got %v, want rate limited for 10 s", err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %v for what cannot come in time", took)
		}
	})
}

// What changes something is sent once: the registrar is asked by POST.
func TestNoPostIsRepeated(t *testing.T) {
	a := accountAt(t, Telnyx, 1)
	a.fake.Fail(providerfake.Fault{Path: "/v2/credential_connections/", Status: 503})
	_, err := a.open(t, nil).Inbound(t.Context(), Line{Number: "+15550000100"})
	if known, ok := errors.AsType[*Error](err); !ok || known.Class != Unavailable {
		t.Fatalf("got %v, want unavailable", err)
	}
	posts := 0
	for _, r := range a.fake.Requests() {
		if strings.HasPrefix(r, "POST ") {
			posts++
		}
	}
	if posts != 1 {
		t.Errorf("%d POSTs, want 1", posts)
	}
}

// A provider that repeats our secrets in its error does not get them into ours.
func TestErrorsCarryNoSecret(t *testing.T) {
	words := `{"errors":[{"code":"%[1]s","title":"%[1]s","detail":"%[1]s"}],"code":"%[1]s","message":"key %[1]s is bad\u0007","error":"%[1]s","error-code-label":"%[1]s"}`
	for _, a := range accounts(1) {
		for _, name := range []string{"apiKey", "apiSecret", "apiToken"} {
			if a.credentials[name] == "" {
				continue
			}
			a.fake.Fail(providerfake.Fault{Status: 400, Times: 1, Body: fmt.Sprintf(words, a.credentials[name].Reveal())})
			err := a.open(t, nil).Check(t.Context())
			if err == nil {
				t.Fatalf("%s: no error", a.kind)
			}
			var logged bytes.Buffer
			slog.New(slog.NewTextHandler(&logged, nil)).Error("x", "error", err, "credentials", a.credentials)
			text, _ := json.Marshal(a.credentials)
			noSecret(t, fmt.Sprintf("%v %+v %#v %s %v %+v %s", err, err, err, logged.String(), a.credentials, a.credentials, text))
			if strings.ContainsRune(err.Error(), 7) {
				t.Errorf("a control character of the provider got through: %q", err)
			}
		}
	}
}

func TestInboundAndOutbound(t *testing.T) {
	const number = "+15550000100"
	here := Line{Number: number, Username: "acmeuser", Addresses: []netip.Addr{ourAddress}, Hosts: []string{"edge.example.net"}}
	pass := string(Pass)
	for _, test := range []struct {
		name     string
		kind     Kind
		changes  Credentials
		prepare  func(fake)
		line     func(*Line)
		inbound  string // "pass", or the code
		outbound string
	}{
		{name: "registered by us", kind: Telnyx, prepare: registeredFrom("203.0.113.7"), inbound: pass, outbound: pass},
		{name: "the connection named is the number's", kind: Telnyx, changes: Credentials{"connectionId": "77"}, prepare: registeredFrom("203.0.113.7"), inbound: pass, outbound: pass},
		{name: "nobody is registered", kind: Telnyx, inbound: "not_registered", outbound: pass},
		{name: "somebody else is registered", kind: Telnyx, prepare: registeredFrom("198.51.100.1"), inbound: "registered_elsewhere", outbound: pass},
		{name: "another user is registered", kind: Telnyx, prepare: registeredFrom("203.0.113.7"), line: func(l *Line) { l.Username = "other" }, inbound: "registered_as_other", outbound: pass},
		{name: "a number of another account", kind: Telnyx, line: func(l *Line) { l.Number = "+15559999999" }, inbound: "number_not_owned", outbound: "number_not_owned"},
		{name: "a longer number with the same beginning", kind: Telnyx, line: func(l *Line) { l.Number = "+1555000010" }, inbound: "number_not_owned", outbound: "number_not_owned"},
		{name: "a number on no connection", kind: Telnyx, prepare: func(f fake) { f.(*providerfake.Telnyx).Numbers[0].ConnectionID = "" }, inbound: "number_not_on_connection", outbound: "number_not_on_connection"},
		{name: "a number that is being ported", kind: Telnyx, prepare: func(f fake) { f.(*providerfake.Telnyx).Numbers[0].Status = "port-pending" }, inbound: "number_not_active", outbound: "number_not_active"},
		{name: "a number on another connection", kind: Telnyx, changes: Credentials{"connectionId": "78"}, inbound: "number_on_other_connection", outbound: "number_on_other_connection"},
		{name: "a connection switched off", kind: Telnyx, prepare: func(f fake) { f.(*providerfake.Telnyx).Connections[0].Inactive = true }, inbound: "connection_inactive", outbound: "connection_inactive"},
		{name: "no outbound profile", kind: Telnyx, prepare: func(f fake) { f.(*providerfake.Telnyx).Connections[0].Profile = "" }, inbound: "not_registered", outbound: "no_outbound_profile"},
		{name: "a profile switched off", kind: Telnyx, prepare: func(f fake) { f.(*providerfake.Telnyx).Profiles[0].Enabled = false }, inbound: "not_registered", outbound: "outbound_profile_disabled"},
		{name: "a country that is not allowed", kind: Telnyx, line: func(l *Line) { l.Destination = "+353861234567" }, inbound: "not_registered", outbound: "destination_not_allowed"},
		{name: "a country that is allowed", kind: Telnyx, line: func(l *Line) { l.Destination = "+14155550100" }, inbound: "not_registered", outbound: pass},
		{name: "by IP to us", kind: Telnyx, prepare: byTarget("ip_connection", providerfake.TelnyxTarget{ConnectionID: "77", IP: "203.0.113.7"}), inbound: pass, outbound: pass},
		{name: "by IP elsewhere", kind: Telnyx, prepare: byTarget("ip_connection", providerfake.TelnyxTarget{ConnectionID: "77", IP: "198.51.100.1"}), inbound: "target_elsewhere", outbound: pass},
		{name: "by IP nowhere", kind: Telnyx, prepare: byTarget("ip_connection", providerfake.TelnyxTarget{}), inbound: "no_target", outbound: pass},
		{name: "by FQDN to us", kind: Telnyx, prepare: byTarget("fqdn_connection", providerfake.TelnyxTarget{ConnectionID: "77", FQDN: "Edge.example.net."}), inbound: pass, outbound: pass},
		{name: "a connection that is no SIP", kind: Telnyx, prepare: byTarget("call_control_application", providerfake.TelnyxTarget{}), inbound: "connection_no_sip", outbound: pass},

		{name: "an origination URI of ours", kind: Twilio, prepare: originates("sip:203.0.113.7:5060;transport=tcp"), inbound: pass, outbound: pass},
		{name: "an origination name of ours", kind: Twilio, prepare: originates("sip:edge.example.net;edge=dublin"), inbound: pass, outbound: pass},
		{name: "an origination URI elsewhere", kind: Twilio, prepare: originates("sip:198.51.100.1"), inbound: "origination_elsewhere", outbound: pass},
		{name: "no origination URI", kind: Twilio, inbound: "no_origination", outbound: pass},
		{name: "an origination URI switched off", kind: Twilio, prepare: func(f fake) {
			f.(*providerfake.Twilio).Trunks[0].Origination = []providerfake.TwilioOrigination{{URL: "sip:203.0.113.7", Disabled: true}}
		}, inbound: "origination_disabled", outbound: pass},
		{name: "a number on no trunk", kind: Twilio, prepare: func(f fake) { f.(*providerfake.Twilio).Numbers[0].Trunk = "" }, inbound: "number_not_on_trunk", outbound: "number_not_on_trunk"},
		{name: "a number on another trunk", kind: Twilio, changes: Credentials{"trunkSid": "TK00000000000000000000000000000009"}, inbound: "number_on_other_trunk", outbound: "number_on_other_trunk"},
		{name: "a number without voice", kind: Twilio, prepare: func(f fake) { f.(*providerfake.Twilio).Numbers[0].NoVoice = true }, inbound: "number_no_voice", outbound: "number_no_voice"},
		{name: "a number of another account", kind: Twilio, line: func(l *Line) { l.Number = "+15559999999" }, inbound: "number_not_owned", outbound: "number_not_owned"},
		{name: "no termination URI", kind: Twilio, prepare: func(f fake) { f.(*providerfake.Twilio).Trunks[0].Domain = "" }, inbound: "no_origination", outbound: "no_termination"},
		{name: "no authentication", kind: Twilio, prepare: func(f fake) { f.(*providerfake.Twilio).Trunks[0].Auth = "" }, inbound: "no_origination", outbound: "no_authentication"},
		{name: "the domain of an edge is the trunk's", kind: Twilio, line: func(l *Line) { l.Domain = "acme.pstn.dublin.twilio.com" }, inbound: "no_origination", outbound: pass},
		{name: "another domain", kind: Twilio, line: func(l *Line) { l.Domain = "other.pstn.twilio.com" }, inbound: "no_origination", outbound: "other_termination"},
		{name: "no number, one trunk", kind: Twilio, line: func(l *Line) { l.Number = "" }, prepare: originates("sip:203.0.113.7"), inbound: pass, outbound: pass},
		{name: "no number, several trunks", kind: Twilio, line: func(l *Line) { l.Number = "" }, prepare: twoTrunks, inbound: "several_trunks", outbound: "several_trunks"},
		{name: "no number, several trunks, one domain", kind: Twilio, line: func(l *Line) { l.Number, l.Domain = "", "acme.pstn.twilio.com" }, prepare: twoTrunks, inbound: "no_origination", outbound: pass},
		{name: "no trunk", kind: Twilio, line: func(l *Line) { l.Number = "" }, prepare: func(f fake) { f.(*providerfake.Twilio).Trunks = nil }, inbound: "no_trunk", outbound: "no_trunk"},

		{name: "our endpoint", kind: SignalWire, line: func(l *Line) { l.Username = "acme" }, inbound: pass, outbound: pass},
		{name: "another endpoint", kind: SignalWire, line: func(l *Line) { l.Username = "other" }, inbound: "number_on_other_endpoint", outbound: "no_endpoint"},
		{name: "no user name", kind: SignalWire, line: func(l *Line) { l.Username = "" }, inbound: "not_registering", outbound: "not_registering"},
		{name: "no number", kind: SignalWire, line: func(l *Line) { l.Number, l.Username = "", "acme" }, inbound: "no_number", outbound: pass},
		{name: "a number with a web hook", kind: SignalWire, line: func(l *Line) { l.Username = "acme" }, prepare: func(f fake) { f.(*providerfake.SignalWire).Numbers[0].Handler = "laml_webhooks" }, inbound: "number_not_on_sip", outbound: pass},
		{name: "a SIP gateway", kind: SignalWire, line: func(l *Line) { l.Username = "acme" }, prepare: func(f fake) { f.(*providerfake.SignalWire).Numbers[0].Handler = "sip_gateway" }, inbound: "sip_gateway", outbound: pass},
		{name: "Send As at random", kind: SignalWire, line: func(l *Line) { l.Username = "acme" }, prepare: sendAs("random"), inbound: pass, outbound: "send_as_random"},
		{name: "Send As another number", kind: SignalWire, line: func(l *Line) { l.Username = "acme" }, prepare: sendAs("+15550000999"), inbound: pass, outbound: "send_as_other"},
		{name: "Send As somebody's number", kind: SignalWire, line: func(l *Line) { l.Number, l.Username = "", "acme" }, prepare: sendAs("+15550000999"), inbound: "no_number", outbound: "send_as_not_owned"},

		{name: "forwards to us", kind: Vonage, prepare: forwards("sip", "sip:15550000100@203.0.113.7;transport=tls"), inbound: pass, outbound: "sip_only"},
		{name: "forwards to us as the second", kind: Vonage, prepare: forwards("sip", "sip:a@198.51.100.1, sip:a@edge.example.net;timeout=5000"), inbound: pass, outbound: "sip_only"},
		{name: "forwards elsewhere", kind: Vonage, prepare: forwards("sip", "sip:a@198.51.100.1"), inbound: "target_elsewhere", outbound: "sip_only"},
		{name: "forwards to an application", kind: Vonage, prepare: forwards("app", "aaaa"), inbound: "number_not_on_sip", outbound: "sip_only"},
		{name: "no number", kind: Vonage, line: func(l *Line) { l.Number = "" }, inbound: "no_number", outbound: "sip_only"},
		{name: "a number of another account", kind: Vonage, line: func(l *Line) { l.Number = "+4915559999999" }, inbound: "number_not_owned", outbound: "sip_only"},
	} {
		t.Run(string(test.kind)+"/"+test.name, func(t *testing.T) {
			a := accountAt(t, test.kind, 3)
			if test.prepare != nil {
				test.prepare(a.fake)
			}
			line := here
			if test.line != nil {
				test.line(&line)
			}
			p := a.open(t, test.changes)
			for _, asked := range []struct {
				word string
				ask  func(context.Context, Line) (Finding, error)
				want string
			}{{"inbound", p.Inbound, test.inbound}, {"outbound", p.Outbound, test.outbound}} {
				found, err := asked.ask(t.Context(), line)
				if err != nil {
					t.Fatalf("%s: %v", asked.word, err)
				}
				got := found.Code
				if found.Verdict == Pass {
					got = pass
				}
				if got != asked.want {
					t.Errorf("%s: %+v, want %s", asked.word, found, asked.want)
				}
				if found.Message == "" || (found.Verdict == Fail) != (found.Verdict == Fail && found.Fix != "") {
					t.Errorf("%s: without words or fix: %+v", asked.word, found)
				}
			}
		})
	}
}

// Before a trunk is there it cannot be registered: only who does not mean to register has made a mistake.
func TestTelnyxNobodyIsRegistered(t *testing.T) {
	p := accountAt(t, Telnyx, 1).open(t, nil)
	for username, want := range map[string]Verdict{"acmeuser": Inconclusive, "": Fail} {
		if found, err := p.Inbound(t.Context(), Line{Number: "+15550000100", Username: username}); err != nil || found.Verdict != want || found.Code != "not_registered" {
			t.Errorf("user %q: %+v, %v, want %s", username, found, err, want)
		}
	}
}

func registeredFrom(address string) func(fake) {
	return func(f fake) { f.(*providerfake.Telnyx).Registered = func(string) string { return address } }
}

func byTarget(recordType string, target providerfake.TelnyxTarget) func(fake) {
	return func(f fake) {
		f.(*providerfake.Telnyx).Connections[0].RecordType = recordType
		f.(*providerfake.Telnyx).Targets = []providerfake.TelnyxTarget{target}
	}
}

func originates(uri string) func(fake) {
	return func(f fake) {
		f.(*providerfake.Twilio).Trunks[0].Origination = []providerfake.TwilioOrigination{{URL: "sip:192.0.2.1"}, {URL: uri}}
	}
}

func twoTrunks(f fake) {
	twilio := f.(*providerfake.Twilio)
	twilio.Trunks = append(twilio.Trunks, &providerfake.TwilioTrunk{SID: "TK00000000000000000000000000000002", Name: "Other", Domain: "other.pstn.twilio.com"})
}

func sendAs(number string) func(fake) {
	return func(f fake) { f.(*providerfake.SignalWire).Endpoints[0].SendAs = number }
}

func forwards(callback, target string) func(fake) {
	return func(f fake) {
		n := f.(*providerfake.Vonage).Numbers[0]
		n.Callback, n.Target = callback, target
	}
}

func TestSuggest(t *testing.T) {
	want := map[Kind]string{
		Telnyx: "Telnyx: Acme Main (+15550000100)", Twilio: "Twilio: Acme Trunk (+15550000100)",
		SignalWire: "SignalWire: acme (+15550000100)", Vonage: "Vonage (+15550000100)",
	}
	for _, a := range accounts(2) {
		if got, err := Suggest(t.Context(), a.kind, a.open(t, nil), ""); err != nil || got != want[a.kind] {
			t.Errorf("got %q, %v, want %q", got, err, want[a.kind])
		}
	}
	directory, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	manual, err := directory.Open(Manual, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Suggest(t.Context(), Manual, manual, "sip.example.net"); err != nil || got != "Manual: sip.example.net" {
		t.Errorf("got %q, %v", got, err)
	}
	if found, err := manual.Inbound(t.Context(), Line{}); err != nil || found.Verdict != Skipped {
		t.Errorf("manual: %+v, %v", found, err)
	}
}

func TestSuggestWithoutNumbersAndWithoutTrunkScope(t *testing.T) {
	a := accountAt(t, Twilio, 0)
	a.fake.(*providerfake.Twilio).NumbersOnly = true
	if got, err := Suggest(t.Context(), Twilio, a.open(t, nil), ""); err != nil || got != "Twilio" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEndpoints(t *testing.T) {
	for _, bad := range []string{"ftp://x", "api.example.com", "http://", "https://user:pw@api.example.com", "https://api.example.com/?a=b", "://"} {
		if _, err := New(Options{Endpoints: Endpoints{Telnyx: bad}}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	a := accountAt(t, Telnyx, 1)
	base, end, err := providerfake.Listen(a.fake)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	directory, err := New(Options{Endpoints: Endpoints{Telnyx: base + "/"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := directory.Open(Telnyx, a.credentials)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if !slices.Equal(a.fake.Requests(), []string{"GET /v2/phone_numbers?page%5Bnumber%5D=1&page%5Bsize%5D=1"}) {
		t.Errorf("asked %q", a.fake.Requests())
	}
}
