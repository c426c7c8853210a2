// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"slices"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// large returns an object with an extent of 5 MiB between two small ones.
func large(t testing.TB, coder *segment.Coder) ([]byte, []segment.Extent) {
	chunks := []*segment.Chunk{
		filled(segment.NewChunk(shardKey(1, 1), 1, 0), 3, 100, true),
		filled(segment.NewChunk(shardKey(1, 2), 1, 1000), 5000, 1024, true),
		filled(segment.NewChunk(shardKey(1, 3), 1, 0), 3, 100, true),
	}
	return encode(t, coder, chunks, nil, segment.Options{Codec: segment.CodecS2})
}

func index(t testing.TB, object []byte, e segment.Extent) segment.Index {
	t.Helper()
	ix, err := segment.ParseIndex(e, object[e.Off+e.Len:e.Off+e.Len+e.IndexLen])
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

// A seek to any record of a large extent costs the index and one range of 512 KiB.
func TestIndexLeadsNearEveryRecord(t *testing.T) {
	coder := segment.NewCoder()
	object, extents := large(t, coder)
	e := extents[1]
	ix := index(t, object, e)
	if len(ix) < 15 || len(ix) > 21 || ix[0] != (segment.IndexEntry{First: 1000, Time: e.MinTime}) {
		t.Fatalf("an extent of %d bytes has the index %+v", e.Len, ix)
	}
	for offset := e.First; offset < e.End(); offset += 7 {
		at := ix.At(offset)
		from := e.Off + at.Off
		c, _, err := coder.DecodeBlocks(e, at.First, object[from:min(from+512<<10, e.Off+e.Len)])
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Records(nil, offset, 1, 1)
		if err != nil || r[0].Offset != offset {
			t.Fatalf("offset %d through %+v: %v, %v", offset, at, r, err)
		}
		byTime := ix.AtTime(r[0].Time)
		if byTime.First > offset || (byTime.First != e.First && byTime.Time >= r[0].Time) {
			t.Fatalf("time %d of offset %d leads to %+v", r[0].Time, offset, byTime)
		}
	}
	if got := ix.AtTime(e.MinTime - 1); got != ix[0] {
		t.Errorf("a time before the extent leads to %+v", got)
	}
	if got := ix.AtTime(e.MaxTime + 1); got != ix[len(ix)-1] {
		t.Errorf("a time after the extent leads to %+v", got)
	}
}

func TestSmallExtentHasNoIndex(t *testing.T) {
	object, extents := large(t, segment.NewCoder())
	e := extents[0]
	if ix := index(t, object, e); e.IndexLen != 0 || len(ix) != 1 || ix.At(2).First != e.First || ix.At(2).Off != 0 {
		t.Errorf("an extent of %d bytes has %d bytes of index: %+v", e.Len, e.IndexLen, ix)
	}
}

func TestEveryFlippedByteOfAnIndexIsFound(t *testing.T) {
	object, extents := large(t, segment.NewCoder())
	e := extents[1]
	stored := slices.Clone(object[e.Off+e.Len : e.Off+e.Len+e.IndexLen])
	for i := range stored {
		stored[i] ^= 1
		_, err := segment.ParseIndex(e, stored)
		wantKind(t, err, leat.KindCorrupt)
		stored[i] ^= 1
		_, err = segment.ParseIndex(e, stored[:i])
		wantKind(t, err, leat.KindCorrupt)
	}
	other := e
	other.Epoch++
	_, err := segment.ParseIndex(other, stored)
	wantKind(t, err, leat.KindCorrupt)
}
