// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"hash/crc32"
	"math"

	"github.com/leatstream/leat"
)

const (
	// SuffixSize is how much of an object's end to read first: it holds the footer of some 520 extents.
	SuffixSize = 64 << 10
	// TrailerSize is the length of an object's end mark.
	TrailerSize = 40

	trailerMagic = "leatend\n"
	trailerCRC   = 28
	extentRow    = 124
	extentUsed   = 94 // where two reserved bytes stand
)

// Footer is an object's table of contents.
type Footer struct {
	Header   Header // a copy of the header
	Extents  []Extent
	Controls []Control
}

func footerSize(runs [][]*Chunk, controls []Control) int {
	n := HeaderSize + extentRow*len(runs)
	for i := range controls {
		n += controls[i].size()
	}
	return n
}

// appendFooter ends an object: footer, then trailer.
func appendFooter(b []byte, h *Header, extents []Extent, controls []Control) []byte {
	at := len(b)
	b = h.Append(b)
	for i := range extents {
		b = appendExtent(b, &extents[i])
	}
	for i := range controls {
		b = controls[i].append(b)
	}
	footer, end := b[at:], len(b)
	b = le.AppendUint64(b, uint64(at))
	b = le.AppendUint32(b, uint32(len(footer)))
	b = le.AppendUint32(b, uint32(len(extents)))
	b = le.AppendUint32(b, uint32(len(controls)))
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint32(b, crc32.Checksum(footer, castagnoli))
	b = le.AppendUint32(b, crc32.Checksum(b[end:], castagnoli))
	return append(b, trailerMagic...)
}

// appendExtent appends one row. An extent's place is not written: the first begins after the header, each other where
// the one before it ends.
func appendExtent(b []byte, e *Extent) []byte {
	b = appendShard(b, e.Shard)
	b = le.AppendUint64(b, e.Epoch)
	b = le.AppendUint64(b, e.First)
	b = le.AppendUint64(b, uint64(e.MinTime))
	b = le.AppendUint64(b, uint64(e.MaxTime))
	b = le.AppendUint64(b, e.Hash)
	b = le.AppendUint32(b, uint32(e.Count))
	b = le.AppendUint32(b, uint32(e.Len))
	b = le.AppendUint32(b, uint32(e.IndexLen))
	b = le.AppendUint32(b, uint32(e.Raw))
	b = le.AppendUint32(b, uint32(e.Bytes))
	b = le.AppendUint32(b, uint32(e.Units))
	b = le.AppendUint32(b, e.CRC)
	b = append(b, byte(e.Codec), e.Level, 0, 0)
	b = append(b, e.Key[:]...)
	return append(b, e.Nonce[:]...)
}

// ParseFooter reads the footer of an object of size bytes, of which suffix is the last ones. When that is too little
// it returns need > 0 and no footer: read that many last bytes and call again. It checks everything but the blocks.
func ParseFooter(suffix []byte, size int64) (f *Footer, need int64, err error) {
	const least = HeaderSize + HeaderSize + TrailerSize
	if size < least || int64(len(suffix)) > size {
		return nil, 0, corrupt("object of %d bytes, read %d: the least is %d", size, len(suffix), least)
	}
	if len(suffix) < TrailerSize {
		return nil, min(SuffixSize, size), nil
	}
	t, err := parseTrailer(suffix[len(suffix)-TrailerSize:], size)
	if err != nil {
		return nil, 0, err
	}
	if need = size - t.at; need > int64(len(suffix)) {
		return nil, need, nil
	}
	b := suffix[int64(len(suffix))-need : len(suffix)-TrailerSize]
	if got := crc32.Checksum(b, castagnoli); got != t.crc {
		return nil, 0, corrupt("footer has CRC %08x, its bytes %08x", t.crc, got)
	}
	f = new(Footer)
	if f.Header, err = ParseHeader(b); err != nil {
		return nil, 0, err
	}
	if f.Extents, err = parseExtents(b[HeaderSize:], t); err != nil {
		return nil, 0, err
	}
	f.Controls, err = parseControls(b[HeaderSize+extentRow*int(t.extents):], t.controls)
	if err != nil {
		return nil, 0, err
	}
	return f, 0, nil
}

