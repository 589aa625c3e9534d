package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

const connectionColumns = `c.id, c.uid, c.org_id, c.name, c.inferred_name, c.provider, c.setup_method, c.status, c.sip_config, c.tested_ms, c.created_ms, c.updated_ms, c.version,
	s.id, (SELECT count(*) FROM numbers n WHERE n.sip_credential_id = s.id)`

const connectionTables = " FROM connections c JOIN sip_credentials s ON s.connection_id = c.id "

func scanConnection(rows *sql.Rows) (c account.Connection, err error) {
	var tested sql.NullInt64
	var created, updated int64
	var config []byte
	err = rows.Scan(&c.ID, &c.UID, &c.Org, &c.Name, &c.InferredName, &c.Provider, &c.SetupMethod, &c.Status, &config, &tested, &created, &updated, &c.Version, &c.SIPCredential, &c.NumbersImported)
	if err != nil {
		return c, err
	}
	c.LastTestedAt, c.CreatedAt, c.UpdatedAt = fromNullMS(tested), fromMS(created), fromMS(updated)
	c.Trunk = account.TrunkName(c.ID, c.SIPCredential)
	if err := json.Unmarshal(config, &c.SIPConfig); err != nil {
		return c, fmt.Errorf("sip_config of connection %d: %w", c.ID, err)
	}
	return c, nil
}

func (t *tx) Connections(org string) ([]account.Connection, error) {
	return many(t, scanConnection, "SELECT "+connectionColumns+connectionTables+"WHERE c.org_id = ? ORDER BY c.id DESC", org)
}

func (t *tx) Connection(org string, id int64) (account.Connection, error) {
	return one(t, scanConnection, "SELECT "+connectionColumns+connectionTables+"WHERE c.org_id = ? AND c.id = ?", org, id)
}

func (t *tx) ConnectionCredentials(org string, id int64) (provider.Credentials, error) {
	type row struct {
		uid    string
		sealed []byte
	}
	found, err := one(t, func(rows *sql.Rows) (r row, err error) { return r, rows.Scan(&r.uid, &r.sealed) },
		"SELECT uid, sealed FROM connections WHERE org_id = ? AND id = ?", org, id)
	if err != nil {
		return nil, err
	}
	plain, err := t.open("connections", found.uid, found.sealed)
	if err != nil {
		return nil, err
	}
	var text map[string]string
	if err := json.Unmarshal(plain, &text); err != nil {
		return nil, fmt.Errorf("credentials of connection %d are damaged", id) // the cause might quote them
	}
	return revealed(text), nil
}

// texts and revealed are the two ways between credentials and what is sealed of them.
func texts(c provider.Credentials) map[string]string {
	text := make(map[string]string, len(c))
	for name, value := range c {
		text[name] = value.Reveal()
	}
	return text
}

func revealed(text map[string]string) provider.Credentials {
	c := make(provider.Credentials, len(text))
	for name, value := range text {
		c[name] = account.Secret(value)
	}
	return c
}

func (t *tx) sealCredentials(uid string, c provider.Credentials) ([]byte, error) {
	plain, err := json.Marshal(texts(c))
	if err != nil {
		return nil, err
	}
	return t.seal("connections", uid, plain)
}

