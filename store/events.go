package store

import (
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"trunkline/trunks/account"
)

// AddEvent makes a delivery for each webhook that wants the event, in the same transaction: the outbox holds what happened, and nothing
// that did not.
func (t *tx) AddEvent(e *account.Event) (err error) {
	e.ID, err = t.insert("INSERT INTO events (org_id, type, subject, data, at_ms) VALUES (?, ?, ?, ?, ?)", e.Org, e.Type, e.Subject, string(e.Data), ms(e.At))
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO deliveries (webhook_id, event_id, next_ms) SELECT id, ?1, ?2 FROM webhooks WHERE org_id = ?3 AND enabled = 1
		AND (events = '[]' OR EXISTS (SELECT 1 FROM json_each(events) WHERE value = ?4))`, e.ID, ms(e.At), e.Org, e.Type)
	return err
}

// TrimEvents deletes the oldest events of a type.
func (t *tx) TrimEvents(what string, keep int64, limit int) error {
	_, err := t.exec("DELETE FROM events WHERE id IN (SELECT id FROM events WHERE type = ? AND id <= (SELECT max(id) FROM events) - ? ORDER BY id LIMIT ?)", what, keep, limit)
	return err
}

func (t *tx) Events(org string, f account.EventFilter) ([]account.Event, error) {
	query, args := "SELECT id, org_id, type, subject, data, at_ms FROM events WHERE org_id = ? AND id > ?", []any{org, f.After}
	if len(f.Types) > 0 {
		query += " AND type IN (" + strings.TrimSuffix(strings.Repeat("?,", len(f.Types)), ",") + ")"
		for _, name := range f.Types {
			args = append(args, name)
		}
	}
	return many(t, func(rows *sql.Rows) (e account.Event, err error) {
		var data []byte
		var at int64
		err = rows.Scan(&e.ID, &e.Org, &e.Type, &e.Subject, &data, &at)
		e.Data, e.At = json.RawMessage(data), fromMS(at)
		return e, err
	}, query+" ORDER BY id LIMIT ?", append(args, f.Limit)...)
}

func (t *tx) AddAudit(e account.AuditEntry) error {
	_, err := t.exec("INSERT INTO audit (org_id, user_id, key_id, address, request, action, subject, detail, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		e.Org, e.User, e.Key, e.Address, e.Request, e.Action, e.Subject, e.Detail, ms(e.At))
	return err
}

func (t *tx) Audit(org string, f account.AuditFilter) ([]account.AuditEntry, error) {
	if f.Before <= 0 {
		f.Before = 1<<63 - 1
	}
	return many(t, func(rows *sql.Rows) (e account.AuditEntry, err error) {
		var at int64
		err = rows.Scan(&e.ID, &e.Org, &e.User, &e.Key, &e.Address, &e.Request, &e.Action, &e.Subject, &e.Detail, &at)
		e.At = fromMS(at)
		return e, err
	}, "SELECT id, org_id, user_id, key_id, address, request, action, subject, detail, at_ms FROM audit WHERE org_id = ? AND id < ? ORDER BY id DESC LIMIT ?", org, f.Before, f.Limit)
}

func (t *tx) Replay(org, key string) (account.Replay, error) {
	return one(t, func(rows *sql.Rows) (r account.Replay, err error) {
		var digest []byte
		var created int64
		err = rows.Scan(&r.Org, &r.Key, &digest, &r.Status, &r.Body, &created)
		copy(r.Digest[:], digest)
		r.CreatedAt = fromMS(created)
		return r, err
	}, "SELECT org_id, key, digest, status, body, created_ms FROM replays WHERE org_id = ? AND key = ?", org, key)
}

func (t *tx) AddReplay(r account.Replay) error {
	_, err := t.exec("INSERT INTO replays (org_id, key, digest, status, body, created_ms) VALUES (?, ?, ?, ?, ?, ?)", r.Org, r.Key, r.Digest[:], r.Status, r.Body, ms(r.CreatedAt))
	return err
}

func (t *tx) FinishReplay(r account.Replay) error {
	return t.change("replay", "UPDATE replays SET status = ?, body = ? WHERE org_id = ? AND key = ?", r.Status, r.Body, r.Org, r.Key)
}

func (t *tx) RemoveReplay(org, key string) error {
	_, err := t.exec("DELETE FROM replays WHERE org_id = ? AND key = ?", org, key)
	return err
}

const (
	forgottenTogether = 1000 // rows of each table
	auditYears        = 1    // that audit entries are kept beyond events
)

func (t *tx) Forget(expired, old time.Time) error {
	for _, gone := range []struct {
		query  string
		before time.Time
	}{
		{"DELETE FROM evidence WHERE id IN (SELECT id FROM evidence WHERE expires_ms < ? LIMIT ?)", expired},
		{"DELETE FROM replays WHERE (org_id, key) IN (SELECT org_id, key FROM replays WHERE created_ms < ? LIMIT ?)", expired},
		{"DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at_ms < ? ORDER BY id LIMIT ?)", old},
		{"DELETE FROM numbers WHERE id IN (SELECT id FROM numbers WHERE status = 'released' AND updated_ms < ? LIMIT ?)", old},
		{"DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at_ms < ? ORDER BY id LIMIT ?)", old.AddDate(-auditYears, 0, 0)},
		{"DELETE FROM operations WHERE seq IN (SELECT seq FROM operations WHERE finished_ms < ? ORDER BY seq LIMIT ?)", old},
	} {
		if _, err := t.exec(gone.query, ms(gone.before), forgottenTogether); err != nil {
			return err
		}
	}
	return nil
}
