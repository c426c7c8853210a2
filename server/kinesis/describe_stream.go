// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat/server/broker"
)

// DescribeStream promises: the stream with its settings, and its shards in order of their ids from the one after
// ExclusiveStartShardId on. A page has 100 shards at most, as with AWS.
//
// As with AWS, a stream that is CREATING or DELETING is described without shards.
//
// Differs from AWS: nothing that a client can see.

type describeStreamInput struct {
	StreamName            *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN             *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId              *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	Limit                 *int32  `json:"Limit,omitempty" check:"range=1..10000"`
	ExclusiveStartShardId *string `json:"ExclusiveStartShardId,omitempty" check:"pattern=shardId,len=1..128"`
}

type describeStreamOutput struct {
	StreamDescription streamDescription `json:"StreamDescription"`
}

type streamDescription struct {
	StreamName              string             `json:"StreamName"`
	StreamARN               string             `json:"StreamARN"`
	StreamStatus            string             `json:"StreamStatus"`
	StreamModeDetails       *streamModeDetails `json:"StreamModeDetails"`
	Shards                  []shard            `json:"Shards"`
	HasMoreShards           bool               `json:"HasMoreShards"`
	RetentionPeriodHours    int                `json:"RetentionPeriodHours"`
	StreamCreationTimestamp *timestamp         `json:"StreamCreationTimestamp"`
	EnhancedMonitoring      []enhancedMetrics  `json:"EnhancedMonitoring"`
	EncryptionType          string             `json:"EncryptionType"`
	KeyId                   *string            `json:"KeyId,omitempty"`
}

// maxDescribeShards bounds a page of DescribeStream, whatever Limit asks for.
const maxDescribeShards = 100

func (h *Handler) describeStream(ctx context.Context, c *call, in *describeStreamInput) (*describeStreamOutput, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	res, err := h.broker.DescribeStream(ctx, c.who, broker.DescribeStreamRequest{
		Stream:   stream,
		After:    value(in.ExclusiveStartShardId),
		PageSize: min(int(value(in.Limit)), maxDescribeShards),
	})
	if err != nil {
		return nil, err
	}
	s := &res.Stream.Stream
	d := streamDescription{
		StreamName:              s.Name,
		StreamARN:               s.ARN(h.broker.Region()),
		StreamStatus:            string(s.Status),
		StreamModeDetails:       modeDetails(s.Mode),
		Shards:                  []shard{},
		RetentionPeriodHours:    hours(s.Retention),
		StreamCreationTimestamp: stamp(s.Created),
		EnhancedMonitoring:      monitoringOf(s.Monitoring),
	}
	d.EncryptionType, d.KeyId = encryptionOf(s)
	if serves(s) {
		d.Shards, d.HasMoreShards = shardsOf(res.Shards), res.NextPageToken != ""
	}
	return &describeStreamOutput{StreamDescription: d}, nil
}
