-- Budgets of accounts: what a month may cost, and who hears of it.

-- +goose Up

CREATE TABLE billing_budgets (
	account    TEXT COLLATE "binary" NOT NULL,
	name       TEXT COLLATE "binary" NOT NULL,
	amount     TEXT NOT NULL,                     -- decimal, in the book's currency
	stream     TEXT COLLATE "binary" NOT NULL,    -- a stream's id; empty: all
	meter      TEXT COLLATE "binary" NOT NULL,    -- a meter's name; empty: all
	thresholds TEXT NOT NULL,                     -- JSON: percents of what is spent
	forecasts  TEXT NOT NULL,                     -- JSON: percents of the forecast
	url        TEXT NOT NULL,                     -- of the webhook; empty: none
	secret     TEXT NOT NULL,                     -- of the webhook, wrapped under the master key
	throttle   BIGINT NOT NULL,                   -- 1: puts are refused beyond the amount
	locked     BIGINT NOT NULL,                   -- 1: operators alone may change it
	created    BIGINT NOT NULL,
	changed    BIGINT NOT NULL,
	PRIMARY KEY (account, name)
);

-- Where a budget stood at the last look, month by month.
CREATE TABLE billing_budget_months (
	account  TEXT COLLATE "binary" NOT NULL,
	name     TEXT COLLATE "binary" NOT NULL,
	month    TEXT COLLATE "binary" NOT NULL,
	ends     BIGINT NOT NULL, -- the month
	spent    TEXT NOT NULL,   -- decimal
	forecast TEXT NOT NULL,
	exceeded BIGINT NOT NULL, -- 1: more than the amount is spent
	looked   BIGINT NOT NULL, -- when
	PRIMARY KEY (account, name, month)
);

-- A threshold that was crossed: once a month.
CREATE TABLE billing_budget_alerts (
	id       TEXT COLLATE "binary" PRIMARY KEY,
	account  TEXT COLLATE "binary" NOT NULL,
	name     TEXT COLLATE "binary" NOT NULL,
	month    TEXT COLLATE "binary" NOT NULL,
	kind     TEXT COLLATE "binary" NOT NULL, -- spent, forecast
	percent  BIGINT NOT NULL,
	at       BIGINT NOT NULL,
	body     TEXT NOT NULL,   -- what the webhook is sent
	state    TEXT NOT NULL,   -- PENDING, SENT, FAILED, UNSENT: there was no webhook
	attempts BIGINT NOT NULL,
	due      BIGINT NOT NULL, -- the next attempt
	failure  TEXT NOT NULL,
	UNIQUE (account, name, month, kind, percent)
);
CREATE INDEX billing_budget_alerts_due ON billing_budget_alerts (state, due);
