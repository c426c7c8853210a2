// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/server/delivery/spec"
)

// What lines of CSV take at most, before compression: of two bytes, {}, becomes a line with a separator for each column.
const (
	csvRecordMost = 64 << 20
	csvObjectMost = 512 << 20
)

// csvLines writes JSON objects as lines of CSV (RFC 4180, but lines end in a line feed). Members that are no column are
// left out; one that is missing or null is an empty field; objects and arrays are written as JSON.
type csvLines struct {
	w         io.Writer
	columns   map[string]int
	fields    []value
	special   string
	separator string
	line      []byte
	written   int
	name      []byte
	text      []byte
}

func newCSV(w io.Writer, o *spec.CSV) (*csvLines, error) {
	c := &csvLines{w: w, columns: map[string]int{}, fields: make([]value, len(o.Columns)), separator: o.Separator}
	if c.separator == "" {
		c.separator = ","
	}
	c.special = "\"\n\r" + c.separator
	for i, name := range o.Columns {
		c.columns[name] = i
	}
	if !o.Header {
		return c, nil
	}
	for i, name := range o.Columns {
		if i > 0 {
			c.line = append(c.line, c.separator...)
		}
		c.line = c.quote(c.line, []byte(name))
	}
	_, err := w.Write(append(c.line, '\n'))
	return c, err
}

func (c *csvLines) Add(data []byte) error {
	s, err := texts(data)
	if err != nil {
		return err
	}
	c.line = c.line[:0]
	for !s.done() {
		clear(c.fields)
		if err := s.object(c.member); err != nil {
			return err
		}
		for i, f := range c.fields {
			if i > 0 {
				c.line = append(c.line, c.separator...)
			}
			c.line = c.field(c.line, data, f)
		}
		c.line = append(c.line, '\n')
		if len(c.line) > csvRecordMost || c.written+len(c.line) > csvObjectMost {
			return unfit("with the record's lines there would be more than %d MiB of it, or %d MiB in the object", csvRecordMost>>20, csvObjectMost>>20)
		}
		s.space()
	}
	c.written += len(c.line)
	_, err = c.w.Write(c.line)
	return err
}

func (c *csvLines) Close() error { return nil }

func (c *csvLines) member(data []byte, k, v value) error {
	name := data[k.from:k.to]
	if k.escaped {
		c.name = appendText(c.name[:0], name)
		name = c.name
	}
	if i, ok := c.columns[string(name)]; ok {
		c.fields[i] = v
	}
	return nil
}

func (c *csvLines) field(b, data []byte, v value) []byte {
	raw := data[v.from:v.to]
	switch {
	case v.shape == absent:
		return b
	case v.shape == text && v.escaped:
		c.text = appendText(c.text[:0], raw)
		return c.quote(b, c.text)
	case v.shape == composite:
		c.text = appendCompact(c.text[:0], raw)
		return c.quote(b, c.text)
	case v.shape == text && len(raw) == 0:
		return append(b, `""`...) // an empty text is not null
	}
	return c.quote(b, raw)
}

// quote appends a field, in quotes where it needs them.
func (c *csvLines) quote(b, field []byte) []byte {
	if !bytes.ContainsAny(field, c.special) && !edgeSpace(field) {
		return append(b, field...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(string(field), `"`, `""`)...)
	return append(b, '"')
}

// edgeSpace tells whether a reader might trim the field.
func edgeSpace(f []byte) bool {
	if len(f) == 0 {
		return false
	}
	last, _ := utf8.DecodeLastRune(f)
	return f[0] == ' ' || f[0] == '\t' || last == ' ' || last == '\t'
}

// object reads an object and tells of its members.
func (s *scanner) object(member func(data []byte, k, v value) error) error {
	if s.b[s.i] != '{' {
		return &spec.Unfit{Code: malformed, Message: "the record is not a JSON object"}
	}
	for more := s.first(true); more; {
		k, err := s.key()
		if err != nil {
			return unparsed(err)
		}
		v, err := s.value(1)
		if err != nil {
			return unparsed(err)
		}
		if err := member(s.b, k, v); err != nil {
			return err
		}
		if more, err = s.more(true); err != nil {
			return unparsed(err)
		}
	}
	return nil
}
