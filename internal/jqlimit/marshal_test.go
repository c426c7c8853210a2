// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package jqlimit

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/itchyny/gojq"
)

// What a text has bytes for is written, as gojq writes it, and what has one more is not.
func TestMarshalIsBounded(t *testing.T) {
	for _, v := range []any{
		nil, true, false, 0, -7, math.MaxInt, math.MinInt, 0.5, -1e300, 1e-9, 1e21, math.Inf(1), math.Inf(-1), math.NaN(), new(big.Int).Lsh(big.NewInt(3), 200), json.Number("1.50"),
		"", "plain", "\"\\\b\f\n\r\t\x00\x1f\x7f", "ü€😀\u2028\xff\xfe", []any{}, map[string]any{}, []any{1, "a", []any{nil}},
		map[string]any{"a": 1, "b\n": []any{"x", 2.5}, "": map[string]any{"c": false}},
	} {
		want, err := gojq.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Marshal(v, len(want)); err != nil || string(got) != string(want) {
			t.Errorf("%v: got %s, %v, want %s", v, got, err, want)
		}
		if _, ok := v.(*big.Int); ok {
			continue // which is counted to a digit
		}
		if _, err := Marshal(v, len(want)-1); !errors.Is(err, ErrBytes) {
			t.Errorf("%v in %d bytes: %v", v, len(want)-1, err)
		}
	}
}

// A value whose text has no bound is refused before any of it is written, and one that is too deep before it is gone into.
func TestMarshalOfWhatIsShared(t *testing.T) {
	var v any = strings.Repeat("x", 100)
	for range 60 {
		v = []any{v, map[string]any{"a": v}}
	}
	if _, err := Marshal(v, 64<<20); !errors.Is(err, ErrBytes) {
		t.Errorf("it is written: %v", err)
	}
	v = nil
	for range 5_000_000 {
		v = []any{v}
	}
	if _, err := Marshal(v, 64<<20); !errors.Is(err, errDeep) {
		t.Errorf("it is written: %v", err)
	}
}
