// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import "github.com/klauspost/compress/s2"

// Compressing is most of the work of encoding, and a log waits for it with one segment at a time. So a large object is
// written by two goroutines: the first writes in place up to a cut, the second what follows into a buffer of its own. The
// cut may lie inside a run. The bytes are those that one writer would write.

// halvesFrom is how many raw bytes an object has at least to be worth a second goroutine.
const halvesFrom = 256 << 10

// cut is where the second half begins.
type cut struct {
	run int
	blockPlace
	rel uint64 // records of the run before it
}

// encodeRuns appends all extents.
func (c *Coder) encodeRuns(object []byte, runs [][]*Chunk, extents []Extent, w *writer) ([]byte, error) {
	at, size, ok := cut{}, 0, false
	if w.codec != CodecNone && c.halvesFrom > 0 {
		at, size, ok = halve(runs, c.halvesFrom)
	}
	if !ok || !worthwhile(runs[at.run]) {
		return w.extents(object, runs, extents)
	}
	second := half{writer: *w, cut: at, object: make([]byte, 0, size)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		second.write(runs, extents[at.run+1:])
	}()
	object, err := w.extents(object, runs[:at.run], extents[:at.run])
	if err == nil {
		e := &extents[at.run]
		if err = w.begin(runs[at.run], e, int64(len(object))); err == nil {
			object, err = w.blocks(object, e, &at.blockPlace)
		}
	}
	<-done
	if err == nil {
		err = second.err
	}
	if err != nil {
		return nil, err
	}
	return w.join(object, runs[at.run], extents[at.run:], &second)
}

// halve finds the block at which half of the raw bytes are over, and how many follow it. false when there are too few.
func halve(runs [][]*Chunk, from int) (at cut, rest int, ok bool) {
	total := 0
	for _, run := range runs {
		for _, c := range run {
			total += int(c.raw())
		}
	}
	if total < from {
		return cut{}, 0, false
	}
	done := 0
	var j joiner
	for i, run := range runs {
		j.start(run)
		for rel := uint64(0); ; {
			if 2*done >= total {
				return cut{i, j.blockPlace, rel}, total - done + total/8 + blockHeaderSize, true
			}
			if !j.next() {
				break
			}
			rel += j.count
			done += j.size
		}
	}
	return cut{}, 0, false // not reached: the last block has bytes
}

// worthwhile tells whether a run looks as if it could be compressed: copying what cannot be takes little time, and a
// second copy would double it.
func worthwhile(run []*Chunk) bool {
	sample := run[len(run)/2].blocks[0].raw
	return sampleShrinks(make([]byte, s2.MaxEncodedLen(sampleSize)), sample)
}

// extents appends whole runs.
func (w *writer) extents(object []byte, runs [][]*Chunk, extents []Extent) (_ []byte, err error) {
	for i, run := range runs {
		if object, err = w.extent(object, run, &extents[i]); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// half is what the second goroutine writes.
type half struct {
	writer writer
	cut    cut
	object []byte
	first  Extent // of the run that was cut: its blocks from the cut on
	tail   Index  // of those
	sum    totals
	last   int64
	err    error
}

// write writes what follows the cut; extents are those of the runs after the one that was cut.
func (h *half) write(runs [][]*Chunk, extents []Extent) {
	w, run := &h.writer, runs[h.cut.run]
	if h.err = w.begin(run, &h.first, 0); h.err != nil {
		return
	}
	w.joiner.blockPlace, w.skipped = h.cut.blockPlace, h.cut.rel
	if h.object, h.err = w.blocks(h.object, &h.first, nil); h.err != nil {
		return
	}
	h.tail, h.sum, h.last = w.index, w.verify.sum, w.last
	h.first.Len = int64(len(h.object))
	w.index = nil
	h.object, h.err = w.extents(h.object, runs[h.cut.run+1:], extents)
}

// join completes the run that was cut, of which w wrote the beginning, and appends the rest. extents begin with that run's.
func (w *writer) join(object []byte, run []*Chunk, extents []Extent, h *half) ([]byte, error) {
	e := &extents[0]
	if e.Key != h.first.Key {
		return nil, broken("two keys for %v", e.Shard)
	}
	shift := int64(len(object)) - e.Off
	if len(h.tail) > 0 && h.tail[0].Time < w.last {
		return nil, corrupt("block of %v at %d is out of place", e.Shard, h.tail[0].First)
	}
	for _, row := range h.tail {
		row.Off += shift
		w.index = append(w.index, row)
	}
	w.verify.sum.join(&h.sum)
	w.last = max(w.last, h.last)
	e.Codec, e.Raw = max(e.Codec, h.first.Codec), e.Raw+h.first.Raw
	object, err := w.end(append(object, h.object[:h.first.Len]...), run, e)
	if err != nil {
		return nil, err
	}
	shift = int64(len(object)) - h.first.Len
	for i := range extents[1:] {
		extents[1+i].Off += shift
	}
	return append(object, h.object[h.first.Len:]...), nil
}
