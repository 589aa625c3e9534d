package call

import "time"

// Options are the policy of a call. Many calls share one; it must not change while one of them lives.
// Nil or a zero field means the documented default.
type Options struct {
	T1              time.Duration // RFC 3261 §17.1.1.1; default 500 ms. 64*T1 bounds every end
	RingTimeout     time.Duration // from the first INVITE to the answer, over all targets; default 3 min
	Silence         time.Duration // how long a target may send nothing at all before the next is tried; default: Timer B alone
	MaxDuration     time.Duration // longest answered call; default 12 h
	ReinviteTimeout time.Duration // longest wait for the final response to a re-INVITE; default 3 min
	Failover        []uint16      // final responses that move on to the next target; nil = 500, 502, 503, 504
	Redirect        Redirect
	MaxRedirects    uint8     // 3xx followed in one call; default 5, with RedirectFollow only
	Pass            MethodSet // INFO, UPDATE, MESSAGE, REFER, NOTIFY, SUBSCRIBE that cross; default none
	Codes           []CodeRule
}

// Redirect says what a 3xx of the callee does.
type Redirect uint8

const (
	RedirectRefuse Redirect = iota // the caller hears 480
	RedirectRelay                  // the caller hears the 3xx with its Contact
	RedirectFollow                 // contacts are tried, up to MaxRedirects; then 480
)

// CodeRule replaces one row of the response table: the callee's From is shown to the caller as To.
type CodeRule struct{ From, To uint16 }

// Call is one call through the edge. One goroutine owns it. The zero value must be Reset before use;
// a Call may be part of a larger struct and be reused, but not copied while in use.
type Call struct {
	opts  *Options
	state State
}

// New returns a call ready for its Start event. See Reset.
func New(o *Options, seed uint32) *Call {
	c := new(Call)
	c.Reset(o, seed)
	return c
}

// Reset makes c a fresh call. seed spreads Retry-After and glare back-off; any value will do.
func (c *Call) Reset(o *Options, seed uint32) { *c = Call{opts: o} }

// Step applies one event that happened at now and returns what must be done, in order. The slice is
// valid until the next Step of this call. No allocation.
func (c *Call) Step(now time.Time, ev Event) []Action { return nil }

// NextDeadline says when a Tick is due; zero before Start and after Finish.
func (c *Call) NextDeadline() time.Time { return time.Time{} }

// Record returns what is known of the call.
func (c *Call) Record() Record { return Record{} }

// State returns where the call stands.
func (c *Call) State() State { return c.state }
