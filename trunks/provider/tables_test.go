package provider

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every row says what it means, how to mend it, and where and when that was read.
func TestTables(t *testing.T) {
	all, err := readTables()
	if err != nil {
		t.Fatal(err)
	}
	date := regexp.MustCompile(`^20\d\d-(0[1-9]|1[0-2])(-\d\d)?$`)
	providers := map[Kind]bool{}
	for _, table := range all {
		providers[table.Provider] = true
		seen := map[string]bool{}
		for i := range table.Rows {
			row := &table.Rows[i]
			m := table.meaning(row, "")
			if m.Cause == "" || m.Means == "" || m.Fix == "" || m.Source == "" || !date.MatchString(m.Date) || len(row.Status) == 0 {
				t.Errorf("%s row %d is incomplete: %+v", table.Provider, i, m)
			}
			if len(row.Code) == 0 && len(row.Words) == 0 {
				t.Errorf("%s row %d never fits", table.Provider, i)
			}
			for _, w := range row.Words {
				if w != strings.ToLower(w) {
					t.Errorf("%s: %q would never be found: words are compared in lower case", table.Provider, w)
				}
			}
			for _, code := range row.Code {
				if seen[code] {
					t.Errorf("%s has code %s twice", table.Provider, code)
				}
				seen[code] = true
			}
			for _, status := range row.Status {
				if status < 300 || status > 699 {
					t.Errorf("%s row %d: %d is no refusal", table.Provider, i, status)
				}
			}
			if strings.HasSuffix(m.Means, ".") || strings.HasSuffix(m.Fix, ".") {
				t.Errorf("%s row %d: clauses end without a full stop: %q %q", table.Provider, i, m.Means, m.Fix)
			}
		}
	}
	for _, k := range Kinds {
		if k != Manual && !providers[k] {
			t.Errorf("%s has no table", k)
		}
	}
	files, _ := filepath.Glob("refusals-*.yaml")
	for _, file := range files {
		if text, _ := os.ReadFile(file); !strings.HasPrefix(string(text), "# ") {
			t.Errorf("%s does not begin by saying what it is", file)
		}
	}
}

func TestExplain(t *testing.T) {
	header := func(name, value string) func(string) string {
		return func(asked string) string {
			if strings.EqualFold(asked, name) {
				return value
			}
			return ""
		}
	}
	for _, test := range []struct {
		name        string
		r           Refusal
		cause, code string // cause "" when nothing is known
	}{
		{"Telnyx by its domain", Refusal{Domain: "sip.telnyx.com", Status: 403, Reason: "Caller Origination Number is Invalid D35"}, "caller_id_refused", "D35"},
		{"Telnyx by the code, at any domain", Refusal{Domain: "127.0.0.2", Status: 403, Reason: "Dialed Number is not included in whitelisted countries D13"}, "destination_not_allowed", "D13"},
		{"a code with one more token", Refusal{Domain: "sip.telnyx.com", Status: 403, Reason: "User not permitted P81 A1"}, "unknown_user", "P81"},
		{"a code with another status is not that code", Refusal{Domain: "sip.telnyx.com", Status: 404, Reason: "Not Found D35"}, "", ""},
		{"a word that looks like a code", Refusal{Status: 403, Reason: "Forbidden X9"}, "", ""},
		{"CPS at Telnyx", Refusal{Provider: Telnyx, Status: 503, Reason: "CPS Limit Reached P05"}, "cps_exceeded", "P05"},
		{"Twilio by its header", Refusal{Domain: "acme.pstn.twilio.com", Status: 403, Reason: "Forbidden", Header: header("X-Twilio-Error", "32201 Authentication failure - source IP Address not in ACL")}, "ip_not_allowed", "32201"},
		{"the header tells, whatever the domain", Refusal{Status: 403, Reason: "Forbidden", Header: header("x-twilio-error", "32204 Invalid Caller ID")}, "caller_id_refused", "32204"},
		{"Twilio's words", Refusal{Provider: Twilio, Status: 503, Reason: "Trunk CPS limit exceeded"}, "cps_exceeded", ""},
		{"Twilio's 603", Refusal{Domain: "acme.pstn.twilio.com", Status: 603, Reason: "Decline"}, "no_credit", ""},
		{"a 603 of others means nothing", Refusal{Domain: "carrier.example", Status: 603, Reason: "Decline"}, "", ""},
		{"Vonage's 429", Refusal{Domain: "sip-eu.nexmo.com", Status: 429, Reason: "Too Many Requests"}, "cps_exceeded", ""},
		{"a name that only ends alike", Refusal{Domain: "nottwilio.com", Status: 603, Reason: "Decline"}, "", ""},
		{"anybody's words", Refusal{Status: 403, Reason: "Invalid Caller ID"}, "caller_id_refused", ""},
		{"anybody's words in a Warning", Refusal{Status: 403, Reason: "Forbidden", Header: header("Warning", `399 sbc "Insufficient balance"`)}, "no_credit", ""},
		{"a manual trunk has no table of its own", Refusal{Provider: Manual, Domain: "sip.telnyx.com", Status: 403, Reason: "x D36"}, "caller_id_refused", "D36"},
		{"nothing to go by", Refusal{Status: 403, Reason: "Forbidden"}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, ok := Explain(test.r)
			if ok != (test.cause != "") || m.Cause != test.cause || m.Code != test.code {
				t.Errorf("%+v, %t", m, ok)
			}
		})
	}
	if all := Meanings(); len(all) < 40 || slices.ContainsFunc(all, func(m Meaning) bool { return m.Cause == "" }) {
		t.Errorf("%d meanings", len(all))
	}
}

// Whatever a carrier writes into a reason phrase is looked up without a panic, and only a row's own words come out.
func FuzzExplain(f *testing.F) {
	f.Add("sip.telnyx.com", 403, "Forbidden D35", "32201 x")
	f.Add("", 503, "CPS limit", "")
	f.Fuzz(func(t *testing.T, domain string, status int, reason, header string) {
		m, ok := Explain(Refusal{Domain: domain, Status: status, Reason: reason, Header: func(string) string { return header }})
		if ok && (m.Cause == "" || m.Fix == "") {
			t.Errorf("%+v", m)
		}
	})
}

// No test calls what costs more than a call; every range says where that is written.
func TestCostly(t *testing.T) {
	for _, n := range costly() {
		if strings.Trim(n.Prefix, "0123456789") != "" || n.Kind == "" || n.Source == "" || n.Date == "" {
			t.Errorf("incomplete: %+v", n)
		}
	}
	for number, want := range map[string]bool{"+19005550100": true, "+449012345678": true, "+88161234567": true, "+14155550100": false, "+442079460000": false, "19005550100": false} {
		if kind, got := Costly(number); got != want {
			t.Errorf("%s: %t %q", number, got, kind)
		}
	}
}
