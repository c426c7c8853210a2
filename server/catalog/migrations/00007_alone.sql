-- A session that serves all shards, and one that shares them with others, are never open at the same time.

-- +goose Up

ALTER TABLE sessions ADD COLUMN alone BIGINT NOT NULL DEFAULT 0; -- 1: it serves all shards, others stand by
