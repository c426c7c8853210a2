// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"
)

// The fast reader of puts in CBOR, as fast_json.go is for JSON. It reads maps and lists of known or unknown length and
// strings of known length; data and keys view the body. Everything else is left to cborWire.decode; FuzzPutCBOR holds
// the two against each other.

// fastPuts reads a PutRecords; false leaves it to the general decoder.
func (cborWire) fastPuts(body []byte, m *putMemory) bool {
	c := cborCursor{b: body, m: m}
	return c.each(cborMap, func() bool {
		name, ok := c.bytes(cborText)
		if !ok {
			return false
		}
		switch string(name) {
		case "Records":
			return m.in.Records == nil && c.records()
		case "StreamName":
			return c.text(&m.in.StreamName)
		case "StreamARN":
			return c.text(&m.in.StreamARN)
		}
		return false
	}) && c.i == len(body)
}

// fastPut reads a PutRecord likewise.
func (cborWire) fastPut(body []byte, m *putMemory) bool {
	c := cborCursor{b: body, m: m}
	return c.each(cborMap, func() bool {
		name, ok := c.bytes(cborText)
		if !ok {
			return false
		}
		switch string(name) {
		case "Data":
			return c.blob(&m.one.Data)
		case "PartitionKey":
			return c.text(&m.one.PartitionKey)
		case "ExplicitHashKey":
			return c.text(&m.one.ExplicitHashKey)
		case "SequenceNumberForOrdering":
			return c.text(&m.one.SequenceNumberForOrdering)
		case "StreamName":
			return c.text(&m.one.StreamName)
		case "StreamARN":
			return c.text(&m.one.StreamARN)
		}
		return false
	}) && c.i == len(body)
}

// Major types of CBOR (RFC 8949, section 3.1), and the byte that ends what has no known length.
const (
	cborInt      = 0
	cborNegative = 1
	cborBytes    = 2
	cborText     = 3
	cborList     = 4
	cborMap      = 5
	cborTag      = 6
	cborBreak    = 0xff
)

// cborCursor stands in a body, before what was not read yet.
type cborCursor struct {
	b []byte
	i int
	m *putMemory
}

// head reads the head of an item of a major type: its length, or open when that is not known.
func (c *cborCursor) head(major byte) (n uint64, open, ok bool) {
	if c.i >= len(c.b) || c.b[c.i]>>5 != major {
		return 0, false, false
	}
	info := c.b[c.i] & 31
	c.i++
	if info < 24 {
		return uint64(info), false, true
	}
	if info == 31 {
		return 0, true, true
	}
	width := 1 << (info - 24)
	if info > 27 || len(c.b)-c.i < width {
		return 0, false, false
	}
	rest := c.b[c.i:]
	c.i += width
	switch width {
	case 1:
		n = uint64(rest[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(rest))
	case 4:
		n = uint64(binary.BigEndian.Uint32(rest))
	default:
		n = binary.BigEndian.Uint64(rest)
	}
	return n, false, true
}

// each reads a list or map and calls f for each of its members.
func (c *cborCursor) each(major byte, f func() bool) bool {
	n, open, ok := c.head(major)
	if !ok {
		return false
	}
	for i := uint64(0); open || i < n; i++ {
		if open && c.i < len(c.b) && c.b[c.i] == cborBreak {
			c.i++
			return true
		}
		if !f() {
			return false
		}
	}
	return true
}

// bytes reads a string of known length.
func (c *cborCursor) bytes(major byte) ([]byte, bool) {
	n, open, ok := c.head(major)
	if !ok || open || n > uint64(len(c.b)-c.i) {
		return nil, false
	}
	from := c.i
	c.i += int(n)
	return c.b[from:c.i:c.i], true
}

func (c *cborCursor) text(to **string) bool {
	raw, ok := c.bytes(cborText)
	if !ok || *to != nil || !utf8.Valid(raw) {
		return false
	}
	*to = c.m.text(unsafe.String(unsafe.SliceData(raw), len(raw)))
	return *to != nil
}

func (c *cborCursor) blob(to *[]byte) bool {
	raw, ok := c.bytes(cborBytes)
	if !ok || *to != nil {
		return false
	}
	*to = raw
	return true
}

func (c *cborCursor) records() bool {
	c.m.in.Records = c.m.entries[:0]
	ok := c.each(cborList, func() bool {
		e := c.m.entry()
		return e != nil && c.record(e)
	})
	c.m.in.Records = c.m.entries
	return ok
}

func (c *cborCursor) record(e *putEntry) bool {
	return c.each(cborMap, func() bool {
		name, ok := c.bytes(cborText)
		if !ok {
			return false
		}
		switch string(name) {
		case "Data":
			return c.blob(&e.Data)
		case "PartitionKey":
			return c.text(&e.PartitionKey)
		case "ExplicitHashKey":
			return c.text(&e.ExplicitHashKey)
		}
		return false
	})
}
