package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
)

// The files of a storage directory.
const (
	ConfigFile  = "trunkline.db"
	RecordsFile = "records.db"
)

// Backup writes a compact copy of one of the files in dir to path, while others use it. What is at path already is not replaced. The
// copy is sound, or there is none: it is checked before it gets its name. The key ring is not in it.
func Backup(ctx context.Context, dir, file, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already", path)
	}
	from := filepath.Join(dir, file)
	db, err := openExisting(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	unfinished := path + ".unfinished"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.Remove(unfinished) // gone by then if all went well
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", unfinished); err != nil {
		return openError(from, err)
	}
	if err := os.Chmod(unfinished, 0o600); err != nil {
		return err
	}
	if problems, err := checkOne(ctx, unfinished); err != nil || len(problems) > 0 {
		return errors.Join(append([]error{err}, problems...)...)
	}
	if err := syncFile(unfinished); err != nil {
		return err
	}
	if err := os.Link(unfinished, path); err != nil { // unlike rename it never replaces
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openExisting opens a file for reading; one that is not there is an error.
func openExisting(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%s cannot be opened: %w", path, bare(err))
	}
	db, err := sql.Open(driverName, dsn(path, busyTimeout, "mode=ro&_foreign_keys=1"))
	if err != nil {
		return nil, openError(path, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// bare is err without the operation and path.
func bare(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err
	}
	return err
}

// CheckFiles reads through the files in dir while others use them, and returns what is wrong with them: damaged pages, rows that
// point nowhere, secrets that the key ring does not open. A file that is not there is an error.
func CheckFiles(ctx context.Context, dir string) (problems []error, err error) {
	for _, file := range []string{ConfigFile, RecordsFile} {
		found, err := checkOne(ctx, filepath.Join(dir, file))
		if err != nil {
			return problems, err
		}
		problems = append(problems, found...)
	}
	found, err := checkSecrets(ctx, dir)
	return append(problems, found...), err
}

func checkOne(ctx context.Context, path string) (problems []error, err error) {
	db, err := openExisting(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	verdicts, err := collect(ctx, db, scanWord[string], "PRAGMA integrity_check(20)")
	if err != nil {
		return nil, openError(path, err)
	}
	for _, verdict := range verdicts {
		if verdict != "ok" {
			problems = append(problems, fmt.Errorf("%s: %s", path, verdict))
		}
	}
	type orphan struct {
		table, parent string
		row           sql.NullInt64
		nth           int
	}
	orphans, err := collect(ctx, db, func(rows *sql.Rows) (o orphan, err error) { return o, rows.Scan(&o.table, &o.row, &o.parent, &o.nth) }, "PRAGMA foreign_key_check")
	for _, o := range orphans {
		problems = append(problems, fmt.Errorf("%s: row %d of %s points to a row of %s that is not there", path, o.row.Int64, o.table, o.parent))
	}
	return problems, openError(path, err)
}

// checkSecrets opens every secret and keeps none.
func checkSecrets(ctx context.Context, dir string) (problems []error, err error) {
	path := filepath.Join(dir, ConfigFile)
	db, err := openExisting(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ring, missing, err := openRing(dir)
	if err != nil && !missing {
		return []error{err}, nil
	}
	for _, c := range sealedColumns {
		type secret struct {
			row    string
			sealed []byte
		}
		all, err := collect(ctx, db, func(rows *sql.Rows) (s secret, err error) { return s, rows.Scan(&s.row, &s.sealed) },
			fmt.Sprintf("SELECT %s, sealed FROM %s WHERE sealed IS NOT NULL", c.row, c.table))
		if err != nil {
			return problems, openError(path, err)
		}
		for _, s := range all {
			if _, err := ring.open(place(c.table, s.row), s.sealed); err != nil {
				problems = append(problems, err)
			}
		}
	}
	return problems, nil
}

// Schema is how far a file is migrated.
type Schema struct {
	File          string
	Current, Last int64
}

// Schemas tells how far the files in dir are migrated, without changing them.
func Schemas(ctx context.Context, dir string) (all []Schema, err error) {
	for file, name := range map[string]string{ConfigFile: "config", RecordsFile: "records"} {
		path := filepath.Join(dir, file)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s, err := schemaOf(ctx, path, name)
		if err != nil {
			return nil, openError(path, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func schemaOf(ctx context.Context, path, name string) (s Schema, err error) {
	db, err := openExisting(path)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, schema(name), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return s, err
	}
	s.File = filepath.Base(path)
	sources := provider.ListSources()
	s.Last = sources[len(sources)-1].Version
	s.Current, err = scanOne[int64](db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied = 1"))
	return s, err
}

// Migrate brings both files in dir to this version's schema, keeping a copy of the configuration beside it first. The daemon does
// so at its start; this is for those who want it done before.
func Migrate(dir string) error {
	db, err := Open(dir)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	return prepareFile(filepath.Join(dir, RecordsFile), schema("records"), busyTimeout, false)
}
