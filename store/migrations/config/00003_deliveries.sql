-- +goose Up
-- The next delivery of each webhook is one step into an index, however many wait for another.
CREATE INDEX deliveries_waiting ON deliveries (webhook_id, next_ms) WHERE state = 'waiting';
DROP INDEX deliveries_due;
