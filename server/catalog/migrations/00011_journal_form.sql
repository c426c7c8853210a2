-- While nodes of two releases share a cluster, the older ones write entries of the journal that lack what only the newer
-- ones know. These columns show to a newer one that this has happened: it then writes an entry with the whole state.

-- +goose Up

ALTER TABLE journal ADD COLUMN form BIGINT NOT NULL DEFAULT 0;   -- journal.Form of the newest program that wrote an entry
ALTER TABLE journal ADD COLUMN form_n BIGINT NOT NULL DEFAULT 0; -- the last entry that such a program wrote
