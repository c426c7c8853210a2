// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/delivery/transform"
)

// signed is an integer in LEB128.
func signed(n int64) (b []byte) {
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// vector is its length in bytes or in parts, and what is in it.
func vector(n int, parts ...[]byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(n)), slices.Concat(parts...)...)
}

func sized(parts ...[]byte) []byte {
	b := slices.Concat(parts...)
	return vector(len(b), b)
}

// grower is a module with tables that drops a record when the first of them cannot be grown by so many references, and
// otherwise fails it.
func grower(by int64, tables ...[]byte) []byte {
	section := func(id byte, content []byte) []byte { return append([]byte{id}, sized(content)...) }
	name := func(s string) []byte { return sized([]byte(s)) }
	const dropped, failed = 16, 32                                                                 // where the answers are
	grow := slices.Concat([]byte{0x42}, signed(dropped<<32|1), []byte{0x42}, signed(failed<<32|6), // i64.const, i64.const
		[]byte{0xd0, 0x70, 0x41}, signed(by), []byte{0xfc, 0x0f, 0x00}, // ref.null func, i32.const, table.grow 0
		[]byte{0x41}, signed(-1), []byte{0x46, 0x1b, 0x0b}) // i32.const, i32.eq, select, end
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, vector(2, []byte{0x60, 1, 0x7f, 1, 0x7f}, []byte{0x60, 2, 0x7f, 0x7f, 1, 0x7e})),
		section(3, vector(2, []byte{0, 1})),
		section(4, vector(len(tables), tables...)),
		section(5, vector(1, []byte{0, 1})),
		section(7, vector(3, name("leat_alloc"), []byte{0, 0}, name("leat_transform"), []byte{0, 1}, name("memory"), []byte{2, 0})),
		section(10, vector(2, sized([]byte{0, 0x41}, signed(1024), []byte{0x0b}), sized([]byte{0}, grow))),
		section(11, vector(2, []byte{0, 0x41}, signed(dropped), []byte{0x0b}, sized([]byte{1}), []byte{0, 0x41}, signed(failed), []byte{0x0b}, sized([]byte{2, 1, 0, 0, 0, 'x'}))),
	)
}

// table is a table of functions.
func table(least uint64, most ...uint64) []byte {
	b := binary.AppendUvarint([]byte{0x70, byte(len(most))}, least)
	for _, n := range most {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// Modules have tables for their functions, and not for gigabytes.
func TestWASMTables(t *testing.T) {
	const dropped, failed = "dropped [0]", "0!processing-failed WASM.ProcessingFailed"
	for _, tc := range []struct {
		what   string
		module []byte
		says   string
	}{
		{"a little", grower(1000, table(1)), failed},
		{"more than its own maximum", grower(1000, table(1, 20)), dropped},
		{"too much", grower(1<<20, table(1)), dropped},
		{"too much for a large maximum", grower(1<<20, table(1, 1<<31)), dropped},
		{"another table", grower(1000, table(1), table(7)), failed},
	} {
		p := pipeline(t, of(spec.Transform{Kind: spec.WASM, Module: tc.module}))
		if got := says(apply(t, p, batch("a"))); got != tc.says {
			t.Errorf("%s: %s", tc.what, got)
		}
	}
	for what, module := range map[string][]byte{
		"8 are allowed":                  grower(1, slices.Repeat([][]byte{table(1)}, 9)...),
		"262144 are allowed":             grower(1, table(1<<20)),
		"not known here":                 grower(1, append([]byte{0x40, 0x00}, table(1)...)),
		"it is not a WebAssembly module": grower(1, table(1))[:60],
	} {
		p, err := transform.New(t.Context(), of(spec.Transform{Kind: spec.WASM, Module: module}))
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q: %v", what, err)
			_ = p.Close()
		}
	}
}
