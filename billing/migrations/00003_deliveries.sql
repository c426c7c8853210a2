-- The names of delivery streams that were billed, of those that are gone too.

-- +goose Up

CREATE TABLE billing_deliveries (
	id      TEXT COLLATE "binary" PRIMARY KEY, -- where the other tables have a stream's
	account TEXT COLLATE "binary" NOT NULL,
	name    TEXT NOT NULL
);
CREATE INDEX billing_deliveries_account ON billing_deliveries (account);
