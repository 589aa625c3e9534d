package account

import (
	"context"
	"errors"
	"fmt"

	"trunkline/trunks/provider"
)

// CreateConnection makes a connection of what a test has proven, and its trunk with it. Nothing is tested again.
func (s *Service) CreateConnection(ctx context.Context, who Caller, n NewConnection) (Connection, error) {
	if err := who.may(Admin, "creating a connection"); err != nil {
		return Connection{}, err
	}
	given := Outcome{provider.Merge(nil, n.Credentials), n.SIPConfig}
	var p problems
	if n.Name != "" {
		text(&p, "name", n.Name, 1, 255)
	}
	if err := s.checkShape(who.Org, n.Provider, n.SetupMethod, given); err != nil {
		bad, ok := errors.AsType[*Invalid](err)
		if !ok {
			return Connection{}, err
		}
		p = append(p, bad.Problems...)
	}
	if n.EvidenceID == "" {
		p.add(evidenceField, "test the credentials first", "is missing")
	}
	if err := p.err(); err != nil {
		return Connection{}, err
	}
	credentials, sip, err := s.digests(ctx, who.Org, n.Provider, given)
	if err != nil {
		return Connection{}, err
	}
	var made Connection
	err = s.change(ctx, who, "creating a connection", func(c *changing) error {
		e, err := c.prove(proof{n.EvidenceID, n.Provider, credentials, sip})
		if err != nil {
			return err
		}
		made, err = s.addConnection(c, n, e)
		return err
	})
	return s.withRegistration(made), err
}

func (s *Service) addConnection(c *changing, n NewConnection, e Evidence) (Connection, error) {
	credential, err := s.trunkOf(c.who.Org, n.Provider, e.Tested)
	if err != nil {
		return Connection{}, err
	}
	if err := c.guardSources("sip_config.source_addresses", credential.SourceAddresses, false); err != nil {
		return Connection{}, err
	}
	made := Connection{UID: newUUID(), Org: c.who.Org, Name: n.Name, Provider: n.Provider, SetupMethod: n.SetupMethod, Status: ConnectionConnected,
		SIPConfig: n.SIPConfig, LastTestedAt: &e.CreatedAt, CreatedAt: c.now, UpdatedAt: c.now}
	if made.SetupMethod == "" {
		made.SetupMethod = usualMethod(n.Provider)
	}
	if made.Name == "" {
		if made.Name, err = c.freeName(e.SuggestedName, n.Provider); err != nil {
			return Connection{}, err
		}
		made.InferredName = true
	}
	if err := c.AddConnection(&made, e.Tested.Credentials); err != nil {
		return Connection{}, nameTaken(err, made.Name)
	}
	credential.ID, credential.Org, credential.Connection, credential.ProviderID = newUUID(), c.who.Org, made.ID, made.UID
	credential.Description = made.Name
	credential.CreatedAt, credential.UpdatedAt = c.now, c.now
	if err := c.AddSIPCredential(credential); err != nil {
		return Connection{}, err
	}
	c.engine = true
	if made, err = c.Connection(c.who.Org, made.ID); err != nil {
		return Connection{}, err
	}
	return made, c.happened("connection.created", subject("connection", made.ID), "", made.told())
}

func usualMethod(kind provider.Kind) SetupMethod {
	if kind == provider.Manual {
		return SetupManual
	}
	return SetupAPIKey
}

// told is what events say of a connection.
func (c Connection) told() map[string]any {
	return map[string]any{"id": c.ID, "name": c.Name, "provider": c.Provider, "status": c.Status}
}

func subject(what string, id any) string { return fmt.Sprintf("%s/%v", what, id) }

func nameTaken(err error, name string) error {
	if errors.Is(err, ErrTaken) {
		return &Conflict{Field: "name", Message: fmt.Sprintf("a connection is called %q already", name), Fix: "choose another name"}
	}
	return err
}

// freeName is the suggestion, with a number behind it when it is taken.
func (c *changing) freeName(suggested string, kind provider.Kind) (string, error) {
	if suggested == "" {
		suggested = kind.Label()
	}
	all, err := c.Connections(c.who.Org)
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, other := range all {
		taken[other.Name] = true
	}
	name := suggested
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s %d", suggested, i)
	}
	return name, nil
}

// Connections lists the organization's, newest first.
func (s *Service) Connections(ctx context.Context, who Caller) (all []Connection, err error) {
	err = s.view(ctx, who, "listing connections", func(r Reader) error { all, err = r.Connections(who.Org); return err })
	for i := range all {
		all[i] = s.withRegistration(all[i])
	}
	return all, err
}

// Connection returns one.
func (s *Service) Connection(ctx context.Context, who Caller, id int64) (found Connection, err error) {
	err = s.view(ctx, who, "reading a connection", func(r Reader) error { found, err = r.Connection(who.Org, id); return err })
	return s.withRegistration(found), missing(err, "connection", id)
}

// withRegistration adds what the engine knows. A registration that the carrier refuses is an error of the connection.
func (s *Service) withRegistration(c Connection) Connection {
	if s.o.Engine == nil || c.ID == 0 {
		return c
	}
	c.Registration = s.o.Engine.Registration(c.Trunk)
	switch c.Registration.State {
	case "auth_failed", "rejected":
		c.Status = ConnectionError
	}
	return c
}

