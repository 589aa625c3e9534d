package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"trunkline/trunks/account"
)

// tested is what is sealed of an account.Outcome.
type tested struct {
	Credentials map[string]string `json:"credentials"`
	SIPConfig   account.SIPConfig `json:"sip_config"`
}

func (t *tx) AddEvidence(e account.Evidence) error {
	plain, err := json.Marshal(tested{texts(e.Tested.Credentials), e.Tested.SIPConfig})
	if err != nil {
		return err
	}
	sealed, err := t.seal("evidence", e.ID, plain)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO evidence (id, org_id, provider, credentials_digest, sip_digest, sealed, suggested_name, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		e.ID, e.Org, string(e.Provider), e.Credentials[:], e.SIPConfig[:], sealed, e.SuggestedName, ms(e.CreatedAt), ms(e.ExpiresAt))
	return err
}

func (t *tx) Evidence(id string) (account.Evidence, error) {
	return one(t, func(rows *sql.Rows) (e account.Evidence, err error) {
		var credentials, sip, sealed []byte
		var created, expires int64
		var used sql.NullInt64
		if err := rows.Scan(&e.ID, &e.Org, &e.Provider, &credentials, &sip, &sealed, &e.SuggestedName, &created, &expires, &used); err != nil {
			return e, err
		}
		copy(e.Credentials[:], credentials)
		copy(e.SIPConfig[:], sip)
		e.CreatedAt, e.ExpiresAt, e.UsedAt = fromMS(created), fromMS(expires), fromNullMS(used)
		plain, err := t.open("evidence", e.ID, sealed)
		if err != nil {
			return e, err
		}
		var outcome tested
		if err := json.Unmarshal(plain, &outcome); err != nil {
			return e, fmt.Errorf("evidence %s is damaged", e.ID) // the cause might quote it
		}
		e.Tested = account.Outcome{Credentials: revealed(outcome.Credentials), SIPConfig: outcome.SIPConfig}
		return e, nil
	}, "SELECT id, org_id, provider, credentials_digest, sip_digest, sealed, suggested_name, created_ms, expires_ms, used_ms FROM evidence WHERE id = ?", id)
}

func (t *tx) UseEvidence(id string, at time.Time) error {
	err := t.change("evidence", "UPDATE evidence SET used_ms = ? WHERE id = ? AND used_ms IS NULL", ms(at), id)
	if errors.Is(err, account.ErrNone) {
		return account.ErrTaken
	}
	return err
}
