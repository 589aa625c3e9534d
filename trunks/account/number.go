package account

import "time"

// NumberStatus is the state of a number.
type NumberStatus string

// The states. Only calls to an active number are routed.
const (
	NumberProvisioning NumberStatus = "provisioning" // imported, not verified yet
	NumberActive       NumberStatus = "active"
	NumberFailed       NumberStatus = "failed" // its connection is gone, or verification failed again and again
	NumberReleased     NumberStatus = "released"
)

// Verified is how the last verification of a number went.
type Verified string

// The verification states. Only an active, verified number may be used as caller ID.
const (
	Unverified         Verified = "unverified"
	VerifiedOK         Verified = "verified"
	VerificationFailed Verified = "failed"
)

// Number is a telephone number of an organization.
type Number struct {
	ID             int64
	Org            string
	Number         string // E.164 with plus
	Source         string // voip
	SIPCredential  string // id of the trunk that carries it; empty: none
	Connection     int64  // that owns the trunk; 0: none
	Status         NumberStatus
	Verification   Verified
	Failures       int   // verifications that failed since the last that passed
	InboundAgent   int64 // 0: none, calls to it are refused
	OutboundAgent  int64 // 0: none, nobody may use it as caller
	LastVerifiedAt *time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
	Version        int64
}

// OutboundEligible reports whether the number may be used as caller ID.
func (n Number) OutboundEligible() bool {
	return n.Status == NumberActive && n.Verification == VerifiedOK
}

// Optional is a field that may be absent, set, or set to nothing.
type Optional[T any] struct {
	Set   bool
	Value *T // nil: nothing
}

// NumberFilter narrows a list. The zero value means all.
type NumberFilter struct {
	Connection    int64
	SIPCredential string
	Status        NumberStatus
	Before        int64 // numbers with a smaller id; 0: from the newest
	Limit         int   // 0: all
}

// NumberChange is what to change of a number; zero fields stay.
type NumberChange struct {
	InboundAgent  Optional[int64]
	OutboundAgent Optional[int64]
	Status        *NumberStatus // active and provisioning: in and out of service
	IfVersion     int64         // 0: any
}

// Verification is how verifying a number went.
type Verification struct {
	Number Number
	Checks Checks
	Steps  []Step
}

// Transfer says where a number goes.
type Transfer struct{ Organization string }
