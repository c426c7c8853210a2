// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/segment"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sampleClosing has every field, with numbers that a float would not hold.
func sampleClosing() shardstore.Closing {
	stream, session := leat.StreamID{1, 2, 3}, leat.SessionID{0xaa, 0xbb}
	key := leat.ShardKey{Stream: stream, Ordinal: math.MaxUint64}
	return shardstore.Closing{
		Session: session, Trim: 7, Fence: 9,
		Shards: []shardstore.ClosedShard{{
			Shard: key, Epoch: 3, Final: math.MaxUint64 - 1, LastTime: 1_700_000_000_000_001,
			Extents: []shardstore.Extent{{
				Shard: key, Epoch: 3, First: math.MaxUint64 - 4, Count: 3, MinTime: 1_700_000_000_000_000, MaxTime: 1_700_000_000_000_001,
				Object: "wal/aabb0000000000000000000000000000/00000000000000000007", Off: 128, Len: 900, IndexLen: 4, Raw: 1000, Bytes: 950,
				Units: 3, Codec: segment.CodecS2, CRC: math.MaxUint32, Hash: math.MaxUint64 - 7, Level: 1,
			}},
		}},
		Reshards: []shardstore.Reshard{{
			ID: "intent 1", Time: 1_700_000_000_000_002,
			Parents: []segment.ReshardParent{{Shard: key, Epoch: 3, Final: math.MaxUint64 - 1}},
			Children: []segment.ReshardChild{{
				Shard: leat.ShardKey{Stream: stream, Ordinal: 5},
				Range: leat.HashKeyRange{Start: leat.HashKey{Hi: 1, Lo: 2}, End: leat.HashKey{Hi: math.MaxUint64, Lo: math.MaxUint64}},
			}},
		}},
	}
}

// The form of closed/<session> is kept: what an older version wrote is read for ever.
func TestClosingGolden(t *testing.T) {
	want := sampleClosing()
	body, err := shardstore.EncodeClosing(want)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("testdata", "closed.golden")
	if *update {
		if err := os.WriteFile(name, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, body) {
		t.Errorf("a closing is written otherwise than before:\n%s\nwant\n%s", body, golden)
	}
	got, err := shardstore.DecodeClosing(golden)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v", got, err)
	}
}

// Every turned bit and every cut is seen.
func TestClosingDamage(t *testing.T) {
	body, err := shardstore.EncodeClosing(sampleClosing())
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		for bit := range 8 {
			b := bytes.Clone(body)
			b[i] ^= 1 << bit
			if _, err := shardstore.DecodeClosing(b); leat.KindOf(err) != leat.KindCorrupt {
				t.Fatalf("bit %d of byte %d: %v", bit, i, err)
			}
		}
		if _, err := shardstore.DecodeClosing(body[:i]); leat.KindOf(err) != leat.KindCorrupt {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// The closing of one session under the name of another is refused.
func TestClosingOfAnother(t *testing.T) {
	body, err := shardstore.EncodeClosing(sampleClosing())
	if err != nil {
		t.Fatal(err)
	}
	blobs, other := mem.New(nil), leat.SessionID{9}
	if err := blobs.Create(t.Context(), shardstore.ClosingKey(other), body); err != nil {
		t.Fatal(err)
	}
	if _, err := shardstore.ReadClosing(t.Context(), blobs, other); leat.KindOf(err) != leat.KindCorrupt {
		t.Fatalf("got %v", err)
	}
}

func FuzzDecodeClosing(f *testing.F) {
	body, err := shardstore.EncodeClosing(sampleClosing())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte("leat-closed 1 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, shardstore.SealClosing(b)} { // SealClosing gets behind the checksum
			c, err := shardstore.DecodeClosing(b)
			if err != nil {
				continue
			}
			again, err := shardstore.EncodeClosing(c)
			if err != nil {
				t.Fatalf("%+v was read and cannot be written: %v", c, err)
			}
			if back, err := shardstore.DecodeClosing(again); err != nil || !reflect.DeepEqual(back, c) {
				t.Fatalf("%+v became %+v, %v", c, back, err)
			}
		}
	})
}
