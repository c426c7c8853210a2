// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package segment

import (
	"hash/crc32"
	"sort"
)

const (
	indexFrom  = 1 << 20   // an extent of more stored bytes has an index
	indexEvery = 256 << 10 // stored bytes between entries, at least
	indexRow   = 24
)

// IndexEntry is the beginning of one of an extent's blocks.
type IndexEntry struct {
	Off   int64  // of the block, relative to the extent's Off
	First uint64 // offset of the block's first record
	Time  int64  // of that record
}

// Index lists blocks of one extent, about one in each 256 KiB, in order; the first block is always there.
type Index []IndexEntry

// At returns the last entry at or before the record of that offset.
func (ix Index) At(offset uint64) IndexEntry {
	return ix.before(func(e *IndexEntry) bool { return e.First > offset })
}

// AtTime returns an entry at or before the first record whose time is t or later.
func (ix Index) AtTime(t int64) IndexEntry {
	return ix.before(func(e *IndexEntry) bool { return e.Time >= t })
}

func (ix Index) before(beyond func(e *IndexEntry) bool) IndexEntry {
	i := sort.Search(len(ix), func(i int) bool { return beyond(&ix[i]) })
	return ix[max(0, i-1)]
}

// thin keeps, of a row for each block, those that an extent's index has.
func (ix Index) thin() Index {
	kept := ix[:0]
	for i := range ix {
		if i == 0 || ix[i].Off-kept[len(kept)-1].Off >= indexEvery {
			kept = append(kept, ix[i])
		}
	}
	return kept
}

// appendIndex appends the index of an extent: its rows, then a CRC.
func appendIndex(b []byte, e *Extent, ix Index) []byte {
	at := len(b)
	for i := range ix {
		b = le.AppendUint64(b, uint64(ix[i].Off))
		b = le.AppendUint64(b, ix[i].First-e.First)
		b = le.AppendUint64(b, uint64(ix[i].Time))
	}
	return le.AppendUint32(b, crc32.Update(e.seed(), castagnoli, b[at:]))
}

// ParseIndex reads the block index of an extent: stored is the object's bytes [Off+Len, Off+Len+IndexLen). An extent
// without one is read from its beginning: the index returned has only that entry.
func ParseIndex(e Extent, stored []byte) (Index, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if e.IndexLen == 0 {
		return Index{{First: e.First, Time: e.MinTime}}, nil
	}
	n := len(stored) - 4
	if int64(len(stored)) != e.IndexLen || n < indexRow || n%indexRow != 0 {
		return nil, corrupt("index of %v at %d has %d bytes of %d", e.Shard, e.First, len(stored), e.IndexLen)
	}
	if got, want := crc32.Update(e.seed(), castagnoli, stored[:n]), le.Uint32(stored[n:]); got != want {
		return nil, corrupt("index of %v at %d has CRC %08x, its bytes %08x", e.Shard, e.First, want, got)
	}
	ix := make(Index, n/indexRow)
	for i := range ix {
		row := stored[i*indexRow:]
		rel := le.Uint64(row[8:])
		ix[i] = IndexEntry{Off: int64(le.Uint64(row)), First: e.First + rel, Time: int64(le.Uint64(row[16:]))}
		if rel >= e.Count || !ix.follows(&e, i) {
			return nil, corrupt("index of %v at %d is out of order at row %d", e.Shard, e.First, i)
		}
	}
	return ix, nil
}

// follows tells whether row i can stand after row i-1.
func (ix Index) follows(e *Extent, i int) bool {
	row := &ix[i]
	if i == 0 {
		return *row == IndexEntry{First: e.First, Time: e.MinTime}
	}
	prev := &ix[i-1]
	return row.Off > prev.Off && row.Off < e.Len && row.First > prev.First && row.Time >= prev.Time && row.Time <= e.MaxTime
}
