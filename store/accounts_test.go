package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/config"
	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

// TestEvidence: only what was tested, by whom it was tested, once and within 15 minutes (M-21, Q-15).
func TestEvidence(t *testing.T) {
	w := newTenancy(t)
	acme, other := w.org("acme"), w.org("other")
	for _, test := range []struct {
		name   string
		words  string // of the refusal
		change func(*account.NewConnection)
		who    account.Caller
	}{
		{"none", "verification_evidence_id: is missing", func(n *account.NewConnection) { n.EvidenceID = "" }, acme},
		{"invented", "is unknown", func(n *account.NewConnection) { n.EvidenceID = "b9a20000-0000-4000-8000-000000000000" }, acme},
		{"of another organization", "is unknown", func(*account.NewConnection) {}, other},
		{"with another secret", "other credentials", func(n *account.NewConnection) { n.Credentials["sipPassword"] = "another" }, acme},
		{"with one credential more", "other credentials", func(n *account.NewConnection) { delete(n.Credentials, "connectionId") }, acme},
		{"with another sip_config", "another sip_config", func(n *account.NewConnection) { n.SIPConfig.CPSLimit = new(5.0) }, acme},
		{"with another provider", "another provider", func(n *account.NewConnection) {
			n.Provider, n.Credentials = provider.Vonage, provider.Credentials{"apiKey": "abcdef12", "apiSecret": "abcdefghijklmnop"}
		}, acme},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := account.NewConnection{Name: test.name, Provider: provider.Telnyx, Credentials: telnyxCredentials(), SIPConfig: telnyxSIP(), EvidenceID: w.evidence(acme, telnyxCredentials(), telnyxSIP())}
			test.change(&n)
			_, err := w.service.CreateConnection(t.Context(), test.who, n)
			if !is[*account.Invalid](err) || !strings.Contains(err.Error(), test.words) {
				t.Errorf("got %v, want %q", err, test.words)
			}
		})
	}
	t.Run("used before", func(t *testing.T) {
		n := account.NewConnection{Provider: provider.Telnyx, Credentials: telnyxCredentials(), SIPConfig: telnyxSIP(), EvidenceID: w.evidence(acme, telnyxCredentials(), telnyxSIP())}
		made, err := w.service.CreateConnection(t.Context(), acme, n)
		if err != nil || made.Status != account.ConnectionConnected || made.Name != "Telnyx: Acme Main" || !made.InferredName || made.LastTestedAt == nil {
			t.Fatalf("%+v %v", made, err)
		}
		if _, err := w.service.CreateConnection(t.Context(), acme, n); !is[*account.Invalid](err) || !strings.Contains(err.Error(), "was used before") {
			t.Errorf("the second time: %v", err)
		}
	})
	t.Run("too old", func(t *testing.T) {
		n := account.NewConnection{Provider: provider.Telnyx, Credentials: telnyxCredentials(), SIPConfig: telnyxSIP(), EvidenceID: w.evidence(acme, telnyxCredentials(), telnyxSIP())}
		w.exec("UPDATE evidence SET expires_ms = ? WHERE id = ?", time.Now().Add(-time.Millisecond).UnixMilli(), n.EvidenceID)
		if _, err := w.service.CreateConnection(t.Context(), acme, n); !is[*account.Invalid](err) || !strings.Contains(err.Error(), "has expired") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of a test that failed there is none", func(t *testing.T) {
		for _, check := range []string{account.CredentialsValid, account.InboundReachable, account.OutboundAuthorized} {
			w.prober.say(check, provider.Fail)
			result, err := w.service.Test(t.Context(), acme, account.TestRequest{Provider: provider.Telnyx, Credentials: telnyxCredentials(), SIPConfig: telnyxSIP()})
			if err != nil || result.Passed || result.EvidenceID != "" || result.Checks.OK(check) {
				t.Errorf("%s: %+v %v", check, result, err)
			}
			for _, others := range []string{account.CredentialsValid, account.InboundReachable, account.OutboundAuthorized} {
				if others != check && !result.Checks.OK(others) {
					t.Errorf("%s has failed, and %s with it", check, others)
				}
			}
			w.prober.say(check, provider.Pass)
		}
	})
	if n := w.count("SELECT count(*) FROM connections"); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func (w *tenancy) exec(query string, args ...any) {
	w.t.Helper()
	if _, err := w.db.writer.Exec(query, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *tenancy) count(query string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.reader.QueryRow(query, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestRotation: PATCH merges over what is stored, and the trunk stays the same one with another password.
func TestRotation(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	made := w.connection(acme, "main")
	numbers := w.imported(acme, made.ID, "+15550001234")
	before := w.inForce().Trunks[0]

	if _, err := w.service.UpdateConnection(t.Context(), acme, made.ID, account.ConnectionChange{Credentials: provider.Credentials{"sipPassword": rotatedSecret}}); !is[*account.Invalid](err) {
		t.Errorf("without evidence: %v", err)
	}
	merged := provider.Merge(telnyxCredentials(), provider.Credentials{"sipPassword": rotatedSecret})
	evidence := w.evidence(acme, merged, telnyxSIP())
	if _, err := w.service.UpdateConnection(t.Context(), acme, made.ID, account.ConnectionChange{EvidenceID: evidence, Credentials: provider.Credentials{"sipPassword": "another"}}); !is[*account.Invalid](err) {
		t.Errorf("evidence of other credentials: %v", err)
	}
	if _, err := w.service.UpdateConnection(t.Context(), acme, made.ID, account.ConnectionChange{EvidenceID: evidence, IfVersion: 99, Credentials: provider.Credentials{"sipPassword": rotatedSecret}}); !is[*account.Changed](err) {
		t.Errorf("another version: %v", err)
	}
	after, err := w.service.UpdateConnection(t.Context(), acme, made.ID, account.ConnectionChange{EvidenceID: evidence, Credentials: provider.Credentials{"sipPassword": rotatedSecret}})
	if err != nil || after.ID != made.ID || after.Trunk != made.Trunk || after.NumbersImported != 1 || after.Version <= made.Version {
		t.Fatalf("%+v %v", after, err)
	}
	trunk := w.inForce().Trunks[0]
	if trunk.AuthPassword.Reveal() != rotatedSecret || trunk.Name != before.Name || !trunk.Register {
		t.Errorf("in force: %+v", trunk)
	}
	if n, err := w.service.Number(t.Context(), acme, numbers[0].ID); err != nil || n.Connection != made.ID {
		t.Errorf("number: %+v %v", n, err)
	}
	renamed, err := w.service.UpdateConnection(t.Context(), acme, made.ID, account.ConnectionChange{Name: new("renamed")})
	if err != nil || renamed.Name != "renamed" || renamed.InferredName {
		t.Errorf("renamed: %+v %v", renamed, err)
	}
	w.connection(acme, "second")
	if _, err := w.service.UpdateConnection(t.Context(), acme, made.ID, account.ConnectionChange{Name: new("second")}); !is[*account.Conflict](err) {
		t.Errorf("a name that is taken: %v", err)
	}
}

// TestImport: what cannot be imported is skipped with a reason, and nothing is said of other organizations.
func TestImport(t *testing.T) {
	w := newTenancy(t)
	acme, other := w.org("acme"), w.org("other")
	conn, foreign := w.connection(acme, "main"), w.connection(other, "theirs")
	w.imported(other, foreign.ID, "+15550000001")
	w.imported(acme, conn.ID, "+15550000002")
	w.engine.file.Numbers = []config.Number{{Number: "+15550000004", Trunk: "carrier"}}
	w.at.have("+15550000003", "+15550000004", "+15550000005")

	available, err := w.service.AvailableNumbers(t.Context(), acme, conn.ID)
	if err != nil || fmt.Sprint(available) != "[{+15550000003 } {+15550000005 }]" {
		t.Errorf("available: %v %v", available, err)
	}
	done, err := w.service.ImportNumbers(t.Context(), acme, conn.ID,
		[]string{"+15550000001", "+15550000002", "+15550000003", "+15550000003", "+15550000004", "+15559999999", "15550000005", "+1555'; DROP", ""})
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]account.SkipReason{}
	for _, s := range done.Skipped {
		reasons[s.Number] = s.Reason
	}
	if len(done.Imported) != 1 || done.Imported[0].Number != "+15550000003" || done.Imported[0].Status != account.NumberProvisioning || done.Imported[0].Source != "voip" || done.Imported[0].Connection != conn.ID {
		t.Errorf("imported: %+v", done.Imported)
	}
	want := map[string]account.SkipReason{"+15550000001": account.SkipUnavailable, "+15550000002": account.SkipAlreadyOurs, "+15550000003": account.SkipDuplicate, "+15550000004": account.SkipUnavailable,
		"+15559999999": account.SkipUnavailable, "15550000005": account.SkipMalformed, "+1555'; DROP": account.SkipMalformed, "": account.SkipMalformed}
	if fmt.Sprint(reasons) != fmt.Sprint(want) {
		t.Errorf("skipped: %v\nwant     %v", reasons, want)
	}
	page, err := w.service.Numbers(t.Context(), acme, account.NumberFilter{Connection: conn.ID, Limit: 1})
	if err != nil || len(page) != 1 || page[0].ID != done.Imported[0].ID {
		t.Errorf("the newest: %+v %v", page, err)
	}
	if page, err = w.service.Numbers(t.Context(), acme, account.NumberFilter{Limit: 5, Before: page[0].ID}); err != nil || len(page) != 1 || page[0].Number != "+15550000002" {
		t.Errorf("those before: %+v %v", page, err)
	}
	if _, err := w.service.ImportNumbers(t.Context(), acme, conn.ID, nil); !is[*account.Invalid](err) {
		t.Errorf("no numbers: %v", err)
	}
	w.at.fail(&provider.Error{Provider: provider.Telnyx, Doing: "list numbers", Class: provider.RateLimited, RetryAfter: 7 * time.Second})
	failed, ok := errors.AsType[*account.ProviderFailed](second(w.service.AvailableNumbers(t.Context(), acme, conn.ID)))
	if !ok || failed.RetryAfter != 7*time.Second {
		t.Errorf("the provider fails: %v", failed)
	}
}

func second[T any](_ T, err error) error { return err }

// TestVerification: what a number may be used for follows from its status and from how its last verification went.
func TestVerification(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	conn := w.connection(acme, "main")
	agent := w.agent(acme, "app", "203.0.113.9")
	n := w.imported(acme, conn.ID, "+15550001234")[0]
	n, err := w.service.UpdateNumber(t.Context(), acme, n.ID, account.NumberChange{InboundAgent: account.Optional[int64]{Set: true, Value: &agent.ID}, OutboundAgent: account.Optional[int64]{Set: true, Value: &agent.ID}})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(want account.Verified, status account.NumberStatus) account.Verification {
		t.Helper()
		v, err := w.service.VerifyNumber(t.Context(), acme, n.ID, nil)
		if err != nil || v.Number.Verification != want || v.Number.Status != status {
			t.Fatalf("%+v %v", v.Number, err)
		}
		return v
	}
	routed := func(in, out bool) {
		t.Helper()
		numbers := w.inForce().Numbers
		if gotIn := len(numbers) == 1 && numbers[0].InboundAgent == agent.EngineName; gotIn != in {
			t.Errorf("inbound %t, want %t: %+v", gotIn, in, numbers)
		}
		if gotOut := len(numbers) == 1 && numbers[0].OutboundAgent == agent.EngineName; gotOut != out {
			t.Errorf("outbound %t, want %t: %+v", gotOut, out, numbers)
		}
	}
	routed(false, false) // imported alone routes nothing (TP-36)
	if _, err := w.service.UpdateNumber(t.Context(), acme, n.ID, account.NumberChange{Status: new(account.NumberActive)}); !is[*account.Invalid](err) {
		t.Errorf("active without verification: %v", err)
	}
	w.prober.sayOf(n.Number, provider.Fail)
	w.at.inbound = provider.Finding{Verdict: provider.Fail, Code: "number_unassigned", Message: "the number has no connection", Fix: "assign it"}
	v := verify(account.VerificationFailed, account.NumberProvisioning)
	if v.Checks.InboundReachable || !v.Checks.OutboundAuthorized || !slices.ContainsFunc(v.Steps, func(s account.Step) bool { return s.Code == "number_unassigned" }) {
		t.Errorf("what failed: %+v", v)
	}
	routed(false, false)
	w.prober.sayOf(n.Number, provider.Pass)
	verify(account.VerifiedOK, account.NumberActive) // TP-38, TP-39
	routed(true, true)
	w.prober.sayOf(n.Number, provider.Fail)
	verify(account.VerificationFailed, account.NumberActive)
	routed(true, false)
	w.prober.sayOf(n.Number, provider.Pass)
	verify(account.VerifiedOK, account.NumberActive)
	if _, err := w.service.UpdateNumber(t.Context(), acme, n.ID, account.NumberChange{Status: new(account.NumberProvisioning)}); err != nil {
		t.Fatal(err)
	}
	routed(false, false)
	if _, err := w.service.UpdateNumber(t.Context(), acme, n.ID, account.NumberChange{Status: new(account.NumberActive)}); err != nil {
		t.Fatal(err)
	}
	routed(true, true)

	again := w.imported(acme, conn.ID, "+15550001235")[0]
	w.prober.sayOf(again.Number, provider.Inconclusive)
	for range 3 {
		if _, err := w.service.VerifyNumber(t.Context(), acme, again.ID, nil); err != nil {
			t.Fatal(err)
		}
	}
	if again, _ = w.service.Number(t.Context(), acme, again.ID); again.Status != account.NumberFailed {
		t.Errorf("after three failures: %s", again.Status)
	}
	if err := w.service.DeleteConnection(t.Context(), acme, conn.ID, false); err == nil || conflictCount(err) != 2 {
		t.Errorf("delete with numbers: %v", err)
	}
	if err := w.service.DeleteConnection(t.Context(), acme, conn.ID, true); err != nil {
		t.Fatal(err)
	}
	if n, err = w.service.Number(t.Context(), acme, n.ID); err != nil || n.Status != account.NumberFailed || n.Connection != 0 {
		t.Errorf("detached: %+v %v", n, err)
	}
	routed(false, false)
	if _, err := w.service.VerifyNumber(t.Context(), acme, n.ID, nil); !is[*account.Conflict](err) {
		t.Errorf("verify without a connection: %v", err)
	}
}

func conflictCount(err error) int {
	if c, ok := errors.AsType[*account.Conflict](err); ok {
		return c.Count
	}
	return 0
}

// TestOneOrganizationSeesNothingOfAnother: M-03. What exists elsewhere is not found, whatever is asked.
func TestOneOrganizationSeesNothingOfAnother(t *testing.T) {
	w := newTenancy(t)
	acme, spy := w.org("acme"), w.org("spy")
	s, ctx := w.service, t.Context()
	conn := w.connection(acme, "main")
	number := w.imported(acme, conn.ID, "+15550001234")[0]
	agent := w.agent(acme, "app", "203.0.113.9")
	credential, err := s.CreateSIPCredential(ctx, acme, account.SIPCredentialSettings{Server: "sip.example.com", Password: daSecret, AuthUser: "u"})
	if err != nil {
		t.Fatal(err)
	}
	op, err := s.VerifyNumbers(ctx, acme, account.VerifyNumbers{})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.Keys(ctx, acme)
	if err != nil {
		t.Fatal(err)
	}
	own := w.agent(spy, "own", "203.0.113.10")
	theirs := w.connection(spy, "theirs")
	mine := w.imported(spy, theirs.ID, "+15550009999")[0]
	for name, err := range map[string]error{
		"connection":            second(s.Connection(ctx, spy, conn.ID)),
		"rename connection":     second(s.UpdateConnection(ctx, spy, conn.ID, account.ConnectionChange{Name: new("x")})),
		"delete connection":     s.DeleteConnection(ctx, spy, conn.ID, true),
		"available numbers":     second(s.AvailableNumbers(ctx, spy, conn.ID)),
		"import":                second(s.ImportNumbers(ctx, spy, conn.ID, []string{"+15550001111"})),
		"import to credential":  second(s.ImportToSIPCredential(ctx, spy, credential.ID, []string{"+15550001111"})),
		"number":                second(s.Number(ctx, spy, number.ID)),
		"change number":         second(s.UpdateNumber(ctx, spy, number.ID, account.NumberChange{})),
		"verify number":         second(s.VerifyNumber(ctx, spy, number.ID, nil)),
		"transfer number":       second(s.TransferNumber(ctx, spy, number.ID, account.Transfer{Organization: acme.Org})),
		"release number":        s.ReleaseNumber(ctx, spy, number.ID),
		"verify all of":         second(s.VerifyNumbers(ctx, spy, account.VerifyNumbers{Connection: conn.ID})),
		"agent":                 second(s.Agent(ctx, spy, agent.ID)),
		"change agent":          second(s.UpdateAgent(ctx, spy, agent.ID, account.AgentChange{Name: new("x")})),
		"delete agent":          s.DeleteAgent(ctx, spy, agent.ID, true),
		"SIP credential":        second(s.SIPCredential(ctx, spy, credential.ID)),
		"replace credential":    second(s.ReplaceSIPCredential(ctx, spy, credential.ID, account.SIPCredentialSettings{Server: "x.example"}, 0)),
		"delete SIP credential": s.DeleteSIPCredential(ctx, spy, credential.ID, true),
		"affected agents":       second(s.AffectedAgents(ctx, spy, credential.ID)),
		"operation":             second(s.Operation(ctx, spy, op.ID)),
		"items":                 second(s.OperationItems(ctx, spy, op.ID, "", 10)),
		"cancel operation":      s.CancelOperation(ctx, spy, op.ID),
		"revoke key":            s.RevokeKey(ctx, spy, keys[0].ID),
	} {
		if !is[*account.NotFound](err) {
			t.Errorf("%s: got %v, want NotFound", name, err)
		}
	}
	if _, err := s.UpdateNumber(ctx, spy, mine.ID, account.NumberChange{InboundAgent: account.Optional[int64]{Set: true, Value: &agent.ID}}); !is[*account.Invalid](err) {
		t.Errorf("another's agent on an own number: %v", err)
	}
	if err := second(s.VerifyNumbers(ctx, spy, account.VerifyNumbers{Numbers: []int64{number.ID}})); !is[*account.Invalid](err) {
		t.Errorf("another's number in a bulk verification: %v", err)
	}
	connections, _ := s.Connections(ctx, spy)
	numbers, _ := s.Numbers(ctx, spy, account.NumberFilter{Connection: conn.ID})
	agents, _ := s.Agents(ctx, spy)
	credentials, total, _ := s.SIPCredentials(ctx, spy, 0, 100)
	operations, _ := s.Operations(ctx, spy)
	spyKeys, _ := s.Keys(ctx, spy)
	if len(connections) != 1 || len(numbers) != 0 || len(agents) != 1 || agents[0].ID != own.ID || len(credentials) != 1 || total != 1 || len(operations) != 0 || len(spyKeys) != 1 {
		t.Errorf("lists: %d connections, %d numbers, %d agents, %d credentials, %d operations, %d keys", len(connections), len(numbers), len(agents), total, len(operations), len(spyKeys))
	}
	events, _ := s.Events(ctx, spy, account.EventFilter{})
	audit, _ := s.Audit(ctx, spy, account.AuditFilter{})
	for _, e := range events {
		if e.Org != spy.Org || strings.Contains(string(e.Data), "+15550001234") {
			t.Errorf("event of another: %+v", e)
		}
	}
	for _, e := range audit {
		if e.Org != spy.Org {
			t.Errorf("audit entry of another: %+v", e)
		}
	}
	// The database itself refuses what would point across.
	if _, err := w.db.writer.Exec("UPDATE numbers SET inbound_agent_id = ? WHERE id = ?", agent.ID, mine.ID); err == nil {
		t.Error("a number may point to another organization's agent")
	}
}

// TestRoles: reading is for members, changing for admins, transferring for owners who belong to both sides.
func TestRoles(t *testing.T) {
	w := newTenancy(t)
	s, ctx := w.service, t.Context()
	acme := w.org("acme")
	conn := w.connection(acme, "main")
	n := w.imported(acme, conn.ID, "+15550001234")[0]
	member, admin, nobody := acme, acme, acme
	member.Role, admin.Role, nobody.Role = account.Member, account.Admin, ""
	if _, err := s.Numbers(ctx, member, account.NumberFilter{}); err != nil {
		t.Errorf("a member may not read: %v", err)
	}
	for name, err := range map[string]error{
		"read":     second(s.Numbers(ctx, nobody, account.NumberFilter{})),
		"keys":     second(s.Keys(ctx, member)),
		"audit":    second(s.Audit(ctx, member, account.AuditFilter{})),
		"test":     second(s.Test(ctx, member, account.TestRequest{Provider: provider.Telnyx})),
		"create":   second(s.CreateConnection(ctx, member, account.NewConnection{})),
		"verify":   second(s.VerifyNumber(ctx, member, n.ID, nil)),
		"agent":    second(s.CreateAgent(ctx, member, account.AgentSettings{Name: "x"})),
		"transfer": second(s.TransferNumber(ctx, admin, n.ID, account.Transfer{Organization: "x"})),
		"stranger": second(s.TransferNumber(ctx, acme, n.ID, account.Transfer{Organization: w.org("strangers").Org})),
	} {
		if !is[*account.Forbidden](err) {
			t.Errorf("%s: got %v, want Forbidden", name, err)
		}
	}
	_, raw, err := s.Bootstrap(ctx, account.Bootstrap{Organization: "sister", User: "acme-owner", Role: account.Member})
	if err != nil {
		t.Fatal(err)
	}
	sister, err := s.Authenticate(ctx, raw, "")
	if err != nil || sister.Role != account.Member {
		t.Fatal(sister, err)
	}
	moved, err := s.TransferNumber(ctx, acme, n.ID, account.Transfer{Organization: sister.Org})
	if err != nil || moved.Org != sister.Org || moved.Connection != 0 || moved.Status != account.NumberProvisioning {
		t.Fatalf("%+v %v", moved, err)
	}
	if _, err := s.Number(ctx, acme, n.ID); !is[*account.NotFound](err) {
		t.Errorf("the number is still there: %v", err)
	}
	if got, err := s.Number(ctx, sister, n.ID); err != nil || got.Number != n.Number {
		t.Errorf("the number did not arrive: %+v %v", got, err)
	}
	// The creator of a key lost the role: M-01.
	w.exec("DELETE FROM members WHERE org_id = ?", sister.Org)
	if _, err := s.Authenticate(ctx, raw, ""); !is[*account.Forbidden](err) {
		t.Errorf("key of somebody who left: %v", err)
	}
}

// TestKeys: the life of a key, contract §8 number 1.
func TestKeys(t *testing.T) {
	w := newTenancy(t)
	s, ctx := w.service, t.Context()
	acme := w.org("acme")
	key, raw, err := s.CreateKey(ctx, acme, "")
	if err != nil {
		t.Fatal(err)
	}
	if text := raw.Reveal(); len(text) != 52 || !strings.HasPrefix(text, "sk_live_") || key.Prefix != text[:15] || key.Name != "Default key" || !key.Active() || key.LastUsedAt != nil {
		t.Errorf("%+v", key)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", raw, raw, raw), raw.Reveal()) {
		t.Error("the key prints itself")
	}
	who, err := s.Authenticate(ctx, raw, "192.0.2.7")
	if err != nil || who.Key != key.ID || who.Org != acme.Org || who.Role != account.Owner {
		t.Fatalf("%+v %v", who, err)
	}
	stop := w.run()
	defer stop()
	waitFor(t, "the last use is noted", func() bool {
		keys, err := s.Keys(ctx, acme)
		return err == nil && keys[0].ID == key.ID && keys[0].LastUsedAt != nil
	})
	for name, bad := range map[string]string{
		"unknown": "sk_live_00000000000000000000000000000000000000000000", "same prefix": raw.Reveal()[:20] + "00000000000000000000000000000000",
		"publishable": "pk_live_" + raw.Reveal()[8:], "too long": raw.Reveal() + "0", "upper case": strings.ToUpper(raw.Reveal()), "empty": "", "prefix": key.Prefix,
	} {
		if _, err := s.Authenticate(ctx, account.Secret(bad), ""); !is[*account.Unauthorized](err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.RevokeKey(ctx, who, key.ID); err != nil { // by itself: AK-29
		t.Fatal(err)
	}
	if _, err := s.Authenticate(ctx, raw, ""); !is[*account.Unauthorized](err) {
		t.Errorf("after revoking: %v", err)
	}
	if err := s.RevokeKey(ctx, acme, key.ID); err != nil {
		t.Errorf("again: %v", err)
	}
	// A second process sees it at once.
	elsewhere, err := Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	other, err := account.New(account.Options{Repository: elsewhere})
	if err != nil {
		t.Fatal(err)
	}
	_, raw, err = other.CreateKey(ctx, acme, "second")
	if err != nil {
		t.Fatal(err)
	}
	if who, err = s.Authenticate(ctx, raw, ""); err != nil {
		t.Errorf("a key of another process: %v", err)
	}
	if err := other.RevokeKey(ctx, acme, who.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(ctx, raw, ""); !is[*account.Unauthorized](err) {
		t.Errorf("revoked elsewhere: %v", err)
	}
	if _, _, err := s.CreateKey(ctx, acme, strings.Repeat("ä", 121)); !is[*account.Invalid](err) {
		t.Errorf("a long name: %v", err)
	}
}

// waitFor polls; other goroutines do the work.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// TestSIPCredentials: a SIP credential made directly is a trunk too; limits of a key are the organization's.
func TestSIPCredentials(t *testing.T) {
	w := newTenancy(t)
	s, ctx := w.service, t.Context()
	acme, other := w.org("acme"), w.org("other")
	for _, bad := range []account.SIPCredentialSettings{
		{}, {Server: strings.Repeat("a", 256)}, {Server: "sip:host"}, {Server: "host:99999"}, {Server: "host", Transport: "sctp"}, {Server: "host", Password: account.Secret(strings.Repeat("x", 65))},
		{Server: "host", CPSLimit: new(0.0)}, {Server: "host", CPSLimit: new(-1.0)}, {Server: "127.0.0.1"}, {Server: "10.1.2.3:5060"}, {Server: "[::1]:5060"}, {Server: "localhost"}, {Server: "169.254.169.254"},
		{Server: "host", Domain: "a host"}, {Server: "host", AuthUser: "a\"b"}, {Server: "host", CPSKey: strings.Repeat("k", 256)}, {Server: "host\r\nX: y"}, {Server: "host", Password: "a\r\nb"},
	} {
		if _, err := s.CreateSIPCredential(ctx, acme, bad); !is[*account.Invalid](err) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	made, err := s.CreateSIPCredential(ctx, acme, account.SIPCredentialSettings{Server: "sip.example.com", AuthUser: "u", Password: daSecret, CPSLimit: new(0.5), CPSKey: "shared"})
	if err != nil || made.Transport != "udp" || made.Source != account.SourceManual || made.ProviderID != "" || made.Password.Reveal() != daSecret {
		t.Fatalf("%+v %v", made, err)
	}
	if _, err := s.CreateSIPCredential(ctx, other, account.SIPCredentialSettings{Server: "sip.example.com", CPSLimit: new(3.0), CPSKey: "shared"}); err != nil {
		t.Fatal(err)
	}
	trunks := w.inForce().Trunks
	if len(trunks) != 2 || trunks[0].CPSKey == trunks[1].CPSKey || !trunks[0].Register || trunks[1].Register || *trunks[0].CPSLimit != 0.5 {
		t.Errorf("in force: %+v", trunks)
	}
	after, err := s.ReplaceSIPCredential(ctx, acme, made.ID, account.SIPCredentialSettings{Server: "sip2.example.com:5070", Transport: "tcp"}, made.Version)
	if err != nil || after.AuthUser != "" || after.Password != "" || after.Server != "sip2.example.com:5070" || after.Trunk != made.Trunk || !after.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("%+v %v", after, err)
	}
	if _, err := s.ReplaceSIPCredential(ctx, acme, made.ID, account.SIPCredentialSettings{Server: "x.example"}, made.Version); !is[*account.Changed](err) {
		t.Errorf("an old version: %v", err)
	}
	conn := w.connection(acme, "main")
	owned, err := s.SIPCredential(ctx, acme, conn.SIPCredential)
	if err != nil || owned.Source != account.SourceProvider || owned.ProviderID != conn.UID {
		t.Errorf("%+v %v", owned, err)
	}
	if _, err := s.ReplaceSIPCredential(ctx, acme, owned.ID, account.SIPCredentialSettings{Server: "x.example"}, 0); !is[*account.Conflict](err) {
		t.Errorf("replace what a connection owns: %v", err)
	}
	if err := s.DeleteSIPCredential(ctx, acme, owned.ID, true); !is[*account.Conflict](err) {
		t.Errorf("delete what a connection owns: %v", err)
	}
	agent := w.agent(acme, "app", "203.0.113.9")
	done, err := s.ImportToSIPCredential(ctx, acme, made.ID, []string{"+15550001234"})
	if err != nil || len(done.Imported) != 1 {
		t.Fatalf("%+v %v", done, err)
	}
	if _, err := s.UpdateNumber(ctx, acme, done.Imported[0].ID, account.NumberChange{InboundAgent: account.Optional[int64]{Set: true, Value: &agent.ID}}); err != nil {
		t.Fatal(err)
	}
	if affected, err := s.AffectedAgents(ctx, acme, made.ID); err != nil || len(affected) != 1 || affected[0].ID != agent.ID {
		t.Errorf("affected: %+v %v", affected, err)
	}
	if err := s.DeleteSIPCredential(ctx, acme, made.ID, false); conflictCount(err) != 1 {
		t.Errorf("delete in use: %v", err)
	}
	if err := s.DeleteSIPCredential(ctx, acme, made.ID, true); err != nil {
		t.Error(err)
	}
	some, total, err := s.SIPCredentials(ctx, acme, 0, 1)
	if err != nil || total != 1 || len(some) != 1 {
		t.Errorf("%d of %d, %v", len(some), total, err)
	}
}

// TestSourcesStayApart: an address belongs to trunks, or to the agents of one organization.
func TestSourcesStayApart(t *testing.T) {
	w := newTenancy(t)
	s, ctx := w.service, t.Context()
	acme, other := w.org("acme"), w.org("other")
	w.engine.file = config.Config{Agents: []config.Agent{{Name: "app", SourceAddresses: []config.Source{source(t, "203.0.113.77")}}}}
	w.agent(acme, "app", "203.0.113.9")
	w.agent(acme, "second on the same host", "203.0.113.9")
	if _, err := s.CreateSIPCredential(ctx, acme, account.SIPCredentialSettings{Server: "8.8.8.8"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateSIPCredential(ctx, other, account.SIPCredentialSettings{Server: "8.8.8.8"}); err != nil {
		t.Errorf("two organizations with one carrier: %v", err)
	}
	for name, sources := range map[string][]string{"another's agent": {"203.0.113.9"}, "a network around it": {"203.0.113.0/24"}, "an agent of the file": {"203.0.113.77"}} {
		_, err := s.CreateAgent(ctx, other, account.AgentSettings{Name: name, SourceAddresses: sources})
		if !is[*account.Conflict](err) || strings.Contains(err.Error(), "acme") {
			t.Errorf("%s: %v", name, err)
		}
	}
	conn := w.connection(acme, "main")
	sip := telnyxSIP()
	sip.SourceAddresses = &[]string{"203.0.113.9"}
	if _, err := s.UpdateConnection(ctx, acme, conn.ID, account.ConnectionChange{SIPConfig: &sip, EvidenceID: w.evidence(acme, telnyxCredentials(), sip)}); !is[*account.Conflict](err) {
		t.Errorf("a trunk that calls from an agent's address: %v", err)
	}
}

func source(t *testing.T, text string) (s config.Source) {
	t.Helper()
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEventsAndAudit: each change left one of each, in the order of the changes, and no secret in them.
func TestEventsAndAudit(t *testing.T) {
	w := newTenancy(t)
	s, ctx := w.service, t.Context()
	acme := w.org("acme")
	changed := s.EventsChanged()
	conn := w.connection(acme, "main")
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the event")
	}
	w.imported(acme, conn.ID, "+15550001234")
	events, err := s.Events(ctx, acme, account.EventFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for i, e := range events {
		types = append(types, e.Type)
		if i > 0 && e.ID <= events[i-1].ID {
			t.Error("events out of order")
		}
	}
	if got := strings.Join(types, " "); got != "member.set key.created connection.created number.imported" {
		t.Errorf("events: %s", got)
	}
	later, err := s.Events(ctx, acme, account.EventFilter{After: events[1].ID, Types: []string{"number.imported"}})
	if err != nil || len(later) != 1 || later[0].Subject != "number/1" {
		t.Errorf("after the second: %+v %v", later, err)
	}
	audit, err := s.Audit(ctx, acme, account.AuditFilter{Limit: 2})
	if err != nil || len(audit) != 2 || audit[0].Action != "number.imported" || audit[0].Key != acme.Key || audit[0].User != acme.User || audit[0].Address != "192.0.2.1" {
		t.Errorf("audit: %+v %v", audit, err)
	}
	if more, err := s.Audit(ctx, acme, account.AuditFilter{Before: audit[1].ID}); err != nil || len(more) != 2 {
		t.Errorf("the page before: %+v %v", more, err)
	}
	if _, err := s.Events(ctx, acme, account.EventFilter{Limit: 1001}); !is[*account.Invalid](err) {
		t.Errorf("too many: %v", err)
	}
	// A change that is refused leaves nothing.
	n := len(events)
	if _, err := s.CreateSIPCredential(ctx, acme, account.SIPCredentialSettings{Server: ""}); err == nil {
		t.Fatal("taken")
	}
	if events, _ = s.Events(ctx, acme, account.EventFilter{}); len(events) != n {
		t.Errorf("%d events after a refusal, %d before", len(events), n)
	}
}

// TestReplay: a request under a key is done once, also when its answer got lost.
func TestReplay(t *testing.T) {
	w := newTenancy(t)
	s, ctx := w.service, t.Context()
	acme, other := w.org("acme"), w.org("other")
	one, two := [32]byte{1}, [32]byte{2}
	begin := func(who account.Caller, digest [32]byte) (*account.Replay, error) {
		return s.Begin(ctx, who, "key-1", digest)
	}
	if answer, err := begin(acme, one); answer != nil || err != nil {
		t.Fatal(answer, err)
	}
	if _, err := begin(acme, one); !is[*account.Conflict](err) {
		t.Errorf("under way: %v", err)
	}
	if answer, err := begin(other, one); answer != nil || err != nil {
		t.Errorf("another organization's: %v %v", answer, err)
	}
	if err := s.Finish(ctx, acme, "key-1", 201, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if answer, err := begin(acme, one); err != nil || answer == nil || answer.Status != 201 || string(answer.Body) != "{}" {
		t.Errorf("again: %+v %v", answer, err)
	}
	if _, err := begin(acme, two); !is[*account.Conflict](err) {
		t.Errorf("another request: %v", err)
	}
	if err := s.Forget(ctx, acme, "key-1"); err != nil {
		t.Fatal(err)
	}
	if answer, err := begin(acme, two); answer != nil || err != nil {
		t.Errorf("forgotten: %v %v", answer, err)
	}
	w.db.Close()
	w.open()
	s = w.service
	if answer, err := begin(acme, two); answer != nil || err != nil {
		t.Errorf("under way when the process ended: %v %v", answer, err)
	}
}

// TestForget: what has had its time goes, and nothing else.
func TestForget(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	conn := w.connection(acme, "main")
	numbers := w.imported(acme, conn.ID, "+15550000001", "+15550000002", "+15550000003")
	for _, n := range numbers[:2] {
		if err := w.service.ReleaseNumber(t.Context(), acme, n.ID); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().AddDate(0, 0, -60).UnixMilli()
	w.exec("UPDATE numbers SET updated_ms = ? WHERE id <> ?", long, numbers[1].ID)
	w.exec("UPDATE events SET at_ms = ? WHERE id <= 2", long)
	w.exec("UPDATE audit SET at_ms = ? WHERE id = 1", long)
	w.exec("UPDATE audit SET at_ms = ? WHERE id = 2", time.Now().AddDate(-2, 0, 0).UnixMilli())
	w.exec("UPDATE evidence SET expires_ms = ?", long)
	events, audit := w.count("SELECT count(*) FROM events"), w.count("SELECT count(*) FROM audit")
	stop := w.run()
	defer stop()
	waitFor(t, "the old is gone", func() bool {
		return w.count("SELECT count(*) FROM events") == events-2 && w.count("SELECT count(*) FROM audit") == audit-1 && w.count("SELECT count(*) FROM evidence") == 0 &&
			w.count("SELECT count(*) FROM numbers") == 2
	})
	if left, err := w.service.Numbers(t.Context(), acme, account.NumberFilter{}); err != nil || len(left) != 1 || left[0].ID != numbers[2].ID {
		t.Errorf("%+v %v", left, err)
	}
}
