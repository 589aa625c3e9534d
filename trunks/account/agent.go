package account

import "time"

// Agent is an application: where inbound calls go and who may call out.
type Agent struct {
	ID  int64
	Org string
	AgentSettings
	EngineName string // in records, logs and metrics
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Version    int64
}

// AgentSettings is what a user says of an agent.
type AgentSettings struct {
	Name            string        // 1 to 120 characters, unique in the organization
	Destinations    []Destination // up to 64
	SourceAddresses []string      // addresses, networks, host names it calls from; of one organization only
	MaxCalls        *int          // nil: no limit
}

// Destination is one SIP address of an agent.
type Destination struct {
	URI      string `json:"uri"`
	Priority int    `json:"priority"` // lower is tried first; 0 to 65535
	Weight   int    `json:"weight"`   // share among equals in priority; 0: only when no other is left
}

// AgentChange is what to change of an agent; nil fields stay.
type AgentChange struct {
	Name            *string
	Destinations    *[]Destination
	SourceAddresses *[]string
	MaxCalls        Optional[int]
	IfVersion       int64 // 0: any
}
