// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"sync/atomic"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/wal"
)

// stats counts what the session did.
type stats struct {
	records, bytes         atomic.Uint64 // durable
	segments               atomic.Uint64
	readRecords, readBytes atomic.Uint64
	overloads              atomic.Uint64
	packs, packFailures    atomic.Uint64
	kept                   atomic.Uint64
	merges, deleted, swept atomic.Uint64
	fetches, fetchedBytes  atomic.Uint64
	hits                   atomic.Uint64
	reloads, missing       atomic.Uint64
}

// durable counts a batch that became durable.
func (st *stats) durable(b *batch) {
	st.segments.Add(1)
	for _, c := range b.chunks {
		st.records.Add(c.Count)
		st.bytes.Add(uint64(c.Bytes))
	}
}

// read counts records given to a reader.
func (st *stats) read(records []leat.Record) {
	size := 0
	for i := range records {
		size += records[i].Size()
	}
	st.readRecords.Add(uint64(len(records)))
	st.readBytes.Add(uint64(size))
}

// Stats is what a session has done since it began, and what it holds now.
type Stats struct {
	Records, Bytes         uint64 // acked
	Segments               uint64 // durable
	ReadRecords, ReadBytes uint64
	Overloads              uint64 // puts refused because too much was not durable
	Packs, PackFailures    uint64
	Kept                   uint64 // extents that stayed in their segments instead of being packed
	Merges, Deleted        uint64
	Swept                  uint64 // orphans deleted
	Fetches, FetchedBytes  uint64 // ranged reads of objects for readers
	CacheHits              uint64
	Reloads, Missing       uint64 // objects not found: at first, and after the index was asked again

	Shards     int
	NotDurable int         // bytes of records not yet durable
	TailBytes  int64       // of visible chunks in memory
	CacheBytes int64       // of blocks read back
	Unpacked   int64       // bytes of segments not yet packed
	Unindexed  int64       // extents that the index does not have yet: in segments, or in packs that wait for the catalog
	Durable    uint64      // number of the next segment to become durable
	Trim       uint64      // segments below it are in packs
	Flush      wal.Latency // of the log's segments
}

// Stats returns the session's numbers.
func (s *Store) Stats() Stats {
	st := &s.stats
	out := Stats{
		Records: st.records.Load(), Bytes: st.bytes.Load(), Segments: st.segments.Load(),
		ReadRecords: st.readRecords.Load(), ReadBytes: st.readBytes.Load(), Overloads: st.overloads.Load(),
		Packs: st.packs.Load(), PackFailures: st.packFailures.Load(), Merges: st.merges.Load(), Deleted: st.deleted.Load(),
		Swept: st.swept.Load(), Kept: st.kept.Load(),
		Fetches: st.fetches.Load(), FetchedBytes: st.fetchedBytes.Load(), CacheHits: st.hits.Load(),
		Reloads: st.reloads.Load(), Missing: st.missing.Load(),
	}
	s.mu.Lock()
	out.Shards, out.NotDurable, out.Durable, out.Trim = len(s.shards), s.notDurable, s.durable, s.trim
	s.mu.Unlock()
	s.tail.mu.Lock()
	out.TailBytes = s.tail.bytes
	s.tail.mu.Unlock()
	s.packer.mu.Lock()
	out.Unpacked = s.packer.bytes
	s.packer.mu.Unlock()
	out.Flush = s.writer.Stats().Latency
	out.CacheBytes, out.Unindexed = s.cache.size(), s.unindexed.Load()
	return out
}
