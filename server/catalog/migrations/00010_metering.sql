-- What a bill is computed from (package billing reads these tables in its own transactions).

-- +goose Up

-- Of what was put, the part that was put while the stream was in on-demand mode.
ALTER TABLE usage ADD COLUMN od_records BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN od_bytes   BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN od_units   BIGINT NOT NULL DEFAULT 0;
CREATE INDEX usage_hour ON usage (hour);
UPDATE usage SET od_records = records, od_bytes = bytes, od_units = units WHERE stream IN (SELECT id FROM streams WHERE mode = 'ON_DEMAND');

-- From when to when something of a stream held: it existed (stream), its mode, its retention, a shard was open, a consumer was
-- registered. Written in the transaction that changes it; kept when the stream is gone.
CREATE TABLE spans (
	stream  TEXT COLLATE "binary" NOT NULL,
	kind    TEXT COLLATE "binary" NOT NULL, -- stream, mode, retention, shard, consumer
	name    TEXT COLLATE "binary" NOT NULL, -- of the stream or the consumer; the shard's ordinal
	began   BIGINT NOT NULL,
	ended   BIGINT NOT NULL, -- 0: it holds
	value   TEXT NOT NULL,   -- the mode; the retention in microseconds
	account TEXT COLLATE "binary" NOT NULL,
	PRIMARY KEY (stream, kind, name, began)
);
CREATE INDEX spans_ended ON spans (ended);

INSERT INTO spans (stream, kind, name, began, ended, value, account)
SELECT id, 'stream', name, created, 0, '', account FROM streams WHERE status <> 'DELETING';
INSERT INTO spans (stream, kind, name, began, ended, value, account)
SELECT id, 'mode', '', created, 0, mode, account FROM streams WHERE status <> 'DELETING';
INSERT INTO spans (stream, kind, name, began, ended, value, account)
SELECT id, 'retention', '', created, 0, CAST(retention AS TEXT), account FROM streams WHERE status <> 'DELETING';
INSERT INTO spans (stream, kind, name, began, ended, value, account)
SELECT h.stream, 'shard', CAST(h.ordinal AS TEXT), h.created, h.closed, '', s.account FROM shards h JOIN streams s ON s.id = h.stream WHERE s.status <> 'DELETING';
INSERT INTO spans (stream, kind, name, began, ended, value, account)
SELECT c.stream, 'consumer', c.name, c.created, 0, '', s.account FROM consumers c JOIN streams s ON s.id = c.stream WHERE s.status <> 'DELETING';

-- Hours from which on a stream's usage is to be computed again: whoever changes usage or spans says so here, with a write that
-- locks the row, and billing takes the row away before it reads.
CREATE TABLE dirty (
	stream TEXT COLLATE "binary" NOT NULL,
	hour   BIGINT NOT NULL,
	PRIMARY KEY (stream, hour)
);

-- What registered packs hold, on its way into the bucket, where it stays.
CREATE TABLE manifests (
	session TEXT COLLATE "binary" NOT NULL,
	number  BIGINT NOT NULL,
	month   TEXT NOT NULL,  -- YYYY-MM, UTC
	body    TEXT NOT NULL,  -- JSON
	PRIMARY KEY (session, number, month)
);
