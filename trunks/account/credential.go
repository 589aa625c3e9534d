package account

import "time"

// Source says who looks after a SIP credential.
type Source string

// The sources.
const (
	SourceManual   Source = "manual"   // entered by the user
	SourceProvider Source = "provider" // made by a connection, which owns it
)

// SIPCredential is how to make and receive calls at a carrier: one trunk of the engine.
type SIPCredential struct {
	ID         string // UUID
	Org        string
	Source     Source
	Connection int64  // that owns it; 0: none
	ProviderID string // UUID of that connection; empty: Source is manual
	Trunk      string // its name in the engine
	SIPCredentialSettings
	Trunking
	Registration Registration
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Version      int64
}

// SIPCredentialSettings is what a user says of a SIP credential (DA-03 to DA-10). Empty text and nil mean not set.
type SIPCredentialSettings struct {
	Server      string // 1 to 255 characters: host or address, optional port
	Domain      string // up to 255; host in From, To, Request-URI, and the expected realm; empty: host of Server, any realm
	AuthUser    string // up to 255
	Password    Secret // up to 64
	Transport   string // udp, tcp, tls; empty: udp
	Description string // up to 255
	CPSLimit    *float64
	CPSKey      string // up to 255
}

// Trunking is what a connection says beyond SIPCredentialSettings; a SIP credential made directly has the defaults.
type Trunking struct {
	Realm           string // only challenges of this realm are answered; empty: any
	Register        bool
	RegisterExpires time.Duration // asked for; 0: the default of the configuration
	SourceAddresses []string      // empty: the server
	NumberFormat    string        // e164_plus, e164, national
	CountryCode     string        // digits; empty: none
	NationalPrefix  string        // digits
	MaxCalls        *int
}
