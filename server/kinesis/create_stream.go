// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// CreateStream promises: when it answers, the stream exists in state CREATING with all its settings and tags, and
// becomes ACTIVE by itself. Without ShardCount and mode it is an on-demand stream of 4 shards.
//
// Differs from AWS: an on-demand stream may be given the number of shards that it begins with. The record distribution
// strategy AUTO is refused.

type createStreamInput struct {
	StreamName                 *string            `json:"StreamName,omitempty" check:"required,pattern=streamName,len=1..128"`
	ShardCount                 *int32             `json:"ShardCount,omitempty" check:"range=1..100000"`
	StreamModeDetails          *streamModeDetails `json:"StreamModeDetails,omitempty"`
	Tags                       map[string]string  `json:"Tags,omitempty" check:"items=1..200,keys=1..128,values=0..256"`
	WarmThroughputMiBps        *int32             `json:"WarmThroughputMiBps,omitempty" check:"range=0..2147483647"`
	MaxRecordSizeInKiB         *int32             `json:"MaxRecordSizeInKiB,omitempty" check:"range=1024..10240"`
	RecordDistributionStrategy *string            `json:"RecordDistributionStrategy,omitempty" check:"enum=AUTO|USER_PARTITION_KEY"`
}

func (h *Handler) createStream(ctx context.Context, c *call, in *createStreamInput) (*nothing, error) {
	if value(in.RecordDistributionStrategy) == distributeEvenly {
		return nil, leat.Errorf(leat.KindUnsupported, "RecordDistributionStrategy AUTO is not supported: records go to the shard of their partition key, which is USER_PARTITION_KEY.")
	}
	_, err := h.broker.CreateStream(ctx, c.who, broker.CreateStreamRequest{
		Stream:         *in.StreamName,
		Shards:         int(value(in.ShardCount)),
		Mode:           modeOf(in.StreamModeDetails),
		MaxRecordBytes: int(value(in.MaxRecordSizeInKiB)) << 10,
		WarmThroughput: int(value(in.WarmThroughputMiBps)),
		Tags:           in.Tags,
	})
	return nil, err
}
