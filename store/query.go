package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"trunkline/trunks"
)

// Stored is a record with its place in the file. Times are exact to the millisecond, jitter to the microsecond.
type Stored struct {
	Seq int64
	trunks.CallRecord
}

// Recent returns up to limit records, newest first: those before the record with Seq before, or the newest for 0.
func (r *Records) Recent(ctx context.Context, limit int, before int64) ([]Stored, error) {
	if before <= 0 {
		before = 1<<63 - 1
	}
	return r.query(ctx, "WHERE seq < ? ORDER BY seq DESC LIMIT ?", before, limit)
}

// RecentOf is Recent for the calls of those trunks and agents alone, by name: it reads the file backwards until limit is reached
// or ctx ends.
func (r *Records) RecentOf(ctx context.Context, trunks, agents []string, limit int, before int64) ([]Stored, error) {
	if before <= 0 {
		before = 1<<63 - 1
	}
	return r.query(ctx, "WHERE seq < ? AND (trunk IN (SELECT value FROM json_each(?)) OR agent IN (SELECT value FROM json_each(?))) ORDER BY seq DESC LIMIT ?",
		before, list(trunks), list(agents), limit)
}

// list is names as the one parameter that json_each takes apart: there may be more of them than parameters.
func list(names []string) string {
	if len(names) == 0 {
		return "[]"
	}
	text, _ := json.Marshal(names) // strings always can
	return string(text)
}

// ByID returns the record of the call with our id, or ErrNotFound. Like ByCallID it reads the file backwards.
func (r *Records) ByID(ctx context.Context, id string) (Stored, error) {
	found, err := r.query(ctx, "WHERE id = ? ORDER BY seq DESC LIMIT 1", id)
	if err != nil {
		return Stored{}, err
	}
	if len(found) == 0 {
		return Stored{}, fmt.Errorf("call %s: %w", id, ErrNotFound)
	}
	return found[0], nil
}

// ByCallID returns up to limit records with that SIP Call-ID on either side, or our own id, newest first. There is no index over random
// ids, which would cost five times the rest of a record: it reads the file backwards until limit is reached or ctx ends,
// some million records per second.
func (r *Records) ByCallID(ctx context.Context, callID string, limit int) ([]Stored, error) {
	return r.query(ctx, "WHERE caller_call_id = ?1 OR callee_call_id = ?1 OR id = ?1 ORDER BY seq DESC LIMIT ?2", callID, limit)
}

func (r *Records) query(ctx context.Context, where string, args ...any) (_ []Stored, err error) {
	rows, err := r.reader.QueryContext(ctx, "SELECT seq, "+columns+" FROM calls "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read call records: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var found []Stored
	for rows.Next() {
		s, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read call records: %w", err)
		}
		found = append(found, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read call records: %w", err)
	}
	return found, nil
}

func scan(rows *sql.Rows) (s Stored, err error) {
	var direction string
	var trunk, agent, refusal, target, calleeCallID sql.NullString
	var started, ended int64
	var ringing, answered sql.NullInt64
	var caller, callee nullableMedia
	var tries sql.NullString
	err = rows.Scan(&s.Seq, &s.ID, &direction, &trunk, &agent, &s.Caller, &s.Called, &s.Outcome, &s.EndedBy, &s.Code, &s.Reason, &refusal,
		&started, &ringing, &answered, &ended, &s.Attempts, &s.Source, &target, &s.CallerCallID, &calleeCallID,
		&caller.packets, &caller.bytes, &caller.lost, &caller.jitter, &caller.codec,
		&callee.packets, &callee.bytes, &callee.lost, &callee.jitter, &callee.codec, &tries,
		&caller.roundTrip, &caller.mos, &callee.roundTrip, &callee.mos)
	s.Direction, s.Refusal = directionOf(direction), reasonOf(refusal.String)
	s.Trunk, s.Agent, s.Target, s.CalleeCallID = trunk.String, agent.String, target.String, calleeCallID.String
	s.Started, s.Ended = time.UnixMilli(started), time.UnixMilli(ended)
	s.Ringing, s.Answered = timeOrZero(ringing), timeOrZero(answered)
	s.Caller2Callee, s.Callee2Caller = caller.stats(), callee.stats()
	if err == nil && tries.Valid {
		s.Tries, err = triesOf(tries.String)
	}
	return s, err
}

func timeOrZero(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64)
}

// nullableMedia is one direction of the relay as it stands in a row.
type nullableMedia struct {
	packets, bytes, lost, jitter sql.NullInt64
	codec                        sql.NullString
	roundTrip, mos               sql.NullInt64
}

func (m nullableMedia) stats() trunks.MediaStats {
	return trunks.MediaStats{
		Packets: uint64(m.packets.Int64),
		Bytes:   uint64(m.bytes.Int64),
		Lost:    uint64(m.lost.Int64),
		Jitter:  time.Duration(m.jitter.Int64) * time.Microsecond,

		RoundTrip: time.Duration(m.roundTrip.Int64) * time.Microsecond,
		MOS:       float64(m.mos.Int64) / 100,
		Codec:     m.codec.String,
	}
}

func directionOf(word string) trunks.Direction {
	for _, d := range []trunks.Direction{trunks.InboundCall, trunks.OutboundCall} {
		if d.String() == word {
			return d
		}
	}
	return trunks.NoDirection
}

func reasonOf(label string) trunks.Reason {
	for reason := range trunks.Reasons {
		if reason.String() == label {
			return reason
		}
	}
	return trunks.NoReason
}
