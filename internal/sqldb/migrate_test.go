// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

func migrations(statements ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i, s := range statements {
		files[fmt.Sprintf("%05d_step.sql", i+1)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + s + ";\n")}
	}
	return files
}

var (
	first  = `CREATE TABLE a (name TEXT COLLATE "binary" PRIMARY KEY)`
	second = "INSERT INTO a VALUES ('b'), ('B'), ('a-b'), ('ab')"
)

func TestMigrate(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		for _, files := range []fstest.MapFS{migrations(first), migrations(first, second), migrations(first, second)} {
			if err := db.Migrate(t.Context(), "test", files); err != nil {
				t.Fatal(err)
			}
		}
		var names []string
		err := db.View(t.Context(), func(tx *sqldb.Tx) error {
			names = nil
			return tx.Each("SELECT name FROM a ORDER BY name", func(scan sqldb.Scan) error {
				var s string
				err := scan(&s)
				names = append(names, s)
				return err
			})
		})
		if got := strings.Join(names, " "); err != nil || got != "B a-b ab b" {
			t.Errorf("sorted %q, want byte order: %v", got, err)
		}

		if err := db.Migrate(t.Context(), "others", migrations("CREATE TABLE b (n BIGINT)")); err != nil {
			t.Errorf("another owner's migrations: %v", err)
		}
	})
}

// A program that is older than the database uses it, as long as the database's newest migrations let it.
func TestMigrateOfAnOlderProgram(t *testing.T) {
	const third = "UPDATE schema_floor SET version = 2 WHERE owner = 'test'"
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		migrate := func(statements ...string) error { return db.Migrate(t.Context(), "test", migrations(statements...)) }
		if err := migrate(first, second); err != nil {
			t.Fatal(err)
		}
		if err := migrate(first); err != nil {
			t.Errorf("what the newer one only added to: %v", err)
		}
		if n := number(t, db, "SELECT count(*) FROM a"); n != 4 {
			t.Errorf("%d rows, want 4: the older program changed the schema", n)
		}
		if err := migrate(first, second, third); err != nil {
			t.Fatal(err)
		}
		if err := migrate(first, second); err != nil {
			t.Errorf("the oldest that may: %v", err)
		}
		err := migrate(first)
		if leat.KindOf(err) != leat.KindUnsupported || !strings.Contains(err.Error(), "has version 3, which programs that know version 2 or later can use, and this one knows 1: run a newer leat") {
			t.Errorf("one that is too old: %v", err)
		}
		if err := db.Migrate(t.Context(), "others", migrations("CREATE TABLE b (n BIGINT)")); err != nil {
			t.Errorf("another owner's floor: %v", err)
		}
	})
}

func TestMigrateFailsWhole(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		bad := first + ";\nINSERT INTO nowhere VALUES (1)"
		if err := db.Migrate(t.Context(), "test", migrations(bad)); err == nil {
			t.Fatal("a broken migration succeeded")
		}
		if err := db.Migrate(t.Context(), "test", migrations(first, second)); err != nil {
			t.Fatalf("the broken migration left something: %v", err)
		}
	})
}

// Nodes that start at once apply each migration once.
func TestMigrateConcurrently(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		const nodes = 8
		start, errs := make(chan struct{}), make(chan error, nodes)
		for range nodes {
			db := open(t, cfg)
			go func() {
				<-start
				errs <- db.Migrate(t.Context(), "test", migrations(first, second, "CREATE TABLE c (n BIGINT)"))
			}()
		}
		close(start)
		for range nodes {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := number(t, open(t, cfg), "SELECT count(*) FROM a"); n != 4 {
			t.Errorf("%d rows, want 4", n)
		}
	})
}

// A schema can be made as an older program left it, and brought up later.
func TestMigrateTo(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg sqldb.Config) {
		db := open(t, cfg)
		s := sqldb.Schema{Name: "test", Files: migrations(first, second, "ALTER TABLE a ADD COLUMN n BIGINT NOT NULL DEFAULT 7")}
		if latest, err := s.Latest(); err != nil || latest != 3 {
			t.Errorf("the latest version is %d: %v", latest, err)
		}
		if err := db.MigrateTo(t.Context(), s, 4); leat.KindOf(err) != leat.KindUnsupported || !strings.Contains(err.Error(), "newer leat") {
			t.Errorf("a version that nobody knows: %v", err)
		}
		if err := db.MigrateTo(t.Context(), s, 1); err != nil {
			t.Fatal(err)
		}
		if n := number(t, db, "SELECT count(*) FROM a"); n != 0 {
			t.Errorf("version 1 has %d rows", n)
		}
		var version int64
		if err := db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
			version, err = tx.SchemaVersion("test")
			return err
		}); err != nil || version != 1 {
			t.Errorf("the database says version %d: %v", version, err)
		}
		exec(t, db, "INSERT INTO a VALUES ('old')")
		if err := db.Migrate(t.Context(), s.Name, s.Files); err != nil {
			t.Fatal(err)
		}
		if n := number(t, db, "SELECT SUM(n) FROM a"); n != 5*7 {
			t.Errorf("the columns of the new version sum up to %d", n)
		}
	})
}
