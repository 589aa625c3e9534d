package account

import (
	"context"
	"errors"
	"sync"
	"time"

	"trunkline/config"
	"trunkline/trunks/provider"
)

// Test proves credentials and sip_config before anything is stored: the provider's own API and the SIP requests, side by side.
// Only a test that passed leaves evidence. A test that failed is no error.
func (s *Service) Test(ctx context.Context, who Caller, r TestRequest) (TestResult, error) {
	if err := who.may(Admin, "testing a connection"); err != nil {
		return TestResult{}, err
	}
	if s.o.Providers == nil || s.o.Prober == nil {
		return TestResult{}, errors.New("account: no Providers or Prober to test with")
	}
	given := Outcome{provider.Merge(nil, r.Credentials), r.SIPConfig}
	if err := s.checkShape(who.Org, r.Provider, r.SetupMethod, given); err != nil {
		return TestResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.TestLimit)
	defer cancel()
	log := &steps{report: r.Report}
	tested := given
	if r.SetupMethod == SetupGuidedTelnyx {
		tested.Credentials = s.setUp(ctx, who.Org, given, log)
	}
	result := TestResult{}
	if !log.failed() {
		result.SuggestedName = s.testBoth(ctx, r.Provider, tested, log)
	}
	result.Steps, result.Checks = log.all, log.answers.checks()
	result.Passed = result.Checks.Passed()
	if log.err != nil {
		return TestResult{}, log.err
	}
	if err := context.Cause(ctx); err != nil && errors.Is(err, context.Canceled) {
		return TestResult{}, err // nobody waits for it any more, and nobody could use its evidence
	}
	if !result.Passed {
		return result, nil
	}
	evidence, err := s.keepEvidence(ctx, who, r.Provider, given, tested, result.SuggestedName)
	if err != nil {
		return TestResult{}, err
	}
	result.EvidenceID, result.ExpiresAt = evidence.ID, evidence.ExpiresAt
	return result, nil
}

// checkShape finds everything that is wrong before anybody is asked.
func (s *Service) checkShape(org string, kind provider.Kind, method SetupMethod, o Outcome) error {
	var p problems
	switch {
	case method == "" || method == SetupAPIKey && kind != provider.Manual || method == SetupManual && kind == provider.Manual:
	case method == SetupGuidedTelnyx && kind == provider.Telnyx:
	case method == SetupGuidedTelnyx, method == SetupAPIKey, method == SetupManual:
		p.add("setup_method", "api_key, guided_telnyx for telnyx, manual for manual", "%s does not go with %s", method, kind)
	default:
		p.add("setup_method", "api_key, guided_telnyx, manual", "is unknown")
	}
	p.credentials(kind, provider.Complete(kind, o.Credentials, deref(o.SIPConfig.Domain)))
	if _, err := s.trunkOf(org, kind, o); err != nil {
		bad, ok := errors.AsType[*Invalid](err)
		if !ok {
			return err
		}
		p = append(p, bad.Problems...)
	}
	return p.err()
}

