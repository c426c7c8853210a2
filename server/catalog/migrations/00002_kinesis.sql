-- What the AWS Kinesis API adds: tags, policies, encryption, monitoring, capacity, access keys, and why streams scaled.

-- +goose Up

ALTER TABLE streams ADD COLUMN encryption_key TEXT NOT NULL DEFAULT ''; -- as its owner named it (an alias, an ARN); empty: not encrypted
ALTER TABLE streams ADD COLUMN data_key       TEXT NOT NULL DEFAULT ''; -- of stream_keys: seals what is written from now on
ALTER TABLE streams ADD COLUMN monitoring     TEXT NOT NULL DEFAULT ''; -- shard-level metrics, sorted, joined by commas
ALTER TABLE streams ADD COLUMN warm_mibps     BIGINT NOT NULL DEFAULT 0; -- warm throughput that was asked for, MiB/s
ALTER TABLE streams ADD COLUMN scale_min      BIGINT NOT NULL DEFAULT 0; -- on-demand scaling keeps this many shards at least

ALTER TABLE extents ADD COLUMN seal TEXT NOT NULL DEFAULT ''; -- 32 hexadecimal digits of key id, 24 of nonce; empty: not encrypted

-- Tags of a stream (consumer empty) or of one of its consumers. They go with their resource.
CREATE TABLE tags (
	stream   TEXT COLLATE "binary" NOT NULL,
	consumer TEXT COLLATE "binary" NOT NULL,
	name     TEXT COLLATE "binary" NOT NULL,
	value    TEXT NOT NULL,
	PRIMARY KEY (stream, consumer, name)
);

-- Resource policies, as their owners wrote them.
CREATE TABLE policies (
	stream   TEXT COLLATE "binary" NOT NULL,
	consumer TEXT COLLATE "binary" NOT NULL,
	policy   TEXT NOT NULL,
	PRIMARY KEY (stream, consumer)
);

-- Settings of an account; absent: none was ever changed.
CREATE TABLE account_settings (
	account  TEXT COLLATE "binary" PRIMARY KEY,
	settings TEXT NOT NULL -- JSON
);

-- When a stream's number of shards was changed by hand, for limits on how often.
CREATE TABLE scale_calls (
	stream TEXT COLLATE "binary" NOT NULL,
	at     BIGINT NOT NULL
);
CREATE INDEX scale_calls_stream ON scale_calls (stream, at);

-- What on-demand scaling did to a stream, and why.
CREATE TABLE scale_events (
	stream TEXT COLLATE "binary" NOT NULL,
	at     BIGINT NOT NULL,
	number BIGINT NOT NULL, -- tells events of one moment apart
	action TEXT NOT NULL,   -- split, merge
	shards TEXT NOT NULL,   -- the parents' ids, joined by commas
	reason TEXT NOT NULL,
	PRIMARY KEY (stream, at, number)
);

-- AWS-style access keys. The secret is wrapped under the master key: SigV4 needs it whole.
CREATE TABLE access_keys (
	id      TEXT COLLATE "binary" PRIMARY KEY,
	account TEXT COLLATE "binary" NOT NULL,
	name    TEXT NOT NULL,
	secret  TEXT NOT NULL,
	state   TEXT NOT NULL, -- active, inactive
	created BIGINT NOT NULL
);
CREATE INDEX access_keys_account ON access_keys (account);

-- The keys that seal streams' records, wrapped under the master key. They outlive their use for new records: what they
-- sealed is still to be read.
CREATE TABLE stream_keys (
	id      TEXT COLLATE "binary" PRIMARY KEY, -- 32 hexadecimal digits, as extents name it
	stream  TEXT COLLATE "binary" NOT NULL,
	wrapped TEXT NOT NULL,
	created BIGINT NOT NULL
);
CREATE INDEX stream_keys_stream ON stream_keys (stream);