// trailer tells where the footer is.
type trailer struct {
	at       int64
	extents  uint32
	controls uint32
	crc      uint32 // of the footer
}

func parseTrailer(b []byte, size int64) (t trailer, err error) {
	if string(b[trailerCRC+4:]) != trailerMagic {
		return t, corrupt("object of %d bytes ends with %q, not %q: cut off, or not ours", size, b[trailerCRC+4:], trailerMagic)
	}
	if got, want := crc32.Checksum(b[:trailerCRC], castagnoli), le.Uint32(b[trailerCRC:]); got != want {
		return t, corrupt("trailer has CRC %08x, its bytes %08x", want, got)
	}
	if !zero(b[20:24]) {
		return t, unsupported("trailer with reserved bytes in use")
	}
	at, length := le.Uint64(b), int64(le.Uint32(b[8:]))
	t = trailer{extents: le.Uint32(b[12:]), controls: le.Uint32(b[16:]), crc: le.Uint32(b[24:])}
	if at < HeaderSize || at > math.MaxInt64-TrailerSize-math.MaxUint32 || int64(at)+length+TrailerSize != size {
		return t, corrupt("object of %d bytes has its footer at %d+%d: cut off, or joined", size, at, length)
	}
	if length < HeaderSize+extentRow*int64(t.extents) {
		return t, corrupt("footer of %d bytes for %d extents", length, t.extents)
	}
	t.at = int64(at)
	return t, nil
}

// parseExtents reads the rows, gives each its place, and checks that together they fill the object in order.
func parseExtents(b []byte, t trailer) ([]Extent, error) {
	if t.extents == 0 && t.at == HeaderSize {
		return nil, nil
	}
	extents := make([]Extent, t.extents)
	off := int64(HeaderSize)
	for i := range extents {
		row, e := b[i*extentRow:(i+1)*extentRow], &extents[i]
		if !zero(row[extentUsed : extentUsed+2]) {
			return nil, unsupported("extent with reserved bytes in use")
		}
		parseExtent(row, e)
		e.Off = off
		if err := e.check(); err != nil {
			return nil, err
		}
		if i > 0 && !extents[i-1].precedes(e) {
			return nil, corrupt("extents of %v at %d and %v at %d are out of order", extents[i-1].Shard, extents[i-1].First, e.Shard, e.First)
		}
		off += e.Len + e.IndexLen
	}
	if off != t.at {
		return nil, corrupt("extents end at %d, the footer begins at %d", off, t.at)
	}
	return extents, nil
}

func parseExtent(row []byte, e *Extent) {
	r := reader{b: row}
	e.Shard, e.Epoch, e.First = r.shard(), r.u64(), r.u64()
	e.MinTime, e.MaxTime, e.Hash = int64(r.u64()), int64(r.u64()), r.u64()
	e.Count, e.Len, e.IndexLen = uint64(r.u32()), int64(r.u32()), int64(r.u32())
	e.Raw, e.Bytes, e.Units = int64(r.u32()), int64(r.u32()), int64(r.u32())
	e.CRC, e.Codec, e.Level = r.u32(), Codec(r.u8()), r.u8()
	e.Key = leat.KeyID(row[extentUsed+2:])
	e.Nonce = Nonce(row[extentUsed+2+len(e.Key):])
}

// precedes is the order of extents in an object.
func (e *Extent) precedes(o *Extent) bool {
	switch e.Shard.Compare(o.Shard) {
	case 0:
		return e.End() <= o.First && e.Epoch <= o.Epoch && e.MaxTime <= o.MinTime
	case -1:
		return true
	}
	return false
}
