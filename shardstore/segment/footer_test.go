// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"slices"
	"testing"

	"github.com/leatstream/leat"
)

// plain makes a chunk of n records of one shard.
func plain(ordinal, epoch, first uint64, n int, time int64) *Chunk {
	c := NewChunk(leat.ShardKey{Ordinal: ordinal}, epoch, first)
	for range n {
		r := leat.Record{PartitionKey: "key", Data: []byte("data"), Offset: c.End(), Time: time}
		r.CRC = r.Checksum()
		c.Append(&r)
	}
	return c
}

// A footer whose checksums are right but whose extents cannot be is refused.
func TestFootersThatContradictThemselves(t *testing.T) {
	chunks := []*Chunk{plain(1, 1, 0, 5, 10), plain(1, 2, 5, 5, 20), plain(2, 1, 0, 5, 10)}
	object, extents, err := NewCoder().Encode(Header{Kind: KindPack}, chunks, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	end := extents[2].Off + extents[2].Len
	for name, change := range map[string]func(x []Extent) []Extent{
		"nothing":     nil,
		"order":       func(x []Extent) []Extent { x[0], x[2] = x[2], x[0]; return x },
		"overlap":     func(x []Extent) []Extent { x[1].First = 4; return x },
		"twice":       func(x []Extent) []Extent { x[1] = x[0]; return x },
		"epochs fall": func(x []Extent) []Extent { x[0].Epoch = 3; return x },
		"times fall":  func(x []Extent) []Extent { x[0].MaxTime = 21; return x },
		"one missing": func(x []Extent) []Extent { return x[:2] },
		"none":        func(x []Extent) []Extent { return nil },
		"one too many": func(x []Extent) []Extent {
			return append(x, Extent{Shard: leat.ShardKey{Ordinal: 9}, Count: 1, Len: 100, Raw: 50})
		},
		"length":        func(x []Extent) []Extent { x[1].Len++; return x },
		"index":         func(x []Extent) []Extent { x[1].IndexLen = 28; return x },
		"no records":    func(x []Extent) []Extent { x[1].Count = 0; return x },
		"time reversed": func(x []Extent) []Extent { x[1].MinTime = 21; return x },
		"offsets wrap":  func(x []Extent) []Extent { x[2].First = ^uint64(0); return x },
		"raw":           func(x []Extent) []Extent { x[1].Raw = MaxExtentRaw + 1; return x },
		"empty blocks":  func(x []Extent) []Extent { x[1].Len = blockHeaderSize; return x },
	} {
		x := slices.Clone(extents)
		if change != nil {
			x = change(x)
		}
		made := appendFooter(slices.Clone(object[:end]), &Header{Kind: KindPack}, x, nil)
		_, _, err := ParseFooter(made, int64(len(made)))
		if change == nil {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if leat.KindOf(err) != leat.KindCorrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Control records that do not fill their part of the footer, from both sides.
func TestControlsThatDoNotFit(t *testing.T) {
	c := Control{Kind: ControlReshard, Reshard: &Reshard{ID: "x", Parents: make([]ReshardParent, 2), Children: make([]ReshardChild, 2)}}
	b := c.append(nil)
	if got, err := parseControls(b, 1); err != nil || len(got) != 1 {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := parseControls(b[:n], 1); leat.KindOf(err) != leat.KindCorrupt && leat.KindOf(err) != leat.KindUnsupported {
			t.Errorf("a control record of %d bytes was read from %d: %v", len(b), n, err)
		}
	}
	for _, n := range []uint32{0, 2, 3, 1 << 31} {
		if _, err := parseControls(b, n); err == nil {
			t.Errorf("one control record was read as %d", n)
		}
	}
}

// DecodeObject sees what no part of the object shows alone: two objects in one.
func TestHeaderOfAnotherObjectIsRefused(t *testing.T) {
	coder := NewCoder()
	object, _, err := coder.Encode(Header{Kind: KindPack, N: 1}, []*Chunk{plain(1, 1, 0, 5, 10)}, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	other := Header{Kind: KindPack, N: 2}
	copy(object, other.Append(nil))
	if _, _, err := coder.DecodeObject(object); leat.KindOf(err) != leat.KindCorrupt {
		t.Errorf("header 2 with footer 1: %v", err)
	}
}

func TestDecodeBlocksWantsAnOffsetOfTheExtent(t *testing.T) {
	coder := NewCoder()
	object, extents, err := coder.Encode(Header{Kind: KindPack}, []*Chunk{plain(1, 1, 7, 5, 10)}, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := extents[0]
	stored := object[e.Off : e.Off+e.Len]
	for _, first := range []uint64{0, 6, 12, ^uint64(0)} {
		if _, _, err := coder.DecodeBlocks(e, first, stored); leat.KindOf(err) != leat.KindInternal {
			t.Errorf("offset %d: %v", first, err)
		}
	}
	if _, _, err := coder.DecodeBlocks(e, 8, stored); leat.KindOf(err) != leat.KindCorrupt {
		t.Errorf("blocks from 7 were taken for blocks from 8: %v", err)
	}
	for n := range stored {
		if c, consumed, err := coder.DecodeBlocks(e, 7, stored[:n]); c != nil || consumed != 0 || err != nil {
			t.Errorf("%d of %d bytes of a block: %v, %d, %v", n, len(stored), c, consumed, err)
		}
	}
	if _, err := BlockLen(stored[:BlockHeaderSize-1]); err == nil {
		t.Error("the length of a block was read from less than its header")
	}
	if n, err := BlockLen(stored[:BlockHeaderSize]); err != nil || n != len(stored) {
		t.Errorf("a block of %d bytes has length %d, %v", len(stored), n, err)
	}
}
