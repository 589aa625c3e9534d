package contract

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"trunkline/internal/peers"
	"trunkline/internal/providerfake"
)

const connectionsPath = "/v1/voip-connections"

// TestConnections is the family TP as far as test, creation and rotation go.
func TestConnections(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	number := w.number()
	body := w.manual(sipPassword, number)
	test := o.ask(t, "POST", connectionsPath+"/test", body).want(t, 200)

	t.Run("TP-03/Bearer and JSON below /v1", func(t *testing.T) {
		equal(t, test.header.Get("Content-Type"), "application/json")
		o.ask(t, "POST", connectionsPath+"/test", "provider=manual", "Content-Type", "application/x-www-form-urlencoded").want(t, 415)
	})
	t.Run("TP-04/five providers", func(t *testing.T) {
		for _, p := range []string{"twilio", "telnyx", "signalwire", "vonage"} {
			if r := o.ask(t, "POST", connectionsPath+"/suggest-name", map[string]any{"provider": p, "credentials": map[string]any{}}); r.status != 400 || r.has("provider") {
				t.Errorf("%s: %d %s", p, r.status, r.text)
			}
		}
		if r := o.ask(t, "POST", connectionsPath+"/test", map[string]any{"provider": "acme"}).want(t, 400); !r.has("provider") {
			t.Errorf("the field is not named: %s", r.text)
		}
	})
	for id, c := range map[string]struct {
		provider string
		missing  string
	}{"TP-05": {"twilio", "credentials.apiKey"}, "TP-06": {"telnyx", "credentials.apiKey"}, "TP-07": {"signalwire", "credentials.projectId"}, "TP-08": {"vonage", "credentials.apiKey"}} {
		t.Run(id+"/what "+c.provider+" is asked for", func(t *testing.T) {
			r := o.ask(t, "POST", connectionsPath+"/test", map[string]any{"provider": c.provider, "credentials": map[string]any{}}).want(t, 400)
			if !strings.Contains(r.text, "credentials") {
				t.Errorf("%s is not named: %s", c.missing, r.text)
			}
		})
	}
	t.Run("TP-09/manual takes any trunk", func(t *testing.T) { equal(t, test.str("status"), "pass") })
	t.Run("TP-10/POST tests", func(t *testing.T) { test.want(t, 200) })
	t.Run("TP-11/nothing is stored before", func(t *testing.T) {
		equal(t, len(o.ask(t, "GET", connectionsPath, nil).want(t, 200).list("")), 0)
	})
	t.Run("TP-12/provider, credentials and sip_config are taken", func(t *testing.T) {
		for member, value := range map[string]any{"provider": 7, "credentials": "none", "sip_config": []any{}} {
			if r := o.ask(t, "POST", connectionsPath+"/test", with(body, member, value)).want(t, 400); !r.has(member) {
				t.Errorf("%s: %s", member, r.text)
			}
		}
	})
	t.Run("TP-14/four members", func(t *testing.T) {
		members(t, test, "", "status", "verification_evidence_id", "suggested_connection_name", "checks")
	})
	t.Run("TP-15/credentials_valid", func(t *testing.T) { equal(t, test.at("checks.credentials_valid"), true) })
	t.Run("TP-16/inbound_reachable", func(t *testing.T) { equal(t, test.at("checks.inbound_reachable"), true) })
	t.Run("TP-17/outbound_authorized", func(t *testing.T) { equal(t, test.at("checks.outbound_authorized"), true) })
	t.Run("TP-22/evidence is opaque", func(t *testing.T) { match(t, test, "verification_evidence_id", isUUID) })
	failed := o.ask(t, "POST", connectionsPath+"/test", w.manual(wrongPassword, number)).want(t, 200)
	t.Run("TP-18/one false check fails it", func(t *testing.T) {
		equal(t, failed.str("status"), "fail")
		equal(t, failed.at("checks.credentials_valid"), false)
		equal(t, failed.at("verification_evidence_id"), nil)
	})
	t.Run("TP-19/a failed step says what to fix", func(t *testing.T) {
		for _, d := range failed.list("details") {
			if step := (reply{value: d}); step.str("verdict") == "fail" && step.str("fix") != "" && step.str("message") != "" && step.str("code") != "" {
				return
			}
		}
		t.Errorf("no step with code, message and fix: %s", failed.text)
	})
	newBody := with(body, "name", "Acme Main", "setup_method", "manual", "verification_evidence_id", test.str("verification_evidence_id"))
	made := o.ask(t, "POST", connectionsPath, newBody).want(t, 201)
	id := made.num("id")
	one := fmt.Sprintf("%s/%d", connectionsPath, id)
	t.Run("TP-02/test, then create, then numbers", func(t *testing.T) { equal(t, made.num("numbers_imported"), int64(0)) })
	t.Run("TP-20/the evidence stands for the test", func(t *testing.T) { made.want(t, 201) })
	t.Run("TP-23/POST creates", func(t *testing.T) { made.want(t, 201) })
	t.Run("TP-24/what was given comes back, but for secrets", func(t *testing.T) {
		equal(t, made.str("name"), "Acme Main")
		equal(t, made.str("provider"), "manual")
		equal(t, made.str("setup_method"), "manual")
		equal(t, made.str("sip_config.server"), w.carrier.Addr().String())
		equal(t, made.has("credentials"), false)
	})
	t.Run("TP-25/setup_method is a closed set", func(t *testing.T) {
		if r := o.ask(t, "POST", connectionsPath, with(newBody, "setup_method", "magic")).want(t, 400); !r.has("setup_method") {
			t.Error(r.text)
		}
	})
	t.Run("TP-26/status is connected", func(t *testing.T) { equal(t, made.str("status"), "connected") })
	t.Run("TP-27/credentials are never shown", func(t *testing.T) {
		r := o.ask(t, "GET", one, nil).want(t, 200)
		equal(t, strings.Contains(r.text, sipPassword) || strings.Contains(r.text, sipUser), false)
	})
	t.Run("TP-29/ids are small integers", func(t *testing.T) {
		if id < 1 || id > 1000 {
			t.Error(id)
		}
	})
	t.Run("TP-46/every field of a connection", func(t *testing.T) {
		members(t, o.ask(t, "GET", one, nil).want(t, 200), "", "id", "name", "inferred_name", "provider", "setup_method", "status", "sip_config",
			"numbers_imported", "last_tested_at", "created_at", "updated_at", "registration", "sip_credential_id", "trunk")
	})
	t.Run("TP-28/rotation needs fresh evidence", func(t *testing.T) {
		r := o.ask(t, "PATCH", one, map[string]any{"credentials": map[string]any{"password": sipPassword}}).want(t, 400)
		equal(t, strings.Contains(r.text, "verification_evidence_id"), true)
	})
	t.Run("TP-43/PATCH changes in place", func(t *testing.T) {
		r := o.ask(t, "PATCH", one, map[string]any{"name": "Acme Second"}).want(t, 200)
		equal(t, r.str("name"), "Acme Second")
		equal(t, r.num("id"), id)
	})
	t.Run("TP-44/part of the credentials is merged over the stored ones", func(t *testing.T) {
		evidence := o.evidence(t, body)
		o.ask(t, "PATCH", one, map[string]any{"credentials": map[string]any{"password": sipPassword}, "verification_evidence_id": evidence}).want(t, 200)
	})
	t.Run("TP-45/numbers stay", func(t *testing.T) {
		imported := w.number()
		n := o.ask(t, "POST", one+"/import-numbers", map[string]any{"numbers": []string{imported}}).want(t, 201)
		o.ask(t, "PATCH", one, map[string]any{"credentials": map[string]any{"password": sipPassword}, "verification_evidence_id": o.evidence(t, body)}).want(t, 200)
		after := o.ask(t, "GET", fmt.Sprintf("/v1/phone-numbers/%d", n.num("0.id")), nil).want(t, 200)
		equal(t, after.num("voip_connection_id"), id)
	})
	t.Run("TP-01/a number is brought with a connection", func(t *testing.T) {
		equal(t, o.ask(t, "GET", "/v1/phone-numbers", nil).want(t, 200).str("0.source"), "voip")
	})
}

