package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"trunkline/trunks/account"
)

var (
	admin  = account.Caller{Org: "org1", User: "u1", Role: account.Admin}
	member = account.Caller{Org: "org1", User: "u2", Role: account.Member}
	other  = account.Caller{Org: "org2", User: "u3", Role: account.Owner}
)

// receiver answers deliveries and remembers them. It is reached without a socket.
type receiver struct {
	mu     sync.Mutex
	answer func(host string, n int) (status int, header http.Header, err error) // of the nth request to host, from 1
	got    []received
	count  map[string]int
	now    int // under way
	most   int // at any time
}

type received struct {
	at     time.Time
	host   string
	header http.Header
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	text, _ := io.ReadAll(request.Body)
	host := request.URL.Hostname()
	r.mu.Lock()
	if r.count == nil {
		r.count = map[string]int{}
	}
	r.count[host]++
	n := r.count[host]
	r.got = append(r.got, received{time.Now(), host, request.Header, text})
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	defer func() { r.mu.Lock(); r.now--; r.mu.Unlock() }()
	status, header, err := 200, http.Header(nil), error(nil)
	if r.answer != nil {
		status, header, err = r.answer(host, n)
	}
	if status == 0 && err == nil { // silence
		<-request.Context().Done()
		return nil, request.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	return w.Result(), nil
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// world is a service that runs, inside a bubble.
func world(t *testing.T, r *receiver) (*Service, *memory) {
	t.Helper()
	m := newMemory()
	s, err := New(Options{Store: m, Changed: m.next, Transport: r})
	if err != nil {
		t.Fatal(err)
	}
	start(t, s)
	return s, m
}

func start(t *testing.T, s *Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

func create(t *testing.T, s *Service, host string, events ...string) (Webhook, string) {
	t.Helper()
	w, secret, err := s.CreateWebhook(t.Context(), admin, Settings{URL: "https://" + host + "/hook?x=1", Events: events})
	if err != nil {
		t.Fatal(err)
	}
	return w, secret.Reveal()
}

func TestDeliveryIsSignedAndComesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s, m := world(t, r)
		_, secret := create(t, s, "hooks.example.com", "number.verified")
		began := time.Now()
		m.happen("org1", "number.released") // not asked for
		m.happen("org2", "number.verified") // not ours
		e := m.happen("org1", "number.verified")
		synctest.Wait()
		got := r.all()
		if len(got) != 1 || !got[0].at.Equal(began) {
			t.Fatalf("%d deliveries, want one at once", len(got))
		}
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.VerifyIgnoringTimestamp(got[0].body, got[0].header); err != nil {
			t.Errorf("the reference implementation refuses the signature: %v", err)
		}
		if h := got[0].header; h.Get("webhook-id") != fmt.Sprintf("evt_%d", e.ID) || h.Get("webhook-timestamp") != fmt.Sprint(began.Unix()) || h.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", h)
		}
		var body map[string]any
		if err := json.Unmarshal(got[0].body, &body); err != nil || body["type"] != "number.verified" || body["subject"] != "thing/1" || body["timestamp"] != "2000-01-01T00:00:00.000Z" {
			t.Errorf("body %s, %v", got[0].body, err)
		}
		if d := m.all()[0]; d.State != Delivered || d.Attempts != 1 || d.Status != 200 || d.DeliveredAt == nil {
			t.Errorf("kept %+v", d)
		}
	})
}

// Three days of attempts, each with the same id, then no more.
func TestScheduleOfARefusedEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(string, int) (int, http.Header, error) { return 400, nil, nil }}
		s, m := world(t, r)
		create(t, s, "hooks.example.com")
		m.happen("org1", "x")
		began := time.Now()
		time.Sleep(14 * 24 * time.Hour)
		got := r.all()
		if len(got) != len(pauses)+1 {
			t.Fatalf("%d attempts, want %d", len(got), len(pauses)+1)
		}
		at := began
		for i, g := range got {
			if g.header.Get("webhook-id") != got[0].header.Get("webhook-id") {
				t.Errorf("attempt %d has another id", i+1)
			}
			if i > 0 {
				if pause := g.at.Sub(at); pause < pauses[i-1] || pause > pauses[i-1]*11/10+lookEvery {
					t.Errorf("pause before attempt %d is %v, want %v and up to a tenth more", i+1, pause, pauses[i-1])
				}
			}
			at = g.at
		}
		if d := m.all()[0]; d.State != Failed || d.Error != "answered 400 Bad Request" {
			t.Errorf("kept %+v", d)
		}
	})
}

