package account

import (
	"time"

	"trunkline/config"
)

// Secret is a string that no formatter, logger or encoder prints.
type Secret = config.Secret

// Organization owns everything else. Nothing crosses from one to another but a transferred number.
type Organization struct {
	ID        string // UUID
	Name      string // 1 to 120 characters, unique
	CreatedAt time.Time
}

// User is a person who creates keys. One may be a member of several organizations.
type User struct {
	ID        string // UUID
	Name      string // 1 to 120 characters, unique
	CreatedAt time.Time
}

// Role is what a member may do.
type Role string

// The roles, each with the rights of those after it.
const (
	Owner  Role = "owner"  // may transfer numbers away
	Admin  Role = "admin"  // may change what the organization has
	Member Role = "member" // may read
)

// Valid reports whether r is one of the three.
func (r Role) Valid() bool { return r == Owner || r == Admin || r == Member }

// Caller is who asks: a key, with the role its creator has now.
type Caller struct {
	Org     string
	User    string // who created the key
	Key     string // id of the key; empty: the command line or the daemon itself
	Role    Role
	Address string // where the request came from, for the audit log; may be empty
	Request string // id of the request, for the audit log; may be empty
}
