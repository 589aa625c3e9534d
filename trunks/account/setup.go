package account

import (
	"context"
	"encoding/hex"
	"time"

	"trunkline/trunks/provider"
)

// setUp lets the provider make connection and profile in the customer's account, and returns the credentials with what it
// made added: they are what is tested then. What it could not do is a step that failed.
func (s *Service) setUp(ctx context.Context, org string, given Outcome, log *steps) provider.Credentials {
	const kind = provider.Telnyx
	began := time.Now()
	account, err := s.o.Providers.Open(kind, given.Credentials)
	if err != nil {
		log.finding(CredentialsValid, "account", began, provider.FindingOf(err))
		return given.Credentials
	}
	guide, ok := account.(provider.Guided)
	if !ok {
		log.finding(CredentialsValid, "guided set-up", began, provider.Finding{Verdict: provider.Fail, Code: "no_guide", Message: "there is no guided set-up", Fix: "use setup_method api_key"})
		return given.Credentials
	}
	digest, _, err := s.digests(ctx, org, kind, given)
	if err != nil {
		log.probed(nil, err)
		return given.Credentials
	}
	g := provider.Guide{Reference: hex.EncodeToString(digest[:8]), InUse: func(id string) bool { return s.connectionInUse(ctx, org, id) }}
	if number := deref(given.SIPConfig.TestNumber); number != "" {
		g.Numbers = []string{number}
	}
	g.Progress = func(step string, f provider.Finding) {
		if f.Verdict == provider.Fail {
			log.finding(setUpCheck(step), step, began, f)
		} else { // that something was made proves nothing yet
			log.add(Step{Check: setUpCheck(step), Name: step, Verdict: f.Verdict, Code: f.Code, Message: f.Message, Fix: f.Fix, At: began.UTC(), Duration: time.Since(began)})
		}
		began = time.Now()
	}
	made, err := guide.SetUp(ctx, g)
	if err != nil && !log.failed() {
		log.finding(CredentialsValid, "guided set-up", began, provider.FindingOf(err))
	}
	return made
}

// setUpCheck is the question that a step of the set-up speaks to.
func setUpCheck(step string) string {
	switch step {
	case provider.StepNumbers, provider.StepInbound:
		return InboundReachable
	case provider.StepProfile:
		return OutboundAuthorized
	}
	return CredentialsValid
}

// connectionInUse reports whether a connection at the provider belongs to one of ours: its password must stay then. When that cannot
// be told it does.
func (s *Service) connectionInUse(ctx context.Context, org, id string) bool {
	used := false
	err := s.o.Repository.View(ctx, func(r Reader) error {
		all, err := r.Connections(org)
		if err != nil {
			return err
		}
		for _, c := range all {
			if c.Provider != provider.Telnyx {
				continue
			}
			credentials, err := r.ConnectionCredentials(org, c.ID)
			if err != nil {
				return err
			}
			used = used || credentials["connectionId"].Reveal() == id
		}
		return nil
	})
	return used || err != nil
}