func TestAWebhookThatFailsForFiveDaysIsSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(string, int) (int, http.Header, error) { return 0, nil, nil }} // silence
		s, m := world(t, r)
		w, _ := create(t, s, "hooks.example.com")
		for range 6 * 24 {
			m.happen("org1", "x")
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		w, err := s.Webhook(t.Context(), member, w.ID)
		if err != nil || w.Enabled || w.DisabledReason != ReasonFailing {
			t.Fatalf("%+v, %v; want switched off for failing", w, err)
		}
		last := m.events[len(m.events)-1]
		if !slices.ContainsFunc(m.events, func(e account.Event) bool { return e.Type == "webhook.disabled" }) {
			t.Errorf("nobody is told; the last event is %+v", last)
		}
		before := len(r.all())
		time.Sleep(12 * time.Hour)
		if n := len(r.all()) - before; n > 0 {
			t.Errorf("%d attempts after it was switched off", n)
		}
		r.answer = nil
		yes := true
		if _, err := s.UpdateWebhook(t.Context(), admin, w.ID, Change{Enabled: &yes}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Hour)
		if n, _ := m.CountWaiting(t.Context()); n != 0 {
			t.Errorf("%d deliveries still wait after it was switched on again", n)
		}
	})
}

func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(string, int) (int, http.Header, error) { return 410, nil, nil }}
		s, m := world(t, r)
		w, _ := create(t, s, "hooks.example.com")
		m.happen("org1", "x")
		time.Sleep(time.Hour)
		if w, _ = s.Webhook(t.Context(), admin, w.ID); w.Enabled || w.DisabledReason != ReasonGone || len(r.all()) != 1 {
			t.Errorf("%+v after %d attempts; want switched off after one", w, len(r.all()))
		}
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(_ string, n int) (int, http.Header, error) {
			if n == 1 {
				return 503, http.Header{"Retry-After": {"600"}}, nil
			}
			return 204, nil, nil
		}}
		s, m := world(t, r)
		create(t, s, "hooks.example.com")
		m.happen("org1", "x")
		time.Sleep(time.Hour)
		if got := r.all(); len(got) != 2 || got[1].at.Sub(got[0].at) < 10*time.Minute || got[1].at.Sub(got[0].at) > 11*time.Minute {
			t.Errorf("attempts %v, want the second ten minutes later", got)
		}
	})
}

// A receiver that says nothing holds up nobody else, and is not hammered with what piles up.
func TestASilentReceiverHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(host string, _ int) (int, http.Header, error) {
			if host == "silent.example.com" {
				return 0, nil, nil
			}
			return 200, nil, nil
		}}
		s, m := world(t, r)
		create(t, s, "silent.example.com")
		create(t, s, "good.example.com")
		for range 500 {
			m.happen("org1", "x")
		}
		began := time.Now()
		time.Sleep(10 * time.Minute)
		good, silent := 0, 0
		for _, g := range r.all() {
			if g.host == "good.example.com" {
				good++
				if g.at.Sub(began) > 5*time.Second {
					t.Fatalf("a good receiver waited %v", g.at.Sub(began))
				}
				continue
			}
			silent++
		}
		if good != 500 {
			t.Errorf("%d deliveries to the good one, want 500", good)
		}
		if silent > 500 {
			t.Errorf("%d attempts at the silent one within ten minutes", silent)
		}
		if r.most > receivers*sendersEach {
			t.Errorf("%d attempts at a time", r.most)
		}
	})
}

func TestEverythingArrivesInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(_ string, n int) (int, http.Header, error) {
			switch n % 15 {
			case 0:
				return 500, nil, nil
			case 1:
				return 0, nil, errors.New("connection reset")
			case 2:
				return 302, http.Header{"Location": {"http://127.0.0.1/"}}, nil
			}
			return 200, nil, nil
		}}
		s, m := world(t, r)
		w, _ := create(t, s, "flaky.example.com")
		for range 200 {
			m.happen("org1", "x")
		}
		time.Sleep(2 * 24 * time.Hour)
		for _, d := range m.all() {
			if d.State != Delivered {
				t.Errorf("delivery %d is %s after %d attempts: %s", d.ID, d.State, d.Attempts, d.Error)
			}
		}
		if w, _ := s.Webhook(t.Context(), admin, w.ID); w.FailingSince != nil {
			t.Error("failing although the last delivery worked")
		}
		for _, g := range r.all() {
			if g.host != "flaky.example.com" {
				t.Fatalf("a redirect was followed to %s", g.host)
			}
		}
	})
}

// What was under way when the process ended is sent again, with the same id; nothing is lost.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(_ string, n int) (int, http.Header, error) {
			if n == 1 {
				return 0, nil, nil
			}
			return 200, nil, nil
		}}
		m := newMemory()
		s, err := New(Options{Store: m, Changed: m.next, Transport: r})
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, s)
		create(t, s, "hooks.example.com")
		m.happen("org1", "x")
		time.Sleep(3 * time.Second)
		stop()
		if d := m.all()[0]; d.State != Waiting || d.Attempts != 0 {
			t.Fatalf("an attempt that was cut short counts: %+v", d)
		}
		start(t, s)
		synctest.Wait()
		got := r.all()
		if len(got) != 2 || got[0].header.Get("webhook-id") != got[1].header.Get("webhook-id") {
			t.Errorf("%d attempts, want the same event twice", len(got))
		}
		if d := m.all()[0]; d.State != Delivered {
			t.Errorf("kept %+v", d)
		}
	})
}

// While the database is in trouble nothing is sent over and over.
func TestDatabaseInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s, m := world(t, r)
		create(t, s, "hooks.example.com")
		m.fail(errDisk)
		m.happen("org1", "x")
		time.Sleep(10 * time.Minute)
		if n := len(r.all()); n > 0 {
			t.Errorf("%d attempts that could not be noted", n)
		}
		m.fail(nil)
		time.Sleep(longestPause)
		if d := m.all()[0]; d.State != Delivered {
			t.Errorf("kept %+v", d)
		}
	})
}

func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(string, int) (int, http.Header, error) { return 400, nil, nil }}
		s, m := world(t, r)
		w, _ := create(t, s, "hooks.example.com")
		m.happen("org1", "x")
		m.happen("org1", "x")
		time.Sleep(14 * 24 * time.Hour)
		r.answer = nil
		failed, err := s.Deliveries(t.Context(), member, w.ID, DeliveryFilter{State: Failed})
		if err != nil || len(failed) != 2 {
			t.Fatalf("%d failed, %v", len(failed), err)
		}
		if _, err := s.Redeliver(t.Context(), admin, w.ID, failed[0].ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n, err := s.RedeliverFailed(t.Context(), admin, w.ID, time.Time{}); err != nil || n != 1 {
			t.Errorf("%d to replay, %v, want the other one", n, err)
		}
		synctest.Wait()
		for _, d := range m.all() {
			if d.State != Delivered {
				t.Errorf("kept %+v", d)
			}
		}
		if _, err := s.Redeliver(t.Context(), admin, w.ID, 99); !is[*account.NotFound](err) {
			t.Errorf("a delivery that is none: %v", err)
		}
	})
}

func TestRotationSignsWithBothForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s, m := world(t, r)
		w, first := create(t, s, "hooks.example.com")
		_, fresh, err := s.RotateSecret(t.Context(), admin, w.ID)
		if err != nil || fresh.Reveal() == first {
			t.Fatal("no new secret", err)
		}
		check := func(secret string) bool {
			got := r.all()
			last := got[len(got)-1]
			verifier, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			return verifier.VerifyIgnoringTimestamp(last.body, last.header) == nil
		}
		m.happen("org1", "x")
		synctest.Wait()
		if !check(first) || !check(fresh.Reveal()) {
			t.Error("not both secrets sign on the first day")
		}
		time.Sleep(previousLifetime)
		m.happen("org1", "x")
		synctest.Wait()
		if check(first) || !check(fresh.Reveal()) {
			t.Error("the old secret signs for more than a day, or the new one does not")
		}
	})
}

func TestTestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(_ string, n int) (int, http.Header, error) { return 400 + n, nil, nil }}
		s, m := world(t, r)
		w, _ := create(t, s, "hooks.example.com", "number.verified")
		a, err := s.TestWebhook(t.Context(), admin, w.ID)
		if err != nil || a.Status != 401 || a.Error != "answered 401 Unauthorized" {
			t.Errorf("%+v, %v", a, err)
		}
		if w, _ = s.Webhook(t.Context(), admin, w.ID); w.FailingSince != nil || w.Version != 1 || len(m.all()) != 0 {
			t.Errorf("a test counts: %+v", w)
		}
	})
}

func TestWhoMayDoWhat(t *testing.T) {
	m := newMemory()
	s, err := New(Options{Store: m, Transport: &receiver{}})
	if err != nil {
		t.Fatal(err)
	}
	w, _ := create(t, s, "hooks.example.com")
	ctx := t.Context()
	calls := map[string]func(who account.Caller) error{
		"update": func(who account.Caller) error { _, err := s.UpdateWebhook(ctx, who, w.ID, Change{}); return err },
		"rotate": func(who account.Caller) error { _, _, err := s.RotateSecret(ctx, who, w.ID); return err },
		"test":   func(who account.Caller) error { _, err := s.TestWebhook(ctx, who, w.ID); return err },
		"replay": func(who account.Caller) error { _, err := s.Redeliver(ctx, who, w.ID, 1); return err },
		"delete": func(who account.Caller) error { return s.DeleteWebhook(ctx, who, w.ID) },
	}
	for name, call := range calls {
		if err := call(member); !is[*account.Forbidden](err) {
			t.Errorf("%s by a member: %v", name, err)
		}
		if err := call(other); !is[*account.NotFound](err) {
			t.Errorf("%s by another organization: %v", name, err)
		}
	}
	if _, _, err := s.CreateWebhook(ctx, member, Settings{URL: "https://x.example"}); !is[*account.Forbidden](err) {
		t.Errorf("create by a member: %v", err)
	}
	if _, err := s.Webhook(ctx, other, w.ID); !is[*account.NotFound](err) {
		t.Errorf("get by another organization: %v", err)
	}
	if _, err := s.UpdateWebhook(ctx, admin, w.ID, Change{IfVersion: 7}); !is[*account.Changed](err) {
		t.Errorf("an old version: %v", err)
	}
	for range mostWebhooks - 1 {
		create(t, s, "more.example.com")
	}
	if _, _, err := s.CreateWebhook(ctx, admin, Settings{URL: "https://x.example"}); !is[*account.Conflict](err) {
		t.Errorf("one too many: %v", err)
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestSettings(t *testing.T) {
	strict, err := New(Options{Store: newMemory()})
	if err != nil {
		t.Fatal(err)
	}
	open, err := New(Options{Store: newMemory(), AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		url          string
		strict, open bool // accepted
	}{
		{"https://hooks.example.com/x?y=z", true, true},
		{"https://8.8.8.8/", true, true},
		{"http://hooks.example.com/", false, true},
		{"https://127.0.0.1/", false, true},
		{"https://[::1]:8443/", false, true},
		{"https://[::ffff:10.0.0.1]/", false, true},
		{"https://169.254.169.254/latest/meta-data", false, true},
		{"", false, false},
		{"hooks.example.com", false, false},
		{"ftp://hooks.example.com", false, false},
		{"https://user:password@hooks.example.com/", false, false},
		{"https://hooks.example.com/#x", false, false},
		{"https://hooks.example.com/ x", false, false},
		{"https:///x", false, false},
		{"https://hooks.example.com/" + strings.Repeat("x", 2048), false, false},
	} {
		for s, want := range map[*Service]bool{strict: test.strict, open: test.open} {
			err := s.check(Settings{URL: test.url})
			if (err == nil) != want {
				t.Errorf("%.60q: %v, want accepted %v", test.url, err, want)
			}
			if err != nil && strings.Contains(err.Error(), "password@") {
				t.Errorf("a password shows: %v", err)
			}
		}
	}
	bad := Settings{URL: "x", Description: strings.Repeat("é", 256), Events: []string{"ok.type", "Bad Type"}}
	refused, ok := errors.AsType[*account.Invalid](strict.check(bad))
	if !ok || len(refused.Problems) != 3 || refused.Problems[2].Field != "events[1]" {
		t.Errorf("got %+v, want all three at once", refused)
	}
}

// The address is looked at when it is connected to: whatever a name says at first, a private address is never reached.
func TestNothingPrivateIsConnectedTo(t *testing.T) {
	connected := make(chan struct{}, 10)
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { connected <- struct{}{} }))
	defer web.Close()
	event := account.Event{ID: 1, Type: "x", At: now()}
	_, port, _ := strings.Cut(strings.TrimPrefix(web.URL, "http://"), ":")
	for _, allow := range []bool{false, true} {
		s, err := New(Options{Store: newMemory(), AllowPrivate: allow})
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"127.0.0.1", "localhost"} {
			a := s.send(t.Context(), Webhook{Settings: Settings{URL: "http://" + host + ":" + port}}, Secrets{Current: newSecret()}, event)
			switch {
			case allow && a.Error != "":
				t.Errorf("%s, allowed: %s", host, a.Error)
			case !allow && (a.result != "refused" || !strings.Contains(a.Error, "no public address")):
				t.Errorf("%s: %+v, want refused", host, a)
			}
		}
	}
	if n := len(connected); n != 2 {
		t.Errorf("%d requests came, want those two that were allowed", n)
	}
}

