-- +goose Up
-- One row per call, in the order in which calls ended. Times are milliseconds since 1970-01-01 UTC.
CREATE TABLE calls (
    seq            INTEGER PRIMARY KEY,
    id             TEXT    NOT NULL, -- our id of the call
    direction      TEXT    NOT NULL, -- inbound, outbound, none
    trunk          TEXT,             -- NULL: none was chosen
    agent          TEXT,             -- NULL: none was chosen
    caller         TEXT    NOT NULL, -- E.164, or the user part as it came
    called         TEXT    NOT NULL,
    outcome        TEXT    NOT NULL, -- answered, busy, no_answer, cancelled, rejected, redirected, carrier_error, timeout, throttled, local_error
    ended_by       TEXT    NOT NULL, -- caller, callee, edge
    code           INTEGER NOT NULL, -- SIP status; 0: none
    reason         TEXT    NOT NULL,
    refusal        TEXT,             -- label of trunkline_call_rejections_total; NULL: the edge did not refuse
    started_ms     INTEGER NOT NULL,
    ringing_ms     INTEGER,          -- NULL: never
    answered_ms    INTEGER,          -- NULL: never
    ended_ms       INTEGER NOT NULL,
    attempts       INTEGER NOT NULL, -- INVITEs sent to the callee's side
    source         TEXT    NOT NULL, -- address:port the INVITE came from
    target         TEXT,             -- address:port of the last attempt; NULL: none
    caller_call_id TEXT    NOT NULL,
    callee_call_id TEXT,             -- NULL: no attempt
    -- What the relay forwarded from the caller and from the callee; NULL: nothing.
    caller_packets   INTEGER, caller_bytes INTEGER, caller_lost INTEGER, caller_jitter_us INTEGER, caller_codec TEXT,
    callee_packets   INTEGER, callee_bytes INTEGER, callee_lost INTEGER, callee_jitter_us INTEGER, callee_codec TEXT
) STRICT;
