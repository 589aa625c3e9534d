package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"trunkline/trunks/account"
	"trunkline/trunks/webhook"
)

var (
	oneOrg   = account.Caller{Org: "11111111-1111-4111-8111-111111111111", User: "u", Role: account.Admin}
	otherOrg = account.Caller{Org: "22222222-2222-4222-8222-222222222222", User: "v", Role: account.Admin}
)

// openWithOrgs opens a database with two organizations.
func openWithOrgs(t *testing.T, dir string) *DB {
	t.Helper()
	db, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	err = db.Update(t.Context(), func(tx account.Tx) error {
		for _, org := range []string{oneOrg.Org, otherOrg.Org} {
			if _, err := tx.Organization(org); errors.Is(err, account.ErrNone) {
				if err := tx.AddOrganization(account.Organization{ID: org, Name: org, CreatedAt: time.Now()}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func happen(t *testing.T, db *DB, org, what string) {
	t.Helper()
	err := db.Update(t.Context(), func(tx account.Tx) error {
		return tx.AddEvent(&account.Event{Org: org, Type: what, Subject: "number/1", At: time.Now(), Data: []byte(`{"number":1}`)})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hook takes deliveries on loopback and refuses the first few.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	refuse int
	bodies [][]byte
	heads  []http.Header
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.bodies, h.heads = append(h.bodies, body), append(h.heads, r.Header.Clone())
		if h.refuse > 0 {
			h.refuse--
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) requests() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.bodies)
}

func deliverer(t *testing.T, db *DB) (*webhook.Service, func()) {
	t.Helper()
	s, err := webhook.New(webhook.Options{Store: db, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	stop := sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return s, stop
}

// What waits for a webhook is delivered by the next process, signed with the secret that only its owner saw.
func TestWebhookDeliverySurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	db := openWithOrgs(t, dir)
	h := newHook(t)
	idle, err := webhook.New(webhook.Options{Store: db, AllowPrivate: true}) // manages, does not run
	if err != nil {
		t.Fatal(err)
	}
	w, secret, err := idle.CreateWebhook(t.Context(), oneOrg, webhook.Settings{URL: h.URL + "/hook", Events: []string{"number.verified"}})
	if err != nil {
		t.Fatal(err)
	}
	happen(t, db, oneOrg.Org, "number.verified")
	happen(t, db, oneOrg.Org, "number.released")
	happen(t, db, otherOrg.Org, "number.verified")
	if n, err := db.CountWaiting(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d deliveries wait, %v, want 1", n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openWithOrgs(t, dir)
	s, stop := deliverer(t, db)
	eventually(t, "the event is delivered", func() bool { return h.requests() == 1 })
	eventually(t, "the delivery is noted", func() bool {
		d, err := s.Deliveries(t.Context(), oneOrg, w.ID, webhook.DeliveryFilter{})
		return err == nil && len(d) == 1 && d[0].State == webhook.Delivered && d[0].Status == 200 && d[0].Attempts == 1
	})
	stop()
	verifier, err := standardwebhooks.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(h.bodies[0], h.heads[0]); err != nil {
		t.Errorf("the signature is not that of the secret: %v", err)
	}
	db.Close()
	raw := strings.TrimPrefix(secret.Reveal(), "whsec_")
	for _, name := range []string{"trunkline.db", "trunkline.db-wal", "keyring.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(raw)) {
			t.Errorf("the secret stands in %s", name)
		}
	}
}

func TestWebhooksInTheDatabase(t *testing.T) {
	db := openWithOrgs(t, t.TempDir())
	ctx := t.Context()
	h := newHook(t)
	h.refuse = 1
	s, stop := deliverer(t, db)
	w, _, err := s.CreateWebhook(ctx, oneOrg, webhook.Settings{URL: h.URL, Description: "first"})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := s.Webhooks(ctx, otherOrg); err != nil || len(all) != 0 {
		t.Errorf("another organization sees %d, %v", len(all), err)
	}
	if _, err := s.Webhook(ctx, otherOrg, w.ID); err == nil {
		t.Error("another organization reads it")
	}
	description := "second"
	changed, err := s.UpdateWebhook(ctx, oneOrg, w.ID, webhook.Change{Description: &description, IfVersion: 1})
	if err != nil || changed.Description != "second" || changed.Version != 2 || changed.URL != h.URL {
		t.Errorf("changed to %+v, %v", changed, err)
	}
	// Its own change is an event, refused at first: five seconds later it arrives.
	eventually(t, "the event is refused", func() bool { return h.requests() == 1 })
	var failed []webhook.Delivery
	eventually(t, "the failure is noted", func() bool {
		failed, err = s.Deliveries(ctx, oneOrg, w.ID, webhook.DeliveryFilter{State: webhook.Waiting})
		return err == nil && len(failed) == 1 && failed[0].Attempts == 1
	})
	if failed[0].Status != 500 || failed[0].Error == "" || !failed[0].NextAt.After(time.Now()) {
		t.Errorf("noted %+v", failed[0])
	}
	if read, err := s.Webhook(ctx, oneOrg, w.ID); err != nil || read.FailingSince == nil {
		t.Errorf("%+v, %v, want it failing", read, err)
	}
	if _, err := s.Redeliver(ctx, otherOrg, w.ID, failed[0].ID); err == nil {
		t.Error("another organization sends it again")
	}
	if _, err := s.Redeliver(ctx, oneOrg, w.ID, failed[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is delivered when asked for", func() bool {
		read, err := s.Webhook(ctx, oneOrg, w.ID)
		return err == nil && read.FailingSince == nil && h.requests() == 2
	})
	no := false
	if _, err := s.UpdateWebhook(ctx, oneOrg, w.ID, webhook.Change{Enabled: &no}); err != nil {
		t.Fatal(err)
	}
	happen(t, db, oneOrg.Org, "x")
	if n, err := db.CountWaiting(ctx); err != nil || n != 0 {
		t.Errorf("%d wait for a webhook that is off, %v", n, err)
	}
	stop()
	if err := s.DeleteWebhook(ctx, oneOrg, w.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := scanOne[int](db.reader.QueryRowContext(ctx, "SELECT count(*) FROM deliveries")); err != nil || n != 0 {
		t.Errorf("%d deliveries are left, %v", n, err)
	}
	err = db.View(ctx, func(r account.Reader) error {
		audit, err := r.Audit(oneOrg.Org, account.AuditFilter{Limit: 10})
		if err != nil {
			return err
		}
		var actions []string
		for _, entry := range audit {
			actions = append(actions, entry.Action)
		}
		if got := strings.Join(actions, " "); got != "webhook.deleted webhook.changed webhook.changed webhook.created" {
			t.Errorf("audit log: %s", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Settling does not undo what somebody changed meanwhile, and minds nothing that is gone.
func TestSettleLeavesChangesAlone(t *testing.T) {
	db := openWithOrgs(t, t.TempDir())
	ctx := t.Context()
	s, err := webhook.New(webhook.Options{Store: db, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	w, _, err := s.CreateWebhook(ctx, oneOrg, webhook.Settings{URL: "http://127.0.0.1:1/"})
	if err != nil {
		t.Fatal(err)
	}
	happen(t, db, oneOrg.Org, "x")
	ids, next, err := db.Due(ctx, time.Now(), nil, 10)
	if err != nil || len(ids) != 1 || !next.IsZero() {
		t.Fatalf("due %v, %v, %v", ids, next, err)
	}
	if ids, _, err := db.Due(ctx, time.Now(), ids, 10); err != nil || len(ids) != 0 {
		t.Errorf("due although excepted: %v, %v", ids, err)
	}
	read, secrets, batch, err := db.Batch(ctx, w.ID, time.Now(), 10)
	if err != nil || len(batch) != 1 || secrets.Current == "" {
		t.Fatalf("%d in the batch, %v", len(batch), err)
	}
	if _, err := s.UpdateWebhook(ctx, oneOrg, w.ID, webhook.Change{Events: &[]string{"y"}}); err != nil {
		t.Fatal(err)
	}
	read.Enabled = false
	if err := db.Settle(ctx, read, append(batch, webhook.Delivery{ID: 999, State: webhook.Failed}), &account.Event{Org: oneOrg.Org, Type: "webhook.disabled", At: time.Now(), Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if after, err := s.Webhook(ctx, oneOrg, w.ID); err != nil || !after.Enabled {
		t.Errorf("%+v, %v: switched off although it was changed meanwhile", after, err)
	}
	if err := s.DeleteWebhook(ctx, oneOrg, w.ID); err != nil {
		t.Fatal(err)
	}
	if err := db.Settle(ctx, read, batch, nil); err != nil {
		t.Errorf("settling what is gone: %v", err)
	}
}

// BenchmarkDelivery is one event from the database to a webhook on loopback and back, settled; many are under way at a time.
func BenchmarkDelivery(b *testing.B) {
	db, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer web.Close()
	s, err := webhook.New(webhook.Options{Store: db, AllowPrivate: true})
	if err != nil {
		b.Fatal(err)
	}
	err = db.Update(b.Context(), func(tx account.Tx) error {
		return tx.AddOrganization(account.Organization{ID: oneOrg.Org, Name: "one", CreatedAt: time.Now()})
	})
	if err != nil {
		b.Fatal(err)
	}
	if _, _, err := s.CreateWebhook(b.Context(), oneOrg, webhook.Settings{URL: web.URL}); err != nil {
		b.Fatal(err)
	}
	err = db.Update(b.Context(), func(tx account.Tx) error {
		for range b.N {
			if err := tx.AddEvent(&account.Event{Org: oneOrg.Org, Type: "x", Subject: "number/1", At: time.Now(), Data: []byte(`{"number":1}`)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	for n := 1; n > 0; time.Sleep(time.Millisecond) {
		if n, err = db.CountWaiting(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	cancel()
	running.Wait()
}
