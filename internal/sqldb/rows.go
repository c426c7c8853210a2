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
func (r *Rows) chunks(engine Engine, query string, fixed []any, run func(text string, args []any) error) error {
	if r.Len() == 0 {
		return nil
	}
	render := numbered
	if engine == SQLite {
		render = positional
	}
	size := min(maxChunkRows, (maxChunkParams-len(fixed))/r.width)
	var st statement
	for at, built := 0, 0; at < r.Len(); {
		n := min(size, r.Len()-at)
		if n != built {
			st, built = render(query, fixed, r.values[:r.width], n), n
		}
		args := make([]any, 0, len(st.before)+n*r.width+len(st.after))
		args = append(append(append(args, st.before...), r.values[at*r.width:(at+n)*r.width]...), st.after...)
		if err := run(st.text, args); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// statement is a query with the placeholders of its rows, and the arguments before and after theirs.
type statement struct {
	text          string
	before, after []any
}

func split(query string) (before, after string) {
	before, after, ok := strings.Cut(query, placeholder)
	if !ok {
		panic("sqldb: query without " + placeholder)
	}
	return before, after
}

// numbered writes the rows' placeholders as $k, after those of the fixed arguments. Those of the first row are cast, so
// that PostgreSQL knows the type of each column; where the list is not an INSERT's own it would take it for text.
func numbered(query string, fixed, first []any, rows int) statement {
	before, after := split(query)
	k := len(fixed)
	list := valuesList(rows, len(first), func(b []byte, row, column int) []byte {
		k++
		if row == 0 {
			return fmt.Appendf(b, "CAST($%d AS %s)", k, sqlType(first[column]))
		}
		return strconv.AppendInt(append(b, '$'), int64(k), 10)
	})
	return statement{text: before + list + after, before: fixed}
}

// positional writes all placeholders as ?, in the order of the arguments. SQLite looks each $k up among all earlier
// ones when it reads a statement: with thousands that takes seconds. Nor are there casts: with these its planner makes
// an index for the list instead of using the table's.
func positional(query string, fixed, first []any, rows int) statement {
	before, after := split(query)
	var st statement
	before, st.before = questionMarks(before, fixed)
	after, st.after = questionMarks(after, fixed)
	st.text = before + valuesList(rows, len(first), func(b []byte, _, _ int) []byte { return append(b, '?') }) + after
	return st
}

// questionMarks replaces each $k by ? and returns the arguments in the order of these. Queries MUST NOT have a $ in a
// literal.
func questionMarks(query string, fixed []any) (string, []any) {
	var args []any
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(query, "$")
		b.WriteString(text)
		if !found {
			return b.String(), args
		}
		n := 0
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		k, err := strconv.Atoi(rest[:n])
		if err != nil || k < 1 || k > len(fixed) {
			panic(fmt.Sprintf("sqldb: $%s has no argument", rest[:n]))
		}
		b.WriteByte('?')
		args = append(args, fixed[k-1])
		query = rest[n:]
	}
}

// valuesList returns (p, p), (p, p)…
func valuesList(rows, width int, param func(b []byte, row, column int) []byte) string {
	b := make([]byte, 0, rows*width*8)
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '(')
		for j := range width {
			if j > 0 {
				b = append(b, ',')
			}
			b = param(b, i, j)
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