func TestFailuresAreToldWithoutTheURL(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer secure.Close()
	s, err := New(Options{Store: newMemory(), AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		secure.URL + "/token-in-path":                                      "its certificate is not trusted",
		"https" + strings.TrimPrefix(plain.URL, "http") + "/token-in-path": "TLS",
		"http://127.0.0.1:1/token-in-path":                                 "no connection",
	} {
		a := s.send(t.Context(), Webhook{Settings: Settings{URL: url}}, Secrets{Current: newSecret()}, account.Event{ID: 1, Type: "x"})
		if !strings.Contains(a.Error, want) || strings.Contains(a.Error, "token-in-path") {
			t.Errorf("%s: %q, want %q", url, a.Error, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("5")
	f.Add("Wed, 21 Oct 2026 07:28:00 GMT")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, text string) {
		if d := retryAfter(text, time.Unix(1e9, 0)); d < 0 || d > 24*time.Hour {
			t.Errorf("%q: %v", text, d)
		}
	})
}

func FuzzURL(f *testing.F) {
	f.Add("https://hooks.example.com/x")
	f.Add("https://[::ffff:127.0.0.1]:80/")
	s, err := New(Options{Store: newMemory()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s.check(Settings{URL: text}) != nil {
			return
		}
		r, err := sign(t.Context(), Webhook{Settings: Settings{URL: text}}, Secrets{Current: newSecret()}, account.Event{ID: 1, Type: "x"}, now())
		if err != nil {
			t.Fatalf("%q was accepted and cannot be used: %v", text, err)
		}
		if address, err := netip.ParseAddr(r.URL.Hostname()); r.URL.Scheme != "https" || err == nil && !account.Public(address) {
			t.Errorf("%q was accepted", text)
		}
	})
}
