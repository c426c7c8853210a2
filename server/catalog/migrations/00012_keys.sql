-- Keys of streams are in objects of their own in the bucket (server/keyring), and stream_keys names them.

-- +goose Up

-- 1: the session finds keys there. While one runs that does not, and for a day after the last, stream_keys has keys whole, so that
-- one may go back to it; then the floor of this schema rises to this version.
ALTER TABLE sessions ADD COLUMN keys_apart BIGINT NOT NULL DEFAULT 0;