// TestTelnyx is the part of family TP that speaks to a provider's API.
func TestTelnyx(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	number := w.number()
	w.telnyx.Connections = append(w.telnyx.Connections, &providerfake.TelnyxConnection{ID: "1293384261075731499", RecordType: "credential_connection", Name: "Acme Main", UserName: sipUser, Password: sipPassword, Profile: "2"})
	w.telnyx.Numbers = append(w.telnyx.Numbers, &providerfake.TelnyxNumber{ID: "1", Number: number, ConnectionID: "1293384261075731499", Status: "active"})
	w.telnyx.Profiles = append(w.telnyx.Profiles, &providerfake.TelnyxProfile{ID: "2", Name: "out", Enabled: true, Destinations: []string{"US", "CA"}})
	w.telnyx.Registered = func(string) string { return peers.EdgeHost }
	body := map[string]any{"provider": "telnyx", "credentials": map[string]any{"apiKey": telnyxKey, "connectionId": "1293384261075731499"},
		"sip_config": map[string]any{"domain": "acme.sip.telnyx.com"}}
	t.Run("TP-13/camelCase inside credentials, snake_case outside", func(t *testing.T) {
		o.ask(t, "POST", connectionsPath+"/suggest-name", body).want(t, 200)
		if r := o.ask(t, "POST", connectionsPath+"/suggest-name", with(body, "credentials", map[string]any{"api_key": telnyxKey})).want(t, 400); !strings.Contains(r.text, "credentials") {
			t.Error(r.text)
		}
	})
	t.Run("TP-21/the suggested name", func(t *testing.T) {
		r := o.ask(t, "POST", connectionsPath+"/suggest-name", body).want(t, 200)
		match(t, r, "suggested_connection_name", regexp.MustCompile(`^Telnyx: .+ \(\+\d+\)$`))
	})
	t.Run("M-25/a name is suggested", func(t *testing.T) {
		o.ask(t, "POST", connectionsPath+"/suggest-name", body).want(t, 200)
		o.ask(t, "POST", connectionsPath+"/suggest-name", map[string]any{}).want(t, 400)
	})
	t.Run("DA-24/a provider's connection owns its SIP credential", func(t *testing.T) {
		trunk := w.sipConfig(number)
		body := with(body, "credentials", map[string]any{"apiKey": telnyxKey, "connectionId": "1293384261075731499", "sipUsername": sipUser, "sipPassword": sipPassword}, "sip_config", trunk)
		made := o.ask(t, "POST", connectionsPath, with(body, "verification_evidence_id", o.evidence(t, body))).want(t, 201)
		match(t, made, "name", regexp.MustCompile(`^Telnyx: Acme Main`))
		r := o.ask(t, "GET", credentialsPath+"/"+made.str("sip_credential_id"), nil).want(t, 200)
		equal(t, r.str("source"), "provider")
		match(t, r, "providerId", isUUID)
		if r := o.ask(t, "PUT", credentialsPath+"/"+r.str("id"), map[string]any{"server": "127.0.0.9"}); r.status != 403 && r.status != 409 {
			t.Errorf("PUT: %d %s", r.status, r.text)
		}
	})
	t.Run("a wrong key is told as such", func(t *testing.T) {
		r := o.ask(t, "POST", connectionsPath+"/test", with(body, "credentials", map[string]any{"apiKey": wrongTelnyxKey, "connectionId": "1293384261075731499"})).want(t, 200)
		equal(t, r.str("status"), "fail")
		equal(t, r.at("checks.credentials_valid"), false)
	})
}

