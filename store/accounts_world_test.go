package store

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"

	"trunkline/config"
	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

// Secrets that the tests use. None may be found in a file of the database.
const (
	telnyxSecret   = "KEYsecretOfTelnyx0001"
	sipSecret      = "sip-secret-of-a-trunk-0001"
	rotatedSecret  = "sip-secret-rotated-0002"
	daSecret       = "da-secret-of-a-trunk-0003"
	evidenceSecret = "KEYsecretOfEvidenceOnly"
)

// tenancy is a service on a real database, with a provider, a prober and an engine of the test.
type tenancy struct {
	t       testing.TB
	dir     string
	db      *DB
	service *account.Service

	at     *providers
	prober *sipProber
	engine *engine
}

func newTenancy(t testing.TB) *tenancy {
	t.Helper()
	w := &tenancy{t: t, dir: t.TempDir(), at: &providers{}, prober: newSIPProber(), engine: &engine{}}
	w.open()
	t.Cleanup(func() { w.db.Close() })
	return w
}

func (w *tenancy) open() {
	w.t.Helper()
	var err error
	if w.db, err = Open(w.dir); err != nil {
		w.t.Fatal(err)
	}
	w.service, err = account.New(account.Options{Repository: w.db, Providers: w.at, Prober: w.prober, Engine: w.engine})
	if err != nil {
		w.t.Fatal(err)
	}
}

// run lets the service work on its operations; the returned function stops it.
func (w *tenancy) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.service.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

// org makes an organization with an owner and returns the owner as a caller.
func (w *tenancy) org(name string) account.Caller {
	w.t.Helper()
	_, raw, err := w.service.Bootstrap(w.t.Context(), account.Bootstrap{Organization: name, User: name + "-owner"})
	if err != nil {
		w.t.Fatal(err)
	}
	who, err := w.service.Authenticate(w.t.Context(), raw, "192.0.2.1")
	if err != nil {
		w.t.Fatal(err)
	}
	return who
}

func telnyxCredentials() provider.Credentials {
	return provider.Credentials{"apiKey": telnyxSecret, "connectionId": "2044123456789012345", "sipUsername": "acmetrunk", "sipPassword": sipSecret}
}

func telnyxSIP() account.SIPConfig { return account.SIPConfig{Domain: new("acme.sip.telnyx.com")} }

// evidence tests what a Telnyx connection needs, and returns the evidence of that.
func (w *tenancy) evidence(who account.Caller, c provider.Credentials, sip account.SIPConfig) string {
	w.t.Helper()
	result, err := w.service.Test(w.t.Context(), who, account.TestRequest{Provider: provider.Telnyx, Credentials: c, SIPConfig: sip})
	if err != nil || !result.Passed {
		w.t.Fatalf("test: %+v %v", result, err)
	}
	return result.EvidenceID
}

