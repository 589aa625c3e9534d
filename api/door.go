package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"trunkline/config"
	"trunkline/trunks/account"
)

// rules of an operation, beside its schema.
type rules struct {
	open  bool          // answered without a key
	role  account.Role  // the least role that may do it; empty: member
	paid  bool          // costs money: Idempotency-Key is honoured
	bulk  bool          // its body may be large
	alter bool          // it changes what the edge goes by: the answer waits until that is in force
	limit time.Duration // how long an answer may take; 0: usualLimit
}

const (
	usualLimit   = 15 * time.Second
	bodyLimit    = 10 * time.Second // for a body to arrive
	maxInFlight  = 256              // requests of the API in progress, above which they are asked to come again
	rulesMember  = "rules"          // of huma.Operation.Metadata
	requestIDLen = 12
)

// door is the API's entrance: Huma makes handlers of operations and hands them here, and every request passes the same gates
// in the same order: in flight, key, rate, role, body, idempotency, time.
type door struct {
	server    *Server
	accounts  Accounts
	keys      *limiter // by API key
	strangers *limiter // by address, of requests without a valid key
	inFlight  atomic.Int64
	following atomic.Int64 // streams of events
	log       *slog.Logger
	api       huma.API
}

// Handle makes door an adapter of Huma's.
func (d *door) Handle(op *huma.Operation, handler func(huma.Context)) {
	rule, _ := op.Metadata[rulesMember].(rules)
	d.server.handle(op.Method+" "+op.Path, d.guard(op, rule, func(w http.ResponseWriter, r *http.Request) {
		handler(&exchange{humago.NewContext(op, r, w)})
	}))
}

// ServeHTTP completes huma.Adapter; requests come through the Server's mux.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.server.mux.ServeHTTP(w, r) }

// exchange is Huma's view of a request, with our statuses.
type exchange struct{ humaContext }

type humaContext = huma.Context // a name that its method Context leaves free

func (e *exchange) SetStatus(status int) { e.humaContext.SetStatus(statusOf(status)) }

// Unwrap lets Huma reach what it wraps.
func (e *exchange) Unwrap() huma.Context { return e.humaContext }

// contextKey is where a request carries who asks.
type contextKey struct{}

// callerOf returns who asks.
func callerOf(ctx context.Context) account.Caller {
	who, _ := ctx.Value(contextKey{}).(account.Caller)
	return who
}

// guard puts the gates before a handler.
func (d *door) guard(op *huma.Operation, rule rules, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID()
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		sent := &statusWriter{ResponseWriter: w}
		defer d.survive(sent, r, id)
		if d.inFlight.Add(1) > maxInFlight {
			d.inFlight.Add(-1)
			(&fault{Status: http.StatusServiceUnavailable, Code: "busy", Detail: "too many requests are in progress: try again", Retry: time.Second}).write(sent, r)
			return
		}
		defer d.inFlight.Add(-1)
		if f := d.pass(op, rule, sent, r, id, next); f != nil {
			f.write(sent, r)
		}
	})
}

