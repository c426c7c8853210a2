// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
)

// onBoth runs a test on each engine, with a database that has all of Leat's tables and nothing in them.
func onBoth(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, database(t, sqldb.SQLite)) })
	t.Run("postgres", func(t *testing.T) { test(t, database(t, sqldb.Postgres)) })
}

func database(t *testing.T, engine sqldb.Engine) *sqldb.DB {
	t.Helper()
	cfg := sqldb.Config{SQLite: filepath.Join(t.TempDir(), "leat.db")}
	if engine == sqldb.Postgres {
		cfg = sqldb.Config{Postgres: pgtest.Database(t)}
	}
	db, err := sqldb.Open(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, Migrate(t.Context(), db))
	return db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exec(t *testing.T, db *sqldb.DB, query string, args ...any) {
	t.Helper()
	must(t, db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	}))
}

var cluster = leat.ClusterID{1, 2, 3}

// nullable are the columns that tables really leave empty.
var nullable = []string{"owner", "moving_to", "parent", "adjacent"}

// fill puts three rows into every table of a backup: the last one has NULLs where a column takes them, and text of all kinds.
func fill(t *testing.T, db *sqldb.DB) {
	t.Helper()
	exec(t, db, "INSERT INTO cluster (one, id, secret, created) VALUES (1, $1, $2, 5)", cluster, strings.Repeat("5ec7e7", 10)+"5ec7")
	exec(t, db, "UPDATE journal SET n = 42")
	single := []string{"revision", "journal", "identity", "billing_state"}
	for _, table := range tables() {
		if slices.Contains(single, table) {
			continue
		}
		texts := textColumns(t, db, table)
		must(t, db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			var columns []string
			err := tx.ReadTable(table, func(names []string) error { columns = slices.Clone(names); return nil }, func([]any) error { return nil })
			if err != nil {
				return err
			}
			for row := range 3 {
				var marks []string
				var values []any
				for i, c := range columns {
					marks = append(marks, fmt.Sprintf("$%d", len(values)+1))
					switch {
					case row == 2 && table == "shards" && slices.Contains(nullable, c):
						marks[i] = "NULL"
					case texts[c] && row == 2:
						values = append(values, fmt.Sprintf("%s-%d \"<&> \n\t\\ ü €\u2028 \U0001f980", c, row))
					case texts[c]:
						values = append(values, fmt.Sprintf("%s-%d", c, row))
					default:
						values = append(values, int64(i)<<59+int64(row)-1) // uint64s are stored as negative ones too
					}
				}
				if _, err := tx.Exec("INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES ("+strings.Join(marks, ", ")+")", values...); err != nil {
					return fmt.Errorf("%s: %w", table, err)
				}
			}
			return nil
		}))
	}
}

func textColumns(t *testing.T, db *sqldb.DB, table string) map[string]bool {
	t.Helper()
	query := "SELECT name FROM pragma_table_info('" + table + "') WHERE type = 'TEXT'"
	if db.Engine == sqldb.Postgres {
		query = "SELECT CAST(column_name AS TEXT) FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = '" + table + "' AND data_type = 'text'"
	}
	texts := map[string]bool{}
	must(t, db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.Each(query, func(scan sqldb.Scan) error {
			var c string
			err := scan(&c)
			texts[c] = true
			return err
		})
	}))
	return texts
}

// contents are the rows of tables, sorted.
func contents(t *testing.T, db *sqldb.DB, of []string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	must(t, db.View(t.Context(), func(tx *sqldb.Tx) error {
		for _, table := range of {
			var columns, rows []string
			err := tx.ReadTable(table, func(names []string) error { columns = slices.Clone(names); return nil }, func(values []any) error {
				row := map[string]any{}
				for i, v := range values {
					row[columns[i]] = v
				}
				rows = append(rows, fmt.Sprintf("%#v", row))
				return nil
			})
			if err != nil {
				return err
			}
			slices.Sort(rows)
			all[table] = rows
		}
		return nil
	}))
	return all
}

func backUp(t *testing.T, db *sqldb.DB) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := Write(t.Context(), db, &b, "v1", leat.SystemClock{})
	must(t, err)
	return b.Bytes()
}

func reopen(t *testing.T, file []byte) *Backup {
	t.Helper()
	b, err := Open(t.Context(), bytes.NewReader(file), t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	return b
}

// Every table is in a backup, or is left out for a reason.
func TestEveryTable(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		must(t, db.View(t.Context(), func(tx *sqldb.Tx) error {
			there, err := tx.Tables()
			there = slices.DeleteFunc(there, func(table string) bool { return strings.HasSuffix(table, "_version") })
			known := tables()
			for table, why := range leftOut {
				known = append(known, table)
				if why == "" {
					t.Errorf("table %s is left out for no reason", table)
				}
			}
			slices.Sort(known)
			if !slices.Equal(there, known) {
				t.Errorf("the database has\n%q\nand backups know\n%q: put a new table into history, control or leftOut", there, known)
			}
			return err
		}))
	})
}

