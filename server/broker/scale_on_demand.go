// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// ScaleOnDemand promises what SplitShard and MergeShards do, for several shards of a stream in on-demand mode at once:
// when it returns no error all are decided, kept as events with their reasons, and carried out even if this node dies.
//
// No caller asks for it: it is the server's own, for server/scaler, and asks for no permission.

// ScaleOnDemand begins splits and merges that the node with a session has decided. KindInUse when that session does not
// own the shards, or the stream has another version than the one given, is not ACTIVE, not in on-demand mode, or would have too few shards.
func (b *Broker) ScaleOnDemand(ctx context.Context, stream leat.Stream, session leat.SessionID, decisions []catalog.ScaleDecision) error {
	if err := b.catalog.ScaleOnDemand(ctx, stream.ID, stream.Version, session, decisions); err != nil {
		return err
	}
	b.settled(ctx, stream)
	return nil
}

// ShardRoom returns how many more shards an account may have, as this node knows it; below 0 it has too many.
func (b *Broker) ShardRoom(account string) int {
	l := b.used(account)
	return l.ShardLimit - l.OpenShards
}

// HoldScaling keeps as an event why a hot shard is not split.
func (b *Broker) HoldScaling(ctx context.Context, stream leat.StreamID, shard uint64, reason string) error {
	return b.catalog.AddScaleEvent(ctx, stream, catalog.ScaleEvent{At: b.clock.Now(), Action: catalog.ScaleHold, Shards: []uint64{shard}, Reason: reason})
}

// ScaleFloors returns the least number of shards that on-demand scaling leaves each stream.
func (b *Broker) ScaleFloors(ctx context.Context) (map[leat.StreamID]int, error) {
	return b.catalog.ScaleFloors(ctx)
}

// OnDemandStreams returns the streams in on-demand mode as the directory knows them, in no order.
func (b *Broker) OnDemandStreams() (all []leat.Stream) {
	for _, v := range b.directory.snap.Load().byID {
		if v.Mode == leat.ModeOnDemand {
			all = append(all, v.Stream)
		}
	}
	return all
}
