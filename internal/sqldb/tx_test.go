// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

func TestTxRollsBackOnErrorAndPanic(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		exec(t, db, "CREATE TABLE a (n BIGINT PRIMARY KEY)")
		mine := errors.New("mine")
		err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			if _, err := tx.Exec("INSERT INTO a VALUES (1)"); err != nil {
				return err
			}
			return mine
		})
		if err != mine { //nolint:errorlint // unchanged, not only in the chain
			t.Errorf("error %v, want the function's own", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = db.Tx(t.Context(), func(tx *sqldb.Tx) error {
				if _, err := tx.Exec("INSERT INTO a VALUES (2)"); err != nil {
					return err
				}
				panic("broken")
			})
		}()
		if n := number(t, db, "SELECT count(*) FROM a"); n != 0 {
			t.Errorf("%d rows after rollbacks", n)
		}
	})
}

// Two transactions that take two rows in opposite order deadlock on PostgreSQL; one is run again, and both come through.
func TestTxRunsAgainAfterDeadlock(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		exec(t, db, "CREATE TABLE a (id BIGINT PRIMARY KEY, n BIGINT)", "INSERT INTO a VALUES (1, 0), (2, 0)")
		both := make(chan struct{})
		if db.Engine == sqldb.SQLite {
			close(both) // its transactions never overlap
		}
		met := make(chan struct{}, 4)
		var once sync.Once
		add := func(first, second int) error {
			return db.Tx(t.Context(), func(tx *sqldb.Tx) error {
				if _, err := tx.Exec("UPDATE a SET n = n + 1 WHERE id = $1", first); err != nil {
					return err
				}
				if met <- struct{}{}; len(met) == 2 {
					once.Do(func() {
						if db.Engine == sqldb.Postgres {
							close(both)
						}
					})
				}
				<-both
				_, err := tx.Exec("UPDATE a SET n = n + 1 WHERE id = $1", second)
				return err
			})
		}
		errs := make(chan error, 2)
		go func() { errs <- add(1, 2) }()
		go func() { errs <- add(2, 1) }()
		for range 2 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := number(t, db, "SELECT sum(n) FROM a"); n != 4 {
			t.Errorf("sum %d, want 4", n)
		}
		if db.Engine == sqldb.Postgres && len(met) != 3 {
			t.Errorf("%d runs, want 3: one of the two again", len(met))
		}
	})
}

func TestCommitWithoutAnswer(t *testing.T) {
	lost := func() error { return io.ErrUnexpectedEOF }
	for _, c := range []struct {
		name   string
		faults sqldb.Faults
		rows   int64
	}{
		{"applied", sqldb.Faults{AfterCommit: lost}, 1},
		{"not applied", sqldb.Faults{BeforeCommit: lost}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, cfg sqldb.Config) {
				exec(t, open(t, cfg), "CREATE TABLE a (n BIGINT PRIMARY KEY)")
				broken := cfg
				broken.Faults = c.faults
				runs := 0
				err := open(t, broken).Tx(t.Context(), func(tx *sqldb.Tx) error {
					runs++
					_, err := tx.Exec("INSERT INTO a VALUES (1)")
					return err
				})
				if !errors.Is(err, sqldb.ErrCommitUnknown) || leat.KindOf(err) != leat.KindUnknownOutcome || sqldb.IsUnavailable(err) {
					t.Errorf("error %v of kind %v, want an unknown outcome", err, leat.KindOf(err))
				}
				if runs != 1 {
					t.Errorf("%d runs: a transaction of unknown outcome must not run again", runs)
				}
				if n := number(t, open(t, cfg), "SELECT count(*) FROM a"); n != c.rows {
					t.Errorf("%d rows, want %d", n, c.rows)
				}
			})
		})
	}
}

// A caller that leaves while its transaction runs gets KindCanceled, and nothing is kept.
func TestCallerLeaves(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		exec(t, db, "CREATE TABLE a (n BIGINT PRIMARY KEY)")
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Tx(ctx, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec("INSERT INTO a VALUES (1)"); err != nil {
				return err
			}
			cancel()
			return nil
		})
		if leat.KindOf(err) != leat.KindCanceled || !errors.Is(err, context.Canceled) {
			t.Errorf("error %v of kind %v, want canceled", err, leat.KindOf(err))
		}
		if n := number(t, db, "SELECT count(*) FROM a"); n != 0 {
			t.Errorf("%d rows of a canceled transaction", n)
		}
	})
}

// A view keeps its snapshot while another transaction commits.
func TestViewIsOneSnapshot(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		exec(t, db, "CREATE TABLE a (n BIGINT PRIMARY KEY)", "INSERT INTO a VALUES (1)")
		err := db.View(t.Context(), func(tx *sqldb.Tx) error {
			var before, after int
			if err := tx.Row("SELECT count(*) FROM a").Scan(&before); err != nil {
				return err
			}
			exec(t, db, "INSERT INTO a VALUES (2)")
			if err := tx.Row("SELECT count(*) FROM a").Scan(&after); err != nil {
				return err
			}
			if before != 1 || after != 1 {
				t.Errorf("a view saw %d rows, then %d", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.View(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO a VALUES (3)")
			return err
		}); err == nil {
			t.Error("a view could write")
		}
	})
}
