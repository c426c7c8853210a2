-- The control plane's tables; one text for PostgreSQL and SQLite (see internal/sqldb). Times are microseconds since 1970,
-- 0 for none. There are no foreign keys: on PostgreSQL each would cost a look-up for every row of a pack of 5,000
-- extents, and removing a stream works in batches anyhow. Package catalog says which transaction keeps what.

-- +goose Up

CREATE TABLE cluster (
	one     BIGINT PRIMARY KEY CHECK (one = 1),
	id      TEXT NOT NULL,
	secret  TEXT NOT NULL, -- 32 bytes, hexadecimal: authenticates iterators
	created BIGINT NOT NULL
);

-- Rises with every change of a stream, and of a shard but for its horizon and its end. Whoever changes one takes this
-- row first, so such transactions are one after the other.
CREATE TABLE revision (
	one BIGINT PRIMARY KEY CHECK (one = 1),
	n   BIGINT NOT NULL
);
INSERT INTO revision (one, n) VALUES (1, 1);

CREATE TABLE sessions (
	id      TEXT COLLATE "binary" PRIMARY KEY,
	node    TEXT NOT NULL,
	address TEXT NOT NULL,
	state   TEXT NOT NULL,              -- live, fencing, closed
	trimmed BIGINT NOT NULL DEFAULT 0,  -- segments below it are registered in packs
	opened  BIGINT NOT NULL,
	closed  BIGINT NOT NULL DEFAULT 0,
	fence   BIGINT NOT NULL DEFAULT 0,  -- of a closed session: segments from here on never counted
	clean   BIGINT NOT NULL DEFAULT 0   -- 1: closed by its own node with nothing left to recover
);
CREATE INDEX sessions_state ON sessions (state);

-- Heartbeats stand apart, so that a beat never waits for a pack that is being registered.
CREATE TABLE beats (
	session TEXT COLLATE "binary" PRIMARY KEY,
	beat    BIGINT NOT NULL
);

CREATE TABLE leader (
	one    BIGINT PRIMARY KEY CHECK (one = 1),
	holder TEXT NOT NULL,
	until  BIGINT NOT NULL,
	term   BIGINT NOT NULL -- counts holders
);
INSERT INTO leader (one, holder, until, term) VALUES (1, '', 0, 0);

CREATE TABLE streams (
	id             TEXT COLLATE "binary" PRIMARY KEY,
	account        TEXT COLLATE "binary" NOT NULL,
	name           TEXT COLLATE "binary" NOT NULL,
	mode           TEXT NOT NULL,
	status         TEXT NOT NULL,
	status_since   BIGINT NOT NULL,
	retention      BIGINT NOT NULL, -- microseconds
	max_record     BIGINT NOT NULL, -- bytes
	created        BIGINT NOT NULL,
	expired_before BIGINT NOT NULL DEFAULT 0,
	target_shards  BIGINT NOT NULL DEFAULT 0,
	next_ordinal   BIGINT NOT NULL,
	version        BIGINT NOT NULL, -- the revision of its last change
	UNIQUE (account, name)
);
CREATE INDEX streams_status ON streams (status);

CREATE TABLE shards (
	stream      TEXT COLLATE "binary" NOT NULL,
	ordinal     BIGINT NOT NULL,
	start_key   TEXT NOT NULL, -- 32 hexadecimal digits
	end_key     TEXT NOT NULL,
	parent      BIGINT,
	adjacent    BIGINT,
	created     BIGINT NOT NULL,
	closed      BIGINT NOT NULL DEFAULT 0,
	final       BIGINT NOT NULL DEFAULT 0, -- of a closed shard: records ever put
	horizon     BIGINT NOT NULL DEFAULT 0, -- the lowest offset that is kept
	next_offset BIGINT NOT NULL DEFAULT 0, -- the end of the last registered extent
	last_time   BIGINT NOT NULL DEFAULT 0, -- of the last registered record, or of the reshard that made the shard
	epoch       BIGINT NOT NULL DEFAULT 0,
	owner       TEXT COLLATE "binary",     -- a session
	PRIMARY KEY (stream, ordinal)
);
CREATE INDEX shards_owner ON shards (owner);

CREATE TABLE intents (
	id       TEXT COLLATE "binary" PRIMARY KEY,
	stream   TEXT COLLATE "binary" NOT NULL,
	parents  TEXT NOT NULL, -- JSON
	children TEXT NOT NULL, -- JSON
	state    TEXT NOT NULL, -- pending, done, failed
	created  BIGINT NOT NULL,
	finished BIGINT NOT NULL DEFAULT 0,
	error    TEXT NOT NULL DEFAULT ''
);
CREATE INDEX intents_stream ON intents (stream, state);

-- The transactions of packers and mergers, so that one that is sent again is known.
CREATE TABLE packs (
	session TEXT COLLATE "binary" NOT NULL,
	number  BIGINT NOT NULL,
	object  TEXT NOT NULL,
	created BIGINT NOT NULL,
	PRIMARY KEY (session, number)
);

CREATE TABLE extents (
	stream       TEXT COLLATE "binary" NOT NULL,
	ordinal      BIGINT NOT NULL,
	first_offset BIGINT NOT NULL,
	records      BIGINT NOT NULL,
	epoch        BIGINT NOT NULL,
	min_time     BIGINT NOT NULL,
	max_time     BIGINT NOT NULL,
	object       TEXT COLLATE "binary" NOT NULL,
	place        BIGINT NOT NULL,
	length       BIGINT NOT NULL,
	index_length BIGINT NOT NULL,
	raw          BIGINT NOT NULL,
	bytes        BIGINT NOT NULL,
	units        BIGINT NOT NULL,
	codec        BIGINT NOT NULL,
	crc          BIGINT NOT NULL,
	hash         BIGINT NOT NULL,
	level        BIGINT NOT NULL,
	PRIMARY KEY (stream, ordinal, first_offset)
);
CREATE INDEX extents_object ON extents (object);

-- One row for each object that extents name. Whoever takes extents away locks the rows of their objects first, so that
-- of two who take the last ones, one sees that nothing is left.
CREATE TABLE objects (
	key TEXT COLLATE "binary" PRIMARY KEY
);

-- What closed sessions still hold of shards (data-plane.md, rule 12).
CREATE TABLE closed_shards (
	session TEXT COLLATE "binary" NOT NULL,
	stream  TEXT COLLATE "binary" NOT NULL,
	ordinal BIGINT NOT NULL,
	epoch   BIGINT NOT NULL,
	PRIMARY KEY (session, stream, ordinal)
);
CREATE INDEX closed_shards_shard ON closed_shards (stream, ordinal);

CREATE TABLE deletions (
	key        TEXT COLLATE "binary" PRIMARY KEY,
	not_before BIGINT NOT NULL
);
CREATE INDEX deletions_due ON deletions (not_before);

CREATE TABLE consumers (
	stream  TEXT COLLATE "binary" NOT NULL,
	name    TEXT COLLATE "binary" NOT NULL,
	created BIGINT NOT NULL,
	active  BIGINT NOT NULL, -- CREATING before this time
	PRIMARY KEY (stream, name)
);

-- What was put: by stream and the hour in which the extent's last record came. It outlives its stream.
CREATE TABLE usage (
	stream  TEXT COLLATE "binary" NOT NULL,
	hour    BIGINT NOT NULL,
	account TEXT COLLATE "binary" NOT NULL,
	records BIGINT NOT NULL,
	bytes   BIGINT NOT NULL,
	units   BIGINT NOT NULL,
	PRIMARY KEY (stream, hour)
);
CREATE INDEX usage_account ON usage (account, hour);
