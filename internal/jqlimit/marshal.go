// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package jqlimit

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

// maxDepth is how deep the values of a result may be in one another: what reads JSON takes no more, as Go's decoder.
const maxDepth = 10_000

var (
	errDeep = fmt.Errorf("it makes values that are more than %d deep in one another", maxDepth)

	// ErrBytes says that a value has more bytes than were allowed.
	ErrBytes = errors.New("it makes too many bytes")
)

// Marshal is gojq.Marshal of what has up to most bytes then, otherwise ErrBytes. A query makes a value in few steps of which a
// part stands in many places, so that its text has no bound: it is measured before any of it is written.
func Marshal(v any, most int) ([]byte, error) {
	rough := &measure{left: most}
	err := rough.value(v, 0)
	if err == nil && rough.left < rough.more {
		err = (&measure{left: most, exact: true}).value(v, 0)
	}
	if err != nil {
		return nil, err
	}
	return gojq.Marshal(v)
}

// measure counts the bytes of a value's text. Unless it is exact it takes the least that strings and fractions can have, and
// notes how much more they have at most.
type measure struct {
	left, more int
	exact      bool
}

func (m *measure) take(n int) error {
	if m.left -= n; m.left < 0 {
		return ErrBytes
	}
	return nil
}

func (m *measure) value(v any, depth int) error {
	if depth > maxDepth {
		return errDeep
	}
	switch v := v.(type) {
	case string:
		return m.text(v)
	case []any:
		if err := m.take(max(2, len(v)+1)); err != nil { // brackets and commas
			return err
		}
		for _, x := range v {
			if err := m.value(x, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		if err := m.take(max(2, 2*len(v)+1)); err != nil { // braces, colons and commas
			return err
		}
		for name, x := range v {
			if err := m.text(name); err != nil {
				return err
			}
			if err := m.value(x, depth+1); err != nil {
				return err
			}
		}
		return nil
	case nil:
		return m.take(len("null"))
	case bool:
		return m.take(len(strconv.FormatBool(v)))
	case int:
		var b [20]byte
		return m.take(len(strconv.AppendInt(b[:0], int64(v), 10)))
	case *big.Int:
		return m.take(v.BitLen()*30103/100_000 + 1) // give or take one
	case float64:
		return m.take(m.float(v))
	default: // json.Number
		return m.take(len(fmt.Sprint(v)))
	}
}

func (m *measure) float(f float64) int {
	const longest = 25
	if !m.exact {
		m.more += longest - 1
		return 1
	}
	b, err := gojq.Marshal(max(min(f, math.MaxFloat64), -math.MaxFloat64))
	if err != nil {
		return longest
	}
	return len(b)
}

// text counts a string as gojq writes it.
func (m *measure) text(s string) error {
	if !m.exact {
		m.more += 5 * len(s)
		return m.take(len(s) + 2)
	}
	n := len(s) + 2
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == '"', c == '\\', c == '\b', c == '\f', c == '\n', c == '\r', c == '\t':
			n++
		case c < ' ', c == 0x7f, c == utf8.RuneError && size == 1:
			n += 5
		}
		i += size
	}
	return m.take(n)
}
