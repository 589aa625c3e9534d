-- +goose Up
-- Round trip to the sender by RTCP, and its estimated listening quality at the edge in hundredths; NULL: unknown.
ALTER TABLE calls ADD COLUMN caller_rtt_us INTEGER;
ALTER TABLE calls ADD COLUMN caller_mos INTEGER;
ALTER TABLE calls ADD COLUMN callee_rtt_us INTEGER;
ALTER TABLE calls ADD COLUMN callee_mos INTEGER;
