// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// decoded is a record's data as people can read it. Everything in it is text.
type decoded struct {
	Kind string // what it was taken for
	Text string
	Cut  bool     // there is more than Text shows
	Subs []subrec // of an aggregate of the KPL
	json []byte   // where it is JSON: its text, for filters; it may be the record's own memory
}

// subrec is a record inside an aggregate.
type subrec struct {
	Key, Hash string
	Data      decoded
	Size      int
}

const (
	unzipMost = 1 << 20 // bytes that a gzip is unpacked to
	hexMost   = 4 << 10 // bytes that are shown in hex
	subsMost  = 1000
)

// decode finds out what data is: JSON, text, gzip of one of these, an aggregate of the KPL, protobuf as far as can be
// guessed, or bytes. It shows at most so many bytes.
func decode(data []byte, most int) decoded {
	if d, ok := decodeAggregate(data, most); ok {
		return d
	}
	if len(data) > 2 && data[0] == 0x1f && data[1] == 0x8b {
		if d, ok := decodeGzip(data, most); ok {
			return d
		}
	}
	return decodePlain(data, most)
}

func decodePlain(data []byte, most int) decoded {
	if len(data) == 0 {
		return decoded{Kind: "empty"}
	}
	if d, ok := decodeJSON(data, most); ok {
		return d
	}
	if printable(data) {
		return cut(decoded{Kind: "text"}, string(data[:min(len(data), most+utf8.UTFMax)]), most)
	}
	if text, ok := guessProtobuf(data, 0); ok {
		return cut(decoded{Kind: "protobuf, guessed"}, text, most)
	}
	return cut(decoded{Kind: "binary", Cut: len(data) > hexMost}, hex.Dump(data[:min(len(data), hexMost)]), most)
}

func decodeJSON(data []byte, most int) (decoded, bool) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || !strings.ContainsRune(`{["0123456789-tfn`, rune(trimmed[0])) || !utf8.Valid(trimmed) {
		return decoded{}, false
	}
	if !json.Valid(trimmed) {
		return decoded{}, false
	}
	d := cut(decoded{Kind: "JSON"}, string(indentedTo(trimmed, most)), most)
	d.json = trimmed
	return d, true
}

// indentedTo is json.Indent that ends soon after most bytes: a record of a megabyte whose values lie ten thousand deep would have ten gigabytes of
// spaces. src is valid JSON.
func indentedTo(src []byte, most int) []byte {
	out := make([]byte, 0, min(2*len(src), most+64))
	depth, text, escaped, opened := 0, false, false, false
	line := func() {
		out = append(out, '\n')
		for i := 0; i < depth && len(out) <= most; i++ {
			out = append(out, ' ', ' ')
		}
	}
	for _, c := range src {
		if len(out) > most {
			break
		}
		if text {
			out = append(out, c)
			text, escaped = c != '"' || escaped, c == '\\' && !escaped
			continue
		}
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			continue
		}
		closing := c == '}' || c == ']'
		if opened && !closing {
			depth++
			line()
		}
		switch {
		case closing && !opened:
			depth--
			line()
			out = append(out, c)
		case c == ',':
			out = append(out, c)
			line()
		case c == ':':
			out = append(out, c, ' ')
		default:
			out = append(out, c)
		}
		opened, text = c == '{' || c == '[', c == '"'
	}
	return out
}

// cut keeps the beginning of a text, whole characters of it, and nothing of the rest's memory.
func cut(d decoded, text string, most int) decoded {
	if len(text) <= most {
		d.Text = text
		return d
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	d.Text, d.Cut = strings.Clone(text[:most]), true
	return d
}

// printable tells whether bytes are text.
func printable(data []byte) bool {
	if !utf8.Valid(data) {
		return false
	}
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		data = data[size:]
		if r != '\n' && r != '\r' && r != '\t' && !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func decodeGzip(data []byte, most int) (decoded, bool) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return decoded{}, false
	}
	plain, err := io.ReadAll(io.LimitReader(z, unzipMost+1))
	if err != nil || z.Close() != nil && len(plain) <= unzipMost {
		return decoded{}, false
	}
	over := len(plain) > unzipMost
	d := decodePlain(plain[:min(len(plain), unzipMost)], most)
	if d.Kind, d.Cut = "gzip of "+d.Kind, d.Cut || over; over {
		d.json = nil // it is not all of it
	}
	return d, true
}

