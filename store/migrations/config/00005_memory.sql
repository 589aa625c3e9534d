-- +goose Up
-- What the running edge must know again after a restart. It writes this in batches, seconds after it happened.
CREATE TABLE tolls (
    payer   TEXT    NOT NULL CHECK (payer IN ('agent', 'organization')),
    name    TEXT    NOT NULL,
    day     INTEGER NOT NULL, -- of UTC, since 1970
    used_ms INTEGER NOT NULL, -- answered time of outbound calls on that day
    PRIMARY KEY (payer, name)
) STRICT, WITHOUT ROWID;

-- Where agents have registered, over UDP: a connection ends with the process.
CREATE TABLE agent_bindings (
    agent      TEXT    NOT NULL, -- as the engine knows it
    key        TEXT    NOT NULL, -- what makes it the same binding when it comes again
    uri        TEXT    NOT NULL, -- Contact
    listener   TEXT    NOT NULL, -- where the REGISTER came in
    local      TEXT    NOT NULL,
    remote     TEXT    NOT NULL, -- where it came from
    q          REAL    NOT NULL,
    expires_ms INTEGER NOT NULL,
    call_id    TEXT    NOT NULL,
    cseq       INTEGER NOT NULL,
    instance   TEXT    NOT NULL,
    device     TEXT    NOT NULL, -- User-Agent
    PRIMARY KEY (agent, key)
) STRICT, WITHOUT ROWID;
