package digest

import (
	"errors"
	"time"

	"trunkline/sip/wire"
)

// Why a challenge is not answered.
var (
	// ErrNoChallenge: the 401 or 407 carries no digest challenge that can be read.
	ErrNoChallenge = errors.New("no digest challenge")
	// ErrUnsupported: every challenge wants an algorithm or qop that we lack.
	ErrUnsupported = errors.New("no supported algorithm or qop")
	// ErrRealm: the challenge is for a realm other than the configured one.
	ErrRealm = errors.New("challenge for another realm")
	// ErrRejected: the credentials were sent with this nonce, or with a fresh one
	// already, and refused (RFC 3261 §22.3). Trying again would lock the account.
	ErrRejected = errors.New("credentials refused")
	// ErrNoCredentials: the trunk has no user name.
	ErrNoCredentials = errors.New("no credentials configured")
)

// Credentials are what one trunk authenticates with.
type Credentials struct {
	Username string
	Password string
	Realm    string // only challenges for this realm are answered; empty: for any realm of this trunk
}

// Cache answers the challenges of one trunk. It belongs to one goroutine; every
// shard keeps its own for each trunk (nonce counts must not be shared).
type Cache struct {
}

// NewCache returns a cache that knows no challenge yet. No nonce is used when it
// is older than maxAge without a new challenge; 0 means an hour.
func NewCache(c Credentials, maxAge time.Duration) *Cache { return &Cache{} }

// Attempt remembers what one request was answered with, so that a second refusal
// is told from a stale nonce. Keep one per call or registration attempt, copy it
// freely, start with the zero value.
type Attempt struct {
	rounds uint8
}

// Authorize appends the Authorization and Proxy-Authorization lines that a request
// needs without having been challenged: those of all realms in use on this trunk.
// It appends nothing when no nonce is known. uri must be the exact Request-URI.
func (c *Cache) Authorize(b []byte, now time.Time, method string, uri []byte, a *Attempt) []byte {
	return b
}

// Challenged learns from a 401 or 407 to a request that Authorize made the
// headers of, and returns nil when a new request with fresh Authorize headers
// should be sent. Its errors are ErrNoChallenge, ErrUnsupported, ErrRealm,
// ErrRejected and ErrNoCredentials.
func (c *Cache) Challenged(now time.Time, m *wire.Message, a *Attempt) error {
	return ErrNoCredentials
}

// Accepted learns from a final response that is not a challenge:
// Authentication-Info may name the next nonce.
func (c *Cache) Accepted(now time.Time, m *wire.Message) {}