// UpdateConnection renames a connection, or rotates its credentials with the evidence of a test with the merged set. Calls,
// registration and numbers stay.
func (s *Service) UpdateConnection(ctx context.Context, who Caller, id int64, change ConnectionChange) (Connection, error) {
	if err := who.may(Admin, "changing a connection"); err != nil {
		return Connection{}, err
	}
	rotates := len(change.Credentials) > 0 || change.SIPConfig != nil || change.EvidenceID != ""
	var p problems
	if change.Name != nil {
		text(&p, "name", *change.Name, 1, 255)
	}
	if rotates && change.EvidenceID == "" {
		p.add(evidenceField, "test the new credentials first", "is missing")
	}
	if err := p.err(); err != nil {
		return Connection{}, err
	}
	var after Connection
	var shown *proof
	var before int64
	if rotates {
		var err error
		if shown, before, err = s.rotationProof(ctx, who, id, change); err != nil {
			return Connection{}, err
		}
	}
	err := s.change(ctx, who, "changing a connection", func(c *changing) error {
		conn, err := c.Connection(who.Org, id)
		if err != nil {
			return missing(err, "connection", id)
		}
		if err := unchanged(conn.Version, change.IfVersion, "connection", id); err != nil {
			return err
		}
		if shown != nil && conn.Version != before { // rotated by somebody else between reading and now
			return &Changed{"connection", fmt.Sprint(id)}
		}
		after, err = s.changeConnection(c, conn, change, shown)
		return err
	})
	return s.withRegistration(after), err
}

// rotationProof merges the change over what is stored, outside of the transaction.
func (s *Service) rotationProof(ctx context.Context, who Caller, id int64, change ConnectionChange) (*proof, int64, error) {
	var conn Connection
	var stored provider.Credentials
	err := s.o.Repository.View(ctx, func(r Reader) (err error) {
		if conn, err = r.Connection(who.Org, id); err == nil {
			stored, err = r.ConnectionCredentials(who.Org, id)
		}
		return err
	})
	if err != nil {
		return nil, 0, missing(err, "connection", id)
	}
	merged := Outcome{provider.Merge(stored, change.Credentials), conn.SIPConfig}
	if change.SIPConfig != nil {
		merged.SIPConfig = *change.SIPConfig
	}
	if err := s.checkShape(who.Org, conn.Provider, "", merged); err != nil {
		return nil, 0, err
	}
	credentials, sip, err := s.digests(ctx, who.Org, conn.Provider, merged)
	return &proof{change.EvidenceID, conn.Provider, credentials, sip}, conn.Version, err
}

func (s *Service) changeConnection(c *changing, conn Connection, change ConnectionChange, shown *proof) (Connection, error) {
	credential, err := c.SIPCredentialOf(c.who.Org, conn.ID)
	if err != nil {
		return Connection{}, err
	}
	what, detail := "connection.updated", "name"
	if change.Name != nil {
		conn.Name, conn.InferredName = *change.Name, false
		credential.Description = conn.Name
	}
	if shown != nil {
		what, detail = "connection.rotated", "credentials"
		if conn, credential, err = s.rotate(c, conn, credential, change, *shown); err != nil {
			return Connection{}, err
		}
	}
	credential.UpdatedAt, conn.UpdatedAt = c.now, c.now
	if err := c.ChangeSIPCredential(&credential); err != nil {
		return Connection{}, err
	}
	if err := c.ChangeConnection(&conn); err != nil {
		return Connection{}, nameTaken(err, conn.Name)
	}
	c.engine = true
	return conn, c.happened(what, subject("connection", conn.ID), detail, conn.told())
}

// rotate puts what the evidence proves in place of what was there. The trunk keeps its name, and with it its calls, its
// registration and its place in the limits.
func (s *Service) rotate(c *changing, conn Connection, old SIPCredential, change ConnectionChange, shown proof) (Connection, SIPCredential, error) {
	e, err := c.prove(shown)
	if err != nil {
		return conn, old, err
	}
	next, err := s.trunkOf(c.who.Org, conn.Provider, e.Tested)
	if err != nil {
		return conn, old, err
	}
	if err := c.guardSources("sip_config.source_addresses", next.SourceAddresses, false); err != nil {
		return conn, old, err
	}
	description := old.Description
	old.SIPCredentialSettings, old.Trunking = next.SIPCredentialSettings, next.Trunking
	old.Description = description
	if change.SIPConfig != nil {
		conn.SIPConfig = *change.SIPConfig
	}
	conn.LastTestedAt, conn.Status = &e.CreatedAt, ConnectionConnected
	return conn, old, c.SetConnectionCredentials(conn.ID, e.Tested.Credentials)
}

// DeleteConnection removes a connection and its trunk. With numbers attached it is a Conflict, unless force detaches them: they
// are failed then. Calls that are up go on.
func (s *Service) DeleteConnection(ctx context.Context, who Caller, id int64, force bool) error {
	return s.change(ctx, who, "deleting a connection", func(c *changing) error {
		conn, err := c.Connection(who.Org, id)
		if err != nil {
			return missing(err, "connection", id)
		}
		numbers, err := c.Numbers(who.Org, NumberFilter{Connection: id})
		if err != nil {
			return err
		}
		if len(numbers) > 0 && !force {
			return &Conflict{Message: fmt.Sprintf("connection %d has %d numbers", id, len(numbers)), Fix: "release them, or delete with force=true, which fails them", Count: len(numbers)}
		}
		if err := c.detach(numbers); err != nil {
			return err
		}
		if err := c.RemoveConnection(id); err != nil {
			return err
		}
		c.engine = true
		return c.happened("connection.deleted", subject("connection", id), "", conn.told())
	})
}

// detach takes numbers off their trunk: nothing is routed to or from them any more.
func (c *changing) detach(numbers []Number) error {
	for _, n := range numbers {
		n.SIPCredential, n.Connection, n.Status, n.UpdatedAt = "", 0, NumberFailed, c.now
		if err := c.ChangeNumber(&n); err != nil {
			return err
		}
		if err := c.happened("number.detached", subject("number", n.ID), "voip_connection_id, status", n.told()); err != nil {
			return err
		}
	}
	return nil
}
