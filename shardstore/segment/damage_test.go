// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"hash/crc32"
	"slices"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

func smallObject(t testing.TB, coder *segment.Coder, codec segment.Codec) []byte {
	t.Helper()
	object, extents := encode(t, coder, goldenChunks(), someControls(), segment.Options{Codec: codec})
	if extents[0].Codec != codec {
		t.Fatalf("the object is stored as %v, not %v", extents[0].Codec, codec)
	}
	return object
}

// Every bit of an object counts: none can change without an error.
func TestEveryFlippedBitIsFound(t *testing.T) {
	coder := segment.NewCoder()
	for _, codec := range codecs {
		object := smallObject(t, coder, codec)
		for i := range object {
			for bit := range 8 {
				object[i] ^= 1 << bit
				if _, _, err := coder.DecodeObject(object); err == nil {
					t.Fatalf("%v: bit %d of byte %d of %d was flipped, and nobody saw", codec, bit, i, len(object))
				}
				object[i] ^= 1 << bit
			}
		}
		if _, _, err := coder.DecodeObject(object); err != nil {
			t.Fatal(err)
		}
	}
}

// The parts of a reader that never sees the whole object: each finds what is changed in its own bytes.
func TestEveryFlippedByteIsFoundInParts(t *testing.T) {
	coder := segment.NewCoder()
	object := smallObject(t, coder, segment.CodecS2)
	size := int64(len(object))
	f, _, err := segment.ParseFooter(object, size)
	if err != nil {
		t.Fatal(err)
	}
	last := f.Extents[len(f.Extents)-1]
	footer := last.Off + last.Len + last.IndexLen
	for i := range object {
		at := int64(i)
		object[i] ^= 0x40
		switch {
		case at < segment.HeaderSize:
			_, err = segment.ParseHeader(object)
		case at >= footer:
			_, _, err = segment.ParseFooter(object[footer:], size)
		default:
			for _, e := range f.Extents {
				if at >= e.Off && at < e.Off+e.Len {
					_, _, err = coder.DecodeBlocks(e, e.First, object[e.Off:e.Off+e.Len])
				}
			}
		}
		// A stored length that grew says "not whole": a reader that has the whole extent refuses it then.
		if err == nil {
			for _, e := range f.Extents {
				if at < e.Off || at >= e.Off+e.Len {
					continue
				}
				if c, _, _ := coder.DecodeBlocks(e, e.First, object[e.Off:e.Off+e.Len]); c != nil {
					t.Fatalf("byte %d was flipped, and %d records came", i, c.Count)
				}
				_, err = coder.DecodeExtent(e, object[e.Off:e.Off+e.Len])
			}
		}
		wantOneOf(t, err, i)
		object[i] ^= 0x40
		err = nil
	}
}

func wantOneOf(t *testing.T, err error, at int) {
	t.Helper()
	if k := leat.KindOf(err); err == nil || (k != leat.KindCorrupt && k != leat.KindUnsupported) {
		t.Fatalf("byte %d was flipped: %v", at, err)
	}
}

func TestEveryTruncationIsFound(t *testing.T) {
	coder := segment.NewCoder()
	for _, codec := range codecs {
		object := smallObject(t, coder, codec)
		for n := range object {
			if _, _, err := coder.DecodeObject(object[:n:n]); err == nil {
				t.Fatalf("%v: cut to %d of %d bytes, and nobody saw", codec, n, len(object))
			}
			if n < segment.SuffixSize {
				f, need, err := segment.ParseFooter(object[len(object)-n:], int64(len(object)))
				if err != nil || (f == nil) == (need == 0) || (need > 0 && need <= int64(n)) {
					t.Fatalf("%v: the last %d bytes give %v, need %d, %v", codec, n, f, need, err)
				}
			}
		}
	}
}

// An object that holds another as a record's data must not be taken for it when it is cut at the inner one's end.
func TestAnObjectInsideARecordIsNotFound(t *testing.T) {
	coder := segment.NewCoder()
	inner := segment.Fence(header(segment.KindFence, 1))
	c := segment.NewChunk(shardKey(1, 2), 1, 0)
	seal(c, leat.Record{PartitionKey: "k", Data: inner}, 1)
	object, extents := encode(t, coder, []*segment.Chunk{c}, nil, segment.Options{})
	end := extents[0].Off + extents[0].Len - 4
	_, _, err := segment.ParseFooter(object[:end], end)
	wantKind(t, err, leat.KindCorrupt)
}

