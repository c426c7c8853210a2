// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"bytes"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

func TestPlainObjectIsOneExactBuffer(t *testing.T) {
	chunks := []*segment.Chunk{
		filled(segment.NewChunk(shardKey(1, 2), 1, 0), 3000, 1000, true), // with an index
		filled(segment.NewChunk(shardKey(1, 3), 1, 0), 3, 10, true),
	}
	object, _ := encode(t, segment.NewCoder(), chunks, []segment.Control{{Kind: segment.ControlOpen}}, segment.Options{})
	if len(object) != cap(object) {
		t.Errorf("object of %d bytes lies in a buffer of %d", len(object), cap(object))
	}
}

func TestRandomBytesAreNotCompressed(t *testing.T) {
	c := filled(segment.NewChunk(shardKey(1, 2), 1, 0), 1000, 1000, true)
	for _, codec := range codecs {
		object, extents := encode(t, segment.NewCoder(), []*segment.Chunk{c}, nil, segment.Options{Codec: codec})
		if extents[0].Codec != segment.CodecNone || int64(len(object)) < c.Bytes {
			t.Errorf("%v: random bytes became %v and %d bytes", codec, extents[0].Codec, len(object))
		}
	}
}

func TestTextIsCompressed(t *testing.T) {
	c := filled(segment.NewChunk(shardKey(1, 2), 1, 0), 1000, 1000, false)
	for _, codec := range codecs[1:] {
		object, extents := encode(t, segment.NewCoder(), []*segment.Chunk{c}, nil, segment.Options{Codec: codec, Level: 3})
		if extents[0].Codec != codec || int64(len(object)) > c.Bytes/4 || extents[0].Level != 3 {
			t.Errorf("%v: %d bytes became %d, extent %+v", codec, c.Bytes, len(object), extents[0])
		}
	}
}

// Packing many small chunks gives one extent with full blocks (rule 7, invariant I8).
func TestPackJoinsChunksAndBlocks(t *testing.T) {
	var chunks []*segment.Chunk
	var want []leat.Record
	var hash uint64
	next, last := uint64(7), int64(0)
	for range 500 {
		c := segment.NewChunk(shardKey(1, 2), 4, next)
		last += 1 << 30
		c.MaxTime = last
		filled(c, 3, 100, true)
		want = append(want, all(t, c)...)
		hash += c.Hash
		chunks, next, last = append(chunks, c), c.End(), c.MaxTime
	}
	coder := segment.NewCoder()
	object, extents := encode(t, coder, chunks, nil, segment.Options{Level: 1})
	if len(extents) != 1 || extents[0].Count != 1500 || extents[0].First != 7 || extents[0].Hash != hash {
		t.Fatalf("extents %+v, want one of 1500 records with hash %x", extents, hash)
	}
	if blocks := blockStarts(t, object, extents[0]); len(blocks) > 6 {
		t.Errorf("%d bytes lie in %d blocks", extents[0].Raw, len(blocks))
	}
	_, back, err := coder.DecodeObject(object)
	if err != nil {
		t.Fatal(err)
	}
	mustMatch(t, all(t, back[0]), want)
}

// blockStarts lists where the blocks of an extent begin, relative to it.
func blockStarts(t testing.TB, object []byte, e segment.Extent) (starts []int64) {
	t.Helper()
	for at := int64(0); at < e.Len; {
		n, err := segment.BlockLen(object[e.Off+at:])
		if err != nil {
			t.Fatal(err)
		}
		starts = append(starts, at)
		at += int64(n)
	}
	return starts
}

func TestWhatDoesNotTouchIsNotJoined(t *testing.T) {
	chunks := []*segment.Chunk{
		filled(segment.NewChunk(shardKey(1, 2), 1, 0), 5, 10, true),
		filled(segment.NewChunk(shardKey(1, 2), 1, 6), 5, 10, true),  // a gap
		filled(segment.NewChunk(shardKey(1, 2), 2, 11), 5, 10, true), // a new epoch
		filled(segment.NewChunk(shardKey(1, 3), 2, 16), 5, 10, true), // another shard
		filled(segment.NewChunk(shardKey(2, 0), 2, 21), 5, 10, true), // another stream
	}
	for i := 1; i < len(chunks); i++ { // times of one shard do not fall
		c := segment.NewChunk(chunks[i].Shard, chunks[i].Epoch, chunks[i].First)
		c.MaxTime = chunks[i-1].MaxTime
		chunks[i] = filled(c, 5, 10, true)
	}
	_, extents := encode(t, segment.NewCoder(), chunks, nil, segment.Options{})
	if len(extents) != len(chunks) {
		t.Fatalf("%d extents, want %d", len(extents), len(chunks))
	}
}

