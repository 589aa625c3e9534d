package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"trunkline/config"
	"trunkline/sip"
	"trunkline/sip/probe"
	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

// openAccounts makes the service of what organizations have. It works as soon as the edge does.
func (d *daemon) openAccounts() error {
	metrics, err := provider.NewMetrics(d.metrics.Registerer())
	if err != nil {
		return err
	}
	p := d.config.Providers
	providers, err := provider.New(provider.Options{
		Endpoints:       provider.Endpoints{Twilio: p.TwilioURL, TwilioTrunking: p.TwilioTrunkingURL, Telnyx: p.TelnyxURL, SignalWire: p.SignalWireURL, Vonage: p.VonageURL},
		VonageQueryAuth: p.VonageAuth == config.VonageQuery,
		Metrics:         metrics,
	})
	if err != nil {
		return fmt.Errorf("providers: %w", err)
	}
	d.applier = newInventory(d)
	d.accounts, err = account.New(account.Options{
		Repository:   d.db,
		Providers:    providers,
		Prober:       prober{d},
		Engine:       d.applier,
		Us:           provider.Line{Addresses: shownAddresses(d.config.SIP)},
		Transports:   transportsOf(d.config.SIP),
		AllowPrivate: d.config.Probe.AllowPrivateTargets,
		Log:          d.log,
	})
	return err
}

// startAccounts begins the work that goes on by itself. It is stopped before the edge.
func (d *daemon) startAccounts() {
	ctx, stop := context.WithCancel(context.Background())
	d.stopWork = stop
	d.working.Go(func() { d.applier.run(ctx) })
	d.working.Go(func() { d.accounts.Run(ctx) })
	d.working.Go(func() { d.board.Run(ctx) })
	d.working.Go(func() { d.webhooks.Run(ctx) })
	d.onClose(d.stopAccounts)
}

func (d *daemon) stopAccounts() {
	d.stopWork()
	d.working.Wait()
}

// httpIdentity is what HTTPS shows; nil for plain HTTP.
func (d *daemon) httpIdentity() (*tls.Config, error) {
	t := d.config.HTTP.TLS
	if t.Certificate == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
}

// shownAddresses are those under which carriers reach the listeners.
func shownAddresses(s config.SIP) (all []netip.Addr) {
	for _, l := range s.Listen {
		shown := l.Addr.Addr()
		for _, public := range []netip.Addr{s.PublicAddress, l.Public} { // the listener's own wins
			if public.IsValid() {
				shown = public
			}
		}
		if shown.IsUnspecified() || slices.Contains(all, shown) {
			continue
		}
		all = append(all, shown)
	}
	return all
}

func transportsOf(s config.SIP) (all []string) {
	for _, l := range s.Listen {
		if t := string(l.Transport); !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// prober sends the SIP requests of tests for accounts.
type prober struct{ d *daemon }

// busyRetry is what a client is asked to wait when there are too many probes.
const busyRetry = 5 * time.Second

func (p prober) Test(ctx context.Context, t account.ProbeTarget, report func(account.Step)) (map[string]account.Verdict, error) {
	t.Trunk.Name = "test"
	found, err := p.run(ctx, probe.Request{Config: &t.Trunk, Provider: providerName(t.Provider), Number: t.TestNumber, To: t.TestDestination,
		Bind: t.Trunk.Register}, report)
	if err != nil {
		return nil, err
	}
	return verdictsOf(found)
}

func (p prober) Verify(ctx context.Context, t account.VerifyTarget, report func(account.Step)) (map[string]account.Verdict, error) {
	if !p.d.ready.Load() {
		return nil, errStarting
	}
	trunk := p.d.edge.Trunks().Trunk(t.Trunk)
	if trunk == nil {
		return nil, &account.Busy{Message: "the trunk is not in force yet", RetryAfter: time.Second}
	}
	r := probe.Request{Trunk: trunk, Checks: []probe.Check{probe.Inbound, probe.Outbound}, Number: t.Number, To: t.Destination}
	for try := 1; ; try++ {
		found, err := p.run(ctx, r, report)
		if err != nil {
			return nil, err
		}
		if try == verifyTries || !tooFast(found) {
			return verdictsOf(found)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// verifyTries bound how often a number is tried whose carrier says that there were too many calls in its second: it counts by its own
// clock, and what left here within the limit may come there in a burst.
const verifyTries = 3

func tooFast(r probe.Report) bool {
	return slices.ContainsFunc(r.Checks, func(c probe.Result) bool { return c.Code == probe.CPSExceeded })
}

// verdictsOf puts the outcome of a test into the words of accounts. A test that had no turn within our own limit says nothing about
// trunk or number.
func verdictsOf(r probe.Report) (map[string]account.Verdict, error) {
	verdicts := map[string]account.Verdict{}
	for _, c := range r.Checks {
		if c.Code == probe.Throttled {
			return nil, &account.Busy{Message: c.Message, RetryAfter: busyRetry}
		}
		verdicts[string(c.Check)] = verdictOf(c)
	}
	return verdicts, nil
}

var errStarting = &account.Busy{Message: "the edge is not taking calls", RetryAfter: busyRetry}

func providerName(k provider.Kind) string {
	if k == provider.Manual {
		return ""
	}
	return string(k)
}

// run sends the requests, and puts steps and errors into the words of accounts.
func (p prober) run(ctx context.Context, r probe.Request, report func(account.Step)) (probe.Report, error) {
	if !p.d.ready.Load() {
		return probe.Report{}, errStarting
	}
	r.Public = !p.d.applier.File().Probe.AllowPrivateTargets
	r.Messages = true
	r.Progress = func(s probe.Step) { report(p.step(s)) }
	found, err := p.d.prober.Run(ctx, r)
	if wrong, ok := errors.AsType[*probe.RequestError](err); ok {
		return probe.Report{}, &account.Invalid{Problems: []account.Problem{{Field: probeFields[wrong.Field], Message: wrong.Problem}}}
	}
	if err != nil { // too many, or about to stop
		return probe.Report{}, &account.Busy{Message: err.Error(), RetryAfter: busyRetry}
	}
	return found, nil
}

// probeFields are what a client calls the fields of a probe.Request.
var probeFields = map[string]string{"Number": "sip_config.test_number", "To": "sip_config.test_destination", "From": "sip_config.test_number", "Config": "sip_config"}

// verdictOf: a check that does not apply is in nobody's way.
func verdictOf(c probe.Result) account.Verdict {
	if c.OK() {
		return provider.Pass
	}
	return account.Verdict(c.Verdict)
}

func (p prober) step(s probe.Step) account.Step {
	step := account.Step{Check: string(s.Check), Name: s.Name, Verdict: account.Verdict(s.Verdict), Code: string(s.Code), Message: s.Message, Fix: s.Fix,
		At: s.At.UTC(), Duration: s.Duration.D()}
	if len(s.Messages) > 0 {
		step.Ladder = sip.Ladder(s.Messages, sip.NameIn(p.d.edge.Trunks()))
	}
	return step
}
