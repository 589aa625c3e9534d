package trunks

import (
	"fmt"
	"net/netip"
	"strings"
)

// Reason says why a request was refused, from a closed set: the label of trunkline_call_rejections_total.
type Reason uint8

const (
	NoReason         Reason = iota
	NoTrunk                 // the number's trunk has no address to send to
	BadSource               // the source address is not listed
	BadAuth                 // credentials are missing or wrong
	Flood                   // more requests than one source may send
	NoRoute                 // the called number leads nowhere
	NumberUnverified        // the caller's number is not one this agent may use
	LimitCPS                // cps_limit
	LimitChannels           // max_calls
	Overload                // the process has more to do than it can
	Draining                // the process is about to stop
	TrunkDown               // every trunk the call could take is down
	TollBarred              // the agent may not call numbers like this
	TollSpent               // the agent has called as much as it may
)

var reasonLabels = [...]string{"none", "no_trunk", "bad_source", "bad_auth", "flood", "no_route", "number_unverified", "limit_cps", "limit_channels", "overload", "draining", "trunk_down", "toll_barred", "toll_spent"}

// String returns the label.
func (r Reason) String() string {
	if int(r) < len(reasonLabels) {
		return reasonLabels[r]
	}
	return "unknown"
}

// Reasons yields every reason but NoReason, to begin counters at zero.
func Reasons(yield func(Reason) bool) {
	for r := NoReason + 1; int(r) < len(reasonLabels); r++ {
		if !yield(r) {
			return
		}
	}
}

// Refusal is a decision not to take a call. The peer is told nothing of it: Detail is for explain and for logs, and
// holds full numbers. The fields are what the decision was made of; the shell fills them in for refusals of its own.
type Refusal struct {
	Reason Reason
	Trunk  *Trunk         // who called, or whose limit was reached; nil: no trunk
	Agent  *Agent         // who called, or whose limit was reached; nil: no agent
	Number *Number        // number that was found; nil: none
	Proto  string         // transport of a BadSource: UDP, TCP, TLS
	Source netip.AddrPort // of a BadSource
	User   string         // user part that was looked up, as it came
	E164   string         // User in the form it was looked up by
	Passed []Passed       // routes that were considered, when none was left

	why      string    // of a toll
	toll     *spending // whose toll it was; nil: none
	snapshot *Snapshot // for what was nearest; nil: not told
	foreign  bool      // the number's trunk shares sources with Trunk, but not this one
}

// Detail is one sentence that names what was looked for, what was nearest and the one thing that differed. It may look at
// every number and source, so it is not for the call path.
func (r *Refusal) Detail() string {
	if len(r.Passed) > 0 {
		return r.passedDetail()
	}
	switch r.Reason {
	case NoTrunk:
		return "no trunk carries this call"
	case TrunkDown:
		return "every trunk that could carry this call is down"
	case BadSource:
		return r.sourceDetail()
	case BadAuth:
		return "credentials of " + r.who() + " are missing or wrong"
	case Flood:
		return r.who() + " sends more requests than one address may"
	case NoRoute:
		return r.routeDetail()
	case NumberUnverified:
		return r.callerDetail()
	case LimitCPS:
		if r.Trunk != nil && r.Trunk.CPSLimit != nil {
			return fmt.Sprintf("trunk %s is at its cps_limit of %v", r.Trunk.Name, *r.Trunk.CPSLimit)
		}
		return r.who() + " is at its cps_limit"
	case TollBarred:
		return fmt.Sprintf("%s may not call %s: %s", r.who(), r.E164, r.why)
	case TollSpent:
		return r.who() + " may not call now: " + r.why
	case LimitChannels:
		return r.who() + " is at its max_calls" + r.limit()
	case Overload:
		return "messages wait too long for their shard"
	case Draining:
		return "the edge is about to stop and takes no new calls"
	}
	return "no reason was given"
}

// Error is the reason and the detail.
func (r *Refusal) Error() string { return r.Reason.String() + ": " + r.Detail() }

// who names the side the decision is about.
func (r *Refusal) who() string {
	if p := (Principal{Trunk: r.Trunk, Agent: r.Agent}); p.Known() {
		return p.String()
	}
	if r.Source.IsValid() {
		return r.Source.String()
	}
	return "the edge"
}

// Passed is a route that cannot take a call, and why.
type Passed struct {
	Trunk  *Trunk
	Reason Reason // NoTrunk, TrunkDown, LimitChannels
}

// Detail is one clause on why the route was passed over.
func (p Passed) Detail() string {
	switch p.Reason {
	case NoTrunk:
		return fmt.Sprintf("trunk %s has no address: %s did not resolve", p.Trunk.Name, nextHop(p.Trunk.Trunk).Host)
	case TrunkDown:
		return fmt.Sprintf("trunk %s is down", p.Trunk.Name)
	}
	return (&Refusal{Reason: p.Reason, Trunk: p.Trunk}).Detail()
}

// NoneLeft is the refusal of a call of route none of whose trunks can take it. The reason is the one most likely to be over soon:
// a limit before a trunk that is down, and that before one without an address.
func NoneLeft(route Route, passed []Passed) *Refusal {
	r := &Refusal{Reason: NoTrunk, Agent: route.Agent, Number: route.Number, Passed: passed}
	for _, p := range passed {
		if p.Reason == LimitChannels || p.Reason == TrunkDown && r.Reason == NoTrunk {
			r.Reason = p.Reason
		}
		if len(passed) == 1 {
			r.Trunk = p.Trunk
		}
	}
	return r
}

