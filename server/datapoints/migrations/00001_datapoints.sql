-- What streams and delivery streams did in each minute, as each node saw it. Owner "datapoints".

-- +goose Up

CREATE TABLE datapoints (
	account  TEXT COLLATE "binary" NOT NULL,
	space    BIGINT NOT NULL,                -- 1: streams, 2: delivery streams
	name     TEXT COLLATE "binary" NOT NULL,
	shard    TEXT COLLATE "binary" NOT NULL, -- empty: the whole stream
	consumer TEXT COLLATE "binary" NOT NULL, -- empty: all readers
	minute   BIGINT NOT NULL,                -- since 1970
	writer   TEXT COLLATE "binary" NOT NULL, -- one life of a node
	metrics  BIGINT NOT NULL,                -- a bit for each number of a metric
	stats    TEXT NOT NULL,                  -- JSON: {"number": [count, sum, least, most]}
	PRIMARY KEY (account, space, name, minute, shard, consumer, writer)
);
CREATE INDEX datapoints_minute ON datapoints (minute);
