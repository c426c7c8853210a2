// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/leatstream/leat"
)

// Options say how an object is encoded.
type Options struct {
	Codec Codec // what to try; a block that does not shrink by an eighth is stored as it is
	Level uint8 // of every extent: 0 segment, 1 pack, 2 and above merged packs
	// Key names what seals a shard's extents, and gives the same answer throughout one Encode, to two goroutines; nil:
	// nothing is sealed.
	// The header MUST have a nonce that no other object has.
	Key func(leat.ShardKey) Key
	// Into is memory for the object, which is used if its capacity is enough; what it holds does not matter. The caller
	// MUST NOT use it otherwise as long as it uses the object.
	Into []byte
}

// Encode makes a whole object of chunks, which MUST be sorted by shard and first offset and have records, and control
// records. Adjacent chunks of one shard and epoch without a gap become one extent, their small blocks joined, up to
// MaxExtentRaw; a chunk is never divided between extents. Extents come in the order of the chunks; their Object is empty.
//
// Before it returns, the records that were written are checked against their checksums, counted, timed and summed again
// and compared with the chunks (invariant I8): what a fault in memory changed is neither acked nor packed. An error,
// KindInternal or KindCorrupt, means that nothing may be deleted or acked for these chunks.
func (c *Coder) Encode(h Header, chunks []*Chunk, controls []Control, o Options) (object []byte, extents []Extent, err error) {
	if o.Codec >= codecEnd {
		return nil, nil, broken("codec %d", o.Codec)
	}
	for i := range controls {
		if err := controls[i].check(); err != nil {
			return nil, nil, err
		}
	}
	runs, err := runsOf(chunks)
	if err != nil {
		return nil, nil, err
	}
	nonce := Nonce(h.Nonce[:sealNonce])
	if o.Key != nil && nonce.IsZero() {
		return nil, nil, broken("an object with sealed extents has no nonce")
	}
	object = o.Into[:0]
	if size := sizeOf(runs, controls, o); size > cap(object) {
		object = make([]byte, 0, size)
	}
	object = h.Append(object)
	extents = make([]Extent, len(runs))
	w := writer{coder: c, codec: o.Codec, key: o.Key, nonce: nonce, verify: verifier{content: true}}
	if object, err = c.encodeRuns(object, runs, extents, &w); err != nil {
		return nil, nil, err
	}
	for i := range extents {
		extents[i].Level = o.Level
		if err := extents[i].check(); err != nil {
			return nil, nil, err
		}
	}
	return appendFooter(object, &h, extents, controls), extents, nil
}

// Fence returns a whole small object that ends a session's log: the header with KindFence, nothing else. Whoever reads
// it where a segment should be knows that the session is over.
func Fence(h Header) []byte {
	h.Kind = KindFence
	object := make([]byte, 0, HeaderSize+footerSize(nil, nil)+TrailerSize)
	return appendFooter(h.Append(object), &h, nil, nil)
}

// runsOf groups chunks into the runs that become extents.
func runsOf(chunks []*Chunk) (runs [][]*Chunk, err error) {
	start := 0
	var raw int64
	for i, c := range chunks {
		if c.Count == 0 || len(c.blocks) == 0 {
			return nil, broken("chunk of %v at %d has no records", c.Shard, c.First)
		}
		size := c.raw()
		joins := false
		if i > 0 {
			p := chunks[i-1]
			order := p.Shard.Compare(c.Shard)
			if order > 0 || (order == 0 && (p.End() > c.First || p.Epoch > c.Epoch || p.MaxTime > c.MinTime)) {
				return nil, broken("chunk of %v at %d in epoch %d comes after %v at %d in epoch %d", c.Shard, c.First, c.Epoch, p.Shard, p.First, p.Epoch)
			}
			joins = order == 0 && p.End() == c.First && p.Epoch == c.Epoch && raw+size <= MaxExtentRaw-joinSlack
			if !joins {
				runs = append(runs, chunks[start:i])
				start, raw = i, 0
			}
		}
		if raw += size; raw > MaxExtentRaw-joinSlack {
			return nil, broken("chunk of %v at %d has %d bytes", c.Shard, c.First, size)
		}
	}
	if len(chunks) > 0 {
		runs = append(runs, chunks[start:])
	}
	return runs, nil
}