// aggregateMagic begins an aggregate of the Kinesis Producer Library: then a protobuf, then its MD5
// (github.com/awslabs/amazon-kinesis-producer, aggregation-format.md).
var aggregateMagic = []byte{0xf3, 0x89, 0x9a, 0xc2}

func decodeAggregate(data []byte, most int) (decoded, bool) {
	if len(data) < len(aggregateMagic)+md5.Size || !bytes.HasPrefix(data, aggregateMagic) {
		return decoded{}, false
	}
	body, sum := data[len(aggregateMagic):len(data)-md5.Size], data[len(data)-md5.Size:]
	if got := md5.Sum(body); !bytes.Equal(got[:], sum) {
		return decoded{}, false
	}
	var keys, hashes []string
	var raw [][]byte
	ok := fields(body, func(n protowire.Number, t protowire.Type, v uint64, b []byte) bool {
		switch {
		case t != protowire.BytesType:
		case n == 1:
			keys = append(keys, string(b))
		case n == 2:
			hashes = append(hashes, string(b))
		case n == 3:
			raw = append(raw, b)
		}
		return true
	})
	if !ok {
		return decoded{}, false
	}
	d := decoded{Kind: "KPL aggregate of " + plural(len(raw), "record", "records"), Cut: len(raw) > subsMost}
	var text strings.Builder
	for _, r := range raw[:min(len(raw), subsMost)] {
		s, ok := subrecord(r, keys, hashes, min(most, previewMost))
		if !ok {
			return decoded{}, false
		}
		d.Subs = append(d.Subs, s)
		if text.Len() < most {
			fmt.Fprintf(&text, "%s: %s\n", s.Key, strings.Join(strings.Fields(s.Data.Text), " "))
		}
	}
	over := d.Cut
	d = cut(d, text.String(), most)
	d.Cut = d.Cut || over
	return d, true
}

func subrecord(raw []byte, keys, hashes []string, most int) (s subrec, ok bool) {
	ok = fields(raw, func(n protowire.Number, t protowire.Type, v uint64, b []byte) bool {
		switch {
		case n == 1 && t == protowire.VarintType:
			if v >= uint64(len(keys)) {
				return false
			}
			s.Key = keys[v]
		case n == 2 && t == protowire.VarintType:
			if v >= uint64(len(hashes)) {
				return false
			}
			s.Hash = hashes[v]
		case n == 3 && t == protowire.BytesType:
			s.Data, s.Size = decodePlain(b, most), len(b)
		}
		return true
	})
	return s, ok
}

// fields calls do for each field of a protobuf message; false when it is none, or do says so.
func fields(b []byte, do func(n protowire.Number, t protowire.Type, v uint64, b []byte) bool) bool {
	for len(b) > 0 {
		n, t, size := protowire.ConsumeTag(b)
		if size < 0 {
			return false
		}
		b = b[size:]
		var v uint64
		var inner []byte
		switch t {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var x uint32
			x, size = protowire.ConsumeFixed32(b)
			v = uint64(x)
		case protowire.Fixed64Type:
			v, size = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			inner, size = protowire.ConsumeBytes(b)
		default:
			return false
		}
		if size < 0 || !do(n, t, v, inner) {
			return false
		}
		b = b[size:]
	}
	return true
}

const guessDepth = 6

// guessProtobuf writes bytes as a protobuf message of unknown type, if they can be one: field numbers and values.
func guessProtobuf(data []byte, depth int) (string, bool) {
	if depth > guessDepth || len(data) < 2 {
		return "", false
	}
	var out strings.Builder
	indent := strings.Repeat("  ", depth)
	const likely = 10_000 // field numbers above this are more likely no protobuf at all
	ok := fields(data, func(n protowire.Number, t protowire.Type, v uint64, b []byte) bool {
		switch {
		case n > likely:
			return false
		case t != protowire.BytesType:
			fmt.Fprintf(&out, "%s%d: %d\n", indent, n, v)
		case printable(b):
			fmt.Fprintf(&out, "%s%d: %q\n", indent, n, b)
		default:
			if inner, ok := guessProtobuf(b, depth+1); ok {
				fmt.Fprintf(&out, "%s%d {\n%s%s}\n", indent, n, inner, indent)
			} else {
				fmt.Fprintf(&out, "%s%d: %x\n", indent, n, b[:min(len(b), 64)])
			}
		}
		return out.Len() < unzipMost
	})
	return out.String(), ok
}
