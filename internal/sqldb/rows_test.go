// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb_test

import (
	"math"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Thousands of rows go in, are joined and come back, in chunks, on both engines with one text.
func TestRowsInChunks(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		exec(t, db, "CREATE TABLE a (id BIGINT PRIMARY KEY, name TEXT, n BIGINT)")
		for _, many := range []int{0, 1, 999, 1000, 1001, 2500} {
			exec(t, db, "DELETE FROM a")
			all, odd := sqldb.NewRows(3, many), sqldb.NewRows(2, many/2)
			for i := range many {
				all.Add(i, "row", 0)
				if i%2 == 1 {
					odd.Add(i, i*10)
				}
			}
			returned := 0
			err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
				returned = 0
				if n, err := tx.ExecRows("INSERT INTO a (id, name, n) VALUES $rows", all); err != nil || n != int64(many) {
					t.Errorf("inserted %d of %d: %v", n, many, err)
					return err
				}
				return tx.EachRows(`
WITH v (id, n) AS (VALUES $rows)
UPDATE a SET n = v.n + $1 FROM v WHERE a.id = v.id AND a.name = $2
RETURNING a.id`, odd, func(scan sqldb.Scan) error {
					var id int
					returned++
					return scan(&id)
				}, 7, "row")
			})
			if err != nil {
				t.Fatal(err)
			}
			if returned != many/2 {
				t.Errorf("%d of %d rows came back", returned, many/2)
			}
			if n := number(t, db, "SELECT count(*) FROM a WHERE n = id * 10 + 7"); n != int64(many/2) {
				t.Errorf("%d of %d rows changed", n, many/2)
			}
		}
	})
}

func TestRowsWidth(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a row of another width was taken")
		}
	}()
	sqldb.NewRows(2, 1).Add(1)
}

func TestValuesComeBack(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		exec(t, db, "CREATE TABLE a (u BIGINT, b BIGINT, at BIGINT, zero BIGINT, took BIGINT, id TEXT, none TEXT, k TEXT)")
		id := leat.NewID[leat.SessionID](nil)
		at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("X", 3600))
		in := []any{uint64(math.MaxUint64), true, at, time.Time{}, 36 * time.Hour, id, leat.HashKey{Hi: 1 << 63, Lo: 5}}
		rows := sqldb.NewRows(7, 1)
		rows.Add(in...)
		err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			if _, err := tx.Exec("INSERT INTO a (u, b, at, zero, took, id, k) VALUES ($1, $2, $3, $4, $5, $6, $7)", in...); err != nil {
				return err
			}
			_, err := tx.ExecRows("INSERT INTO a (u, b, at, zero, took, id, k) VALUES $rows", rows)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.Each("SELECT u, b, at, zero, took, id, none, k FROM a", func(scan sqldb.Scan) error {
				n++
				var u uint64
				var b bool
				var when, zero time.Time
				var took time.Duration
				var got, none leat.SessionID
				var k leat.HashKey
				none[0] = 1
				if err := scan(sqldb.U64(&u), sqldb.Bool(&b), sqldb.Time(&when), sqldb.Time(&zero), sqldb.Duration(&took), sqldb.ID(&got), sqldb.ID(&none), sqldb.HashKey(&k)); err != nil {
					return err
				}
				if u != math.MaxUint64 || !b || !when.Equal(at) || !zero.IsZero() || took != 36*time.Hour || got != id || !none.IsZero() || k != (leat.HashKey{Hi: 1 << 63, Lo: 5}) {
					t.Errorf("came back as %v %v %v %v %v %v %v %v", u, b, when, zero, took, got, none, k)
				}
				return nil
			})
		})
		if err != nil || n != 2 {
			t.Fatalf("%d rows: %v", n, err)
		}
	})
}