// credentials adds what the provider's package finds wrong with their shape.
func (p *problems) credentials(kind provider.Kind, c provider.Credentials) {
	err := provider.Check(kind, c)
	if err == nil {
		return
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, e := range all {
		bad, ok := errors.AsType[*provider.CredentialError](e)
		switch {
		case !ok:
			p.add("credentials", "", "%v", e)
		case bad.Field == "provider":
			p.add("provider", bad.Allowed, "%s", bad.Problem)
		default:
			p.add("credentials."+bad.Field, bad.Allowed, "%s", bad.Problem)
		}
	}
}

// testBoth asks the provider's API and the SIP engine at the same time, and returns a name for the connection.
func (s *Service) testBoth(ctx context.Context, kind provider.Kind, o Outcome, log *steps) (name string) {
	credential, err := s.trunkOf("", kind, o)
	if err != nil { // what the guide returned does not fit
		log.finding("", "settings", time.Now(), provider.Finding{Verdict: provider.Fail, Code: "settings", Message: err.Error()})
		return ""
	}
	trunk, err := credential.engineTrunk()
	if err != nil {
		log.finding("", "settings", time.Now(), provider.Finding{Verdict: provider.Fail, Code: "settings", Message: err.Error()})
		return ""
	}
	numbers := make(chan string, 1)
	var both sync.WaitGroup
	both.Go(func() { name = s.testAccount(ctx, kind, o, trunk, log, numbers) })
	both.Go(func() {
		target := ProbeTarget{Provider: kind, Trunk: trunk, TestNumber: deref(o.SIPConfig.TestNumber), TestDestination: deref(o.SIPConfig.TestDestination)}
		if target.TestNumber == "" && kind != provider.Manual {
			target.TestNumber = <-numbers
		}
		log.probed(s.o.Prober.Test(ctx, target, log.add))
	})
	both.Wait()
	return name
}

// testAccount asks the provider's API. It puts exactly one number into numbers, empty when none was seen.
func (s *Service) testAccount(ctx context.Context, kind provider.Kind, o Outcome, trunk config.Trunk, log *steps, numbers chan<- string) (name string) {
	first := deref(o.SIPConfig.TestNumber)
	seen := sync.OnceFunc(func() { numbers <- first })
	defer seen()
	began := time.Now()
	account, err := s.o.Providers.Open(kind, provider.Complete(kind, o.Credentials, trunk.Domain))
	if err == nil {
		err = account.Check(ctx)
	}
	if err != nil {
		log.finding(CredentialsValid, "account", began, provider.FindingOf(err))
		return ""
	}
	if kind != provider.Manual {
		log.finding(CredentialsValid, "account", began, provider.Finding{Verdict: provider.Pass, Message: kind.Label() + " takes the credentials"})
	}
	began = time.Now()
	for number, err := range account.Numbers(ctx) {
		if err != nil {
			log.finding("", "numbers", began, softened(provider.FindingOf(err)))
			break
		}
		if number.Voice && number.Active && first == "" {
			first = number.Number
		}
		if first != "" {
			break
		}
	}
	seen()
	line := s.line(trunk, first, deref(o.SIPConfig.TestDestination))
	began = time.Now()
	if found, err := account.Inbound(ctx, line); err != nil {
		log.finding(InboundReachable, "inbound routing", began, softened(provider.FindingOf(err)))
	} else {
		log.finding(InboundReachable, "inbound routing", began, found)
	}
	began = time.Now()
	if found, err := account.Outbound(ctx, line); err != nil {
		log.finding(OutboundAuthorized, "outbound set-up", began, softened(provider.FindingOf(err)))
	} else {
		log.finding(OutboundAuthorized, "outbound set-up", began, found)
	}
	if name, err = provider.Suggest(ctx, kind, account, trunk.Domain); err != nil {
		return kind.Label() // the name is a courtesy
	}
	return name
}

// softened: an answer that did not come decides nothing, the requests over SIP may.
func softened(f provider.Finding) provider.Finding {
	if f.Verdict == provider.Fail {
		f.Verdict = provider.Inconclusive
	}
	return f
}

func (s *Service) line(trunk config.Trunk, number, destination string) provider.Line {
	l := s.o.Us
	l.Number, l.Destination, l.Domain, l.Username = number, destination, trunk.Domain, trunk.AuthUser
	if l.Domain == "" {
		l.Domain = trunk.Server.Host
	}
	return l
}

// SuggestName returns a name for a connection with these credentials.
func (s *Service) SuggestName(ctx context.Context, who Caller, kind provider.Kind, c provider.Credentials, sip SIPConfig) (string, error) {
	if err := who.may(Admin, "asking for a name"); err != nil {
		return "", err
	}
	var p problems
	domain := deref(sip.Domain)
	if domain == "" {
		domain = deref(sip.Server)
	}
	c = provider.Complete(kind, provider.Merge(nil, c), domain)
	if p.credentials(kind, c); len(p) > 0 {
		return "", p.err()
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.TestLimit)
	defer cancel()
	account, err := s.o.Providers.Open(kind, c)
	if err != nil {
		return "", providerFailed(kind, "open the account", err)
	}
	name, err := provider.Suggest(ctx, kind, account, domain)
	if known, ok := errors.AsType[*provider.Error](err); ok && (known.Class == provider.Unauthorized || known.Class == provider.Forbidden || known.Class == provider.Incomplete) {
		return "", invalid("credentials", known.Error(), known.Fix())
	}
	if err != nil {
		return "", providerFailed(kind, "find a name", err)
	}
	return name, nil
}

// steps gathers what is done from several goroutines.
type steps struct {
	report  func(Step)
	mu      sync.Mutex
	all     []Step
	answers answers
	err     error // the probe could not be carried out
}

func (l *steps) add(s Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
	if l.report != nil {
		l.report(s) // in the order of the list, one at a time
	}
}

// finding is a step that answers its question.
func (l *steps) finding(check, name string, began time.Time, f provider.Finding) {
	l.answer(check, f.Verdict)
	l.add(Step{Check: check, Name: name, Verdict: f.Verdict, Code: f.Code, Message: f.Message, Fix: f.Fix, At: began.UTC(), Duration: time.Since(began)})
}

func (l *steps) answer(check string, v Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answers == nil {
		l.answers = answers{}
	}
	l.answers[check] = append(l.answers[check], v)
}

// probed takes what a Prober returns; its steps are here already.
func (l *steps) probed(found map[string]Verdict, err error) {
	for check, v := range found {
		l.answer(check, v)
	}
	if err != nil {
		l.mu.Lock()
		l.err = err
		l.mu.Unlock()
	}
}

func (l *steps) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.all {
		if s.Verdict == provider.Fail {
			return true
		}
	}
	return false
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// providerFailed keeps what the provider's package knows of a failure.
func providerFailed(kind provider.Kind, doing string, err error) error {
	found := provider.FindingOf(err)
	failed := &ProviderFailed{Provider: kind, Doing: doing, Code: found.Code, Message: found.Message, Fix: found.Fix, Err: err}
	if known, ok := errors.AsType[*provider.Error](err); ok {
		failed.RetryAfter = known.RetryAfter
	}
	return failed
}
