package store

import (
	"context"
	"errors"
)

// DB is the configuration database, trunkline.db.
type DB struct{}

// Open opens or makes trunkline.db in dir and migrates it. Errors are an *OpenError.
func Open(dir string) (*DB, error) { return nil, errors.ErrUnsupported }

// Check returns nil while the database answers, for /readyz.
func (d *DB) Check(ctx context.Context) error { return nil }

// Close closes all connections.
func (d *DB) Close() error { return nil }

// OpenError says why a database cannot be used and what to do about it.
type OpenError struct {
	Path  string
	Cause Cause
	Err   error
}

// Cause is why a database cannot be used, from a closed set.
type Cause string

const (
	DirectoryMissing Cause = "directory_missing"
	NotWritable      Cause = "not_writable"
	DiskFull         Cause = "disk_full"
	Corrupt          Cause = "corrupt"      // not a database, or damaged
	NewerSchema      Cause = "newer_schema" // written by a later version of trunkline
	Locked           Cause = "locked"       // another process writes to it
	Failed           Cause = "failed"       // anything else
)

func (e *OpenError) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *OpenError) Unwrap() error { return e.Err }
