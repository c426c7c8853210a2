-- Every node keeps a table of who owns which shard. It reads what has changed since its last look, not 100,000 rows.

-- +goose Up

-- The revision of the last change of a shard's owner, epoch or move; 0: before there was this column.
ALTER TABLE shards ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX shards_changed ON shards (changed);
