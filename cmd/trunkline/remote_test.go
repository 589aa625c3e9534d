package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"
)

// talkingTo runs a command line against an API.
func talkingTo(t *testing.T, api http.Handler, args ...string) (status int, out, talk string) {
	t.Helper()
	web := httptest.NewServer(api)
	defer web.Close()
	t.Setenv("TRUNKLINE_API_KEY", "sk_live_secretSecret")
	t.Setenv("TRUNKLINE_API_URL", web.URL)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	var stdout, stderr bytes.Buffer
	status = execute(t.Context(), args, streams{nil, &stdout, &stderr})
	if strings.Contains(stdout.String()+stderr.String(), "secretSecret") {
		t.Errorf("the key shows: %s%s", stdout.String(), stderr.String())
	}
	return status, stdout.String(), stderr.String()
}

func says(status int, body string, headers ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

func TestWhatTheAPIRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		api  http.Handler
		want int
		talk string
	}{
		{"a revoked key", says(401, `{"detail":"no such key","code":"unauthorized"}`), exitAuth, "no such key"},
		{"a role that is too low", says(403, `{"detail":"this needs the role admin"}`), exitAuth, "role admin"},
		{"nothing of that id", says(404, `{"detail":"no connection 9"}`), exitNotFound, "no connection 9"},
		{"a conflict", says(409, `{"detail":"3 numbers are attached"}`), exitConflict, "3 numbers"},
		{"an old version", says(412, `{"detail":"read it again"}`), exitConflict, "read it again"},
		{"fields, each with its message", says(400, `{"sip_config.domain":["is missing"],"name":["is too long","is taken"]}`), exitError, "name: is too long; is taken\n  sip_config.domain: is missing"},
		{"problem details", says(400, `{"type":"x","title":"Bad Request","status":400,"detail":"server: is missing"}`), exitError, "server: is missing"},
		{"too much for long", says(429, `{"detail":"slower"}`, "Retry-After", "3600"), exitTimeout, "slower"},
		{"a database in trouble", says(503, `{"detail":"the disk is full"}`), exitTimeout, "the disk is full"},
		{"a bug", says(500, `{"detail":"internal error"}`), exitError, "internal error"},
		{"no JSON", says(502, `<html>`), exitError, "502"},
		{"something else that answers", says(200, `<html>`), exitError, "not as the API of trunkline does"},
		{"a redirect: the key does not follow", says(302, ``, "Location", "http://127.0.0.1:1/"), exitError, "302"},
		{"a connection that breaks", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }), exitError, "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, out, talk := talkingTo(t, test.api, "trunk", "get", "9")
			if status != test.want || !strings.Contains(talk, test.talk) || out != "" {
				t.Errorf("status %d, want %d; %q %q", status, test.want, out, talk)
			}
		})
	}
}

// fakeAPI answers without a socket, so that waiting costs nothing.
type fakeAPI func(*http.Request) (int, http.Header, string)

// RoundTrip implements http.RoundTripper.
func (f fakeAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	status, header, body := f(r)
	w := httptest.NewRecorder()
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	io.WriteString(w, body)
	return w.Result(), nil
}

func fakeRemote(f fakeAPI) *remote {
	flags := remoteFlags{api: "http://127.0.0.1:1"}
	base, err := flags.open(io.Discard)
	if err != nil {
		panic(err)
	}
	base.http.Transport = f
	return base
}

func TestReadingWaitsWhereItIsAskedTo(t *testing.T) {
	t.Setenv("TRUNKLINE_API_KEY", "k")
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		r := fakeRemote(func(*http.Request) (int, http.Header, string) {
			if asked++; asked < 3 {
				return 429, http.Header{"Retry-After": {"2"}}, `{"detail":"slower"}`
			}
			return 200, nil, `[]`
		})
		began := time.Now()
		if _, err := r.get(t.Context(), "/v1/agents", nil); err != nil || asked != 3 || time.Since(began) != 4*time.Second {
			t.Errorf("%v after %d requests and %v", err, asked, time.Since(began))
		}
		asked = -100
		if _, err := r.call(t.Context(), http.MethodPost, "/v1/agents", nil); exitStatus(err) != exitTimeout || asked != -99 {
			t.Errorf("a change was sent again: %v after %d requests", err, asked+100)
		}
	})
}

func TestBulkVerification(t *testing.T) {
	t.Setenv("TRUNKLINE_API_KEY", "k")
	for _, test := range []struct {
		name   string
		failed int
		state  string
		want   int
		out    string
	}{
		{"all are verified", 0, "done", exitOK, "done: 40 of 40 verified, 0 failed\n"},
		{"some are not", 3, "done", exitCheckFailed, "done: 37 of 40 verified, 3 failed\n"},
		{"somebody cancelled it", 0, "cancelled", exitCheckFailed, "cancelled: 40 of 40 verified, 0 failed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				done := 0
				r := fakeRemote(func(*http.Request) (int, http.Header, string) {
					state := "running"
					if done = min(done+1, 40); done == 40 {
						state = test.state
					}
					return 200, nil, fmt.Sprintf(`{"id":"x","state":%q,"total":40,"done":%d,"failed":%d}`, state, done, min(done, test.failed))
				})
				var out, talk bytes.Buffer
				cmd := &cobra.Command{}
				cmd.SetOut(&out)
				cmd.SetErr(&talk)
				err := watchOperation(t.Context(), cmd, r, "x", "table")
				if exitStatus(err) != test.want || out.String() != test.out {
					t.Errorf("%v, %q", err, out.String())
				}
				if n := strings.Count(talk.String(), "\n"); n < 4 || n > 7 {
					t.Errorf("%d lines of progress in 20 s:\n%s", n, talk.String())
				}
			})
		})
	}
}

