// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"bytes"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/leatstream/leat"
)

// Checksums would stop a fuzzer at the door, so the targets set them right before they decode: what is tested is how
// the decoders bear input that a hostile or broken writer has signed.

// goldens returns the committed objects by name.
func goldens(f *testing.F) [][]byte {
	paths, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	var all [][]byte
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// mustBeKnown wants an error that names a fault of the data, not of the program.
func mustBeKnown(t *testing.T, err error) {
	if k := leat.KindOf(err); k != leat.KindCorrupt && k != leat.KindUnsupported {
		t.Fatalf("a decoder blames the program for the data: %v", err)
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add(g[:HeaderSize])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= HeaderSize {
			b = slices.Clone(b)
			le.PutUint32(b[headerCRC:], crc32.Checksum(b[:headerCRC], castagnoli))
		}
		h, err := ParseHeader(b)
		if err != nil {
			mustBeKnown(t, err)
			return
		}
		if !bytes.Equal(h.Append(nil), b[:HeaderSize]) {
			t.Fatalf("header %+v is not written as it was read", h)
		}
	})
}

func FuzzParseFooter(f *testing.F) {
	for _, g := range goldens(f) {
		at := le.Uint64(g[len(g)-TrailerSize:])
		f.Add(g[at:], int64(at))
	}
	f.Fuzz(func(t *testing.T, b []byte, before int64) {
		if before < 0 || before > 1<<40 {
			return
		}
		b = slices.Clone(b)
		size := before + int64(len(b))
		if end := len(b) - TrailerSize; end >= HeaderSize {
			le.PutUint32(b[headerCRC:], crc32.Checksum(b[:headerCRC], castagnoli))
			le.PutUint32(b[end+24:], crc32.Checksum(b[:end], castagnoli))
			le.PutUint32(b[end+trailerCRC:], crc32.Checksum(b[end:end+trailerCRC], castagnoli))
		}
		footer, need, err := ParseFooter(b, size)
		if err != nil {
			mustBeKnown(t, err)
			return
		}
		if (footer == nil) != (need > 0) || need > size || (need > 0 && need <= int64(len(b))) {
			t.Fatalf("footer %v, need %d of %d", footer, need, size)
		}
		if footer != nil && before == int64(le.Uint64(b[len(b)-TrailerSize:])) {
			if again := appendFooter(make([]byte, before), &footer.Header, footer.Extents, footer.Controls)[before:]; before < 1<<20 && !bytes.Equal(again, b) {
				t.Fatal("footer is not written as it was read")
			}
		}
	})
}

