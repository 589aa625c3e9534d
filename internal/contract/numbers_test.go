package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"trunkline/internal/carrier"
	"trunkline/internal/peers"
)

const numbersPath = "/v1/phone-numbers"

func numberPath(n reply) string { return fmt.Sprintf("%s/%d", numbersPath, n.num("id")) }

// TestNumbers is the family TP from the import on.
func TestNumbers(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	connection, imported := o.imported(t, "acme", 3)
	first := imported[0]
	one := numberPath(first)

	t.Run("TP-30/GET available-numbers", func(t *testing.T) {
		o.ask(t, "GET", fmt.Sprintf("%s/%d/available-numbers", connectionsPath, connection), nil).want(t, 200)
	})
	t.Run("TP-32/POST import-numbers", func(t *testing.T) { equal(t, len(imported), 3) })
	t.Run("TP-33/numbers are +E.164", func(t *testing.T) {
		r := o.ask(t, "POST", fmt.Sprintf("%s/%d/import-numbers", connectionsPath, connection), map[string]any{"numbers": "+15550009999"}).want(t, 400)
		equal(t, r.has("numbers"), true)
	})
	t.Run("TP-34/source voip, status provisioning", func(t *testing.T) {
		for _, n := range imported {
			equal(t, n.str("source"), "voip")
			equal(t, n.str("status"), "provisioning")
			equal(t, n.str("voip_verification_status"), "unverified")
		}
	})
	t.Run("TP-36/an imported number is not routed", func(t *testing.T) {
		_, err := w.carrier.Call(bounded(t), "+14155550100", first.str("number"))
		if err == nil {
			t.Error("the call is answered")
		}
	})
	agent := o.agent(t, "app")
	w.carrier.SetFaults(carrier.Faults{InviteCode: 403})
	failed := o.ask(t, "POST", one+"/verify-voip", nil).want(t, 200)
	w.carrier.SetFaults(carrier.Faults{})
	t.Run("TP-39/a failure says what failed", func(t *testing.T) {
		equal(t, failed.str("voip_verification_status"), "failed")
		equal(t, failed.at("checks.outbound_authorized"), false)
	})
	t.Run("TP-40/and what to do at the provider", func(t *testing.T) {
		for _, d := range failed.list("details") {
			if at(d, "verdict") == "fail" && at(d, "fix") != nil {
				return
			}
		}
		t.Errorf("no step names a fix: %s", failed.text)
	})
	verified := o.ask(t, "POST", one+"/verify-voip", nil).want(t, 200)
	t.Run("TP-35/POST verify-voip", func(t *testing.T) { verified.want(t, 200) })
	t.Run("TP-37/a call in and a call out", func(t *testing.T) {
		equal(t, verified.at("checks.inbound_reachable"), true)
		equal(t, verified.at("checks.outbound_authorized"), true)
	})
	t.Run("TP-38/verified and active", func(t *testing.T) {
		equal(t, verified.str("voip_verification_status"), "verified")
		equal(t, verified.str("status"), "active")
		equal(t, o.ask(t, "GET", one, nil).want(t, 200).str("status"), "active")
	})
	t.Run("TP-41/agents are assigned", func(t *testing.T) {
		r := o.ask(t, "PATCH", one, map[string]any{"inbound_agent_id": agent, "outbound_agent_id": agent}).want(t, 200)
		equal(t, r.num("inbound_agent_id"), agent)
		call, err := w.carrier.Call(bounded(t), "+14155550100", first.str("number"))
		if err != nil {
			t.Fatal(err)
		}
		if err := call.HangUp(bounded(t)); err != nil {
			t.Error(err)
		}
	})
	t.Run("TP-42/a verified number may call out", func(t *testing.T) {
		call, err := w.app.Call(bounded(t), first.str("number"), "+14155550100")
		if err != nil {
			t.Fatal(err)
		}
		if err := call.HangUp(bounded(t)); err != nil {
			t.Error(err)
		}
		second := imported[1] // not verified
		o.ask(t, "PATCH", numberPath(second), map[string]any{"outbound_agent_id": agent}).want(t, 200)
		if _, err := w.app.Call(bounded(t), second.str("number"), "+14155550100"); err == nil {
			t.Error("an unverified number is used as caller")
		}
	})
	t.Run("TP-48/calls out are listed", func(t *testing.T) {
		peers.Eventually(t, waitLong, "the call is recorded", func() bool {
			return find(o.ask(t, "GET", "/v1/calls?state=ended", nil).want(t, 200), "direction", "outbound").str("outcome") == "answered"
		})
	})
	t.Run("TP-31/a number of any organization is not available", func(t *testing.T) {
		other := w.org("other", "owner")
		theirs := other.connect(t, "theirs")
		r := other.ask(t, "POST", fmt.Sprintf("%s/%d/import-numbers", connectionsPath, theirs), map[string]any{"numbers": []string{first.str("number")}}).want(t, 200)
		equal(t, r.str("skipped.0.reason"), "not_available")
	})
	t.Run("TP-47/assign, transfer, release", func(t *testing.T) {
		o.ask(t, "DELETE", numberPath(imported[2]), nil).want(t, 204)
		o.ask(t, "GET", numberPath(imported[2]), nil).want(t, 404)
	})
	t.Run("Q-13/an active number that fails keeps its inbound calls and loses outbound", func(t *testing.T) {
		w.carrier.SetFaults(carrier.Faults{InviteCode: 403})
		r := o.ask(t, "POST", one+"/verify-voip", nil).want(t, 200)
		w.carrier.SetFaults(carrier.Faults{})
		equal(t, r.str("status"), "active")
		equal(t, r.str("voip_verification_status"), "failed")
		equal(t, r.truth("outbound_eligible"), false)
		call, err := w.carrier.Call(bounded(t), "+14155550100", first.str("number"))
		if err != nil {
			t.Fatalf("inbound: %v", err)
		}
		call.HangUp(bounded(t))
		if _, err := w.app.Call(bounded(t), first.str("number"), "+14155550100"); err == nil {
			t.Error("it is still used as caller")
		}
	})
}

