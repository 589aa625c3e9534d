package account

import (
	"time"

	"trunkline/trunks/provider"
)

// EvidenceLifetime is how long a passed test may be used for.
const EvidenceLifetime = 15 * time.Minute

// Evidence is a passed test. It may be used once, by the organization that tested, for what was tested.
type Evidence struct {
	ID            string // UUID, 122 random bits
	Org           string
	Provider      provider.Kind
	Credentials   [32]byte // keyed digest of the credentials that were given
	SIPConfig     [32]byte // keyed digest of the sip_config that was given
	Tested        Outcome  // what to make the connection of: the guided set-up may have added to what was given
	SuggestedName string
	CreatedAt     time.Time
	ExpiresAt     time.Time
	UsedAt        *time.Time // nil: not used
}

// Outcome is what was in force during a test.
type Outcome struct {
	Credentials provider.Credentials
	SIPConfig   SIPConfig
}

// TestRequest is what to test.
type TestRequest struct {
	Provider    provider.Kind
	SetupMethod SetupMethod // guided_telnyx sets the account up first; else nothing is changed there
	Credentials provider.Credentials
	SIPConfig   SIPConfig
	Report      func(Step) // hears each step as it ends, from one goroutine at a time; nil: nobody
}

// TestResult is how a test ended.
type TestResult struct {
	Passed        bool
	EvidenceID    string // empty: the test failed
	ExpiresAt     time.Time
	SuggestedName string
	Checks        Checks
	Steps         []Step // in the order they ended
}
