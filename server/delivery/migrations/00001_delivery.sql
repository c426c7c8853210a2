-- Delivery streams, where they are, and what each object that they wrote holds.

-- +goose Up

CREATE TABLE deliveries (
	id      TEXT COLLATE "binary" PRIMARY KEY,
	account TEXT COLLATE "binary" NOT NULL,
	name    TEXT COLLATE "binary" NOT NULL,
	state   TEXT NOT NULL,
	version BIGINT NOT NULL,              -- of the live track's configuration
	stream  TEXT COLLATE "binary" NOT NULL, -- id of the source stream, the hidden one of direct puts
	tags    TEXT NOT NULL,                -- JSON
	created BIGINT NOT NULL,
	updated BIGINT NOT NULL,
	UNIQUE (account, name)
);

-- Every configuration that a delivery stream ever had: a range is delivered by the one that it was planned with.
-- track is empty for the live delivery, otherwise the name of a backfill.
CREATE TABLE delivery_configs (
	delivery TEXT COLLATE "binary" NOT NULL,
	track    TEXT COLLATE "binary" NOT NULL,
	version  BIGINT NOT NULL,
	config   TEXT NOT NULL,               -- JSON, without secrets
	secrets  TEXT NOT NULL,               -- wrapped under the master key; empty: there are none
	PRIMARY KEY (delivery, track, version)
);

CREATE TABLE delivery_backfills (
	delivery TEXT COLLATE "binary" NOT NULL,
	track    TEXT COLLATE "binary" NOT NULL,
	begins   BIGINT NOT NULL,             -- times of arrival: from begins on, before ends
	ends     BIGINT NOT NULL,
	created  BIGINT NOT NULL,
	PRIMARY KEY (delivery, track)
);

-- Where a track is in each shard: everything in [start_at, next_at) is in committed plans.
CREATE TABLE delivery_cursors (
	delivery TEXT COLLATE "binary" NOT NULL,
	track    TEXT COLLATE "binary" NOT NULL,
	ordinal  BIGINT NOT NULL,
	start_at BIGINT NOT NULL,
	next_at  BIGINT NOT NULL,
	stop_at  BIGINT NOT NULL,             -- of a backfill: the offset to end at; -1: the shard's end
	at_time  BIGINT NOT NULL,             -- arrival of the last record that was delivered; 0: none was
	done     BIGINT NOT NULL DEFAULT 0,
	epoch    BIGINT NOT NULL DEFAULT 0,   -- the shard's, of who planned last
	plan     TEXT COLLATE "binary" NOT NULL DEFAULT '', -- planned and not committed
	reason   TEXT NOT NULL DEFAULT '',    -- why it does not go on; empty while it does
	since    BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (delivery, track, ordinal)
);

CREATE TABLE delivery_plans (
	id        TEXT COLLATE "binary" PRIMARY KEY, -- a hash of delivery, track and parts
	delivery  TEXT COLLATE "binary" NOT NULL,
	track     TEXT COLLATE "binary" NOT NULL,
	ordinal   BIGINT NOT NULL,            -- of the first part
	first_at  BIGINT NOT NULL,            -- of the first part
	version   BIGINT NOT NULL,            -- of the configuration
	state     TEXT NOT NULL,              -- planned, committed, expired
	parts     TEXT NOT NULL,              -- JSON: shards and ranges
	oldest    BIGINT NOT NULL,
	newest    BIGINT NOT NULL,
	manifest  TEXT NOT NULL,              -- JSON: the objects; of a planned one their names alone
	planned   BIGINT NOT NULL,
	committed BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX delivery_plans_in_order ON delivery_plans (delivery, track, ordinal, first_at);
