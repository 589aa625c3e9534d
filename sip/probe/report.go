package probe

import (
	"strconv"
	"time"

	"trunkline/sip"
)

// Verdict is what a step or a check came to.
type Verdict string

// The verdicts. Silence to OPTIONS is inconclusive: many carriers ignore it.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
	Skipped      Verdict = "skipped"
)

// Check is one of the questions a user has.
type Check string

// The checks.
const (
	Credentials Check = "credentials_valid"   // the carrier takes our user name and password
	Inbound     Check = "inbound_reachable"   // calls to the number reach us, by the trunk they should
	Outbound    Check = "outbound_authorized" // the carrier takes our calls, with that caller
)

// Report is the outcome of one probe. As JSON its keys are stable.
type Report struct {
	Trunk     string    `json:"trunk"`
	Server    string    `json:"server"`
	Transport string    `json:"transport"`
	Verdict   Verdict   `json:"verdict"` // fail when a check failed, else pass when one passed, else inconclusive
	Started   time.Time `json:"started_at"`
	Duration  Duration  `json:"duration_ms"`
	Checks    []Result  `json:"checks"` // the three, in the order above
	Steps     []Step    `json:"steps"`  // in order of time
	Facts     Facts     `json:"facts"`
}

// Result is what one check came to.
type Result struct {
	Check   Check   `json:"check"`
	Verdict Verdict `json:"verdict"`
	Code    Cause   `json:"code,omitempty"` // of a verdict other than pass
	Message string  `json:"message,omitempty"`
	Fix     string  `json:"fix,omitempty"`
}

// OK is the check as a yes or no: proven, or nothing is to be proven.
func (r Result) OK() bool { return r.Verdict == Pass || r.Code == NotApplicable }

// Step is one thing that was done.
type Step struct {
	Check    Check     `json:"check,omitempty"` // that it is for; empty: for all of them
	Name     string    `json:"step"`            // resolve, OPTIONS, REGISTER, INVITE, …
	Verdict  Verdict   `json:"verdict"`
	Code     Cause     `json:"code,omitempty"` // of a verdict other than pass
	Message  string    `json:"message"`
	Fix      string    `json:"fix,omitempty"`
	Status   int       `json:"sip_status,omitempty"` // last SIP status; 0: none came
	Duration Duration  `json:"duration_ms"`
	At       time.Time `json:"at"` // its beginning

	Messages []sip.Traced `json:"-"` // as sent and received, credentials masked

	proven bool // credentials were asked for, sent and not refused
}

// Facts are what was learnt of the carrier on the way. Empty fields were not.
type Facts struct {
	SeenAs    string       `json:"seen_as,omitempty"`   // our address as the carrier sees it (received and rport of the Via)
	RTT       Duration     `json:"rtt_ms,omitempty"`    // of OPTIONS, or of what was answered first
	Agent     string       `json:"agent,omitempty"`     // its Server or User-Agent
	Addresses []string     `json:"addresses,omitempty"` // of the server, in the order they are tried
	TLS       *TLSFacts    `json:"tls,omitempty"`
	Bindings  []string     `json:"bindings,omitempty"` // Contacts that the registrar has for our user
	Inbound   *InboundCall `json:"inbound,omitempty"`  // the dial-in as it arrived
}

// TLSFacts are about the server's side of a TLS handshake.
type TLSFacts struct {
	Version string    `json:"version"` // as "TLS 1.3"
	Cipher  string    `json:"cipher"`
	Names   []string  `json:"names"`   // that the certificate is for
	Chain   []string  `json:"chain"`   // subjects, the server's first
	Expires time.Time `json:"expires"` // the first of the chain to run out
}

// InboundCall is the dial-in as it arrived.
type InboundCall struct {
	Trunk     string   `json:"trunk,omitempty"` // whose source it is; empty: nobody's
	Source    string   `json:"source"`          // address and port it came from
	Transport string   `json:"transport"`
	Called    string   `json:"called"`  // user part of the Request-URI, as it stood there
	Caller    string   `json:"caller"`  // that of From
	Format    string   `json:"format"`  // how numbers are written: e164, digits or national
	Headers   []string `json:"headers"` // names, in order
}

// Duration is a time.Duration that JSON shows in milliseconds, with three digits behind the point.
type Duration time.Duration

// D returns d as time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Duration(d).Microseconds())/1000, 'f', 3, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	ms, err := strconv.ParseFloat(string(b), 64)
	*d = Duration(ms * float64(time.Millisecond))
	return err
}

// Passed reports whether no check failed and at least one passed.
func (r *Report) Passed() bool { return r.Verdict == Pass }

// Result returns what a check came to.
func (r *Report) Result(c Check) Result {
	for _, one := range r.Checks {
		if one.Check == c {
			return one
		}
	}
	return Result{Check: c, Verdict: Skipped}
}

// Messages returns all messages of the probe in time order.
func (r *Report) Messages() (all []sip.Traced) {
	for _, s := range r.Steps {
		all = append(all, s.Messages...)
	}
	return all
}

// verdict sums the checks up.
func verdict(checks []Result) Verdict {
	sum := Inconclusive
	for _, c := range checks {
		switch c.Verdict {
		case Fail:
			return Fail
		case Pass:
			sum = Pass
		}
	}
	return sum
}
