package account

import (
	"encoding/json"
	"time"
)

// Event is something that happened in an organization. IDs grow in the order of the commits.
type Event struct {
	ID      int64
	Org     string
	Type    string // as "number.verified"
	Subject string // what it happened to, as "number/17"
	At      time.Time
	Data    json.RawMessage // an object; no secret
}

// EventFilter narrows what is read.
type EventFilter struct {
	After int64    // events after this id; 0: from the beginning of what is kept
	Types []string // empty: all
	Limit int      // 0: 100; at most 1,000
}

// AuditEntry says who changed what.
type AuditEntry struct {
	ID      int64
	Org     string
	User    string
	Key     string // id; empty: the command line or the daemon
	Address string
	Request string
	Action  string // as "connection.rotate"
	Subject string
	Detail  string // names of fields, never values of secrets
	At      time.Time
}

// AuditFilter narrows what is read, newest first.
type AuditFilter struct {
	Before int64 // entries before this id; 0: from the newest
	Limit  int   // 0: 100; at most 1,000
}
