// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"fmt"
	"strconv"
	"strings"
)

// The largest statement: SQLite takes 32,766 parameters, PostgreSQL 65,535.
const (
	maxChunkRows   = 1000
	maxChunkParams = 30_000
)

// placeholder stands in a query for the rows.
const placeholder = "$rows"

// Rows are the rows of a VALUES list.
type Rows struct {
	width  int
	values []any
}

// NewRows makes an empty list of rows of width columns, with room for some.
func NewRows(width, room int) *Rows {
	return &Rows{width: width, values: make([]any, 0, width*room)}
}

// Add adds a row. Columns MUST NOT be nil: PostgreSQL could not tell their type.
func (r *Rows) Add(columns ...any) {
	if len(columns) != r.width {
		panic(fmt.Sprintf("sqldb: row of %d columns where %d were announced", len(columns), r.width))
	}
	for _, c := range columns {
		r.values = append(r.values, stored(c))
	}
}

// Len returns the number of rows.
func (r *Rows) Len() int { return len(r.values) / r.width }

// chunks calls run for each statement: the query with up to 1,000 rows in place of $rows, and its arguments.
func (r *Rows) chunks(query string, fixed []any, run func(text string, args []any) error) error {
	before, after, ok := strings.Cut(query, placeholder)
	if !ok {
		panic("sqldb: query without " + placeholder)
	}
	size := min(maxChunkRows, (maxChunkParams-len(fixed))/r.width)
	var text string
	for at, built := 0, 0; at < r.Len(); {
		n := min(size, r.Len()-at)
		if n != built {
			text, built = before+valuesList(n, r.values[:r.width], len(fixed)+1)+after, n
		}
		args := append(fixed[:len(fixed):len(fixed)], r.values[at*r.width:(at+n)*r.width]...)
		if err := run(text, args); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// valuesList returns (CAST($k AS …), CAST($k+1 AS …)), ($k+2, $k+3)… from the given k. The casts of the first row tell
// PostgreSQL the type of each column, which it would take for text where the list is not an INSERT's own.
func valuesList(rows int, first []any, k int) string {
	b := make([]byte, 0, rows*len(first)*8)
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '(')
		for j := range first {
			if j > 0 {
				b = append(b, ',')
			}
			if i > 0 {
				b = append(b, '$')
				b = strconv.AppendInt(b, int64(k), 10)
			} else {
				b = fmt.Appendf(b, "CAST($%d AS %s)", k, sqlType(first[j]))
			}
			k++
		}
		b = append(b, ')')
	}
	return string(b)
}

func sqlType(v any) string {
	switch v.(type) {
	case int64:
		return "BIGINT"
	case string:
		return "TEXT"
	}
	panic(fmt.Sprintf("sqldb: a column of Rows cannot be %T", v))
}