// pass lets a request through the gates and answers it; a fault is the answer when one of them stays closed.
func (d *door) pass(op *huma.Operation, rule rules, w *statusWriter, r *http.Request, id string, next http.HandlerFunc) *fault {
	ctx := r.Context()
	limit := rule.limit
	if limit == 0 {
		limit = usualLimit
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(bodyLimit))
	if limit > 0 {
		control.SetWriteDeadline(time.Now().Add(limit + bodyLimit))
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if !rule.open {
		who, f := d.admit(ctx, w, r, rule)
		if f != nil {
			return f
		}
		who.Request = id
		ctx = context.WithValue(ctx, contextKey{}, who)
	}
	if rule.alter && strings.Contains(r.Header.Get("Prefer"), "respond-async") {
		ctx = context.WithValue(ctx, asyncKey{}, true)
		w.Header().Set("Preference-Applied", "respond-async")
	}
	body, f := d.body(w, r, op, rule)
	if f != nil {
		return f
	}
	control.SetReadDeadline(time.Time{}) // the server watches the connection for its end from here on
	r = r.WithContext(ctx)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if key := r.Header.Get("Idempotency-Key"); rule.paid && key != "" {
		return d.once(w, r, key, body, next)
	}
	next(w, r)
	return nil
}

// admit asks who it is and whether they may.
func (d *door) admit(ctx context.Context, w http.ResponseWriter, r *http.Request, rule rules) (who account.Caller, f *fault) {
	from := addressOf(r)
	who, err := d.accounts.Authenticate(ctx, bearer(r), from)
	if _, refused := errors.AsType[*account.Unauthorized](err); refused {
		if v := d.strangers.take(from, time.Now()); !v.ok {
			return who, tooMany(v.wait)
		}
	}
	if err != nil {
		return who, d.fault(r, err)
	}
	v := d.keys.take(who.Key, time.Now())
	v.show(w.Header())
	if !v.ok {
		return who, tooMany(v.wait)
	}
	if rule.role == account.Admin && who.Role != account.Admin && who.Role != account.Owner {
		return who, &fault{Status: http.StatusForbidden, Detail: "this needs the role " + string(rule.role) + "; the key's creator is " + string(who.Role)}
	}
	return who, nil
}

// bearer returns the token of the Authorization header, empty when there is none (RFC 6750 §2.1).
func bearer(r *http.Request) config.Secret {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return config.Secret(strings.TrimSpace(token))
}

func addressOf(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return from.Addr().Unmap().String()
}

// body reads what was sent, where the operation takes a body, and cleans it by its schema.
func (d *door) body(w http.ResponseWriter, r *http.Request, op *huma.Operation, rule rules) ([]byte, *fault) {
	limit := int64(usualBody)
	if rule.bulk {
		limit = bulkBody
	}
	raw, f := readBody(w, r, limit)
	if f != nil || op.RequestBody == nil {
		return raw, f
	}
	media := op.RequestBody.Content["application/json"]
	if media == nil || len(raw) == 0 {
		return raw, nil
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "" && !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return nil, &fault{Status: http.StatusUnsupportedMediaType, Detail: "send the body as Content-Type: application/json"}
	}
	r.Header.Set("Content-Type", "application/json")
	return cleanBody(raw, media.Schema, d.api.OpenAPI().Components.Schemas, familyOf(r.URL.Path) == connections)
}

// once answers a request that carries an Idempotency-Key: the first time by doing it, later with what was answered then.
func (d *door) once(w http.ResponseWriter, r *http.Request, key string, body []byte, next http.HandlerFunc) *fault {
	if len(key) > maxIdempotencyKey {
		return badField("Idempotency-Key", "has more than %d characters", maxIdempotencyKey)
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return badField("Idempotency-Key", "cannot go with a stream of events: ask for application/json")
	}
	who := callerOf(r.Context())
	replay, err := d.accounts.Begin(r.Context(), who, key, digestOf(r, body))
	if err != nil {
		return d.fault(r, err)
	}
	if replay != nil {
		w.Header().Set("Content-Type", contentTypeOf(r, replay.Status))
		w.Header().Set("Idempotency-Replayed", "true")
		w.WriteHeader(replay.Status)
		w.Write(replay.Body)
		return nil
	}
	kept := &keeper{statusWriter: statusWriter{ResponseWriter: w}}
	defer func() { // also when the handler panics: the key must not stay taken
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), usualLimit)
		defer cancel()
		if status := kept.status; status >= 200 && status < 500 && status != http.StatusTooManyRequests {
			err = d.accounts.Finish(ctx, who, key, status, kept.body.Bytes())
		} else { // nothing came of it: the client may try again
			err = d.accounts.Forget(ctx, who, key)
		}
		if err != nil {
			d.log.Warn("an answer could not be kept for its Idempotency-Key", "request", who.Request, "error", err)
		}
	}()
	next(kept, r)
	return nil
}

const maxIdempotencyKey = 255

// digestOf tells two requests under one key apart.
func digestOf(r *http.Request, body []byte) (digest [32]byte) {
	sum := sha256.New()
	io.WriteString(sum, r.Method+" "+r.URL.RequestURI()+"\n")
	sum.Write(body)
	sum.Sum(digest[:0])
	return digest
}

func contentTypeOf(r *http.Request, status int) string {
	if status >= 400 && familyOf(r.URL.Path) == credentials {
		return "application/problem+json"
	}
	return "application/json"
}

// keeper remembers an answer as it is written.
type keeper struct {
	statusWriter
	body bytes.Buffer
}

func (k *keeper) Write(b []byte) (int, error) {
	if k.status == 0 {
		k.status = http.StatusOK
	}
	k.body.Write(b)
	return k.ResponseWriter.Write(b)
}

// survive turns a panic of a handler into a 500 and a log entry.
func (d *door) survive(w *statusWriter, r *http.Request, id string) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	d.log.Error("a request met a bug", "request", id, "method", r.Method, "route", r.Pattern, "panic", cause, "stack", string(debug.Stack()))
	if w.status == 0 {
		internal().write(w, r)
	}
}

func internal() *fault {
	return &fault{Status: http.StatusInternalServerError, Detail: "something went wrong on our side; the log tells more under the request id"}
}

func requestID() string {
	var b [requestIDLen]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// register adds an operation: who asks is handed to its handler, and errors of the domain become faults.
func register[I, O any](d *door, op huma.Operation, rule rules, handle func(context.Context, account.Caller, *I) (*O, error)) {
	if op.Metadata == nil {
		op.Metadata = map[string]any{}
	}
	op.Metadata[rulesMember] = rule
	// The body is read before Huma gets it. Its own deadline of five seconds would stay on the connection, and end every request
	// that takes longer than that, and those after it.
	op.BodyReadTimeout = -1
	d.document(&op, rule)
	huma.Register(d.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, callerOf(ctx), in)
		if err != nil {
			return nil, d.faultIn(ctx, op.Path, err)
		}
		if rule.alter {
			d.settle(ctx)
		}
		return out, nil
	})
}

// settleLimit is how long an answer waits for the edge. The change is committed: it comes into force in any case.
const settleLimit = 5 * time.Second

// settle waits until what was changed is in force, so that the next call goes by it; not for a client that has no time
// (RFC 7240 §4.1).
func (d *door) settle(ctx context.Context) {
	if d.server.options.Settle == nil || ctx.Value(asyncKey{}) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := d.server.options.Settle(ctx); err != nil {
		d.log.Warn("a change is committed and not in force yet", "request", callerOf(ctx).Request, "error", err)
	}
}

// asyncKey marks a request with Prefer: respond-async.
type asyncKey struct{}

// writeJSON answers with a value where Huma does not.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
