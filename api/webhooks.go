package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/config"
	"trunkline/trunks/account"
	"trunkline/trunks/webhook"
)

// Webhooks is what the API asks of those who deliver events; a *webhook.Service is one. Its methods are called concurrently.
type Webhooks interface {
	Webhooks(ctx context.Context, who account.Caller) ([]webhook.Webhook, error)
	Webhook(ctx context.Context, who account.Caller, id string) (webhook.Webhook, error)
	CreateWebhook(ctx context.Context, who account.Caller, s webhook.Settings) (webhook.Webhook, config.Secret, error)
	UpdateWebhook(ctx context.Context, who account.Caller, id string, c webhook.Change) (webhook.Webhook, error)
	RotateSecret(ctx context.Context, who account.Caller, id string) (webhook.Webhook, config.Secret, error)
	DeleteWebhook(ctx context.Context, who account.Caller, id string) error
	TestWebhook(ctx context.Context, who account.Caller, id string) (webhook.Attempt, error)
	Deliveries(ctx context.Context, who account.Caller, id string, f webhook.DeliveryFilter) ([]webhook.Delivery, error)
	Redeliver(ctx context.Context, who account.Caller, id string, delivery int64) (webhook.Delivery, error)
	RedeliverFailed(ctx context.Context, who account.Caller, id string, since time.Time) (int, error)
}

// webhookBody is a place that wants to hear of events.
type webhookBody struct {
	ID             string   `json:"id"`
	URL            string   `json:"url"`
	Description    string   `json:"description"`
	Events         []string `json:"events" nullable:"false" doc:"Types; empty: all."`
	Enabled        bool     `json:"enabled"`
	DisabledReason *string  `json:"disabled_reason" nullable:"true" enum:"gone,failing" doc:"Why it was switched off, unless you did: it answered 410, or failed for five days."`
	FailingSince   *stamp   `json:"failing_since" nullable:"true" doc:"Nothing has been delivered since; null: the last delivery worked."`
	CreatedAt      stamp    `json:"created_at"`
	UpdatedAt      stamp    `json:"updated_at"`
}

func webhookOf(w webhook.Webhook) webhookBody {
	return webhookBody{ID: w.ID, URL: w.URL, Description: w.Description, Events: mapped(w.Events, func(s string) string { return s }), Enabled: w.Enabled,
		DisabledReason: textOrNil(w.DisabledReason), FailingSince: stampOrNil(w.FailingSince), CreatedAt: stamp(w.CreatedAt), UpdatedAt: stamp(w.UpdatedAt)}
}

// secretWebhookBody is a webhook with the secret that is shown once.
type secretWebhookBody struct {
	webhookBody
	Secret string `json:"secret" doc:"Signs what is delivered, after the Standard Webhooks specification. It is shown once."`
}

// deliveryBody is one event on its way to one webhook.
type deliveryBody struct {
	ID            int64     `json:"id"`
	Event         eventBody `json:"event"`
	State         string    `json:"state" enum:"waiting,delivered,failed"`
	Attempts      int       `json:"attempts"`
	NextAttemptAt *stamp    `json:"next_attempt_at" nullable:"true"`
	Status        *int      `json:"status" nullable:"true" doc:"Of the last answer; null: none came."`
	Error         *string   `json:"error" nullable:"true" doc:"Why the last attempt failed."`
	DeliveredAt   *stamp    `json:"delivered_at" nullable:"true"`
}

func deliveryOf(d webhook.Delivery) deliveryBody {
	b := deliveryBody{ID: d.ID, Event: eventOf(d.Event), State: string(d.State), Attempts: d.Attempts, Error: textOrNil(d.Error), DeliveredAt: stampOrNil(d.DeliveredAt)}
	if d.State == webhook.Waiting {
		b.NextAttemptAt = stampOrNil(&d.NextAt)
	}
	if d.Status != 0 {
		b.Status = new(d.Status)
	}
	return b
}

// attemptBody is what came of a test.
type attemptBody struct {
	Status     *int    `json:"status" nullable:"true" doc:"Of the answer; null: none came."`
	Error      *string `json:"error" nullable:"true" doc:"Null: it was taken."`
	DurationMS int64   `json:"duration_ms"`
}

