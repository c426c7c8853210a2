// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/leatstream/leat/server/delivery/spec"
)

// maxDepth is how deep objects and arrays may be nested.
const maxDepth = 512

// The codes of failures, in Firehose's words.
const (
	parseError = "DataFormatConversion.ParseError"
	malformed  = "DataFormatConversion.MalformedData"
)

// shape is what a JSON value looks like.
type shape uint8

const (
	absent shape = iota // also null
	boolean
	integer // no fraction and no exponent
	number
	text
	composite // object or array
)

// value is where a JSON value stands; of texts without their quotes.
type value struct {
	from, to int
	shape    shape
	escaped  bool // a text with a backslash
}

// scanner reads JSON and checks all of it. Its text MUST be UTF-8.
type scanner struct {
	b []byte
	i int
}

// texts begins to read the JSON texts of a record.
func texts(data []byte) (*scanner, error) {
	if !utf8.Valid(data) {
		return nil, &spec.Unfit{Code: parseError, Message: "the record is not UTF-8"}
	}
	s := &scanner{b: data}
	s.space()
	if s.done() {
		return nil, &spec.Unfit{Code: parseError, Message: "the record is empty, which is no JSON"}
	}
	return s, nil
}

func unparsed(err error) error {
	return &spec.Unfit{Code: parseError, Message: "the record is not JSON: " + err.Error()}
}

func (s *scanner) done() bool { return s.i >= len(s.b) }

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return
		}
	}
}

// next steps to the next text of a record. A number or a word ends where it ends: 01 is no 0 and 1.
func (s *scanner) next(last value) error {
	from := s.i
	if s.space(); s.done() || s.i > from || last.shape == text || last.shape == composite {
		return nil
	}
	switch s.b[s.i] {
	case '{', '[', '"':
		return nil
	}
	return unparsed(s.errorf("%q stands right after a value", rune(s.b[s.i])))
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("at byte %d: %s", s.i, fmt.Sprintf(format, args...))
}

var errEnd = errors.New("it ends too early")

// value reads one value, from its first byte.
func (s *scanner) value(depth int) (value, error) {
	if s.done() {
		return value{}, errEnd
	}
	switch c := s.b[s.i]; {
	case c == '"':
		return s.text()
	case c == '{' || c == '[':
		return s.composite(depth)
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.word("true", boolean)
	case c == 'f':
		return s.word("false", boolean)
	case c == 'n':
		return s.word("null", absent)
	default:
		return value{}, s.errorf("%q begins no value", rune(c))
	}
}

func (s *scanner) word(w string, of shape) (value, error) {
	from := s.i
	if len(s.b)-from < len(w) || string(s.b[from:from+len(w)]) != w {
		return value{}, s.errorf("it should be %s", w)
	}
	s.i += len(w)
	return value{from: from, to: s.i, shape: of}, nil
}

// text reads a string. Escapes are checked, not resolved.
func (s *scanner) text() (value, error) {
	v := value{from: s.i + 1, shape: text}
	for i := v.from; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			v.to, s.i = i, i+1
			return v, nil
		case c == '\\':
			v.escaped = true
			n := escapeLen(s.b[i:])
			if n == 0 {
				s.i = i
				return value{}, s.errorf("there is no such escape")
			}
			i += n - 1
		case c < ' ':
			s.i = i
			return value{}, s.errorf("a control character stands in a string")
		}
	}
	return value{}, errEnd
}

// escapeLen is how many bytes an escape has; 0 when it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// number reads a number.
func (s *scanner) number() (value, error) {
	v := value{from: s.i, shape: integer}
	if s.b[s.i] == '-' {
		s.i++
	}
	switch {
	case s.done():
		return value{}, errEnd
	case s.b[s.i] == '0':
		s.i++
	case !s.digits():
		return value{}, s.errorf("a number has no digits")
	}
	if !s.done() && s.b[s.i] == '.' {
		v.shape = number
		if s.i++; !s.digits() {
			return value{}, s.errorf("a fraction has no digits")
		}
	}
	if !s.done() && s.b[s.i]|0x20 == 'e' {
		v.shape = number
		if s.i++; !s.done() && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return value{}, s.errorf("an exponent has no digits")
		}
	}
	v.to = s.i
	return v, nil
}

// digits skips digits and tells whether there were any.
func (s *scanner) digits() bool {
	from := s.i
	for !s.done() && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from
}

// composite reads an object or an array.
func (s *scanner) composite(depth int) (value, error) {
	v := value{from: s.i, shape: composite}
	if depth >= maxDepth {
		return value{}, s.errorf("it is nested deeper than %d", maxDepth)
	}
	object := s.b[s.i] == '{'
	for more := s.first(object); more; {
		if object {
			if _, err := s.key(); err != nil {
				return value{}, err
			}
		}
		_, err := s.value(depth + 1)
		if err == nil {
			more, err = s.more(object)
		}
		if err != nil {
			return value{}, err
		}
	}
	v.to = s.i
	return v, nil
}

// first steps into an object or array and tells whether it holds anything; an empty one is read to its end.
func (s *scanner) first(object bool) bool {
	s.i++
	s.space()
	if !s.done() && s.b[s.i] == closing(object) {
		s.i++
		return false
	}
	return true
}

// more steps over a comma, or over the end.
func (s *scanner) more(object bool) (bool, error) {
	s.space()
	switch {
	case s.done():
		return false, errEnd
	case s.b[s.i] == ',':
		s.i++
		s.space()
		return true, nil
	case s.b[s.i] == closing(object):
		s.i++
		return false, nil
	}
	return false, s.errorf("%q stands where a comma or %q should", rune(s.b[s.i]), rune(closing(object)))
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// key reads a member's name and the colon after it.
func (s *scanner) key() (value, error) {
	if s.done() {
		return value{}, errEnd
	}
	if s.b[s.i] != '"' {
		return value{}, s.errorf("a member has no name")
	}
	k, err := s.text()
	if err != nil {
		return value{}, err
	}
	s.space()
	if s.done() {
		return value{}, errEnd
	}
	if s.b[s.i] != ':' {
		return value{}, s.errorf("a colon is missing")
	}
	s.i++
	s.space()
	return k, nil
}

// appendText appends what a string stands for. Halves of surrogate pairs become U+FFFD, as encoding/json has it.
func appendText(b, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			b = append(b, raw[i])
			i++
			continue
		}
		if raw[i+1] != 'u' {
			b = append(b, plainEscape(raw[i+1]))
			i += 2
			continue
		}
		r, _ := hex4(raw[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			second := rune(-1)
			if len(raw)-i >= 6 && raw[i] == '\\' && raw[i+1] == 'u' {
				second, _ = hex4(raw[i+2:])
			}
			if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
				i += 6
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

func plainEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
