-- +goose Up
-- What organizations have. Times are milliseconds since 1970. Columns named sealed hold AES-256-GCM under the key ring, bound to
-- their table, column and row. A reference to something of the same organization carries the organization, so that nothing can
-- point across.
CREATE TABLE sealed_settings (
    name   TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE organizations (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    org_id  TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role    TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    PRIMARY KEY (org_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    org_id       TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id      TEXT    NOT NULL REFERENCES users (id),
    name         TEXT    NOT NULL,
    prefix       TEXT    NOT NULL,
    hash         BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_ms   INTEGER NOT NULL,
    last_used_ms INTEGER,
    revoked_ms   INTEGER
) STRICT;
CREATE INDEX api_keys_prefix ON api_keys (prefix);
CREATE INDEX api_keys_org ON api_keys (org_id, seq);

CREATE TABLE connections (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    uid           TEXT    NOT NULL UNIQUE,
    org_id        TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    inferred_name INTEGER NOT NULL CHECK (inferred_name IN (0, 1)),
    provider      TEXT    NOT NULL,
    setup_method  TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('pending', 'testing', 'connected', 'error')),
    sip_config    TEXT    NOT NULL CHECK (json_valid(sip_config)),
    sealed        BLOB    NOT NULL,
    tested_ms     INTEGER,
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL,
    version       INTEGER NOT NULL DEFAULT 1,
    UNIQUE (org_id, id),
    UNIQUE (org_id, name)
) STRICT;

CREATE TABLE sip_credentials (
    seq                INTEGER PRIMARY KEY AUTOINCREMENT,
    id                 TEXT    NOT NULL UNIQUE,
    org_id             TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    connection_id      INTEGER UNIQUE,
    source             TEXT    NOT NULL CHECK (source IN ('manual', 'provider')),
    server             TEXT    NOT NULL,
    domain             TEXT    NOT NULL,
    auth_user          TEXT    NOT NULL,
    sealed             BLOB, -- the password; NULL: none
    transport          TEXT    NOT NULL CHECK (transport IN ('udp', 'tcp', 'tls')),
    description        TEXT    NOT NULL,
    cps_limit          REAL CHECK (cps_limit > 0),
    cps_key            TEXT    NOT NULL,
    realm              TEXT    NOT NULL,
    register           INTEGER NOT NULL CHECK (register IN (0, 1)),
    register_expires_s INTEGER NOT NULL,
    source_addresses   TEXT    NOT NULL CHECK (json_valid(source_addresses)),
    number_format      TEXT    NOT NULL,
    country_code       TEXT    NOT NULL,
    national_prefix    TEXT    NOT NULL,
    max_calls          INTEGER CHECK (max_calls > 0),
    created_ms         INTEGER NOT NULL,
    updated_ms         INTEGER NOT NULL,
    version            INTEGER NOT NULL DEFAULT 1,
    UNIQUE (org_id, id),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections (org_id, id)
) STRICT;
CREATE INDEX sip_credentials_org ON sip_credentials (org_id, seq);

CREATE TABLE agents (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id           TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name             TEXT    NOT NULL,
    destinations     TEXT    NOT NULL CHECK (json_valid(destinations)),
    source_addresses TEXT    NOT NULL CHECK (json_valid(source_addresses)),
    max_calls        INTEGER CHECK (max_calls > 0),
    created_ms       INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL,
    version          INTEGER NOT NULL DEFAULT 1,
    UNIQUE (org_id, id),
    UNIQUE (org_id, name)
) STRICT;

CREATE TABLE numbers (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id            TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    number            TEXT    NOT NULL CHECK (number GLOB '+[1-9]*'),
    source            TEXT    NOT NULL,
    sip_credential_id TEXT,
    status            TEXT    NOT NULL CHECK (status IN ('provisioning', 'active', 'failed', 'released')),
    verification      TEXT    NOT NULL CHECK (verification IN ('unverified', 'verified', 'failed')),
    failures          INTEGER NOT NULL DEFAULT 0,
    inbound_agent_id  INTEGER,
    outbound_agent_id INTEGER,
    verified_ms       INTEGER,
    created_ms        INTEGER NOT NULL,
    updated_ms        INTEGER NOT NULL,
    version           INTEGER NOT NULL DEFAULT 1,
    FOREIGN KEY (org_id, sip_credential_id) REFERENCES sip_credentials (org_id, id),
    FOREIGN KEY (org_id, inbound_agent_id) REFERENCES agents (org_id, id),
    FOREIGN KEY (org_id, outbound_agent_id) REFERENCES agents (org_id, id)
) STRICT;
-- A number belongs to one organization at a time.
CREATE UNIQUE INDEX numbers_held ON numbers (number) WHERE status <> 'released';
CREATE INDEX numbers_org ON numbers (org_id, id) WHERE status <> 'released';
CREATE INDEX numbers_credential ON numbers (sip_credential_id) WHERE sip_credential_id IS NOT NULL;
CREATE INDEX numbers_inbound ON numbers (inbound_agent_id) WHERE inbound_agent_id IS NOT NULL;
CREATE INDEX numbers_outbound ON numbers (outbound_agent_id) WHERE outbound_agent_id IS NOT NULL;

CREATE TABLE evidence (
    id                 TEXT    NOT NULL PRIMARY KEY,
    org_id             TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    provider           TEXT    NOT NULL,
    credentials_digest BLOB    NOT NULL CHECK (length(credentials_digest) = 32),
    sip_digest         BLOB    NOT NULL CHECK (length(sip_digest) = 32),
    sealed             BLOB    NOT NULL,
    suggested_name     TEXT    NOT NULL,
    created_ms         INTEGER NOT NULL,
    expires_ms         INTEGER NOT NULL,
    used_ms            INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_expires ON evidence (expires_ms);

CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id  TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    type    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    data    TEXT    NOT NULL CHECK (json_valid(data)),
    at_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX events_org ON events (org_id, id);

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id  TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id TEXT    NOT NULL,
    key_id  TEXT    NOT NULL,
    address TEXT    NOT NULL,
    request TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    at_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_org ON audit (org_id, id);

CREATE TABLE replays (
    org_id     TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    key        TEXT    NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    status     INTEGER NOT NULL DEFAULT 0,
    body       BLOB,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_created ON replays (created_ms);

CREATE TABLE operations (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    org_id      TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id     TEXT    NOT NULL,
    key_id      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    total       INTEGER NOT NULL,
    done        INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL,
    finished_ms INTEGER
) STRICT;
CREATE INDEX operations_org ON operations (org_id, seq);
CREATE INDEX operations_running ON operations (seq) WHERE state = 'running';

CREATE TABLE operation_items (
    operation_id TEXT    NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    number_id    INTEGER NOT NULL,
    state        TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'passed', 'failed')),
    message      TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (operation_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX operation_items_number ON operation_items (operation_id, number_id);
CREATE INDEX operation_items_waiting ON operation_items (operation_id, position) WHERE state = 'waiting';

CREATE TABLE webhooks (
    id              TEXT    NOT NULL PRIMARY KEY,
    org_id          TEXT    NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    url             TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    events          TEXT    NOT NULL CHECK (json_valid(events)), -- list of types; empty: all
    sealed          BLOB    NOT NULL, -- the signing secret
    enabled         INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    disabled_reason TEXT    NOT NULL,
    failing_since_ms INTEGER,
    created_ms      INTEGER NOT NULL,
    updated_ms      INTEGER NOT NULL,
    version         INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;
CREATE INDEX webhooks_org ON webhooks (org_id);

-- One row for each event and each webhook that wants it, made in the transaction of the event.
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id   TEXT    NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id     INTEGER NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    state        TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_ms      INTEGER NOT NULL,
    status       INTEGER, -- of the last answer
    error        TEXT    NOT NULL DEFAULT '',
    delivered_ms INTEGER
) STRICT;
CREATE INDEX deliveries_due ON deliveries (next_ms) WHERE state = 'waiting';
CREATE INDEX deliveries_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_event ON deliveries (event_id);
