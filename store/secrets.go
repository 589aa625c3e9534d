package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	ringSetting = "ring_key"   // id of the key that seals
	digestName  = "digest_key" // of keyed digests
)

// openSecrets makes the key ring on first start, and reads it later. A database whose secrets are sealed does not open
// without its ring.
func (d *DB) openSecrets(ctx context.Context, dir string) error {
	ring, missing, err := openRing(dir)
	if err != nil && !missing {
		return err
	}
	d.ring = ring
	if err := d.settleRing(ctx, missing); err != nil {
		return err
	}
	sealed, err := scanOne[[]byte](d.reader.QueryRowContext(ctx, "SELECT sealed FROM sealed_settings WHERE name = ?", digestName))
	if err != nil {
		return fmt.Errorf("read the digest key: %w", err)
	}
	d.digestKey, err = d.ring.open(place("sealed_settings", digestName), sealed)
	return err
}

// settleRing agrees with other processes, under the write lock, on the key that seals.
func (d *DB) settleRing(ctx context.Context, missing bool) error {
	return d.write(ctx, func(q *sql.Tx) error {
		_, err := activeKey(ctx, q)
		switch {
		case err == nil && !missing:
			return nil
		case err == nil:
			if d.ring.load() == nil {
				return nil // another process has made it meanwhile
			}
			return &RingError{d.ring.path, "the key ring is gone, and secrets in the database are sealed under it; restore it", nil}
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		key := newRingKey()
		if !missing { // left over from a first start that did not come to its end
			for _, k := range d.ring.keys {
				key = k.stored
			}
		} else if err := d.ring.save([]storedKey{key}); err != nil {
			return err
		}
		if err := d.ring.load(); err != nil {
			return err
		}
		return d.firstSecrets(ctx, q, key)
	})
}

func (d *DB) firstSecrets(ctx context.Context, q *sql.Tx, key storedKey) error {
	id, _, err := key.open()
	if err != nil {
		return err
	}
	digest := make([]byte, 32)
	rand.Read(digest) // never fails
	sealed, err := d.ring.seal(id, place("sealed_settings", digestName), digest)
	if err != nil {
		return err
	}
	if _, err := q.ExecContext(ctx, "INSERT INTO sealed_settings (name, sealed) VALUES (?, ?)", digestName, sealed); err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES (?, ?)", ringSetting, key.ID)
	return err
}

// activeKey is the key that seals, as all processes agree.
func activeKey(ctx context.Context, q querier) (keyID, error) {
	text, err := scanOne[string](q.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = ?", ringSetting))
	if err != nil {
		return keyID{}, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != keyIDSize {
		return keyID{}, fmt.Errorf("setting %s is damaged", ringSetting)
	}
	return keyID(raw), nil
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func scanOne[T any](row *sql.Row) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

// Digest is HMAC-SHA-256 under a key of this installation.
func (d *DB) Digest(_ context.Context, data []byte) (digest [32]byte, err error) {
	mac := hmac.New(sha256.New, d.digestKey)
	mac.Write(data)
	mac.Sum(digest[:0])
	return digest, nil
}

// sealedColumn is a table with a column named sealed, and the column that names its rows.
type sealedColumn struct{ table, row string }

var sealedColumns = []sealedColumn{
	{"sealed_settings", "name"}, {"connections", "uid"}, {"sip_credentials", "id"}, {"evidence", "id"}, {"webhooks", "id"},
}

const resealedTogether = 100 // rows of one transaction

// RotateRing makes a new key, seals every secret under it and drops the keys before it. It may run beside the daemon, which
// learns of the new key when it meets it. After an interruption it is to be run again. It returns how many secrets it sealed anew.
// A backup made before needs the key ring of before.
func (d *DB) RotateRing(ctx context.Context) (resealed int, err error) {
	if err := d.addRingKey(ctx); err != nil {
		return 0, d.unavailable(fmt.Errorf("add a key to the ring: %w", err))
	}
	for _, c := range sealedColumns {
		for {
			n, err := d.reseal(ctx, c)
			if err != nil {
				return resealed, d.unavailable(fmt.Errorf("seal %s anew: %w", c.table, err))
			}
			if resealed += n; n < resealedTogether {
				break
			}
		}
	}
	return resealed, d.unavailable(d.dropRingKeys(ctx))
}

func (d *DB) addRingKey(ctx context.Context) error {
	return d.write(ctx, func(q *sql.Tx) error { // the write lock keeps two rotations apart
		if err := d.ring.load(); err != nil {
			return err
		}
		key := newRingKey()
		if err := d.ring.save(append(d.ring.stored(), key)); err != nil {
			return err
		}
		if err := d.ring.load(); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, "UPDATE settings SET value = ? WHERE name = ?", key.ID, ringSetting)
		return err
	})
}

func (r *ring) stored() (all []storedKey) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, k := range r.keys {
		all = append(all, k.stored)
	}
	return all
}

// reseal seals some secrets of one table that are under another key than the active one.
func (d *DB) reseal(ctx context.Context, c sealedColumn) (n int, err error) {
	err = d.write(ctx, func(q *sql.Tx) error {
		active, err := activeKey(ctx, q)
		if err != nil {
			return err
		}
		type secret struct {
			row    string
			sealed []byte
		}
		old, err := collect(ctx, q, func(rows *sql.Rows) (s secret, err error) { return s, rows.Scan(&s.row, &s.sealed) },
			fmt.Sprintf("SELECT %s, sealed FROM %s WHERE sealed IS NOT NULL AND substr(sealed, 2, %d) <> ? LIMIT %d", c.row, c.table, keyIDSize, resealedTogether), active[:])
		if err != nil {
			return err
		}
		for _, s := range old {
			plain, err := d.ring.open(place(c.table, s.row), s.sealed)
			if err != nil {
				return err
			}
			sealed, err := d.ring.seal(active, place(c.table, s.row), plain)
			if err != nil {
				return err
			}
			if _, err := q.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET sealed = ? WHERE %s = ?", c.table, c.row), sealed, s.row); err != nil {
				return err
			}
		}
		n = len(old)
		return nil
	})
	return n, err
}

// dropRingKeys leaves the active key alone in the file, unless a secret is still sealed under another one.
func (d *DB) dropRingKeys(ctx context.Context) error {
	return d.write(ctx, func(q *sql.Tx) error {
		active, err := activeKey(ctx, q)
		if err != nil {
			return err
		}
		for _, c := range sealedColumns {
			left, err := scanOne[int](q.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE sealed IS NOT NULL AND substr(sealed, 2, %d) <> ?", c.table, keyIDSize), active[:]))
			if err != nil {
				return err
			}
			if left > 0 {
				return fmt.Errorf("%d secrets of %s are sealed under an older key: run the rotation again", left, c.table)
			}
		}
		key, err := d.ring.find(active)
		if err != nil {
			return err
		}
		if err := d.ring.save([]storedKey{key.stored}); err != nil {
			return err
		}
		return d.ring.load()
	})
}
