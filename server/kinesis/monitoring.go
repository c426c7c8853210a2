// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "github.com/leatstream/leat"

// What EnableEnhancedMonitoring and DisableEnhancedMonitoring share.

type enhancedMonitoringInput struct {
	StreamName        *string  `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN         *string  `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId          *string  `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	ShardLevelMetrics []string `json:"ShardLevelMetrics,omitempty" check:"required,items=1..7,eachEnum=IncomingBytes|IncomingRecords|OutgoingBytes|OutgoingRecords|WriteProvisionedThroughputExceeded|ReadProvisionedThroughputExceeded|IteratorAgeMilliseconds|ALL"`
}

type enhancedMonitoringOutput struct {
	StreamName               string   `json:"StreamName"`
	StreamARN                string   `json:"StreamARN"`
	CurrentShardLevelMetrics []string `json:"CurrentShardLevelMetrics"` // before the operation
	DesiredShardLevelMetrics []string `json:"DesiredShardLevelMetrics"` // after it
}

func (in *enhancedMonitoringInput) metrics() []leat.ShardMetric {
	out := make([]leat.ShardMetric, 0, len(in.ShardLevelMetrics))
	for _, m := range in.ShardLevelMetrics {
		out = append(out, leat.ShardMetric(m))
	}
	return out
}

func (h *Handler) monitored(before, after []leat.ShardMetric, s *leat.Stream) *enhancedMonitoringOutput {
	return &enhancedMonitoringOutput{
		StreamName: s.Name, StreamARN: s.ARN(h.broker.Region()),
		CurrentShardLevelMetrics: metricNames(before), DesiredShardLevelMetrics: metricNames(after),
	}
}
