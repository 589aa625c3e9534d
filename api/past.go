package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"trunkline/trunks/account"
)

// eventBody is something that happened.
type eventBody struct {
	ID      int64           `json:"id"`
	Type    string          `json:"type"`
	Subject string          `json:"subject"`
	At      stamp           `json:"at"`
	Data    json.RawMessage `json:"data"`
}

// eventData stands for Data in the OpenAPI document.
func (eventBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Properties["data"] = &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
	return s
}

func eventOf(e account.Event) eventBody {
	b := eventBody{ID: e.ID, Type: e.Type, Subject: e.Subject, At: stamp(e.At), Data: e.Data}
	if len(b.Data) == 0 {
		b.Data = json.RawMessage("{}")
	}
	return b
}

// auditBody says who changed what.
type auditBody struct {
	ID      int64   `json:"id"`
	At      stamp   `json:"at"`
	User    *string `json:"user" nullable:"true"`
	KeyID   *string `json:"key_id" nullable:"true" doc:"Null: the command line or the daemon itself."`
	Address *string `json:"address" nullable:"true"`
	Request *string `json:"request_id" nullable:"true"`
	Action  string  `json:"action"`
	Subject string  `json:"subject"`
	Detail  *string `json:"detail" nullable:"true"`
}

func auditOf(e account.AuditEntry) auditBody {
	return auditBody{ID: e.ID, At: stamp(e.At), User: textOrNil(e.User), KeyID: textOrNil(e.Key), Address: textOrNil(e.Address), Request: textOrNil(e.Request),
		Action: e.Action, Subject: e.Subject, Detail: textOrNil(e.Detail)}
}

type eventsInput struct {
	After       int64    `query:"after" minimum:"0" doc:"Only events with a larger id."`
	Types       []string `query:"types" maxItems:"32" doc:"Only events of these types, separated by commas."`
	Limit       int      `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Of one answer; a stream goes on."`
	LastEventID string   `header:"Last-Event-ID" maxLength:"20" doc:"Where a stream goes on: the id of the last event seen, in place of after."`
}

func (d *door) addPast() {
	op := huma.Operation{OperationID: "list-events", Method: http.MethodGet, Path: "/v1/events", Tags: []string{"Events"},
		Summary: "Read what happened, oldest first, or follow it",
		Description: "With Accept: text/event-stream the connection stays open and each event arrives as it happens. A client that was cut off\n" +
			"goes on after the id it sends in Last-Event-ID."}
	op.Responses = map[string]*huma.Response{"200": {Description: "Events.", Content: map[string]*huma.MediaType{
		"application/json":  {Schema: schemaOf[[]eventBody](d.api.OpenAPI().Components.Schemas)},
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString, Description: "One event of the stream for each event, named by its type, with its id."}},
	}}}
	register(d, op, rules{limit: -1}, d.readEvents)
	register(d, huma.Operation{OperationID: "list-audit-log", Method: http.MethodGet, Path: "/v1/audit-log", Tags: []string{"Audit log"},
		Summary: "Read who changed what, newest first"}, rules{role: account.Admin},
		func(ctx context.Context, who account.Caller, in *struct {
			Before int64 `query:"before" minimum:"1" doc:"Only entries with a smaller id."`
			Limit  int   `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		}) (*answer[[]auditBody], error) {
			entries, err := d.accounts.Audit(ctx, who, account.AuditFilter{Before: in.Before, Limit: in.Limit})
			return &answer[[]auditBody]{mapped(entries, auditOf)}, err
		})
}

// readEvents answers with a list, or follows.
func (d *door) readEvents(ctx context.Context, who account.Caller, in *eventsInput) (*huma.StreamResponse, error) {
	filter := account.EventFilter{After: in.After, Types: in.Types, Limit: in.Limit}
	if last := strings.TrimSpace(in.LastEventID); last != "" {
		id, err := strconv.ParseInt(last, 10, 64)
		if err != nil || id < 0 {
			return nil, badField("Last-Event-ID", "must be the id of an event")
		}
		filter.After = id
	}
	return &huma.StreamResponse{Body: func(exchange huma.Context) {
		r, w := humago.Unwrap(exchange)
		if wantsEvents(r) {
			d.follow(ctx, w, r, who, filter)
			return
		}
		limited, cancel := context.WithTimeout(ctx, usualLimit)
		defer cancel()
		found, err := d.accounts.Events(limited, who, filter)
		if err != nil {
			d.fault(r, err).write(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		writeJSON(w, mapped(found, eventOf))
	}}, nil
}

// follow sends events as they happen until the client leaves, its key is revoked, or the server shuts down. What one answer may hold is
// read at a time, so a slow client costs no memory: it is behind, and reads on from where it is.
func (d *door) follow(ctx context.Context, w http.ResponseWriter, r *http.Request, who account.Caller, filter account.EventFilter) {
	if d.following.Add(1) > maxFollowing {
		d.following.Add(-1)
		(&fault{Status: http.StatusServiceUnavailable, Code: "busy", Detail: "too many streams are open: close one, or read without following", Retry: unavailableRetry}).write(w, r)
		return
	}
	defer d.following.Add(-1)
	filter.Limit = 1000
	out := newEvents(w)
	if out.beat() != nil {
		return
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		changed := d.accounts.EventsChanged() // before reading, so that nothing is missed in between
		limited, cancel := context.WithTimeout(ctx, usualLimit)
		found, err := d.accounts.Events(limited, who, filter)
		cancel()
		if err != nil && ctx.Err() == nil {
			body, _ := d.fault(r, err).shape(connections, r.URL.Path)
			out.send("error", "", body)
			return
		}
		for _, e := range found {
			if out.send(e.Type, strconv.FormatInt(e.ID, 10), eventOf(e)) != nil {
				return
			}
			filter.After = e.ID
		}
		if len(found) == filter.Limit {
			continue
		}
		select {
		case <-changed:
		case <-tick.C:
			if _, err := d.accounts.Authenticate(ctx, bearer(r), addressOf(r)); err != nil || out.beat() != nil {
				return
			}
		case <-ctx.Done():
			return
		case <-d.server.ending:
			return
		}
	}
}

// maxFollowing is how many streams of events may be open.
const maxFollowing = 100
