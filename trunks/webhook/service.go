package webhook

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"trunkline/config"
	"trunkline/trunks/account"
)

// Options of a Service. Store is required.
type Options struct {
	Store        Store
	Changed      func() <-chan struct{} // a channel that closes when there are new events; nil: Run looks every few seconds
	AllowPrivate bool                   // whether webhooks may lead to loopback and private networks, and be plain http
	Transport    http.RoundTripper      // nil: one that keeps to AllowPrivate
	Metrics      *Metrics               // nil: nothing is counted
	Log          *slog.Logger           // nil: nothing is logged
}

// Service manages webhooks and delivers. Its methods may be called from any goroutine.
type Service struct {
	o       Options
	http    *http.Client
	metrics *Metrics
	changed chan struct{} // has an element when Run should look again
}

// wake makes Run look again soon.
func (s *Service) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

const (
	mostWebhooks     = 20 // of an organization
	longestURL       = 2048
	mostTypes        = 64
	previousLifetime = 24 * time.Hour // of a secret after its rotation
	usualLimit       = 100
	largestLimit     = 1000
)

// New returns a Service.
func New(o Options) (*Service, error) {
	if o.Store == nil {
		return nil, errors.New("webhook: Store is required")
	}
	if o.Transport == nil {
		o.Transport = newTransport(o.AllowPrivate)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Service{o: o, http: &http.Client{Transport: o.Transport, CheckRedirect: stay}, metrics: o.Metrics, changed: make(chan struct{}, 1)}, nil
}

// Webhooks returns those of the caller's organization, newest first.
func (s *Service) Webhooks(ctx context.Context, who account.Caller) ([]Webhook, error) {
	if err := may(who, "reading webhooks", account.Owner, account.Admin, account.Member); err != nil {
		return nil, err
	}
	return s.o.Store.Webhooks(ctx, who.Org)
}

// Webhook returns one.
func (s *Service) Webhook(ctx context.Context, who account.Caller, id string) (Webhook, error) {
	if err := may(who, "reading webhooks", account.Owner, account.Admin, account.Member); err != nil {
		return Webhook{}, err
	}
	w, err := s.o.Store.Webhook(ctx, who.Org, id)
	return w, missing(err, "webhook", id)
}

// CreateWebhook adds one and returns its signing secret, which is never shown again.
func (s *Service) CreateWebhook(ctx context.Context, who account.Caller, settings Settings) (Webhook, config.Secret, error) {
	if err := mayChange(who); err != nil {
		return Webhook{}, "", err
	}
	if err := s.check(settings); err != nil {
		return Webhook{}, "", err
	}
	there, err := s.o.Store.Webhooks(ctx, who.Org)
	if err != nil {
		return Webhook{}, "", err
	}
	if len(there) >= mostWebhooks {
		return Webhook{}, "", &account.Conflict{Message: fmt.Sprintf("there are %d webhooks", len(there)), Fix: "delete one that is not needed", Count: len(there)}
	}
	at := now()
	w := Webhook{ID: newUUID(), Org: who.Org, Settings: settings, Enabled: true, CreatedAt: at, UpdatedAt: at, Version: 1}
	secret := newSecret()
	return w, secret, s.o.Store.AddWebhook(ctx, w, Secrets{Current: secret}, entry(who, "webhook.created", w.ID, "url, events"))
}

// UpdateWebhook changes one.
func (s *Service) UpdateWebhook(ctx context.Context, who account.Caller, id string, c Change) (Webhook, error) {
	if err := mayChange(who); err != nil {
		return Webhook{}, err
	}
	w, err := s.o.Store.ChangeWebhook(ctx, who.Org, id, func(w *Webhook, _ *Secrets) (account.AuditEntry, error) {
		if c.IfVersion != 0 && c.IfVersion != w.Version {
			return account.AuditEntry{}, &account.Changed{What: "webhook", ID: id}
		}
		var changed []string
		if c.URL != nil {
			w.URL, changed = *c.URL, append(changed, "url")
		}
		if c.Description != nil {
			w.Description, changed = *c.Description, append(changed, "description")
		}
		if c.Events != nil {
			w.Events, changed = *c.Events, append(changed, "events")
		}
		if c.Enabled != nil {
			w.Enabled, w.DisabledReason, w.FailingSince = *c.Enabled, "", nil
			changed = append(changed, "enabled")
		}
		w.UpdatedAt = now()
		return entry(who, "webhook.changed", id, strings.Join(changed, ", ")), s.check(w.Settings)
	})
	s.wake()
	return w, missing(err, "webhook", id)
}

// RotateSecret gives a webhook a new secret and returns it. The one before signs beside it for a day.
func (s *Service) RotateSecret(ctx context.Context, who account.Caller, id string) (Webhook, config.Secret, error) {
	if err := mayChange(who); err != nil {
		return Webhook{}, "", err
	}
	fresh := newSecret()
	w, err := s.o.Store.ChangeWebhook(ctx, who.Org, id, func(w *Webhook, secrets *Secrets) (account.AuditEntry, error) {
		at := now()
		*secrets = Secrets{Current: fresh, Previous: secrets.Current, PreviousUntil: at.Add(previousLifetime)}
		w.UpdatedAt = at
		return entry(who, "webhook.secret_rotated", id, "secret"), nil
	})
	if err != nil {
		return Webhook{}, "", missing(err, "webhook", id)
	}
	return w, fresh, nil
}

// DeleteWebhook removes one with its deliveries.
func (s *Service) DeleteWebhook(ctx context.Context, who account.Caller, id string) error {
	if err := mayChange(who); err != nil {
		return err
	}
	return missing(s.o.Store.RemoveWebhook(ctx, who.Org, id, entry(who, "webhook.deleted", id, "")), "webhook", id)
}

// TestWebhook sends an event of type webhook.test to one webhook, once and at once, and returns what came of it. It is not
// kept, and does not count as a failure. A disabled webhook can be tested.
func (s *Service) TestWebhook(ctx context.Context, who account.Caller, id string) (a Attempt, err error) {
	if err := mayChange(who); err != nil {
		return Attempt{}, err
	}
	var w Webhook
	var secrets Secrets
	_, err = s.o.Store.ChangeWebhook(ctx, who.Org, id, func(read *Webhook, known *Secrets) (account.AuditEntry, error) {
		w, secrets = *read, *known
		return account.AuditEntry{}, errOnlyRead
	})
	if !errors.Is(err, errOnlyRead) {
		return Attempt{}, missing(err, "webhook", id)
	}
	return s.send(ctx, w, secrets, account.Event{Org: who.Org, Type: "webhook.test", Subject: "webhook/" + id, At: now()}), nil
}

var errOnlyRead = errors.New("nothing is to be changed")

// Deliveries returns what was sent to a webhook, or waits for it, newest first.
func (s *Service) Deliveries(ctx context.Context, who account.Caller, id string, f DeliveryFilter) ([]Delivery, error) {
	switch {
	case f.Limit == 0:
		f.Limit = usualLimit
	case f.Limit < 0 || f.Limit > largestLimit:
		return nil, invalid("limit", fmt.Sprintf("%d is out of range", f.Limit), fmt.Sprintf("1 to %d", largestLimit))
	}
	if !slices.Contains([]State{"", Waiting, Delivered, Failed}, f.State) {
		return nil, invalid("state", "is unknown", "waiting, delivered, failed")
	}
	if _, err := s.Webhook(ctx, who, id); err != nil {
		return nil, err
	}
	return s.o.Store.Deliveries(ctx, who.Org, id, f)
}

// Redeliver sends a delivery once more, whatever became of it, with all attempts ahead of it.
func (s *Service) Redeliver(ctx context.Context, who account.Caller, id string, delivery int64) (Delivery, error) {
	if err := mayChange(who); err != nil {
		return Delivery{}, err
	}
	d, err := s.o.Store.Redeliver(ctx, who.Org, id, delivery, now())
	s.wake()
	return d, missing(err, "delivery", delivery)
}

// RedeliverFailed sends everything once more that failed and happened at since or after it, and returns how much that is.
func (s *Service) RedeliverFailed(ctx context.Context, who account.Caller, id string, since time.Time) (int, error) {
	if err := mayChange(who); err != nil {
		return 0, err
	}
	n, err := s.o.Store.RedeliverFailed(ctx, who.Org, id, since, now())
	s.wake()
	return n, missing(err, "webhook", id)
}

// check returns everything that is wrong with settings, as an *account.Invalid.
func (s *Service) check(settings Settings) error {
	var problems []account.Problem
	if problem := s.checkURL(settings.URL); problem != nil {
		problems = append(problems, *problem)
	}
	if n := len([]rune(settings.Description)); n > 255 {
		problems = append(problems, account.Problem{Field: "description", Message: fmt.Sprintf("has %d characters", n), Fix: "up to 255 characters"})
	}
	if len(settings.Events) > mostTypes {
		problems = append(problems, account.Problem{Field: "events", Message: fmt.Sprintf("has %d entries", len(settings.Events)), Fix: fmt.Sprintf("up to %d", mostTypes)})
	}
	for i, name := range settings.Events {
		if name == "" || len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz._") != "" {
			problems = append(problems, account.Problem{Field: fmt.Sprintf("events[%d]", i), Message: "is no type of event", Fix: "as number.verified"})
		}
	}
	if len(problems) > 0 {
		return &account.Invalid{Problems: problems}
	}
	return nil
}