// bounded is a context for one call.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestMergedNumbers is section 7.4 call by call.
func TestMergedNumbers(t *testing.T) {
	w := newWorld(t, worldOptions{})
	o := w.org("acme", "owner")
	_, imported := o.imported(t, "acme", 4)
	one := numberPath(imported[0])
	agent := o.agent(t, "app")
	t.Run("M-30/list and one", func(t *testing.T) {
		list := o.ask(t, "GET", numbersPath, nil).want(t, 200)
		equal(t, len(list.list("")), 4)
		equal(t, list.num("0.id") > list.num("1.id"), true) // newest first
		members(t, o.ask(t, "GET", one, nil).want(t, 200), "", "id", "number", "source", "status", "voip_verification_status", "voip_connection_id",
			"inbound_agent_id", "outbound_agent_id", "created_at", "updated_at")
		o.ask(t, "GET", numbersPath+"/999999", nil).want(t, 404)
		equal(t, len(o.ask(t, "GET", numbersPath+"?limit=3", nil).want(t, 200).list("")), 3)
		equal(t, len(o.ask(t, "GET", numbersPath+"?status=active", nil).want(t, 200).list("")), 0)
	})
	for _, method := range []string{"PATCH", "PUT"} {
		t.Run("M-31/"+method+" assigns agents", func(t *testing.T) {
			equal(t, o.ask(t, method, one, map[string]any{"inbound_agent_id": agent}).want(t, 200).num("inbound_agent_id"), agent)
			r := o.ask(t, method, one, map[string]any{"outbound_agent_id": agent}).want(t, 200)
			equal(t, r.num("inbound_agent_id"), agent) // what is absent stays
			r = o.ask(t, method, one, map[string]any{"inbound_agent_id": nil}).want(t, 200)
			equal(t, r.at("inbound_agent_id"), nil)
			if r := o.ask(t, method, one, map[string]any{"inbound_agent_id": 999999}).want(t, 400); !r.has("inbound_agent_id") {
				t.Error(r.text)
			}
			o.ask(t, method, one, map[string]any{"status": "released"}).want(t, 400)
			o.ask(t, method, one, map[string]any{"inbound_agent_id": "seven"}).want(t, 400)
			o.ask(t, method, numbersPath+"/999999", map[string]any{"inbound_agent_id": agent}).want(t, 404)
		})
	}
	t.Run("M-32/verify-voip", func(t *testing.T) {
		r := o.ask(t, "POST", one+"/verify-voip", nil).want(t, 200)
		equal(t, r.str("voip_verification_status"), "verified")
		equal(t, r.str("status"), "active")
		members(t, r, "", "checks", "details")
		match(t, r, "last_verified_at", isStamp)
		o.ask(t, "POST", numbersPath+"/999999/verify-voip", nil).want(t, 404)
		steps := 0
		o.stream(t, "POST", numberPath(imported[1])+"/verify-voip", nil, func(event, data string) bool {
			if event == "step" {
				steps++
			}
			var r reply
			return event == "result" && json.Unmarshal([]byte(data), &r.value) == nil && r.str("status") == "active"
		})
		equal(t, steps > 0, true)
	})
	t.Run("M-32/many at once, with progress", func(t *testing.T) {
		r := o.ask(t, "POST", numbersPath+"/verify-voip", map[string]any{"numbers": []int64{imported[2].num("id"), imported[3].num("id")}}).want(t, 202)
		equal(t, r.header.Get("Location"), "/v1/operations/"+r.str("id"))
		peers.Eventually(t, time.Minute, "the operation ends", func() bool {
			p := o.ask(t, "GET", r.header.Get("Location"), nil).want(t, 200)
			return p.str("state") == "done" && p.num("done") == 2 && p.num("failed") == 0
		})
		equal(t, o.ask(t, "GET", numberPath(imported[3]), nil).want(t, 200).str("status"), "active")
		o.ask(t, "GET", "/v1/operations", nil).want(t, 200)
		o.ask(t, "GET", "/v1/operations/unknown", nil).want(t, 404)
	})
	t.Run("M-33/transfer", func(t *testing.T) {
		other := w.org("other", "owner")
		id := other.ask(t, "GET", "/api/v1/sip-credentials", nil).want(t, 200)
		_ = id
		made := other.ask(t, "POST", "/api/v1/sip-credentials", map[string]any{"server": "192.0.2.1"}).want(t, 201)
		target := made.str("orgId")
		w.org("acme", "member").ask(t, "POST", one+"/transfer", map[string]any{"organization_id": target}).want(t, 403)
		o.ask(t, "POST", numbersPath+"/999999/transfer", map[string]any{"organization_id": target}).want(t, 404)
		o.ask(t, "POST", one+"/transfer", map[string]any{}).want(t, 400)
		if r := o.ask(t, "POST", one+"/transfer", map[string]any{"organization_id": "00000000-0000-4000-8000-000000000000"}); r.status != 404 && r.status != 403 {
			t.Errorf("to nobody: %d %s", r.status, r.text)
		}
		r := o.ask(t, "POST", one+"/transfer", map[string]any{"organization_id": target})
		if r.status != 200 {
			t.Fatalf("%d %s", r.status, r.text)
		}
		o.ask(t, "GET", one, nil).want(t, 404)
		equal(t, len(other.ask(t, "GET", numbersPath, nil).want(t, 200).list("")), 1)
	})
	t.Run("M-34/release", func(t *testing.T) {
		path := numberPath(imported[1])
		w.org("acme", "member").ask(t, "DELETE", path, nil).want(t, 403)
		o.ask(t, "DELETE", path, nil).want(t, 204)
		o.ask(t, "GET", path, nil).want(t, 404)
		o.ask(t, "DELETE", path, nil).want(t, 404)
		if text := o.ask(t, "GET", numbersPath, nil).want(t, 200).text; strings.Contains(text, imported[1].str("number")) {
			t.Error("it is still listed")
		}
	})
}
