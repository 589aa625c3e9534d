package probe

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"trunkline/config"
	"trunkline/trunks"
	"trunkline/trunks/provider"
)

// Request says what is to be proven.
type Request struct {
	// One of these two: a trunk with its addresses, as the snapshot in force has it or built for this purpose, or one that
	// nobody has stored, whose names are looked up for the probe.
	Trunk  *trunks.Trunk
	Config *config.Trunk

	Checks   []Check       // empty: all three, as far as there is what they need
	Provider string        // whose error tables go first: twilio, telnyx, signalwire, vonage; empty: told by the domain
	Number   string        // +E.164 under test: dialled for inbound_reachable, the caller for outbound_authorized; empty: none
	From     string        // caller of the test calls, +E.164; empty: Number, else the trunk's user
	To       string        // number or SIP URI called for outbound_authorized; empty: Options.Target, else Number itself
	DialOut  *trunks.Trunk // that Number is dialled out of; nil: the trunk under test
	Bind     bool          // a registering trunk that is not in force is bound to this host while Number is dialled
	Timeout  time.Duration // for one answer; 0: 5 s
	Public   bool          // refuse to send to loopback, private and link-local addresses
	Messages bool          // keep the messages, for Report.Messages

	// Progress is told of each step as it ends; nil: nobody. Run calls it from its own goroutine, Start from a shard or
	// another goroutine: there it must not block.
	Progress func(Step)

	only  bool       // no more than OPTIONS
	sweep *Discovery // that the probe is a try of: nothing is asked at neighbouring places; nil: none
}

// Errors of Run and Start, beside *RequestError.
var (
	ErrBusy   = errors.New("too many probes are under way")
	ErrClosed = errors.New("the prober was closed")
)

// RequestError says what is wrong with a Request. Nothing was sent.
type RequestError struct {
	Field   string // as in Request: Number, From, To, …
	Problem string // with what is allowed
}

func (e *RequestError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Problem) }

// wants reports whether one of these checks is asked for.
func (r *Request) wants(checks ...Check) bool {
	return len(r.Checks) == 0 || slices.ContainsFunc(checks, func(c Check) bool { return slices.Contains(r.Checks, c) })
}

// complete fills in what a request leaves out, and refuses what must not be sent.
func (r Request) complete(o Options) (Request, error) {
	if r.Timeout == 0 {
		r.Timeout = 5 * time.Second
	}
	if r.To == "" {
		r.To = o.Target
	}
	if r.From == "" {
		r.From = r.Number
	}
	for _, c := range r.Checks {
		if c != Credentials && c != Inbound && c != Outbound {
			return r, &RequestError{"Checks", fmt.Sprintf("%q is none of %s, %s, %s", c, Credentials, Inbound, Outbound)}
		}
	}
	if (r.Trunk == nil) == (r.Config == nil) {
		return r, &RequestError{"Trunk", "either a stored trunk or the settings of a new one are required"}
	}
	if r.Timeout < 0 || r.Timeout > time.Minute {
		return r, &RequestError{"Timeout", "more than 0 and at most 1m is allowed"}
	}
	for _, n := range [...]struct{ field, value string }{{"Number", r.Number}, {"From", r.From}} {
		if n.value != "" && !isE164(n.value) {
			return r, &RequestError{n.field, fmt.Sprintf("%q is no number: + and 8 to 15 digits are allowed", n.value)}
		}
	}
	for _, n := range [...]struct{ field, value string }{{"Number", r.Number}, {"To", r.To}} {
		if err := callable(n.field, n.value); err != nil {
			return r, err
		}
	}
	return r, nil
}

func isE164(s string) bool {
	digits, ok := strings.CutPrefix(s, "+")
	return ok && len(digits) >= 8 && len(digits) <= 15 && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

// callable refuses targets that a test must never call: emergency services, and
// numbers that cost more than a call.
func callable(field, target string) error {
	if target == "" {
		return nil
	}
	user := target
	if isURI(target) {
		_, rest, _ := strings.Cut(target, ":")
		user, _, _ = strings.Cut(rest, "@")
		if strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("<>\"", r) }) {
			return &RequestError{field, "spaces, quotes, angle brackets and control characters are not allowed"}
		}
		if plain, err := url.PathUnescape(user); err == nil {
			user = plain
		}
		if strings.HasPrefix(strings.ToLower(user), "sos") || strings.HasPrefix(strings.ToLower(rest), "sos") {
			return &RequestError{field, "a test never calls emergency services"}
		}
	}
	user, _, _ = strings.Cut(user, ";")
	digits := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case strings.ContainsRune("+-.() ", r):
			return -1
		}
		return 'x'
	}, user)
	switch {
	case strings.Contains(digits, "x") && isURI(target): // a name
		return nil
	case strings.Contains(digits, "x"), digits == "":
		return &RequestError{field, fmt.Sprintf("%q is neither a number (+ and 8 to 15 digits) nor a SIP URI", target)}
	case len(digits) < 8: // also +1911: country code and service
		return &RequestError{field, fmt.Sprintf("%q is too short: a test never calls emergency services or short codes", target)}
	}
	if kind, costly := provider.Costly(numberIn(target)); costly {
		return &RequestError{field, fmt.Sprintf("a test never calls %s", kind)}
	}
	if !isURI(target) && !isE164(target) {
		return &RequestError{field, fmt.Sprintf("%q is no number: + and 8 to 15 digits are allowed", target)}
	}
	return nil
}
