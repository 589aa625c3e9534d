package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// stamp is a time of /v1: ISO 8601 in UTC with milliseconds (M-06).
type stamp time.Time

// MarshalJSON writes 2026-04-20T18:24:10.113Z.
func (s stamp) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(s).UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// Schema tells Huma.
func (stamp) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-04-20T18:24:10.113Z"}}
}

// stampOrNil is a time that may not have come.
func stampOrNil(t *time.Time) *stamp {
	if t == nil || t.IsZero() {
		return nil
	}
	return new(stamp(*t))
}

// second is a time of /api/v1: ISO 8601 in UTC without a fraction (DA-25).
type second time.Time

// MarshalJSON writes 2023-11-07T05:31:56Z.
func (s second) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(s).UTC().Format(`"2006-01-02T15:04:05Z"`)), nil
}

// Schema tells Huma.
func (second) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2023-11-07T05:31:56Z"}}
}

// optional is a member that may be absent, null or a value, each of which means something else in a PATCH.
type optional[T any] struct {
	Set   bool
	Value *T // nil: null
}

// UnmarshalJSON notes that the member is there.
func (o *optional[T]) UnmarshalJSON(b []byte) error {
	o.Set = true
	if bytes.Equal(bytes.TrimSpace(b), []byte("null")) {
		return nil
	}
	o.Value = new(T)
	return json.Unmarshal(b, o.Value)
}

// Schema is that of the value, or null.
func (optional[T]) Schema(r huma.Registry) *huma.Schema {
	s := *huma.SchemaFromType(r, reflect.TypeFor[T]())
	s.Nullable = true
	return &s
}

// Page bounds a list that is newest first: what a client that sends neither parameter gets is the whole list.
type Page struct {
	Limit  int   `query:"limit" minimum:"1" maximum:"1000" doc:"At most so many; all without it."`
	Before int64 `query:"before" minimum:"1" doc:"Only those with a smaller id than this."`
}

// pageOf cuts the page out of a list, newest first, by id.
func pageOf[T any](p Page, all []T, id func(T) int64) []T {
	cut := []T{}
	for _, one := range all {
		if p.Before > 0 && id(one) >= p.Before {
			continue
		}
		if cut = append(cut, one); p.Limit > 0 && len(cut) == p.Limit {
			break
		}
	}
	return cut
}

// mapped translates a list; never nil, since null is no list to a client.
func mapped[A, B any](list []A, f func(A) B) []B {
	out := make([]B, len(list))
	for i := range list {
		out[i] = f(list[i])
	}
	return out
}

// body is an answer that is nothing but its body.
type answer[T any] struct {
	Body T
}

// tagged is an answer with the version of what it shows.
type tagged[T any] struct {
	ETag string `header:"ETag" doc:"Version of the object, for If-Match."`
	Body T
}

// nothing is the answer 204.
type nothing struct{}
