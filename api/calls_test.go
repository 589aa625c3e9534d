package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trunkline/store"
	"trunkline/trunks"
)

// history is two calls, the newer of which was refused.
type history struct{ broken bool }

func (h history) Recent(_ context.Context, limit int, _ int64) ([]store.Stored, error) {
	if h.broken {
		return nil, errors.New("disk on fire at /secret/path")
	}
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	all := []store.Stored{
		{Seq: 2, CallRecord: trunks.CallRecord{ID: "b", Outcome: "rejected", Code: 404, Refusal: trunks.NoRoute, Started: start.Add(time.Minute)}},
		{Seq: 1, CallRecord: trunks.CallRecord{ID: "a", Direction: trunks.OutboundCall, Trunk: "carrier", Agent: "app", Caller: "+15550001234",
			Outcome: "answered", Code: 200, Started: start, Answered: start.Add(time.Second), Ended: start.Add(3500 * time.Millisecond)}},
	}
	return all[:min(limit, len(all))], nil
}

func (h history) Ladder(_ context.Context, id string) (string, error) {
	if id == "a" {
		return "app  edge\n", nil
	}
	return "", nil
}

func (h history) Explain(_ context.Context, callID string) (string, error) {
	switch {
	case h.broken:
		return "", errors.New("disk on fire at /secret/path")
	case callID == "a@b":
		return "call a\n", nil
	}
	return "", nil
}

func TestCallsAreListedAndDrawn(t *testing.T) {
	_, url := serve(t, Options{Calls: history{}})
	for _, test := range []struct {
		name, path string
		code       int
		want       []string
	}{
		{"every call with its outcome", "/debug/calls", 200, []string{
			"ID  STARTED                   DIRECTION  TRUNK    AGENT  OUTCOME              CODE  TALKED",
			"b   2026-05-01T12:01:00.000Z  none       -        -      rejected (no_route)  404   0.0s",
			"a   2026-05-01T12:00:00.000Z  outbound   carrier  app    answered             200   2.5s"}},
		{"no more than asked for", "/debug/calls?limit=1", 200, []string{"b  "}},
		{"a limit that makes no sense", "/debug/calls?limit=0", 400, []string{"1 to 1000"}},
		{"the ladder of a call", "/debug/calls/a", 200, []string{"app  edge"}},
		{"a call nobody remembers", "/debug/calls/zzz", 404, []string{"trace.memory"}},
		{"the story of a call", "/debug/explain?call_id=a%40b", 200, []string{"call a"}},
		{"of one that nobody knows", "/debug/explain?call_id=x", 404, []string{"no call with this Call-ID"}},
		{"of none", "/debug/explain", 400, []string{"call_id"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, body := get(t, url+test.path)
			if code != test.code {
				t.Errorf("status %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(body, want) {
					t.Errorf("no %q in:\n%s", want, body)
				}
			}
			if strings.Contains(body, "+1555") {
				t.Error("the list shows numbers")
			}
		})
	}
	if _, body := get(t, url+"/debug/calls?limit=1"); strings.Contains(body, "carrier") {
		t.Errorf("the limit was passed over:\n%s", body)
	}
}

func TestCallsAsJSON(t *testing.T) {
	s, _ := serve(t, Options{Calls: history{}})
	request := httptest.NewRequest("GET", "/debug/calls?limit=1", nil)
	request.RemoteAddr = "127.0.0.1:1"
	request.Header.Set("Accept", "application/json")
	answer := httptest.NewRecorder()
	s.mux.ServeHTTP(answer, request)
	want := `[{"id":"b","started":"2026-05-01T12:01:00Z","direction":"none","outcome":"rejected","code":404,"refusal":"no_route","talked_seconds":0}]`
	if got := strings.TrimSpace(answer.Body.String()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCallsAreForThisHostOnly(t *testing.T) {
	s, _ := serve(t, Options{Calls: history{}})
	for from, want := range map[string]int{"127.0.0.1:1": 200, "[::1]:1": 200, "[::ffff:127.0.0.1]:1": 200, "192.0.2.1:1": 403, "@": 403} {
		request := httptest.NewRequest("GET", "/debug/calls/a", nil)
		request.RemoteAddr = from
		answer := httptest.NewRecorder()
		s.mux.ServeHTTP(answer, request)
		if answer.Code != want {
			t.Errorf("from %s: %d, want %d", from, answer.Code, want)
		}
	}
}

func TestCallsSayNothingOfTheDisk(t *testing.T) {
	_, url := serve(t, Options{Calls: history{broken: true}})
	if code, body := get(t, url+"/debug/calls"); code != http.StatusInternalServerError || strings.Contains(body, "secret") {
		t.Errorf("%d %s", code, body)
	}
}