// newWebhookBody is what a user says of a webhook.
type newWebhookBody struct {
	URL         string   `json:"url" minLength:"1" maxLength:"2048" doc:"https; http and private addresses only where the daemon's configuration allows them."`
	Description *string  `json:"description,omitempty" nullable:"true" maxLength:"255"`
	Events      []string `json:"events,omitempty" nullable:"true" maxItems:"64" doc:"Types of events, as number.verified; without them, all."`
}

// webhookChangeBody changes what is there; what is absent stays.
type webhookChangeBody struct {
	URL         *string   `json:"url,omitempty" nullable:"true" minLength:"1" maxLength:"2048"`
	Description *string   `json:"description,omitempty" nullable:"true" maxLength:"255"`
	Events      *[]string `json:"events,omitempty" nullable:"true" maxItems:"64"`
	Enabled     *bool     `json:"enabled,omitempty" nullable:"true" doc:"Enabling clears its failures; what waited is delivered."`
}

type WebhookID struct {
	ID string `path:"id" maxLength:"64"`
}

type WebhookInput struct {
	WebhookID
	IfMatch string `header:"If-Match" doc:"ETag of the version that is to be changed."`
}

// hooks is the API's door to webhooks.
type hooks struct{ Webhooks }

func (d *door) addWebhooks(asked Webhooks) {
	h := hooks{asked}
	tags := []string{"Webhooks"}
	register(d, huma.Operation{OperationID: "list-webhooks", Method: http.MethodGet, Path: "/v1/webhooks", Tags: tags, Summary: "List webhooks, newest first"}, rules{},
		func(ctx context.Context, who account.Caller, _ *struct{}) (*answer[[]webhookBody], error) {
			all, err := h.Webhooks.Webhooks(ctx, who)
			return &answer[[]webhookBody]{mapped(all, webhookOf)}, err
		})
	register(d, huma.Operation{OperationID: "create-webhook", Method: http.MethodPost, Path: "/v1/webhooks", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Create a webhook; its secret is shown once",
		Description: "Each event that happens from now on is sent there by POST, signed after the Standard Webhooks specification (webhook-id, webhook-timestamp,\n" +
			"webhook-signature), at least once: webhook-id tells a repetition. What is not answered with 2xx within 10 s is sent again for three days."},
		rules{role: account.Admin}, h.create)
	register(d, huma.Operation{OperationID: "get-webhook", Method: http.MethodGet, Path: "/v1/webhooks/{id}", Tags: tags, Summary: "Show a webhook"}, rules{},
		func(ctx context.Context, who account.Caller, in *WebhookID) (*tagged[webhookBody], error) {
			w, err := h.Webhook(ctx, who, in.ID)
			return &tagged[webhookBody]{tag(w.Version), webhookOf(w)}, err
		})
	register(d, huma.Operation{OperationID: "change-webhook", Method: http.MethodPatch, Path: "/v1/webhooks/{id}", Tags: tags,
		Summary: "Change a webhook; what is absent stays as it is"}, rules{role: account.Admin}, h.change)
	register(d, huma.Operation{OperationID: "delete-webhook", Method: http.MethodDelete, Path: "/v1/webhooks/{id}", Tags: tags, Summary: "Delete a webhook",
		DefaultStatus: http.StatusNoContent}, rules{role: account.Admin},
		func(ctx context.Context, who account.Caller, in *WebhookInput) (*nothing, error) {
			if in.IfMatch != "" {
				w, err := h.Webhook(ctx, who, in.ID)
				if err == nil {
					err = checkVersion(in.IfMatch, w.Version)
				}
				if err != nil {
					return nil, err
				}
			}
			return &nothing{}, h.DeleteWebhook(ctx, who, in.ID)
		})
	register(d, huma.Operation{OperationID: "rotate-webhook-secret", Method: http.MethodPost, Path: "/v1/webhooks/{id}/rotate-secret", Tags: tags,
		Summary: "Give a webhook a new secret, shown once; the one before signs beside it for a day"}, rules{role: account.Admin},
		func(ctx context.Context, who account.Caller, in *WebhookID) (*tagged[secretWebhookBody], error) {
			w, secret, err := h.RotateSecret(ctx, who, in.ID)
			return &tagged[secretWebhookBody]{tag(w.Version), secretWebhookBody{webhookOf(w), secret.Reveal()}}, err
		})
	register(d, huma.Operation{OperationID: "test-webhook", Method: http.MethodPost, Path: "/v1/webhooks/{id}/test", Tags: tags,
		Summary: "Send an event of type webhook.test, now and once"}, rules{role: account.Admin},
		func(ctx context.Context, who account.Caller, in *WebhookID) (*answer[attemptBody], error) {
			a, err := h.TestWebhook(ctx, who, in.ID)
			b := attemptBody{Error: textOrNil(a.Error), DurationMS: a.Duration.Milliseconds()}
			if a.Status != 0 {
				b.Status = new(a.Status)
			}
			return &answer[attemptBody]{b}, err
		})
	d.addDeliveries(h, tags)
}

