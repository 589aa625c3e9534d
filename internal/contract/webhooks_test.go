package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"trunkline/internal/peers"
)

// inbox takes what a webhook is sent.
type inbox struct {
	*httptest.Server
	mu      sync.Mutex
	refuse  int // how many to answer 500
	got     []http.Header
	bodies  [][]byte
	handled []map[string]any
}

func newInbox(t *testing.T) *inbox {
	b := &inbox{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var body map[string]any
		json.Unmarshal(text, &body)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.got, b.bodies, b.handled = append(b.got, r.Header.Clone()), append(b.bodies, text), append(b.handled, body)
		if b.refuse > 0 {
			b.refuse--
			w.WriteHeader(500)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// of returns the positions of what came of a type.
func (b *inbox) of(what string) (at []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, body := range b.handled {
		if body["type"] == what {
			at = append(at, i)
		}
	}
	return at
}

// TestWebhooks: what happens is told, signed, to those who asked for it, and to nobody else.
func TestWebhooks(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o, other := w.org("acme", "owner"), w.org("other", "owner")
	box, theirs := newInbox(t), newInbox(t)
	s := o.shell()
	created := o.ask(t, "POST", "/v1/webhooks", map[string]any{"url": box.URL + "/hook", "description": "all"}).want(t, 201)
	secret := created.str("secret")
	other.ask(t, "POST", "/v1/webhooks", map[string]any{"url": theirs.URL}).want(t, 201)
	path := "/v1/webhooks/" + created.str("id")

	t.Run("the secret is never shown again", func(t *testing.T) {
		for _, r := range []reply{o.ask(t, "GET", path, nil).want(t, 200), o.ask(t, "GET", "/v1/webhooks", nil).want(t, 200)} {
			if strings.Contains(r.text, strings.TrimPrefix(secret, "whsec_")) {
				t.Error("it is")
			}
		}
	})
	connection, numbers := o.imported(t, "acme", 1)
	agent := o.agent(t, "app")
	verify := numberPath(numbers[0])
	o.ask(t, "POST", verify+"/verify-voip", nil).want(t, 200)
	o.ask(t, "PATCH", verify, map[string]any{"inbound_agent_id": agent, "outbound_agent_id": agent}).want(t, 200)

	t.Run("a verified number is told of, signed", func(t *testing.T) {
		peers.Eventually(t, waitLong, "number.verified arrives", func() bool { return len(box.of("number.verified")) == 1 })
		at := box.of("number.verified")[0]
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(box.bodies[at], box.got[at]); err != nil {
			t.Error(err)
		}
		equal(t, fmt.Sprint(box.handled[at]["subject"]), fmt.Sprintf("number/%d", numbers[0].num("id")))
	})
	t.Run("a registration is told of", func(t *testing.T) {
		peers.Eventually(t, waitLong, "it is registered", func() bool {
			return o.ask(t, "GET", fmt.Sprintf("%s/%d", connectionsPath, connection), nil).str("registration.state") == "registered"
		})
	})
	t.Run("a call that ended is told of, in the feed too", func(t *testing.T) {
		call, err := w.app.Call(bounded(t), numbers[0].str("number"), "+14155550100")
		if err != nil {
			t.Fatal(err)
		}
		if err := call.HangUp(bounded(t)); err != nil {
			t.Fatal(err)
		}
		peers.Eventually(t, waitLong, "call.ended arrives", func() bool { return len(box.of("call.ended")) > 0 })
		found := find(o.ask(t, "GET", "/v1/events?types=call.ended", nil).want(t, 200), "type", "call.ended")
		equal(t, found.str("data.outcome"), "answered")
		equal(t, found.str("data.to_number"), "+14155550100")
		equal(t, found.str("data.trunk"), fmt.Sprintf("connection:%d", connection))
	})
	t.Run("nobody else is told", func(t *testing.T) {
		for _, what := range []string{"number.verified", "call.ended", "connection.created"} {
			if len(theirs.of(what)) > 0 {
				t.Errorf("another organization is told of %s", what)
			}
		}
		other.ask(t, "GET", path, nil).want(t, 404)
		other.ask(t, "DELETE", path, nil).want(t, 404)
		equal(t, len(other.ask(t, "GET", "/v1/events?types=call.ended", nil).want(t, 200).list("")), 0)
	})
	t.Run("a refused delivery is listed and sent once more", func(t *testing.T) {
		box.mu.Lock()
		box.refuse = 1
		box.mu.Unlock()
		o.ask(t, "POST", "/v1/agents", map[string]any{"name": "told", "destinations": []any{map[string]any{"uri": "sip:127.0.0.3:5999"}}}).want(t, 201)
		var waiting reply
		peers.Eventually(t, waitLong, "the failure is noted", func() bool {
			waiting = o.ask(t, "GET", path+"/deliveries?state=waiting", nil).want(t, 200)
			return len(waiting.list("")) == 1 && waiting.num("0.attempts") == 1
		})
		equal(t, waiting.str("0.event.type"), "agent.created")
		equal(t, waiting.num("0.status"), int64(500))
		equal(t, waiting.str("0.error"), "answered 500 Internal Server Error")
		out, _ := s.run(t, 0, "webhook", "deliveries", created.str("id"))
		contains(t, out, "agent.created", "waiting", "answered 500")
		s.run(t, 0, "webhook", "replay", created.str("id"), fmt.Sprint(waiting.num("0.id")))
		peers.Eventually(t, waitLong, "it arrives", func() bool { return len(box.of("agent.created")) >= 3 })
		at := box.of("agent.created")
		equal(t, box.got[at[len(at)-1]].Get("webhook-id"), box.got[at[len(at)-2]].Get("webhook-id"))
	})
	t.Run("a failed delivery is repeated by itself", func(t *testing.T) {
		box.mu.Lock()
		box.refuse = 1
		box.mu.Unlock()
		before := len(box.of("agent.created"))
		o.ask(t, "POST", "/v1/agents", map[string]any{"name": "later", "destinations": []any{map[string]any{"uri": "sip:127.0.0.3:5998"}}}).want(t, 201)
		peers.Eventually(t, waitLong, "the first attempt fails", func() bool { return len(box.of("agent.created")) == before+1 })
		peers.Eventually(t, waitLong, "the second succeeds five seconds later", func() bool { return len(box.of("agent.created")) == before+2 })
	})
	t.Run("commands", func(t *testing.T) {
		out, _ := s.run(t, 0, "webhook", "test", created.str("id"))
		contains(t, out, "delivered in")
		equal(t, len(box.of("webhook.test")), 1)
		out, _ = s.run(t, 0, "webhook", "list")
		contains(t, out, box.URL, "yes")
		changed := s.json(t, "webhook", "update", created.str("id"), "--event", "number.verified", "--enabled=false")
		equal(t, changed.truth("enabled"), false)
		equal(t, fmt.Sprint(changed.list("events")), "[number.verified]")
		s.run(t, 0, "webhook", "replay", created.str("id"))
		rotated := o.ask(t, "POST", path+"/rotate-secret", nil).want(t, 200)
		if rotated.str("secret") == secret || !strings.HasPrefix(rotated.str("secret"), "whsec_") {
			t.Error("no new secret")
		}
		box.Close()
		_, talk := s.run(t, 3, "webhook", "test", created.str("id"))
		contains(t, talk, "no connection")
		s.run(t, 0, "webhook", "delete", created.str("id"), "--yes")
		s.run(t, 5, "webhook", "get", created.str("id"))
	})
	t.Run("mistakes are named", func(t *testing.T) {
		r := o.ask(t, "POST", "/v1/webhooks", map[string]any{"url": "ftp://x", "events": []string{"Nonsense!"}}).want(t, 400)
		if !r.has("url") || !strings.Contains(r.text, "events[0]") {
			t.Errorf("%s", r.text)
		}
	})
}
