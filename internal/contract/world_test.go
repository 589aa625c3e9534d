package contract

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trunkline/internal/carrier"
	"trunkline/internal/peers"
	"trunkline/internal/providerfake"
)

func TestMain(m *testing.M) { peers.Main(m) }

// Secrets that are used, each somewhere else. None may come back.
const (
	sipUser        = "acme-trunk"
	sipPassword    = "sipPassw0rd-7f3a9c"
	newPassword    = "rotatedPassw0rd-11d2"
	wrongPassword  = "wrongPassw0rd-90aa"
	telnyxKey      = "KEY018C0FFEE5EC2E7_contract"
	wrongTelnyxKey = "KEY018C0FFEE5EC2E7_wrong"
	digestPassword = "digestPassw0rd-4e77"
)

// world is a daemon with everything around it.
type world struct {
	t       *testing.T
	edge    *peers.Edge
	carrier *carrier.Carrier
	app     *carrier.App
	telnyx  *providerfake.Telnyx

	numbers atomic.Int64 // of the carrier's given to tests

	mu         sync.Mutex
	secrets    []string // beside those above: keys that were made
	transcript bytes.Buffer
}

// worldOptions are what differs.
type worldOptions struct {
	numbers int    // of the carrier; 0: 200
	cps     int    // of the carrier; 0: no limit
	config  string // further sections of sipgo.yaml
	limit   string // http.rate_limit; empty: none
}

// firstNumber is the first of the carrier's numbers.
const firstNumber = 15_550_100_000

func did(n int) string { return fmt.Sprintf("+%d", firstNumber+n) }

// newWorld starts everything. The carrier's numbers loop back, so that verification can call them.
func newWorld(t *testing.T, o worldOptions) *world {
	t.Helper()
	if o.numbers == 0 {
		o.numbers = 200
	}
	dids := make([]string, o.numbers)
	for i := range dids {
		dids[i] = did(i)
	}
	w := &world{t: t}
	ctx := context.Background() // Close ends them
	edgeAt := peers.FreePort(t, peers.EdgeHost)
	var err error
	w.carrier, err = carrier.Start(ctx, carrier.Options{
		Listen: peers.FreePort(t, peers.CarrierHost), User: sipUser, Password: sipPassword, Contact: "sip:" + edgeAt.String(),
		DIDs: dids, CPS: o.cps, Ring: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.carrier.Close() })
	w.app, err = carrier.StartApp(ctx, carrier.AppOptions{Listen: peers.FreePort(t, peers.AppHost), Edge: edgeAt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.app.Close() })
	w.telnyx = providerfake.NewTelnyx(telnyxKey)
	var providers []string // no request leaves this host
	for name, fake := range map[string]http.Handler{"telnyx": w.telnyx, "twilio": providerfake.NewTwilio("AC0", "none", "SK0", "none"),
		"twilio_trunking": providerfake.NewTwilio("AC0", "none", "SK0", "none"), "signalwire": providerfake.NewSignalWire("none", "none"), "vonage": providerfake.NewVonage("none", "none")} {
		base, end, err := providerfake.Listen(fake)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(end)
		providers = append(providers, fmt.Sprintf("%s_url: %q", name, base))
	}
	w.edge = peers.StartEdge(t, peers.EdgeOptions{
		HTTP: fmt.Sprintf("rate_limit: %s, rate_burst: 0", or(o.limit, "0")),
		Config: fmt.Sprintf("sip: {listen: [\"udp://%[1]s\", \"tcp://%[1]s\", \"tls://%[5]s\"], resolvers: [\"127.0.0.99:53\"]}\nmedia: {ports: %[2]s}\nprobe: {allow_private_targets: true, rate: 0}\nproviders: {%[3]s}\nlog: {level: debug}\n%[4]s",
			edgeAt, mediaPorts(), strings.Join(providers, ", "), o.config, peers.FreePort(t, peers.EdgeHost)),
	})
	t.Cleanup(w.checkSecrets)
	return w
}

