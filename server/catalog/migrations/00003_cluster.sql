-- What many nodes need: shards that are being handed from one session to another, and what a session tells with its beats.

-- +goose Up

-- moving_to is a session that a shard's owner is to hand it to; NULL: none. It goes with every change of the owner.
ALTER TABLE shards ADD COLUMN moving_to    TEXT COLLATE "binary";
ALTER TABLE shards ADD COLUMN moving_since BIGINT NOT NULL DEFAULT 0;
CREATE INDEX shards_moving_to ON shards (moving_to);

ALTER TABLE beats ADD COLUMN revision   BIGINT NOT NULL DEFAULT 0; -- the session has applied the catalog up to here
ALTER TABLE beats ADD COLUMN shards     BIGINT NOT NULL DEFAULT 0; -- that it serves
ALTER TABLE beats ADD COLUMN bytes_in   BIGINT NOT NULL DEFAULT 0; -- a second
ALTER TABLE beats ADD COLUMN records_in BIGINT NOT NULL DEFAULT 0; -- a second
ALTER TABLE beats ADD COLUMN draining   BIGINT NOT NULL DEFAULT 0; -- 1: it wants no shards and gives its own away
