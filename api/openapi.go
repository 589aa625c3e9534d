package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// apiVersion is that of the document: it changes with the API, and not with each build of the program.
const apiVersion = "1.0.0"

// newAPI makes the Huma API behind d: JSON only, no document pages that load scripts from elsewhere, no $schema member in
// answers, and errors in the shape of their family.
func newAPI(d *door) huma.API {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Trunkline", Version: apiVersion,
				Description: "The admin API of a Trunkline edge. `/v1` and `/api/v1` are two doors to one model; each keeps the shapes its clients know."},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer", BearerFormat: "sk_live_…",
					Description: "An API key. It belongs to one organization, and may what the member may who made it."}},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{shapeFaults},
	}
	c.AllowAdditionalPropertiesByDefault = true // unknown members are ignored (M-07): cleanBody takes them out
	registry.Map()["Error"] = &huma.Schema{Description: "The two shapes of an error of /v1.", OneOf: []*huma.Schema{
		schemaOf[detailBody](registry),
		{Type: huma.TypeObject, Description: "Messages by field.", AdditionalProperties: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}},
	}}
	return huma.NewAPI(c, d)
}

// schemaOf is the schema of a type of ours, as a reference where it has a name.
func schemaOf[T any](registry huma.Registry) *huma.Schema {
	t := reflect.TypeFor[T]()
	return registry.Schema(t, true, t.Name())
}

// document fills in what every operation has: who may ask, and how errors look.
func (d *door) document(op *huma.Operation, rule rules) {
	registry := d.api.OpenAPI().Components.Schemas
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	statuses := []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}
	if !rule.open {
		op.Security = []map[string][]string{{"key": {}}}
		statuses = append(statuses, http.StatusUnauthorized, http.StatusForbidden)
	}
	if op.Method != http.MethodGet || bytes.ContainsAny([]byte(op.Path), "{") {
		statuses = append(statuses, http.StatusBadRequest)
	}
	if bytes.ContainsAny([]byte(op.Path), "{") {
		statuses = append(statuses, http.StatusNotFound)
	}
	if op.Method == http.MethodPut || op.Method == http.MethodPatch || op.Method == http.MethodDelete {
		statuses = append(statuses, http.StatusConflict, http.StatusPreconditionFailed)
	}
	if rule.paid {
		statuses = append(statuses, http.StatusConflict)
		op.Parameters = append(op.Parameters, &huma.Param{Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(maxIdempotencyKey)},
			Description: "Sent again under the same key within a day, the request is not done again: the first answer comes back."})
	}
	if rule.limit == providerLimit {
		statuses = append(statuses, http.StatusBadGateway)
	}
	content := map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Error"}}}
	if familyOf(op.Path) == credentials {
		content = map[string]*huma.MediaType{"application/problem+json": {Schema: schemaOf[problemBody](registry)}}
	}
	for _, status := range statuses {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: content}
	}
}

// Document returns the OpenAPI 3.1 document of the API, indented, with its members in a fixed order.
func (d *door) Document() ([]byte, error) {
	schemas := d.api.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel") // Huma's own, which no answer has
	delete(schemas, "ErrorDetail")
	compact, err := json.Marshal(d.api.OpenAPI())
	if err != nil {
		return nil, err
	}
	var members any // maps are written in the order of their keys
	if err := json.Unmarshal(compact, &members); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(members); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// addDocument serves the document.
func (d *door) addDocument() error {
	text, err := d.Document()
	if err != nil {
		return err
	}
	d.server.handle("GET /openapi.json", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Write(text)
	}))
	return nil
}
