package contract

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"trunkline/internal/peers"
)

var (
	schemaRequests = flag.Int("schema.requests", 4000, "requests that TestSchema makes; 50000 for the long form")
	schemaSeed     = flag.Uint64("schema.seed", 0, "seed of TestSchema; 0: by the clock")
)

// TestSchema walks the OpenAPI document with valid and invalid values, many at once: no answer is a 5xx or other than JSON in the
// shape of its family, none comes late, none holds what was sent as a secret, and nothing is left behind.
func TestSchema(t *testing.T) {
	w := newWorld(t, worldOptions{config: "trace: {memory: 1MiB}"})
	o := w.org("acme", "owner")
	seed := *schemaSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d requests, -schema.seed=%d", *schemaRequests, seed)
	o.imported(t, "acme", 4)
	o.agent(t, "app")
	o.ask(t, "POST", credentialsPath, map[string]any{"server": "127.0.0.77"}).want(t, 201)
	own := o.ask(t, "GET", "/v1/developer/api-keys", nil).want(t, 200).str("0.id")
	document := (&org{w: w}).ask(t, "GET", "/openapi.json", nil)
	walker := &walker{t: t, o: o, document: document, known: map[string][]string{}, own: own, counts: map[int]int{}}
	walker.operations = walker.read()
	before := w.edge.Metrics()
	var workers sync.WaitGroup
	const many = 8
	for i := range many {
		workers.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for range *schemaRequests / many {
				walker.step(r)
			}
		})
	}
	workers.Wait()
	t.Logf("answers by status: %v, slowest %s", walker.counts, walker.slowest)
	for _, status := range []int{200, 201, 204, 400, 404} {
		if walker.counts[status] == 0 {
			t.Errorf("no answer is %d: the walk does not reach far", status)
		}
	}
	client.CloseIdleConnections()
	peers.Eventually(t, time.Minute, "goroutines are as many as before", func() bool {
		return w.edge.Metrics().Sum("go_goroutines") <= before.Sum("go_goroutines")+20
	})
	o.ask(t, "GET", connectionsPath, nil).want(t, 200)
}

// walker makes requests of the document.
type walker struct {
	t          *testing.T
	o          *org
	document   reply
	operations []operation
	own        string // id of the key in use, which must not be revoked

	mu      sync.Mutex
	known   map[string][]string // ids by collection, as they were seen in answers
	counts  map[int]int
	slowest time.Duration
}

// operation is one of the document.
type operation struct {
	method, path string
	parameters   []any
	body         any // schema; nil: none
	slow         bool
}

