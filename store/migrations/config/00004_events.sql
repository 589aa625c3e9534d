-- +goose Up
-- Events of calls are kept for less long than others: the oldest of a type are found without reading the rest.
CREATE INDEX events_type ON events (type, id);
