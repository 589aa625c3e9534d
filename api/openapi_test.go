package api

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// quiet is an edge without traffic, for documents.
type quiet struct{ Traffic }

// deaf are no webhooks, for documents.
type deaf struct{ asksWebhooks }

type asksWebhooks = Webhooks // a name that its method Webhooks leaves free

// TestDocumentIsTheOneCheckedIn shows each change of the API in a diff.
func TestDocumentIsTheOneCheckedIn(t *testing.T) {
	_, url := serve(t, Options{Accounts: &books{}, Traffic: quiet{}, Webhooks: deaf{}})
	response, body := ask(t, url, "GET", "/openapi.json", "", "")
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/openapi+json" {
		t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	body += "\n"
	if *update {
		if err := os.WriteFile("openapi.json", []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if body != string(want) {
		t.Error("api/openapi.json is not what is served: go test ./api -run Document -update, and read the diff")
	}
}

// TestDocumentIsComplete: every operation has an id, a sentence, answers and, where it needs one, a key; secrets are marked.
func TestDocumentIsComplete(t *testing.T) {
	_, url := serve(t, Options{Accounts: &books{}, Traffic: quiet{}, Webhooks: deaf{}})
	_, body := ask(t, url, "GET", "/openapi.json", "", "")
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string
			Security    []any
			Responses   map[string]any
		}
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					WriteOnly bool `json:"writeOnly"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1.") {
		t.Errorf("OpenAPI %s", document.OpenAPI)
	}
	ids := map[string]string{}
	for path, operations := range document.Paths {
		for method, op := range operations {
			name := method + " " + path
			if other, twice := ids[op.OperationID]; twice || op.OperationID == "" {
				t.Errorf("%s: operation id %q, as %s", name, op.OperationID, other)
			}
			ids[op.OperationID] = name
			if op.Summary == "" || len(op.Responses) < 3 {
				t.Errorf("%s has no summary or too few answers", name)
			}
			if (len(op.Security) == 0) != (path == "/v1/healthz") {
				t.Errorf("%s: security %v", name, op.Security)
			}
		}
	}
	for name, schema := range document.Components.Schemas {
		for property, p := range schema.Properties {
			if (property == "credentials" || property == "authPassword" && name == "SettingsBody") && !p.WriteOnly {
				t.Errorf("%s.%s is not marked writeOnly", name, property)
			}
		}
	}
}
