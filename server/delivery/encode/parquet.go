// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"bytes"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/leatstream/leat/server/delivery/spec"
)

// Parquet files are written for query engines of any age: data pages of version 1 of about a mebibyte with statistics,
// strings in dictionaries while those are small, row groups of 64 MiB of JSON, snappy.
const (
	defaultGroup   = 64 << 20 // bytes of records in a row group
	pageBytes      = 1 << 20
	dictionaryMost = 1 << 20 // bytes; then the column goes on plain
	fileMost       = 1 << 30 // bytes of records that wait for their schema
	columnsMost    = spec.MaxColumns
	placesMost     = 1 << 30  // rows times columns of a file: also where there is nothing it takes time
	groupPlaces    = 16 << 20 // of a row group: all of its columns wait in buffers that know of each row
	chunkRows      = 1024
)

// rows makes a Parquet file of JSON objects. With given columns it writes row groups as they fill. Without, it keeps the
// records until the end, since a file has one schema: the columns are the members of all of its records, in the order
// in which they are first seen.
type rows struct {
	w     io.Writer
	o     spec.Parquet
	codec compress.Codec
	t     table
	file  *parquet.GenericWriter[any] // nil until there is a schema
	fixed bool
	buf   []parquet.Value
	kept  []byte // texts without their escapes, and numbers as texts, of the values in buf
}

func newParquet(o spec.Parquet) (func(io.Writer) (spec.Encoder, error), error) {
	var codec compress.Codec
	switch o.Compression {
	case spec.None:
		codec = &parquet.Uncompressed
	case spec.Snappy, "":
		codec = &parquet.Snappy
	case spec.Gzip:
		codec = &parquet.Gzip
	case spec.Zstd:
		codec = &zstd.Codec{Level: zstd.SpeedDefault, Concurrency: 1}
	default:
		return nil, fmt.Errorf("encode: Parquet has no compression %q", o.Compression)
	}
	if o.RowGroupBytes == 0 {
		o.RowGroupBytes = defaultGroup
	}
	return func(w io.Writer) (spec.Encoder, error) {
		r := &rows{w: w, o: o, codec: codec, fixed: len(o.Columns) > 0}
		r.t.init(o.Columns)
		return r, nil
	}, nil
}

func (r *rows) Add(data []byte) error {
	s, err := texts(data)
	if err != nil {
		return err
	}
	if len(r.t.arena)+len(data) > fileMost {
		return fmt.Errorf("encode: a Parquet file of more than %d bytes of records", fileMost)
	}
	mark := r.t.mark()
	base := len(r.t.arena)
	r.t.arena = append(r.t.arena, data...)
	s.b = r.t.arena[base:]
	for !s.done() {
		if err := r.row(s, base); err != nil {
			r.t.back(mark)
			return err
		}
		s.space()
	}
	full := int64(len(r.t.arena)-r.t.groupFrom) >= r.o.RowGroupBytes
	if full && !r.fixed {
		r.t.groups = append(r.t.groups, r.t.rows)
		r.t.groupFrom = len(r.t.arena)
	}
	if full && r.fixed {
		return r.flush()
	}
	return nil
}

// row reads one object into the table.
func (r *rows) row(s *scanner, base int) error {
	r.t.begin()
	err := s.object(func(data []byte, k, v value) error { return r.t.member(data, base, k, v) })
	if err != nil {
		return err
	}
	return r.t.end()
}

// flush writes the rows so far as a row group, and forgets them.
func (r *rows) flush() error {
	if err := r.open(); err != nil {
		return err
	}
	if err := r.groups(0, r.t.rows); err != nil {
		return err
	}
	r.t.forget()
	return nil
}

func (r *rows) Close() error {
	if !r.fixed {
		return r.closeInferred()
	}
	if err := r.flush(); err != nil {
		return err
	}
	return r.file.Close()
}

// closeInferred writes everything: now all columns are known.
func (r *rows) closeInferred() error {
	r.t.settle()
	if err := r.open(); err != nil {
		return err
	}
	from := 0
	for _, to := range append(r.t.groups, r.t.rows) {
		if err := r.groups(from, to); err != nil {
			return err
		}
		from = to
	}
	r.t.forget()
	return r.file.Close()
}