func (t *tx) AddConnection(c *account.Connection, credentials provider.Credentials) error {
	sealed, err := t.sealCredentials(c.UID, credentials)
	if err != nil {
		return err
	}
	config, err := json.Marshal(c.SIPConfig)
	if err != nil {
		return err
	}
	c.ID, err = t.insert(`INSERT INTO connections (uid, org_id, name, inferred_name, provider, setup_method, status, sip_config, sealed, tested_ms, created_ms, updated_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.UID, c.Org, c.Name, c.InferredName, string(c.Provider), string(c.SetupMethod), string(c.Status), string(config), sealed, msOrNull(c.LastTestedAt), ms(c.CreatedAt), ms(c.UpdatedAt))
	c.Version = 1
	return err
}

func (t *tx) ChangeConnection(c *account.Connection) error {
	config, err := json.Marshal(c.SIPConfig)
	if err != nil {
		return err
	}
	c.Version++
	return t.change("connection", `UPDATE connections SET name = ?, inferred_name = ?, status = ?, sip_config = ?, tested_ms = ?, updated_ms = ?, version = ? WHERE id = ?`,
		c.Name, c.InferredName, string(c.Status), string(config), msOrNull(c.LastTestedAt), ms(c.UpdatedAt), c.Version, c.ID)
}

func (t *tx) SetConnectionCredentials(id int64, c provider.Credentials) error {
	uid, err := one(t, scanWord[string], "SELECT uid FROM connections WHERE id = ?", id)
	if err != nil {
		return err
	}
	sealed, err := t.sealCredentials(uid, c)
	if err != nil {
		return err
	}
	return t.change("connection", "UPDATE connections SET sealed = ? WHERE id = ?", sealed, id)
}

func (t *tx) RemoveConnection(id int64) error {
	if _, err := t.exec("DELETE FROM sip_credentials WHERE connection_id = ?", id); err != nil {
		return err
	}
	return t.change("connection", "DELETE FROM connections WHERE id = ?", id)
}

const credentialColumns = `s.id, s.org_id, s.source, s.connection_id, c.uid, s.server, s.domain, s.auth_user, s.sealed, s.transport, s.description, s.cps_limit, s.cps_key,
	s.realm, s.register, s.register_expires_s, s.source_addresses, s.number_format, s.country_code, s.national_prefix, s.max_calls, s.created_ms, s.updated_ms, s.version`

const credentialTables = " FROM sip_credentials s LEFT JOIN connections c ON c.id = s.connection_id "

func (t *tx) scanCredential(rows *sql.Rows) (c account.SIPCredential, err error) {
	var connection, calls sql.NullInt64
	var uid sql.NullString
	var limit sql.NullFloat64
	var sealed, sources []byte
	var expires, created, updated int64
	err = rows.Scan(&c.ID, &c.Org, &c.Source, &connection, &uid, &c.Server, &c.Domain, &c.AuthUser, &sealed, &c.Transport, &c.Description, &limit, &c.CPSKey,
		&c.Realm, &c.Register, &expires, &sources, &c.NumberFormat, &c.CountryCode, &c.NationalPrefix, &calls, &created, &updated, &c.Version)
	if err != nil {
		return c, err
	}
	c.Connection, c.MaxCalls = connection.Int64, fromNullInt(calls)
	if c.Source == account.SourceProvider {
		c.ProviderID = uid.String
	}
	if limit.Valid {
		c.CPSLimit = new(limit.Float64)
	}
	c.RegisterExpires = time.Duration(expires) * time.Second
	c.CreatedAt, c.UpdatedAt = fromMS(created), fromMS(updated)
	c.Trunk = account.TrunkName(c.Connection, c.ID)
	if err := json.Unmarshal(sources, &c.SourceAddresses); err != nil {
		return c, fmt.Errorf("source addresses of SIP credential %s: %w", c.ID, err)
	}
	if sealed == nil {
		return c, nil
	}
	password, err := t.open("sip_credentials", c.ID, sealed)
	c.Password = account.Secret(password)
	return c, err
}

func (t *tx) SIPCredentials(org string, skip, take int) ([]account.SIPCredential, int, error) {
	total, err := one(t, scanCount, "SELECT count(*) FROM sip_credentials WHERE org_id = ?", org)
	if err != nil {
		return nil, 0, err
	}
	some, err := many(t, t.scanCredential, "SELECT "+credentialColumns+credentialTables+"WHERE s.org_id = ? ORDER BY s.seq DESC LIMIT ? OFFSET ?", org, take, skip)
	return some, total, err
}

func (t *tx) SIPCredential(org, id string) (account.SIPCredential, error) {
	return one(t, t.scanCredential, "SELECT "+credentialColumns+credentialTables+"WHERE s.org_id = ? AND s.id = ?", org, id)
}

func (t *tx) SIPCredentialOf(org string, connection int64) (account.SIPCredential, error) {
	return one(t, t.scanCredential, "SELECT "+credentialColumns+credentialTables+"WHERE s.org_id = ? AND s.connection_id = ?", org, connection)
}

func (t *tx) sealPassword(c *account.SIPCredential) (any, error) {
	if c.Password == "" {
		return nil, nil
	}
	return t.seal("sip_credentials", c.ID, []byte(c.Password.Reveal()))
}

func (t *tx) AddSIPCredential(c account.SIPCredential) error {
	sealed, err := t.sealPassword(&c)
	if err != nil {
		return err
	}
	sources, err := jsonList(c.SourceAddresses)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO sip_credentials (id, org_id, source, connection_id, server, domain, auth_user, sealed, transport, description, cps_limit, cps_key,
			realm, register, register_expires_s, source_addresses, number_format, country_code, national_prefix, max_calls, created_ms, updated_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.ID, c.Org, string(c.Source), nullID(c.Connection), c.Server, c.Domain, c.AuthUser, sealed, c.Transport, c.Description, nullFloat(c.CPSLimit), c.CPSKey,
		c.Realm, c.Register, int64(c.RegisterExpires/time.Second), sources, c.NumberFormat, c.CountryCode, c.NationalPrefix, nullInt(c.MaxCalls), ms(c.CreatedAt), ms(c.UpdatedAt))
	return err
}

func (t *tx) ChangeSIPCredential(c *account.SIPCredential) error {
	sealed, err := t.sealPassword(c)
	if err != nil {
		return err
	}
	sources, err := jsonList(c.SourceAddresses)
	if err != nil {
		return err
	}
	c.Version++
	return t.change("SIP credential", `UPDATE sip_credentials SET server = ?, domain = ?, auth_user = ?, sealed = ?, transport = ?, description = ?, cps_limit = ?, cps_key = ?,
			realm = ?, register = ?, register_expires_s = ?, source_addresses = ?, number_format = ?, country_code = ?, national_prefix = ?, max_calls = ?, updated_ms = ?, version = ? WHERE id = ?`,
		c.Server, c.Domain, c.AuthUser, sealed, c.Transport, c.Description, nullFloat(c.CPSLimit), c.CPSKey,
		c.Realm, c.Register, int64(c.RegisterExpires/time.Second), sources, c.NumberFormat, c.CountryCode, c.NationalPrefix, nullInt(c.MaxCalls), ms(c.UpdatedAt), c.Version, c.ID)
}

func (t *tx) RemoveSIPCredential(id string) error {
	return t.change("SIP credential", "DELETE FROM sip_credentials WHERE id = ?", id)
}

func (t *tx) AffectedAgents(org, credential string) ([]account.Agent, error) {
	return many(t, scanAgent, "SELECT "+agentColumns+` FROM agents a WHERE a.org_id = ?1 AND EXISTS (SELECT 1 FROM numbers n
		WHERE n.sip_credential_id = ?2 AND (n.inbound_agent_id = a.id OR n.outbound_agent_id = a.id)) ORDER BY a.id DESC`, org, credential)
}

func jsonList[T any](all []T) (string, error) {
	if all == nil {
		return "[]", nil
	}
	text, err := json.Marshal(all)
	return string(text), err
}
