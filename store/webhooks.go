package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"trunkline/config"
	"trunkline/trunks/account"
	"trunkline/trunks/webhook"
)

// This file holds webhooks and their deliveries; DB is a webhook.Store.

const webhookColumns = "id, org_id, url, description, events, enabled, disabled_reason, failing_since_ms, created_ms, updated_ms, version"

func scanWebhook(rows *sql.Rows) (w webhook.Webhook, err error) {
	var events []byte
	var failing sql.NullInt64
	var created, updated int64
	err = rows.Scan(&w.ID, &w.Org, &w.URL, &w.Description, &events, &w.Enabled, &w.DisabledReason, &failing, &created, &updated, &w.Version)
	w.FailingSince, w.CreatedAt, w.UpdatedAt = fromNullMS(failing), fromMS(created), fromMS(updated)
	if err == nil {
		err = json.Unmarshal(events, &w.Events)
	}
	return w, err
}

// sealedSecrets is what is sealed of a webhook.
type sealedSecrets struct {
	Current       string `json:"current"`
	Previous      string `json:"previous,omitempty"`
	PreviousUntil int64  `json:"previous_until_ms,omitempty"`
}

func (t *tx) sealSecrets(id string, s webhook.Secrets) ([]byte, error) {
	plain, err := json.Marshal(sealedSecrets{s.Current.Reveal(), s.Previous.Reveal(), ms(s.PreviousUntil)})
	if err != nil {
		return nil, err
	}
	return t.seal("webhooks", id, plain)
}

func (t *tx) secretsOf(id string) (webhook.Secrets, error) {
	sealed, err := one(t, func(rows *sql.Rows) (b []byte, err error) { return b, rows.Scan(&b) }, "SELECT sealed FROM webhooks WHERE id = ?", id)
	if err != nil {
		return webhook.Secrets{}, err
	}
	plain, err := t.open("webhooks", id, sealed)
	if err != nil {
		return webhook.Secrets{}, err
	}
	var s sealedSecrets
	if err := json.Unmarshal(plain, &s); err != nil {
		return webhook.Secrets{}, errors.New("the secret of webhook " + id + " is damaged") // the cause would show a part of it
	}
	return webhook.Secrets{Current: config.Secret(s.Current), Previous: config.Secret(s.Previous), PreviousUntil: fromMS(s.PreviousUntil)}, nil
}

// see reads webhooks from one consistent state.
func (d *DB) see(ctx context.Context, f func(*tx) error) error {
	return d.View(ctx, func(r account.Reader) error { return f(r.(*tx)) })
}

// alter changes webhooks in one transaction.
func (d *DB) alter(ctx context.Context, f func(*tx) error) error {
	return d.Update(ctx, func(w account.Tx) error { return f(w.(*tx)) })
}

// told writes the audit entry of a change and the event of the same name.
func (t *tx) told(e account.AuditEntry) error {
	if err := t.AddEvent(&account.Event{Org: e.Org, Type: e.Action, Subject: e.Subject, At: e.At, Data: json.RawMessage("{}")}); err != nil {
		return err
	}
	return t.AddAudit(e)
}

// Webhooks returns those of an organization, newest first.
func (d *DB) Webhooks(ctx context.Context, org string) (all []webhook.Webhook, err error) {
	err = d.see(ctx, func(t *tx) error {
		all, err = many(t, scanWebhook, "SELECT "+webhookColumns+" FROM webhooks WHERE org_id = ? ORDER BY created_ms DESC, id", org)
		return err
	})
	return all, err
}

// Webhook returns one, or account.ErrNone.
func (d *DB) Webhook(ctx context.Context, org, id string) (w webhook.Webhook, err error) {
	err = d.see(ctx, func(t *tx) error { w, err = t.webhook(org, id); return err })
	return w, err
}

func (t *tx) webhook(org, id string) (webhook.Webhook, error) {
	return one(t, scanWebhook, "SELECT "+webhookColumns+" FROM webhooks WHERE org_id = ? AND id = ?", org, id)
}