// What was backed up comes back, to the last bit, also in the other kind of database; and the cluster's secret is not in it.
func TestThereAndBack(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		fill(t, db)
		file := backUp(t, db)
		b := reopen(t, file)
		if b.Cluster != cluster || b.Journal != 42 || b.Leat != "v1" || b.Engine != string(db.Engine) || time.Since(b.Taken) > time.Minute || b.Total() < int64(3*(len(tables())-4)) {
			t.Errorf("the header says %+v", b.Summary)
		}
		want, got := contents(t, db, tables()), contents(t, b.db, tables())
		for _, table := range tables() {
			if !slices.Equal(want[table], got[table]) {
				t.Errorf("table %s is\n%s\nand was\n%s", table, strings.Join(got[table], "\n"), strings.Join(want[table], "\n"))
			}
		}
		for _, engine := range []sqldb.Engine{sqldb.SQLite, sqldb.Postgres} {
			fresh := database(t, engine)
			must(t, Empty(t.Context(), fresh))
			must(t, fresh.Tx(t.Context(), func(tx *sqldb.Tx) error { return b.Write(t.Context(), tx) }))
			if got := contents(t, fresh, history); !reflect.DeepEqual(got, contents(t, db, history)) {
				t.Errorf("into %s: %v", engine, got)
			}
			if err := Empty(t.Context(), fresh); leat.KindOf(err) != leat.KindInUse || !strings.Contains(err.Error(), "restore into an empty one") {
				t.Errorf("a filled database: %v", err)
			}
		}
		lines, err := unframed(file)
		must(t, err)
		for _, line := range lines {
			if strings.Contains(line, "5ec7e75ec7e7") {
				t.Errorf("the cluster's secret is in the backup: %s", line)
			}
		}
	})
}

// A backup of a database in use is of one moment: what is written into a table that was not read yet is not in it.
func TestOneMoment(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		fill(t, db)
		big := strings.Repeat("to fill a frame, ", 90_000)
		exec(t, db, "INSERT INTO account_settings (account, settings) VALUES ('big', $1)", big)
		var b bytes.Buffer
		amid := false
		w := writerFunc(func(p []byte) (int, error) {
			if b.Len() == len(magic) { // the first frame: the snapshot is being read, and the entries were not yet
				amid = true
				exec(t, db, "INSERT INTO billing_entries (id, account, month, kind, amount, currency, reason, author, created) VALUES ('late', 'a', 'm', 'k', '1', 'EUR', 'r', 'a', 1)")
			}
			return b.Write(p)
		})
		_, err := Write(t.Context(), db, w, "v1", leat.SystemClock{})
		must(t, err)
		if !amid {
			t.Fatal("nothing was written while the backup was made")
		}
		if rows := contents(t, reopen(t, b.Bytes()).db, []string{"billing_entries"}); len(rows["billing_entries"]) != 3 || strings.Contains(fmt.Sprint(rows), "late") {
			t.Errorf("the backup has what came after its moment: %v", rows)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// anyKind stands for the kinds of what a database refuses.
const anyKind = leat.KindInternal

// Contents that a program cannot have written, or that a newer one has.
func TestRefused(t *testing.T) {
	db := database(t, sqldb.SQLite)
	fill(t, db)
	good, err := unframed(backUp(t, db))
	must(t, err)
	edit := func(old, now string) []string {
		t.Helper()
		lines := slices.Clone(good)
		for i := range lines {
			if strings.Contains(lines[i], old) {
				lines[i] = strings.Replace(lines[i], old, now, 1)
				return lines
			}
		}
		t.Fatalf("no line has %s", old)
		return nil
	}
	last := len(good) - 1
	table := slices.IndexFunc(good, func(line string) bool { return strings.HasPrefix(line, `{"table":"usage"`) })
	for what, c := range map[string]struct {
		lines []string
		kind  leat.Kind
		says  string
	}{
		"a newer schema":             {edit(`"billing":4`, `"billing":5`), leat.KindUnsupported, "newer leat"},
		"another owner":              {edit(`"billing":4`, `"billing":4,"oracle":1`), leat.KindUnsupported, `"oracle"`},
		"a header of a newer form":   {edit(`{"cluster"`, `{"moon":1,"cluster"`), leat.KindCorrupt, "moon"},
		"no header":                  {good[1:], leat.KindCorrupt, "damaged"},
		"nothing":                    {nil, leat.KindCorrupt, "damaged"},
		"a table of another program": {edit(`{"table":"usage"`, `{"table":"pg_authid"`), leat.KindCorrupt, "pg_authid"},
		"a column that is SQL":       {edit(`"columns":["stream","hour"`, `"columns":["stream) VALUES (1); DROP TABLE usage; --","hour"`), leat.KindCorrupt, "DROP"},
		"a column that is not there": {edit(`"columns":["stream","hour"`, `"columns":["river","hour"`), anyKind, "river"},
		"a table twice":              {append(slices.Clone(good[:last]), good[table], good[last]), leat.KindCorrupt, "twice"},
		"a row too few":              {slices.Delete(slices.Clone(good), table+1, table+2), leat.KindCorrupt, "other rows"},
		"a row twice":                {slices.Insert(slices.Clone(good), table+1, good[table+1]), anyKind, "usage"},
		"a short row":                {slices.Insert(slices.Clone(good), table+1, "[1]"), leat.KindCorrupt, "another form"},
		"a row of something else":    {slices.Insert(slices.Clone(good), table+1, `[{},1,2,3,4,5,6,7,8]`), leat.KindCorrupt, "map"},
		"no last line":               {good[:last], leat.KindCorrupt, "last line"},
		"something after the last":   {append(slices.Clone(good), good[last]), leat.KindCorrupt, "follow"},
	} {
		t.Run(what, func(t *testing.T) {
			b, err := Open(t.Context(), bytes.NewReader(framed(t, c.lines...)), t.TempDir())
			if err == nil {
				must(t, b.Close())
			}
			if err == nil || c.kind != anyKind && leat.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v (%v), want %v and %q", err, leat.KindOf(err), c.kind, c.says)
			}
		})
	}
}

// A database that no server ran with, that is none of Leat's, or that is newer, is not backed up.
func TestNothingToBackUp(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		if _, err := Write(t.Context(), db, io.Discard, "v1", leat.SystemClock{}); leat.KindOf(err) != leat.KindInvalidArgument || !strings.Contains(err.Error(), "nothing to back up") {
			t.Errorf("a new database: %v", err)
		}
		exec(t, db, "INSERT INTO cluster (one, id, secret, created) VALUES (1, $1, 'x', 5)", cluster)
		exec(t, db, "UPDATE billing_version SET version_id = 99 WHERE version_id = 3")
		if _, err := Write(t.Context(), db, io.Discard, "v1", leat.SystemClock{}); leat.KindOf(err) != leat.KindUnsupported || !strings.Contains(err.Error(), "newer leat") {
			t.Errorf("a newer database: %v", err)
		}
	})
	empty, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(t.TempDir(), "other.db")})
	must(t, err)
	if _, err := Write(t.Context(), empty, io.Discard, "v1", leat.SystemClock{}); leat.KindOf(err) != leat.KindInvalidArgument || !strings.Contains(err.Error(), "no tables of Leat") {
		t.Errorf("another program's database: %v", err)
	}
	must(t, Empty(t.Context(), empty))
	must(t, empty.Close())
}

