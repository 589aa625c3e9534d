package webhook

import (
	"context"
	"time"

	"trunkline/config"
	"trunkline/trunks/account"
)

// Webhook is a place that wants to hear of events.
type Webhook struct {
	ID  string // UUID
	Org string
	Settings
	Enabled        bool
	DisabledReason string     // why we switched it off; empty: we did not
	FailingSince   *time.Time // nothing has been delivered since; nil: the last delivery worked, or there was none
	CreatedAt      time.Time
	UpdatedAt      time.Time
	Version        int64
}

// Settings is what a user says of a webhook.
type Settings struct {
	URL         string
	Description string   // up to 255 characters
	Events      []string // types; empty: all
}

// Change is what to change of a webhook; nil fields stay. Enabling one clears its failures.
type Change struct {
	URL         *string
	Description *string
	Events      *[]string
	Enabled     *bool
	IfVersion   int64 // 0: any
}

// Secrets sign. The previous one signs too until it ends, so that a receiver can change over in its own time.
type Secrets struct {
	Current       config.Secret
	Previous      config.Secret // empty: none
	PreviousUntil time.Time
}

// State is how far a delivery is.
type State string

// The states.
const (
	Waiting   State = "waiting" // for its first or its next attempt
	Delivered State = "delivered"
	Failed    State = "failed" // given up
)

// Delivery is one event on its way to one webhook.
type Delivery struct {
	ID          int64
	Webhook     string
	Event       account.Event
	State       State
	Attempts    int
	NextAt      time.Time // of the next attempt while it is waiting
	Status      int       // of the last answer; 0: none came
	Error       string    // why the last attempt failed; empty: it did not
	DeliveredAt *time.Time
}

// DeliveryFilter narrows what is read, newest first.
type DeliveryFilter struct {
	State  State // empty: all
	Before int64 // deliveries before this id; 0: from the newest
	Limit  int   // 0: 100; at most 1,000
}

// Store keeps webhooks and deliveries. Its errors are those of an account.Repository. Its methods may be called from any goroutine.
type Store interface {
	Webhooks(ctx context.Context, org string) ([]Webhook, error) // newest first
	Webhook(ctx context.Context, org, id string) (Webhook, error)
	// AddWebhook, ChangeWebhook and RemoveWebhook write the audit entry, and an event of the same name, in their transaction.
	AddWebhook(ctx context.Context, w Webhook, s Secrets, entry account.AuditEntry) error
	// ChangeWebhook hands the webhook to f and stores what f makes of it, counting its Version up.
	ChangeWebhook(ctx context.Context, org, id string, f func(*Webhook, *Secrets) (account.AuditEntry, error)) (Webhook, error)
	RemoveWebhook(ctx context.Context, org, id string, entry account.AuditEntry) error

	Deliveries(ctx context.Context, org, id string, f DeliveryFilter) ([]Delivery, error)
	// Redeliver makes a delivery wait again from its first attempt. ErrNone: the webhook has none with that id.
	Redeliver(ctx context.Context, org, id string, delivery int64, now time.Time) (Delivery, error)
	// RedeliverFailed does so for all that failed and whose event is not older than since, and returns how many.
	RedeliverFailed(ctx context.Context, org, id string, since, now time.Time) (int, error)

	// Due returns the enabled webhooks that have deliveries waiting for now, at most limit, without those in except, the
	// one that waits longest first; and when the next delivery is due after now, zero when none is.
	Due(ctx context.Context, now time.Time, except []string, limit int) (ids []string, next time.Time, err error)
	// Batch returns up to limit deliveries of a webhook that are due, with what is needed to send them; none when it is gone or disabled.
	Batch(ctx context.Context, id string, now time.Time, limit int) (Webhook, Secrets, []Delivery, error)
	// Settle stores what became of deliveries, and Enabled, DisabledReason and FailingSince of their webhook. With disabled, its
	// event is written too. What is gone meanwhile is left out.
	Settle(ctx context.Context, w Webhook, done []Delivery, disabled *account.Event) error
	// CountWaiting returns how many deliveries wait.
	CountWaiting(ctx context.Context) (int, error)
}
