package trunks

import (
	"net/netip"
	"sync/atomic"

	"trunkline/config"
)

// Trunk is one carrier connection.
type Trunk struct {
	config.Trunk                  // as configured, with Domain filled in
	Index        int              // position in Snapshot.Trunks, for per-trunk counters of one snapshot
	Servers      []netip.AddrPort // next hop: outbound_proxy if set, else server, with the transport's default port; empty: unresolved
	Plan         Plan             // how this carrier writes numbers

	usage *usage
	peers []*Trunk // other trunks that share a source with this one
}

// Agent is an application behind the edge.
type Agent struct {
	config.Agent
	Index        int // position in Snapshot.Agents
	Destinations []Destination

	usage *usage
	peers []*Agent
}

// Destination is one SIP address of an agent.
type Destination struct {
	config.Destination
	Addrs []netip.AddrPort // with the transport's default port; empty: unresolved
}

// Number is one telephone number and where its calls go.
type Number struct {
	E164     string // with plus
	Trunk    *Trunk
	Inbound  *Agent // nil: inbound calls are refused
	Outbound *Agent // nil: nobody may use it as caller
}

// usage counts calls in progress. It belongs to a name, not to a snapshot.
type usage struct{ calls atomic.Int64 }

// Acquire counts one more call in progress on t, and reports false without counting when max_calls is reached.
// Each true must be followed by one Release, on this snapshot's t or a later one's.
func (t *Trunk) Acquire() bool { return false }

// Release takes back one Acquire.
func (t *Trunk) Release() {}

// Calls returns the calls in progress.
func (t *Trunk) Calls() int64 { return 0 }

// Acquire counts one more call in progress with a, and reports false without counting when max_calls is reached.
// Each true must be followed by one Release, on this snapshot's a or a later one's.
func (a *Agent) Acquire() bool { return false }

// Release takes back one Acquire.
func (a *Agent) Release() {}

// Calls returns the calls in progress.
func (a *Agent) Calls() int64 { return 0 }

// Choose returns the index of the destination to try next, -1 when none is left. tried has bit i set for each
// destination already tried, of the first 64; random is any number, evenly spread. The lowest priority number wins;
// among equals the chance follows the weight (RFC 2782), and weight 0 comes only after the others.
func (a *Agent) Choose(tried uint64, random uint64) int { return -1 }