func TestInterruptedVerificationGoesOn(t *testing.T) {
	t.Setenv("TRUNKLINE_API_KEY", "k")
	synctest.Test(t, func(t *testing.T) {
		r := fakeRemote(func(*http.Request) (int, http.Header, string) {
			return 200, nil, `{"id":"op1","state":"running","total":40,"done":1,"failed":0}`
		})
		var talk bytes.Buffer
		cmd := &cobra.Command{}
		cmd.SetErr(&talk)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := watchOperation(ctx, cmd, r, "op1", "table"); !errors.Is(err, errInterrupted) || !strings.Contains(talk.String(), "--resume op1") {
			t.Errorf("%v, %q", err, talk.String())
		}
	})
}

func TestWatchingPaces(t *testing.T) {
	var asked atomic.Int32
	var cancel context.CancelFunc
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 3 {
			cancel()
		}
		io.WriteString(w, `[{"key":"main","limit":5.5,"used":5}]`)
	}))
	defer api.Close()
	t.Setenv("TRUNKLINE_API_KEY", "k")
	ctx, stop := context.WithCancel(t.Context())
	cancel = stop
	defer stop()
	var out, talk bytes.Buffer
	if status := execute(ctx, []string{"cps", "watch", "--interval", "100ms", "--api", api.URL}, streams{nil, &out, &talk}); status != exitOK {
		t.Fatalf("status %d: %s", status, talk.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var look struct {
		At   time.Time
		Keys []map[string]any
	}
	if err := json.Unmarshal([]byte(lines[0]), &look); err != nil || len(look.Keys) != 1 || look.At.IsZero() {
		t.Errorf("%v: %q", err, lines[0])
	}
}

func TestShow(t *testing.T) {
	const answer = `[{"id":5,"name":"Acme\tMain","registration":{"state":"registered"},"limit":2.50,"big":12345678901234567890,"events":[],"none":null,"yes":true,"destinations":[{"uri":"sip:a","priority":1},{"uri":"sip:b"}]}]`
	columns := []column{{"ID", "id"}, {"NAME", "name"}, {"REG", "registration.state"}, {"LIMIT", "limit"}, {"BIG", "big"}, {"EVENTS", "events"}, {"NONE", "none"}, {"YES", "yes"}, {"TO", "destinations"}, {"DEEP", "id.x.y"}}
	want := map[string]string{
		"table": "ID  NAME       REG         LIMIT  BIG                   EVENTS  NONE  YES  TO            DEEP\n" +
			"5   Acme Main  registered  2.5    12345678901234567890  -       -     yes  sip:a, sip:b  -\n",
		"yaml": "- id: 5\n",
		"json": "[\n  {\n    \"id\": 5,\n",
	}
	for format, text := range want {
		var out bytes.Buffer
		cmd := &cobra.Command{}
		cmd.SetOut(&out)
		if err := show(cmd, format, json.RawMessage(answer), columns); err != nil || !strings.HasPrefix(out.String(), text) {
			t.Errorf("%s: %v\n%s", format, err, out.String())
		}
	}
}

// FuzzAnswers lets an API say anything. No command may crash on it.
func FuzzAnswers(f *testing.F) {
	f.Add(uint16(200), []byte(`[{"id":5,"registration":{"state":"registered"}}]`))
	f.Add(uint16(200), []byte(`{"id":5,"ladder":"a\nb","imported":[],"skipped":[{"number":"x"}],"state":"done"}`))
	f.Add(uint16(400), []byte(`{"a":["b"],"detail":5}`))
	f.Add(uint16(200), []byte("event: step\ndata: {\"verdict\":\"pass\"}\n\nevent: result\ndata: {}\n\n"))
	f.Add(uint16(200), []byte("event: error\ndata: {\"detail\":\"x\",\"code\":\"timeout\"}\n\n:\ndata\n"))
	f.Setenv("TRUNKLINE_API_KEY", "k")
	f.Fuzz(func(t *testing.T, status uint16, body []byte) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		r := fakeRemote(func(*http.Request) (int, http.Header, string) { return int(status), nil, string(body) })
		cmd := &cobra.Command{}
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		answer, err := r.get(t.Context(), "/v1/x", nil)
		if err == nil && answer != nil {
			for _, format := range []string{"table", "json", "yaml"} {
				_ = show(cmd, format, answer, connections.columns)
			}
			_ = showImport(cmd, "table", answer)
			_ = drawPaces(io.Discard, "table", answer)
		}
		h := stepHearer{talk: io.Discard}
		_ = r.follow(t.Context(), http.MethodPost, "/v1/x", nil, h.hear)
	})
}