// joinSlack is left for the longer Δtimes of joined blocks.
const joinSlack = MaxExtentRaw / 8

func (c *Chunk) raw() (n int64) {
	for i := range c.blocks {
		n += int64(len(c.blocks[i].raw))
	}
	return n
}

// blockPlace is in a run: before a block of a chunk.
type blockPlace struct{ ci, bi int }

// joiner goes over the blocks of a run and says which of them make one block of the object. It is used twice: to know
// the object's size, and to write it.
type joiner struct {
	run        []*Chunk
	blockPlace          // of the next group
	parts      []*block // the blocks of the current group
	rel        uint64   // of the group, relative to the run's first
	count      uint64
	size       int // raw bytes of the group, joined
}

func (j *joiner) start(run []*Chunk) { *j = joiner{run: run, parts: j.parts[:0]} }

// next moves to the next group; false at the end.
func (j *joiner) next() bool {
	j.parts, j.count, j.size = j.parts[:0], 0, 0
	for j.ci < len(j.run) {
		c := j.run[j.ci]
		b := &c.blocks[j.bi]
		size := len(b.raw)
		if n := len(j.parts); n > 0 {
			size += uvarintLen(uint64(b.base-j.parts[n-1].last)) - 1
			if j.size+size > BlockSize {
				return true
			}
		} else {
			j.rel = c.First - j.run[0].First + b.rel
		}
		j.parts = append(j.parts, b)
		j.count += b.count
		j.size += size
		if j.bi++; j.bi == len(c.blocks) {
			j.ci, j.bi = j.ci+1, 0
		}
	}
	return len(j.parts) > 0
}

// joined returns the raw bytes of the group, which may be those of its only block. In a block that follows another the
// first record's Δtime, which was 0 in one byte, becomes the time since the record before it; the rest stays.
func (j *joiner) joined(scratch []byte) []byte {
	if len(j.parts) == 1 {
		return j.parts[0].raw
	}
	for i, p := range j.parts {
		if i == 0 {
			scratch = append(scratch[:0], p.raw...)
			continue
		}
		scratch = binary.AppendUvarint(scratch, uint64(p.base-j.parts[i-1].last))
		scratch = append(scratch, p.raw[1:]...)
	}
	return scratch
}

// sizeOf is the exact length of an object that is not compressed; with a codec it is enough for any outcome.
func sizeOf(runs [][]*Chunk, controls []Control, o Options) int {
	perBlock := blockHeaderSize
	if o.Key != nil {
		perBlock += sealTag // at most: some extents may not be sealed
	}
	n := HeaderSize + TrailerSize + footerSize(runs, controls)
	slack := 0
	var j joiner
	for _, run := range runs {
		j.start(run)
		length, mark, rows := 0, 0, 1
		for j.next() {
			if length-mark >= indexEvery {
				mark, rows = length, rows+1
			}
			length += perBlock + j.size
			slack = max(slack, j.size)
		}
		if length > indexFrom {
			length += rows*indexRow + 4
		}
		n += length
	}
	if o.Codec != CodecNone {
		n += s2.MaxEncodedLen(slack) - slack // compressors write in place, and may need more before they lose
	}
	return n
}

// writer writes extents.
type writer struct {
	coder   *Coder
	codec   Codec
	joiner  joiner
	key     func(leat.ShardKey) Key
	nonce   Nonce
	seal    *sealer // of the extent that is being written; nil: it is not sealed
	verify  verifier
	scratch []byte
	index   Index  // of the run's blocks, a row for each
	want    totals // of the run
	skipped uint64 // records of the run that another writer wrote
	last    int64  // time of the run's last record so far
}

// extent appends the blocks and index of a run and describes them in e.
func (w *writer) extent(object []byte, run []*Chunk, e *Extent) ([]byte, error) {
	if err := w.begin(run, e, int64(len(object))); err != nil {
		return nil, err
	}
	object, err := w.blocks(object, e, nil)
	if err != nil {
		return nil, err
	}
	return w.end(object, run, e)
}

