// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/leatstream/leat/server/delivery/spec"
)

// table holds rows by column until they are written. Texts stay where the records hold them.
type table struct {
	arena     []byte // the records
	groupFrom int    // where in the arena the present row group begins
	groups    []int  // the rows at which row groups end, but for the last
	rows      int
	written   int // rows that are forgotten
	columns   []*column
	byName    map[string]*column
	fixed     bool

	next    int      // the column that the next member is guessed to be of: records mostly look alike
	pending []placed // of the row that is being read
	name    []byte
}

// column is one column of the table. Rows that it has no cell for are null: a record of a few bytes may have many rows, and
// a later one many columns.
type column struct {
	index    int
	name     string
	kind     spec.ColumnType // of inferred ones once they are settled
	optional bool
	cells    []cell          // in order of rows
	seen     [cellKinds]bool // what is in it
	wide     bool            // it holds an integer that a double cannot
}

// cell is one value: for texts, JSON and numbers with fractions the place in the arena and the length, otherwise what it
// is.
type cell struct {
	bits uint64
	row  uint32 // of the table, whose size fileMost bounds
	kind cellKind
}

type cellKind uint8

const (
	cellNull cellKind = iota
	cellBoolean
	cellInteger
	cellNumber  // its text; in given columns its bits
	cellHuge    // the text of a number that neither an integer nor a double can hold
	cellText    // without quotes
	cellEscaped // likewise, with escapes
	cellJSON
	cellKinds
)

// placed is a cell on its way to a column.
type placed struct {
	c *column
	v cell
	q value // where the value is, for JSON
}

// span packs a place in the arena, whose size fileMost bounds.
func span(from, to int) uint64 { return uint64(from)<<32 | uint64(to-from) }

func (t *table) bytes(v cell) []byte {
	from := v.bits >> 32
	return t.arena[from : from+v.bits&math.MaxUint32]
}

func (t *table) init(columns []spec.Column) {
	t.byName, t.fixed = map[string]*column{}, len(columns) > 0
	for _, c := range columns {
		t.add(c.Name, c.Type, c.Optional)
	}
}

func (t *table) add(name string, kind spec.ColumnType, optional bool) *column {
	c := &column{index: len(t.columns), name: name, kind: kind, optional: optional}
	t.columns = append(t.columns, c)
	t.byName[name] = c
	return c
}

// begin begins a row.
func (t *table) begin() { t.next, t.pending = 0, t.pending[:0] }

// member takes a member of the row's object. Its places are relative to base, where the record is in the arena.
func (t *table) member(data []byte, base int, k, v value) error {
	name := data[k.from:k.to]
	if k.escaped {
		t.name = appendText(t.name[:0], name)
		name = t.name
	}
	c, err := t.column(name)
	if c == nil || err != nil {
		return err
	}
	p := placed{c: c, q: value{from: base + v.from, to: base + v.to, shape: v.shape, escaped: v.escaped}}
	if t.fixed {
		if p.v, err = t.convert(c, p.q); err != nil {
			return err
		}
	} else {
		p.v = t.infer(c, p.q)
	}
	t.pending = append(t.pending, p)
	return nil
}

// column finds the column of a name; in a table without given columns it makes one.
func (t *table) column(name []byte) (*column, error) {
	if t.next < len(t.columns) && t.columns[t.next].name == string(name) {
		t.next++
		return t.columns[t.next-1], nil
	}
	c := t.byName[string(name)]
	switch {
	case c != nil:
		t.next = c.index + 1
	case t.fixed:
	case len(t.columns) == columnsMost:
		return nil, unfit("the record's member %.80q would be column %d; an object may have %d", name, columnsMost+1, columnsMost)
	case len(name) == 0:
		return nil, unfit("a member with an empty name makes no column")
	default:
		c = t.add(string(name), "", true)
		t.next = len(t.columns)
	}
	return c, nil
}

