// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// batch is what will become one segment: pending, then taken by the log's writer, then durable or failed.
type batch struct {
	n        uint64 // of its segment, once frozen
	bytes    int    // of records: what makes it full
	memory   int    // what it counts for in the bound of memory that is not durable
	shards   []*shard
	chunks   []*segment.Chunk // chunks[i] belongs to shards[i] until the batch is taken
	controls []segment.Control
	keys     map[leat.StreamID]segment.Key // of the encrypted streams in it; nil when there is none
	onDone   []func()                      // run in the order of durable segments, before done is closed

	traced *traced // nil: nothing in it is followed

	object  chan []byte // gets the encoded segment; nil until that is begun
	extents []Extent    // by encode: where each chunk lies in the segment, in the order of sorted chunks
	done    chan struct{}
	err     error // set before done is closed: nil when durable
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (b *batch) empty() bool { return b.bytes == 0 && len(b.controls) == 0 }

// source is the store as the log's writer sees it.
type source struct{ *Store }

var _ wal.Source = source{}

// Take gives the oldest pending batch to the writer as segment n.
func (s source) Take(n uint64) (encode func() []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.queue[0]
	s.queue = s.queue[1:]
	if len(s.queue) == 0 {
		s.queue = append(s.queue, newBatch())
	}
	if b.object != nil { // encoded ahead
		if b.n != n {
			panic("shardstore: a segment was encoded ahead under another number")
		}
		encode = func() []byte { return <-b.object }
	} else {
		h := s.freeze(b, n)
		encode = func() []byte { return s.encode(b, h) }
	}
	s.taken = append(s.taken, b)
	s.encodeAhead()
	s.notify()
	return encode
}

// freeze makes a batch segment n: nothing is put into it any more. The header is frozen with it, nonce and trim included
// (rule 1). mu is held.
func (s *Store) freeze(b *batch, n uint64) segment.Header {
	b.n = n
	if b.traced != nil {
		s.committing(b)
	}
	for _, sh := range b.shards {
		if sh.openIn == b {
			sh.open, sh.openIn = nil, nil // or an idle shard would keep its whole last batch in memory
		}
	}
	return s.header(segment.KindSegment, n)
}

// encodeAhead encodes the batch that the writer takes next while it writes the one before, if that batch is full: another
// one follows it. mu is held.
func (s *Store) encodeAhead() {
	b := s.queue[0]
	if len(s.queue) < 2 || b.object != nil || s.state == ended {
		return
	}
	h := s.freeze(b, s.nextSegmentLocked())
	b.object = make(chan []byte, 1)
	s.tasks.Go(func() { b.object <- s.encode(b, h) })
}

func (s *Store) encode(b *batch, h segment.Header) []byte {
	var span Span
	if b.traced != nil {
		_, span = s.cfg.Tracer.Begin(b.traced.commit, "segment encode")
	}
	sortChunks(b)
	o := segment.Options{Codec: segment.CodecS2, Key: b.sealing()}
	if b.bytes >= reuseFrom {
		if used, ok := s.objects.Get().(*[]byte); ok {
			o.Into = *used
		}
	}
	object, extents, err := s.coder.Encode(h, b.chunks, b.controls, o)
	if err != nil {
		// Encode fails only when chunks contradict themselves: memory is not to be trusted, so nothing may be acked.
		panic("shardstore: segment does not add up: " + err.Error())
	}
	key := wal.Key(h.Session, h.N)
	for i := range extents {
		extents[i].Object = key
	}
	b.extents = extents
	if span != nil {
		span.Number("leat.object_bytes", int64(len(object)))
		span.End(nil)
	}
	return object
}

// sortChunks puts the chunks in the order of shards, as a segment wants them, and their shards with them.
func sortChunks(b *batch) {
	order := make([]int, len(b.chunks))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int { return b.chunks[x].Shard.Compare(b.chunks[y].Shard) })
	chunks, shards := make([]*segment.Chunk, len(order)), make([]*shard, len(order))
	for to, from := range order {
		chunks[to], shards[to] = b.chunks[from], b.shards[from]
	}
	b.chunks, b.shards = chunks, shards
}

// Durable makes segment n's records visible and acks them: n and all earlier segments are durable (rule 3).
func (s source) Durable(n uint64) {
	s.mu.Lock()
	b := s.taken[0]
	if b.n != n {
		s.mu.Unlock()
		panic("shardstore: segments became durable out of order")
	}
	s.taken, s.telling = s.taken[1:], b
	s.notDurable -= b.memory
	s.durable = n + 1
	s.mu.Unlock()

	kept := tailSegment{n: n, shards: b.shards, at: s.cfg.Clock.Now()}
	for i, sh := range b.shards {
		if sh.publish(b.chunks[i], n, b.extents[i]) {
			s.unindexed.Add(1)
		}
		kept.bytes += int64(b.chunks[i].MemSize())
		kept.raw += b.extents[i].Raw
	}
	s.keep(kept)
	for _, f := range b.onDone {
		f()
	}
	s.stats.durable(b)
	b.committed()
	s.mu.Lock()
	s.telling = nil
	s.mu.Unlock()
	close(b.done)
}

// Segments of this many bytes are written into memory that earlier ones have left: to make and to clear as much is a good
// part of the work of encoding. Tests reuse all.
var reuseFrom = 1 << 20

// Free keeps the memory of a large segment for the next one.
func (s source) Free(object []byte) {
	if cap(object) >= reuseFrom {
		s.objects.Put(&object)
	}
}

// failAll ends every batch that is not durable: their outcome is not known, or was never sent.
func (s *Store) failAll(err error) {
	s.mu.Lock()
	lost := append(slices.Clone(s.taken), s.queue...)
	s.taken, s.queue = nil, nil
	s.mu.Unlock()
	for _, b := range lost {
		b.err = err
		b.committed()
		close(b.done)
	}
}

// tailSegment is what one durable segment keeps in memory.
type tailSegment struct {
	n      uint64
	shards []*shard
	bytes  int64 // of memory
	raw    int64 // bytes of encoded records, what a pack is made of
	at     time.Time
}

// tailMemory is the budget of visible chunks in memory, oldest first.
type tailMemory struct {
	mu       sync.Mutex
	segments []tailSegment
	bytes    int64
}

// keep accounts for a segment's chunks and forgets the oldest ones beyond the budget. What is forgotten is read back
// from its object.
func (s *Store) keep(t tailSegment) {
	m := &s.tail
	m.mu.Lock()
	m.segments = append(m.segments, t)
	m.bytes += t.bytes
	var out []tailSegment
	for m.bytes > s.cfg.Params.TailBytes && len(m.segments) > 1 {
		out = append(out, m.segments[0])
		m.bytes -= m.segments[0].bytes
		m.segments = m.segments[1:]
	}
	m.mu.Unlock()
	for _, o := range out {
		for _, sh := range o.shards {
			sh.evict(o.n)
		}
	}
	s.packer.logged(t)
}
