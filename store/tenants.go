package store

import (
	"database/sql"
	"maps"
	"slices"
	"time"

	"trunkline/trunks/account"
)

// This file holds organizations, users, members and keys.

func scanOrganization(rows *sql.Rows) (o account.Organization, err error) {
	var created int64
	err = rows.Scan(&o.ID, &o.Name, &created)
	o.CreatedAt = fromMS(created)
	return o, err
}

func (t *tx) Organization(id string) (account.Organization, error) {
	return one(t, scanOrganization, "SELECT id, name, created_ms FROM organizations WHERE id = ?", id)
}

func (t *tx) OrganizationNamed(name string) (account.Organization, error) {
	return one(t, scanOrganization, "SELECT id, name, created_ms FROM organizations WHERE name = ?", name)
}

func (t *tx) Organizations() ([]account.Organization, error) {
	return many(t, scanOrganization, "SELECT id, name, created_ms FROM organizations ORDER BY name")
}

func (t *tx) AddOrganization(o account.Organization) error {
	_, err := t.exec("INSERT INTO organizations (id, name, created_ms) VALUES (?, ?, ?)", o.ID, o.Name, ms(o.CreatedAt))
	return err
}

func (t *tx) UserNamed(name string) (account.User, error) {
	return one(t, func(rows *sql.Rows) (u account.User, err error) {
		var created int64
		err = rows.Scan(&u.ID, &u.Name, &created)
		u.CreatedAt = fromMS(created)
		return u, err
	}, "SELECT id, name, created_ms FROM users WHERE name = ?", name)
}

func (t *tx) AddUser(u account.User) error {
	_, err := t.exec("INSERT INTO users (id, name, created_ms) VALUES (?, ?, ?)", u.ID, u.Name, ms(u.CreatedAt))
	return err
}

func (t *tx) Role(org, user string) (account.Role, error) {
	return one(t, scanWord[account.Role], "SELECT role FROM members WHERE org_id = ? AND user_id = ?", org, user)
}

func scanWord[T ~string](rows *sql.Rows) (v T, err error) { return v, rows.Scan(&v) }

func scanCount(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) }

func (t *tx) SetMember(org, user string, r account.Role) error {
	_, err := t.exec("INSERT INTO members (org_id, user_id, role) VALUES (?, ?, ?) ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role", org, user, string(r))
	return err
}

const keyColumns = "id, org_id, user_id, name, prefix, created_ms, last_used_ms, revoked_ms, hash"

func scanKey(rows *sql.Rows) (k account.HashedKey, err error) {
	var created int64
	var used, revoked sql.NullInt64
	var hash []byte
	err = rows.Scan(&k.ID, &k.Org, &k.User, &k.Name, &k.Prefix, &created, &used, &revoked, &hash)
	copy(k.Hash[:], hash)
	k.CreatedAt, k.LastUsedAt, k.RevokedAt = fromMS(created), fromNullMS(used), fromNullMS(revoked)
	return k, err
}

func scanBareKey(rows *sql.Rows) (account.APIKey, error) {
	k, err := scanKey(rows)
	return k.APIKey, err
}

func (t *tx) Keys(org string) ([]account.APIKey, error) {
	return many(t, scanBareKey, "SELECT "+keyColumns+" FROM api_keys WHERE org_id = ? ORDER BY seq DESC", org)
}

func (t *tx) Key(org, id string) (account.APIKey, error) {
	return one(t, scanBareKey, "SELECT "+keyColumns+" FROM api_keys WHERE org_id = ? AND id = ?", org, id)
}

func (t *tx) KeysByPrefix(prefix string) ([]account.HashedKey, error) {
	return many(t, scanKey, "SELECT "+keyColumns+" FROM api_keys WHERE prefix = ?", prefix)
}

func (t *tx) AddKey(k account.HashedKey) error {
	_, err := t.exec("INSERT INTO api_keys ("+keyColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		k.ID, k.Org, k.User, k.Name, k.Prefix, ms(k.CreatedAt), msOrNull(k.LastUsedAt), msOrNull(k.RevokedAt), k.Hash[:])
	return err
}

func (t *tx) RevokeKey(org, id string, at time.Time) error {
	return t.change("key", "UPDATE api_keys SET revoked_ms = ? WHERE org_id = ? AND id = ? AND revoked_ms IS NULL", ms(at), org, id)
}

func (t *tx) TouchKeys(used map[string]time.Time) error {
	for _, id := range slices.Sorted(maps.Keys(used)) {
		if _, err := t.exec("UPDATE api_keys SET last_used_ms = ? WHERE id = ? AND revoked_ms IS NULL AND coalesce(last_used_ms, 0) < ?", ms(used[id]), id, ms(used[id])); err != nil {
			return err
		}
	}
	return nil
}
