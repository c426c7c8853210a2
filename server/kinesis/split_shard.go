// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// SplitShard promises: when it answers, the split is decided and is carried out even if this node dies; the stream is
// UPDATING until then. NewStartingHashKey lies strictly inside the shard: more than one above its first hash key, and
// below its last.
//
// Differs from AWS: nothing that a client can see.

type splitShardInput struct {
	NewStartingHashKey *string `json:"NewStartingHashKey,omitempty" check:"required,pattern=hashKey"`
	StreamName         *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	ShardToSplit       *string `json:"ShardToSplit,omitempty" check:"required,pattern=shardId,len=1..128"`
	StreamARN          *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId           *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

func (h *Handler) splitShard(ctx context.Context, c *call, in *splitShardInput) (*nothing, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	if err := h.knownShards(c, stream, *in.ShardToSplit); err != nil {
		return nil, err
	}
	return nil, provisioned(h.broker.SplitShard(ctx, c.who, broker.SplitShardRequest{
		Stream: stream, Shard: *in.ShardToSplit, NewStartingHashKey: *in.NewStartingHashKey, ProvisionedOnly: true,
	}))
}
