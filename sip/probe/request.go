package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trunkline/config"
	"trunkline/sip/resolve"
	"trunkline/trunks"
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
	From     string        // caller of the test calls; empty: Number, else the trunk's user
	To       string        // number or SIP URI called for outbound_authorized; empty: Options.Target
	DialOut  *trunks.Trunk // that Number is dialled out of; nil: the trunk under test
	Timeout  time.Duration // for one answer; 0: 5 s
	Public   bool          // refuse to send to loopback, private and link-local addresses
	Messages bool          // keep the messages, for Report.Messages
	Progress func(Step)    // told of each step as it ends, by the goroutine that called Run; nil: nobody
}

// Options of a Prober. Engine is required.
type Options struct {
	Engine    Engine
	Resolver  *resolve.Resolver // for Request.Config; nil: only literal addresses
	Target    string            // number or SIP URI that test calls go to where a Request names none; empty: none
	Rate      float64           // probes begun per second, all together; 0: no limit
	Most      int               // probes in flight; 0: 10,000
	RingLimit time.Duration     // longest a test call is left without a final response; 0: 10 s
}

// Errors of Run, beside *RequestError.
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

// Prober runs probes. Its methods may be called concurrently.
type Prober struct{ options Options }

// New returns a Prober.
func New(o Options) *Prober { return &Prober{options: o} }

// Run probes a trunk and reports when all steps are done, or as soon as ctx ends, with what is known by then; what is under
// way is cancelled and taken back. The error is a *RequestError, ErrBusy or ErrClosed, and there is no report then.
func (p *Prober) Run(ctx context.Context, r Request) (Report, error) {
	if r.Trunk == nil {
		t, err := p.build(ctx, r.Config)
		if err != nil {
			return Report{}, err
		}
		r.Trunk = t
	}
	if r.To == "" {
		r.To = p.options.Target
	}
	if r.From == "" {
		r.From = r.Number
	}
	return probe(ctx, p.options.Engine, r), nil
}

// build makes the trunk of a Request.Config.
func (p *Prober) build(ctx context.Context, c *config.Trunk) (*trunks.Trunk, error) {
	if c == nil {
		return nil, &RequestError{"Trunk", "a Trunk or a Config is required"}
	}
	cfg := config.Config{Trunks: []config.Trunk{*c}}
	names := trunks.Names{}
	for _, h := range trunks.Hosts(cfg) {
		if p.options.Resolver == nil {
			continue
		}
		q := resolve.Query{Host: h.Name, Port: 5060}
		if h.Transport != "" {
			q = resolve.Query{Host: h.Name, Transport: h.Transport}
		}
		answer, err := p.options.Resolver.Resolve(ctx, q)
		if err != nil {
			continue // the step "resolve" says so
		}
		for _, t := range answer.Targets {
			names[h] = append(names[h], trunks.Server{Addr: t.Addr, Priority: t.Priority, Weight: t.Weight, Record: t.Server})
		}
	}
	s, err := trunks.Build(cfg, names)
	if err != nil {
		return nil, &RequestError{"Config", err.Error()}
	}
	return s.Trunks[0], nil
}

// Close cancels every probe under way and waits until their calls are taken back or ctx ends. Run fails with ErrClosed from
// then on.
func (p *Prober) Close(context.Context) {}
