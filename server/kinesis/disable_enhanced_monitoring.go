// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// DisableEnhancedMonitoring promises: these metrics are not kept for the stream's shards any more.
// ALL stands for every one of them.
//
// Differs from AWS: the metrics are on /metrics and in this server's CloudWatch API. It takes effect at once.

func (h *Handler) disableEnhancedMonitoring(ctx context.Context, c *call, in *enhancedMonitoringInput) (*enhancedMonitoringOutput, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	before, after, d, err := h.broker.SetMonitoring(ctx, c.who, stream, nil, in.metrics())
	if err != nil {
		return nil, err
	}
	return h.monitored(before, after, &d.Stream), nil
}