// mediaPorts are those of one daemon; several tests may run at once.
func mediaPorts() string {
	first := 40000 + int(os.Getpid()%16)*1000
	return fmt.Sprintf("%d-%d", first, first+999)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// number takes one of the carrier's numbers that no other test has.
func (w *world) number() string { return did(int(w.numbers.Add(1) - 1)) }

// sipConfig is how the carrier is reached.
func (w *world) sipConfig(testNumber string) map[string]any {
	return map[string]any{"server": w.carrier.Addr().String(), "domain": "carrier.example", "transport": "udp", "register": true,
		"source_addresses": []string{w.carrier.Addr().Addr().String()}, "test_number": testNumber}
}

// org is a client of one organization.
type org struct {
	w   *world
	key string
}

// org makes an organization, its member and key, as an operator does.
func (w *world) org(name, role string) *org {
	w.t.Helper()
	status, out, talk := peers.Command(w.t, "key", "create", "--name", "first", "--org", name, "--role", role, "--config", w.edge.File)
	if status != 0 {
		w.t.Fatalf("key create: status %d: %s", status, talk)
	}
	key := strings.TrimSpace(out)
	w.secret(key)
	w.mu.Lock()
	w.transcript.WriteString(talk)
	w.mu.Unlock()
	return &org{w, key}
}

// secret notes a key that must not be seen again.
func (w *world) secret(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = append(w.secrets, s)
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	text   string
	value  any
}

// at follows a path of member names and indexes, as "checks.credentials_valid" or "0.id"; nil where it leads nowhere.
func (r reply) at(path string) any { return at(r.value, path) }

func at(value any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

func (r reply) has(path string) bool {
	parent, name := r.value, path
	if i := strings.LastIndex(path, "."); i >= 0 {
		parent, name = at(r.value, path[:i]), path[i+1:]
	}
	members, ok := parent.(map[string]any)
	if !ok {
		return false
	}
	_, ok = members[name]
	return ok
}

func (r reply) str(path string) string { s, _ := r.at(path).(string); return s }
func (r reply) num(path string) int64  { n, _ := r.at(path).(float64); return int64(n) }
func (r reply) truth(path string) bool { b, _ := r.at(path).(bool); return b }

// list is the members of an array.
func (r reply) list(path string) []any {
	v := r.value
	if path != "" {
		v = r.at(path)
	}
	l, _ := v.([]any)
	return l
}

// want fails the test unless the status is that.
func (r reply) want(t testing.TB, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.text)
	}
	return r
}

// ask sends a request; body may be nil, text, or anything JSON takes. Further words are headers, name and value.
func (o *org) ask(t testing.TB, method, path string, body any, headers ...string) reply {
	t.Helper()
	response := o.open(t, method, path, body, headers...)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	o.w.heard(method, path, response, text)
	r := reply{status: response.StatusCode, header: response.Header, text: strings.TrimSpace(string(text))}
	if strings.Contains(response.Header.Get("Content-Type"), "json") && len(text) > 0 {
		if err := json.Unmarshal(text, &r.value); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return r
}

// client waits long: a test of a trunk rings.
var client = &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func (o *org) open(t testing.TB, method, path string, body any, headers ...string) *http.Response {
	t.Helper()
	var content io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, "http://"+o.w.edge.HTTP.String()+path, content)
	if err != nil {
		t.Fatal(err)
	}
	if o.key != "" {
		request.Header.Set("Authorization", "Bearer "+o.key)
	}
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return response
}

// heard keeps an answer for the search for secrets. A key that is made is shown once, there alone.
func (w *world) heard(method, path string, r *http.Response, text []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if method == http.MethodPost && path == "/v1/developer/api-keys" && r.StatusCode == http.StatusCreated {
		return
	}
	fmt.Fprintf(&w.transcript, "%s %s %d %v\n%s\n", method, path, r.StatusCode, r.Header, text)
}

