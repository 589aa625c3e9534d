package probe

import (
	"time"

	"trunkline/sip"
)

// Verdict is what a step or a check came to.
type Verdict string

// The verdicts. Silence to OPTIONS is inconclusive: many carriers ignore it.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
	Skipped      Verdict = "skipped"
)

// Report is the outcome of one probe.
type Report struct {
	Trunk    string        `json:"trunk"`
	Server   string        `json:"server"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration_ns"`
	Checks   []Check       `json:"checks"`
	Steps    []Step        `json:"steps"`
}

// Check is one of the questions a user has.
type Check struct {
	Name    string  `json:"name"` // credentials_valid, outbound_authorized
	Verdict Verdict `json:"verdict"`
	Cause   Cause   `json:"cause,omitempty"` // of a verdict other than pass
	Detail  string  `json:"detail,omitempty"`
	Fix     string  `json:"fix,omitempty"`
}

// Step is one thing that was done.
type Step struct {
	Name     string        `json:"name"` // resolve, OPTIONS, REGISTER, INVITE
	Verdict  Verdict       `json:"verdict"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration_ns"`
	Code     int           `json:"code,omitempty"` // last SIP status; 0: none came
	Cause    Cause         `json:"cause,omitempty"`
	Detail   string        `json:"detail"`
	Fix      string        `json:"fix,omitempty"`
	Messages []sip.Traced  `json:"-"` // as sent and received, credentials masked

	proven bool // credentials were asked for, sent and not refused
}

// Passed reports whether no check failed and at least one passed.
func (r *Report) Passed() bool {
	passed := false
	for _, c := range r.Checks {
		if c.Verdict == Fail {
			return false
		}
		passed = passed || c.Verdict == Pass
	}
	return passed
}

// Messages returns all messages of the probe in time order.
func (r *Report) Messages() (all []sip.Traced) {
	for _, s := range r.Steps {
		all = append(all, s.Messages...)
	}
	return all
}
