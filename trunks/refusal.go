package trunks

import "net/netip"

// Reason says why a request was refused, from a closed set: the label of trunkline_call_rejections_total.
type Reason uint8

const (
	NoReason         Reason = iota
	NoTrunk                 // the trunk a number names carries no calls now
	BadSource               // the source address is not listed
	BadAuth                 // credentials are missing or wrong
	Flood                   // more requests than one source may send
	NoRoute                 // the called number leads nowhere
	NumberUnverified        // the caller's number is not one this agent may use
	LimitCPS                // calls per second
	LimitChannels           // calls in progress: max_calls
	Overload                // the process has more to do than it can
	Draining                // the process is about to stop
	reasons
)

// String returns the label.
func (r Reason) String() string { return "" }

// Reasons yields every reason but NoReason, to make counters at zero.
func Reasons(yield func(Reason) bool) {}

// Refusal is a decision not to take a call. The peer is told nothing of it: Detail is for logs and for explain.
type Refusal struct {
	Reason Reason
	Trunk  *Trunk         // side the decision is about; nil: none
	Agent  *Agent         // side the decision is about; nil: none
	Number *Number        // number that matched or was nearest; nil: none
	Source netip.AddrPort // of a BadSource
	User   string         // user part that was looked up, as it came
	E164   string         // User in the form it was looked up by
}

// Detail is one sentence that names what was looked for, what was nearest and the one thing that differed.
func (r *Refusal) Detail() string { return "" }

// Error is the reason and the detail.
func (r *Refusal) Error() string { return r.Reason.String() + ": " + r.Detail() }

// Unknown returns the refusal of a request from an unlisted source, with the nearest source for its detail. It is for explain and
// debug logs: it looks at every source.
func (s *Snapshot) Unknown(proto string, a netip.AddrPort) *Refusal { return nil }
