// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// readWithin bounds each transaction on the copy, which nobody else uses.
const readWithin = 24 * time.Hour

// Backup is a backup that was read whole and found to be as it was written: a database of its own.
type Backup struct {
	Summary
	db *sqldb.DB // SQLite, of the schema that this program has
}

// Open reads a backup into a database in an empty folder, as large as its contents are uncompressed, which is the caller's to remove
// after Close. KindCorrupt when it is damaged, KindUnsupported when a newer program made it.
func Open(ctx context.Context, from io.Reader, folder string) (_ *Backup, err error) {
	r, err := newFrameReader(from)
	if err != nil {
		return nil, err
	}
	b := &Backup{}
	if err := b.readHeader(r); err != nil {
		return nil, err
	}
	b.db, err = sqldb.Open(ctx, sqldb.Config{SQLite: filepath.Join(folder, "backup.db"), TxTimeout: readWithin})
	if err != nil {
		return nil, err
	}
	if err := b.fill(ctx, r); err != nil {
		return nil, errors.Join(err, b.db.Close())
	}
	return b, nil
}

// Close lets go of the database.
func (b *Backup) Close() error { return b.db.Close() }

func (b *Backup) readHeader(r *frameReader) error {
	line, err := r.line()
	if err != nil {
		return short(err)
	}
	if err := decode(line, &b.Header); err != nil {
		return err
	}
	return known(b.Schemas, "the backup has")
}

// known refuses schemas that are newer than this program.
func known(versions map[string]int64, who string) error {
	unknown := maps.Clone(versions)
	for _, s := range schemas() {
		latest, err := s.Latest()
		if err != nil {
			return err
		}
		if v := versions[s.Name]; v > latest {
			return leat.Errorf(leat.KindUnsupported, "%s version %d of the %s schema and this program knows %d: run a newer leat", who, v, s.Name, latest)
		}
		delete(unknown, s.Name)
	}
	for name := range unknown {
		return leat.Errorf(leat.KindUnsupported, "%s a schema %q, which this program does not know: run a newer leat", who, name)
	}
	return nil
}

// fill makes the tables as they were, takes the rows in, and brings the tables to this program's schema.
func (b *Backup) fill(ctx context.Context, r *frameReader) error {
	for _, s := range schemas() {
		if v := b.Schemas[s.Name]; v > 0 {
			if err := b.db.MigrateTo(ctx, s, v); err != nil {
				return err
			}
		}
	}
	if err := b.db.Tx(ctx, func(tx *sqldb.Tx) error { return b.load(tx, r) }); err != nil {
		return err
	}
	for _, s := range schemas() {
		if err := b.db.Migrate(ctx, s.Name, s.Files); err != nil {
			return err
		}
	}
	return nil
}

func (b *Backup) load(tx *sqldb.Tx, r *frameReader) error {
	// What the copy needs of a cluster is its id.
	_, err := tx.Exec("INSERT INTO cluster (one, id, secret, created) VALUES (1, $1, $2, $3)", b.Cluster, strings.Repeat("0", 64), b.Taken)
	if err != nil {
		return err
	}
	l := loading{tx: tx, rows: map[string]int64{}}
	for {
		line, err := r.line()
		if errors.Is(err, io.EOF) {
			b.Rows = l.rows
			return l.ended()
		}
		if err != nil {
			return err
		}
		if err := l.line(line); err != nil {
			return err
		}
	}
}

// loading is what was read so far.
type loading struct {
	tx      *sqldb.Tx
	table   string
	columns int
	into    *sqldb.Loader
	rows    map[string]int64
	said    *endLine
}

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (l *loading) line(line []byte) error {
	switch {
	case l.said != nil:
		return damaged("lines follow the last one")
	case line[0] == '[':
		return l.row(line)
	case bytes.HasPrefix(line, []byte(`{"table":`)):
		var t tableLine
		if err := decode(line, &t); err != nil {
			return err
		}
		return l.begin(&t)
	}
	l.said = new(endLine)
	if err := decode(line, l.said); err != nil {
		return err
	}
	return l.flush()
}

func (l *loading) begin(t *tableLine) error {
	if err := l.flush(); err != nil {
		return err
	}
	if _, again := l.rows[t.Table]; again || !slices.Contains(tables(), t.Table) {
		return damaged("it has a table %q, or has it twice", t.Table)
	}
	for _, c := range t.Columns {
		if !identifier.MatchString(c) {
			return damaged("table %s has a column %q", t.Table, c)
		}
	}
	if _, err := l.tx.Exec("DELETE FROM " + t.Table); err != nil { // rows that a new database begins with
		return err
	}
	l.table, l.columns, l.into, l.rows[t.Table] = t.Table, len(t.Columns), l.tx.Load(t.Table, t.Columns), 0
	return nil
}

func (l *loading) row(line []byte) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var values []any
	if err := d.Decode(&values); err != nil || len(values) != l.columns || l.into == nil {
		return damaged("a row of table %q has another form", l.table)
	}
	for i, v := range values {
		switch v := v.(type) {
		case string, nil:
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return damaged("a row of table %s has %s", l.table, v)
			}
			values[i] = n
		default:
			return damaged("a row of table %s has a %T", l.table, v)
		}
	}
	l.rows[l.table]++
	if err := l.into.Add(values); err != nil {
		return fmt.Errorf("table %s of the backup: %w", l.table, err)
	}
	return nil
}

func (l *loading) flush() error {
	if l.into == nil {
		return nil
	}
	if err := l.into.Flush(); err != nil {
		return fmt.Errorf("table %s of the backup: %w", l.table, err)
	}
	l.into = nil
	return nil
}

// ended checks that the last line was there and tells what was read.
func (l *loading) ended() error {
	if l.said == nil {
		return damaged("its last line is missing")
	}
	if !maps.Equal(l.said.Rows, l.rows) {
		return damaged("its last line tells of other rows than there are")
	}
	return nil
}

func decode(line []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields() // what this program does not know it would forget
	if err := d.Decode(to); err != nil {
		return damaged("a line cannot be read: %v", err)
	}
	return nil
}