// checkURL tells early what can be known early; the address is looked at again whenever it is connected to.
func (s *Service) checkURL(text string) *account.Problem {
	allowed := "an https URL without user and fragment"
	if s.o.AllowPrivate {
		allowed = "an http or https URL without user and fragment"
	}
	problem := func(message string) *account.Problem {
		return &account.Problem{Field: "url", Message: message, Fix: allowed}
	}
	u, err := url.Parse(text)
	switch {
	case text == "":
		return problem("is missing")
	case len(text) > longestURL:
		return problem(fmt.Sprintf("is longer than %d characters", longestURL))
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return problem("is not such a URL")
	case u.Scheme != "https" && !(u.Scheme == "http" && s.o.AllowPrivate):
		return problem("has the scheme " + clean(u.Scheme))
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil && !s.o.AllowPrivate && !account.Public(address) {
		return &account.Problem{Field: "url", Message: errNotAllowed{address}.Error(), Fix: allowed}
	}
	return nil
}

func clean(text string) string {
	if len(text) > 16 {
		text = text[:16]
	}
	return fmt.Sprintf("%q", text)
}

func mayChange(who account.Caller) error {
	return may(who, "changing webhooks", account.Owner, account.Admin)
}

func may(who account.Caller, doing string, roles ...account.Role) error {
	if slices.Contains(roles, who.Role) {
		return nil
	}
	return &account.Forbidden{Message: doing + " needs the role " + string(roles[len(roles)-1])}
}

func invalid(field, message, fix string) error {
	return &account.Invalid{Problems: []account.Problem{{Field: field, Message: message, Fix: fix}}}
}

// missing turns ErrNone into a NotFound.
func missing(err error, what string, id any) error {
	if errors.Is(err, account.ErrNone) {
		return &account.NotFound{What: what, ID: fmt.Sprint(id)}
	}
	return err
}

func entry(who account.Caller, action, id, detail string) account.AuditEntry {
	return account.AuditEntry{Org: who.Org, User: who.User, Key: who.Key, Address: who.Address, Request: who.Request,
		Action: action, Subject: "webhook/" + id, Detail: detail, At: now()}
}

// now has the precision that is stored and shown.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// newSecret has 256 random bits (Standard Webhooks: 24 to 64 bytes).
func newSecret() config.Secret {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return config.Secret("whsec_" + base64.StdEncoding.EncodeToString(b[:]))
}

// newUUID is a random UUID (RFC 9562 §5.4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
