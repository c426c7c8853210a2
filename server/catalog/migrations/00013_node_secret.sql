-- What nodes know each other by, and what seals the console's cookies, is not for whoever reads the database: it is here
-- wrapped under the master key alone.

-- +goose Up

ALTER TABLE cluster ADD COLUMN node_secret TEXT NOT NULL DEFAULT ''; -- wrapped; empty: no node with a master key has started

-- 1: the session's node signs its calls with that secret. While one is live that does not, calls signed with cluster.secret are taken.
ALTER TABLE sessions ADD COLUMN node_secret BIGINT NOT NULL DEFAULT 0;