func (w *walker) read() (all []operation) {
	paths := w.document.at("paths").(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for method, described := range paths[path].(map[string]any) {
			parameters, _ := at(described, "parameters").([]any)
			content, _ := at(described, "requestBody.content").(map[string]any)
			op := operation{method: strings.ToUpper(method), path: path, parameters: parameters, body: at(content["application/json"], "schema")}
			op.slow = strings.HasSuffix(path, "/test") || strings.Contains(path, "verify")
			all = append(all, op)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// secretOf marks what is sent as a secret.
const secretOf = "s3cretMarker"

// step makes one request.
func (w *walker) step(r *rand.Rand) {
	op := w.operations[r.IntN(len(w.operations))]
	if op.slow && r.IntN(20) > 0 { // they ring
		return
	}
	path := op.path
	query := url.Values{}
	headers := map[string]string{}
	for _, p := range op.parameters {
		name, in := at(p, "name").(string), at(p, "in").(string)
		required, _ := at(p, "required").(bool)
		switch {
		case in == "path":
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(w.id(r, op.path)))
		case !required && r.IntN(3) > 0:
		case in == "query":
			query.Set(name, fmt.Sprint(w.value(r, at(p, "schema"), name, 0)))
		case in == "header":
			headers[name] = pick(r, "", "*", `"1"`, `W/"1"`, "key", strings.Repeat("k", 300), "1", "\u00e9")
		}
	}
	if r.IntN(20) == 0 {
		query.Set(pick(r, "unknown", "limit", "force", "$filter", ""), pick(r, "", "1", "-1", "true", "%", "\x00"))
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var body string
	if op.body != nil {
		body = w.body(r, op.body)
	} else if r.IntN(10) == 0 {
		body = "{}"
	}
	if r.IntN(30) == 0 {
		headers["Content-Type"] = pick(r, "", "text/plain", "application/xml", "application/json; charset=utf-8", "multipart/form-data; boundary=x", "application/problem+json;")
	}
	if r.IntN(30) == 0 {
		headers["Accept"] = pick(r, "", "text/html", "*/*", "application/json;q=0", "image/png, application/xml;q=0.9")
	}
	w.send(op.method, path, body, headers)
}

func (w *walker) send(method, path, body string, headers map[string]string) {
	request, err := http.NewRequest(method, "http://"+w.o.w.edge.HTTP.String()+path, strings.NewReader(body))
	if err != nil {
		return // no URL
	}
	request.Header.Set("Authorization", "Bearer "+w.o.key)
	request.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	started := time.Now()
	response, err := client.Do(request)
	if err != nil {
		w.t.Errorf("%s %s %.200s: %v", method, path, body, err)
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
	}
	took := time.Since(started)
	var value any
	switch {
	case response.StatusCode >= 500:
		w.t.Errorf("%s %s %.300s\n%d %s", method, path, body, response.StatusCode, text)
	case strings.Contains(string(text), secretOf):
		w.t.Errorf("%s %s %.300s\nthe secret comes back: %s", method, path, body, text)
	case response.StatusCode == http.StatusMovedPermanently || response.StatusCode == http.StatusTemporaryRedirect: // a path that was cleaned
	case response.StatusCode == http.StatusNoContent:
		if len(text) > 0 {
			w.t.Errorf("%s %s: 204 with %s", method, path, text)
		}
	case json.Unmarshal(text, &value) != nil:
		w.t.Errorf("%s %s %.300s\n%d %s %.300s", method, path, body, response.StatusCode, response.Header.Get("Content-Type"), text)
	case response.StatusCode >= 400 && strings.HasPrefix(path, "/api/v1/"):
		if response.Header.Get("Content-Type") != "application/problem+json" || at(value, "title") == nil {
			w.t.Errorf("%s %s: %d %s", method, path, response.StatusCode, text)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[response.StatusCode]++
	w.slowest = max(w.slowest, took)
	if response.StatusCode < 300 {
		w.learn(path, value)
	}
}

// learn keeps ids of an answer for later requests.
func (w *walker) learn(path string, value any) {
	collection := collectionOf(path)
	ids := []any{at(value, "id")}
	list, ok := value.([]any)
	if !ok {
		list, _ = at(value, "items").([]any)
	}
	for _, one := range list[:min(len(list), 20)] {
		ids = append(ids, at(one, "id"))
	}
	for _, id := range ids {
		text := ""
		switch id := id.(type) {
		case string:
			text = id
		case float64:
			text = strconv.FormatInt(int64(id), 10)
		}
		if text != "" && text != w.own && len(w.known[collection]) < 1000 && !slices.Contains(w.known[collection], text) {
			w.known[collection] = append(w.known[collection], text)
		}
	}
}

// collectionOf is the part of a path before the id.
func collectionOf(path string) string {
	path, _, _ = strings.Cut(path, "?")
	for _, c := range []string{connectionsPath, numbersPath, credentialsPath, "/v1/agents", "/v1/developer/api-keys", "/v1/operations", "/v1/calls", "/v1/webhooks"} {
		if strings.HasPrefix(path, c) {
			if strings.HasSuffix(path, "/import-numbers") {
				return numbersPath
			}
			return c
		}
	}
	return path
}

// id is one that was seen, or something else.
func (w *walker) id(r *rand.Rand, path string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.known[collectionOf(path)]; len(known) > 0 && r.IntN(4) > 0 {
		return known[r.IntN(len(known))]
	}
	return pick(r, "1", "0", "-1", "999999", "9223372036854775807", "99999999999999999999", "abc", "1.5", "b9a2c0de-0000-4000-8000-000000000000", "%", "a b", "é", strings.Repeat("9", 500), "'; DROP TABLE numbers; --", "null")
}

func pick(r *rand.Rand, values ...string) string { return values[r.IntN(len(values))] }

// body is one of the schema, or one that is broken.
func (w *walker) body(r *rand.Rand, schema any) string {
	if r.IntN(25) == 0 {
		return pick(r, "", "{", "[]", "null", "7", `"text"`, "{}{}", "\xff\xfe", `{"a":1e999}`, strings.Repeat(`{"a":`, 200), `{"name":"a","name":"b"}`, strings.Repeat(" ", 70_000), "\x00")
	}
	text, err := json.Marshal(w.value(r, schema, "", 0))
	if err != nil {
		return "{}"
	}
	return string(text)
}

// value is one that fits the schema, mostly.
func (w *walker) value(r *rand.Rand, schema any, name string, depth int) any {
	if ref, ok := at(schema, "$ref").(string); ok {
		schema = at(w.document.value, strings.ReplaceAll(strings.TrimPrefix(ref, "#/"), "/", "."))
	}
	if r.IntN(12) == 0 || depth > 5 {
		return w.wrong(r)
	}
	kind, _ := at(schema, "type").(string)
	if kinds, ok := at(schema, "type").([]any); ok {
		kind, _ = kinds[r.IntN(len(kinds))].(string)
	}
	if choices, ok := at(schema, "enum").([]any); ok {
		return choices[r.IntN(len(choices))]
	}
	switch kind {
	case "null":
		return nil
	case "boolean":
		return r.IntN(2) == 0
	case "integer":
		return w.integer(r, name)
	case "number":
		return []any{0.5, 1, 2.5, 1000, 0, -1, 1e9}[r.IntN(7)]
	case "string":
		return w.text(r, schema, name)
	case "array":
		list := []any{}
		for range r.IntN(4) {
			list = append(list, w.value(r, at(schema, "items"), name, depth+1))
		}
		return list
	}
	object := map[string]any{}
	members, _ := at(schema, "properties").(map[string]any)
	required, _ := at(schema, "required").([]any)
	for _, member := range slices.Sorted(maps.Keys(members)) {
		if slices.Contains(required, any(member)) && r.IntN(20) > 0 || r.IntN(2) == 0 {
			object[member] = w.value(r, members[member], member, depth+1)
		}
	}
	if name == "credentials" {
		object = map[string]any{pick(r, "apiKey", "username", "projectId", "x"): secretOf + strconv.Itoa(r.IntN(100)), pick(r, "apiSecret", "password", "apiToken", "y"): secretOf + "b"}
	}
	if r.IntN(15) == 0 {
		object[pick(r, "unknown", "password", "", "ID", "__proto__")] = pick(r, secretOf, "x")
	}
	return object
}

func (w *walker) integer(r *rand.Rand, name string) any {
	if strings.HasSuffix(name, "_id") || name == "numbers" {
		collection := map[string]string{"inbound_agent_id": "/v1/agents", "outbound_agent_id": "/v1/agents", "voip_connection_id": connectionsPath}[name]
		if n, err := strconv.ParseInt(w.id(r, or(collection, numbersPath)), 10, 64); err == nil {
			return n
		}
	}
	return []any{0, 1, 2, 20, 100, -1, 1000, 65535, 65536, int64(1) << 40}[r.IntN(10)]
}

// text is one that somebody might send as name. What could be called or resolved stays on this host.
func (w *walker) text(r *rand.Rand, schema any, name string) string {
	most := 100
	if n, ok := at(schema, "maxLength").(float64); ok {
		most = min(int(n), 2000)
	}
	switch name {
	case "authPassword":
		return secretOf
	case "server", "domain", "source_addresses":
		return pick(r, "127.0.0.77", "127.0.0.77:5070", "[::1]:5070", "nowhere.invalid", "", "a b", "127.0.0.77:0", "sip:127.0.0.77", strings.Repeat("a", most))
	case "uri":
		return pick(r, "sip:127.0.0.77", "sip:app@127.0.0.77:5080;transport=tcp", "sips:127.0.0.77", "http://x", "sip:", "sip:a@b@c", "<sip:127.0.0.77>")
	case "numbers", "test_number", "test_destination", "number":
		return pick(r, did(r.IntN(200)), did(r.IntN(200)), "+1", "15550100000", "", "+0123", "+1555010000\u0660", "tel:+15550100000")
	case "url":
		return pick(r, "http://127.0.0.77:1/hook", "https://127.0.0.77/", "ftp://x", "", "http://[::1", "http://user:"+secretOf+"@127.0.0.77/")
	case "country":
		return pick(r, "US", "49", "xx", "")
	}
	return pick(r, "a", "app", "Acme Main", strings.Repeat("x", most), strings.Repeat("x", most+1), strings.Repeat("é", most/2), "", "\u0000", "a\r\nX: y", "<script>", "' OR 1=1", "\u202e", "😀", " ", "b9a2c0de-0000-4000-8000-000000000000")
}

// wrong is something of any type.
func (w *walker) wrong(r *rand.Rand) any {
	return []any{nil, "", "x", -1, 0, 1.5, int64(1) << 60, true, []any{}, []any{nil}, map[string]any{}, map[string]any{"a": []any{map[string]any{}}}}[r.IntN(12)]
}