func FuzzParseIndex(f *testing.F) {
	e := Extent{Count: 100, MaxTime: 50, Off: HeaderSize, Len: 1000, Raw: 5000}
	f.Add(appendIndex(nil, &e, Index{{}, {Off: 300, First: 40, Time: 7}, {Off: 900, First: 99, Time: 50}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := e
		e.IndexLen = int64(len(b))
		if n := len(b) - 4; n >= 0 {
			b = slices.Clone(b)
			le.PutUint32(b[n:], crc32.Update(e.seed(), castagnoli, b[:n]))
		}
		ix, err := ParseIndex(e, b)
		if err != nil {
			mustBeKnown(t, err)
			return
		}
		for o := e.First; o < e.End(); o++ {
			if at := ix.At(o); at.First > o || at.Off >= e.Len || ix.AtTime(int64(o)).Off >= e.Len {
				t.Fatalf("offset %d leads to %+v", o, at)
			}
		}
	})
}

// resign sets right the CRC of every block that stored seems to have.
func resign(e *Extent, stored []byte) {
	for len(stored) >= blockHeaderSize {
		n := blockHeaderSize + int(le.Uint32(stored[8:]))
		if n > len(stored) {
			return
		}
		le.PutUint32(stored[blockCRC:], blockSum(e.seed(), stored[:n]))
		stored = stored[n:]
	}
}

// extentSeeds adds the first extent of each golden object.
func extentSeeds(f *testing.F) {
	for _, g := range goldens(f) {
		footer, _, err := ParseFooter(g, int64(len(g)))
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range footer.Extents {
			if !e.Sealed() {
				f.Add(g[e.Off:e.Off+e.Len], uint32(e.Count), uint32(e.Raw))
			}
		}
	}
}

func fuzzExtent(stored []byte, count, raw uint32) (Extent, []byte) {
	e := Extent{Epoch: 1, First: 1000, Count: uint64(count), MinTime: 0, MaxTime: 1 << 60, Off: HeaderSize, Len: int64(len(stored)), Raw: int64(raw)}
	stored = slices.Clone(stored)
	resign(&e, stored)
	return e, stored
}

func FuzzDecodeBlocks(f *testing.F) {
	extentSeeds(f)
	coder := NewCoder()
	f.Fuzz(func(t *testing.T, stored []byte, count, raw uint32) {
		e, stored := fuzzExtent(stored, count, raw)
		c, n, err := coder.DecodeBlocks(e, e.First, stored)
		if err != nil {
			mustBeKnown(t, err)
			return
		}
		if (c == nil) != (n == 0) || n > len(stored) {
			t.Fatalf("chunk %v of %d bytes", c, n)
		}
		if c != nil {
			mustBeWhole(t, c)
		}
	})
}

// mustBeWhole wants a decoded chunk to be what it says, as far as its records' checksums allow.
func mustBeWhole(t *testing.T, c *Chunk) {
	if c.raw() > maxDecode+maxBlockRaw {
		t.Fatalf("one call gave %d bytes", c.raw())
	}
	records, err := c.Records(nil, c.First, int(c.Count), int(c.Bytes))
	if err != nil {
		mustBeKnown(t, err)
	} else if uint64(len(records)) != c.Count {
		t.Fatalf("%d records of %d", len(records), c.Count)
	}
	last := c.MinTime
	for i := range records {
		if records[i].Offset != c.First+uint64(i) || records[i].Time < last {
			t.Fatalf("record %d: %+v after time %d", i, records[i], last)
		}
		last = records[i].Time
	}
	if at := c.SeekTime(c.MaxTime + 1); at != c.End() {
		t.Fatalf("a time after the last record is at %d of %d", at, c.End())
	}
}

func FuzzDecodeExtent(f *testing.F) {
	extentSeeds(f)
	coder := NewCoder()
	f.Fuzz(func(t *testing.T, stored []byte, count, raw uint32) {
		e, stored := fuzzExtent(stored, count, raw)
		e.CRC = crc32.Checksum(stored, castagnoli)
		if whole, n, err := coder.DecodeBlocks(e, e.First, stored); err == nil && n == len(stored) && n > 0 {
			e.MinTime, e.MaxTime, e.Hash, e.Bytes, e.Units = whole.MinTime, whole.MaxTime, whole.Hash, whole.Bytes, whole.Units
		}
		c, err := coder.DecodeExtent(e, stored)
		if err != nil {
			mustBeKnown(t, err)
			return
		}
		if c.Count != e.Count {
			t.Fatalf("%d records of %d", c.Count, e.Count)
		}
		mustBeWhole(t, c)
		mustEncodeAgain(t, coder, c)
	})
}

// mustEncodeAgain wants a sound chunk to survive another encoding.
func mustEncodeAgain(t *testing.T, coder *Coder, c *Chunk) {
	if _, err := c.Records(nil, c.First, int(c.Count), int(c.Bytes)); err != nil {
		return
	}
	object, _, err := coder.Encode(Header{Kind: KindPack}, []*Chunk{c}, nil, Options{Codec: CodecZstd})
	if err != nil {
		t.Fatal(err)
	}
	_, back, err := coder.DecodeObject(object)
	if err != nil || back[0].Hash != c.Hash {
		t.Fatalf("encoded again: %v", err)
	}
}
