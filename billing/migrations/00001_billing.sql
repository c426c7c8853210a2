-- What was used and billed; one text for PostgreSQL and SQLite. Hours and times are microseconds since 1970. The tables usage, spans, dirty
-- and manifests, from which this is computed, are the catalog's.

-- +goose Up

CREATE TABLE billing_state (
	one    BIGINT PRIMARY KEY CHECK (one = 1),
	booked BIGINT NOT NULL, -- hours that begin before this time are in the ledger; 0: none
	number BIGINT NOT NULL  -- of the last invoice
);
INSERT INTO billing_state (one, booked, number) VALUES (1, 0, 0);

-- What nodes counted: reads, pushes, deliveries.
CREATE TABLE billing_counts (
	stream  TEXT COLLATE "binary" NOT NULL,
	hour    BIGINT NOT NULL,
	mode    TEXT COLLATE "binary" NOT NULL,
	account TEXT COLLATE "binary" NOT NULL,
	read_records  BIGINT NOT NULL,
	read_bytes    BIGINT NOT NULL,
	push_records  BIGINT NOT NULL,
	push_bytes    BIGINT NOT NULL,
	delivery_records           BIGINT NOT NULL,
	delivery_bytes             BIGINT NOT NULL,
	delivery_rounded_bytes     BIGINT NOT NULL,
	delivery_converted_bytes   BIGINT NOT NULL,
	delivery_partitioned_bytes BIGINT NOT NULL,
	delivery_objects           BIGINT NOT NULL,
	PRIMARY KEY (stream, hour, mode)
);
CREATE INDEX billing_counts_hour ON billing_counts (hour);

-- How far the counts of each life of a node have come: one that is sent again is known by its number.
CREATE TABLE billing_flushes (
	session TEXT COLLATE "binary" PRIMARY KEY,
	number  BIGINT NOT NULL,
	at      BIGINT NOT NULL
);

-- The ledger: rows are added and never changed. seq 0 is the hour as it was booked, others are signed corrections of it.
CREATE TABLE billing_ledger (
	stream  TEXT COLLATE "binary" NOT NULL,
	hour    BIGINT NOT NULL,
	mode    TEXT COLLATE "binary" NOT NULL,
	seq     BIGINT NOT NULL,
	account TEXT COLLATE "binary" NOT NULL,
	booked  BIGINT NOT NULL, -- when
	put_records  BIGINT NOT NULL,
	put_bytes    BIGINT NOT NULL,
	put_units    BIGINT NOT NULL,
	storage_day  BIGINT NOT NULL,
	storage_week BIGINT NOT NULL,
	storage_long BIGINT NOT NULL,
	shard_hours          BIGINT NOT NULL,
	shard_extended_hours BIGINT NOT NULL,
	stream_hours         BIGINT NOT NULL,
	consumer_hours       BIGINT NOT NULL,
	consumer_shard_hours BIGINT NOT NULL,
	read_records  BIGINT NOT NULL,
	read_bytes    BIGINT NOT NULL,
	push_records  BIGINT NOT NULL,
	push_bytes    BIGINT NOT NULL,
	delivery_records           BIGINT NOT NULL,
	delivery_bytes             BIGINT NOT NULL,
	delivery_rounded_bytes     BIGINT NOT NULL,
	delivery_converted_bytes   BIGINT NOT NULL,
	delivery_partitioned_bytes BIGINT NOT NULL,
	delivery_objects           BIGINT NOT NULL,
	PRIMARY KEY (stream, hour, mode, seq)
);
CREATE INDEX billing_ledger_hour ON billing_ledger (hour);
CREATE INDEX billing_ledger_account ON billing_ledger (account, hour);

-- Closed invoices: never changed.
CREATE TABLE billing_invoices (
	number   BIGINT PRIMARY KEY,
	account  TEXT COLLATE "binary" NOT NULL,
	month    TEXT COLLATE "binary" NOT NULL, -- YYYY-MM in the book's zone
	began    BIGINT NOT NULL,
	ended    BIGINT NOT NULL,
	closed   BIGINT NOT NULL,
	currency TEXT NOT NULL,
	total    TEXT NOT NULL, -- decimal
	lines    TEXT NOT NULL, -- JSON
	book     TEXT NOT NULL, -- YAML, as it was
	UNIQUE (account, month)
);

-- Credits and adjustments.
CREATE TABLE billing_entries (
	id       TEXT COLLATE "binary" PRIMARY KEY,
	account  TEXT COLLATE "binary" NOT NULL,
	month    TEXT COLLATE "binary" NOT NULL,
	kind     TEXT NOT NULL,  -- credit, adjustment
	amount   TEXT NOT NULL,  -- decimal; a credit's is negative
	currency TEXT NOT NULL,
	reason   TEXT NOT NULL,
	author   TEXT NOT NULL,
	created  BIGINT NOT NULL
);
CREATE INDEX billing_entries_account ON billing_entries (account, month);
