package store

import (
	"context"
	"database/sql"
	"time"

	"trunkline/trunks"
)

// Memory is what the running edge must know again after a restart.
type Memory struct {
	Tolls    []trunks.Spent
	Bindings []Binding
}

// Binding is a place where an agent has registered over UDP. Addresses are host:port.
type Binding struct {
	Agent    string
	Key      string // what makes it the same binding when it comes again
	URI      string
	Listener string // where the REGISTER came in
	Local    string // our address on it
	Remote   string
	Q        float64
	Expires  time.Time
	CallID   string
	CSeq     uint32
	Instance string
	Device   string
}

// Remember writes in one transaction what changed: the tolls given take the place of those with their name, and the bindings given
// of all that their agents, and those of agents, had. Tolls of days before today's are deleted.
func (d *DB) Remember(ctx context.Context, m Memory, agents []string, today int64) error {
	err := d.write(ctx, func(q *sql.Tx) error {
		t := &tx{context.WithoutCancel(ctx), q, d}
		if _, err := t.exec("DELETE FROM tolls WHERE day < ?", today); err != nil {
			return err
		}
		for _, s := range m.Tolls {
			_, err := t.exec("INSERT INTO tolls (payer, name, day, used_ms) VALUES (?, ?, ?, ?) ON CONFLICT (payer, name) DO UPDATE SET day = excluded.day, used_ms = excluded.used_ms",
				payerOf(s), s.Name, s.Day, s.Used.Milliseconds())
			if err != nil {
				return err
			}
		}
		for _, agent := range agents {
			if _, err := t.exec("DELETE FROM agent_bindings WHERE agent = ?", agent); err != nil {
				return err
			}
		}
		for _, b := range m.Bindings {
			_, err := t.exec("INSERT INTO agent_bindings ("+bindingColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
				b.Agent, b.Key, b.URI, b.Listener, b.Local, b.Remote, b.Q, ms(b.Expires), b.CallID, b.CSeq, b.Instance, b.Device)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return d.unavailable(err)
}

const bindingColumns = "agent, key, uri, listener, local, remote, q, expires_ms, call_id, cseq, instance, device"

// Remembered returns what was written last.
func (d *DB) Remembered(ctx context.Context) (m Memory, err error) {
	m.Tolls, err = collect(ctx, d.reader, func(rows *sql.Rows) (s trunks.Spent, err error) {
		var payer string
		var used int64
		err = rows.Scan(&payer, &s.Name, &s.Day, &used)
		s.Organization, s.Used = payer == payerOrganization, time.Duration(used)*time.Millisecond
		return s, err
	}, "SELECT payer, name, day, used_ms FROM tolls ORDER BY payer, name")
	if err != nil {
		return m, d.unavailable(err)
	}
	m.Bindings, err = collect(ctx, d.reader, func(rows *sql.Rows) (b Binding, err error) {
		var expires int64
		err = rows.Scan(&b.Agent, &b.Key, &b.URI, &b.Listener, &b.Local, &b.Remote, &b.Q, &expires, &b.CallID, &b.CSeq, &b.Instance, &b.Device)
		b.Expires = fromMS(expires)
		return b, err
	}, "SELECT "+bindingColumns+" FROM agent_bindings ORDER BY agent, key")
	return m, d.unavailable(err)
}

const (
	payerAgent        = "agent"
	payerOrganization = "organization"
)

func payerOf(s trunks.Spent) string {
	if s.Organization {
		return payerOrganization
	}
	return payerAgent
}
