package store

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"trunkline/trunks/account"
)

const numberColumns = `n.id, n.org_id, n.number, n.source, n.sip_credential_id, s.connection_id, n.status, n.verification, n.failures, n.inbound_agent_id, n.outbound_agent_id,
	n.verified_ms, n.created_ms, n.updated_ms, n.version`

const numberTables = " FROM numbers n LEFT JOIN sip_credentials s ON s.id = n.sip_credential_id "

func scanNumber(rows *sql.Rows) (n account.Number, err error) {
	var credential sql.NullString
	var connection, inbound, outbound, verified sql.NullInt64
	var created, updated int64
	err = rows.Scan(&n.ID, &n.Org, &n.Number, &n.Source, &credential, &connection, &n.Status, &n.Verification, &n.Failures, &inbound, &outbound, &verified, &created, &updated, &n.Version)
	n.SIPCredential, n.Connection, n.InboundAgent, n.OutboundAgent = credential.String, connection.Int64, inbound.Int64, outbound.Int64
	n.LastVerifiedAt, n.CreatedAt, n.UpdatedAt = fromNullMS(verified), fromMS(created), fromMS(updated)
	return n, err
}

func (t *tx) Numbers(org string, f account.NumberFilter) ([]account.Number, error) {
	query, args := "SELECT "+numberColumns+numberTables+"WHERE n.org_id = ? AND n.status <> 'released'", []any{org}
	if f.Connection != 0 {
		query, args = query+" AND s.connection_id = ?", append(args, f.Connection)
	}
	if f.SIPCredential != "" {
		query, args = query+" AND n.sip_credential_id = ?", append(args, f.SIPCredential)
	}
	if f.Status != "" {
		query, args = query+" AND n.status = ?", append(args, string(f.Status))
	}
	if f.Before > 0 {
		query, args = query+" AND n.id < ?", append(args, f.Before)
	}
	query += " ORDER BY n.id DESC"
	if f.Limit > 0 {
		query, args = query+" LIMIT ?", append(args, f.Limit)
	}
	return many(t, scanNumber, query, args...)
}

func (t *tx) Number(org string, id int64) (account.Number, error) {
	return one(t, scanNumber, "SELECT "+numberColumns+numberTables+"WHERE n.org_id = ? AND n.id = ? AND n.status <> 'released'", org, id)
}

func (t *tx) NumberOwner(number string) (account.Number, error) {
	return one(t, scanNumber, "SELECT "+numberColumns+numberTables+"WHERE n.number = ? AND n.status <> 'released'", number)
}

