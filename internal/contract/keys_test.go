package contract

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"trunkline/internal/peers"
)

var (
	isUUID  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	isStamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	isKey   = regexp.MustCompile(`^sk_live_[0-9a-f]{44}$`)
)

// TestKeys is the family AK: the life of API keys.
func TestKeys(t *testing.T) {
	w := newWorld(t, worldOptions{})
	owner := w.org("acme", "owner")
	const path = "/v1/developer/api-keys"

	t.Run("AK-04/the first key is made without the API", func(t *testing.T) {
		if !isKey.MatchString(owner.key) {
			t.Error("the command prints something else than a key")
		}
		owner.ask(t, "GET", path, nil).want(t, 200)
	})
	made := owner.ask(t, "POST", path, map[string]any{"name": "rotation"}).want(t, 201)
	w.secret(made.str("key"))
	key := &org{w, made.str("key")}
	t.Run("AK-01/keys begin sk_live_", func(t *testing.T) {
		if !strings.HasPrefix(made.str("key"), "sk_live_") {
			t.Error(made.str("key_prefix"))
		}
	})
	t.Run("AK-24/a key is sk_live_ and 44 hex digits", func(t *testing.T) {
		if !isKey.MatchString(made.str("key")) {
			t.Error("another shape")
		}
	})
	t.Run("AK-07/POST makes a key", func(t *testing.T) { made.want(t, 201) })
	t.Run("AK-22/201 with the key object and the key", func(t *testing.T) {
		for _, member := range []string{"id", "name", "key_prefix", "is_active", "created_at", "last_used_at", "revoked_at", "key"} {
			if !made.has(member) {
				t.Errorf("no %s in the answer", member)
			}
		}
	})
	t.Run("AK-11/id is a UUID", func(t *testing.T) { match(t, made, "id", isUUID) })
	t.Run("AK-12/name is the label", func(t *testing.T) { equal(t, made.str("name"), "rotation") })
	t.Run("AK-13/key_prefix is the first 15 characters", func(t *testing.T) { equal(t, made.str("key_prefix"), made.str("key")[:15]) })
	t.Run("AK-14/is_active until revoked", func(t *testing.T) { equal(t, made.truth("is_active"), true) })
	t.Run("AK-15/created_at is a time", func(t *testing.T) { match(t, made, "created_at", isStamp) })
	t.Run("AK-18/times have milliseconds and Z", func(t *testing.T) { match(t, made, "created_at", isStamp) })
	t.Run("AK-25/a new key was never used and is not revoked", func(t *testing.T) {
		equal(t, made.at("last_used_at"), nil)
		equal(t, made.at("revoked_at"), nil)
	})
	t.Run("AK-21/a name has 1 to 120 characters, Default key without", func(t *testing.T) {
		for _, body := range []any{nil, map[string]any{}, map[string]any{"name": nil}} {
			r := owner.ask(t, "POST", path, body).want(t, 201)
			w.secret(r.str("key"))
			equal(t, r.str("name"), "Default key")
		}
		for name, status := range map[string]int{"": 400, "x": 201, strings.Repeat("é", 120): 201, strings.Repeat("x", 121): 400} {
			r := owner.ask(t, "POST", path, map[string]any{"name": name}).want(t, status)
			if status == 201 {
				w.secret(r.str("key"))
			} else if !r.has("name") {
				t.Errorf("the field is not named: %s", r.text)
			}
		}
	})
	list := owner.ask(t, "GET", path, nil).want(t, 200)
	t.Run("AK-06/GET lists keys", func(t *testing.T) { equal(t, len(list.list("")) >= 5, true) })
	t.Run("AK-20/a bare array, newest first", func(t *testing.T) {
		var times []string
		for _, k := range list.list("") {
			times = append(times, reply{value: k}.str("created_at"))
		}
		if !slices.IsSortedFunc(times, func(a, b string) int { return strings.Compare(b, a) }) {
			t.Error(times)
		}
	})
	t.Run("AK-19/the key is never shown again", func(t *testing.T) {
		for _, k := range list.list("") {
			if (reply{value: k}).has("key") {
				t.Error("the list shows a key")
			}
		}
	})
	t.Run("AK-23/the key appears once", func(t *testing.T) { equal(t, strings.Contains(list.text, made.str("key")), false) })
	t.Run("AK-02/the organization comes from the key", func(t *testing.T) {
		other := w.org("other", "owner")
		for _, k := range other.ask(t, "GET", path, nil).want(t, 200).list("") {
			if (reply{value: k}).str("id") == made.str("id") {
				t.Error("another organization sees the key")
			}
		}
		other.ask(t, "DELETE", path+"/"+made.str("id"), nil).want(t, 404)
	})
	t.Run("AK-03/no path has an organization", func(t *testing.T) {
		document := (&org{w: w}).ask(t, "GET", "/openapi.json", nil).want(t, 200)
		if regexp.MustCompile(`"/[^"]*\{org`).MatchString(document.text) {
			t.Error("a path has one")
		}
	})
	t.Run("AK-05/publishable keys are no keys here", func(t *testing.T) {
		(&org{w, "pk_live_" + strings.Repeat("0", 44)}).ask(t, "GET", path, nil).want(t, 401)
	})
	member := w.org("acme", "member")
	t.Run("AK-09/a member may not, an admin and an owner may", func(t *testing.T) {
		member.ask(t, "GET", path, nil).want(t, 403)
		member.ask(t, "POST", path, map[string]any{}).want(t, 403)
		member.ask(t, "DELETE", path+"/"+made.str("id"), nil).want(t, 403)
		w.org("acme", "admin").ask(t, "GET", path, nil).want(t, 200)
	})
	t.Run("AK-10/a key manages keys with the rights of its creator", func(t *testing.T) {
		r := key.ask(t, "POST", path, map[string]any{"name": "next"}).want(t, 201)
		w.secret(r.str("key"))
		(&org{w, r.str("key")}).ask(t, "GET", path, nil).want(t, 200)
	})
	t.Run("AK-16/last_used_at follows", func(t *testing.T) {
		peers.Eventually(t, waitLong, "last_used_at is written", func() bool {
			return isStamp.MatchString(find(owner.ask(t, "GET", path, nil), "id", made.str("id")).str("last_used_at"))
		})
	})
	t.Run("AK-08/DELETE revokes", func(t *testing.T) {
		r := owner.ask(t, "POST", path, map[string]any{"name": "short-lived"}).want(t, 201)
		w.secret(r.str("key"))
		owner.ask(t, "DELETE", path+"/"+r.str("id"), nil).want(t, 204)
		(&org{w, r.str("key")}).ask(t, "GET", path, nil).want(t, 401)
	})
	t.Run("AK-29/a key may revoke itself", func(t *testing.T) {
		key.ask(t, "DELETE", path+"/"+made.str("id"), nil).want(t, 204)
		key.ask(t, "GET", path, nil).want(t, 401)
	})
	t.Run("AK-26/204 without content", func(t *testing.T) {
		equal(t, owner.ask(t, "DELETE", path+"/"+made.str("id"), nil).want(t, 204).text, "") // again is the same
	})
	t.Run("AK-27/revoked for good", func(t *testing.T) {
		for _, method := range []string{"PATCH", "PUT", "POST"} {
			owner.ask(t, method, path+"/"+made.str("id"), map[string]any{"is_active": true}).want(t, http.StatusMethodNotAllowed)
		}
		key.ask(t, "GET", path, nil).want(t, 401)
	})
	revoked := find(owner.ask(t, "GET", path, nil), "id", made.str("id"))
	t.Run("AK-17/revoked_at is set", func(t *testing.T) {
		match(t, revoked, "revoked_at", isStamp)
		equal(t, revoked.truth("is_active"), false)
	})
	t.Run("AK-28/401 everywhere", func(t *testing.T) {
		for _, path := range []string{"/v1/voip-connections", "/v1/phone-numbers/1", "/api/v1/sip-credentials", "/v1/events", "/v1/calls"} {
			key.ask(t, "GET", path, nil).want(t, 401)
		}
	})
	t.Run("AK-30/advice to keep the key safe", func(t *testing.T) {
		document := (&org{w: w}).ask(t, "GET", "/openapi.json", nil)
		equal(t, strings.Contains(document.text, "secret manager"), true)
	})
	t.Run("unknown keys are not there", func(t *testing.T) {
		owner.ask(t, "DELETE", path+"/00000000-0000-4000-8000-000000000000", nil).want(t, 404)
		owner.ask(t, "DELETE", path+"/nonsense", nil).want(t, 404)
	})
}
