// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/leatstream/leat/test/e2e/rig"
)

// A node goes on, and starts again, on the schema of a release to come that has added to every table. It is refused where
// that release says that it must be.
func TestNodeOnANewerSchema(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	n := rig.Serve(t, "one", b, "--shard-limits", "off", "--pack-every", "1s")
	n.Start(t)
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	use := func(stream string) {
		t.Helper()
		must := func(args ...string) string { t.Helper(); return rig.Must(t, n.Env(), args...) }
		must("stream", "create", stream, "--shards", "2")
		must("put", stream, "a record", "--key", "k")
		must("consumer", "register", stream, "reader")
		must("stream", "tag", stream, "team=blue")
		must("stream", "split", stream, "shardId-000000000000")
		must("account", "create", stream)
		must("role", "put", stream, "--policy", policy)
		must("token", "create", stream, "--role", stream)
		must("billing", "usage")
		must("audit", "list")
		if got := must("get", stream); !strings.Contains(got, "a record") {
			t.Errorf("leat get %s: %q", stream, got)
		}
	}
	use("before")

	ctx := t.Context()
	db, err := pgx.Connect(ctx, b.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	names, err := db.Query(ctx, "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(names, pgx.RowTo[string])
	if err != nil || len(tables) < 30 {
		t.Fatalf("tables %q, %v", tables, err)
	}
	owners := 0
	for _, table := range tables {
		statement := fmt.Sprintf("ALTER TABLE %s ADD COLUMN of_the_next_release TEXT NOT NULL DEFAULT ''", pgx.Identifier{table}.Sanitize())
		if strings.HasSuffix(table, "_version") { // goose's
			statement = fmt.Sprintf("INSERT INTO %s (version_id, is_applied) VALUES (9999, true)", pgx.Identifier{table}.Sanitize())
			owners++
		}
		if _, err := db.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if owners < 5 {
		t.Errorf("%d owners of tables, want 5 or more: %q", owners, tables)
	}
	use("meanwhile")
	n.Stop(t)
	n.Start(t)
	if !strings.Contains(n.Log(), "the schema is newer than this program") {
		t.Error("the log does not say that the schema is newer")
	}
	use("after")
	n.Stop(t)
	b.Verify(t)
	b.Check(t)

	if _, err := db.Exec(ctx, "UPDATE schema_floor SET version = 9998 WHERE owner = 'delivery'"); err != nil {
		t.Fatal(err)
	}
	r := rig.Run(t, b.Env(), "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0")
	refused(t, r, 1, "the database's delivery schema has version 9999", "know version 9998 or later", "run a newer leat")
}

// takesAway finds statements of SQL after which a program that does not know of them may fail.
var takesAway = regexp.MustCompile(`(?i)\bDROP\b|\bRENAME\b|\bALTER\s+COLUMN\b|\bADD\s+CONSTRAINT\b|\bCREATE\s+UNIQUE\b|\bTRUNCATE\b`)

// addsColumn finds a column that is added, and what it is like.
var addsColumn = regexp.MustCompile(`(?i)\bADD\s+COLUMN\b([^;]*);`)

// Migrations only add, so that the release before can go on with what they leave, or they raise the floor.
func TestMigrationsOnlyAdd(t *testing.T) {
	comment := regexp.MustCompile(`--.*`)
	files := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".sql" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(b), "-- +goose Up") {
			return err
		}
		files++
		text := comment.ReplaceAllString(string(b), "")
		if regexp.MustCompile(`(?i)UPDATE\s+schema_floor\s+SET\s+version`).MatchString(text) {
			return nil
		}
		if found := takesAway.FindString(text); found != "" {
			t.Errorf("%s has %s, which takes away what the release before may need: keep it until no such program is left, and then raise schema_floor in the same file", path, found)
		}
		for _, m := range addsColumn.FindAllStringSubmatch(text, -1) {
			if up := strings.ToUpper(m[1]); strings.Contains(up, "NOT NULL") && !strings.Contains(up, "DEFAULT") {
				t.Errorf("%s: a column that is NOT NULL without a DEFAULT fails the inserts of the release before: ADD COLUMN%s", path, m[1])
			}
		}
		return nil
	})
	if err != nil || files < 15 {
		t.Errorf("%d migrations, %v", files, err)
	}
}
