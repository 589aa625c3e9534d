-- +goose Up
-- What was tried to reach the callee, as JSON; NULL: its first target took or ended the call.
ALTER TABLE calls ADD COLUMN tries TEXT;
