-- The ledger summed up for stretches of time in which one price list holds, months as a rule, so that nobody adds up all of a month's hours to
-- know what it comes to. It can always be made anew from the ledger.

-- +goose Up

-- 1: whoever wrote the row added it to the sums. Programs of before this migration do not, and leave a 0.
ALTER TABLE billing_ledger ADD COLUMN summed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX billing_ledger_unsummed ON billing_ledger (hour) WHERE summed = 0;

-- Hours that begin in [began, ended) are summed up, as far as those before through: rows of later hours are added when through gets there, those of
-- earlier ones when they are written. unmarked is how many rows of [began, through) have summed = 0: they are in the sums too. Once there are
-- more of them, the sums lack something, and are not used until they are made again.
CREATE TABLE billing_stretches (
	began    BIGINT NOT NULL,
	ended    BIGINT NOT NULL,
	through  BIGINT NOT NULL,
	unmarked BIGINT NOT NULL,
	PRIMARY KEY (began, ended)
);

CREATE TABLE billing_sums (
	account TEXT COLLATE "binary" NOT NULL,
	began   BIGINT NOT NULL,
	ended   BIGINT NOT NULL,
	stream  TEXT COLLATE "binary" NOT NULL,
	mode    TEXT COLLATE "binary" NOT NULL,
	put_records                BIGINT NOT NULL,
	put_bytes                  BIGINT NOT NULL,
	put_units                  BIGINT NOT NULL,
	storage_day                BIGINT NOT NULL,
	storage_week               BIGINT NOT NULL,
	storage_long               BIGINT NOT NULL,
	shard_hours                BIGINT NOT NULL,
	shard_extended_hours       BIGINT NOT NULL,
	stream_hours               BIGINT NOT NULL,
	consumer_hours             BIGINT NOT NULL,
	consumer_shard_hours       BIGINT NOT NULL,
	read_records               BIGINT NOT NULL,
	read_bytes                 BIGINT NOT NULL,
	push_records               BIGINT NOT NULL,
	push_bytes                 BIGINT NOT NULL,
	delivery_records           BIGINT NOT NULL,
	delivery_bytes             BIGINT NOT NULL,
	delivery_rounded_bytes     BIGINT NOT NULL,
	delivery_converted_bytes   BIGINT NOT NULL,
	delivery_partitioned_bytes BIGINT NOT NULL,
	delivery_objects           BIGINT NOT NULL,
	PRIMARY KEY (account, began, ended, stream, mode)
);