// connection makes a connection that works.
func (w *tenancy) connection(who account.Caller, name string) account.Connection {
	w.t.Helper()
	made, err := w.service.CreateConnection(w.t.Context(), who, account.NewConnection{Name: name, Provider: provider.Telnyx, Credentials: telnyxCredentials(), SIPConfig: telnyxSIP(),
		EvidenceID: w.evidence(who, telnyxCredentials(), telnyxSIP())})
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

// imported imports numbers that the provider has.
func (w *tenancy) imported(who account.Caller, connection int64, numbers ...string) []account.Number {
	w.t.Helper()
	w.at.have(numbers...)
	done, err := w.service.ImportNumbers(w.t.Context(), who, connection, numbers)
	if err != nil || len(done.Skipped) > 0 {
		w.t.Fatalf("import: %+v %v", done, err)
	}
	return done.Imported
}

// agent makes an agent that calls from an address of its own.
func (w *tenancy) agent(who account.Caller, name, address string) account.Agent {
	w.t.Helper()
	a, err := w.service.CreateAgent(w.t.Context(), who, account.AgentSettings{Name: name, Destinations: []account.Destination{{URI: "sip:" + address, Priority: 1, Weight: 1}}, SourceAddresses: []string{address}})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// inForce is what the engine would be told.
func (w *tenancy) inForce() config.Config {
	w.t.Helper()
	var joined config.Config
	err := w.db.View(w.t.Context(), func(r account.Reader) error {
		v, err := r.Inventory()
		if err != nil {
			return err
		}
		joined, err = v.Join(w.engine.File())
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return joined
}

// is reports whether err is of one kind.
func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// providers is an account at every provider.
type providers struct {
	mu      sync.Mutex
	numbers []provider.Number
	failure error
	inbound provider.Finding
}

func (p *providers) have(numbers ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range numbers {
		p.numbers = append(p.numbers, provider.Number{Number: n, Voice: true, Active: true})
	}
}

func (p *providers) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
}

func (p *providers) Open(kind provider.Kind, c provider.Credentials) (provider.Provider, error) {
	return p, provider.Check(kind, c)
}

func (p *providers) failing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

func (p *providers) Check(context.Context) error          { return p.failing() }
func (p *providers) Name(context.Context) (string, error) { return "Acme Main", p.failing() }
func (p *providers) Inbound(context.Context, provider.Line) (provider.Finding, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inbound.Verdict == "" {
		return provider.Finding{Verdict: provider.Pass}, p.failure
	}
	return p.inbound, nil
}
func (p *providers) Outbound(context.Context, provider.Line) (provider.Finding, error) {
	return provider.Finding{Verdict: provider.Pass}, p.failing()
}
func (p *providers) Numbers(context.Context) iter.Seq2[provider.Number, error] {
	p.mu.Lock()
	numbers, failure := p.numbers, p.failure
	p.mu.Unlock()
	return func(yield func(provider.Number, error) bool) {
		if failure != nil {
			yield(provider.Number{}, failure)
			return
		}
		for _, n := range numbers {
			if !yield(n, nil) {
				return
			}
		}
	}
}

// sipProber answers as it is told: pass, unless a check or a number is to fail.
type sipProber struct {
	mu       sync.Mutex
	verdicts map[string]account.Verdict // by check
	numbers  map[string]account.Verdict // of inbound, by number
	verified map[string]int             // how often, by number
	slow     chan struct{}              // Verify waits for an element; nil: not at all
}

func newSIPProber() *sipProber {
	return &sipProber{verdicts: map[string]account.Verdict{}, numbers: map[string]account.Verdict{}, verified: map[string]int{}}
}

func (p *sipProber) say(check string, v account.Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verdicts[check] = v
}

func (p *sipProber) sayOf(number string, v account.Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.numbers[number] = v
}

func (p *sipProber) answers(report func(account.Step)) map[string]account.Verdict {
	p.mu.Lock()
	found := map[string]account.Verdict{}
	for _, check := range []string{account.CredentialsValid, account.InboundReachable, account.OutboundAuthorized} {
		found[check] = provider.Pass
		if v, ok := p.verdicts[check]; ok {
			found[check] = v
		}
	}
	p.mu.Unlock()
	for check, v := range found {
		step := account.Step{Check: check, Name: "INVITE", Verdict: v}
		if v != provider.Pass {
			step.Message, step.Fix = check+" did not hold", "mend it"
		}
		report(step)
	}
	return found
}

func (p *sipProber) Test(_ context.Context, _ account.ProbeTarget, report func(account.Step)) (map[string]account.Verdict, error) {
	return p.answers(report), nil
}

func (p *sipProber) Verify(ctx context.Context, t account.VerifyTarget, report func(account.Step)) (map[string]account.Verdict, error) {
	if p.slow != nil {
		select {
		case <-ctx.Done():
		case <-p.slow:
		}
	}
	found := p.answers(report)
	delete(found, account.CredentialsValid)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verified[t.Number]++
	if v, ok := p.numbers[t.Number]; ok {
		found[account.InboundReachable] = v
		report(account.Step{Check: account.InboundReachable, Name: "dial-in", Verdict: v, Message: "the call did not come back"})
	}
	return found, nil
}

// engine counts what it is told.
type engine struct {
	mu      sync.Mutex
	changes int
	state   string
	file    config.Config
}

func (e *engine) Changed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changes++
}

func (e *engine) Apply(context.Context) error { return nil }

func (e *engine) Registration(string) account.Registration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return account.Registration{State: e.state}
}

func (e *engine) File() config.Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.file
}
