package store

import (
	"context"
	"fmt"
	"time"
)

const (
	retentionEvery = time.Minute // between looks at what is too old
	retryLongest   = time.Second // between tries while the disk refuses
)

// run is the writer's goroutine: a commit each interval, until stop.
func (r *Records) run(interval, retention time.Duration, report func(error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	l := commitLoop{r: r, retention: retention, report: report}
	for {
		select {
		case now := <-ticker.C:
			if now.Before(l.retryAt) {
				continue
			}
			_ = l.commit() // kept in r.failure and told to report
			l.expire(now)
		case reply := <-r.requests:
			reply <- l.commit()
		case <-r.stop:
			r.queue.shut()
			if err := l.commitLast(r.patience); err != nil {
				r.dropped.Add(uint64(r.queue.waiting()))
			}
			return
		}
	}
}

// commitLoop is what the writer's goroutine remembers between commits.
type commitLoop struct {
	r         *Records
	retention time.Duration
	report    func(error)

	taken      []*chunk // a batch that failed stays here, to be tried again
	retryAt    time.Time
	retryAfter time.Duration
	expireAt   time.Time
}

// commit writes everything that waits. What cannot be written stays for the next time.
func (l *commitLoop) commit() error {
	r := l.r
	l.taken = r.queue.take(l.taken)
	if len(l.taken) == 0 {
		return nil
	}
	began := time.Now()
	err := r.writer.write(l.taken)
	r.metrics.wrote(time.Since(began))
	l.remember(err)
	if err != nil {
		return r.Healthy()
	}
	r.queue.done(l.taken)
	clear(l.taken)
	l.taken = l.taken[:0]
	return nil
}

// commitLast commits, and tries again while another process holds the file, until ctx ends.
func (l *commitLoop) commitLast(ctx context.Context) error {
	for {
		err := l.commit()
		if err == nil || causeOf(err) != Locked {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(l.retryAfter):
		}
	}
}

// remember keeps the outcome of a commit, tells of a change, and makes the next try wait longer after each failure.
func (l *commitLoop) remember(err error) {
	failing := l.r.failure.Load() != nil
	if err == nil {
		l.retryAfter, l.retryAt = 0, time.Time{}
		l.r.failure.Store(nil)
		if failing && l.report != nil {
			l.report(nil)
		}
		return
	}
	err = openError(l.r.path, fmt.Errorf("commit call records: %w", err))
	l.retryAfter = min(max(2*l.retryAfter, 10*time.Millisecond), retryLongest)
	l.retryAt = time.Now().Add(l.retryAfter)
	l.r.failure.Store(&err)
	if !failing && l.report != nil {
		l.report(err)
	}
}

// expire deletes some of the records that are too old. It takes many small bites, so that no commit waits for long.
func (l *commitLoop) expire(now time.Time) {
	if l.retention <= 0 || now.Before(l.expireAt) || l.r.failure.Load() != nil {
		return
	}
	deleted, err := l.r.writer.expire(now.Add(-l.retention))
	if err != nil {
		l.remember(err)
		return
	}
	if deleted < expireBite {
		l.expireAt = now.Add(retentionEvery)
	}
}
