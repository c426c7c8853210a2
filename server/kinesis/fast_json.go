// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// The fast reader of puts in JSON. It reads the form that SDKs send, in any order of members and with escapes where they
// help, straight into a putMemory: no allocation for a record, one pass over the body. Whatever it is not sure of (a
// null, a member it does not know or that comes twice, a wrong type, anything malformed) it leaves to jsonWire.decode,
// which reads the same body again and has the last word on it. FuzzPutJSON holds the two against each other.

// fastPuts reads a PutRecords; false leaves it to the general decoder.
func (w jsonWire) fastPuts(body []byte, m *putMemory) bool {
	m.room(len(body))
	c := jsonCursor{b: body, m: m}
	return c.object(func(name []byte) bool {
		switch string(name) {
		case "Records":
			return m.in.Records == nil && c.records()
		case "StreamName":
			return c.text(&m.in.StreamName)
		case "StreamARN":
			return c.text(&m.in.StreamARN)
		}
		return false
	}) && c.over()
}

// fastPut reads a PutRecord likewise.
func (w jsonWire) fastPut(body []byte, m *putMemory) bool {
	m.room(len(body))
	c := jsonCursor{b: body, m: m}
	return c.object(func(name []byte) bool {
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
	}) && c.over()
}

// jsonCursor stands in a body, before what was not read yet. Each method returns false when it did not find what it
// reads; then the cursor is of no more use.
type jsonCursor struct {
	b []byte
	i int
	m *putMemory
}

func (c *jsonCursor) space() {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

// sign reads one character of structure and the space around it.
func (c *jsonCursor) sign(s byte) bool {
	c.space()
	if c.i >= len(c.b) || c.b[c.i] != s {
		return false
	}
	c.i++
	return true
}

func (c *jsonCursor) over() bool {
	c.space()
	return c.i == len(c.b)
}

// object calls f before each member's value.
func (c *jsonCursor) object(f func(name []byte) bool) bool {
	if !c.sign('{') {
		return false
	}
	if c.sign('}') {
		return true
	}
	for {
		name, plain, ok := c.quoted()
		if !ok || !plain || !c.sign(':') || !f(name) {
			return false
		}
		if !c.sign(',') {
			return c.sign('}')
		}
	}
}

func (c *jsonCursor) records() bool {
	if !c.sign('[') {
		return false
	}
	c.m.in.Records = c.m.entries[:0]
	if c.sign(']') {
		return true
	}
	for {
		e := c.m.entry()
		if e == nil || !c.record(e) {
			return false
		}
		if !c.sign(',') {
			c.m.in.Records = c.m.entries
			return c.sign(']')
		}
	}
}

func (c *jsonCursor) record(e *putEntry) bool {
	return c.object(func(name []byte) bool {
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

// quoted reads a string as it stands; plain tells that it has no escapes.
func (c *jsonCursor) quoted() (raw []byte, plain, ok bool) {
	if !c.sign('"') {
		return nil, false, false
	}
	rest := c.b[c.i:]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return nil, false, false
	}
	escape := bytes.IndexByte(rest[:end], '\\')
	if escape < 0 {
		c.i += end + 1
		return rest[:end], true, true
	}
	for at := escape; at < len(rest); at++ {
		switch rest[at] {
		case '\\':
			at++ // whatever is escaped does not end the string
		case '"':
			c.i += at + 1
			return rest[:at], false, true
		}
	}
	return nil, false, false
}

// text reads a string. It views the body, or the memory where it has escapes.
func (c *jsonCursor) text(to **string) bool {
	raw, plain, ok := c.quoted()
	if !ok || *to != nil {
		return false
	}
	if !plain {
		from := len(c.m.data)
		if c.m.data, ok = unescape(c.m.data, raw); !ok {
			return false
		}
		raw = c.m.data[from:]
	} else if !printable(raw) {
		return false
	}
	*to = c.m.text(unsafe.String(unsafe.SliceData(raw), len(raw)))
	return *to != nil
}

// printable tells whether a string without escapes is valid: UTF-8 and no control characters.
func printable(raw []byte) bool {
	high := byte(0)
	for _, b := range raw {
		if b < ' ' {
			return false
		}
		high |= b
	}
	return high < utf8.RuneSelf || utf8.Valid(raw)
}

// blob reads base64 into the memory.
func (c *jsonCursor) blob(to *[]byte) bool {
	if *to != nil || !c.sign('"') {
		return false
	}
	rest, from := c.b[c.i:], len(c.m.data)
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return false
	}
	var ok bool
	if c.m.data, ok = appendDecoded(c.m.data, rest[:end]); ok {
		c.i += end + 1
	} else if !c.escapedBlob(from) {
		return false
	}
	*to = c.m.data[from:len(c.m.data):len(c.m.data)]
	return true
}

// escapedBlob reads a blob whose quotation mark was read already and which is not plain base64: some encoders escape the
// slash. It goes to the memory from a place on.
func (c *jsonCursor) escapedBlob(from int) bool {
	c.i--
	raw, plain, ok := c.quoted()
	if !ok || plain {
		return false
	}
	if c.m.scratch, ok = unescape(c.m.scratch[:0], raw); !ok {
		return false
	}
	c.m.data, ok = appendDecoded(c.m.data[:from], c.m.scratch)
	return ok
}

// unescape appends the text of a JSON string with escapes.
func unescape(b, raw []byte) ([]byte, bool) {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			next := bytes.IndexByte(raw[i:], '\\')
			if next < 0 {
				next = len(raw) - i
			}
			if !printable(raw[i : i+next]) {
				return b, false
			}
			b = append(b, raw[i:i+next]...)
			i += next
			continue
		}
		if i+1 >= len(raw) {
			return b, false
		}
		if raw[i+1] == 'u' {
			r, n := escapedRune(raw[i:])
			if n == 0 {
				return b, false
			}
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		at := bytes.IndexByte([]byte(`"\/bfnrt`), raw[i+1])
		if at < 0 {
			return b, false
		}
		b = append(b, "\"\\/\b\f\n\r\t"[at])
		i += 2
	}
	return b, true
}

// escapedRune reads \uXXXX, or a pair of them; n is 0 for what is not one character.
func escapedRune(raw []byte) (r rune, n int) {
	r = hex4(raw[2:])
	if r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(raw) < 12 || raw[6] != '\\' || raw[7] != 'u' {
		return 0, 0
	}
	if r = utf16.DecodeRune(r, hex4(raw[8:])); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}