func (r *Refusal) passedDetail() string {
	clauses := make([]string, len(r.Passed))
	for i, p := range r.Passed {
		clauses[i] = p.Detail()
	}
	return strings.Join(clauses, "; ")
}

func (r *Refusal) limit() string {
	limit := (*int)(nil)
	switch {
	case r.Trunk != nil:
		limit = r.Trunk.MaxCalls
	case r.Agent != nil:
		limit = r.Agent.MaxCalls
	}
	if limit == nil {
		return ""
	}
	return fmt.Sprintf(" of %d", *limit)
}

// routeDetail explains a NoRoute.
func (r *Refusal) routeDetail() string {
	switch n := r.Number; {
	case n == nil:
		return fmt.Sprintf("called number %s is not listed%s", r.looked(), r.nearest())
	case r.Agent != nil:
		return "no number was dialled"
	case n.Trunk.group != groupOf(r.Trunk) || r.foreign:
		return fmt.Sprintf("number %s belongs to trunk %s, but the call came from %s", n.E164, n.Trunk.Name, r.who())
	case n.Inbound == nil:
		return fmt.Sprintf("number %s has no inbound_agent", n.E164)
	case n.Trunk != r.Trunk && n.Inbound.Reachable():
		return fmt.Sprintf("number %s belongs to trunk %s, but the call came to the registration of %s", n.E164, n.Trunk.Name, r.who())
	}
	return fmt.Sprintf("number %s goes to agent %s, which has no destinations", r.Number.E164, r.Number.Inbound.Name)
}

// callerDetail explains a NumberUnverified.
func (r *Refusal) callerDetail() string {
	switch n := r.Number; {
	case n == nil:
		return fmt.Sprintf("caller %s is not listed%s", r.looked(), r.nearest())
	case n.Outbound == nil:
		return fmt.Sprintf("number %s has no outbound_agent", n.E164)
	}
	return fmt.Sprintf("number %s may be used by agent %s, but the call came from %s", r.Number.E164, r.Number.Outbound.Name, r.who())
}

// looked is what was looked up, and what it was made of when that differs.
func (r *Refusal) looked() string {
	switch {
	case r.User == "":
		return "(empty)"
	case r.User == r.E164:
		return fmt.Sprintf("%q", r.User)
	}
	return fmt.Sprintf("%q (from %q)", r.E164, r.User)
}

// nearest names the number with the longest tail in common, when that is enough to be no accident.
func (r *Refusal) nearest() string {
	if r.snapshot == nil {
		return ""
	}
	best, longestTail := (*Number)(nil), 5
	for _, n := range r.snapshot.Numbers {
		if tail := commonTail(n.E164, r.E164); tail > longestTail {
			best, longestTail = n, tail
		}
	}
	if best == nil {
		return ""
	}
	return fmt.Sprintf("; nearest is %s of trunk %s, which ends in the same %d digits", best.E164, best.Trunk.Name, longestTail)
}

func commonTail(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] && a[len(a)-1-n] != '+' {
		n++
	}
	return n
}

func groupOf(t *Trunk) int {
	if t == nil {
		return -1
	}
	return t.group
}

// Unknown returns the refusal of a request over proto from a, a source that is not listed.
func (s *Snapshot) Unknown(proto string, a netip.AddrPort) *Refusal {
	return &Refusal{Reason: BadSource, Proto: proto, Source: a, snapshot: s}
}

// sourceDetail names the nearest source: the same address with another port or transport, else the one with most leading
// bits in common, at least those of a /24 or /48.
func (r *Refusal) sourceDetail() string {
	text := fmt.Sprintf("%s over %s is not a source of any trunk or agent", r.Source, strings.ToUpper(r.Proto))
	if r.snapshot == nil {
		return text
	}
	addr := r.Source.Addr().Unmap().WithZone("")
	best, most := (*source)(nil), 23
	if addr.Is6() {
		most = 47
	}
	for i := range r.snapshot.sources.all {
		e := &r.snapshot.sources.all[i]
		prefix := e.at.Prefix
		if prefix.Addr().Is4() != addr.Is4() {
			continue
		}
		if prefix.Contains(addr) {
			best = e
			break
		}
		if bits := min(commonBits(prefix.Addr(), addr), prefix.Bits()); bits > most {
			best, most = e, bits
		}
	}
	if best == nil {
		return text
	}
	text += fmt.Sprintf("; nearest is %s of %s", best.written, best.principal)
	switch {
	case !best.at.Prefix.Contains(addr):
		return text + ", another address"
	case best.at.Port != 0 && best.at.Port != r.Source.Port():
		return text + ", another port"
	}
	return text + ", another transport"
}

// commonBits counts the leading bits two addresses of one family share.
func commonBits(a, b netip.Addr) int {
	x, y := a.AsSlice(), b.AsSlice()
	for i := range x {
		for bit := range 8 {
			if (x[i]^y[i])&(0x80>>bit) != 0 {
				return i*8 + bit
			}
		}
	}
	return len(x) * 8
}
