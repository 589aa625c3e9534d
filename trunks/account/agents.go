package account

import (
	"context"
	"errors"
	"fmt"

	"trunkline/config"
)

const maxDestinations = 64 // of one agent

// Agents lists the organization's, newest first.
func (s *Service) Agents(ctx context.Context, who Caller) (all []Agent, err error) {
	err = s.view(ctx, who, "listing agents", func(r Reader) error { all, err = r.Agents(who.Org); return err })
	return all, err
}

// Agent returns one.
func (s *Service) Agent(ctx context.Context, who Caller, id int64) (found Agent, err error) {
	err = s.view(ctx, who, "reading an agent", func(r Reader) error { found, err = r.Agent(who.Org, id); return err })
	return found, missing(err, "agent", id)
}

// CreateAgent makes an agent; calls may be sent to it at once.
func (s *Service) CreateAgent(ctx context.Context, who Caller, settings AgentSettings) (Agent, error) {
	if err := checkAgent(settings); err != nil {
		return Agent{}, err
	}
	a := Agent{Org: who.Org, AgentSettings: settings}
	err := s.change(ctx, who, "creating an agent", func(c *changing) error {
		if err := c.guardSources("source_addresses", settings.SourceAddresses, true); err != nil {
			return err
		}
		a.CreatedAt, a.UpdatedAt = c.now, c.now
		if err := c.AddAgent(&a); err != nil {
			return agentTaken(err, a.Name)
		}
		c.engine = true
		return c.happened("agent.created", subject("agent", a.ID), "", a.told())
	})
	return a, err
}

// UpdateAgent changes an agent for the calls to come.
func (s *Service) UpdateAgent(ctx context.Context, who Caller, id int64, change AgentChange) (a Agent, err error) {
	err = s.change(ctx, who, "changing an agent", func(c *changing) error {
		if a, err = c.Agent(who.Org, id); err != nil {
			return missing(err, "agent", id)
		}
		if err := unchanged(a.Version, change.IfVersion, "agent", id); err != nil {
			return err
		}
		a.AgentSettings = a.with(change)
		if err := checkAgent(a.AgentSettings); err != nil {
			return err
		}
		if change.SourceAddresses != nil {
			if err := c.guardSources("source_addresses", a.SourceAddresses, true); err != nil {
				return err
			}
		}
		a.UpdatedAt = c.now
		if err := c.ChangeAgent(&a); err != nil {
			return agentTaken(err, a.Name)
		}
		c.engine = true
		return c.happened("agent.updated", subject("agent", id), "", a.told())
	})
	return a, err
}

func (s AgentSettings) with(change AgentChange) AgentSettings {
	if change.Name != nil {
		s.Name = *change.Name
	}
	if change.Destinations != nil {
		s.Destinations = *change.Destinations
	}
	if change.SourceAddresses != nil {
		s.SourceAddresses = *change.SourceAddresses
	}
	if change.MaxCalls.Set {
		s.MaxCalls = change.MaxCalls.Value
	}
	return s
}

// DeleteAgent removes an agent. While numbers lead to it that is a Conflict, unless force takes it off them.
func (s *Service) DeleteAgent(ctx context.Context, who Caller, id int64, force bool) error {
	return s.change(ctx, who, "deleting an agent", func(c *changing) error {
		a, err := c.Agent(who.Org, id)
		if err != nil {
			return missing(err, "agent", id)
		}
		count, err := c.NumbersOfAgent(who.Org, id)
		if err != nil {
			return err
		}
		if count > 0 && !force {
			return &Conflict{Message: fmt.Sprintf("agent %d is used by %d numbers", id, count), Fix: "give them another agent, or delete with force=true", Count: count}
		}
		if err := c.RemoveAgent(id); err != nil {
			return err
		}
		c.engine = true
		return c.happened("agent.deleted", subject("agent", id), "", a.told())
	})
}

func (a Agent) told() map[string]any { return map[string]any{"id": a.ID, "name": a.Name} }

func agentTaken(err error, name string) error {
	if errors.Is(err, ErrTaken) {
		return &Conflict{Field: "name", Message: fmt.Sprintf("an agent is called %q already", name), Fix: "choose another name"}
	}
	return err
}

func checkAgent(a AgentSettings) error {
	var p problems
	text(&p, "name", a.Name, 1, 120)
	if len(a.Destinations) > maxDestinations {
		p.add("destinations", fmt.Sprintf("up to %d", maxDestinations), "has %d entries", len(a.Destinations))
	}
	for i, d := range a.Destinations {
		at := fmt.Sprintf("destinations[%d].", i)
		if err := new(config.URI).UnmarshalText([]byte(d.URI)); err != nil {
			p.add(at+"uri", "sip:host, sip:user@host:port;transport=udp|tcp|tls, sips:host", "%v", err)
		}
		if d.Priority < 0 || d.Priority > 65535 {
			p.add(at+"priority", "0 to 65535", "%d is out of range", d.Priority)
		}
		if d.Weight < 0 || d.Weight > 65535 {
			p.add(at+"weight", "0 to 65535", "%d is out of range", d.Weight)
		}
	}
	if len(a.SourceAddresses) > maxSources {
		p.add("source_addresses", fmt.Sprintf("up to %d entries", maxSources), "has %d entries", len(a.SourceAddresses))
	}
	if _, err := parseSources(a.SourceAddresses); err != nil {
		p.add("source_addresses", "addresses, networks or host names", "%v", err)
	}
	if a.MaxCalls != nil && (*a.MaxCalls < 1 || *a.MaxCalls > 1_000_000) {
		p.add("max_calls", "1 to 1000000, or null", "%d is out of range", *a.MaxCalls)
	}
	return p.err()
}

// engineAgent is a as the engine knows agents.
func (a Agent) engineAgent() (config.Agent, error) {
	c := config.DefaultAgent()
	c.Name, c.MaxCalls = a.EngineName, a.MaxCalls
	for _, d := range a.Destinations {
		to := config.Destination{Priority: d.Priority, Weight: d.Weight}
		if err := to.URI.UnmarshalText([]byte(d.URI)); err != nil {
			return c, fmt.Errorf("agent %d: %w", a.ID, err)
		}
		c.Destinations = append(c.Destinations, to)
	}
	sources, err := parseSources(a.SourceAddresses)
	if err != nil {
		return c, fmt.Errorf("agent %d: %w", a.ID, err)
	}
	c.SourceAddresses = sources
	return c, nil
}