// end takes the row in. A member that came twice counts as it came last.
func (t *table) end() error {
	if len(t.columns) == 0 {
		return unfit("the first record has no members, so that there are no columns")
	}
	if int64(t.written+t.rows+1)*int64(len(t.columns)) > placesMost {
		return unfit("with the record's %d columns the object would have more than %d rows times columns", len(t.columns), placesMost)
	}
	for _, p := range t.pending {
		p.c.set(t.rows, p.v)
	}
	if t.fixed {
		for _, c := range t.columns {
			if !c.optional && !c.has(t.rows) {
				return unfit("column %q must have a value and is missing or null", c.name)
			}
		}
	}
	t.rows++
	return nil
}

// set keeps the cell of the last row.
func (c *column) set(row int, v cell) {
	v.row = uint32(row)
	if n := len(c.cells); n > 0 && c.cells[n-1].row == v.row {
		c.cells[n-1] = v
	} else if v.kind != cellNull {
		c.cells = append(c.cells, v)
	}
}

// has tells whether the last row has a value.
func (c *column) has(row int) bool {
	n := len(c.cells)
	return n > 0 && c.cells[n-1].row == uint32(row) && c.cells[n-1].kind != cellNull
}

// from returns the cells of a row and of those after it.
func (c *column) from(row int) []cell {
	at, _ := slices.BinarySearchFunc(c.cells, uint32(row), func(v cell, row uint32) int { return cmp.Compare(v.row, row) })
	return c.cells[at:]
}

// mark is what is needed to take a record back.
type mark struct{ arena, rows, columns int }

func (t *table) mark() mark { return mark{len(t.arena), t.rows, len(t.columns)} }

func (t *table) back(m mark) {
	for _, c := range t.columns[m.columns:] {
		delete(t.byName, c.name)
	}
	t.arena, t.rows, t.columns = t.arena[:m.arena], m.rows, t.columns[:m.columns]
	for _, c := range t.columns {
		c.cells = c.cells[:len(c.cells)-len(c.from(m.rows))]
	}
}

// forget drops the rows and keeps the columns.
func (t *table) forget() {
	t.written += t.rows
	t.arena, t.rows, t.groupFrom, t.groups = t.arena[:0], 0, 0, t.groups[:0]
	for _, c := range t.columns {
		c.cells = c.cells[:0]
	}
}

func unfit(format string, args ...any) error {
	return &spec.Unfit{Code: malformed, Message: fmt.Sprintf(format, args...)}
}

// view is a string of bytes that do not change while it is used.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// integerOf reads an integer. One that begins with -0 is no integer: its sign would be lost.
func integerOf(raw []byte) (int64, bool) {
	if len(raw) == 2 && raw[0] == '-' && raw[1] == '0' {
		return 0, false
	}
	n, err := strconv.ParseInt(view(raw), 10, 64)
	return n, err == nil
}

func doubleOf(raw []byte) (float64, bool) {
	f, err := strconv.ParseFloat(view(raw), 64)
	return f, err == nil
}

// exact is up to where every integer is a double.
const exact = 1 << 53

// infer makes a cell of whatever value there is.
func (t *table) infer(c *column, v value) cell {
	raw, at := t.arena[v.from:v.to], span(v.from, v.to)
	switch v.shape {
	case boolean:
		return truth(raw)
	case integer:
		if n, ok := integerOf(raw); ok {
			return cell{bits: uint64(n), kind: cellInteger}
		}
		if string(raw) == "-0" {
			return cell{bits: at, kind: cellNumber}
		}
		return cell{bits: at, kind: cellHuge}
	case number:
		if _, ok := doubleOf(raw); !ok {
			return cell{bits: at, kind: cellHuge}
		}
		return cell{bits: at, kind: cellNumber}
	case text:
		if v.escaped {
			return cell{bits: at, kind: cellEscaped}
		}
		return cell{bits: at, kind: cellText}
	case composite:
		return cell{bits: at, kind: cellJSON}
	}
	return cell{}
}

func truth(raw []byte) cell {
	if raw[0] == 't' {
		return cell{bits: 1, kind: cellBoolean}
	}
	return cell{bits: 0, kind: cellBoolean}
}

