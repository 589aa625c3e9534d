package main

import (
	"cmp"
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
	"trunkline/trunks"
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
	return p.run(ctx, probe.Request{Config: &t.Trunk, Provider: providerName(t.Provider), Number: t.TestNumber, To: t.TestDestination,
		Bind: t.Trunk.Register}, report)
}

func (p prober) Verify(ctx context.Context, t account.VerifyTarget, report func(account.Step)) (map[string]account.Verdict, error) {
	if !p.d.ready.Load() {
		return nil, errStarting
	}
	trunk := p.d.edge.Trunks().Trunk(t.Trunk)
	if trunk == nil {
		return nil, &account.Busy{Message: "the trunk is not in force yet", RetryAfter: time.Second}
	}
	if err := p.admit(ctx, trunk); err != nil {
		return nil, err
	}
	return p.run(ctx, probe.Request{Trunk: trunk, Checks: []probe.Check{probe.Inbound, probe.Outbound}, Number: t.Number, To: t.Destination}, report)
}

// admit waits for the turn of a test call under the trunk's limit. Calls that wait go first: a verification can take its time.
func (p prober) admit(ctx context.Context, t *trunks.Trunk) error {
	key := p.d.edge.PaceKeys()[cmp.Or(t.CPSKey, t.Name)]
	if key == nil {
		return nil // no limit
	}
	for {
		now := time.Now()
		if _, ok := key.Admit(now); ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return &account.Busy{Message: "the trunk's calls per second were all taken", RetryAfter: busyRetry}
		case <-time.After(max(key.Expected(now, t.Name).Sub(now), time.Millisecond)):
		}
	}
}

var errStarting = &account.Busy{Message: "the edge is not taking calls", RetryAfter: busyRetry}

func providerName(k provider.Kind) string {
	if k == provider.Manual {
		return ""
	}
	return string(k)
}

// run sends the requests, and puts steps and verdicts into the words of accounts.
func (p prober) run(ctx context.Context, r probe.Request, report func(account.Step)) (map[string]account.Verdict, error) {
	if !p.d.ready.Load() {
		return nil, errStarting
	}
	r.Public = !p.d.applier.File().Probe.AllowPrivateTargets
	r.Messages = true
	r.Progress = func(s probe.Step) { report(p.step(s)) }
	found, err := p.d.prober.Run(ctx, r)
	if wrong, ok := errors.AsType[*probe.RequestError](err); ok {
		return nil, &account.Invalid{Problems: []account.Problem{{Field: probeFields[wrong.Field], Message: wrong.Problem}}}
	}
	if err != nil { // too many, or about to stop
		return nil, &account.Busy{Message: err.Error(), RetryAfter: busyRetry}
	}
	verdicts := map[string]account.Verdict{}
	for _, c := range found.Checks {
		verdicts[string(c.Check)] = verdictOf(c)
	}
	return verdicts, nil
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
