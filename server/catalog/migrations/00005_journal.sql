-- The journal in the bucket (package journal): how far this catalog has come in it.

-- +goose Up

CREATE TABLE journal (
	one BIGINT PRIMARY KEY CHECK (one = 1),
	n   BIGINT NOT NULL -- the entry that this catalog's newest journaled change is
);
INSERT INTO journal (one, n) VALUES (1, 0);

-- The end of a shard without extents that the journal has: when its objects are gone, nothing else in the bucket tells it.
ALTER TABLE shards ADD COLUMN journaled_end BIGINT NOT NULL DEFAULT 0;
