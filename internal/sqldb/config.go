// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"cmp"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/tracing"
)

// Engine is the kind of database.
type Engine string

// The engines.
const (
	Postgres Engine = "postgres"
	SQLite   Engine = "sqlite"
)

// Config says which database to open: exactly one of Postgres and SQLite.
type Config struct {
	Postgres string // connection string, as a URL or key=value pairs; it may hold a password and is never logged
	SQLite   string // path of the file, made when absent (mode 0600); its folder MUST exist

	MaxConns         int           // connections to PostgreSQL, or SQLite's readers; 0 means 16
	StatementTimeout time.Duration // of one statement; 0 means 30 s
	TxTimeout        time.Duration // of one run of a transaction; 0 means 60 s
	// IdleTimeout is how long PostgreSQL waits between two statements of a transaction before it ends the connection: a
	// node that froze in the middle of one must not hold up those who take over from it. It must leave time for an entry
	// of the journal, which is written to the bucket before the commit. 0 means 10 s.
	IdleTimeout time.Duration

	Logger *slog.Logger    // nil logs nothing
	Tracer *tracing.Tracer // nil: transactions are not followed
	Clock  leat.Clock      // nil means the machine's
	Jitter func() float64  // in [0, 1), for pauses between runs; nil means math/rand

	Faults Faults // for tests alone
}

// Faults lets a test break the link to the database where nothing real breaks it on demand. An error stands for a
// connection that was lost there.
type Faults struct {
	BeforeCommit func() error // COMMIT was sent and did not arrive: the transaction is not applied
	AfterCommit  func() error // COMMIT was applied and its answer did not arrive
}

func (c *Config) fill() error {
	if (c.Postgres == "") == (c.SQLite == "") {
		return leat.Invalid("database", "give either a PostgreSQL connection string or the path of a SQLite file")
	}
	c.MaxConns = cmp.Or(c.MaxConns, 16)
	c.StatementTimeout = cmp.Or(c.StatementTimeout, 30*time.Second)
	c.TxTimeout = cmp.Or(c.TxTimeout, time.Minute)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 10*time.Second)
	if c.MaxConns < 1 || c.StatementTimeout < time.Millisecond || c.TxTimeout < time.Millisecond || c.IdleTimeout < time.Millisecond {
		return errors.New("sqldb: MaxConns must be positive and timeouts at least 1 ms")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = leat.SystemClock{}
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	return nil
}
