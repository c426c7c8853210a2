// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	conflictRuns = 10 // of a transaction that meets conflicts
	lostRuns     = 3  // of one whose connections break
	firstPause   = 2 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// commitGrace is how long a COMMIT may take beyond the transaction's own time.
const commitGrace = 10 * time.Second

// Tx is one run of a transaction. It MUST NOT be used after its function returned, nor by two goroutines.
type Tx struct {
	ctx    context.Context
	tx     *sql.Tx
	engine Engine
	sent   *atomic.Uint64 // statements
	notes  []any
}

// Note leaves a word for whoever began the transaction, who reads all of them with Notes before it commits. Each run
// begins without any.
func (tx *Tx) Note(word any) { tx.notes = append(tx.notes, word) }

// Notes returns what was left in this run, in order.
func (tx *Tx) Notes() []any { return tx.notes }

// Tx runs fn in a transaction and commits it when fn returns nil. It may run fn several times, each time after a
// rollback. Errors that fn made itself come back unchanged.
func (db *DB) Tx(ctx context.Context, fn func(tx *Tx) error) (err error) {
	ctx, span := db.cfg.Tracer.Call(ctx, "sql transaction")
	defer func() { span.End(err) }()
	return db.retry(ctx, func() error { return db.run(ctx, db.write, sql.TxOptions{}, fn) })
}

// View runs fn in a transaction that only reads, on one snapshot.
func (db *DB) View(ctx context.Context, fn func(tx *Tx) error) (err error) {
	ctx, span := db.cfg.Tracer.Call(ctx, "sql view")
	defer func() { span.End(err) }()
	opts := sql.TxOptions{ReadOnly: true}
	if db.Engine == Postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	return db.retry(ctx, func() error { return db.run(ctx, db.read, opts, fn) })
}

// retry runs a transaction until it ends in another way than by a conflict or a lost connection.
func (db *DB) retry(ctx context.Context, once func() error) error {
	pause := firstPause
	for n := 1; ; n++ {
		err := once()
		if err == nil {
			return nil
		}
		var runs int
		switch classify(ctx, err) {
		case conflict:
			runs = conflictRuns
		case lost:
			runs = lostRuns
		}
		if n >= runs {
			return explain(ctx, err)
		}
		db.cfg.Logger.Debug("transaction runs again", "run", n+1, "cause", err)
		wait := pause/2 + time.Duration(db.cfg.Jitter()*float64(pause))
		c, stop := db.cfg.Clock.NewTimer(wait)
		select {
		case <-c:
		case <-ctx.Done():
			stop()
			return explain(ctx, err)
		}
		pause = min(2*pause, longestPause)
	}
}

// run is one attempt.
func (db *DB) run(ctx context.Context, pool *sql.DB, opts sql.TxOptions, fn func(*Tx) error) (err error) {
	statements, cancel := context.WithTimeout(ctx, db.cfg.TxTimeout)
	defer cancel()
	conn, err := pool.Conn(statements)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }() // returns it to the pool; a broken one is discarded there
	// COMMIT and ROLLBACK outlive a caller that leaves: a COMMIT cut short has an unknown outcome.
	whole, end := context.WithTimeout(context.WithoutCancel(ctx), db.cfg.TxTimeout+commitGrace)
	defer end()
	db.statements.Add(2) // BEGIN, and COMMIT or ROLLBACK
	tx, err := conn.BeginTx(whole, &opts)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	open := true
	defer func() {
		if open { // fn failed or panicked
			_ = tx.Rollback() // the connection is gone where it fails, and the transaction with it
		}
	}()
	if err := fn(&Tx{ctx: statements, tx: tx, engine: db.Engine, sent: &db.statements}); err != nil {
		return err
	}
	if err := statements.Err(); err != nil {
		return err
	}
	open = false
	if opts.ReadOnly {
		// It has read what it wanted: there is nothing to lose.
		_ = tx.Rollback()
		return nil
	}
	return db.commit(tx)
}

func (db *DB) commit(tx *sql.Tx) error {
	if f := db.cfg.Faults.BeforeCommit; f != nil {
		if err := f(); err != nil {
			_ = tx.Rollback()
			return unknownCommit(err)
		}
	}
	if err := tx.Commit(); err != nil {
		if rolledBack(err) {
			return fmt.Errorf("commit: %w", err)
		}
		return unknownCommit(err)
	}
	if f := db.cfg.Faults.AfterCommit; f != nil {
		if err := f(); err != nil {
			return unknownCommit(err)
		}
	}
	return nil
}