// AddWebhook adds one. The event of it goes to the others.
func (d *DB) AddWebhook(ctx context.Context, w webhook.Webhook, s webhook.Secrets, entry account.AuditEntry) error {
	events, err := eventTypes(w.Events)
	if err != nil {
		return err
	}
	return d.alter(ctx, func(t *tx) error {
		if err := t.told(entry); err != nil {
			return err
		}
		sealed, err := t.sealSecrets(w.ID, s)
		if err != nil {
			return err
		}
		_, err = t.exec("INSERT INTO webhooks ("+webhookColumns+", sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			w.ID, w.Org, w.URL, w.Description, events, w.Enabled, w.DisabledReason, msOrNull(w.FailingSince), ms(w.CreatedAt), ms(w.UpdatedAt), w.Version, sealed)
		return err
	})
}

func eventTypes(names []string) (string, error) {
	if names == nil {
		names = []string{}
	}
	text, err := json.Marshal(names)
	return string(text), err
}

// ChangeWebhook stores what f makes of a webhook and its secrets.
func (d *DB) ChangeWebhook(ctx context.Context, org, id string, f func(*webhook.Webhook, *webhook.Secrets) (account.AuditEntry, error)) (w webhook.Webhook, err error) {
	err = d.alter(ctx, func(t *tx) error {
		if w, err = t.webhook(org, id); err != nil {
			return err
		}
		secrets, err := t.secretsOf(id)
		if err != nil {
			return err
		}
		entry, err := f(&w, &secrets)
		if err != nil {
			return err
		}
		events, err := eventTypes(w.Events)
		if err != nil {
			return err
		}
		sealed, err := t.sealSecrets(id, secrets)
		if err != nil {
			return err
		}
		w.Version++
		if err := t.change("webhook", "UPDATE webhooks SET url = ?, description = ?, events = ?, enabled = ?, disabled_reason = ?, failing_since_ms = ?, updated_ms = ?, version = ?, sealed = ? WHERE id = ?",
			w.URL, w.Description, events, w.Enabled, w.DisabledReason, msOrNull(w.FailingSince), ms(w.UpdatedAt), w.Version, sealed, id); err != nil {
			return err
		}
		return t.told(entry)
	})
	return w, err
}

// RemoveWebhook deletes one with its deliveries.
func (d *DB) RemoveWebhook(ctx context.Context, org, id string, entry account.AuditEntry) error {
	return d.alter(ctx, func(t *tx) error {
		if err := t.change("webhook", "DELETE FROM webhooks WHERE org_id = ? AND id = ?", org, id); err != nil {
			return err
		}
		return t.told(entry)
	})
}

const deliveryQuery = `SELECT d.id, d.webhook_id, d.state, d.attempts, d.next_ms, d.status, d.error, d.delivered_ms, e.id, e.org_id, e.type, e.subject, e.data, e.at_ms
	FROM deliveries d JOIN events e ON e.id = d.event_id `

func scanDelivery(rows *sql.Rows) (d webhook.Delivery, err error) {
	var next, at int64
	var status, delivered sql.NullInt64
	var data []byte
	err = rows.Scan(&d.ID, &d.Webhook, &d.State, &d.Attempts, &next, &status, &d.Error, &delivered,
		&d.Event.ID, &d.Event.Org, &d.Event.Type, &d.Event.Subject, &data, &at)
	d.NextAt, d.Status, d.DeliveredAt = fromMS(next), int(status.Int64), fromNullMS(delivered)
	d.Event.Data, d.Event.At = json.RawMessage(data), fromMS(at)
	return d, err
}

// Deliveries returns those of a webhook, newest first.
func (d *DB) Deliveries(ctx context.Context, org, id string, f webhook.DeliveryFilter) (all []webhook.Delivery, err error) {
	if f.Before <= 0 {
		f.Before = 1<<63 - 1
	}
	query, args := deliveryQuery+"WHERE d.webhook_id = ? AND e.org_id = ? AND d.id < ?", []any{id, org, f.Before}
	if f.State != "" {
		query, args = query+" AND d.state = ?", append(args, string(f.State))
	}
	err = d.see(ctx, func(t *tx) error {
		all, err = many(t, scanDelivery, query+" ORDER BY d.id DESC LIMIT ?", append(args, f.Limit)...)
		return err
	})
	return all, err
}

// again makes deliveries wait from their first attempt. It belongs before a WHERE.
const again = "UPDATE deliveries SET state = 'waiting', attempts = 0, next_ms = ?, delivered_ms = NULL "

// Redeliver makes one delivery wait again.
func (d *DB) Redeliver(ctx context.Context, org, id string, delivery int64, now time.Time) (found webhook.Delivery, err error) {
	err = d.alter(ctx, func(t *tx) error {
		if _, err := t.webhook(org, id); err != nil {
			return err
		}
		if err := t.change("delivery", again+"WHERE id = ? AND webhook_id = ?", ms(now), delivery, id); err != nil {
			return err
		}
		found, err = one(t, scanDelivery, deliveryQuery+"WHERE d.id = ?", delivery)
		return err
	})
	return found, err
}

// RedeliverFailed makes those wait again that were given up, of events from since on.
func (d *DB) RedeliverFailed(ctx context.Context, org, id string, since, now time.Time) (n int, err error) {
	err = d.alter(ctx, func(t *tx) error {
		if _, err := t.webhook(org, id); err != nil {
			return err
		}
		result, err := t.exec(again+"WHERE webhook_id = ? AND state = 'failed' AND event_id IN (SELECT id FROM events WHERE org_id = ? AND at_ms >= ?)", ms(now), id, org, ms(since))
		if err != nil {
			return err
		}
		changed, err := result.RowsAffected()
		n = int(changed)
		return err
	})
	return n, err
}

// Due returns enabled webhooks that have something to send, and when the next one has.
func (d *DB) Due(ctx context.Context, now time.Time, except []string, limit int) (ids []string, next time.Time, err error) {
	type head struct {
		id    string
		first sql.NullInt64
	}
	args := make([]any, len(except))
	for i, id := range except {
		args[i] = id
	}
	query := `SELECT id, (SELECT min(next_ms) FROM deliveries WHERE webhook_id = webhooks.id AND state = 'waiting') AS first FROM webhooks
		WHERE enabled = 1 AND id NOT IN (` + strings.TrimSuffix(strings.Repeat("?,", len(except)), ",") + ") ORDER BY first"
	err = d.see(ctx, func(t *tx) error {
		heads, err := many(t, func(rows *sql.Rows) (h head, err error) { return h, rows.Scan(&h.id, &h.first) }, query, args...)
		for _, h := range heads {
			switch {
			case !h.first.Valid:
			case h.first.Int64 > ms(now):
				next = fromMS(h.first.Int64)
				return nil
			case len(ids) < limit:
				ids = append(ids, h.id)
			}
		}
		return err
	})
	return ids, next, err
}

// Batch returns deliveries of a webhook that are due.
func (d *DB) Batch(ctx context.Context, id string, now time.Time, limit int) (w webhook.Webhook, s webhook.Secrets, batch []webhook.Delivery, err error) {
	err = d.see(ctx, func(t *tx) error {
		found, err := many(t, scanWebhook, "SELECT "+webhookColumns+" FROM webhooks WHERE id = ? AND enabled = 1", id)
		if err != nil || len(found) == 0 {
			return err
		}
		w = found[0]
		if s, err = t.secretsOf(id); err != nil {
			return err
		}
		batch, err = many(t, scanDelivery, deliveryQuery+"WHERE d.webhook_id = ? AND d.state = 'waiting' AND d.next_ms <= ? ORDER BY d.next_ms, d.id LIMIT ?", id, ms(now), limit)
		return err
	})
	return w, s, batch, err
}

// Settle stores what became of deliveries and of their webhook.
func (d *DB) Settle(ctx context.Context, w webhook.Webhook, done []webhook.Delivery, disabled *account.Event) error {
	return d.alter(ctx, func(t *tx) error {
		result, err := t.exec("UPDATE webhooks SET enabled = ?, disabled_reason = ?, failing_since_ms = ? WHERE id = ? AND version = ?", w.Enabled, w.DisabledReason, msOrNull(w.FailingSince), w.ID, w.Version)
		if err != nil {
			return err
		}
		for _, one := range done {
			if _, err := t.exec("UPDATE deliveries SET state = ?, attempts = ?, next_ms = ?, status = ?, error = ?, delivered_ms = ? WHERE id = ?",
				string(one.State), one.Attempts, ms(one.NextAt), statusOrNull(one.Status), one.Error, msOrNull(one.DeliveredAt), one.ID); err != nil {
				return err
			}
		}
		// A webhook that somebody changed while it was served is as they left it.
		if n, err := result.RowsAffected(); err != nil || n == 0 || disabled == nil {
			return err
		}
		return t.AddEvent(disabled)
	})
}

func statusOrNull(status int) any {
	if status == 0 {
		return nil
	}
	return status
}

// CountWaiting returns how many deliveries of enabled webhooks wait.
func (d *DB) CountWaiting(ctx context.Context) (n int, err error) {
	err = d.see(ctx, func(t *tx) error {
		n, err = one(t, scanCount, "SELECT count(*) FROM deliveries WHERE state = 'waiting' AND webhook_id IN (SELECT id FROM webhooks WHERE enabled = 1)")
		return err
	})
	return n, err
}
