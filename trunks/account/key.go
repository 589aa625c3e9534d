package account

import "time"

// APIKey lets a program act for its organization. The key itself is shown once, when it is made, and kept as a hash.
type APIKey struct {
	ID         string // UUID
	Org        string
	User       string // who created it: the key may what this member may
	Name       string // 1 to 120 characters
	Prefix     string // the first 15 characters of the key
	CreatedAt  time.Time
	LastUsedAt *time.Time // at most some seconds old; nil: never used
	RevokedAt  *time.Time // nil: not revoked
}

// Active reports whether requests with the key are taken.
func (k APIKey) Active() bool { return k.RevokedAt == nil }
