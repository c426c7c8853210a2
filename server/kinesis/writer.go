// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"

	"github.com/leatstream/leat"
)

// writer appends a hot answer in either encoding. Objects in CBOR have no length in front, so that members may be left
// out as they are met; lists have one.
type writer struct {
	b    []byte
	cbor bool

	numbered bool // numbers are of the shard last
	last     leat.ShardKey
	numbers  leat.SequenceNumbers
}

// object and close stand around members.
func (w *writer) object() {
	if w.cbor {
		w.b = append(w.b, cborMap<<5|31)
		return
	}
	w.b = append(w.b, '{')
}

func (w *writer) close() {
	if w.cbor {
		w.b = append(w.b, cborBreak)
		return
	}
	w.b = append(w.b, '}')
}

// list and unlist stand around n items; before each comes item.
func (w *writer) list(n int) {
	if w.cbor {
		w.b = appendHead(w.b, cborList, uint64(n))
		return
	}
	w.b = append(w.b, '[')
}

func (w *writer) unlist() {
	if !w.cbor {
		w.b = append(w.b, ']')
	}
}

// item separates the items of a list, and the members of an object.
func (w *writer) item() {
	if last := w.b[len(w.b)-1]; !w.cbor && last != '{' && last != '[' {
		w.b = append(w.b, ',')
	}
}

// member names what comes next. Names need no escapes.
func (w *writer) member(name string) {
	if w.cbor {
		w.b = append(appendHead(w.b, cborText, uint64(len(name))), name...)
		return
	}
	w.item()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) text(s string) {
	if w.cbor {
		w.b = append(appendHead(w.b, cborText, uint64(len(s))), s...)
		return
	}
	w.b = appendQuoted(w.b, s)
}

func (w *writer) blob(data []byte) {
	if w.cbor {
		w.b = append(appendHead(w.b, cborBytes, uint64(len(data))), data...)
		return
	}
	w.b = append(w.b, '"')
	w.b = appendBase64(w.b, data)
	w.b = append(w.b, '"')
}

// count writes a number that is not negative.
func (w *writer) count(n int64) {
	if w.cbor {
		w.b = appendHead(w.b, cborInt, uint64(n))
		return
	}
	w.b = strconv.AppendInt(w.b, n, 10)
}

// time writes milliseconds since 1970.
func (w *writer) time(millis int64) {
	if !w.cbor {
		w.b = appendSeconds(w.b, millis)
		return
	}
	w.b = append(w.b, cborTag<<5|1)
	if millis < 0 {
		w.b = appendHead(w.b, cborNegative, uint64(-1-millis))
		return
	}
	w.b = appendHead(w.b, cborInt, uint64(millis))
}

// sequence writes a record's sequence number, which is 56 digits.
func (w *writer) sequence(k leat.ShardKey, offset uint64) {
	const digits = 56
	if !w.numbered || w.last != k {
		w.numbered, w.last, w.numbers = true, k, leat.NewSequenceNumbers(k)
	}
	if w.cbor {
		w.b = w.numbers.Append(appendHead(w.b, cborText, digits), offset)
		return
	}
	w.b = w.numbers.Append(append(w.b, '"'), offset)
	w.b = append(w.b, '"')
}

// shard writes a shard's id.
func (w *writer) shard(ordinal uint64) {
	var b [32]byte
	id := leat.AppendShardID(b[:0], ordinal)
	if w.cbor {
		w.b = append(appendHead(w.b, cborText, uint64(len(id))), id...)
		return
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, id...)
	w.b = append(w.b, '"')
}

// appendHead writes the head of a CBOR item in its shortest form.
func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

// appendQuoted writes a JSON string. What is not UTF-8 becomes U+FFFD, as encoding/json has it.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[from:i]...), "\ufffd"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			const hex = "0123456789abcdef"
			b = append(append(b, s[from:i]...), '\\')
			if c < ' ' {
				b = append(b, 'u', '0', '0', hex[c>>4], hex[c&15])
			} else {
				b = append(b, c)
			}
			from = i + 1
		}
		i++
	}
	return append(append(b, s[from:]...), '"')
}
