package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

// TestLockedDatabase: while another process holds the write lock, reading goes on and changing says what is wrong.
func TestLockedDatabase(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	w.db.Close()
	w.open()
	shortenBusy(t, w)
	other, err := sql.Open(driverName, writerDSN(filepath.Join(w.dir, ConfigFile), time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec("INSERT INTO settings (name, value) VALUES ('x', 'y')"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.Agents(t.Context(), acme); err != nil {
		t.Errorf("reading: %v", err)
	}
	_, err = w.service.CreateAgent(t.Context(), acme, account.AgentSettings{Name: "app"})
	wantUnavailable(t, err, "locked", "the configuration database is locked by another process; try again")
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.CreateAgent(t.Context(), acme, account.AgentSettings{Name: "app"}); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

// shortenBusy lets a test that waits for the lock wait less than operators do.
func shortenBusy(t *testing.T, w *tenancy) {
	t.Helper()
	if _, err := w.db.writer.Exec("PRAGMA busy_timeout = 50"); err != nil {
		t.Fatal(err)
	}
}

func wantUnavailable(t *testing.T, err error, cause, words string) {
	t.Helper()
	failed, ok := errors.AsType[*account.Unavailable](err)
	if !ok || failed.Cause != cause || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want %s: %q", err, cause, words)
	}
}

// TestFullDatabase: a disk without room refuses changes, keeps what was there, and takes them again when there is room.
func TestFullDatabase(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	w.agent(acme, "before", "203.0.113.9")
	var pages int
	if err := w.db.writer.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	w.exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)) // SQLite answers as on a full disk
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		_, err = w.service.CreateAgent(t.Context(), acme, account.AgentSettings{Name: fmt.Sprint("app ", i, strings.Repeat("x", 100))})
	}
	wantUnavailable(t, err, "disk_full", "the configuration database is on a full disk; make room in storage.directory")
	agents, err := w.service.Agents(t.Context(), acme)
	if err != nil || len(agents) == 0 {
		t.Errorf("reading: %d, %v", len(agents), err)
	}
	w.exec("PRAGMA max_page_count = 1000000")
	if _, err := w.service.CreateAgent(t.Context(), acme, account.AgentSettings{Name: "after"}); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if problems, err := checkOne(t.Context(), filepath.Join(w.dir, ConfigFile)); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// TestReadOnlyDatabase: reading goes on where nothing can be written.
func TestReadOnlyDatabase(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	w.exec("PRAGMA query_only = 1")
	_, err := w.service.CreateAgent(t.Context(), acme, account.AgentSettings{Name: "app"})
	wantUnavailable(t, err, "not_writable", "the configuration database cannot be written; check owner and mode")
	if _, err := w.service.Agents(t.Context(), acme); err != nil {
		t.Errorf("reading: %v", err)
	}
}

// TestManyChangesAtOnce: writers take turns, readers see whole changes, and nobody fails.
func TestManyChangesAtOnce(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	conn := w.connection(acme, "main")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for j := range 5 {
				number := fmt.Sprintf("+1555%03d%04d", i, j)
				w.at.have(number)
				if _, err := w.service.ImportNumbers(t.Context(), acme, conn.ID, []string{number}); err != nil {
					t.Errorf("import %s: %v", number, err)
				}
			}
		})
		all.Go(func() {
			for range 10 {
				events, err := w.service.Events(t.Context(), acme, account.EventFilter{Types: []string{"number.imported"}, Limit: 1000})
				if err != nil {
					t.Errorf("events: %v", err)
				}
				_ = events
			}
		})
	}
	all.Wait()
	numbers, err := w.service.Numbers(t.Context(), acme, account.NumberFilter{})
	if err != nil || len(numbers) != 100 {
		t.Errorf("%d numbers, %v", len(numbers), err)
	}
	if n := w.count("SELECT count(*) FROM events WHERE type = 'number.imported'"); n != 100 {
		t.Errorf("%d events", n)
	}
}

// TestEvidenceRace: of many who use the same evidence at once, one gets a connection.
func TestEvidenceRace(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	n := account.NewConnection{Provider: provider.Telnyx, Credentials: telnyxCredentials(), SIPConfig: telnyxSIP(), EvidenceID: w.evidence(acme, telnyxCredentials(), telnyxSIP())}
	var all sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 16 {
		all.Go(func() {
			_, err := w.service.CreateConnection(context.Background(), acme, n)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else if !is[*account.Invalid](err) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made != 1 || w.count("SELECT count(*) FROM connections") != 1 || w.count("SELECT count(*) FROM sip_credentials") != 1 {
		t.Errorf("%d connections of one evidence", made)
	}
}
