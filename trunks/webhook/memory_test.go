package webhook

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"trunkline/trunks/account"
)

// memory is a Store without a disk. broken makes every call of the deliverer fail.
type memory struct {
	mu         sync.Mutex
	webhooks   []*kept
	deliveries []*Delivery
	events     []account.Event
	audit      []account.AuditEntry
	broken     error
	changed    chan struct{}
}

type kept struct {
	Webhook
	secrets Secrets
}

func newMemory() *memory { return &memory{changed: make(chan struct{})} }

// happen makes an event with a delivery to each webhook that wants it.
func (m *memory) happen(org, what string) account.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := account.Event{ID: int64(len(m.events) + 1), Org: org, Type: what, Subject: "thing/1", At: now(), Data: []byte(`{"a":1}`)}
	m.events = append(m.events, e)
	for _, w := range m.webhooks {
		if w.Org == org && w.Enabled && (len(w.Events) == 0 || slices.Contains(w.Events, what)) {
			m.deliveries = append(m.deliveries, &Delivery{ID: int64(len(m.deliveries) + 1), Webhook: w.ID, Event: e, State: Waiting, NextAt: e.At})
		}
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return e
}

func (m *memory) next() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

// all returns copies of the deliveries.
func (m *memory) all() (all []Delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deliveries {
		all = append(all, *d)
	}
	return all
}

func (m *memory) find(org, id string) *kept {
	at := slices.IndexFunc(m.webhooks, func(w *kept) bool { return w.ID == id && (org == "" || w.Org == org) })
	if at < 0 {
		return nil
	}
	return m.webhooks[at]
}

func (m *memory) Webhooks(_ context.Context, org string) (all []Webhook, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.webhooks {
		if w.Org == org {
			all = append(all, w.Webhook)
		}
	}
	return all, nil
}

func (m *memory) Webhook(_ context.Context, org, id string) (Webhook, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.find(org, id); w != nil {
		return w.Webhook, nil
	}
	return Webhook{}, account.ErrNone
}

func (m *memory) AddWebhook(_ context.Context, w Webhook, s Secrets, entry account.AuditEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.webhooks, m.audit = append(m.webhooks, &kept{w, s}), append(m.audit, entry)
	return nil
}

func (m *memory) ChangeWebhook(_ context.Context, org, id string, f func(*Webhook, *Secrets) (account.AuditEntry, error)) (Webhook, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.find(org, id)
	if w == nil {
		return Webhook{}, account.ErrNone
	}
	changed := *w
	entry, err := f(&changed.Webhook, &changed.secrets)
	if err != nil {
		return Webhook{}, err
	}
	changed.Version++
	*w, m.audit = changed, append(m.audit, entry)
	return changed.Webhook, nil
}

func (m *memory) RemoveWebhook(_ context.Context, org, id string, entry account.AuditEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.find(org, id) == nil {
		return account.ErrNone
	}
	m.webhooks = slices.DeleteFunc(m.webhooks, func(w *kept) bool { return w.ID == id })
	m.deliveries = slices.DeleteFunc(m.deliveries, func(d *Delivery) bool { return d.Webhook == id })
	m.audit = append(m.audit, entry)
	return nil
}

func (m *memory) Deliveries(_ context.Context, _, id string, f DeliveryFilter) (all []Delivery, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range slices.Backward(m.deliveries) {
		if d.Webhook == id && (f.State == "" || d.State == f.State) && len(all) < f.Limit {
			all = append(all, *d)
		}
	}
	return all, nil
}

func (m *memory) Redeliver(_ context.Context, _, id string, delivery int64, at time.Time) (Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deliveries {
		if d.ID == delivery && d.Webhook == id {
			d.State, d.Attempts, d.NextAt = Waiting, 0, at
			return *d, nil
		}
	}
	return Delivery{}, account.ErrNone
}

func (m *memory) RedeliverFailed(_ context.Context, _, id string, since, at time.Time) (n int, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deliveries {
		if d.Webhook == id && d.State == Failed && !d.Event.At.Before(since) {
			d.State, d.Attempts, d.NextAt = Waiting, 0, at
			n++
		}
	}
	return n, nil
}

func (m *memory) Due(_ context.Context, at time.Time, except []string, limit int) (ids []string, next time.Time, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deliveries {
		w := m.find("", d.Webhook)
		if d.State != Waiting || w == nil || !w.Enabled || slices.Contains(except, d.Webhook) {
			continue
		}
		switch {
		case d.NextAt.After(at):
			if next.IsZero() || d.NextAt.Before(next) {
				next = d.NextAt
			}
		case !slices.Contains(ids, d.Webhook) && len(ids) < limit:
			ids = append(ids, d.Webhook)
		}
	}
	return ids, next, m.broken
}

func (m *memory) Batch(_ context.Context, id string, at time.Time, limit int) (Webhook, Secrets, []Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.find("", id)
	if w == nil || !w.Enabled {
		return Webhook{}, Secrets{}, nil, m.broken
	}
	var batch []Delivery
	for _, d := range m.deliveries {
		if d.Webhook == id && d.State == Waiting && !d.NextAt.After(at) && len(batch) < limit {
			batch = append(batch, *d)
		}
	}
	return w.Webhook, w.secrets, batch, m.broken
}

func (m *memory) Settle(_ context.Context, w Webhook, done []Delivery, disabled *account.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	if there := m.find("", w.ID); there != nil {
		there.Enabled, there.DisabledReason, there.FailingSince = w.Enabled, w.DisabledReason, w.FailingSince
	}
	for _, d := range done {
		for _, there := range m.deliveries {
			if there.ID == d.ID {
				*there = d
			}
		}
	}
	if disabled != nil {
		m.events = append(m.events, *disabled)
	}
	return nil
}

func (m *memory) CountWaiting(context.Context) (n int, _ error) {
	for _, d := range m.all() {
		if d.State == Waiting {
			n++
		}
	}
	return n, nil
}

var errDisk = errors.New("disk I/O error")
