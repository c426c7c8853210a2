// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat"
)

// DescribeStreamSummary promises: the stream with its settings and how many shards, consumers and channels it has.
//
// Differs from AWS: nothing that a client can see. There are no channels, so their number is 0.

type describeStreamSummaryInput struct {
	StreamName *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN  *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId   *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

type describeStreamSummaryOutput struct {
	StreamDescriptionSummary streamDescriptionSummary `json:"StreamDescriptionSummary"`
}

type streamDescriptionSummary struct {
	StreamName                 string             `json:"StreamName"`
	StreamARN                  string             `json:"StreamARN"`
	StreamStatus               string             `json:"StreamStatus"`
	StreamModeDetails          *streamModeDetails `json:"StreamModeDetails"`
	RetentionPeriodHours       int                `json:"RetentionPeriodHours"`
	StreamCreationTimestamp    *timestamp         `json:"StreamCreationTimestamp"`
	EnhancedMonitoring         []enhancedMetrics  `json:"EnhancedMonitoring"`
	EncryptionType             string             `json:"EncryptionType"`
	KeyId                      *string            `json:"KeyId,omitempty"`
	OpenShardCount             int                `json:"OpenShardCount"`
	ConsumerCount              int                `json:"ConsumerCount"`
	ChannelCount               int                `json:"ChannelCount"`
	MaxRecordSizeInKiB         int                `json:"MaxRecordSizeInKiB"`
	WarmThroughput             *warmThroughput    `json:"WarmThroughput,omitempty"`
	RecordDistributionStrategy *string            `json:"RecordDistributionStrategy,omitempty"` // of on-demand streams alone
}

func (h *Handler) describeStreamSummary(ctx context.Context, c *call, in *describeStreamSummaryInput) (*describeStreamSummaryOutput, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	d, consumers, err := h.broker.DescribeStreamSummary(ctx, c.who, stream)
	if err != nil {
		return nil, err
	}
	out := streamDescriptionSummary{
		StreamName:              d.Name,
		StreamARN:               d.ARN(h.broker.Region()),
		StreamStatus:            string(d.Status),
		StreamModeDetails:       modeDetails(d.Mode),
		RetentionPeriodHours:    hours(d.Retention),
		StreamCreationTimestamp: stamp(d.Created),
		EnhancedMonitoring:      monitoringOf(d.Monitoring),
		ConsumerCount:           consumers,
		MaxRecordSizeInKiB:      d.MaxRecordBytes >> 10,
	}
	out.EncryptionType, out.KeyId = encryptionOf(&d.Stream)
	if serves(&d.Stream) {
		out.OpenShardCount = d.OpenShards
	}
	if d.Mode == leat.ModeOnDemand {
		out.RecordDistributionStrategy = given(distributeByKey)
		out.WarmThroughput = warmThroughputOf(&d)
	}
	return &describeStreamSummaryOutput{StreamDescriptionSummary: out}, nil
}
