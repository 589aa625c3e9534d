-- +goose Up
-- What the daemon must remember about itself.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- This installation, for its whole life: 128 random bits.
INSERT INTO settings (name, value) VALUES ('installation', lower(hex(randomblob(16))));
