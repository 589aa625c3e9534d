package trunks

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"trunkline/config"
)

// Trunk is one carrier connection.
type Trunk struct {
	config.Trunk                  // as configured; Domain, as it stands in URIs, and for tls TLS.ServerName are filled in
	Index        int              // position in Snapshot.Trunks, for per-trunk counters of one snapshot
	Servers      []netip.AddrPort // next hop: outbound_proxy if set, else server, by SRV priority or with a port; empty: unresolved
	Plan         Plan             // how this carrier writes numbers
	SourceRate   float64          // requests per second outside calls that one of its addresses may send; 0: no limit. It hides that of config.Trunk
	Token        string           // user of our Contact at its registrar, its own and the same after a restart; empty: it does not register

	servers []Server        // Servers, with what SRV says
	health  []*serverHealth // of Servers
	only    *Number         // its number, if it has just one
	usage   *usage
	group   int             // trunks whose sources overlap have the same group
	sources []config.Source // where its calls come from, names resolved
}

// Agent is an application behind the edge.
type Agent struct {
	config.Agent
	Index        int           // position in Snapshot.Agents
	Destinations []Destination // hides those of config.Agent
	Organization *Organization // whose toll it shares; nil: nobody's. It hides that of config.Agent
	SourceRate   float64       // requests per second outside calls that one of its addresses may send; 0: no limit. It hides that of config.Agent

	ranks []rank // of Destinations
	usage *usage
	group int     // agents whose sources overlap have the same group
	first *Number // of those that it may use; nil: none
	only  bool    // first is the only one
}

// OwnNumber returns the number that stands for an agent whose call names none: the only one that it may use as caller, and in an emergency the
// first, for a call for help must not fail because a telephone does not know its number. It is nil where there is none.
func (a *Agent) OwnNumber(emergency bool) *Number {
	if a.only || emergency {
		return a.first
	}
	return nil
}

// Destination is one SIP address of an agent.
type Destination struct {
	config.Destination
	Addrs []netip.AddrPort // by SRV priority or with a port; empty: unresolved

	servers []Server // Addrs, with what SRV says
}

// Number is one telephone number and where its calls go.
type Number struct {
	E164     string // with plus
	Trunk    *Trunk
	Inbound  *Agent   // nil: inbound calls are refused
	Outbound *Agent   // nil: nobody may use it as caller
	Routes   []*Trunk // that its outgoing calls may take, at least one: Trunk when none is configured

	ranks []rank // of Routes
}

// usage counts calls in progress. It belongs to a name, not to a snapshot.
type usage struct {
	calls    atomic.Int64
	spending spending // of an agent
	flooded  flooded
	heard    atomic.Int64 // when a request last came; nanoseconds of Unix time, 0: never
}

// Acquire counts one more call in progress on t, and reports false without counting when max_calls is reached.
// Each true must be followed by one Release, on this snapshot's t or a later one's.
func (t *Trunk) Acquire() bool { return t.usage.acquire(t.MaxCalls) }

// Usable says why no call can take t at now, NoReason if one can: NoTrunk without an address, TrunkDown when every server is down. Whether a
// channel is free shows when it is acquired.
func (t *Trunk) Usable(now time.Time) Reason {
	if len(t.Servers) == 0 {
		return NoTrunk
	}
	if t.Health.Interval > 0 && !t.usableServer(now) {
		return TrunkDown
	}
	return NoReason
}

// Full reports whether Acquire would find max_calls reached.
func (t *Trunk) Full() bool { return t.MaxCalls != nil && t.Calls() >= int64(*t.MaxCalls) }

// Take is Acquire beyond max_calls, for calls in an emergency.
func (t *Trunk) Take() { t.usage.calls.Add(1) }

// Release takes back one Acquire.
func (t *Trunk) Release() { t.usage.calls.Add(-1) }

// Calls returns the calls in progress.
func (t *Trunk) Calls() int64 { return t.usage.calls.Load() }

// SharesSource reports whether some request could come from t and from o: they are told apart by the number called.
func (t *Trunk) SharesSource(o *Trunk) bool { return t.usage == o.usage || t.group == o.group }

// CallsFrom reports whether a request over proto from a could be one of t's, whatever other trunks call from there.
func (t *Trunk) CallsFrom(proto string, a netip.AddrPort) bool {
	addr := a.Addr().Unmap().WithZone("")
	came := config.Source{Transport: transportOf(proto), Prefix: netip.PrefixFrom(addr, addr.BitLen()), Port: a.Port()}
	return slices.ContainsFunc(t.sources, came.Overlaps)
}

// Heard notes that a request came from t.
func (t *Trunk) Heard(now time.Time) { t.usage.heard.Store(now.UnixNano()) }

// LastHeard returns when a request last came from t, on this or an earlier snapshot's; zero: never.
func (t *Trunk) LastHeard() time.Time {
	if at := t.usage.heard.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Reachable tells whether calls to the agent may lead anywhere: it has destinations, or may register.
func (a *Agent) Reachable() bool { return len(a.Destinations) > 0 || a.AuthUser != "" }

// Acquire counts one more call in progress with a, and reports false without counting when max_calls is reached.
// Each true must be followed by one Release, on this snapshot's a or a later one's.
func (a *Agent) Acquire() bool { return a.usage.acquire(a.MaxCalls) }

// Take is Acquire beyond max_calls, for calls in an emergency.
func (a *Agent) Take() { a.usage.calls.Add(1) }

// Release takes back one Acquire.
func (a *Agent) Release() { a.usage.calls.Add(-1) }

// Calls returns the calls in progress.
func (a *Agent) Calls() int64 { return a.usage.calls.Load() }

func (u *usage) acquire(limit *int) bool {
	if limit == nil {
		u.calls.Add(1)
		return true
	}
	for {
		n := u.calls.Load()
		if n >= int64(*limit) {
			return false
		}
		if u.calls.CompareAndSwap(n, n+1) {
			return true
		}
	}
}
