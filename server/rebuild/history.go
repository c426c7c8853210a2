// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rebuild

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore"
)

// History is a backup of the lost catalog. What it has of streams, shards and keys is not used: the bucket is newer.
type History struct {
	Journal uint64                   // the entry of the journal that the newest change in it is
	Counted map[leat.ShardKey]uint64 // its usage has each shard's records up to here
	// Replay takes the next entry of the journal in, so that Write has when things began and ended since.
	Replay func(ctx context.Context, e *journal.Entry) error
	// Manifests hands over the manifests in the bucket, but for those of sessions that were over at the backup.
	Manifests func(ctx context.Context, each func(*catalog.Manifest) error) error
	Write     catalog.Fill
}

// judgeHistory refuses a backup that the bucket cannot have followed.
func (r *run) judgeHistory(context.Context) error {
	if h := r.o.History; h != nil && h.Journal > r.state.N {
		return leat.Errorf(leat.KindCorrupt, "the backup knows the bucket's journal up to entry %d, and it ends with entry %d: the bucket was set back, or is another one", h.Journal, r.state.N)
	}
	return nil
}

// readHistory brings the backup up to the journal's end, and learns what was counted since.
func (r *run) readHistory(ctx context.Context) error {
	h := r.o.History
	if h == nil {
		return nil
	}
	for e, err := range r.o.Journal.From(ctx, h.Journal+1) {
		if err == nil {
			err = h.Replay(ctx, e)
		}
		if err != nil {
			return fmt.Errorf("bring the backup up to the bucket's journal: %w", err)
		}
		r.report.Replayed++
	}
	r.metered.begin()
	err := h.Manifests(ctx, func(m *catalog.Manifest) error {
		r.report.Manifests++
		for i := range m.Streams {
			for j := range m.Streams[i].Extents {
				r.meter(&m.Streams[i], &m.Streams[i].Extents[j])
			}
		}
		return nil
	})
	r.join()
	return err
}

// join sorts what manifests have, and looks whether two have the same.
func (r *run) join() {
	for k, all := range r.metered.shards {
		slices.SortFunc(all, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
		for i := 1; i < len(all); i++ {
			if all[i].from < all[i-1].to {
				r.problem(shardstore.Problem{Shard: k, Offset: all[i].from, Text: "two manifests of what was put have these records: they are billed twice"})
			}
		}
	}
}

// metered is what manifests have counted that the backup has not.
type metered struct {
	sums   map[streamHour]*catalog.Usage
	shards map[leat.ShardKey][]stretch
}

func (m *metered) begin() {
	m.sums, m.shards = map[streamHour]*catalog.Usage{}, map[leat.ShardKey][]stretch{}
}

type streamHour struct {
	stream leat.StreamID
	hour   time.Time
}

// stretch is a range of a shard's offsets.
type stretch struct{ from, to uint64 }

func (r *run) meter(s *catalog.ManifestStream, e *catalog.ManifestExtent) {
	k := leat.ShardKey{Stream: s.Stream, Ordinal: e.Shard}
	at := stretch{e.First, e.First + uint64(e.Records)}
	if counted := r.o.History.Counted[k]; at.to <= counted {
		return
	} else if at.from < counted {
		r.problem(shardstore.Problem{Shard: k, Offset: at.from, Text: fmt.Sprintf("the backup has counted records up to %d and a manifest those from here on: some are billed twice", counted)})
	}
	r.metered.shards[k] = append(r.metered.shards[k], at)
	hour := streamHour{s.Stream, time.UnixMicro(e.MaxTime).UTC().Truncate(time.Hour)}
	u := r.metered.sums[hour]
	if u == nil {
		u = &catalog.Usage{Account: s.Account, Stream: s.Stream, Hour: hour.hour}
		r.metered.sums[hour] = u
	}
	u.Records += e.Records
	u.Bytes += e.Bytes
	u.Units += e.Units
	if e.OnDemand {
		u.OnDemandRecords += e.Records
		u.OnDemandBytes += e.Bytes
		u.OnDemandUnits += e.Units
	}
}

func (m *metered) usage() (all []catalog.Usage) {
	for _, u := range m.sums {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b catalog.Usage) int {
		return cmp.Or(bytes.Compare(a.Stream[:], b.Stream[:]), a.Hour.Compare(b.Hour))
	})
	return all
}

// counted tells up to which offset of a shard some usage has records: none of those may be counted by whoever adopts them.
func (r *run) counted(k leat.ShardKey) uint64 {
	if r.o.History == nil {
		return 0
	}
	counted := r.o.History.Counted[k]
	if all := r.metered.shards[k]; len(all) > 0 {
		counted = max(counted, all[len(all)-1].to)
	}
	return counted
}

// dropExpired forgets what segments hold of records that have expired and are counted: their packs are gone with retention, and whoever
// adopted them would count them once more.
func (f *found) dropExpired(before int64) {
	f.left = slices.DeleteFunc(f.left, func(l leftover) bool { return l.End() <= f.counted && l.MaxTime < before })
}

// uncounted returns registered extents of a shard that no usage has: their packs' manifests were lost with the database. The
// extents need not be those of the cover, which may have been merged since.
func (r *run) uncounted(k leat.ShardKey, f *found, c *cover) (all []shardstore.Extent) {
	at := max(r.o.History.Counted[k], c.horizon)
	if at == math.MaxUint64 {
		return nil
	}
	gap := func(to uint64) {
		if at >= to {
			return
		}
		some := f.tile(at, to)
		if some == nil {
			r.problem(shardstore.Problem{Shard: k, Offset: at, Text: fmt.Sprintf("it cannot be told what records up to %d come to on a bill: they are on none", to)})
		}
		all = append(all, some...)
	}
	for _, s := range r.metered.shards[k] {
		gap(min(s.from, c.next))
		at = max(at, s.to)
	}
	gap(c.next)
	if at > c.next {
		r.problem(shardstore.Problem{Shard: k, Offset: c.next, Text: fmt.Sprintf("records up to %d are in no pack any more, and were counted: they are billed twice", at)})
	}
	return all
}

// tile returns extents that join and have exactly a range of records; nil when there are none.
func (f *found) tile(from, to uint64) (all []shardstore.Extent) {
	candidates := slices.Concat(f.packs, f.stayed)
	for i := range f.left {
		candidates = append(candidates, f.left[i].Extent)
	}
	candidates = slices.DeleteFunc(candidates, func(e shardstore.Extent) bool { return e.First < from || e.End() > to })
	slices.SortFunc(candidates, func(a, b shardstore.Extent) int {
		return cmp.Or(cmp.Compare(b.First, a.First), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Object, b.Object))
	})
	by := map[uint64]*shardstore.Extent{}
	for i := range candidates {
		e := &candidates[i]
		if by[e.First] == nil && (e.End() == to || by[e.End()] != nil) {
			by[e.First] = e
		}
	}
	for e := by[from]; e != nil; e = by[e.End()] {
		all = append(all, *e)
	}
	return all
}
