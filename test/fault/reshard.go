// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// Resharder splits, merges and scales a stream again and again.
type Resharder struct {
	Stream  string
	Targets Targets
	History *History
	Seed    uint64
	Every   time.Duration

	Done atomic.Int64 // changes that the server took

	turn sync.Mutex // held during a change
}

// Hold ends what is under way and begins nothing more until the returned function is called.
func (r *Resharder) Hold() (goOn func()) {
	r.turn.Lock()
	return r.turn.Unlock
}

// maxOpen bounds the open shards: beyond it they are merged.
const maxOpen = 8

// Run reshards until ctx is done.
func (r *Resharder) Run(ctx context.Context) {
	random := rand.New(rand.NewPCG(r.Seed, 99))
	node := r.Targets.pick(random)
	tick := time.NewTicker(r.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.turn.Lock()
		err := r.change(ctx, node, random)
		r.turn.Unlock()
		switch {
		case err == nil:
			r.Done.Add(1)
		case leat.KindOf(err) == leat.KindInUse, leat.KindOf(err) == leat.KindInvalidArgument:
			// The change before it is not done yet, or came after the listing.
		default:
			if !expected(err) {
				r.History.Break("reshard: %v", err)
			}
			node.turn()
		}
	}
}

// change makes one change by chance.
func (r *Resharder) change(ctx context.Context, node *pick, random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	shards := node.client().Shards
	res, err := shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: r.Stream, PageSize: leat.MaxListShards})
	if err != nil {
		return err
	}
	open := slices.DeleteFunc(res.GetShards(), func(s *leatv1.Shard) bool { return s.GetCloseTime() != nil })
	slices.SortFunc(open, func(a, b *leatv1.Shard) int {
		return compareKeys(a.GetHashKeyRange().GetStartingHashKey(), b.GetHashKeyRange().GetStartingHashKey())
	})
	i := random.IntN(len(open))
	switch n := random.IntN(5); {
	case n == 0:
		_, err = shards.ScaleStream(ctx, &leatv1.ScaleStreamRequest{Stream: r.Stream, TargetShardCount: int32(1 + random.IntN(maxOpen))})
	case len(open) >= maxOpen || n < 3 && i+1 < len(open):
		i = min(i, len(open)-2)
		_, err = shards.MergeShards(ctx, &leatv1.MergeShardsRequest{Stream: r.Stream, ShardId: open[i].GetShardId(), AdjacentShardId: open[i+1].GetShardId()})
	default:
		_, err = shards.SplitShard(ctx, &leatv1.SplitShardRequest{Stream: r.Stream, ShardId: open[i].GetShardId()})
	}
	return err
}

// compareKeys compares decimals without leading zeros.
func compareKeys(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
