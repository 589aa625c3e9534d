package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"trunkline/trunks"
)

const (
	columns      = "id, direction, trunk, agent, caller, called, outcome, ended_by, code, reason, refusal, started_ms, ringing_ms, answered_ms, ended_ms, attempts, source, target, caller_call_id, callee_call_id, caller_packets, caller_bytes, caller_lost, caller_jitter_us, caller_codec, callee_packets, callee_bytes, callee_lost, callee_jitter_us, callee_codec, tries, caller_rtt_us, caller_mos, callee_rtt_us, callee_mos"
	columnCount  = 35
	rowsTogether = 32                     // rows of the larger insert: one call into C for all of them
	writerBusy   = 250 * time.Millisecond // then the batch is tried again; Close need not wait for long
	expireBite   = 2000                   // rows deleted in one transaction
	walLimit     = 64 << 20               // bytes the write-ahead log is cut to after it had to grow
)

// writer is the one connection that writes records. One goroutine uses it.
type writer struct {
	c                       connection
	begin, commit, rollback *statement
	insertOne, insertMany   *statement
	delete                  *statement
}

func openWriter(path string) (*writer, error) {
	c, err := connect(writerDSN(path, writerBusy))
	if err != nil {
		return nil, err
	}
	w := &writer{c: c}
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", columnCount), ",") + ")"
	insert := "INSERT INTO calls (" + columns + ") VALUES "
	for _, s := range []struct {
		statement **statement
		query     string
	}{
		{&w.begin, "BEGIN IMMEDIATE"}, {&w.commit, "COMMIT"}, {&w.rollback, "ROLLBACK"},
		{&w.insertOne, insert + row},
		{&w.insertMany, insert + strings.TrimSuffix(strings.Repeat(row+",", rowsTogether), ",")},
		// Records are in the order in which calls ended, so the oldest are the first.
		{&w.delete, fmt.Sprintf("DELETE FROM calls WHERE seq IN (SELECT seq FROM calls ORDER BY seq LIMIT %d) AND ended_ms < ?", expireBite)},
	} {
		if *s.statement, err = c.prepare(s.query); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	if err := c.exec(fmt.Sprintf("PRAGMA journal_size_limit = %d", walLimit)); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// write commits the records of chunks in one transaction: all of them or none.
func (w *writer) write(chunks []*chunk) (err error) {
	if err := w.begin.run(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			w.abort()
		}
	}()
	filled := 0
	for _, c := range chunks {
		for i := range c.n {
			fill(w.insertMany.args[filled*columnCount:], &c.records[i])
			if filled++; filled == rowsTogether {
				if err := w.insertMany.run(); err != nil {
					return err
				}
				filled = 0
			}
		}
	}
	for i := range filled {
		for j := range columnCount {
			w.insertOne.args[j].Value = w.insertMany.args[i*columnCount+j].Value
		}
		if err := w.insertOne.run(); err != nil {
			return err
		}
	}
	return w.commit.run()
}

// abort ends a transaction that failed. SQLite may have ended it already, and then it says so: nothing is lost.
func (w *writer) abort() {
	if !w.c.idle() {
		_ = w.rollback.run()
	}
}

// expire deletes up to expireBite of the first records if they ended before limit, and returns how many.
func (w *writer) expire(limit time.Time) (int, error) {
	w.delete.args[0].Value = limit.UnixMilli()
	return w.delete.change()
}

func (w *writer) close() error {
	var errs []error
	for _, s := range []*statement{w.begin, w.commit, w.rollback, w.insertOne, w.insertMany, w.delete} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(append(errs, w.c.close())...)
}

// fill puts r into the arguments of one row, in the order of columns.
func fill(args []driver.NamedValue, r *trunks.CallRecord) {
	_ = args[columnCount-1]
	args[0].Value = r.ID
	args[1].Value = r.Direction.String()
	args[2].Value = orNull(r.Trunk)
	args[3].Value = orNull(r.Agent)
	args[4].Value = r.Caller
	args[5].Value = r.Called
	args[6].Value = r.Outcome
	args[7].Value = r.EndedBy
	args[8].Value = int64(r.Code)
	args[9].Value = r.Reason
	args[10].Value = nil
	if r.Refusal != trunks.NoReason {
		args[10].Value = r.Refusal.String()
	}
	args[11].Value = r.Started.UnixMilli()
	args[12].Value = timeOrNull(r.Ringing)
	args[13].Value = timeOrNull(r.Answered)
	args[14].Value = r.Ended.UnixMilli()
	args[15].Value = int64(r.Attempts)
	args[16].Value = r.Source
	args[17].Value = orNull(r.Target)
	args[18].Value = r.CallerCallID
	args[19].Value = orNull(r.CalleeCallID)
	fillMedia(args[20:25], &r.Caller2Callee)
	fillMedia(args[25:30], &r.Callee2Caller)
	args[30].Value = nil
	if len(r.Tries) > 0 {
		args[30].Value = triesText(r.Tries)
	}
	fillQuality(args[31:33], &r.Caller2Callee)
	fillQuality(args[33:35], &r.Callee2Caller)
}

func fillQuality(args []driver.NamedValue, m *trunks.MediaStats) {
	args[0].Value, args[1].Value = nil, nil
	if m.RoundTrip > 0 {
		args[0].Value = m.RoundTrip.Microseconds()
	}
	if m.MOS > 0 {
		args[1].Value = int64(m.MOS*100 + 0.5)
	}
}

func fillMedia(args []driver.NamedValue, m *trunks.MediaStats) {
	if *m == (trunks.MediaStats{}) {
		for i := range args {
			args[i].Value = nil
		}
		return
	}
	args[0].Value = int64(m.Packets)
	args[1].Value = int64(m.Bytes)
	args[2].Value = int64(m.Lost)
	args[3].Value = m.Jitter.Microseconds()
	args[4].Value = orNull(m.Codec)
}

func orNull(s string) driver.Value {
	if s == "" {
		return nil
	}
	return s
}

func timeOrNull(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
