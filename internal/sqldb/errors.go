// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/leatstream/leat"
)

// ErrCommitUnknown says that COMMIT was sent and that its answer did not come: the transaction may have been applied.
// Only transactions that recognise their own earlier run may be run again.
var ErrCommitUnknown = errors.New("sqldb: not known whether the transaction was committed")

// retryHint is what callers are told to wait while the database is away.
const retryHint = time.Second

// class is what an error says about the transaction in which it came up, unless that was already being committed.
type class uint8

const (
	other    class = iota
	canceled       // the caller left
	conflict       // rolled back in favour of another; run it again
	lost           // the connection broke; another may be had
	down           // the database cannot be reached, or cannot work
	corrupt
)

func classify(ctx context.Context, err error) class {
	if errors.Is(err, ErrCommitUnknown) {
		return other
	}
	c := classifyCause(err)
	if ctx.Err() != nil && (c == conflict || c == lost || c == down) {
		return canceled
	}
	return c
}

func classifyCause(err error) class {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case err == nil:
		return other
	case errors.As(err, &pg):
		return classifyPostgres(pg)
	case errors.As(err, &lite):
		return classifySQLite(lite)
	case errors.As(err, &connect), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return down
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.As(err, &network), pgconn.SafeToRetry(err):
		return lost
	}
	return other
}

// classifyPostgres reads SQLSTATE, PostgreSQL's documentation, appendix A.
func classifyPostgres(e *pgconn.PgError) class {
	switch e.Code {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return conflict
	case "57P01", "57P02", "57P05", "25P03": // shut down, crashed, idle too long
		return lost
	case "57014", "55P03", "57P03", "25006": // statement_timeout; lock_timeout; starting up or shutting down; a standby
		return down
	case "XX001", "XX002":
		return corrupt
	}
	switch {
	case strings.HasPrefix(e.Code, "08"): // connection exceptions
		return lost
	case strings.HasPrefix(e.Code, "53"): // too many connections, disk full, out of memory
		return down
	}
	return other
}

// classifySQLite reads the primary result code, the low byte (sqlite.org/rescode.html).
func classifySQLite(e *sqlite.Error) class {
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return conflict
	case sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return down
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return corrupt
	}
	return other
}

// explain turns the engine's errors into leat.Error. Others, a caller's own among them, stay as they are.
func explain(ctx context.Context, err error) error {
	switch classify(ctx, err) {
	case canceled:
		return &leat.Error{Kind: leat.KindCanceled, Message: "the caller left before the catalog answered", Err: errors.Join(ctx.Err(), err)}
	case conflict:
		return &leat.Error{Kind: leat.KindUnavailable, Message: "the catalog is busy: retry", After: retryHint, Err: err}
	case lost, down:
		return &leat.Error{Kind: leat.KindUnavailable, Message: "the catalog's database is not available now: retry", After: retryHint, Err: err}
	case corrupt:
		return &leat.Error{Kind: leat.KindCorrupt, Message: "the catalog's database is damaged", Err: err}
	}
	return err
}

// unknownCommit makes the error of a COMMIT without an answer.
func unknownCommit(cause error) error {
	return &leat.Error{Kind: leat.KindUnknownOutcome, Message: "the catalog's database did not say whether it committed", Err: errors.Join(ErrCommitUnknown, cause)}
}

// rolledBack tells whether a failed COMMIT was certainly not applied.
func rolledBack(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// Transaction rollback and integrity constraint violation, but for 40003, statement_completion_unknown. Others
		// may be sent after the commit record was written, as a shutdown is.
		return pg.Code != "40003" && (strings.HasPrefix(pg.Code, "40") || strings.HasPrefix(pg.Code, "23"))
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		// After an I/O error the log may or may not hold the commit's frame.
		code := lite.Code() & 0xff
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_CONSTRAINT
	}
	return errors.Is(err, pgx.ErrTxCommitRollback) || pgconn.SafeToRetry(err)
}

// IsUnavailable tells whether the database could not be reached or could not work: nothing was committed, and the same
// call may succeed later.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	c := classify(context.Background(), err)
	return c == lost || c == down || c == conflict || leat.KindOf(err) == leat.KindUnavailable
}
