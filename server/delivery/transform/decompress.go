// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/leatstream/leat/server/delivery/spec"
)

// decompress undoes the compression of records: a given one, or, record by record, the one whose first bytes it has;
// then what has none of them goes on as it is.
type decompress struct {
	kind spec.Compression
	zstd sync.Pool
}

func newDecompress(c spec.Compression) (step, error) {
	first, err := openZstd()
	d := &decompress{kind: c}
	d.zstd.Put(first)
	return d, err
}

func openZstd() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(MaxOutputBytes))
}

func (*decompress) close() error { return nil } // decoders that are used by one at a time have nothing to stop

// magics are how compressed records begin.
var magics = map[spec.Compression]string{
	spec.Gzip: "\x1f\x8b\x08", spec.Zstd: "\x28\xb5\x2f\xfd", spec.Snappy: "\xff\x06\x00\x00sNaPpY",
}

func (d *decompress) apply(_ context.Context, b *batch, in []item) ([]item, error) {
	return each(b, in, func(out []item, it *item) ([]item, *failure) {
		kind := d.kind
		for c, magic := range magics {
			if kind == "" && bytes.HasPrefix(it.data, []byte(magic)) {
				kind = c
				break
			}
		}
		if kind == "" {
			return append(out, *it), nil
		}
		room := b.room()
		data, err := d.open(kind, it.data, room)
		if errors.Is(err, errLarge) {
			b.exceed(room)
		}
		if err != nil {
			return nil, failed("Decompression.Error", "the record is not %s: %v", kind, err)
		}
		next := *it
		next.data = data
		return append(out, next), nil
	}), nil
}

var errLarge = errors.New("it is too large when it is decompressed")

// open decompresses into most bytes at most.
func (d *decompress) open(kind spec.Compression, data []byte, most int) ([]byte, error) {
	var r io.Reader
	switch kind {
	case spec.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		r = z
	case spec.Zstd:
		z, ok := d.zstd.Get().(*zstd.Decoder)
		if !ok {
			var err error
			if z, err = openZstd(); err != nil {
				return nil, err
			}
		}
		defer func() {
			_ = z.Reset(nil) // it lets go of the record
			d.zstd.Put(z)
		}()
		if err := z.Reset(bytes.NewReader(data)); err != nil {
			return nil, err
		}
		r = z
	default:
		r = s2.NewReader(bytes.NewReader(data), s2.ReaderAllocBlock(64<<10))
	}
	out, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(out) > most {
		err = errLarge
	}
	return out, err
}
