// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

const (
	sampleSize = 4 << 10   // of a block, tried before the whole
	minPack    = 128       // raw bytes below which compression is not tried
	zstdWindow = 256 << 10 // records larger than this are rare
)

// Coder encodes and decodes objects. It keeps the state of the compressors, so a process makes one; any number of
// goroutines may use it. It needs no closing.
type Coder struct {
	enc  *zstd.Encoder
	dec  *zstd.Decoder
	keys Keys // nil: sealed extents are not opened

	halvesFrom int // raw bytes from which two goroutines encode an object; 0 for never
}

// NewCoder returns a coder whose compressors run on all processors.
func NewCoder() *Coder {
	n := runtime.GOMAXPROCS(0)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(n),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(fmt.Sprintf("segment: options of the zstd encoder: %v", err))
	}
	// What a frame claims is not believed: the cap limit keeps its content within the length that the block declares.
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(n), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxBlockRaw), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(fmt.Sprintf("segment: options of the zstd decoder: %v", err))
	}
	c := &Coder{enc: enc, dec: dec}
	if n > 1 {
		c.halvesFrom = halvesFrom
	}
	return c
}

// shrink appends src to dst, compressed where that saves an eighth at least, and tells how.
func (c *Coder) shrink(dst, src []byte, want Codec) ([]byte, Codec) {
	if want == CodecNone || len(src) < minPack {
		return append(dst, src...), CodecNone
	}
	at := len(dst)
	dst = slices.Grow(dst, s2.MaxEncodedLen(len(src)))
	var out []byte
	switch want {
	case CodecS2:
		if !sampleShrinks(dst[at:cap(dst)], src) {
			return append(dst, src...), CodecNone
		}
		out = s2.Encode(dst[at:cap(dst)], src)
		if saves(len(src), len(out)) {
			return dst[:at+len(out)], CodecS2 // s2 wrote in place: the capacity was enough
		}
	case CodecZstd:
		out = c.enc.EncodeAll(src, dst)
		if saves(len(src), len(out)-at) {
			return out, CodecZstd
		}
	}
	return append(dst[:at], src...), CodecNone
}

func saves(raw, stored int) bool { return stored <= raw-raw/8 }

// sampleShrinks tries S2 on a part of src, in scratch: random bytes are not worth a whole attempt.
func sampleShrinks(scratch, src []byte) bool {
	if len(src) < 4*sampleSize {
		return true
	}
	from := (len(src) - sampleSize) / 2
	return saves(sampleSize, len(s2.Encode(scratch, src[from:from+sampleSize])))
}

// expand undoes shrink. The header is within its bounds; stored is what shrink wrote, opened where it was sealed. What
// was not compressed is returned as it is.
func (c *Coder) expand(h *blockHeader, stored []byte) ([]byte, error) {
	switch h.codec {
	case CodecNone:
		if len(stored) != int(h.raw) {
			return nil, corrupt("plain block of %d bytes stores %d", h.raw, len(stored))
		}
		return stored[:len(stored):len(stored)], nil
	case CodecS2:
		if n, err := s2.DecodedLen(stored); err != nil || n != int(h.raw) {
			return nil, corrupt("s2 block of %d bytes holds %d", h.raw, n)
		}
		raw, err := s2.Decode(make([]byte, h.raw), stored)
		if err != nil {
			return nil, corrupt("s2 block: %w", err)
		}
		return raw, nil
	default: // checked: zstd
		raw, err := c.dec.DecodeAll(stored, make([]byte, 0, h.raw))
		if err != nil {
			return nil, corrupt("zstd block: %w", err)
		}
		if len(raw) != int(h.raw) {
			return nil, corrupt("zstd block of %d bytes holds %d", h.raw, len(raw))
		}
		return raw, nil
	}
}
