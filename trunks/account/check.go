package account

import (
	"slices"
	"time"

	"trunkline/trunks/provider"
)

// The questions a test answers.
const (
	CredentialsValid   = "credentials_valid"
	InboundReachable   = "inbound_reachable"
	OutboundAuthorized = "outbound_authorized"
)

// Verdict is what a step came to: pass, fail, inconclusive or skipped.
type Verdict = provider.Verdict

// Step is one thing a test or verification did. It holds no secret.
type Step struct {
	Check    string // the question it speaks to; empty: all of them
	Name     string // as "REGISTER" or "list numbers"
	Verdict  Verdict
	Code     string // cause, from the closed set of the probe or the provider; empty on pass
	Message  string
	Fix      string
	At       time.Time
	Duration time.Duration
	Ladder   string // SIP messages as text, credentials masked; empty: none
}

// Checks are the answers.
type Checks struct{ CredentialsValid, InboundReachable, OutboundAuthorized bool }

// Passed reports whether all are true.
func (c Checks) Passed() bool {
	return c.CredentialsValid && c.InboundReachable && c.OutboundAuthorized
}

// OK reports the answer to one question by its name.
func (c Checks) OK(check string) bool {
	switch check {
	case CredentialsValid:
		return c.CredentialsValid
	case InboundReachable:
		return c.InboundReachable
	case OutboundAuthorized:
		return c.OutboundAuthorized
	}
	return false
}

// answers gathers verdicts on the questions from several sides.
type answers map[string][]Verdict

// checks: a question is answered with yes when one side says pass and none says fail. Silence is inconclusive and decides
// nothing.
func (a answers) checks() Checks {
	holds := func(check string) bool {
		return slices.Contains(a[check], provider.Pass) && !slices.Contains(a[check], provider.Fail)
	}
	return Checks{holds(CredentialsValid), holds(InboundReachable), holds(OutboundAuthorized)}
}
