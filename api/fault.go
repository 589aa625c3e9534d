package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// family is one of the models whose clients the API serves: paths, casing, envelopes and the shape of errors differ.
type family uint8

const (
	connections family = iota // /v1: bare objects, snake_case; {"detail": "…"} or {"<field>": ["…"]}
	credentials               // /api/v1: bare objects, camelCase, {items, totalCount, skip, take}; problem details
)

// familyOf tells a family by the path; whatever has none is answered as /v1.
func familyOf(path string) family {
	if strings.HasPrefix(path, "/api/v1/") {
		return credentials
	}
	return connections
}

// fault is an error as a client hears it. It never carries a value that the client sent: that may be a secret.
type fault struct {
	Status int
	Code   string        // a stable word for programs; empty: made from the status
	Detail string        // what is wrong and what to do about it, for people
	Fields []fieldFault  // what is wrong with each field; the detail is then of no use in /v1
	Retry  time.Duration // above 0: Retry-After, in whole seconds
}

// fieldFault is what is wrong with one field: "credentials.apiKey", "numbers[2]".
type fieldFault struct{ Field, Message string }

func (f *fault) Error() string {
	if f.Detail == "" && len(f.Fields) > 0 {
		return f.Fields[0].Field + ": " + f.Fields[0].Message
	}
	return f.Detail
}

// GetStatus makes a fault an answer of Huma's.
func (f *fault) GetStatus() int { return f.Status }

// GetHeaders are those that go with the answer.
func (f *fault) GetHeaders() http.Header {
	h := http.Header{}
	if f.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((f.Retry+time.Second-1)/time.Second)))
	}
	return h
}

// code is the stable word of f.
func (f *fault) code() string {
	if f.Code != "" {
		return f.Code
	}
	return strings.ReplaceAll(strings.ToLower(http.StatusText(f.Status)), " ", "_")
}

func badField(field, format string, args ...any) *fault {
	return &fault{Status: http.StatusBadRequest, Code: "invalid", Fields: []fieldFault{{field, fmt.Sprintf(format, args...)}}}
}

// detailBody is an error of /v1 that belongs to no field.
type detailBody struct {
	Detail string `json:"detail" doc:"What is wrong and what to do about it."`
	Code   string `json:"code" doc:"A stable word for programs."`
}

// problemBody is an error of /api/v1 (RFC 9457).
type problemBody struct {
	Type     string         `json:"type" doc:"urn:trunkline:error:<code>"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail" doc:"What is wrong and what to do about it."`
	Instance string         `json:"instance" doc:"The path asked for."`
	Code     string         `json:"code" doc:"A stable word for programs."`
	Errors   []problemField `json:"errors,omitempty" nullable:"false"`
}

type problemField struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// shape returns f as the family writes errors, and the content type of that.
func (f *fault) shape(fam family, path string) (body any, contentType string) {
	if fam == credentials {
		p := problemBody{Type: "urn:trunkline:error:" + f.code(), Title: http.StatusText(f.Status), Status: f.Status, Detail: f.Detail, Instance: path, Code: f.code()}
		for _, field := range f.Fields {
			p.Errors = append(p.Errors, problemField(field))
			if f.Detail == "" {
				p.Detail = strings.TrimPrefix(p.Detail+"; "+field.Field+": "+field.Message, "; ")
			}
		}
		return p, "application/problem+json"
	}
	if len(f.Fields) == 0 {
		return detailBody{Detail: f.Detail, Code: f.code()}, "application/json"
	}
	fields := map[string][]string{}
	for _, field := range f.Fields {
		fields[field.Field] = append(fields[field.Field], field.Message)
	}
	return fields, "application/json"
}

// write answers with f, where Huma does not.
func (f *fault) write(w http.ResponseWriter, r *http.Request) {
	body, contentType := f.shape(familyOf(r.URL.Path), r.URL.Path)
	maps.Copy(w.Header(), f.GetHeaders())
	if f.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="trunkline"`)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(f.Status)
	json.NewEncoder(w).Encode(body)
}

// shapeFaults is the transformer that gives every error the shape of its family. Huma's own errors name the value that
// was refused, which may be a password: only place and reason go on.
func shapeFaults(ctx huma.Context, _ string, v any) (any, error) {
	path := ctx.URL().Path
	var f *fault
	switch v := v.(type) {
	case *fault:
		f = v
	case *huma.ErrorModel:
		f = faultOf(v)
	default:
		return v, nil
	}
	body, contentType := f.shape(familyOf(path), path)
	ctx.SetHeader("Content-Type", contentType)
	return body, nil
}

// faultOf translates an error of Huma's validation.
func faultOf(e *huma.ErrorModel) *fault {
	f := &fault{Status: statusOf(e.Status), Detail: e.Detail}
	if e.Status >= http.StatusInternalServerError {
		f.Detail = "something went wrong on our side; the log tells more under the request id"
		return f
	}
	for _, d := range e.Errors {
		if d != nil {
			f.Fields = append(f.Fields, fieldOf(d.Location, d.Message))
		}
	}
	if len(f.Fields) > 0 {
		f.Code, f.Detail = "invalid", ""
	}
	return f
}

// statusOf is our status for one of Huma's: a request that breaks a rule of its schema is a bad request in both families.
func statusOf(status int) int {
	if status == http.StatusUnprocessableEntity {
		return http.StatusBadRequest
	}
	return status
}

var missingProperty = regexp.MustCompile(`^expected required property (\S+) to be present$`)

// fieldOf makes "body.credentials.apiKey", "expected string" what a person can act on.
func fieldOf(location, message string) fieldFault {
	field := location
	for _, place := range []string{"body", "path", "query", "header"} {
		if rest, ok := strings.CutPrefix(location, place); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			field = strings.TrimPrefix(rest, ".")
			break
		}
	}
	if m := missingProperty.FindStringSubmatch(message); m != nil {
		return fieldFault{strings.TrimPrefix(field+"."+m[1], "."), "is required"}
	}
	if field == "" {
		field = "body"
	}
	if rest, ok := strings.CutPrefix(message, "required "); ok {
		message = "is required: " + rest
	}
	if rest, ok := strings.CutPrefix(message, "expected "); ok {
		message = mustBe(rest)
	}
	return fieldFault{field, message}
}

// mustBe says what was expected of a value.
func mustBe(expected string) string {
	for _, form := range []struct{ huma, ours string }{
		{"number ", "must be a number "},
		{"length ", "must have a length "},
		{"array length ", "must have a number of entries "},
		{"array items to be unique", "must not have the same entry twice"},
		{"value to be ", "must be "},
		{"string to be RFC 4122 uuid", "must be a UUID"},
		{"string to be ", "must be "},
		{"string to match pattern ", "must match the pattern "},
	} {
		if rest, ok := strings.CutPrefix(expected, form.huma); ok {
			if form.ours == "must be a UUID" {
				rest = ""
			}
			return form.ours + rest
		}
	}
	return "must be " + article(expected)
}

func article(noun string) string {
	switch noun {
	case "integer", "array", "object":
		return "an " + noun
	case "string", "boolean", "number":
		return "a " + noun
	}
	return noun
}
