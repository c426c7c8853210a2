// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/leatstream/leat/server/delivery/spec"
)

// resetter is a compressor that can be used again.
type resetter interface {
	io.WriteCloser
	Reset(io.Writer)
}

// compressors opens compressed writers. Those that are large are kept for their next use.
type compressors struct {
	kind spec.Compression
	pool sync.Pool
}

func newCompressors(c spec.Compression) (*compressors, error) {
	p := &compressors{kind: c}
	switch c {
	case spec.None, "", spec.HadoopSnappy, spec.Zip:
	case spec.Gzip:
		p.pool.New = func() any { return gather(gzip.NewWriter(nil)) }
	case spec.Snappy:
		p.pool.New = func() any { return gather(s2.NewWriter(nil, s2.WriterSnappyCompat(), s2.WriterConcurrency(1))) }
	case spec.Zstd:
		if _, err := zstd.NewWriter(nil, zstdOptions()...); err != nil {
			return nil, err
		}
		p.pool.New = func() any {
			w, err := zstd.NewWriter(nil, zstdOptions()...)
			if err != nil {
				panic(err) // it was tried above
			}
			return gather(w)
		}
	default:
		return nil, fmt.Errorf("encode: there is no compression %q", c)
	}
	return p, nil
}

func zstdOptions() []zstd.EOption {
	return []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault)}
}

func (p *compressors) open(w io.Writer) (io.WriteCloser, error) {
	switch p.kind {
	case spec.HadoopSnappy:
		return &hadoopSnappy{w: w}, nil
	case spec.Zip:
		z := zip.NewWriter(w)
		entry, err := z.CreateHeader(&zip.FileHeader{Name: "data", Method: zip.Deflate}) // no time: it would be the clock's
		return &zipped{Writer: entry, z: z}, err
	case spec.Gzip, spec.Snappy, spec.Zstd:
		c := p.pool.Get().(*gathered)
		c.reset(w)
		return &pooled{gathered: c, p: p}, nil
	}
	return plain{w}, nil
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// gathered is a compressor that gets records, and delimiters of one byte, by the block.
type gathered struct {
	*bufio.Writer
	to resetter
}

const gatherBytes = 32 << 10

func gather(to resetter) *gathered { return &gathered{bufio.NewWriterSize(to, gatherBytes), to} }

func (g *gathered) reset(w io.Writer) {
	g.to.Reset(w)
	g.Reset(g.to)
}

// pooled gives its compressor back once. An object that is never closed costs one.
type pooled struct {
	*gathered
	p *compressors
}

func (c *pooled) Close() error {
	if c.gathered == nil {
		return nil
	}
	err := c.Flush()
	if err == nil {
		err = c.to.Close()
	}
	c.reset(nil)
	c.p.pool.Put(c.gathered)
	c.gathered = nil
	return err
}

type zipped struct {
	io.Writer
	z *zip.Writer
}

func (z *zipped) Close() error { return z.z.Close() }

// hadoopBlock is how much Hadoop's SnappyCodec takes into a block by default (io.compression.codec.snappy.buffersize).
const hadoopBlock = 256 << 10

// hadoopSnappy is the form of Hadoop's block compressors: blocks of {raw length, then chunks of {stored length, snappy
// block} until the raw length is reached}; lengths are big-endian, 4 bytes. Here each block is one chunk.
type hadoopSnappy struct {
	w   io.Writer
	raw []byte
	out []byte
}

func (h *hadoopSnappy) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if h.raw == nil {
			h.raw = make([]byte, 0, hadoopBlock)
		}
		take := min(len(p), hadoopBlock-len(h.raw))
		h.raw, p = append(h.raw, p[:take]...), p[take:]
		if len(h.raw) == hadoopBlock {
			if err := h.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (h *hadoopSnappy) flush() error {
	if len(h.raw) == 0 {
		return nil
	}
	if need := 8 + s2.MaxEncodedLen(len(h.raw)); len(h.out) < need {
		h.out = make([]byte, need)
	}
	block := s2.EncodeSnappy(h.out[8:], h.raw)
	binary.BigEndian.PutUint32(h.out, uint32(len(h.raw)))
	binary.BigEndian.PutUint32(h.out[4:], uint32(len(block)))
	_, err := h.w.Write(h.out[:8+len(block)])
	h.raw = h.raw[:0]
	return err
}

func (h *hadoopSnappy) Close() error { return h.flush() }