// What the journal tells of streams and shards after the backup is in the history with the times at which it happened; and
// shards are counted as far as the backup's usage has them.
func TestReplay(t *testing.T) {
	db := database(t, sqldb.SQLite)
	exec(t, db, "INSERT INTO cluster (one, id, secret, created) VALUES (1, $1, 'x', 5)", cluster)
	exec(t, db, "UPDATE journal SET n = 7")
	old, late := leat.StreamID{1}, leat.StreamID{2}
	exec(t, db, `INSERT INTO spans (stream, kind, name, began, ended, value, account) VALUES ($1, 'shard', '0', 5, 6, '', 'a'), ($1, 'shard', '1', 5, 0, '', 'a')`, old)
	exec(t, db, `INSERT INTO shards (stream, ordinal, start_key, end_key, created, next_offset) VALUES ($1, 1, '0', 'f', 5, 30)`, old)
	b := reopen(t, backUp(t, db))
	counted, err := b.Counted(t.Context())
	must(t, err)
	if want := map[leat.ShardKey]uint64{{Stream: old}: everything, {Stream: old, Ordinal: 1}: 30}; !reflect.DeepEqual(counted, want) {
		t.Errorf("counted are %v, want %v", counted, want)
	}
	at := func(s int64) int64 { return s * 1_000_000 }
	stream := leat.Stream{ID: late, Account: leat.DevAccount, Name: "late", Mode: leat.ModeProvisioned, Status: leat.StreamActive, Retention: 24 * time.Hour, Created: time.UnixMicro(at(100)).UTC()}
	head := func(change func(*leat.Stream)) []journal.Stream {
		s := stream
		change(&s)
		return []journal.Stream{{ID: late, Head: &journal.Head{Stream: s}}}
	}
	for i, e := range []*journal.Entry{
		{At: at(100), Streams: head(func(*leat.Stream) {})},
		{At: at(200), Streams: head(func(s *leat.Stream) { s.Mode = leat.ModeOnDemand })},
		{At: at(300), Streams: []journal.Stream{{ID: late, Gone: true}}},
	} {
		e.N, e.Cluster = uint64(8+i), cluster
		must(t, b.Replay(t.Context(), e))
	}
	var got []string
	must(t, b.db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.Each("SELECT kind, began / 1000000, ended / 1000000, value FROM spans WHERE stream = $1 ORDER BY kind, began", func(scan sqldb.Scan) error {
			var kind, value string
			var began, ended int64
			err := scan(&kind, &began, &ended, &value)
			got = append(got, fmt.Sprintf("%s %d-%d %s", kind, began, ended, value))
			return err
		}, late)
	}))
	want := []string{"mode 100-200 PROVISIONED", "mode 200-300 ON_DEMAND", "retention 100-300 86400000000", "stream 100-300 "}
	if !slices.Equal(got, want) {
		t.Errorf("spans are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