// begin describes in e what is known of a run before its blocks, which will stand from off on, and chooses what seals it.
func (w *writer) begin(run []*Chunk, e *Extent, off int64) (err error) {
	head, tail := run[0], run[len(run)-1]
	*e = Extent{Shard: head.Shard, Epoch: head.Epoch, First: head.First, MinTime: head.MinTime, MaxTime: tail.MaxTime, Off: off}
	w.want = totals{}
	for _, c := range run {
		w.want.addChunk(c)
	}
	w.joiner.start(run)
	w.index, w.verify.sum, w.skipped, w.last = w.index[:0], totals{}, 0, e.MinTime
	w.seal = nil
	if w.key == nil {
		return nil
	}
	key := w.key(e.Shard)
	if key.ID.IsZero() {
		return nil
	}
	e.Key, e.Nonce, e.Hash = key.ID, w.nonce, w.want.hash // the seal is made of the hash; end verifies it
	w.seal, err = newSealer(key.Secret, e)
	return err
}

// blocks appends the blocks of a run up to a place in it, nil for all, and sums up their records.
func (w *writer) blocks(object []byte, e *Extent, until *blockPlace) ([]byte, error) {
	seed := e.seed()
	for j := &w.joiner; (until == nil || j.blockPlace != *until) && j.next(); {
		raw := j.joined(w.scratch)
		if len(j.parts) > 1 {
			w.scratch = raw
		}
		b := block{raw: raw, rel: j.rel, count: j.count, base: j.parts[0].base}
		if b.base < w.last || len(raw) != j.size || j.rel != w.skipped+w.verify.sum.count {
			return nil, corrupt("block of %v at %d is out of place", e.Shard, e.First+j.rel)
		}
		if err := w.verify.walk(&b, e.First); err != nil {
			return nil, err
		}
		w.last = b.last
		w.index = append(w.index, IndexEntry{Off: int64(len(object)) - e.Off, First: e.First + j.rel, Time: b.base})
		var codec Codec
		var err error
		if object, codec, err = w.block(object, &b, seed); err != nil {
			return nil, err
		}
		e.Codec = max(e.Codec, codec)
		e.Raw += int64(len(raw))
	}
	return object, nil
}

// end checks that all of a run was written, completes e and appends the index.
func (w *writer) end(object []byte, run []*Chunk, e *Extent) ([]byte, error) {
	tail := run[len(run)-1]
	in, out := w.want, w.verify.sum
	if in != out || in.count != tail.End()-e.First || w.last != tail.MaxTime {
		return nil, corrupt("%d chunks of %v from %d do not add up: %+v at %d µs, written %+v at %d µs", len(run), e.Shard, e.First, in, tail.MaxTime, out, w.last)
	}
	e.Count, e.Hash, e.Bytes, e.Units = out.count, out.hash, out.bytes, out.units
	e.Len = int64(len(object)) - e.Off
	e.CRC = crc32.Checksum(object[e.Off:], castagnoli)
	if e.Len > indexFrom {
		object = appendIndex(object, e, w.index.thin())
		e.IndexLen = int64(len(object)) - e.Off - e.Len
	}
	return object, nil
}

// block appends one block.
func (w *writer) block(object []byte, b *block, seed uint32) ([]byte, Codec, error) {
	if len(b.raw) > maxBlockRaw {
		return nil, 0, broken("record of %d bytes", len(b.raw))
	}
	at := len(object)
	object = slices.Grow(object, blockHeaderSize)[:at+blockHeaderSize]
	object, codec := w.coder.shrink(object, b.raw, w.codec)
	stored := object[at:]
	h := blockHeader{codec: codec, raw: uint32(len(b.raw)), stored: uint32(len(stored) - blockHeaderSize), count: uint32(b.count), rel: b.rel, base: b.base}
	if w.seal != nil {
		h.sealed, h.stored = true, h.stored+sealTag
	}
	h.put(stored)
	object = w.seal.seal(object, at, b.rel)
	stored = object[at:]
	le.PutUint32(stored[blockCRC:], blockSum(seed, stored))
	return object, codec, nil
}
