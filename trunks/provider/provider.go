package provider

import (
	"context"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Kind is a company, or manual for a trunk that is configured by hand.
type Kind string

const (
	Twilio     Kind = "twilio"
	Telnyx     Kind = "telnyx"
	SignalWire Kind = "signalwire"
	Vonage     Kind = "vonage"
	Manual     Kind = "manual"
)

// Kinds are all of them, in the order to show them.
var Kinds = []Kind{Twilio, Telnyx, SignalWire, Vonage, Manual}

// Label is the name as the company writes it.
func (k Kind) Label() string {
	switch k {
	case Twilio:
		return "Twilio"
	case Telnyx:
		return "Telnyx"
	case SignalWire:
		return "SignalWire"
	case Vonage:
		return "Vonage"
	}
	return "Manual"
}

// Provider is one account. Its methods may be called from any goroutine; each ends with its context, and each error
// that is not a finding is an *Error.
type Provider interface {
	// Check asks with the cheapest request there is whether the credentials are good.
	Check(ctx context.Context) error
	// Name is what the account calls this connection; empty where it has no name for it.
	Name(ctx context.Context) (string, error)
	// Numbers yields all numbers of the account, page by page. It ends after the first error.
	Numbers(ctx context.Context) iter.Seq2[Number, error]
	// Inbound finds out whether calls to the line's number are sent to us.
	Inbound(ctx context.Context, l Line) (Finding, error)
	// Outbound finds out whether the set-up over there lets calls out. What only SIP can tell stays inconclusive.
	Outbound(ctx context.Context, l Line) (Finding, error)
}

// Number is a telephone number as the account has it.
type Number struct {
	Number string // +E.164
	Label  string // the customer's own name for it; may be empty
	Voice  bool   // it takes calls
	Active bool   // neither ordered, ported out nor given up
	Route  string // what it is attached to over there: trunk, connection, handler; empty: nothing
}

// Line is what Inbound and Outbound are asked about. What is empty is not looked at.
type Line struct {
	Number      string       // own number, +E.164
	Destination string       // whom the outbound probe calls, +E.164
	Domain      string       // SIP domain at the provider
	Username    string       // SIP user name we register with
	Addresses   []netip.Addr // where we are reached
	Hosts       []string     // names under which we are reached
}

// Verdict is what a look at the provider came to.
type Verdict string

const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive" // the answer does not tell
	Skipped      Verdict = "skipped"      // there is nothing to ask
)

// Finding is a verdict with its reason. Code is from a closed set per provider; Message says what was found, Fix what the
// customer does about it. A pass has no Code and no Fix.
type Finding struct {
	Verdict Verdict
	Code    string
	Message string
	Fix     string
}

func passed(message string) Finding { return Finding{Verdict: Pass, Message: message} }

func failed(code, message, fix string) Finding {
	return Finding{Verdict: Fail, Code: code, Message: message, Fix: fix}
}

func unclear(code, message, fix string) Finding {
	return Finding{Verdict: Inconclusive, Code: code, Message: message, Fix: fix}
}

// Endpoints say where the APIs are. An empty one means the provider's own.
type Endpoints struct {
	Twilio         string // https://api.twilio.com
	TwilioTrunking string // https://trunking.twilio.com
	Telnyx         string // https://api.telnyx.com
	SignalWire     string // in place of the space's own URL
	Vonage         string // https://rest.nexmo.com
}

// Options of a Directory; all may be zero.
type Options struct {
	Endpoints       Endpoints
	VonageQueryAuth bool              // send key and secret in the query, as older accounts want it, in place of HTTP Basic
	Transport       http.RoundTripper // nil: one of its own
	Resolve         Resolve           // nil: the system's
	Timeout         time.Duration     // of one HTTP exchange; 0: 10 s
	Metrics         *Metrics          // nil: nothing is counted
}

// Resolve returns the addresses of a host name.
type Resolve func(ctx context.Context, host string) ([]netip.Addr, error)

// Directory opens accounts. It may be used from any goroutine.
type Directory struct {
	options Options
	http    *http.Client
}

const exchangeLimit = 10 * time.Second

// New returns a Directory. An endpoint that is no http or https URL is an error.
func New(o Options) (*Directory, error) {
	for _, endpoint := range []*string{&o.Endpoints.Twilio, &o.Endpoints.TwilioTrunking, &o.Endpoints.Telnyx, &o.Endpoints.SignalWire, &o.Endpoints.Vonage} {
		if *endpoint == "" {
			continue
		}
		if _, err := baseURL(*endpoint); err != nil {
			return nil, err
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = exchangeLimit
	}
	if o.Resolve == nil {
		o.Resolve = lookUp
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	return &Directory{options: o, http: &http.Client{Transport: o.Transport, CheckRedirect: stayHere}}, nil
}

// Open returns the account that credentials are for. Credentials of the wrong shape are *CredentialErrors.
func (d *Directory) Open(kind Kind, c Credentials) (Provider, error) {
	if err := Check(kind, c); err != nil {
		return nil, err
	}
	switch kind {
	case Twilio:
		return d.openTwilio(c)
	case Telnyx:
		return d.openTelnyx(c)
	case SignalWire:
		return d.openSignalWire(c)
	case Vonage:
		return d.openVonage(c)
	}
	return manual{}, nil
}

// manual is a trunk without an API: SIP alone proves it.
type manual struct{}

var onlySIP = Finding{Verdict: Skipped, Code: "no_api", Message: "a manual trunk has no API to ask; SIP alone proves it"}

func (manual) Check(context.Context) error          { return nil }
func (manual) Name(context.Context) (string, error) { return "", nil }
func (manual) Numbers(context.Context) iter.Seq2[Number, error] {
	return func(func(Number, error) bool) {}
}
func (manual) Inbound(context.Context, Line) (Finding, error)  { return onlySIP, nil }
func (manual) Outbound(context.Context, Line) (Finding, error) { return onlySIP, nil }

// Suggest returns a name for a new connection as "Telnyx: Acme Main (+15550001234)". What the account does not tell is left
// out; a manual trunk is named by its SIP domain.
func Suggest(ctx context.Context, kind Kind, p Provider, domain string) (string, error) {
	name, err := p.Name(ctx)
	if err != nil {
		return "", err
	}
	if kind == Manual {
		name = domain
	}
	first := ""
	for number, err := range p.Numbers(ctx) {
		if err != nil {
			return "", err
		}
		if number.Voice && number.Active {
			first = number.Number
			break
		}
	}
	return suggestion(kind, name, first), nil
}

func suggestion(kind Kind, name, number string) string {
	text := kind.Label()
	if name != "" {
		text += ": " + clean(name, longestName)
	}
	if number != "" {
		text += " (" + number + ")"
	}
	return text
}

const longestName = 80 // of the name inside a suggestion; the whole stays below 120

func baseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, &CredentialError{Field: "endpoint", Problem: "is not an http or https URL", Allowed: "as https://api.example.com"}
	}
	return u, nil
}
