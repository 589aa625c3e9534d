package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
)

// DB is the configuration database, trunkline.db. It may be used from any goroutine. Several processes may have it open:
// the daemon and commands beside it.
type DB struct {
	path      string
	writer    *sql.DB // one connection
	reader    *sql.DB
	ring      *ring
	digestKey []byte
}

// Open opens or makes trunkline.db in dir and migrates it, keeping a copy of an older one beside it. It makes the key ring on first
// start. Errors are an *OpenError or a *RingError.
func Open(dir string) (*DB, error) {
	path := filepath.Join(dir, "trunkline.db")
	if err := prepareFile(path, schema("config"), busyTimeout, true); err != nil {
		return nil, err
	}
	writer, err := sql.Open(driverName, writerDSN(path, busyTimeout))
	if err != nil {
		return nil, openError(path, err)
	}
	writer.SetMaxOpenConns(1)
	reader, err := openReaders(path, busyTimeout)
	if err != nil {
		return nil, errors.Join(openError(path, err), writer.Close())
	}
	db := &DB{path: path, writer: writer, reader: reader}
	if err := db.Check(context.Background()); err != nil {
		return nil, errors.Join(openError(path, err), db.Close())
	}
	if err := db.openSecrets(context.Background(), dir); err != nil {
		if ring, ok := errors.AsType[*RingError](err); ok {
			return nil, errors.Join(ring, db.Close())
		}
		return nil, errors.Join(openError(path, err), db.Close())
	}
	return db, nil
}

// Check returns nil while the database answers.
func (d *DB) Check(ctx context.Context) error {
	_, err := d.Installation(ctx)
	return err
}

// Installation returns 32 hex digits that name this installation for its whole life.
func (d *DB) Installation(ctx context.Context) (string, error) {
	var id string
	err := d.reader.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = 'installation'").Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("setting installation: %w", ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("read the setting installation: %w", err)
	}
	return id, nil
}

// Close closes all connections.
func (d *DB) Close() error { return errors.Join(d.reader.Close(), d.writer.Close()) }
