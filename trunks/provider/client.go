package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	largestAnswer = 8 << 20 // bytes; a page of 1000 numbers has some 2.5 MB
	triesOfGET    = 4
	firstPause    = 250 * time.Millisecond
	longestPause  = 4 * time.Second
	longestWait   = 20 * time.Second // a longer Retry-After is the caller's to decide about
	connectLimit  = 5 * time.Second
	longestText   = 200 // characters of a provider's message
	mostPages     = 1000
)

// client talks to one API of one account.
type client struct {
	provider  Kind
	base      *url.URL
	authorize func(*http.Request)
	http      *http.Client
	timeout   time.Duration
	metrics   *Metrics
	secrets   []string
}

// request is one exchange. Path is below the base; it may bring a query of its own, as links to a next page do.
type request struct {
	doing  string // as "list numbers"
	method string
	path   string
	query  url.Values
	form   url.Values // body of Twilio and Vonage
	body   any        // body of the others
}

// get asks with GET, again after a pause when the provider is in trouble or asks us to wait.
func (c *client) get(ctx context.Context, doing, path string, query url.Values, into any) error {
	r := request{doing: doing, method: http.MethodGet, path: path, query: query}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier = firstPause, longestPause, 2
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.exchange(ctx, r, into)
		return struct{}{}, pausing(ctx, err)
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(triesOfGET))
	return c.asError(doing, err)
}

// change sends a request that changes something, once: whether a lost answer meant yes is for the caller to find out.
func (c *client) change(ctx context.Context, r request, into any) error {
	return c.asError(r.doing, c.exchange(ctx, r, into))
}

// pausing tells the retry loop what err means: try again, after how long, or not.
func pausing(ctx context.Context, err error) error {
	known, ok := errors.AsType[*Error](err)
	if !ok {
		return err // nil
	}
	switch known.Class {
	case RateLimited, Unavailable:
	case TimedOut:
		if ctx.Err() != nil {
			return backoff.Permanent(err)
		}
	default:
		return backoff.Permanent(err)
	}
	if known.RetryAfter <= 0 {
		return err
	}
	if deadline, ok := ctx.Deadline(); known.RetryAfter > longestWait || ok && time.Until(deadline) < known.RetryAfter {
		return backoff.Permanent(err)
	}
	known.Err = errors.Join(known.Err, &backoff.RetryAfterError{Duration: known.RetryAfter + rand.N(firstPause)})
	return err
}

// asError makes an *Error of what the retry loop returned.
func (c *client) asError(doing string, err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	return &Error{Provider: c.provider, Doing: doing, Class: failureClass(err), Err: err}
}

// exchange sends r once and decodes a 2xx answer into into, unless that is nil. Its errors are *Errors.
func (c *client) exchange(ctx context.Context, r request, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	began := time.Now()
	err := c.converse(ctx, r, into)
	outcome := "ok"
	if known, ok := errors.AsType[*Error](err); ok {
		outcome = string(known.Class)
	}
	c.metrics.asked(c.provider, outcome, time.Since(began))
	return err
}

func (c *client) converse(ctx context.Context, r request, into any) error {
	failure := &Error{Provider: c.provider, Doing: r.doing}
	sent, err := c.build(ctx, r)
	if err != nil {
		failure.Class, failure.Err = Rejected, err
		return failure
	}
	response, err := c.http.Do(sent)
	if err != nil {
		failure.Class, failure.Err = failureClass(err), withoutURL(err)
		return failure
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, largestAnswer+1))
	failure.Status = response.StatusCode
	switch {
	case err != nil:
		failure.Class, failure.Err = failureClass(err), withoutURL(err)
		return failure
	case len(body) > largestAnswer:
		failure.Class = TooLarge
		return failure
	case response.StatusCode < 200 || response.StatusCode > 299:
		failure.Code, failure.Message = complaint(body)
		failure.Class = classOf(response.StatusCode, failure.Code)
		failure.Code, failure.Message = c.masked(failure.Code, 32), c.masked(failure.Message, longestText)
		failure.RetryAfter = retryAfter(response.Header, time.Now())
		return failure
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		failure.Class, failure.Message = Malformed, "the answer is not the JSON that the API documents"
		return failure
	}
	return nil
}

func (c *client) build(ctx context.Context, r request) (*http.Request, error) {
	reference, err := url.Parse(r.path)
	if err != nil {
		return nil, errors.New("a link in the provider's answer cannot be followed")
	}
	target := *c.base
	target.Path = strings.TrimSuffix(target.Path, "/") + reference.Path
	target.RawPath = ""
	query := reference.Query()
	maps.Copy(query, r.query)
	target.RawQuery = query.Encode()
	var body io.Reader
	contentType := ""
	switch {
	case r.form != nil:
		body, contentType = strings.NewReader(r.form.Encode()), "application/x-www-form-urlencoded"
	case r.body != nil:
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body, contentType = bytes.NewReader(text), "application/json"
	}
	sent, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return nil, withoutURL(err)
	}
	if contentType != "" {
		sent.Header.Set("Content-Type", contentType)
	}
	sent.Header.Set("Accept", "application/json")
	sent.Header.Set("User-Agent", "trunkline")
	c.authorize(sent)
	return sent, nil
}

// malformed is an answer that is JSON and lacks what it must have.
func (c *client) malformed(doing, what string) *Error {
	return &Error{Provider: c.provider, Doing: doing, Class: Malformed, Status: http.StatusOK, Message: what}
}

// masked is text of the provider without secrets and control characters.
func (c *client) masked(text string, longest int) string {
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return clean(text, longest)
}

// complaint finds the code and the words in an error body of any of the four APIs.
func complaint(body []byte) (code, message string) {
	type saying struct {
		Code       any    `json:"code"`
		Message    string `json:"message"`
		Title      string `json:"title"`
		Detail     string `json:"detail"`
		Error      any    `json:"error"`
		VonageCode any    `json:"error-code"`
		VonageText string `json:"error-code-label"`
	}
	var whole struct {
		saying
		Errors json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(body, &whole) != nil {
		return "", ""
	}
	said := whole.saying
	var several []saying
	var status struct {
		Status string `json:"status"`
	}
	if json.Unmarshal(whole.Errors, &several) == nil && len(several) > 0 {
		said = several[0]
	} else if json.Unmarshal(whole.Errors, &status) == nil && status.Status != "" {
		said.Message = status.Status
	}
	return firstText(said.Code, said.VonageCode), firstText(said.Message, said.Detail, said.Title, said.VonageText, said.Error)
}

// firstText is the first of values that is a number or a string with something in it.
func firstText(values ...any) string {
	for _, v := range values {
		switch v := v.(type) {
		case string:
			if v != "" {
				return v
			}
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	return ""
}

// retryAfter reads how long a provider asks us to wait: Retry-After in seconds or as a date (RFC 9110 §10.2.3), else
// Telnyx's x-ratelimit-reset. 0: not told.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, text := range []string{h.Get("Retry-After"), h.Get("X-Ratelimit-Reset")} {
		if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
			return time.Duration(seconds) * time.Second
		}
		if date, err := http.ParseTime(text); err == nil {
			return max(0, date.Sub(now))
		}
	}
	return 0
}

// withoutURL takes the URL out of an error of net/http: it may carry a secret in its query.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// stayHere makes redirects errors: credentials go to the configured endpoint and nowhere else.
func stayHere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: connectLimit}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: connectLimit,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
	}
}

func lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// localLink is the path and query of a link to a next page; the host it names is not asked.
func localLink(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	local := url.URL{Path: u.Path, RawQuery: u.RawQuery}
	return local.String()
}
