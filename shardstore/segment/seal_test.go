// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
)

// keyRing holds keys by their first byte.
type keyRing map[byte][]byte

func (r keyRing) Key(id leat.KeyID) ([]byte, error) {
	if secret := r[id[0]]; secret != nil {
		return secret, nil
	}
	return nil, leat.Errorf(leat.KindUnavailable, "no master key opens key %s", id)
}

func (r keyRing) key(n byte) segment.Key {
	return segment.Key{ID: leat.KeyID{n, 15: 0xaa}, Secret: r[n]}
}

var ring = keyRing{1: bytes.Repeat([]byte{1}, 32), 2: bytes.Repeat([]byte{2}, 32)}

func everyStream(leat.ShardKey) segment.Key { return ring.key(1) }

// secondStream seals the second stream of goldenChunks and leaves the first.
func secondStream(k leat.ShardKey) segment.Key {
	if k.Stream[0] == 2 {
		return ring.key(2)
	}
	return segment.Key{}
}

// drawKeys seals nothing, or some streams, or all, with one key or two.
func drawKeys(t *rapid.T) func(leat.ShardKey) segment.Key {
	if rapid.Bool().Draw(t, "plain") {
		return nil
	}
	of := rapid.SliceOfN(rapid.ByteRange(0, 2), 4, 4).Draw(t, "keys")
	return func(k leat.ShardKey) segment.Key {
		if n := of[int(k.Stream[0])%4]; n > 0 {
			return ring.key(n)
		}
		return segment.Key{}
	}
}

func sealedObject(t testing.TB, codec segment.Codec) ([]byte, []segment.Extent) {
	t.Helper()
	return encode(t, segment.NewCoder(), goldenChunks(), someControls(), segment.Options{Codec: codec, Key: everyStream})
}

// Nothing that a producer gave can be read in a sealed object, and all of it in one that is not.
func TestSealedObjectsShowNoRecord(t *testing.T) {
	for _, codec := range codecs {
		plain, _ := encode(t, segment.NewCoder(), goldenChunks(), nil, segment.Options{Codec: codec})
		sealed, extents := sealedObject(t, codec)
		for _, what := range []string{"0123456789abcdef", "key-3", "ключ"} {
			if codec == segment.CodecNone && !bytes.Contains(plain, []byte(what)) {
				t.Errorf("%v: %q is not in the plain object", codec, what)
			}
			if bytes.Contains(sealed, []byte(what)) {
				t.Errorf("%v: %q stands in the sealed object", codec, what)
			}
		}
		if len(sealed) != cap(sealed) && codec == segment.CodecNone {
			t.Errorf("object of %d bytes lies in a buffer of %d", len(sealed), cap(sealed))
		}
		for _, e := range extents {
			if !e.Sealed() || e.Nonce.IsZero() {
				t.Errorf("extent %+v", e)
			}
		}
	}
}

// Sealing leaves the chunks as they are: readers have them.
func TestSealingLeavesTheChunks(t *testing.T) {
	chunks := goldenChunks()
	want := [][]leat.Record{all(t, chunks[0]), all(t, chunks[1])}
	encode(t, segment.NewCoder(), chunks, nil, segment.Options{Key: everyStream})
	for i := range chunks {
		mustMatch(t, all(t, chunks[i]), want[i])
	}
}

func TestEveryFlippedBitOfASealedObjectIsFound(t *testing.T) {
	coder := segment.NewCoder().WithKeys(ring)
	for _, codec := range codecs {
		object, _ := sealedObject(t, codec)
		for i := range object {
			for bit := range 8 {
				object[i] ^= 1 << bit
				if _, _, err := coder.DecodeObject(object); err == nil {
					t.Fatalf("%v: bit %d of byte %d of %d was flipped, and nobody saw", codec, bit, i, len(object))
				}
				object[i] ^= 1 << bit
			}
		}
	}
}

func TestVerifyExtentFindsDamageWithoutAKey(t *testing.T) {
	object, extents := sealedObject(t, segment.CodecS2)
	for _, e := range extents {
		stored := object[e.Off : e.Off+e.Len]
		if err := segment.VerifyExtent(e, stored); err != nil {
			t.Fatal(err)
		}
		for i := range stored {
			stored[i] ^= 4
			wantKind(t, segment.VerifyExtent(e, stored), leat.KindCorrupt)
			stored[i] ^= 4
		}
		for n := range stored {
			cut := e
			cut.Len = int64(n)
			if err := segment.VerifyExtent(cut, stored[:n]); err == nil {
				t.Fatalf("cut to %d of %d bytes", n, len(stored))
			}
		}
		for name, change := range map[string]func(*segment.Extent){
			"count": func(e *segment.Extent) { e.Count++ }, "raw": func(e *segment.Extent) { e.Raw++ },
			"key": func(e *segment.Extent) { e.Key, e.Nonce = leat.KeyID{}, segment.Nonce{} },
			"min": func(e *segment.Extent) { e.MinTime-- },
		} {
			other := e
			change(&other)
			if segment.VerifyExtent(other, stored) == nil {
				t.Errorf("%s: taken", name)
			}
		}
	}
}

