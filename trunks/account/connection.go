package account

import (
	"time"

	"trunkline/trunks/provider"
)

// SetupMethod is how a connection came to be.
type SetupMethod string

// The methods.
const (
	SetupAPIKey       SetupMethod = "api_key"
	SetupGuidedTelnyx SetupMethod = "guided_telnyx"
	SetupManual       SetupMethod = "manual"
)

// ConnectionStatus is how far a connection is.
type ConnectionStatus string

// The states.
const (
	ConnectionPending   ConnectionStatus = "pending"
	ConnectionTesting   ConnectionStatus = "testing"
	ConnectionConnected ConnectionStatus = "connected"
	ConnectionError     ConnectionStatus = "error" // its registration is refused
)

// Connection is a carrier or provider account that an organization brings. It owns one SIP credential, which is the trunk.
type Connection struct {
	ID              int64
	UID             string // UUID: providerId of its SIP credential
	Org             string
	Name            string // 1 to 255 characters, unique in the organization
	InferredName    bool   // we chose the name
	Provider        provider.Kind
	SetupMethod     SetupMethod
	Status          ConnectionStatus
	SIPConfig       SIPConfig // as given
	NumbersImported int       // numbers attached now
	SIPCredential   string    // id
	Trunk           string    // its name in the engine, in records and metrics
	Registration    Registration
	LastTestedAt    *time.Time // last test that passed
	CreatedAt       time.Time
	UpdatedAt       time.Time
	Version         int64
}

// NewConnection is what to make a connection of.
type NewConnection struct {
	Name        string // empty: the suggested one
	Provider    provider.Kind
	SetupMethod SetupMethod // empty: manual for manual, else api_key
	Credentials provider.Credentials
	SIPConfig   SIPConfig
	EvidenceID  string // required
}

// ConnectionChange is what to change of a connection; zero fields stay. Credentials are merged over the stored ones, and like
// SIPConfig they need the evidence of a test with the merged set.
type ConnectionChange struct {
	Name        *string
	Credentials provider.Credentials
	SIPConfig   *SIPConfig
	EvidenceID  string
	IfVersion   int64 // 0: any
}

// AvailableNumber is a number the connection's credentials can see and nobody has imported.
type AvailableNumber struct {
	Number string // E.164 with plus
	Label  string
}

// Import is what came of an import.
type Import struct {
	Imported []Number
	Skipped  []Skipped
}

// Skipped is a number that was not imported.
type Skipped struct {
	Number string
	Reason SkipReason
}

// SkipReason says why a number was not imported, from a closed set.
type SkipReason string

// The reasons.
const (
	SkipMalformed   SkipReason = "malformed" // not E.164 with plus
	SkipDuplicate   SkipReason = "duplicate" // twice in the request
	SkipAlreadyOurs SkipReason = "already_imported"
	SkipUnavailable SkipReason = "not_available" // not seen by the credentials, or some organization has it
)

// Registration is what is known of a trunk's registration.
type Registration struct {
	State string // registered, trying, … as in trunkline_registrations; "none": it does not register; "": not known
	Cause string // one sentence on the last failure
	Since time.Time
}
