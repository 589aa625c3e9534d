package contract

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"trunkline/internal/peers"
)

// TestCommon is section 7.1, and section 5 with it.
func TestCommon(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	nobody := &org{w: w}
	connection, imported := o.imported(t, "acme", 1)
	agent := o.agent(t, "app")
	credential := o.ask(t, "POST", credentialsPath, map[string]any{"server": "192.0.2.1"}).want(t, 201).str("id")

	t.Run("M-01/who has no good key hears 401", func(t *testing.T) {
		for _, key := range []string{"", "sk_live_", "sk_live_" + strings.Repeat("0", 44), "sk_live_" + strings.Repeat("g", 44), strings.ToUpper(o.key), o.key + "0", o.key[:51], "pk_live_" + o.key[8:], "nonsense"} {
			r := (&org{w, key}).ask(t, "GET", connectionsPath, nil)
			if r.status != 401 || r.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%d %v %s", r.status, r.header, r.text)
			}
		}
		for _, scheme := range []string{"Basic ", "Token ", ""} {
			nobody.ask(t, "GET", connectionsPath, nil, "Authorization", scheme+o.key).want(t, 401)
		}
		nobody.ask(t, "GET", connectionsPath+"?key="+o.key[:8], nil).want(t, 401)
	})
	t.Run("CC-01/Bearer and JSON", func(t *testing.T) {
		nobody.ask(t, "GET", connectionsPath, nil, "Authorization", "bearer "+o.key).want(t, 200) // RFC 9110 §11.1: any case
		o.ask(t, "POST", "/v1/agents", "<agent/>", "Content-Type", "application/xml").want(t, 415)
	})
	t.Run("M-02/keys are kept as a hash", func(t *testing.T) {
		entries, err := os.ReadDir(w.edge.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if text, err := os.ReadFile(w.edge.Data + "/" + e.Name()); err == nil && strings.Contains(string(text), o.key) {
				t.Errorf("%s holds the key", e.Name())
			}
		}
	})
	t.Run("M-03/another organization's objects are not there", func(t *testing.T) {
		other := w.org("other", "owner")
		for _, path := range []string{fmt.Sprintf("%s/%d", connectionsPath, connection), fmt.Sprintf("%s/%d/available-numbers", connectionsPath, connection),
			numberPath(imported[0]), fmt.Sprintf("/v1/agents/%d", agent), credentialsPath + "/" + credential, credentialsPath + "/" + credential + "/affected-agents"} {
			other.ask(t, "GET", path, nil).want(t, 404)
		}
		for _, change := range []struct {
			method, path string
			body         any
		}{
			{"PATCH", fmt.Sprintf("%s/%d", connectionsPath, connection), map[string]any{"name": "x"}},
			{"DELETE", fmt.Sprintf("%s/%d?force=true", connectionsPath, connection), nil},
			{"POST", fmt.Sprintf("%s/%d/import-numbers", connectionsPath, connection), map[string]any{"numbers": []string{w.number()}}},
			{"PATCH", numberPath(imported[0]), map[string]any{"inbound_agent_id": nil}},
			{"POST", numberPath(imported[0]) + "/verify-voip", nil},
			{"POST", numberPath(imported[0]) + "/transfer", map[string]any{"organization_id": "x"}},
			{"DELETE", numberPath(imported[0]), nil},
			{"PATCH", fmt.Sprintf("/v1/agents/%d", agent), map[string]any{"name": "x"}},
			{"DELETE", fmt.Sprintf("/v1/agents/%d", agent), nil},
			{"PUT", credentialsPath + "/" + credential, map[string]any{"server": "192.0.2.1"}},
			{"DELETE", credentialsPath + "/" + credential, nil},
		} {
			if r := other.ask(t, change.method, change.path, change.body); r.status != 404 {
				t.Errorf("%s %s: %d %s", change.method, change.path, r.status, r.text)
			}
		}
		for _, path := range []string{connectionsPath, numbersPath, "/v1/agents", "/v1/calls", "/v1/operations", "/v1/cps-keys"} {
			equal(t, len(other.ask(t, "GET", path, nil).want(t, 200).list("")), 0)
		}
	})
	t.Run("CC-06/the organization comes from the key alone", func(t *testing.T) {
		equal(t, o.ask(t, "GET", connectionsPath+"?org=other", nil).want(t, 400).has("org"), true)
	})
	t.Run("M-04/errors by family", func(t *testing.T) {
		members(t, o.ask(t, "GET", connectionsPath+"/999999", nil).want(t, 404), "", "detail")
		r := o.ask(t, "POST", "/v1/agents", map[string]any{}).want(t, 400)
		equal(t, len(r.list("name")), 1)
		members(t, o.ask(t, "GET", credentialsPath+"/x", nil).want(t, 404), "", "type", "title", "status", "detail", "instance")
	})
	t.Run("M-05/lists by family", func(t *testing.T) {
		equal(t, o.ask(t, "GET", connectionsPath, nil).want(t, 200).value != nil, true)
		members(t, o.ask(t, "GET", credentialsPath, nil).want(t, 200), "", "items", "totalCount", "skip", "take")
	})
	t.Run("CC-05/bare objects in both", func(t *testing.T) {
		equal(t, o.ask(t, "GET", credentialsPath+"/"+credential, nil).want(t, 200).str("id"), credential)
		equal(t, o.ask(t, "GET", numberPath(imported[0]), nil).want(t, 200).num("id"), imported[0].num("id"))
	})
	t.Run("M-06/times", func(t *testing.T) {
		match(t, o.ask(t, "GET", numberPath(imported[0]), nil), "created_at", isStamp)
		match(t, o.ask(t, "GET", credentialsPath+"/"+credential, nil), "createdTime", isSecond)
	})
	t.Run("M-07/unknown fields", func(t *testing.T) {
		o.ask(t, "PATCH", numberPath(imported[0]), map[string]any{"colour": "red"}).want(t, 200)
		o.ask(t, "PUT", credentialsPath+"/"+credential, map[string]any{"server": "192.0.2.1", "colour": "red", "password": digestPassword}).want(t, 200)
		for _, name := range []string{"apiKey", "password", "auth_token", "api-secret"} {
			r := o.ask(t, "POST", connectionsPath+"/test", with(w.manual(sipPassword, w.number()), name, digestPassword)).want(t, 400)
			equal(t, r.has(name), true)
		}
		r := o.ask(t, "POST", connectionsPath+"/test", with(w.manual(sipPassword, w.number()), "credentials", map[string]any{"username": sipUser, "passwort": digestPassword})).want(t, 400)
		equal(t, strings.Contains(r.text, "passwort"), true)
		for _, wrong := range []any{[]any{}, "text", 7, true} {
			o.ask(t, "POST", "/v1/agents", wrong).want(t, 400)
			o.ask(t, "POST", credentialsPath, wrong).want(t, 400)
		}
		for _, broken := range []string{"{", "{]", "null", `{"server":}`, "\x00", `{"server":"a"}{}`} {
			o.ask(t, "POST", credentialsPath, broken).want(t, 400)
		}
	})
	t.Run("CC-03/snake_case, and camelCase inside credentials and in /api/v1", func(t *testing.T) {
		members(t, o.ask(t, "GET", credentialsPath+"/"+credential, nil), "", "orgId", "createdTime")
		members(t, o.ask(t, "GET", numberPath(imported[0]), nil), "", "voip_verification_status")
	})
	t.Run("CC-04/ids", func(t *testing.T) {
		match(t, o.ask(t, "GET", credentialsPath+"/"+credential, nil), "id", isUUID)
		equal(t, connection > 0, true)
	})
	t.Run("CC-02/secrets once or never", func(t *testing.T) { // the search at the end is over everything
		equal(t, strings.Contains(o.ask(t, "GET", connectionsPath, nil).text, sipPassword), false)
	})
	t.Run("M-09/health without a key", func(t *testing.T) { equal(t, nobody.ask(t, "GET", "/v1/healthz", nil).want(t, 200).truth("ok"), true) })
	t.Run("M-10/the first organization, owner and key come from a command", func(t *testing.T) {
		equal(t, isKey.MatchString(o.key), true)
	})
	t.Run("Q-18/a member reads, an admin changes", func(t *testing.T) {
		member, admin := w.org("acme", "member"), w.org("acme", "admin")
		for _, path := range []string{connectionsPath, numbersPath, credentialsPath, "/v1/agents", "/v1/calls", "/v1/cps-keys", "/v1/operations", "/v1/events"} {
			member.ask(t, "GET", path, nil).want(t, 200)
		}
		member.ask(t, "POST", "/v1/agents", map[string]any{"name": "x"}).want(t, 403)
		member.ask(t, "PATCH", numberPath(imported[0]), map[string]any{"inbound_agent_id": agent}).want(t, 403)
		member.ask(t, "PATCH", fmt.Sprintf("%s/%d", connectionsPath, connection), map[string]any{"name": "x"}).want(t, 403)
		member.ask(t, "POST", numberPath(imported[0])+"/verify-voip", nil).want(t, 403)
		member.ask(t, "GET", "/v1/audit-log", nil).want(t, 403)
		admin.ask(t, "PATCH", numberPath(imported[0]), map[string]any{"inbound_agent_id": agent}).want(t, 200)
	})
	t.Run("events tell what happened, and go on where a client was cut off", func(t *testing.T) {
		list := o.ask(t, "GET", "/v1/events", nil).want(t, 200)
		if len(list.list("")) == 0 {
			t.Fatal("no events")
		}
		second := list.num("1.id")
		var ids []string
		o.stream(t, "GET", "/v1/events", nil, func(_, data string) bool {
			ids = append(ids, data)
			return true
		}, "Last-Event-ID", fmt.Sprint(list.num("0.id")))
		if len(ids) == 0 || !strings.Contains(ids[0], fmt.Sprintf(`"id":%d,`, second)) {
			t.Errorf("the stream begins with %v, not with event %d", ids, second)
		}
		o.ask(t, "GET", "/v1/events", nil, "Last-Event-ID", "yesterday").want(t, 400)
	})
	t.Run("the audit log says who changed what", func(t *testing.T) {
		entry := o.ask(t, "GET", "/v1/audit-log?limit=1", nil).want(t, 200)
		members(t, entry, "0", "id", "at", "user", "key_id", "address", "request_id", "action", "subject")
		equal(t, entry.str("0.address"), "127.0.0.1")
	})
	t.Run("M-11/no secret anywhere", func(t *testing.T) { // the search at the end is over answers, log, metrics and the database
		for _, path := range []string{"/v1/events", "/v1/audit-log", "/v1/calls", connectionsPath} {
			o.ask(t, "GET", path, nil).want(t, 200)
		}
	})
	t.Run("explain", func(t *testing.T) {
		invite := fmt.Sprintf("INVITE sip:%[1]s@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bKx\nMax-Forwards: 70\nFrom: <sip:+1@x>;tag=1\nTo: <sip:%[1]s@127.0.0.1>\nCall-ID: x\nCSeq: 1 INVITE\nContact: <sip:127.0.0.2>", imported[0].str("number"))
		r := o.ask(t, "POST", "/v1/explain", map[string]any{"invite": invite, "source": "127.0.0.2:5060"}).want(t, 200)
		equal(t, r.str("gates.0.gate"), "source")
		equal(t, r.truth("gates.0.passed"), true)
		r = w.org("third", "owner").ask(t, "POST", "/v1/explain", map[string]any{"invite": invite, "source": "127.0.0.2:5060"}).want(t, 200)
		equal(t, r.truth("gates.0.passed"), false) // another's trunk is a stranger
		o.ask(t, "POST", "/v1/explain", map[string]any{"invite": invite, "source": "here"}).want(t, 400)
	})
}

// TestRateLimit is M-08.
func TestRateLimit(t *testing.T) {
	w := newWorld(t, worldOptions{limit: "5"})
	o := w.org("acme", "owner")
	t.Run("M-08/429 with Retry-After and x-ratelimit", func(t *testing.T) {
		var last reply
		for range 50 {
			last = o.ask(t, "GET", "/v1/agents", nil)
			if last.status != http.StatusOK {
				break
			}
			equal(t, last.header.Get("X-RateLimit-Limit"), "5")
		}
		last.want(t, 429)
		if last.header.Get("Retry-After") == "" || last.header.Get("X-RateLimit-Remaining") != "0" {
			t.Errorf("%v", last.header)
		}
		w.org("other", "owner").ask(t, "GET", "/v1/agents", nil).want(t, 200) // each key has its own
		peers.Eventually(t, waitLong, "the key is let in again", func() bool { return o.ask(t, "GET", "/v1/agents", nil).status == 200 })
	})
}