func TestABlockOfAnotherPlaceIsRefused(t *testing.T) {
	coder := segment.NewCoder()
	object, extents := encode(t, coder, goldenChunks(), nil, segment.Options{})
	e := extents[0]
	stored := object[e.Off : e.Off+e.Len]
	for name, change := range map[string]func(e *segment.Extent){
		"stream":  func(e *segment.Extent) { e.Shard.Stream[3] ^= 1 },
		"ordinal": func(e *segment.Extent) { e.Shard.Ordinal++ },
		"epoch":   func(e *segment.Extent) { e.Epoch++ },
		"first":   func(e *segment.Extent) { e.First++ },
	} {
		other := e
		change(&other)
		if _, err := coder.DecodeExtent(other, stored); err == nil {
			t.Errorf("%s: blocks of another extent were taken", name)
		}
		if _, _, err := coder.DecodeBlocks(other, other.First, stored); err == nil {
			t.Errorf("%s: blocks of another extent were taken in part", name)
		}
	}
}

func TestAnExtentThatSaysOtherwiseIsRefused(t *testing.T) {
	coder := segment.NewCoder()
	object, extents := encode(t, coder, goldenChunks(), nil, segment.Options{})
	e := extents[0]
	for name, change := range map[string]func(e *segment.Extent){
		"count up":   func(e *segment.Extent) { e.Count++ },
		"count down": func(e *segment.Extent) { e.Count-- },
		"no records": func(e *segment.Extent) { e.Count = 0 },
		"overflow":   func(e *segment.Extent) { e.First = ^uint64(0) },
		"min time":   func(e *segment.Extent) { e.MinTime-- },
		"max time":   func(e *segment.Extent) { e.MaxTime++ },
		"raw up":     func(e *segment.Extent) { e.Raw++ },
		"raw huge":   func(e *segment.Extent) { e.Raw = 1 << 50 },
		"bytes":      func(e *segment.Extent) { e.Bytes++ },
		"units":      func(e *segment.Extent) { e.Units++ },
		"hash":       func(e *segment.Extent) { e.Hash++ },
		"crc":        func(e *segment.Extent) { e.CRC++ },
		"codec":      func(e *segment.Extent) { e.Codec = 77 },
		"len":        func(e *segment.Extent) { e.Len-- },
		"len below":  func(e *segment.Extent) { e.Len = -1 },
		"off":        func(e *segment.Extent) { e.Off = 5 },
	} {
		other := e
		change(&other)
		if _, err := coder.DecodeExtent(other, object[e.Off:e.Off+e.Len]); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// resum sets the CRCs of footer and trailer right, as a writer of another version would.
func resum(object []byte, footer int) {
	table := crc32.MakeTable(crc32.Castagnoli)
	put := func(at int, b []byte) {
		sum := crc32.Checksum(b, table)
		copy(object[at:], []byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)})
	}
	end := len(object) - segment.TrailerSize
	put(footer+124, object[footer:footer+124])
	put(end+24, object[footer:end])
	put(end+28, object[end:end+28])
}

func TestWhatALaterVersionMayWriteIsRefusedByName(t *testing.T) {
	object, extents := encode(t, segment.NewCoder(), goldenChunks(), someControls(), segment.Options{})
	last := extents[len(extents)-1]
	footer := int(last.Off + last.Len)
	row := footer + segment.HeaderSize
	controls := row + 2*124
	for name, tc := range map[string]struct {
		at   int
		by   byte
		want string
	}{
		"version":           {footer + 8, 3, "segment: format version 2: not supported by this version"},
		"kind":              {footer + 10, 8, "segment: object of kind 9: not supported by this version"},
		"reserved, header":  {footer + 100, 8, "segment: header with reserved bytes in use: not supported by this version"},
		"reserved, extent":  {row + 94, 8, "segment: extent with reserved bytes in use: not supported by this version"},
		"reserved, trailer": {len(object) - 20, 8, "segment: trailer with reserved bytes in use: not supported by this version"},
		"control":           {controls, 8, "segment: control record of kind 9: not supported by this version"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := slices.Clone(object)
			changed[tc.at] ^= tc.by
			resum(changed, footer)
			_, _, err := segment.ParseFooter(changed, int64(len(changed)))
			wantKind(t, err, leat.KindUnsupported)
			if err.Error() != tc.want {
				t.Errorf("error %q, want %q", err, tc.want)
			}
		})
	}
}

func TestParseHeaderWantsAWholeHeader(t *testing.T) {
	h := header(segment.KindPack, 1<<60)
	b := h.Append([]byte("xx"))[2:]
	if got, err := segment.ParseHeader(append(b, "more"...)); err != nil || got != h {
		t.Fatalf("header %+v, %v", got, err)
	}
	for n := range segment.HeaderSize {
		_, err := segment.ParseHeader(b[:n])
		wantKind(t, err, leat.KindCorrupt)
	}
}
