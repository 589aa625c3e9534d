package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"trunkline/trunks/account"
)

const (
	attemptLimit  = 10 * time.Second
	largestAnswer = 64 << 10 // bytes that are read and thrown away, to keep the connection
)

// message is the body of a delivery (Standard Webhooks, "payload structure"), with the id and the subject of the event.
type message struct {
	Type      string          `json:"type"`
	Timestamp string          `json:"timestamp"`
	ID        int64           `json:"id"`
	Subject   string          `json:"subject"`
	Data      json.RawMessage `json:"data"`
}

func body(e account.Event) ([]byte, error) {
	data := e.Data
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	return json.Marshal(message{Type: e.Type, Timestamp: e.At.UTC().Format("2006-01-02T15:04:05.000Z"), ID: e.ID, Subject: e.Subject, Data: data})
}

// messageID stays the same for each attempt, so that a receiver can tell a repetition.
func messageID(e account.Event) string { return "evt_" + strconv.FormatInt(e.ID, 10) }

// signatures of text, one for each secret that is valid at now.
func signatures(s Secrets, id string, now time.Time, text []byte) (string, error) {
	secrets := []string{s.Current.Reveal()}
	if s.Previous != "" && now.Before(s.PreviousUntil) {
		secrets = append(secrets, s.Previous.Reveal())
	}
	var all []string
	for _, secret := range secrets {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return "", errors.New("the signing secret is damaged")
		}
		signature, err := signer.Sign(id, now, text)
		if err != nil {
			return "", err
		}
		all = append(all, signature)
	}
	return strings.Join(all, " "), nil
}

// Attempt is what came of one delivery.
type Attempt struct {
	Status     int           // 0: no answer
	Error      string        // one sentence; empty: it was delivered
	RetryAfter time.Duration // asked for by the receiver; 0: not
	Gone       bool          // 410: the receiver wants nothing any more
	Down       bool          // the receiver as a whole is in trouble, not this event alone
	Duration   time.Duration
	result     string // for the metrics
}

// send makes one attempt.
func (s *Service) send(ctx context.Context, w Webhook, secrets Secrets, e account.Event) Attempt {
	began := time.Now()
	a := s.post(ctx, w, secrets, e, began)
	a.Duration = time.Since(began)
	s.metrics.attempted(a.result, a.Duration)
	return a
}

func (s *Service) post(ctx context.Context, w Webhook, secrets Secrets, e account.Event, now time.Time) Attempt {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	request, err := sign(ctx, w, secrets, e, now)
	if err != nil {
		return Attempt{Error: err.Error(), result: "failed"}
	}
	response, err := s.http.Do(request)
	if err != nil {
		return failure(err)
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, largestAnswer)) // what it says does not matter
	a := Attempt{Status: response.StatusCode, result: "failed"}
	switch {
	case response.StatusCode >= 200 && response.StatusCode <= 299:
		a.result = "delivered"
		return a
	case response.StatusCode == http.StatusGone:
		a.Gone = true
	case response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500:
		a.Down = true
		a.RetryAfter = retryAfter(response.Header.Get("Retry-After"), now)
	}
	a.Error = fmt.Sprintf("answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	if response.StatusCode >= 300 && response.StatusCode <= 399 {
		a.Error += ": redirects are not followed"
	}
	return a
}

func sign(ctx context.Context, w Webhook, secrets Secrets, e account.Event, now time.Time) (*http.Request, error) {
	text, err := body(e)
	if err != nil {
		return nil, errors.New("the event is damaged")
	}
	signed, err := signatures(secrets, messageID(e), now, text)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(text))
	if err != nil {
		return nil, errors.New("the URL cannot be used")
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "trunkline-webhook",
		standardwebhooks.HeaderWebhookID: messageID(e), standardwebhooks.HeaderWebhookTimestamp: strconv.FormatInt(now.Unix(), 10), standardwebhooks.HeaderWebhookSignature: signed,
	} {
		request.Header.Set(name, value)
	}
	return request, nil
}

// failure says in our words why no answer came; those of net/http would repeat the URL.
func failure(err error) Attempt {
	a := Attempt{Error: "the connection broke", Down: true, result: "failed"}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	timeout, isNet := errors.AsType[net.Error](err)
	if refused, ok := errors.AsType[errNotAllowed](err); ok {
		return Attempt{Error: refused.Error(), Down: true, result: "refused"}
	}
	var (
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
		dial        *net.OpError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		a.Error = fmt.Sprintf("no answer within %v", attemptLimit)
	case errors.As(err, &name):
		a.Error = "the host name cannot be resolved"
	case errors.As(err, &certificate):
		a.Error = "its certificate is not trusted"
	case errors.Is(err, http.ErrSchemeMismatch):
		a.Error = "it does not speak TLS"
	case errors.As(err, &dial) && dial.Op == "dial":
		a.Error = "no connection: " + dial.Err.Error()
	}
	return a
}

// retryAfter reads RFC 9110 §10.2.3, at most a day.
func retryAfter(text string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, most)
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(0, date.Sub(now)), most)
	}
	return 0
}

// newTransport connects to public addresses only, unless private ones are allowed. It asks no proxy, which would connect in our place.
func newTransport(allowPrivate bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: onlyPublic}
	if allowPrivate {
		dialer.Control = nil
	}
	return &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConns: 100, MaxIdleConnsPerHost: sendersEach, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}
}
