// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/leatstream/leat/internal/sqldb"
)

// A table that is read row by row and loaded again is the same.
func TestReadAndLoadTables(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		exec(t, db, "CREATE TABLE source (n BIGINT NOT NULL, word TEXT)", "CREATE TABLE target (n BIGINT NOT NULL, word TEXT)")
		const rows = 2500 // more than two statements
		err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			if names, err := tx.Tables(); err != nil || !slices.Equal(names, []string{"source", "target"}) {
				t.Errorf("the tables are %q: %v", names, err)
			}
			into := tx.Load("source", []string{"n", "word"})
			for i := range int64(rows) {
				if err := into.Add([]any{math.MinInt64 + i, fmt.Sprintf("ü%d", i)}); err != nil {
					return err
				}
			}
			return into.Flush()
		})
		if err != nil {
			t.Fatal(err)
		}
		exec(t, db, "INSERT INTO source VALUES (1, NULL)")
		nulls := 0
		err = db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			var all [][]any
			err := tx.ReadTable("source", func(names []string) error {
				if !slices.Equal(names, []string{"n", "word"}) {
					t.Errorf("the columns are %q", names)
				}
				return nil
			}, func(values []any) error {
				if values[1] == nil {
					nulls++
					return nil
				}
				all = append(all, slices.Clone(values))
				return nil
			})
			if err != nil {
				return err
			}
			into := tx.Load("target", []string{"n", "word"})
			for _, row := range all {
				if err := into.Add(row); err != nil {
					return err
				}
			}
			return into.Flush()
		})
		if err != nil {
			t.Fatal(err)
		}
		same := number(t, db, "SELECT count(*) FROM source s JOIN target t ON s.n = t.n AND s.word = t.word")
		if same != rows || nulls != 1 {
			t.Errorf("%d rows came back as they were, and %d without a word; want %d and 1", same, nulls, rows)
		}
	})
}
