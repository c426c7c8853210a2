// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/leatstream/leat"
)

// FurthestBehind promises: of the shards that this node owns, those whose reader would lose records first if it stopped where it is.
// It is for operators; it asks nobody.
//
// AWS has no such operation: it shows GetRecords.IteratorAgeMilliseconds in CloudWatch.

// Laggard is a shard of which a reader is behind.
type Laggard struct {
	Account, Stream string
	Shard           leat.ShardKey
	Behind          time.Duration // as ShardRate.IteratorAge
	Left            time.Duration // until retention takes what that reader has not read
}

// FurthestBehind returns up to n of them, those that lose records first.
func (b *Broker) FurthestBehind(ctx context.Context, who leat.Principal, n int) ([]Laggard, error) {
	if err := b.may(ctx, who, ActionListNodes, theServer(who)); err != nil {
		return nil, err
	}
	snap, newest := b.directory.snap.Load(), b.flows.now()
	var all []Laggard
	b.flows.mu.RLock()
	for k, f := range b.flows.byKey {
		v, behind := snap.byID[k.Stream], f.behind(newest)
		if v == nil || behind <= 0 {
			continue
		}
		all = append(all, Laggard{Account: v.Account, Stream: v.Name, Shard: k, Behind: behind, Left: v.Retention - behind})
	}
	b.flows.mu.RUnlock()
	slices.SortFunc(all, func(a, b Laggard) int { return cmp.Or(cmp.Compare(a.Left, b.Left), a.Shard.Compare(b.Shard)) })
	return all[:min(n, len(all))], nil
}
