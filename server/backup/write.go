// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Header is the first line of a backup.
type Header struct {
	Cluster leat.ClusterID   `json:"cluster"`
	Journal uint64           `json:"journal"` // the entry of the bucket's journal that the newest change in it is
	Taken   time.Time        `json:"taken"`
	Leat    string           `json:"leat"`    // the version of the program
	Engine  string           `json:"engine"`  // of the database
	Schemas map[string]int64 `json:"schemas"` // the version of each owner's tables
}

// tableLine begins a table.
type tableLine struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

// endLine is the last line.
type endLine struct {
	Rows map[string]int64 `json:"rows"`
}

// Summary is what a backup holds.
type Summary struct {
	Header
	Rows map[string]int64 `json:"rows"` // of each table
}

// Total is the number of rows of all tables.
func (s *Summary) Total() (n int64) {
	for _, rows := range s.Rows {
		n += rows
	}
	return n
}

// Write writes a backup of one snapshot of the database, which may be in use and is only read. It is not run again when the
// connection is lost in the middle: KindUnavailable then.
func Write(ctx context.Context, db *sqldb.DB, to io.Writer, version string, clock leat.Clock) (s Summary, err error) {
	w, err := newFrameWriter(to)
	if err != nil {
		return s, err
	}
	runs := 0
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		if runs++; runs > 1 {
			return leat.Errorf(leat.KindUnavailable, "the connection to the database was lost: run the backup again")
		}
		s, err = write(tx, w, db.Engine, version, clock)
		return err
	})
	if err != nil {
		return s, err
	}
	return s, w.end()
}

func write(tx *sqldb.Tx, w *frameWriter, engine sqldb.Engine, version string, clock leat.Clock) (s Summary, err error) {
	there, err := tx.Tables()
	if err != nil {
		return s, err
	}
	if s.Header, err = header(tx, there); err != nil {
		return s, err
	}
	s.Engine, s.Leat, s.Taken, s.Rows = string(engine), version, clock.Now().UTC().Truncate(time.Microsecond), map[string]int64{}
	if err := writeLine(w, &s.Header); err != nil {
		return s, err
	}
	for _, table := range tables() {
		if !slices.Contains(there, table) {
			continue // of a schema that is older than the table
		}
		if s.Rows[table], err = writeTable(tx, w, table); err != nil {
			return s, fmt.Errorf("back up table %s: %w", table, err)
		}
	}
	return s, writeLine(w, &endLine{s.Rows})
}

// header reads what a database says of itself. KindUnsupported when it is newer than this program, which would not know all
// of its tables.
func header(tx *sqldb.Tx, there []string) (h Header, err error) {
	if !slices.Contains(there, "cluster") || !slices.Contains(there, "journal") {
		return h, leat.Invalid("postgres", "the database holds no tables of Leat: give the one that the servers run with")
	}
	h.Schemas = map[string]int64{}
	for _, owner := range schemas() {
		if !slices.Contains(there, owner.Name+"_version") {
			continue
		}
		if h.Schemas[owner.Name], err = tx.SchemaVersion(owner.Name); err != nil {
			return h, err
		}
	}
	if err := known(h.Schemas, "the database has"); err != nil {
		return h, err
	}
	ids := 0
	err = tx.Each("SELECT id FROM cluster WHERE one = 1", func(scan sqldb.Scan) error {
		ids++
		return scan(sqldb.ID(&h.Cluster))
	})
	if err == nil && ids == 0 {
		err = leat.Invalid("postgres", "no server has ever run with the database: there is nothing to back up")
	}
	if err != nil {
		return h, err
	}
	return h, tx.Row("SELECT n FROM journal WHERE one = 1").Scan(sqldb.U64(&h.Journal))
}

func writeTable(tx *sqldb.Tx, w *frameWriter, table string) (n int64, err error) {
	err = tx.ReadTable(table, func(columns []string) error {
		return writeLine(w, &tableLine{table, columns})
	}, func(values []any) error {
		for _, v := range values {
			if text, ok := v.(string); ok && !utf8.ValidString(text) {
				return leat.Errorf(leat.KindCorrupt, "a row has text that is not UTF-8")
			}
		}
		n++
		return writeLine(w, values)
	})
	return n, err
}

func writeLine(w *frameWriter, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return w.line(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