// TestEvidence is Q-15: evidence is good once, for what was tested, in the organization that tested.
func TestEvidence(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	other := w.org("other", "owner")
	body := w.manual(sipPassword, w.number())
	create := func(o *org, body map[string]any, evidence any) reply {
		return o.ask(t, "POST", connectionsPath, with(body, "name", "c", "verification_evidence_id", evidence))
	}
	refused := func(t *testing.T, r reply) {
		t.Helper()
		if r.want(t, 400); !r.has("verification_evidence_id") {
			t.Errorf("the field is not named: %s", r.text)
		}
	}
	evidence := o.evidence(t, body)
	t.Run("M-21/missing", func(t *testing.T) { refused(t, create(o, body, nil)) })
	t.Run("M-21/unknown", func(t *testing.T) { refused(t, create(o, body, "b9a2c0de-0000-4000-8000-000000000000")) })
	t.Run("M-21/of another organization", func(t *testing.T) { refused(t, create(other, body, evidence)) })
	t.Run("M-21/for other credentials", func(t *testing.T) {
		refused(t, create(o, with(body, "credentials", map[string]any{"username": sipUser, "password": wrongPassword}), evidence))
	})
	t.Run("M-21/for another sip_config", func(t *testing.T) {
		refused(t, create(o, with(body, "sip_config", with(w.sipConfig(w.number()), "domain", "other.example")), evidence))
	})
	t.Run("M-21/for another provider", func(t *testing.T) {
		r := create(o, with(body, "provider", "vonage", "credentials", map[string]any{"apiKey": "abcdef01", "apiSecret": digestPassword}), evidence)
		r.want(t, 400)
	})
	t.Run("M-21/of a failed test there is none", func(t *testing.T) {
		r := o.ask(t, "POST", connectionsPath+"/test", w.manual(wrongPassword, w.number())).want(t, 200)
		equal(t, r.at("verification_evidence_id"), nil)
	})
	t.Run("M-21/good", func(t *testing.T) {
		r := create(o, body, evidence).want(t, 201)
		equal(t, r.str("status"), "connected")
		members(t, r, "", "id", "created_at", "updated_at")
	})
	t.Run("M-21/a second time", func(t *testing.T) { refused(t, create(o, body, evidence)) })
}