// convert makes a cell of a value for a given column, or says why there is none.
func (t *table) convert(c *column, v value) (cell, error) {
	raw, at := t.arena[v.from:v.to], span(v.from, v.to)
	if v.shape == absent {
		return cell{}, nil
	}
	switch c.kind {
	case spec.TypeJSON:
		if v.shape == text {
			at = span(v.from-1, v.to+1) // with its quotes
		}
		return cell{bits: at, kind: cellJSON}, nil
	case spec.TypeString:
		switch {
		case v.shape == composite:
		case v.escaped:
			return cell{bits: at, kind: cellEscaped}, nil
		default:
			return cell{bits: at, kind: cellText}, nil
		}
	case spec.TypeBoolean:
		if v.shape == boolean {
			return truth(raw), nil
		}
	case spec.TypeInt64:
		if n, ok := integerOf(raw); ok && v.shape == integer {
			return cell{bits: uint64(n), kind: cellInteger}, nil
		}
	case spec.TypeDouble:
		if f, ok := doubleOf(raw); ok && (v.shape == integer || v.shape == number) {
			return cell{bits: math.Float64bits(f), kind: cellNumber}, nil
		}
	case spec.TypeTimestamp:
		if n, ok := timeOf(raw, v); ok {
			return cell{bits: uint64(n), kind: cellInteger}, nil
		}
	}
	return cell{}, unfit("column %q is of type %s, which %.80s is not", c.name, c.kind, raw)
}

// timeOf reads RFC 3339, or microseconds since 1970.
func timeOf(raw []byte, v value) (int64, bool) {
	switch {
	case v.shape == integer:
		return integerOf(raw)
	case v.shape == text && !v.escaped:
		at, err := time.Parse(time.RFC3339Nano, view(raw))
		return at.UnixMicro(), err == nil
	}
	return 0, false
}

// double is the value of a cell in a column of doubles.
func (t *table) double(v cell) float64 {
	switch {
	case v.kind == cellInteger:
		return float64(int64(v.bits))
	case t.fixed:
		return math.Float64frombits(v.bits)
	}
	f, _ := doubleOf(t.bytes(v)) // it was tried
	return f
}

// settle gives inferred columns the narrowest type that loses nothing; what has no common one is kept as JSON.
func (t *table) settle() {
	for _, c := range t.columns {
		for _, v := range c.cells {
			c.seen[v.kind] = true
			n := int64(v.bits)
			c.wide = c.wide || v.kind == cellInteger && (n > exact || n < -exact)
		}
		c.kind = c.narrowest()
		if c.kind == spec.TypeJSON {
			t.jsonAgain(c)
		}
	}
}

func (c *column) narrowest() spec.ColumnType {
	only := func(kinds ...cellKind) bool {
		seen := c.seen
		seen[cellNull] = false
		for _, k := range kinds {
			seen[k] = false
		}
		return seen == [cellKinds]bool{}
	}
	switch {
	case only(cellText, cellEscaped): // also what was null throughout
		return spec.TypeString
	case only(cellBoolean):
		return spec.TypeBoolean
	case only(cellInteger):
		return spec.TypeInt64
	case only(cellNumber), only(cellInteger, cellNumber) && !c.wide:
		return spec.TypeDouble
	}
	return spec.TypeJSON
}

// jsonAgain makes the cells of a column of JSON of those that were something else.
func (t *table) jsonAgain(c *column) {
	for i := range c.cells {
		v := &c.cells[i]
		switch v.kind {
		case cellText, cellEscaped: // with its quotes
			from := int(v.bits >> 32)
			v.bits, v.kind = span(from-1, from+int(v.bits&math.MaxUint32)+1), cellJSON
		case cellInteger:
			v.bits, v.kind = t.keep(strconv.AppendInt(nil, int64(v.bits), 10)), cellJSON
		case cellBoolean:
			v.bits, v.kind = t.keep(strconv.AppendBool(nil, v.bits == 1)), cellJSON
		}
	}
}

// keep puts text at the arena's end.
func (t *table) keep(b []byte) uint64 {
	from := len(t.arena)
	t.arena = append(t.arena, b...)
	return span(from, len(t.arena))
}