// A key that is not there is told from damage: the records are not lost.
func TestAKeyThatIsNotThereIsNotDamage(t *testing.T) {
	object, extents := sealedObject(t, segment.CodecS2)
	e := extents[0]
	for name, coder := range map[string]*segment.Coder{
		"no keys at all": segment.NewCoder(), "another key": segment.NewCoder().WithKeys(keyRing{2: ring[2]}),
	} {
		_, err := coder.DecodeExtent(e, object[e.Off:e.Off+e.Len])
		wantKind(t, err, leat.KindUnavailable)
		if !strings.Contains(err.Error(), e.Key.String()) || !strings.Contains(err.Error(), "master key") {
			t.Errorf("%s: %v", name, err)
		}
		_, _, err = coder.DecodeBlocks(e, e.First, object[e.Off:e.Off+e.Len])
		wantKind(t, err, leat.KindUnavailable)
	}
	wrong := segment.NewCoder().WithKeys(keyRing{1: ring[2]})
	_, err := wrong.DecodeExtent(e, object[e.Off:e.Off+e.Len])
	wantKind(t, err, leat.KindCorrupt)
}

// Whatever an extent claims about itself is part of its key.
func TestASealedExtentThatSaysOtherwiseIsRefused(t *testing.T) {
	coder := segment.NewCoder().WithKeys(ring)
	object, extents := sealedObject(t, segment.CodecNone)
	e := extents[0]
	for name, change := range map[string]func(e *segment.Extent){
		"key":      func(e *segment.Extent) { e.Key = ring.key(2).ID },
		"nonce":    func(e *segment.Extent) { e.Nonce[11] ^= 1 },
		"hash":     func(e *segment.Extent) { e.Hash ^= 1 << 40 },
		"no key":   func(e *segment.Extent) { e.Key, e.Nonce = leat.KeyID{}, segment.Nonce{} },
		"no nonce": func(e *segment.Extent) { e.Nonce = segment.Nonce{} },
	} {
		other := e
		change(&other)
		if c, _, err := coder.DecodeBlocks(other, other.First, object[e.Off:e.Off+e.Len]); leat.KindOf(err) != leat.KindCorrupt || c != nil {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

// No two encodings share what they are sealed with: neither two objects, nor two extents of one, nor two blocks.
func TestNoSealIsUsedTwice(t *testing.T) {
	zeros := func(shard, first uint64) *segment.Chunk {
		c := segment.NewChunk(shardKey(1, shard), 1, first)
		for range 3 { // blocks of their own, with the same bytes
			seal(c, leat.Record{PartitionKey: "k", Data: make([]byte, segment.BlockSize)}, 7)
		}
		return c
	}
	chunks := []*segment.Chunk{zeros(0, 0), zeros(0, 50), zeros(1, 0)}
	seen := map[string]string{}
	for n := range uint64(3) {
		h := header(segment.KindPack, n)
		h.Nonce[5] = byte(n)
		object, extents, err := segment.NewCoder().Encode(h, chunks, nil, segment.Options{Key: everyStream})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range extents {
			for at := e.Off; at < e.Off+e.Len; {
				size, err := segment.BlockLen(object[at:])
				if err != nil {
					t.Fatal(err)
				}
				stream := string(object[at+segment.BlockHeaderSize+64:][:64]) // of the same plain bytes
				place := e.Shard.String()
				if other, twice := seen[stream]; twice {
					t.Fatalf("object %d, %s at %d is sealed as %s", n, place, e.First, other)
				}
				seen[stream] = place
				at += int64(size)
			}
		}
	}
	if len(seen) != 27 {
		t.Errorf("%d blocks", len(seen))
	}
	h := header(segment.KindPack, 1)
	h.Nonce = [16]byte{15: 1}
	_, _, err := segment.NewCoder().Encode(h, chunks, nil, segment.Options{Key: everyStream})
	wantKind(t, err, leat.KindInternal)
}

func TestASealOfALaterVersionIsRefusedByName(t *testing.T) {
	object, extents := sealedObject(t, segment.CodecNone)
	e := extents[0]
	stored := slices.Clone(object[e.Off : e.Off+e.Len])
	stored[1] = 2
	_, _, err := segment.NewCoder().WithKeys(ring).DecodeBlocks(e, e.First, stored)
	wantKind(t, err, leat.KindUnsupported)
}

// FuzzOpen gives sealed blocks whose CRCs are right: nothing but the bytes that were sealed comes out.
func FuzzOpen(f *testing.F) {
	object, extents := sealedObject(f, segment.CodecS2)
	e := extents[0]
	stored := object[e.Off : e.Off+e.Len]
	f.Add(stored)
	f.Add(stored[:segment.BlockHeaderSize+16])
	coder := segment.NewCoder().WithKeys(ring)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = slices.Clone(b)
		segment.Resign(e, b)
		c, n, err := coder.DecodeBlocks(e, e.First, b)
		if err != nil && leat.KindOf(err) != leat.KindCorrupt && leat.KindOf(err) != leat.KindUnsupported {
			t.Fatal(err)
		}
		if c != nil && !bytes.Equal(b[:n], stored[:n]) {
			t.Fatalf("%d records of other bytes", c.Count)
		}
	})
}
