package account

import (
	"context"
	"errors"
	"fmt"
)

// Numbers lists the organization's, newest first.
func (s *Service) Numbers(ctx context.Context, who Caller, f NumberFilter) (all []Number, err error) {
	err = s.view(ctx, who, "listing numbers", func(r Reader) error { all, err = r.Numbers(who.Org, f); return err })
	return all, err
}

// Number returns one.
func (s *Service) Number(ctx context.Context, who Caller, id int64) (found Number, err error) {
	err = s.view(ctx, who, "reading a number", func(r Reader) error { found, err = r.Number(who.Org, id); return err })
	return found, missing(err, "number", id)
}

// UpdateNumber gives a number other agents, or takes it in or out of service.
func (s *Service) UpdateNumber(ctx context.Context, who Caller, id int64, change NumberChange) (n Number, err error) {
	err = s.change(ctx, who, "changing a number", func(c *changing) error {
		if n, err = c.Number(who.Org, id); err != nil {
			return missing(err, "number", id)
		}
		if err := unchanged(n.Version, change.IfVersion, "number", id); err != nil {
			return err
		}
		var p problems
		for _, side := range []struct {
			field string
			given Optional[int64]
			agent *int64
		}{{"inbound_agent_id", change.InboundAgent, &n.InboundAgent}, {"outbound_agent_id", change.OutboundAgent, &n.OutboundAgent}} {
			if !side.given.Set {
				continue
			}
			*side.agent = deref(side.given.Value)
			if err := c.checkAgent(&p, side.field, *side.agent); err != nil {
				return err
			}
		}
		if change.Status != nil {
			p.status(&n, *change.Status)
		}
		if err := p.err(); err != nil {
			return err
		}
		n.UpdatedAt = c.now
		if err := c.ChangeNumber(&n); err != nil {
			return err
		}
		c.engine = true
		return c.happened("number.updated", subject("number", id), "", n.told())
	})
	return n, err
}

func (c *changing) checkAgent(p *problems, field string, id int64) error {
	if id == 0 {
		return nil
	}
	_, err := c.Agent(c.who.Org, id)
	if errors.Is(err, ErrNone) {
		p.add(field, "the id of an agent, or null", "there is no agent %d", id)
		return nil
	}
	return err
}

// status moves n to another state by hand. Only verification makes a number active for the first time.
func (p *problems) status(n *Number, to NumberStatus) {
	const field = "status"
	switch to {
	case n.Status:
	case NumberActive:
		switch {
		case n.Verification != VerifiedOK:
			p.add(field, "verify the number", "only a verified number can be active")
		case n.SIPCredential == "":
			p.add(field, "import it into a connection", "the number has no connection")
		default:
			n.Status = to
		}
	case NumberProvisioning:
		if n.SIPCredential == "" {
			p.add(field, "import it into a connection", "the number has no connection")
			return
		}
		n.Status = to
	case NumberReleased:
		p.add(field, "delete the number", "a number is released by deleting it")
	case NumberFailed:
		p.add(field, "active, provisioning", "failed is what verification finds out")
	default:
		p.add(field, "active, provisioning", "is unknown")
	}
}

// TransferNumber moves a number to another organization, which the caller's user must be a member of while owning this one. It
// arrives without connection and agents; the other organization imports it.
func (s *Service) TransferNumber(ctx context.Context, who Caller, id int64, to Transfer) (n Number, err error) {
	if err := who.may(Owner, "transferring a number"); err != nil {
		return Number{}, err
	}
	if to.Organization == "" || to.Organization == who.Org {
		return Number{}, invalid("organization", "is missing or this one", "the id of another organization that you are a member of")
	}
	err = s.update(ctx, who, func(c *changing) error {
		if n, err = c.Number(who.Org, id); err != nil {
			return missing(err, "number", id)
		}
		_, err := c.Role(to.Organization, who.User)
		if errors.Is(err, ErrNone) { // also when there is no such organization: that is nobody's business
			return &Forbidden{Message: "transferring a number needs a membership in the organization it goes to"}
		}
		if err != nil {
			return err
		}
		n.Org, n.SIPCredential, n.Connection, n.InboundAgent, n.OutboundAgent = to.Organization, "", 0, 0, 0
		n.Status, n.Verification, n.Failures, n.LastVerifiedAt, n.UpdatedAt = NumberProvisioning, Unverified, 0, nil, c.now
		if err := c.ChangeNumber(&n); err != nil {
			return err
		}
		c.engine = true
		told := map[string]any{"id": n.ID, "number": n.Number}
		if err := c.happened("number.transferred_away", subject("number", id), "", told); err != nil {
			return err
		}
		return c.happenedTo(to.Organization, "number.transferred_here", subject("number", id), "", told)
	})
	return n, err
}

// ReleaseNumber gives a number up for good. It may be imported again.
func (s *Service) ReleaseNumber(ctx context.Context, who Caller, id int64) error {
	return s.change(ctx, who, "releasing a number", func(c *changing) error {
		n, err := c.Number(who.Org, id)
		if err != nil {
			return missing(err, "number", id)
		}
		n.Status, n.SIPCredential, n.Connection, n.InboundAgent, n.OutboundAgent, n.UpdatedAt = NumberReleased, "", 0, 0, 0, c.now
		if err := c.ChangeNumber(&n); err != nil {
			return err
		}
		c.engine = true
		return c.happened("number.released", subject("number", id), "", n.told())
	})
}

// told is what events say of a number.
func (n Number) told() map[string]any {
	return map[string]any{"id": n.ID, "number": n.Number, "status": n.Status, "voip_verification_status": n.Verification, "voip_connection_id": orNull(n.Connection)}
}

func orNull(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

// lock keeps a number from being verified twice at the same time.
func (s *Service) lock(id int64) (unlock func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.busy[id]; ok {
		return nil, &Conflict{Message: fmt.Sprintf("number %d is being verified", id), Fix: "wait for that to end"}
	}
	s.busy[id] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.busy, id)
	}, nil
}