// stream reads events until the stream ends or enough says so.
func (o *org) stream(t testing.TB, method, path string, body any, enough func(event, data string) bool, headers ...string) {
	t.Helper()
	response := o.open(t, method, path, body, append(headers, "Accept", "text/event-stream")...)
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("%s %s: %d %s %s", method, path, response.StatusCode, kind, text)
	}
	var event string
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		o.w.heard(method, path, response, lines.Bytes())
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && enough(event, data) {
			return
		}
	}
}

// checkSecrets looks for every secret of the test in all that was answered, logged, measured and remembered.
func (w *world) checkSecrets() {
	if w.t.Failed() {
		return
	}
	operator := &org{w: w}
	for _, path := range []string{"/metrics", "/debug/calls", "/readyz", "/openapi.json"} {
		operator.ask(w.t, "GET", path, nil)
	}
	w.edge.Stop()
	places := map[string]string{"an answer": w.transcript.String(), "the log": w.edge.Log()}
	entries, err := os.ReadDir(w.edge.Data)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			text, err := os.ReadFile(w.edge.Data + "/" + e.Name())
			if err != nil {
				w.t.Fatal(err)
			}
			places["the file "+e.Name()] = string(text)
		}
	}
	secrets := append(slices.Clone(w.secrets), sipPassword, newPassword, wrongPassword, telnyxKey, wrongTelnyxKey, digestPassword)
	for place, text := range places {
		for _, s := range secrets {
			if i := strings.Index(text, s); i >= 0 {
				w.t.Errorf("%s holds the secret %s…: %q", place, s[:8], text[max(0, i-80):min(len(text), i+80)])
			}
		}
	}
}

// manual is a request for a test with the carrier's credentials.
func (w *world) manual(password, testNumber string) map[string]any {
	return map[string]any{"provider": "manual", "credentials": map[string]any{"username": sipUser, "password": password}, "sip_config": w.sipConfig(testNumber)}
}

// with is a copy of a body with some members replaced; nil takes one out.
func with(body map[string]any, pairs ...any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, body)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			delete(out, pairs[i].(string))
			continue
		}
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// evidence tests and returns the evidence; the test fails when the trunk does.
func (o *org) evidence(t testing.TB, body map[string]any) string {
	t.Helper()
	r := o.ask(t, "POST", "/v1/voip-connections/test", body).want(t, 200)
	if r.str("status") != "pass" {
		t.Fatalf("the test fails: %s", r.text)
	}
	return r.str("verification_evidence_id")
}

// connect makes a connection to the carrier.
func (o *org) connect(t testing.TB, name string) int64 {
	t.Helper()
	body := o.w.manual(sipPassword, o.w.number())
	return o.ask(t, "POST", "/v1/voip-connections", with(body, "name", name, "verification_evidence_id", o.evidence(t, body))).want(t, 201).num("id")
}

// imported makes a connection with n numbers.
func (o *org) imported(t testing.TB, name string, n int) (connection int64, numbers []reply) {
	t.Helper()
	connection = o.connect(t, name)
	wanted := make([]string, n)
	for i := range wanted {
		wanted[i] = o.w.number()
	}
	r := o.ask(t, "POST", fmt.Sprintf("/v1/voip-connections/%d/import-numbers", connection), map[string]any{"numbers": wanted}).want(t, 201)
	for _, one := range r.list("") {
		numbers = append(numbers, reply{value: one})
	}
	return connection, numbers
}

// agent makes an agent: the application.
func (o *org) agent(t testing.TB, name string) int64 {
	t.Helper()
	return o.ask(t, "POST", "/v1/agents", map[string]any{"name": name, "destinations": []any{map[string]any{"uri": "sip:" + o.w.app.Addr().String()}},
		"source_addresses": []string{o.w.app.Addr().Addr().String()}}).want(t, 201).num("id")
}
