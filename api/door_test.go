package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"trunkline/config"
	"trunkline/trunks/account"
)

// books is a domain in which one key is good.
type books struct {
	Accounts
	tested account.TestRequest
	takes  time.Duration // of a test
}

const goodKey = "sk_live_0123456789abcdef0123456789abcdef0123456789ab"

func (b *books) Authenticate(_ context.Context, raw config.Secret, _ string) (account.Caller, error) {
	switch raw.Reveal() {
	case goodKey:
		return account.Caller{Org: "org", User: "user", Key: "key", Role: account.Admin}, nil
	case "sk_live_lost":
		return account.Caller{}, &account.Forbidden{Message: "the creator of this key is no member any more"}
	}
	return account.Caller{}, &account.Unauthorized{Message: "send Authorization: Bearer sk_live_…"}
}

func (b *books) Connection(_ context.Context, _ account.Caller, id int64) (account.Connection, error) {
	if id == 7 {
		panic("a bug")
	}
	return account.Connection{}, &account.NotFound{What: "connection", ID: "5"}
}

func (b *books) CreateSIPCredential(_ context.Context, _ account.Caller, s account.SIPCredentialSettings) (account.SIPCredential, error) {
	return account.SIPCredential{ID: "x", Org: "org", SIPCredentialSettings: s, Version: 3}, nil
}

func (b *books) Test(ctx context.Context, _ account.Caller, r account.TestRequest) (account.TestResult, error) {
	b.tested = r
	select {
	case <-time.After(b.takes):
	case <-ctx.Done():
		return account.TestResult{}, ctx.Err()
	}
	for _, name := range []string{"OPTIONS", "REGISTER"} {
		if r.Report != nil {
			r.Report(account.Step{Name: name, Verdict: "pass"})
		}
	}
	return account.TestResult{Passed: true, EvidenceID: "e"}, nil
}

func ask(t *testing.T, url, method, path, key, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, strings.TrimSpace(string(text))
}

// A carrier that says nothing makes a test take its time: neither it nor what comes over the same connection afterwards is given up.
func TestSlowRequestsAreNotGivenUp(t *testing.T) {
	t.Parallel()
	_, url := serve(t, Options{Accounts: &books{takes: 6 * time.Second}}) // more than any deadline of reading a request
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/v1/voip-connections/test", `{"provider": "manual", "sip_config": {"server": "carrier.example"}}`},
		{"GET", "/v1/voip-connections/5", ""},
	} {
		if response, body := ask(t, url, r.method, r.path, goodKey, r.body); response.StatusCode == 503 || strings.Contains(body, "cancelled") {
			t.Errorf("%s %s: %d %s", r.method, r.path, response.StatusCode, body)
		}
	}
}

