// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

var update = flag.Bool("update", false, "write the golden files anew; a change of them is a change of the format")

// someControls has one control record of each kind.
func someControls() []segment.Control {
	ranges := leat.SplitEvenly(2)
	return []segment.Control{
		{Kind: segment.ControlOpen},
		{Kind: segment.ControlRelease, Shard: shardKey(1, 4), Epoch: 7, Final: 123456},
		{Kind: segment.ControlReshard, Reshard: &segment.Reshard{
			ID:       "intent-1",
			Time:     1_700_000_000_000_100,
			Parents:  []segment.ReshardParent{{Shard: shardKey(1, 0), Epoch: 3, Final: 1040}},
			Children: []segment.ReshardChild{{Shard: shardKey(1, 8), Range: ranges[0]}, {Shard: shardKey(1, 9), Range: ranges[1]}},
		}},
		{Kind: segment.ControlClose},
	}
}

func mustMatchControls(t testing.TB, got, want []segment.Control) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("control records differ (-want +got):\n%s", d)
	}
}

func goldenChunks() []*segment.Chunk {
	a := segment.NewChunk(shardKey(1, 0), 3, 1000)
	a.MaxTime = 1_700_000_000_000_000
	b := segment.NewChunk(shardKey(2, 1), 1, 0)
	seal(b, leat.Record{PartitionKey: "ключ", ExplicitHash: &leat.HashKey{Hi: 1, Lo: 2}, Data: []byte{}}, 1_700_000_000_000_050)
	return []*segment.Chunk{filled(a, 40, 60, false), b}
}

// The compressors may change their output between versions: what they write is compared after decoding.
func TestGoldenFiles(t *testing.T) {
	coder := segment.NewCoder().WithKeys(ring)
	object := func(kind segment.Kind, controls []segment.Control, o segment.Options) []byte {
		b, _, err := coder.Encode(header(kind, 9), goldenChunks(), controls, o)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, g := range []struct {
		name  string
		made  []byte
		exact bool
	}{
		{"segment", object(segment.KindSegment, someControls(), segment.Options{}), true},
		{"segment-s2", object(segment.KindSegment, someControls(), segment.Options{Codec: segment.CodecS2}), false},
		{"pack-zstd", object(segment.KindPack, nil, segment.Options{Codec: segment.CodecZstd, Level: 1}), false},
		{"segment-sealed", object(segment.KindSegment, someControls(), segment.Options{Key: secondStream}), true},
		{"pack-sealed-zstd", object(segment.KindPack, nil, segment.Options{Codec: segment.CodecZstd, Level: 1, Key: everyStream}), false},
		{"fence", segment.Fence(header(segment.KindFence, 9)), true},
	} {
		t.Run(g.name, func(t *testing.T) {
			path := filepath.Join("testdata", g.name+".golden")
			if *update {
				if err := os.WriteFile(path, g.made, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			stored, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if g.exact && !bytes.Equal(stored, g.made) {
				t.Errorf("%s: this version writes other bytes (%d, golden %d)", path, len(g.made), len(stored))
			}
			compareObjects(t, coder, stored, g.made)
		})
	}
}

// compareObjects wants the same content in two objects, whatever their compression.
func compareObjects(t *testing.T, coder *segment.Coder, old, made []byte) {
	t.Helper()
	fo, co, err := coder.DecodeObject(old)
	if err != nil {
		t.Fatal(err)
	}
	fm, cm, err := coder.DecodeObject(made)
	if err != nil {
		t.Fatal(err)
	}
	if fo.Header != fm.Header || len(co) != len(cm) {
		t.Fatalf("golden has header %+v and %d extents, this version %+v and %d", fo.Header, len(co), fm.Header, len(cm))
	}
	mustMatchControls(t, fo.Controls, fm.Controls)
	for i := range co {
		a, b := fo.Extents[i], fm.Extents[i]
		if a.Shard != b.Shard || a.Epoch != b.Epoch || a.First != b.First || a.Count != b.Count || a.Hash != b.Hash || a.Raw != b.Raw || a.Bytes != b.Bytes || a.Units != b.Units || a.Codec != b.Codec || a.Level != b.Level || a.Key != b.Key || a.Nonce != b.Nonce {
			t.Errorf("golden extent %+v, this version %+v", a, b)
		}
		mustMatch(t, all(t, co[i]), all(t, cm[i]))
	}
}
