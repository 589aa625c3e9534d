package contract

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

const credentialsPath = "/api/v1/sip-credentials"

var isSecond = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)

// TestCredentials is the family DA.
func TestCredentials(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	full := map[string]any{"server": "sip.example.com:5080", "domain": "example.com", "authUser": "acme", "authPassword": digestPassword,
		"transport": "tcp", "description": "Primary trunk", "cpsLimit": 2.5, "cpsKey": "shared"}
	made := o.ask(t, "POST", credentialsPath, full).want(t, 201)
	id := made.str("id")
	one := credentialsPath + "/" + id
	create := func(t *testing.T, body map[string]any, status int) reply {
		t.Helper()
		r := o.ask(t, "POST", credentialsPath, body)
		if r.status != status {
			t.Errorf("%d, want %d: %s", r.status, status, r.text)
		}
		if r.status == 201 {
			o.ask(t, "DELETE", credentialsPath+"/"+r.str("id"), nil).want(t, 204)
		}
		return r
	}
	t.Run("DA-01/POST creates", func(t *testing.T) { made.want(t, 201) })
	t.Run("DA-02/the same body serves PUT", func(t *testing.T) {
		r := o.ask(t, "PUT", one, with(full, "description", "Second")).want(t, 200)
		equal(t, r.str("description"), "Second")
	})
	long := func(n int) string { return strings.Repeat("a", n) }
	t.Run("DA-03/server", func(t *testing.T) {
		for server, status := range map[string]int{"": 400, long(256): 400, "192.0.2.1": 201, "192.0.2.1:5070": 201, "[2001:db8::1]": 201, "[2001:db8::1]:5070": 201, "sip.example.com": 201, "a b": 400, "host:0": 400, "host:99999": 400} {
			r := create(t, map[string]any{"server": server}, status)
			if status == 400 && r.str("errors.0.field") != "server" {
				t.Errorf("%q: the field is not named: %s", server, r.text)
			}
		}
		create(t, map[string]any{}, 400)
		name := strings.Repeat(long(50)+".", 4) + "example.com" // 215
		create(t, map[string]any{"server": name}, 201)
	})
	for _, field := range []struct {
		id, name string
		most     int
		letter   string
	}{{"DA-04", "domain", 255, ""}, {"DA-05", "authUser", 255, "a"}, {"DA-06", "authPassword", 64, "a"}, {"DA-08", "description", 255, "a"}, {"DA-10", "cpsKey", 255, "a"}} {
		t.Run(field.id+"/"+field.name, func(t *testing.T) {
			if field.letter != "" {
				create(t, map[string]any{"server": "192.0.2.1", "authUser": "a", field.name: long(field.most)}, 201)
			}
			if r := create(t, map[string]any{"server": "192.0.2.1", field.name: long(field.most + 1)}, 400); r.str("errors.0.field") != field.name {
				t.Errorf("the field is not named: %s", r.text)
			}
			create(t, map[string]any{"server": "192.0.2.1", field.name: 7}, 400)
			create(t, map[string]any{"server": "192.0.2.1", field.name: nil}, 201)
		})
	}
	t.Run("DA-07/transport", func(t *testing.T) {
		for _, transport := range []string{"udp", "tcp", "tls"} {
			equal(t, create(t, map[string]any{"server": "192.0.2.1", "transport": transport}, 201).str("transport"), transport)
		}
		equal(t, create(t, map[string]any{"server": "192.0.2.1"}, 201).str("transport"), "udp")
		equal(t, create(t, with(map[string]any{"server": "192.0.2.1"}, "transport", any(nil)), 201).str("transport"), "udp")
		create(t, map[string]any{"server": "192.0.2.1", "transport": "sctp"}, 400)
	})
	t.Run("DA-09/cpsLimit is a number above 0", func(t *testing.T) {
		for _, limit := range []any{0.5, 1, 30} {
			create(t, map[string]any{"server": "192.0.2.1", "cpsLimit": limit}, 201)
		}
		for _, limit := range []any{0, -1, "5"} {
			create(t, map[string]any{"server": "192.0.2.1", "cpsLimit": limit}, 400)
		}
	})
	t.Run("DA-11/null is not set", func(t *testing.T) {
		r := o.ask(t, "POST", credentialsPath, `{"server":"192.0.2.1","domain":null,"authUser":null,"authPassword":null,"transport":null,"description":null,"cpsLimit":null,"cpsKey":null}`).want(t, 201)
		for _, name := range []string{"domain", "authUser", "description", "cpsLimit", "cpsKey", "authPassword"} {
			equal(t, r.at(name), nil)
		}
		o.ask(t, "DELETE", credentialsPath+"/"+r.str("id"), nil).want(t, 204)
	})
	t.Run("DA-14/id is a UUID", func(t *testing.T) { match(t, made, "id", isUUID) })
	t.Run("DA-15/orgId", func(t *testing.T) { equal(t, made.str("orgId") != "", true) })
	t.Run("DA-16/server comes back", func(t *testing.T) { equal(t, made.str("server"), "sip.example.com:5080") })
	t.Run("DA-17/transport comes back", func(t *testing.T) { equal(t, made.str("transport"), "tcp") })
	t.Run("DA-18/source", func(t *testing.T) { equal(t, made.str("source"), "manual") })
	t.Run("DA-19/createdTime", func(t *testing.T) { match(t, made, "createdTime", isSecond) })
	t.Run("DA-20/lastUpdateTime", func(t *testing.T) { match(t, made, "lastUpdateTime", isSecond) })
	t.Run("DA-25/times without a fraction", func(t *testing.T) { match(t, made, "createdTime", isSecond) })
	t.Run("DA-21/text or null", func(t *testing.T) {
		for name, want := range map[string]string{"domain": "example.com", "authUser": "acme", "description": "Primary trunk", "cpsKey": "shared"} {
			equal(t, made.str(name), want)
		}
	})
	t.Run("DA-22/the password never comes back", func(t *testing.T) {
		r := o.ask(t, "GET", one, nil).want(t, 200)
		equal(t, r.has("authPassword") && r.at("authPassword") == nil, true)
		equal(t, r.truth("hasAuthPassword"), true)
		equal(t, strings.Contains(r.text+made.text, digestPassword), false)
	})
	t.Run("DA-23/cpsLimit comes back unchanged", func(t *testing.T) { equal(t, made.at("cpsLimit"), 2.5) })
	t.Run("DA-24/no providerId of one's own", func(t *testing.T) { equal(t, made.has("providerId") && made.at("providerId") == nil, true) })
	connection := o.connect(t, "owned")
	owned := o.ask(t, "GET", fmt.Sprintf("%s/%d", connectionsPath, connection), nil).want(t, 200).str("sip_credential_id")
	t.Run("DA-26/another organization's is not there", func(t *testing.T) {
		other := w.org("other", "owner")
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			r := other.ask(t, method, one, with(full)).want(t, 404)
			equal(t, r.str("title"), "Not Found")
		}
		other.ask(t, "GET", one+"/affected-agents", nil).want(t, 404)
	})
	for id, transport := range map[string]string{"DA-27": "udp", "DA-28": "tcp", "DA-29": "tls"} {
		t.Run(id+"/"+transport+" is offered", func(t *testing.T) {
			equal(t, create(t, map[string]any{"server": "192.0.2.1", "transport": transport}, 201).str("transport"), transport)
		})
	}
	t.Run("DA-30/the user may be called Account", func(t *testing.T) {
		document := (&org{w: w}).ask(t, "GET", "/openapi.json", nil)
		equal(t, strings.Contains(document.text, "some providers call it Account"), true)
	})
	t.Run("M-50/POST", func(t *testing.T) {
		r := create(t, map[string]any{"server": ""}, 400)
		members(t, r, "", "type", "title", "status", "detail", "instance")
		equal(t, r.header.Get("Content-Type"), "application/problem+json")
		(&org{w: w}).ask(t, "POST", credentialsPath, full).want(t, 401)
		w.org("acme", "member").ask(t, "POST", credentialsPath, full).want(t, 403)
	})
	t.Run("M-51/list and one", func(t *testing.T) {
		r := o.ask(t, "GET", credentialsPath, nil).want(t, 200)
		equal(t, r.num("skip"), int64(0))
		equal(t, r.num("take"), int64(20))
		equal(t, r.num("totalCount"), int64(2))
		equal(t, len(r.list("items")), 2)
		r = o.ask(t, "GET", credentialsPath+"?skip=1&take=1", nil).want(t, 200)
		equal(t, len(r.list("items")), 1)
		for _, query := range []string{"take=0", "take=1001", "skip=-1", "take=many"} {
			o.ask(t, "GET", credentialsPath+"?"+query, nil).want(t, 400)
		}
		o.ask(t, "GET", credentialsPath+"/00000000-0000-4000-8000-000000000000", nil).want(t, 404)
		o.ask(t, "GET", credentialsPath+"/nonsense", nil).want(t, 404)
	})
	t.Run("M-52/PUT", func(t *testing.T) {
		r := o.ask(t, "PUT", one, map[string]any{"server": "192.0.2.9", "authUser": "acme"}).want(t, 200)
		equal(t, r.at("domain"), nil)
		equal(t, r.truth("hasAuthPassword"), true) // what GET shows can be sent back
		equal(t, o.ask(t, "PUT", one, map[string]any{"server": "192.0.2.9", "authUser": "acme", "authPassword": ""}).want(t, 200).truth("hasAuthPassword"), false)
		o.ask(t, "PUT", one, map[string]any{"domain": "x"}).want(t, 400)
		o.ask(t, "PUT", credentialsPath+"/00000000-0000-4000-8000-000000000000", full).want(t, 404)
		if r := o.ask(t, "PUT", credentialsPath+"/"+owned, full); r.status != 409 && r.status != 403 {
			t.Errorf("a connection's own: %d %s", r.status, r.text)
		}
	})
	t.Run("M-52/If-Match", func(t *testing.T) {
		tag := o.ask(t, "GET", one, nil).want(t, 200).header.Get("ETag")
		o.ask(t, "PUT", one, full, "If-Match", tag).want(t, 200)
		o.ask(t, "PUT", one, full, "If-Match", tag).want(t, 412)
		o.ask(t, "DELETE", one, nil, "If-Match", tag).want(t, 412)
	})
	t.Run("M-54/affected agents", func(t *testing.T) {
		equal(t, len(o.ask(t, "GET", one+"/affected-agents", nil).want(t, 200).list("")), 0)
		o.ask(t, "GET", credentialsPath+"/00000000-0000-4000-8000-000000000000/affected-agents", nil).want(t, 404)
		agent := o.agent(t, "app")
		n := o.ask(t, "POST", fmt.Sprintf("%s/%d/import-numbers", connectionsPath, connection), map[string]any{"numbers": []string{w.number()}}).want(t, 201)
		o.ask(t, "PATCH", fmt.Sprintf("/v1/phone-numbers/%d", n.num("0.id")), map[string]any{"inbound_agent_id": agent}).want(t, 200)
		r := o.ask(t, "GET", credentialsPath+"/"+owned+"/affected-agents", nil).want(t, 200)
		equal(t, r.num("0.id"), agent)
		equal(t, r.str("0.name"), "app")
	})
	t.Run("M-53/DELETE", func(t *testing.T) {
		if r := o.ask(t, "DELETE", credentialsPath+"/"+owned, nil); r.status != 409 && r.status != 403 {
			t.Errorf("a connection's own: %d %s", r.status, r.text)
		}
		o.ask(t, "DELETE", one, nil).want(t, 204)
		o.ask(t, "DELETE", one, nil).want(t, 404)
		o.ask(t, "DELETE", credentialsPath+"/"+owned+"?force=maybe", nil).want(t, 400)
	})
}
