package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/trunks"
)

// Options tune a Records. The zero value is ready to use.
type Options struct {
	CommitInterval time.Duration // between commits; 0: 100 ms
	Retention      time.Duration // records of calls that ended longer ago are deleted; 0: kept for ever
	Queue          int           // records waiting for the disk; 0: 100,000
	Registerer     Registerer    // nil: no metrics
	Report         func(error)   // told when writing begins to fail and, with nil, when it works again; from the writer's goroutine; nil: nobody
}

// Records is the file of call records, records.db. One process writes to it at a time; others may read.
//
// A goroutine of its own commits what waits, all in one transaction, each CommitInterval. A crash of the process loses at
// most what came after the last commit; a crash of the machine may lose the last commits too, but never damages the file.
type Records struct {
	path    string
	lock    *os.File // held while open: one writer per directory
	writer  *writer
	reader  *sql.DB
	queue   queue
	dropped atomic.Uint64
	failure atomic.Pointer[error] // of the last commit; nil: it worked
	metrics *metrics

	requests chan chan error // to commit at once
	stopping sync.Once
	stop     chan struct{}   // closed: commit once more and end
	patience context.Context // how long the last commit may take; set before stop is closed
	running  sync.WaitGroup
	released chan struct{} // closed: everything is closed
	closed   error         // what closing brought; read it after released
}

// OpenRecords opens or makes records.db in dir, migrates it and starts the writer. Errors are an *OpenError, or that of
// Options.Registerer.
func OpenRecords(dir string, o Options) (*Records, error) { return openRecords(dir, o, busyTimeout) }

func openRecords(dir string, o Options, busy time.Duration) (_ *Records, err error) {
	path := filepath.Join(dir, "records.db")
	r := &Records{
		path:     path,
		queue:    queue{limit: cmp.Or(o.Queue, 100_000)},
		requests: make(chan chan error),
		stop:     make(chan struct{}),
		released: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.release())
		}
	}()
	if err := checkDirectory(dir); err != nil {
		return nil, err
	}
	if r.lock, err = lockDirectory(filepath.Join(dir, "records.lock")); err != nil {
		return nil, openError(path, err)
	}
	if err := prepareFile(path, schema("records"), busy, false); err != nil {
		return nil, err
	}
	if r.writer, err = openWriter(path); err != nil {
		return nil, openError(path, err)
	}
	if r.reader, err = openReaders(path, busy); err != nil {
		return nil, openError(path, err)
	}
	if r.metrics, err = newMetrics(o.Registerer, r); err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", path, err)
	}
	r.running.Go(func() { // ends with Close
		r.run(cmp.Or(o.CommitInterval, 100*time.Millisecond), o.Retention, o.Report)
	})
	return r, nil
}

// Write takes c for the next commit. It never blocks for longer than it takes to copy a record, wakes no goroutine and does no
// I/O. When Options.Queue records wait already, or after Close, c is dropped and counted.
func (r *Records) Write(c trunks.CallRecord) {
	if !r.queue.put(&c) {
		r.dropped.Add(1)
	}
}

// Flush commits what was written before the call. It returns the error of the commit, or that of ctx.
func (r *Records) Flush(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case r.requests <- reply:
	case <-r.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errClosed = errors.New("call records are closed")

// Close commits what waits and closes the file. When ctx ends first it returns the error of ctx, and the rest is
// done behind its back. Records that cannot be committed are counted as dropped. Closing twice is no error.
func (r *Records) Close(ctx context.Context) error {
	r.stopping.Do(func() {
		r.patience = ctx
		close(r.stop)
		go func() { // ends with the writer
			r.running.Wait()
			r.closed = r.release()
			close(r.released)
		}()
	})
	select {
	case <-r.released:
		return r.closed
	case <-ctx.Done():
		return fmt.Errorf("%d call records wait for %s: %w", r.queue.waiting(), r.path, ctx.Err())
	}
}

// release closes what is open.
func (r *Records) release() error {
	r.metrics.unregister()
	var errs []error
	if r.reader != nil {
		errs = append(errs, r.reader.Close())
	}
	if r.writer != nil {
		errs = append(errs, r.writer.close())
	}
	if r.lock != nil {
		errs = append(errs, r.lock.Close())
	}
	return errors.Join(errs...)
}

// Dropped returns how many records were lost since OpenRecords.
func (r *Records) Dropped() uint64 { return r.dropped.Load() }

// Waiting returns how many records wait for the disk.
func (r *Records) Waiting() int { return r.queue.waiting() }

// Healthy returns nil while commits work, and the error of the last one otherwise.
func (r *Records) Healthy() error {
	if err := r.failure.Load(); err != nil {
		return *err
	}
	return nil
}