func (d *door) addDeliveries(h hooks, tags []string) {
	register(d, huma.Operation{OperationID: "list-deliveries", Method: http.MethodGet, Path: "/v1/webhooks/{id}/deliveries", Tags: tags,
		Summary: "List what was sent to a webhook, or waits for it, newest first"}, rules{},
		func(ctx context.Context, who account.Caller, in *struct {
			WebhookID
			State  string `query:"state" enum:"waiting,delivered,failed"`
			Before int64  `query:"before" minimum:"1" doc:"Only deliveries with a smaller id."`
			Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		}) (*answer[[]deliveryBody], error) {
			all, err := h.Deliveries(ctx, who, in.ID, webhook.DeliveryFilter{State: webhook.State(in.State), Before: in.Before, Limit: in.Limit})
			return &answer[[]deliveryBody]{mapped(all, deliveryOf)}, err
		})
	register(d, huma.Operation{OperationID: "replay-delivery", Method: http.MethodPost, Path: "/v1/webhooks/{id}/deliveries/{delivery_id}/replay", Tags: tags,
		Summary: "Send one delivery once more, whatever became of it", DefaultStatus: http.StatusAccepted}, rules{role: account.Admin},
		func(ctx context.Context, who account.Caller, in *struct {
			WebhookID
			Delivery int64 `path:"delivery_id" minimum:"1"`
		}) (*answer[deliveryBody], error) {
			again, err := h.Redeliver(ctx, who, in.ID, in.Delivery)
			return &answer[deliveryBody]{deliveryOf(again)}, err
		})
	register(d, huma.Operation{OperationID: "replay-failed-deliveries", Method: http.MethodPost, Path: "/v1/webhooks/{id}/replay", Tags: tags,
		Summary: "Send everything once more that was given up", DefaultStatus: http.StatusAccepted}, rules{role: account.Admin},
		func(ctx context.Context, who account.Caller, in *struct {
			WebhookID
			Body struct {
				Since *time.Time `json:"since,omitempty" nullable:"true" doc:"Only events from then on."`
			} `required:"false"`
		}) (*answer[replayedBody], error) {
			since := time.Time{}
			if in.Body.Since != nil {
				since = *in.Body.Since
			}
			n, err := h.RedeliverFailed(ctx, who, in.ID, since)
			return &answer[replayedBody]{replayedBody{n}}, err
		})
}

// replayedBody says how many deliveries are made once more.
type replayedBody struct {
	Replayed int `json:"replayed"`
}

func (h hooks) create(ctx context.Context, who account.Caller, in *struct{ Body newWebhookBody }) (*tagged[secretWebhookBody], error) {
	settings := webhook.Settings{URL: in.Body.URL, Events: in.Body.Events}
	if in.Body.Description != nil {
		settings.Description = *in.Body.Description
	}
	w, secret, err := h.CreateWebhook(ctx, who, settings)
	return &tagged[secretWebhookBody]{tag(w.Version), secretWebhookBody{webhookOf(w), secret.Reveal()}}, err
}

func (h hooks) change(ctx context.Context, who account.Caller, in *struct {
	WebhookInput
	Body webhookChangeBody
}) (*tagged[webhookBody], error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	w, err := h.UpdateWebhook(ctx, who, in.ID, webhook.Change{URL: in.Body.URL, Description: in.Body.Description, Events: in.Body.Events, Enabled: in.Body.Enabled, IfVersion: version})
	return &tagged[webhookBody]{tag(w.Version), webhookOf(w)}, err
}