func TestEncodeRefusesContradictions(t *testing.T) {
	at := func(ordinal, epoch, first uint64, time int64) *segment.Chunk {
		c := segment.NewChunk(shardKey(1, ordinal), epoch, first)
		c.MaxTime = time
		return filled(c, 5, 10, true)
	}
	tampered := at(1, 1, 0, 0)
	tampered.Hash++
	lost := at(1, 1, 0, 0)
	lost.Count--
	huge := segment.NewChunk(shardKey(1, 1), 1, 0)
	seal(huge, leat.Record{PartitionKey: "k", Data: make([]byte, 17<<20)}, 1)
	none := segment.Options{}
	for name, tc := range map[string]struct {
		chunks   []*segment.Chunk
		controls []segment.Control
		o        segment.Options
	}{
		"empty chunk":            {[]*segment.Chunk{segment.NewChunk(shardKey(1, 1), 1, 0)}, nil, none},
		"shards out of order":    {[]*segment.Chunk{at(2, 1, 0, 0), at(1, 1, 0, 0)}, nil, none},
		"offsets out of order":   {[]*segment.Chunk{at(1, 1, 5, 0), at(1, 1, 0, 9e9)}, nil, none},
		"overlap":                {[]*segment.Chunk{at(1, 1, 0, 0), at(1, 1, 4, 9e9)}, nil, none},
		"times fall":             {[]*segment.Chunk{at(1, 1, 0, 9e9), at(1, 1, 5, 0)}, nil, none},
		"epochs fall":            {[]*segment.Chunk{at(1, 2, 0, 0), at(1, 1, 5, 9e9)}, nil, none},
		"hash does not add up":   {[]*segment.Chunk{tampered}, nil, none},
		"count does not add up":  {[]*segment.Chunk{lost}, nil, none},
		"record beyond a block":  {[]*segment.Chunk{huge}, nil, none},
		"unknown codec":          {nil, nil, segment.Options{Codec: 9}},
		"unknown control":        {nil, []segment.Control{{Kind: 9}}, none},
		"reshard without one":    {nil, []segment.Control{{Kind: segment.ControlReshard}}, none},
		"reshard in an open":     {nil, []segment.Control{{Kind: segment.ControlOpen, Reshard: &segment.Reshard{}}}, none},
		"reshard with a long id": {nil, []segment.Control{{Kind: segment.ControlReshard, Reshard: &segment.Reshard{ID: string(make([]byte, 1<<16))}}}, none},
	} {
		object, extents, err := segment.NewCoder().Encode(header(segment.KindSegment, 1), tc.chunks, tc.controls, tc.o)
		if err == nil || object != nil || extents != nil {
			t.Errorf("%s: encoded %d bytes, %v", name, len(object), err)
		}
	}
}

// A fault in memory between put and pack is found before the segments that hold the good bytes are deleted.
func TestEncodeRefusesAChangedRecord(t *testing.T) {
	c := filled(segment.NewChunk(shardKey(1, 2), 1, 0), 10, 100, false)
	all(t, c)[6].Data[50] ^= 1
	_, _, err := segment.NewCoder().Encode(header(segment.KindPack, 1), []*segment.Chunk{c}, nil, segment.Options{})
	wantKind(t, err, leat.KindCorrupt)
}

func TestFence(t *testing.T) {
	h := header(segment.KindSegment, 77)
	object := segment.Fence(h)
	h.Kind = segment.KindFence
	f, chunks, err := segment.NewCoder().DecodeObject(object)
	if err != nil || f.Header != h || len(f.Extents)+len(f.Controls)+len(chunks) != 0 {
		t.Fatalf("fence reads as %+v, %v", f, err)
	}
	if len(object) != cap(object) || len(object) > 512 {
		t.Errorf("fence has %d bytes in %d", len(object), cap(object))
	}
}

func TestControlsComeBack(t *testing.T) {
	controls := someControls()
	for i := range 8 {
		controls = append(controls, segment.Control{Kind: segment.ControlRelease, Shard: shardKey(8, uint64(i)), Epoch: 1, Final: 2})
	}
	object, _ := encode(t, segment.NewCoder(), nil, controls, segment.Options{})
	f, need, err := segment.ParseFooter(object[len(object)-600:], int64(len(object)))
	if err != nil || f != nil || need <= 600 {
		t.Fatalf("the last 600 bytes gave %+v, need %d, %v", f, need, err)
	}
	f, need, err = segment.ParseFooter(object[int64(len(object))-need:], int64(len(object)))
	if err != nil || need != 0 {
		t.Fatalf("need %d, %v", need, err)
	}
	mustMatchControls(t, f.Controls, controls)
}

func TestFiveHundredExtentsFitOneSuffix(t *testing.T) {
	var chunks []*segment.Chunk
	for i := range uint64(520) {
		chunks = append(chunks, filled(segment.NewChunk(shardKey(1, i), 1, 0), 1, 1000, true))
	}
	object, extents := encode(t, segment.NewCoder(), chunks, nil, segment.Options{})
	f, need, err := segment.ParseFooter(object[len(object)-segment.SuffixSize:], int64(len(object)))
	if err != nil || need != 0 {
		t.Fatalf("need %d, %v", need, err)
	}
	for i := range extents {
		if f.Extents[i] != extents[i] {
			t.Fatalf("extent %d is %+v, in the footer %+v", i, extents[i], f.Extents[i])
		}
	}
}

func TestSameInputSameBytes(t *testing.T) {
	c := []*segment.Chunk{filled(segment.NewChunk(shardKey(1, 2), 1, 0), 1000, 300, false)}
	for _, codec := range codecs {
		a, _ := encode(t, segment.NewCoder(), c, nil, segment.Options{Codec: codec})
		b, _ := encode(t, segment.NewCoder(), c, nil, segment.Options{Codec: codec})
		if !bytes.Equal(a, b) {
			t.Errorf("%v: two encodings differ", codec)
		}
	}
}