func TestFaultsHaveTheShapeOfTheirFamily(t *testing.T) {
	_, url := serve(t, Options{Accounts: &books{}})
	const secret = "hunter2-hunter2-hunter2-hunter2-hunter2-hunter2-hunter2-hunter2-hunter2"
	for _, test := range []struct {
		name, method, path, key, body string
		status                        int
		want                          string
	}{
		{"no key", "GET", "/v1/voip-connections/5", "", "", 401, `{"detail":"send Authorization: Bearer sk_live_…","code":"unauthorized"}`},
		{"no key, problem details", "GET", "/api/v1/sip-credentials/5", "", "", 401, `"title":"Unauthorized","status":401`},
		{"a key whose creator left", "GET", "/v1/voip-connections/5", "sk_live_lost", "", 403, `{"detail":"the creator of this key is no member any more","code":"forbidden"}`},
		{"not there", "GET", "/v1/voip-connections/5", goodKey, "", 404, `{"detail":"no connection 5","code":"not_found"}`},
		{"a bug", "GET", "/v1/voip-connections/7", goodKey, "", 500, `"code":"internal_server_error"`},
		{"no number", "GET", "/v1/voip-connections/abc", goodKey, "", 400, `{"id":["`},
		{"no such path", "GET", "/v1/nothing", goodKey, "", 404, `"code":"no_such_path"`},
		{"no such method", "PUT", "/v1/voip-connections", goodKey, "", 405, "this path takes GET, POST"},
		{"unknown query", "GET", "/v1/voip-connections?colour=red", goodKey, "", 400, `{"colour":["unknown query parameter"]}`},
		{"no JSON", "POST", "/v1/voip-connections/test", goodKey, `{"provider":`, 400, `{"detail":"the body is not JSON`},
		{"no body", "POST", "/v1/voip-connections/test", goodKey, ``, 400, `{"detail":"request body is required"`},
		{"two values", "POST", "/v1/voip-connections/test", goodKey, `{} {}`, 400, `more than one JSON value`},
		{"too deep", "POST", "/v1/voip-connections/test", goodKey, strings.Repeat("[", 100), 400, `nested too deeply`},
		{"too large", "POST", "/v1/voip-connections/test", goodKey, `{"provider":"` + strings.Repeat("x", 1<<17) + `"}`, 413, `more than 65536 bytes`},
		{"a missing field", "POST", "/v1/voip-connections/test", goodKey, `{}`, 400, `{"provider":["is required"]}`},
		{"a word that is none", "POST", "/v1/voip-connections/test", goodKey, `{"provider":"acme"}`, 400, `{"provider":["must be one of`},
		{"a wrong type", "POST", "/v1/voip-connections/test", goodKey, `{"provider":"telnyx","credentials":{"apiKey":7}}`, 400, `{"credentials.apiKey":["must be a string"]}`},
		{"a secret that would be lost", "POST", "/v1/voip-connections/test", goodKey, `{"provider":"telnyx","apiKey":"` + secret + `"}`, 400, `{"apiKey":["is not known here`},
		{"a password that is too long", "POST", "/api/v1/sip-credentials", goodKey, `{"server":"h","authPassword":"` + secret + `"}`, 400, `"errors":[{"field":"authPassword","message":"must have a length <= 64"}]`},
		{"not for us", "POST", "/api/v1/sip-credentials", goodKey, `{"server":"h","authPasswort":"` + secret + `","colour":1}`, 201, `"hasAuthPassword":false`},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, body := ask(t, url, test.method, test.path, test.key, test.body)
			if response.StatusCode != test.status || !strings.Contains(body, test.want) {
				t.Errorf("%d %s\nwant %d %s", response.StatusCode, body, test.status, test.want)
			}
			if strings.Contains(body, secret) {
				t.Error("the secret comes back")
			}
			kind := "application/json"
			if strings.HasPrefix(test.path, "/api/") && test.status >= 400 {
				kind = "application/problem+json"
			}
			if got := response.Header.Get("Content-Type"); got != kind {
				t.Errorf("Content-Type %s, want %s", got, kind)
			}
		})
	}
}

func TestUnknownMembersNeverReachTheDecoder(t *testing.T) {
	_, url := serve(t, Options{Accounts: &books{}})
	// encoding/json would take AUTHUSER for authUser, past the limits of its schema.
	response, body := ask(t, url, "POST", "/api/v1/sip-credentials", goodKey, `{"server":"h","AUTHUSER":"`+strings.Repeat("x", 1000)+`","cpsLimit":0.5,"domain":null}`)
	if response.StatusCode != 201 || !strings.Contains(body, `"authUser":null`) || !strings.Contains(body, `"cpsLimit":0.5`) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if got := response.Header.Get("ETag"); got != `"3"` {
		t.Errorf("ETag %s", got)
	}
}

func TestStepsAreStreamed(t *testing.T) {
	_, url := serve(t, Options{Accounts: &books{}})
	response, body := ask(t, url, "POST", "/v1/voip-connections/test", goodKey, `{"provider":"manual","sip_config":{"domain":"d","cps_limit":null}}`, "Accept", "text/event-stream")
	if response.Header.Get("Content-Type") != "text/event-stream" || strings.Count(body, "event: step\n") != 2 || !strings.Contains(body, "event: result\ndata: {\"status\":\"pass\"") {
		t.Errorf("%v\n%s", response.Header, body)
	}
	response, body = ask(t, url, "POST", "/v1/voip-connections/test", goodKey, `{"provider":"manual"}`)
	if response.StatusCode != 200 || !strings.HasPrefix(body, `{"status":"pass","verification_evidence_id":"e"`) {
		t.Errorf("%v\n%s", response.Header, body)
	}
}