// open begins the file.
func (r *rows) open() error {
	if r.file != nil {
		return nil
	}
	schema := parquet.NewSchema("record", r.t.schema())
	config, err := parquet.NewWriterConfig(
		schema, parquet.Compression(r.codec), parquet.DataPageVersion(1), parquet.PageBufferSize(pageBytes),
		parquet.CreatedBy("leat", "1.0.0", "delivery"), // of the form, not of the build: bytes are the same tomorrow
		parquet.DictionaryMaxBytes(dictionaryMost), parquet.DeprecatedDataPageStatistics(true),
	)
	if err != nil {
		return err
	}
	r.file = parquet.NewGenericWriter[any](r.w, config)
	return nil
}

// groups writes rows [from, to) as one row group, or as several where they are many.
func (r *rows) groups(from, to int) error {
	most := max(1, groupPlaces/max(1, len(r.t.columns)))
	for ; from < to; from += most {
		if err := r.group(from, min(from+most, to)); err != nil {
			return err
		}
	}
	return nil
}

// group writes rows [from, to) as one row group, column by column.
func (r *rows) group(from, to int) error {
	for i, w := range r.file.ColumnWriters() {
		c := r.t.columns[i]
		cells := c.from(from)
		for at := from; at < to; at += chunkRows {
			cells = r.fill(c, i, cells, at, min(at+chunkRows, to))
			if n, err := w.WriteRowValues(r.buf); err != nil || n != len(r.buf) {
				return fmt.Errorf("encode: column %q took %d of %d values: %w", c.name, n, len(r.buf), err)
			}
		}
	}
	return r.file.Flush()
}

// fill makes values of a column's cells, and returns those of later rows.
func (r *rows) fill(c *column, index int, cells []cell, from, to int) []cell {
	r.buf, r.kept = r.buf[:0], r.kept[:0]
	defined := 0
	if c.optional {
		defined = 1
	}
	for at := from; at < to; at++ {
		var v cell
		if len(cells) > 0 && cells[0].row == uint32(at) {
			v, cells = cells[0], cells[1:]
		}
		if v.kind == cellNull {
			r.buf = append(r.buf, parquet.NullValue().Level(0, 0, index))
			continue
		}
		r.buf = append(r.buf, r.value(c, v).Level(0, defined, index))
	}
	return cells
}

// value makes one value. The table has checked that it can.
func (r *rows) value(c *column, v cell) parquet.Value {
	switch c.kind {
	case spec.TypeInt64, spec.TypeTimestamp:
		return parquet.Int64Value(int64(v.bits))
	case spec.TypeDouble:
		return parquet.DoubleValue(r.t.double(v))
	case spec.TypeBoolean:
		return parquet.BooleanValue(v.bits == 1)
	}
	raw := r.t.bytes(v)
	switch {
	case c.kind == spec.TypeString && v.kind == cellEscaped:
		from := len(r.kept)
		r.kept = appendText(r.kept, raw)
		return parquet.ByteArrayValue(r.kept[from:])
	case c.kind == spec.TypeJSON && bytes.ContainsAny(raw, " \n\r\t"):
		from := len(r.kept)
		r.kept = appendCompact(r.kept, raw)
		return parquet.ByteArrayValue(r.kept[from:])
	}
	return parquet.ByteArrayValue(raw)
}

// ordered is a group whose fields keep their order, where parquet.Group sorts them.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (o *ordered) Fields() []parquet.Field { return o.fields }

// schema is the file's, once all columns have their types.
func (t *table) schema() parquet.Node {
	o := &ordered{Group: parquet.Group{}}
	for _, c := range t.columns {
		n := node(c.kind)
		if c.optional {
			n = parquet.Optional(n)
		}
		o.Group[c.name] = n
	}
	byName := map[string]parquet.Field{}
	for _, f := range o.Group.Fields() {
		byName[f.Name()] = f
	}
	for _, c := range t.columns {
		o.fields = append(o.fields, byName[c.name])
	}
	return o
}

func node(k spec.ColumnType) parquet.Node {
	switch k {
	case spec.TypeInt64:
		return parquet.Leaf(parquet.Int64Type)
	case spec.TypeDouble:
		return parquet.Leaf(parquet.DoubleType)
	case spec.TypeBoolean:
		return parquet.Leaf(parquet.BooleanType)
	case spec.TypeTimestamp:
		return parquet.Timestamp(parquet.Microsecond)
	case spec.TypeJSON:
		return parquet.Encoded(parquet.JSON(), &parquet.Plain)
	}
	return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
}
