package account

import (
	"context"
	"errors"
	"fmt"

	"trunkline/trunks/provider"
)

// digests of what evidence is bound to.
func (s *Service) digests(ctx context.Context, org string, kind provider.Kind, o Outcome) (credentials, sip [32]byte, err error) {
	credentials, err = s.o.Repository.Digest(ctx, credentialsText(org, kind, o.Credentials))
	if err != nil {
		return credentials, sip, err
	}
	text, err := sipConfigText(org, kind, o.SIPConfig)
	if err != nil {
		return credentials, sip, fmt.Errorf("encode sip_config: %w", err)
	}
	sip, err = s.o.Repository.Digest(ctx, text)
	return credentials, sip, err
}

func (s *Service) keepEvidence(ctx context.Context, who Caller, kind provider.Kind, given, tested Outcome, name string) (Evidence, error) {
	credentials, sip, err := s.digests(ctx, who.Org, kind, given)
	if err != nil {
		return Evidence{}, err
	}
	e := Evidence{ID: newUUID(), Org: who.Org, Provider: kind, Credentials: credentials, SIPConfig: sip, Tested: tested, SuggestedName: name}
	err = s.update(ctx, who, func(c *changing) error {
		e.CreatedAt, e.ExpiresAt = c.now, c.now.Add(EvidenceLifetime)
		return c.AddEvidence(e)
	})
	return e, err
}

// proof is what is shown with a change that needs evidence.
type proof struct {
	evidence         string
	provider         provider.Kind
	credentials, sip [32]byte
}

const evidenceField = "verification_evidence_id"

// prove looks for evidence, marks it as used and returns it. Each way in which it does not hold has its own sentence (M-21);
// that of another organization does not exist.
func (c *changing) prove(p proof) (Evidence, error) {
	const again = "test these credentials again and use the new evidence"
	refuse := func(format string, args ...any) (Evidence, error) {
		return Evidence{}, invalid(evidenceField, fmt.Sprintf(format, args...), again)
	}
	if p.evidence == "" {
		return refuse("is missing")
	}
	e, err := c.Evidence(p.evidence)
	switch {
	case errors.Is(err, ErrNone) || err == nil && e.Org != c.who.Org:
		return refuse("is unknown: no test of this organization that passed, or it is long gone")
	case err != nil:
		return Evidence{}, err
	case e.UsedAt != nil:
		return refuse("was used before")
	case !c.now.Before(e.ExpiresAt):
		return refuse("has expired: it holds for %d minutes", int(EvidenceLifetime.Minutes()))
	case e.Provider != p.provider:
		return refuse("is of a test with another provider")
	case e.Credentials != p.credentials:
		return refuse("is of a test with other credentials")
	case e.SIPConfig != p.sip:
		return refuse("is of a test with another sip_config")
	}
	err = c.UseEvidence(e.ID, c.now)
	if errors.Is(err, ErrTaken) {
		return refuse("was used before")
	}
	return e, err
}
