-- Who may do what: accounts, roles and API tokens. Owner "accounts", after the catalog's own.

-- +goose Up

CREATE TABLE accounts (
	id      TEXT COLLATE "binary" PRIMARY KEY, -- 12 digits
	name    TEXT NOT NULL,
	labels  TEXT NOT NULL, -- JSON
	state   TEXT NOT NULL, -- ACTIVE, DISABLED, DELETING
	quotas  TEXT NOT NULL, -- JSON; what is not there is the server's default
	created BIGINT NOT NULL
);
-- The account of `leat dev`, and of everything that was made before there were accounts.
INSERT INTO accounts (id, name, labels, state, quotas, created) VALUES ('000000000000', 'default', '{}', 'ACTIVE', '{}', 0);

CREATE TABLE roles (
	account     TEXT COLLATE "binary" NOT NULL,
	name        TEXT COLLATE "binary" NOT NULL,
	description TEXT NOT NULL,
	policy      TEXT NOT NULL,
	tags        TEXT NOT NULL, -- JSON
	created     BIGINT NOT NULL,
	changed     BIGINT NOT NULL,
	PRIMARY KEY (account, name)
);

-- Tokens of gRPC and REST. Their secrets are random and long, so a plain SHA-256 keeps them.
CREATE TABLE tokens (
	id      TEXT COLLATE "binary" PRIMARY KEY,
	account TEXT COLLATE "binary" NOT NULL,
	name    TEXT NOT NULL,
	role    TEXT COLLATE "binary" NOT NULL, -- empty: everything in the account
	hash    TEXT NOT NULL,                  -- SHA-256 in hexadecimal
	state   TEXT NOT NULL,                  -- active, inactive
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL                 -- 0: never
);
CREATE INDEX tokens_account ON tokens (account);

ALTER TABLE access_keys ADD COLUMN role TEXT COLLATE "binary" NOT NULL DEFAULT '';

-- Rises with every change of what nodes keep in memory to authenticate and authorise: the tables above, access keys, and the
-- policies and tags of streams and consumers.
CREATE TABLE identity (
	one BIGINT PRIMARY KEY CHECK (one = 1),
	n   BIGINT NOT NULL
);
INSERT INTO identity (one, n) VALUES (1, 1);
