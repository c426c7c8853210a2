// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// MergeShards promises: when it returns no error the merge is decided and is carried out even if this node dies; the
// stream is UPDATING until then. The child takes records only after both parents' ends are durable.
//
// Differs from AWS: shards of streams in on-demand mode may be merged by hand too.

// MergeShardsRequest names two shards.
type MergeShardsRequest struct {
	Stream          string // name or ARN
	Shard           string // id of the one with the lower range
	Adjacent        string // id of the one whose range begins where the other's ends
	ProvisionedOnly bool   // refuse a stream in on-demand mode with ErrOnDemand, as AWS does
}

// MergeShards joins two adjacent shards.
func (b *Broker) MergeShards(ctx context.Context, who leat.Principal, req MergeShardsRequest) error {
	lower, err := leat.ParseShardID(req.Shard)
	if err != nil {
		return err
	}
	upper, err := leat.ParseShardID(req.Adjacent)
	if err != nil {
		return atField("adjacent_shard_id", err)
	}
	v, err := b.changeable(ctx, who, ActionMergeShards, req.Stream)
	if err != nil {
		return err
	}
	if err := v.byHand(req.ProvisionedOnly); err != nil {
		return err
	}
	b.changed(ctx, nil, fields{"merge": []string{leat.ShardID(lower), leat.ShardID(upper)}})
	err = b.beginReshard(ctx, v, catalog.Merge(lower, upper))
	if leat.KindOf(err) == leat.KindInvalidArgument {
		return atField("adjacent_shard_id", err)
	}
	return err
}

// atField says which member of the request an error is about.
func atField(name string, err error) error {
	var e *leat.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Field = name
	return &c
}