// TestMergedConnections is section 7.3 call by call.
func TestMergedConnections(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	t.Run("M-20/200 also when it fails, 400 for the shape, 401", func(t *testing.T) {
		r := o.ask(t, "POST", connectionsPath+"/test", w.manual(wrongPassword, w.number())).want(t, 200)
		equal(t, r.str("status"), "fail")
		members(t, r, "", "status", "verification_evidence_id", "suggested_connection_name", "checks", "details")
		members(t, r, "details.0", "check", "step", "verdict", "code", "message", "fix", "hint", "duration_ms", "at")
		o.ask(t, "POST", connectionsPath+"/test", map[string]any{"provider": "manual"}).want(t, 400)
		(&org{w: w}).ask(t, "POST", connectionsPath+"/test", w.manual(wrongPassword, w.number())).want(t, 401)
	})
	t.Run("M-20/steps are streamed as they happen", func(t *testing.T) {
		var steps int
		var result string
		o.stream(t, "POST", connectionsPath+"/test", w.manual(sipPassword, w.number()), func(event, data string) bool {
			switch event {
			case "step":
				steps++
			case "result":
				result = data
			}
			return event == "result"
		})
		var r reply
		if json.Unmarshal([]byte(result), &r.value) != nil || r.str("status") != "pass" || steps == 0 || steps != len(r.list("details")) {
			t.Errorf("%d steps, then %s", steps, result)
		}
	})
	id := o.connect(t, "first")
	second := o.connect(t, "second")
	one := fmt.Sprintf("%s/%d", connectionsPath, id)
	t.Run("M-22/list and one", func(t *testing.T) {
		list := o.ask(t, "GET", connectionsPath, nil).want(t, 200)
		equal(t, list.num("0.id"), second)
		equal(t, list.num("1.id"), id)
		equal(t, o.ask(t, "GET", one, nil).want(t, 200).str("name"), "first")
		o.ask(t, "GET", connectionsPath+"/999999", nil).want(t, 404)
	})
	t.Run("M-23/PATCH", func(t *testing.T) {
		equal(t, o.ask(t, "PATCH", one, map[string]any{"name": "renamed"}).want(t, 200).str("name"), "renamed")
		o.ask(t, "PATCH", one, map[string]any{"sip_config": map[string]any{"domain": "x.example"}}).want(t, 400)
		o.ask(t, "PATCH", connectionsPath+"/999999", map[string]any{"name": "x"}).want(t, 404)
		o.ask(t, "PATCH", one, map[string]any{"name": ""}).want(t, 400)
	})
	t.Run("M-23/If-Match", func(t *testing.T) {
		before := o.ask(t, "GET", one, nil).want(t, 200).header.Get("ETag")
		after := o.ask(t, "PATCH", one, map[string]any{"name": "again"}, "If-Match", before).want(t, 200).header.Get("ETag")
		o.ask(t, "PATCH", one, map[string]any{"name": "late"}, "If-Match", before).want(t, 412)
		o.ask(t, "PATCH", one, map[string]any{"name": "in time"}, "If-Match", after).want(t, 200)
		o.ask(t, "DELETE", one, nil, "If-Match", after).want(t, 412)
	})
	t.Run("M-27/import", func(t *testing.T) {
		first, further := w.number(), w.number()
		r := o.ask(t, "POST", one+"/import-numbers", map[string]any{"numbers": []string{first}}).want(t, 201)
		equal(t, r.str("0.number"), first)
		r = o.ask(t, "POST", one+"/import-numbers", map[string]any{"numbers": []string{first, further, further, "12", "+0"}}).want(t, 200)
		equal(t, len(r.list("imported")), 1)
		reasons := map[string]string{}
		for _, s := range r.list("skipped") {
			reasons[at(s, "number").(string)] = at(s, "reason").(string)
		}
		for number, reason := range map[string]string{first: "already_imported", further: "duplicate", "12": "malformed", "+0": "malformed"} {
			equal(t, reasons[number], reason)
		}
		other := w.org("other", "owner")
		theirs := other.connect(t, "theirs")
		r = other.ask(t, "POST", fmt.Sprintf("%s/%d/import-numbers", connectionsPath, theirs), map[string]any{"numbers": []string{first}}).want(t, 200)
		equal(t, r.str("skipped.0.reason"), "not_available")
		o.ask(t, "POST", one+"/import-numbers", map[string]any{"numbers": []string{}}).want(t, 400)
		o.ask(t, "POST", one+"/import-numbers", map[string]any{}).want(t, 400)
		o.ask(t, "POST", connectionsPath+"/999999/import-numbers", map[string]any{"numbers": []string{w.number()}}).want(t, 404)
	})
	t.Run("M-26/available numbers", func(t *testing.T) {
		equal(t, len(o.ask(t, "GET", one+"/available-numbers", nil).want(t, 200).list("")), 0)
		o.ask(t, "GET", connectionsPath+"/999999/available-numbers", nil).want(t, 404)
	})
	t.Run("M-24/DELETE", func(t *testing.T) {
		r := o.ask(t, "DELETE", one, nil).want(t, 409)
		equal(t, strings.Contains(r.text, "2"), true) // how many numbers
		o.ask(t, "DELETE", one+"?force=true", nil).want(t, 204)
		for _, n := range o.ask(t, "GET", "/v1/phone-numbers", nil).want(t, 200).list("") {
			equal(t, at(n, "status"), "failed")
			equal(t, at(n, "voip_connection_id"), nil)
		}
		o.ask(t, "GET", one, nil).want(t, 404)
		o.ask(t, "DELETE", one, nil).want(t, 404)
		o.ask(t, "DELETE", fmt.Sprintf("%s/%d", connectionsPath, second), nil).want(t, 204)
	})
	t.Run("M-20/asked again under one Idempotency-Key", func(t *testing.T) {
		body := w.manual(sipPassword, w.number())
		first := o.ask(t, "POST", connectionsPath+"/test", body, "Idempotency-Key", "once").want(t, 200)
		second := o.ask(t, "POST", connectionsPath+"/test", body, "Idempotency-Key", "once").want(t, 200)
		equal(t, second.str("verification_evidence_id"), first.str("verification_evidence_id"))
		equal(t, second.header.Get("Idempotency-Replayed"), "true")
		o.ask(t, "POST", connectionsPath+"/test", w.manual(wrongPassword, w.number()), "Idempotency-Key", "once").want(t, 409)
	})
}
