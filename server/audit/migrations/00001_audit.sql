-- Who asked for what, from where, and what came of it. Owner "audit".

-- +goose Up

CREATE TABLE audit_events (
	id         TEXT COLLATE "binary" PRIMARY KEY, -- begins with its time, so that its order is theirs
	at         BIGINT NOT NULL,                   -- of the first of those that one row stands for
	last       BIGINT NOT NULL,                   -- of the last one
	times      BIGINT NOT NULL,                   -- how many they are
	account    TEXT COLLATE "binary" NOT NULL,    -- that the caller acted for
	principal  TEXT COLLATE "binary" NOT NULL,    -- its ARN
	name       TEXT NOT NULL,
	credential TEXT COLLATE "binary" NOT NULL,    -- the id of an access key or a token
	operation  TEXT COLLATE "binary" NOT NULL,
	resource   TEXT COLLATE "binary" NOT NULL,    -- its ARN, or *
	edge       TEXT COLLATE "binary" NOT NULL,
	source     TEXT COLLATE "binary" NOT NULL,
	agent      TEXT NOT NULL,
	request    TEXT COLLATE "binary" NOT NULL,
	outcome    TEXT COLLATE "binary" NOT NULL,    -- OK, or the kind of the error
	message    TEXT NOT NULL,
	was        TEXT NOT NULL,                     -- JSON; empty: nothing
	became     TEXT NOT NULL
);
CREATE INDEX audit_events_account ON audit_events (account, id);
