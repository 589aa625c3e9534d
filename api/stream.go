package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"trunkline/trunks/account"
)

// How a stream of events behaves.
const (
	heartbeat  = 15 * time.Second // a comment goes out after this much silence, so that proxies keep the connection
	eventLimit = 10 * time.Second // a client that takes no event for this long is cut off
)

// events writes server-sent events. Its methods may be called from any goroutine.
type events struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
	failed  error // the first write that failed; nothing is written after it
}

func newEvents(w http.ResponseWriter) *events {
	return &events{w: w, control: http.NewResponseController(w)}
}

// send writes one event; id may be empty. It returns an error when the client is gone or too slow.
func (e *events) send(event, id string, data any) error {
	var text bytes.Buffer
	if id != "" {
		fmt.Fprintf(&text, "id: %s\n", id)
	}
	fmt.Fprintf(&text, "event: %s\ndata: ", event)
	if err := writeJSON(&text, data); err != nil { // one line: JSON has no raw line breaks
		return err
	}
	text.WriteByte('\n')
	return e.write(text.Bytes())
}

// beat writes a comment.
func (e *events) beat() error { return e.write([]byte(": still here\n\n")) }

func (e *events) write(text []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return e.failed
	}
	if !e.begun {
		e.begun = true
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no")
	}
	e.control.SetWriteDeadline(time.Now().Add(eventLimit))
	_, e.failed = e.w.Write(text)
	e.failed = errors.Join(e.failed, e.control.Flush())
	return e.failed
}

// started reports whether anything was written.
func (e *events) started() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.begun
}

// wantsEvents reports whether the client asked for a stream.
func wantsEvents(r *http.Request) bool {
	for kind := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		kind, _, _ = strings.Cut(kind, ";")
		if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
			return true
		}
	}
	return false
}

// stream adds an operation that answers whole, or step by step to whoever asks for text/event-stream.
func stream[I, O any](d *door, op huma.Operation, rule rules, handle func(context.Context, account.Caller, *I, func(account.Step)) (O, error)) {
	registry := d.api.OpenAPI().Components.Schemas
	op.Responses = map[string]*huma.Response{"200": {
		Description: "How it went: whole, or as a stream of events.",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: schemaOf[O](registry)},
			"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString,
				Description: "Events `step`, each with one entry of details, then one event `result` with the answer, or `error` with what went wrong."}},
		},
	}}
	register(d, op, rule, func(ctx context.Context, who account.Caller, in *I) (*huma.StreamResponse, error) {
		settled := func(ctx context.Context, report func(account.Step)) (O, error) {
			out, err := handle(ctx, who, in, report)
			if err == nil && rule.alter {
				d.settle(ctx)
			}
			return out, err
		}
		return &huma.StreamResponse{Body: func(exchange huma.Context) {
			r, w := humago.Unwrap(exchange)
			if wantsEvents(r) {
				streamSteps(d, w, r, func(report func(account.Step)) (O, error) { return settled(ctx, report) })
				return
			}
			out, err := settled(ctx, nil)
			if err != nil {
				d.fault(r, err).write(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			writeJSON(w, out)
		}}, nil
	})
}

// streamSteps answers with an event for each step and one for the result. A fault before the first step is answered as always.
func streamSteps[O any](d *door, w http.ResponseWriter, r *http.Request, handle func(func(account.Step)) (O, error)) {
	out := newEvents(w)
	ended, beating := make(chan struct{}), sync.WaitGroup{}
	beating.Go(func() { // ends with the answer
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if out.beat() != nil {
					return
				}
			case <-ended:
				return
			}
		}
	})
	answer, err := handle(func(s account.Step) { out.send("step", "", stepOf(s)) })
	close(ended)
	beating.Wait()
	switch {
	case err == nil:
		out.send("result", "", answer)
	case out.started():
		f := d.fault(r, err)
		body, _ := f.shape(familyOf(r.URL.Path), r.URL.Path)
		out.send("error", "", body)
	default:
		d.fault(r, err).write(w, r)
	}
}
