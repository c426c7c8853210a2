// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rebuild

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// parallel bounds requests under way.
const parallel = 16

// endSessions recovers every session that has not ended, those that still run among them, and reads how the others did.
func (r *run) endSessions(ctx context.Context) error {
	if err := r.listSegments(ctx); err != nil {
		return err
	}
	all := slices.AppendSeq(slices.Collect(maps.Keys(r.segments)), maps.Keys(r.state.Sessions))
	slices.SortFunc(all, func(a, b leat.SessionID) int { return bytes.Compare(a[:], b[:]) })
	all = slices.Compact(all)
	r.closings = make([]shardstore.Closing, len(all))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, s := range all {
		g.Go(func() (err error) {
			r.closings[i], err = shardstore.Recover(gctx, shardstore.Recovery{
				Cluster: r.o.Cluster, Driver: r.o.Driver, Blobs: r.o.Blobs, Clock: r.o.Clock, Rand: r.o.Rand, Logger: r.o.Logger, Lost: true,
			}, s, r.state.Sessions[s].Below)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// Again: a server that still ran may have written more before its fence.
	if err := r.listSegments(ctx); err != nil {
		return err
	}
	for i := range r.closings {
		c := &r.closings[i]
		for _, cs := range c.Shards {
			for _, e := range cs.Extents {
				f := r.of(&e)
				f.floor = max(f.floor, e.End())
				if r.stands(e.Object) {
					f.left = append(f.left, leftover{c.Session, e})
				}
			}
		}
	}
	return nil
}

// listSegments learns which segments and fences stand.
func (r *run) listSegments(ctx context.Context) error {
	r.segments = map[leat.SessionID][]uint64{}
	for info, err := range blob.All(ctx, r.o.Blobs, "wal/") {
		if err != nil {
			return fmt.Errorf("list the sessions' logs: %w", err)
		}
		if s, n, ok := wal.ParseKey(info.Key); ok {
			r.segments[s] = append(r.segments[s], n)
		}
	}
	return nil
}

// stands tells whether a segment is still there. One that is not was adopted: its records are in packs, or expired.
func (r *run) stands(key string) bool {
	s, n, ok := wal.ParseKey(key)
	if !ok {
		return false
	}
	_, found := slices.BinarySearch(r.segments[s], n)
	return found
}

// of returns what is known of an extent's shard.
func (r *run) of(e *shardstore.Extent) *found {
	f := r.shards[e.Shard]
	if f == nil {
		f = &found{}
		r.shards[e.Shard] = f
	}
	r.epochs[e.Shard] = max(r.epochs[e.Shard], e.Epoch)
	return f
}

// readPacks reads the table of contents of every pack, and of every segment that stands and counts: extents may have stayed in
// those instead of being packed. One that cannot be read is missed only where a shard needs it, and is found out then.
func (r *run) readPacks(ctx context.Context) error {
	fences := map[leat.SessionID]uint64{}
	for i := range r.closings {
		fences[r.closings[i].Session] = r.closings[i].Fence
	}
	counts := func(key string) bool {
		s, n, ok := wal.ParseKey(key)
		return ok && n < fences[s]
	}
	if err := r.readContents(ctx, "pack/", func(string) bool { return true }); err != nil {
		return err
	}
	return r.readContents(ctx, wal.KeyPrefix, counts)
}

// readContents reads the tables of contents of the objects with a prefix that are wanted.
func (r *run) readContents(ctx context.Context, prefix string, wanted func(key string) bool) error {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for info, err := range blob.All(gctx, r.o.Blobs, prefix) {
		if err != nil {
			if worker := g.Wait(); worker != nil {
				return worker // it ended the walk
			}
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		if !wanted(info.Key) {
			continue
		}
		g.Go(func() error {
			f, err := readFooter(gctx, r.o.Blobs, info)
			mu.Lock()
			defer mu.Unlock()
			if leat.KindOf(err) == leat.KindCorrupt {
				r.problem(shardstore.Problem{Object: info.Key, Text: err.Error()})
				return nil
			}
			if err != nil {
				return err
			}
			r.take(info.Key, f)
			return nil
		})
	}
	return g.Wait()
}

// take notes what an object holds. Extents that stay in a segment are merged as those of a pack are.
func (r *run) take(key string, f *segment.Footer) {
	inSegment := f.Header.Kind == segment.KindSegment
	if !inSegment {
		r.report.Packs++
	}
	for i := range f.Extents {
		e := f.Extents[i]
		e.Object = key
		sh := r.of(&e)
		if inSegment {
			sh.stayed = append(sh.stayed, e)
		} else {
			sh.packs = append(sh.packs, e)
		}
	}
}

// readFooter reads an object's table of contents, and once more if it fails its checks: what was spoilt on its way must not be
// taken for a damaged object, which nothing would name any more.
func readFooter(ctx context.Context, blobs blob.Store, info blob.Info) (*segment.Footer, error) {
	f, err := footerOf(ctx, blobs, info)
	if leat.KindOf(err) == leat.KindCorrupt {
		f, err = footerOf(ctx, blobs, info)
	}
	return f, err
}

// footerOf reads it with one request if it is small.
func footerOf(ctx context.Context, blobs blob.Store, info blob.Info) (*segment.Footer, error) {
	for need := int64(segment.SuffixSize); ; {
		suffix, err := blobs.Read(ctx, info.Key, -need, -1)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", info.Key, err)
		}
		f, more, err := segment.ParseFooter(suffix, info.Size)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", info.Key, err)
		}
		if more == 0 {
			return f, nil
		}
		if more <= need {
			return nil, leat.Errorf(leat.KindUnavailable, "the end of %s came short", info.Key)
		}
		need = more
	}
}

func (r *run) sortedShards() (all []leat.ShardKey) {
	for id, st := range r.state.Streams {
		for o := range st.Shards {
			all = append(all, leat.ShardKey{Stream: id, Ordinal: o})
		}
	}
	slices.SortFunc(all, leat.ShardKey.Compare)
	return all
}

// finishReshards carries out those whose records are in logs and whose outcome the journal does not have.
func (r *run) finishReshards() {
	for i := range r.closings {
		for _, re := range r.closings[i].Reshards {
			if len(re.Parents) == 0 {
				continue
			}
			st := r.state.Streams[re.Parents[0].Shard.Stream]
			if st == nil {
				continue
			}
			k := slices.IndexFunc(st.Head.Intents, func(i journal.Intent) bool { return i.ID == re.ID })
			if k < 0 {
				continue // the journal has its outcome
			}
			st.Head.Intents = slices.Delete(slices.Clone(st.Head.Intents), k, k+1)
			reshard(st, &re)
			for _, p := range re.Parents {
				r.resharded = append(r.resharded, p.Shard)
			}
			for _, ch := range re.Children {
				r.resharded = append(r.resharded, ch.Shard)
			}
		}
	}
}

// reshard closes the parents and opens the children, as the catalog does.
func reshard(st *journal.StreamState, re *shardstore.Reshard) {
	at := time.UnixMicro(re.Time).UTC()
	for _, p := range re.Parents {
		sh := st.Shards[p.Shard.Ordinal]
		sh.Closed, sh.Final = at, p.Final
		st.Shards[p.Shard.Ordinal] = sh
	}
	for _, ch := range re.Children {
		sh := journal.Shard{LastTime: re.Time}
		sh.Key, sh.Range, sh.Created, sh.Epoch = ch.Shard, ch.Range, at, 1
		sh.Parent = &re.Parents[0].Shard.Ordinal
		if len(re.Parents) > 1 {
			sh.AdjacentParent = &re.Parents[1].Shard.Ordinal
		}
		st.Shards[ch.Shard.Ordinal] = sh
	}
	pending := slices.ContainsFunc(st.Head.Intents, func(i journal.Intent) bool { return i.State == "pending" })
	if s := &st.Head.Stream; s.Status == leat.StreamUpdating && s.TargetShards == 0 && !pending {
		s.Status = leat.StreamActive
	}
}

// unneeded lists the segments that stand and that nothing will name: below a trim, and all below the fence of a session
// that holds nothing. Fences stay (rule 8).
func (r *run) unneeded(holds map[leat.SessionID]bool) (keys []string) {
	for i := range r.closings {
		c := &r.closings[i]
		for _, n := range r.segments[c.Session] {
			if n < c.Trim || n < c.Fence && !holds[c.Session] {
				keys = append(keys, wal.Key(c.Session, n))
			}
		}
	}
	return keys
}
