package account

import (
	"context"
	"fmt"
	"math"
)

// SIPCredentials lists the organization's, newest first, and says how many there are in all. take is 1 to 1,000.
func (s *Service) SIPCredentials(ctx context.Context, who Caller, skip, take int) (some []SIPCredential, total int, err error) {
	var p problems
	if skip < 0 || skip > math.MaxInt32 {
		p.add("skip", "0 or more", "%d is out of range", skip)
	}
	if take < 1 || take > 1000 {
		p.add("take", "1 to 1000", "%d is out of range", take)
	}
	if err := p.err(); err != nil {
		return nil, 0, err
	}
	err = s.view(ctx, who, "listing SIP credentials", func(r Reader) error { some, total, err = r.SIPCredentials(who.Org, skip, take); return err })
	for i := range some {
		some[i] = s.registered(some[i])
	}
	return some, total, err
}

// SIPCredential returns one.
func (s *Service) SIPCredential(ctx context.Context, who Caller, id string) (found SIPCredential, err error) {
	err = s.view(ctx, who, "reading a SIP credential", func(r Reader) error { found, err = r.SIPCredential(who.Org, id); return err })
	return s.registered(found), missing(err, "SIP credential", id)
}

func (s *Service) registered(c SIPCredential) SIPCredential {
	if s.o.Engine != nil && c.ID != "" {
		c.Registration = s.o.Engine.Registration(c.Trunk)
	}
	return c
}

// CreateSIPCredential makes a trunk of the engine, without a test.
func (s *Service) CreateSIPCredential(ctx context.Context, who Caller, settings SIPCredentialSettings) (SIPCredential, error) {
	if err := who.may(Admin, "creating a SIP credential"); err != nil {
		return SIPCredential{}, err
	}
	made := SIPCredential{ID: newUUID(), Org: who.Org, Source: SourceManual}
	if err := s.settleCredential(&made, settings); err != nil {
		return SIPCredential{}, err
	}
	err := s.change(ctx, who, "creating a SIP credential", func(c *changing) (err error) {
		if err := c.guardSources("server", made.callsFrom(), false); err != nil {
			return err
		}
		made.CreatedAt, made.UpdatedAt = c.now, c.now
		if err := c.AddSIPCredential(made); err != nil {
			return err
		}
		if made, err = c.SIPCredential(who.Org, made.ID); err != nil {
			return err
		}
		c.engine = true
		return c.happened("sip_credential.created", subject("sip_credential", made.ID), "", made.told())
	})
	return s.registered(made), err
}

// settleCredential puts settings into c with what follows from them.
func (s *Service) settleCredential(c *SIPCredential, settings SIPCredentialSettings) error {
	if settings.Transport == "" {
		settings.Transport = "udp"
	}
	c.SIPCredentialSettings = settings
	c.Realm, c.Register, c.NumberFormat = settings.Domain, settings.AuthUser != "", formatE164Plus // M-61
	var p problems
	s.checkTrunk(&p, credentialFields, *c)
	return p.err()
}

// callsFrom is where calls of the trunk come from, as text.
func (c SIPCredential) callsFrom() (all []string) {
	trunk, err := c.engineTrunk()
	if err != nil {
		return nil // refused elsewhere
	}
	for _, source := range trunk.SourceAddresses {
		all = append(all, source.String())
	}
	return all
}

// ReplaceSIPCredential puts settings in place of all that was there; a password that is not given is taken away. Calls that are up
// and the registration stay. One that a connection owns is changed there.
func (s *Service) ReplaceSIPCredential(ctx context.Context, who Caller, id string, settings SIPCredentialSettings, ifVersion int64) (SIPCredential, error) {
	var after SIPCredential
	err := s.change(ctx, who, "changing a SIP credential", func(c *changing) error {
		found, err := c.ownCredential(id)
		if err != nil {
			return err
		}
		if err := unchanged(found.Version, ifVersion, "SIP credential", id); err != nil {
			return err
		}
		if err := s.settleCredential(&found, settings); err != nil {
			return err
		}
		if err := c.guardSources("server", found.callsFrom(), false); err != nil {
			return err
		}
		found.UpdatedAt = c.now
		if err := c.ChangeSIPCredential(&found); err != nil {
			return err
		}
		after, c.engine = found, true
		return c.happened("sip_credential.updated", subject("sip_credential", id), "", found.told())
	})
	return s.registered(after), err
}

// ownCredential is one that no connection owns.
func (c *changing) ownCredential(id string) (SIPCredential, error) {
	found, err := c.SIPCredential(c.who.Org, id)
	if err != nil {
		return found, missing(err, "SIP credential", id)
	}
	if found.Connection != 0 {
		return found, &Conflict{Message: fmt.Sprintf("SIP credential %s belongs to connection %d", id, found.Connection), Fix: "change or delete the connection"}
	}
	return found, nil
}

// DeleteSIPCredential removes a trunk. While it carries numbers that is a Conflict, unless force fails them.
func (s *Service) DeleteSIPCredential(ctx context.Context, who Caller, id string, force bool) error {
	return s.change(ctx, who, "deleting a SIP credential", func(c *changing) error {
		found, err := c.ownCredential(id)
		if err != nil {
			return err
		}
		numbers, err := c.Numbers(who.Org, NumberFilter{SIPCredential: id})
		if err != nil {
			return err
		}
		if len(numbers) > 0 && !force {
			return &Conflict{Message: fmt.Sprintf("SIP credential %s carries %d numbers", id, len(numbers)), Fix: "release them, or delete with force=true, which fails them", Count: len(numbers)}
		}
		if err := c.detach(numbers); err != nil {
			return err
		}
		if err := c.RemoveSIPCredential(id); err != nil {
			return err
		}
		c.engine = true
		return c.happened("sip_credential.deleted", subject("sip_credential", id), "", found.told())
	})
}

// AffectedAgents lists the agents whose calls a SIP credential carries.
func (s *Service) AffectedAgents(ctx context.Context, who Caller, id string) (all []Agent, err error) {
	err = s.view(ctx, who, "listing agents", func(r Reader) error {
		if _, err := r.SIPCredential(who.Org, id); err != nil {
			return missing(err, "SIP credential", id)
		}
		all, err = r.AffectedAgents(who.Org, id)
		return err
	})
	return all, err
}

func (c SIPCredential) told() map[string]any {
	return map[string]any{"id": c.ID, "server": c.Server, "transport": c.Transport, "source": c.Source}
}
