package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/trunks/account"
)

// strangersLimit is how many requests per second without a valid key one address may make.
var strangersLimit = Limit{PerSecond: 10, Burst: 50}

// openDoor adds the API.
func (s *Server) openDoor() error {
	d := &door{server: s, accounts: s.options.Accounts, keys: newLimiter(s.options.Limit), strangers: newLimiter(strangersLimit), log: s.options.Log}
	d.api = newAPI(d)
	d.addHealth()
	d.addKeys()
	d.addConnections()
	d.addNumbers()
	d.addCredentials()
	d.addAgents()
	d.addOperations()
	d.addPast()
	if s.options.Traffic != nil {
		d.addTraffic(s.options.Traffic)
	}
	if s.options.Webhooks != nil {
		d.addWebhooks(s.options.Webhooks)
	}
	s.handle("/v1/", http.HandlerFunc(d.nowhere))
	s.handle("/api/v1/", http.HandlerFunc(d.nowhere))
	return d.addDocument()
}

// healthBody says that the API answers (M-09).
type healthBody struct {
	OK bool `json:"ok"`
}

func (d *door) addHealth() {
	register(d, huma.Operation{OperationID: "health", Method: http.MethodGet, Path: "/v1/healthz", Tags: []string{"Health"},
		Summary: "Say that the API answers"}, rules{open: true},
		func(context.Context, account.Caller, *struct{}) (*answer[healthBody], error) {
			return &answer[healthBody]{healthBody{true}}, nil
		})
}

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// nowhere answers requests for what is not there, in the shape of the family.
func (d *door) nowhere(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range methods {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := d.server.mux.Handler(other); strings.HasPrefix(pattern, method+" ") {
			allowed = append(allowed, method)
		}
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
		(&fault{Status: http.StatusNotFound, Code: "no_such_path", Detail: "there is nothing at this path: /openapi.json lists what there is"}).write(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	(&fault{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "this path takes " + strings.Join(allowed, ", ")}).write(w, r)
}
