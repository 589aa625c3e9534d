package store

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/trunks"
)

// Options tune a Records. The zero value is ready to use.
type Options struct {
	CommitInterval time.Duration         // between commits; 0: 100 ms
	Retention      time.Duration         // records that ended longer ago are deleted; 0: kept for ever
	Queue          int                   // records waiting for the disk; 0: 100,000
	Registerer     prometheus.Registerer // nil: no metrics
	Report         func(error)           // told when writing begins to fail and, with nil, when it works again; from the writer's goroutine; nil: nobody
}

// Records is the file of call records. Write may be called from any goroutine.
type Records struct{}

// OpenRecords opens or makes records.db in dir, migrates it and starts the writer. Errors are an *OpenError.
func OpenRecords(dir string, o Options) (*Records, error) { return nil, errors.ErrUnsupported }

// Write takes r for the next commit. It never blocks, wakes no goroutine and does no I/O. When Options.Queue records
// wait already, r is dropped and counted.
func (r *Records) Write(c trunks.CallRecord) {}

// Flush commits what was written before the call.
func (r *Records) Flush(ctx context.Context) error { return nil }

// Close commits what is waiting, until ctx ends, and closes the file. Records that could not be committed are counted as dropped.
func (r *Records) Close(ctx context.Context) error { return nil }

// Dropped returns how many records were lost since OpenRecords.
func (r *Records) Dropped() uint64 { return 0 }

// Healthy returns nil while commits work, and the last error otherwise.
func (r *Records) Healthy() error { return nil }

// Recent returns up to limit records, newest first. before is the Seq of the last record of the page before; 0: from the newest.
func (r *Records) Recent(ctx context.Context, limit int, before int64) ([]Stored, error) {
	return nil, nil
}

// ByID returns the record of the call with our id, or ErrNotFound.
func (r *Records) ByID(ctx context.Context, id string) (Stored, error) { return Stored{}, ErrNotFound }

// ByCallID returns up to limit records with that SIP Call-ID on either side, newest first.
// There is no index: it reads the file backwards until limit is reached or ctx ends.
func (r *Records) ByCallID(ctx context.Context, callID string, limit int) ([]Stored, error) {
	return nil, nil
}

// Stored is a record with its place in the file.
type Stored struct {
	Seq int64
	trunks.CallRecord
}

// ErrNotFound is returned where one row was asked for and none is there.
var ErrNotFound = errors.New("not found")
