// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"fmt"
	"strings"
)

// Tables lists the tables of the database (on PostgreSQL: of the schema that unqualified names mean), sorted.
func (tx *Tx) Tables() (names []string, err error) {
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
	if tx.engine == Postgres {
		query = `SELECT CAST(tablename AS TEXT) COLLATE "C" FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1`
	}
	err = tx.Each(query, func(scan Scan) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	})
	return names, err
}

// SchemaVersion is how far an owner's migrations have been applied (see [DB.Migrate]); 0 where none was.
func (tx *Tx) SchemaVersion(owner string) (version int64, err error) {
	err = tx.Row("SELECT COALESCE(MAX(version_id), 0) FROM " + owner + "_version").Scan(&version)
	return version, err
}

// ReadTable reads a whole table: it tells the names of the columns once, then hands over each row, in no order. Values are int64,
// string, or nil for NULL; row MUST NOT keep the slice.
func (tx *Tx) ReadTable(table string, columns func(names []string) error, row func(values []any) error) (err error) {
	tx.sent.Add(1)
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	if err := columns(names); err != nil {
		return err
	}
	values, to := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		to[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return err
		}
		for i, v := range values {
			switch v := v.(type) {
			case int64, string, nil:
			case []byte:
				values[i] = string(v)
			default:
				return fmt.Errorf("sqldb: column %s of %s is %T where an integer or text was expected", names[i], table, v)
			}
		}
		if err := row(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Loader writes rows into a table, many at a time.
type Loader struct {
	tx    *Tx
	query string
	rows  *Rows
}

// Load begins to write into columns of a table, which MUST be names from the program or checked to be such. On PostgreSQL no value may be
// nil.
func (tx *Tx) Load(table string, columns []string) *Loader {
	return &Loader{tx: tx, query: "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + placeholder, rows: NewRows(len(columns), maxChunkRows)}
}

// Add writes a row, now or later.
func (l *Loader) Add(values []any) error {
	l.rows.Add(values...)
	if l.rows.Len() < maxChunkRows {
		return nil
	}
	return l.Flush()
}

// Flush writes the rows that wait. It MUST be called after the last one.
func (l *Loader) Flush() error {
	_, err := l.tx.ExecRows(l.query, l.rows)
	l.rows.values = l.rows.values[:0]
	return err
}
