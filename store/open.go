package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

const (
	busyTimeout    = 5 * time.Second // another process may be in a transaction: a backup, the command line
	checkedAtOpen  = 64 << 20        // bytes; larger files are not read through at start
	readers        = 4
	migrationLimit = 10 * time.Minute
)

// schema returns the migrations of one of the two files.
func schema(name string) fs.FS {
	sub, err := fs.Sub(migrations, "migrations/"+name)
	if err != nil {
		panic(err) // the name is ours
	}
	return sub
}

// checkDirectory finds what would make SQLite say no more than "unable to open database file".
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return openError(dir, err)
	}
	if !info.IsDir() {
		return &OpenError{Path: dir, Cause: NotWritable, Err: errors.New("not a directory")}
	}
	probe, err := os.CreateTemp(dir, ".write-*")
	if err != nil {
		return openError(dir, err)
	}
	defer os.Remove(probe.Name())
	if _, err := probe.Write(make([]byte, 4096)); err != nil {
		probe.Close()
		return openError(dir, err)
	}
	return openError(dir, probe.Close())
}

// prepareFile makes the file at path ready: there, sound, migrated. backup says whether a copy is kept before
// an existing file is changed.
func prepareFile(path string, migrations fs.FS, busy time.Duration, backup bool) error {
	if err := checkDirectory(filepath.Dir(path)); err != nil {
		return err
	}
	db, err := sql.Open(driverName, writerDSN(path, busy))
	if err != nil {
		return openError(path, err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(context.Background(), migrationLimit)
	defer cancel()
	if err := checkFile(ctx, db, path); err != nil {
		return openError(path, err)
	}
	return openError(path, migrate(ctx, db, path, migrations, backup))
}

// checkFile reads through a file of moderate size. A larger one shows its damage when the damaged place is used.
func checkFile(ctx context.Context, db *sql.DB, path string) error {
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	query := "PRAGMA quick_check(1)"
	if err == nil && info.Size() > checkedAtOpen {
		query = "SELECT CASE WHEN count(*) >= 0 THEN 'ok' END FROM sqlite_schema"
	}
	var verdict string
	if err := db.QueryRowContext(ctx, query).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return &OpenError{Path: path, Cause: Corrupt, Err: errors.New(verdict)}
	}
	return nil
}

func migrate(ctx context.Context, db *sql.DB, path string, migrations fs.FS, backup bool) error {
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrations, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	switch {
	case err != nil:
		return err
	case current > target:
		return &OpenError{Path: path, Cause: NewerSchema, Err: fmt.Errorf("schema %d, this version knows %d", current, target)}
	case current == target:
		return nil
	}
	if backup && current > 0 {
		if err := backUp(ctx, db, fmt.Sprintf("%s.before-%d", path, target)); err != nil {
			return fmt.Errorf("back up before migration: %w", err)
		}
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate to schema %d: %w", target, err)
	}
	return nil
}

// backUp writes a compact copy of db. A copy of an earlier, interrupted try is replaced.
func backUp(ctx context.Context, db *sql.DB, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := db.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}

// openReaders opens a pool of connections that cannot write.
func openReaders(path string, busy time.Duration) (*sql.DB, error) {
	db, err := sql.Open(driverName, readerDSN(path, busy))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	return db, nil
}
