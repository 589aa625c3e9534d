package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"trunkline/trunks/account"
)

// View lets f read from one consistent state, beside whoever writes.
func (d *DB) View(ctx context.Context, f func(account.Reader) error) error {
	conn, err := d.reader.Conn(ctx) // waits for one of the readers
	if err != nil {
		return d.unavailable(err)
	}
	defer conn.Close()
	// What follows is bounded by the work of f; a context that ends would cost a goroutine for each statement.
	ctx = context.WithoutCancel(ctx)
	q, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return d.unavailable(err)
	}
	defer func() { _ = q.Rollback() }() // there is nothing to keep
	return d.unavailable(f(&tx{ctx, q, d}))
}

// Update lets f read and change in one transaction. Others wait for their turn, also those of other processes.
func (d *DB) Update(ctx context.Context, f func(account.Tx) error) error {
	return d.unavailable(d.write(ctx, func(q *sql.Tx) error { return f(&tx{context.WithoutCancel(ctx), q, d}) }))
}

// write runs one immediate transaction. It ends once it has begun, whatever becomes of ctx.
func (d *DB) write(ctx context.Context, f func(*sql.Tx) error) (err error) {
	conn, err := d.writer.Conn(ctx) // waits for the one writer
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	q, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		if !ended { // also when f panics
			_ = q.Rollback() // the error that led here says more
		}
	}()
	if err := f(q); err != nil {
		return err
	}
	ended = true
	return q.Commit()
}

// tx is one transaction. One goroutine uses it.
type tx struct {
	ctx context.Context
	q   *sql.Tx
	d   *DB
}

// unavailable turns an error of the database into one that says what to do. Any other error stays as it is.
func (d *DB) unavailable(err error) error {
	if err == nil {
		return nil
	}
	if isTaken(err) {
		return account.ErrTaken
	}
	if ring, ok := errors.AsType[*RingError](err); ok {
		return &account.Unavailable{Cause: string(Failed), Message: "the key ring cannot be used: " + ring.Problem, Fix: "restore " + ringFile + " in storage.directory", Err: ring}
	}
	if !isDriver(err) {
		return err
	}
	cause := causeOf(err)
	return &account.Unavailable{Cause: string(cause), Message: "the configuration database " + troubles[cause], Fix: remedies[cause], Err: err}
}

var troubles = map[Cause]string{
	DirectoryMissing: "is gone",
	NotWritable:      "cannot be written",
	DiskFull:         "is on a full disk",
	Corrupt:          "is damaged",
	NewerSchema:      "was written by a later version",
	Locked:           "is locked by another process",
	Failed:           "has failed",
}

var remedies = map[Cause]string{
	DirectoryMissing: "bring storage.directory back",
	NotWritable:      "check owner and mode of the files in storage.directory",
	DiskFull:         "make room in storage.directory",
	Corrupt:          "run trunkline db check, and restore a backup",
	NewerSchema:      "use that version",
	Locked:           "try again; end the process that holds it",
	Failed:           "see the log of the daemon",
}

// collect reads rows one by one.
func collect[T any](ctx context.Context, q interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}, scan func(*sql.Rows) (T, error), query string, args ...any) (_ []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// one reads exactly one row, or returns account.ErrNone.
func one[T any](t *tx, scan func(*sql.Rows) (T, error), query string, args ...any) (v T, err error) {
	all, err := collect(t.ctx, t.q, scan, query, args...)
	if err == nil && len(all) == 0 {
		err = account.ErrNone
	}
	if err != nil {
		return v, err
	}
	return all[0], nil
}

func many[T any](t *tx, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	return collect(t.ctx, t.q, scan, query, args...)
}

// exec changes rows; a unique value that is there already is account.ErrTaken.
func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	result, err := t.q.ExecContext(t.ctx, query, args...)
	if isTaken(err) {
		return nil, account.ErrTaken
	}
	return result, err
}

// change is exec of what must change exactly one row.
func (t *tx) change(what, query string, args ...any) error {
	result, err := t.exec(query, args...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("change %s: %w", what, account.ErrNone)
	}
	return err
}

// insert is exec of a row whose id the database chooses.
func (t *tx) insert(query string, args ...any) (int64, error) {
	result, err := t.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// seal seals a secret for a row of table under the key that seals now.
func (t *tx) seal(table, row string, plain []byte) ([]byte, error) {
	active, err := activeKey(t.ctx, t.q)
	if err != nil {
		return nil, err
	}
	return t.d.ring.seal(active, place(table, row), plain)
}

func (t *tx) open(table, row string, sealed []byte) ([]byte, error) {
	return t.d.ring.open(place(table, row), sealed)
}

func ms(at time.Time) int64 { return at.UnixMilli() }

func fromMS(n int64) time.Time { return time.UnixMilli(n).UTC() }

func msOrNull(at *time.Time) any {
	if at == nil {
		return nil
	}
	return at.UnixMilli()
}

func fromNullMS(n sql.NullInt64) *time.Time {
	if !n.Valid {
		return nil
	}
	return new(fromMS(n.Int64))
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func nullID(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

func nullInt(n *int) any {
	if n == nil {
		return nil
	}
	return int64(*n)
}

func fromNullInt(n sql.NullInt64) *int {
	if !n.Valid {
		return nil
	}
	return new(int(n.Int64))
}

func nullFloat(f *float64) any {
	if f == nil {
		return nil
	}
	return *f
}
