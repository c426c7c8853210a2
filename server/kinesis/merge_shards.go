// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// MergeShards promises: when it answers, the merge is decided and is carried out even if this node dies; the stream is
// UPDATING until then. The shards must be adjacent, the lower one first.
//
// Differs from AWS: nothing that a client can see.

type mergeShardsInput struct {
	StreamName           *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN            *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId             *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	ShardToMerge         *string `json:"ShardToMerge,omitempty" check:"required,pattern=shardId,len=1..128"`
	AdjacentShardToMerge *string `json:"AdjacentShardToMerge,omitempty" check:"required,pattern=shardId,len=1..128"`
}

func (h *Handler) mergeShards(ctx context.Context, c *call, in *mergeShardsInput) (*nothing, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	if err := h.knownShards(c, stream, *in.ShardToMerge, *in.AdjacentShardToMerge); err != nil {
		return nil, err
	}
	return nil, provisioned(h.broker.MergeShards(ctx, c.who, broker.MergeShardsRequest{
		Stream: stream, Shard: *in.ShardToMerge, Adjacent: *in.AdjacentShardToMerge, ProvisionedOnly: true,
	}))
}
