package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"
)

// This file is the only one that knows the driver.

const driverName = "sqlite3"

// writerDSN is how a file is opened for writing: write-ahead log, transactions that take the write lock when they begin, so
// that they never have to give up in the middle. Each setting holds for every connection, hence not a PRAGMA sent once.
func writerDSN(path string, busy time.Duration) string {
	return dsn(path, busy, "mode=rwc&_txlock=immediate&_journal_mode=WAL&_synchronous=NORMAL&_foreign_keys=1")
}

// readerDSN is how a file is opened for reading beside the writer.
func readerDSN(path string, busy time.Duration) string {
	return dsn(path, busy, "mode=ro&_query_only=1&_foreign_keys=1")
}

func dsn(path string, busy time.Duration, settings string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	file := url.URL{Scheme: "file", OmitHost: true, Path: path}
	return fmt.Sprintf("%s?%s&_busy_timeout=%d&_mutex=no&_stmt_cache_size=64", file.String(), settings, busy.Milliseconds())
}

// driverCause tells what an error of the driver means.
func driverCause(err error) Cause {
	failure, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return Failed
	}
	switch failure.Code {
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return Locked
	case sqlite3.ErrFull:
		return DiskFull
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return Corrupt
	case sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrCantOpen, sqlite3.ErrAuth:
		return NotWritable
	}
	if failure.SystemErrno != 0 {
		return causeOf(failure.SystemErrno)
	}
	return Failed
}

// connection is one connection without a pool around it. One goroutine uses it.
type connection struct{ c *sqlite3.SQLiteConn }

func connect(dsn string) (connection, error) {
	c, err := new(sqlite3.SQLiteDriver).Open(dsn)
	if err != nil {
		return connection{}, err
	}
	return connection{c.(*sqlite3.SQLiteConn)}, nil
}

// exec runs SQL without arguments.
func (c connection) exec(query string) error {
	_, err := c.c.Exec(query, nil)
	return err
}

// idle reports whether no transaction is open.
func (c connection) idle() bool { return c.c.AutoCommit() }

func (c connection) close() error { return c.c.Close() }

// statement is a prepared statement with its arguments.
type statement struct {
	s    *sqlite3.SQLiteStmt
	args []driver.NamedValue
}

func (c connection) prepare(query string) (*statement, error) {
	prepared, err := c.c.Prepare(query)
	if err != nil {
		return nil, err
	}
	s := prepared.(*sqlite3.SQLiteStmt)
	args := make([]driver.NamedValue, s.NumInput())
	for i := range args {
		args[i].Ordinal = i + 1
	}
	return &statement{s, args}, nil
}

// run executes the statement with its arguments. It goes the driver's way for queries, which binds all of them and
// steps in one call into C; the other way makes one call for each argument.
func (s *statement) run() error {
	rows, err := s.s.QueryContext(context.Background(), s.args)
	if err != nil {
		return err
	}
	return rows.Close()
}

// change executes the statement like run and returns how many rows it changed.
func (s *statement) change() (int, error) {
	result, err := s.s.ExecContext(context.Background(), s.args)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func (s *statement) close() error { return s.s.Close() }

// isTaken reports whether a value that must be unique is there already.
func isTaken(err error) bool {
	failure, ok := errors.AsType[sqlite3.Error](err)
	return ok && (failure.ExtendedCode == sqlite3.ErrConstraintUnique || failure.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}

// isDriver reports whether the database itself has failed, rather than what was asked of it.
func isDriver(err error) bool {
	if _, ok := errors.AsType[sqlite3.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn)
}