func (t *tx) AddNumber(n *account.Number) (err error) {
	n.ID, err = t.insert(`INSERT INTO numbers (org_id, number, source, sip_credential_id, status, verification, failures, inbound_agent_id, outbound_agent_id, verified_ms, created_ms, updated_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		n.Org, n.Number, n.Source, nullText(n.SIPCredential), string(n.Status), string(n.Verification), n.Failures, nullID(n.InboundAgent), nullID(n.OutboundAgent),
		msOrNull(n.LastVerifiedAt), ms(n.CreatedAt), ms(n.UpdatedAt))
	if err != nil {
		return err
	}
	*n, err = t.Number(n.Org, n.ID)
	return err
}

func (t *tx) ChangeNumber(n *account.Number) (err error) {
	err = t.change("number", `UPDATE numbers SET org_id = ?, sip_credential_id = ?, status = ?, verification = ?, failures = ?, inbound_agent_id = ?, outbound_agent_id = ?,
			verified_ms = ?, updated_ms = ?, version = version + 1 WHERE id = ?`,
		n.Org, nullText(n.SIPCredential), string(n.Status), string(n.Verification), n.Failures, nullID(n.InboundAgent), nullID(n.OutboundAgent),
		msOrNull(n.LastVerifiedAt), ms(n.UpdatedAt), n.ID)
	if err != nil || n.Status == account.NumberReleased {
		return err
	}
	*n, err = t.Number(n.Org, n.ID) // with the connection of the trunk it has now
	return err
}

const agentColumns = "a.id, a.org_id, a.name, a.destinations, a.source_addresses, a.max_calls, a.created_ms, a.updated_ms, a.version"

func scanAgent(rows *sql.Rows) (a account.Agent, err error) {
	var destinations, sources []byte
	var calls sql.NullInt64
	var created, updated int64
	if err := rows.Scan(&a.ID, &a.Org, &a.Name, &destinations, &sources, &calls, &created, &updated, &a.Version); err != nil {
		return a, err
	}
	a.MaxCalls, a.CreatedAt, a.UpdatedAt = fromNullInt(calls), fromMS(created), fromMS(updated)
	a.EngineName = account.AgentName(a.ID)
	if err := json.Unmarshal(destinations, &a.Destinations); err != nil {
		return a, fmt.Errorf("destinations of agent %d: %w", a.ID, err)
	}
	if err := json.Unmarshal(sources, &a.SourceAddresses); err != nil {
		return a, fmt.Errorf("source addresses of agent %d: %w", a.ID, err)
	}
	return a, nil
}

func (t *tx) Agents(org string) ([]account.Agent, error) {
	return many(t, scanAgent, "SELECT "+agentColumns+" FROM agents a WHERE a.org_id = ? ORDER BY a.id DESC", org)
}

func (t *tx) Agent(org string, id int64) (account.Agent, error) {
	return one(t, scanAgent, "SELECT "+agentColumns+" FROM agents a WHERE a.org_id = ? AND a.id = ?", org, id)
}

func (t *tx) NumbersOfAgent(org string, id int64) (int, error) {
	return one(t, scanCount, "SELECT count(*) FROM numbers WHERE org_id = ?1 AND (inbound_agent_id = ?2 OR outbound_agent_id = ?2)", org, id)
}

func (t *tx) Sources() ([]account.SourceEntry, error) {
	return many(t, func(rows *sql.Rows) (e account.SourceEntry, err error) {
		return e, rows.Scan(&e.Org, &e.Agent, &e.Credential, &e.Source)
	}, `SELECT a.org_id, a.id, '', j.value FROM agents a, json_each(a.source_addresses) j
		UNION ALL SELECT s.org_id, 0, s.id, j.value FROM sip_credentials s, json_each(s.source_addresses) j`)
}

func agentLists(a *account.Agent) (destinations, sources string, err error) {
	if destinations, err = jsonList(a.Destinations); err != nil {
		return "", "", err
	}
	sources, err = jsonList(a.SourceAddresses)
	return destinations, sources, err
}

func (t *tx) AddAgent(a *account.Agent) error {
	destinations, sources, err := agentLists(a)
	if err != nil {
		return err
	}
	id, err := t.insert("INSERT INTO agents (org_id, name, destinations, source_addresses, max_calls, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
		a.Org, a.Name, destinations, sources, nullInt(a.MaxCalls), ms(a.CreatedAt), ms(a.UpdatedAt))
	if err != nil {
		return err
	}
	*a, err = t.Agent(a.Org, id)
	return err
}

func (t *tx) ChangeAgent(a *account.Agent) error {
	destinations, sources, err := agentLists(a)
	if err != nil {
		return err
	}
	a.Version++
	return t.change("agent", "UPDATE agents SET name = ?, destinations = ?, source_addresses = ?, max_calls = ?, updated_ms = ?, version = ? WHERE id = ?",
		a.Name, destinations, sources, nullInt(a.MaxCalls), ms(a.UpdatedAt), a.Version, a.ID)
}

// RemoveAgent takes the agent off its numbers too.
func (t *tx) RemoveAgent(id int64) error {
	for _, side := range []string{"inbound_agent_id", "outbound_agent_id"} {
		if _, err := t.exec("UPDATE numbers SET "+side+" = NULL, version = version + 1 WHERE "+side+" = ?", id); err != nil {
			return err
		}
	}
	return t.change("agent", "DELETE FROM agents WHERE id = ?", id)
}

func (t *tx) Inventory() (v account.Inventory, err error) {
	if v.Trunks, err = many(t, t.scanCredential, "SELECT "+credentialColumns+credentialTables+"ORDER BY s.seq"); err != nil {
		return v, err
	}
	if v.Agents, err = many(t, scanAgent, "SELECT "+agentColumns+" FROM agents a ORDER BY a.id"); err != nil {
		return v, err
	}
	if v.Organizations, err = t.Organizations(); err != nil {
		return v, err
	}
	v.Numbers, err = many(t, func(rows *sql.Rows) (n account.Number, err error) { // only what Join looks at: there may be many
		return n, rows.Scan(&n.ID, &n.Number, &n.SIPCredential, &n.Status, &n.Verification, &n.InboundAgent, &n.OutboundAgent)
	}, "SELECT id, number, sip_credential_id, status, verification, coalesce(inbound_agent_id, 0), coalesce(outbound_agent_id, 0) FROM numbers WHERE status = 'active' AND sip_credential_id IS NOT NULL ORDER BY id")
	return v, err
}
