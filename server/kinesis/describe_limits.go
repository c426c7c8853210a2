// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// DescribeLimits promises: how many open shards and on-demand streams the account has in this cluster, and how many it
// may have.
//
// Differs from AWS: nothing that a client can see. There are no channels: none, of none allowed.

type describeLimitsInput struct{}

type describeLimitsOutput struct {
	ShardLimit               int `json:"ShardLimit"`
	OpenShardCount           int `json:"OpenShardCount"`
	OnDemandStreamCount      int `json:"OnDemandStreamCount"`
	OnDemandStreamCountLimit int `json:"OnDemandStreamCountLimit"`
	ChannelCount             int `json:"ChannelCount"`
	ChannelCountLimit        int `json:"ChannelCountLimit"`
}

func (h *Handler) describeLimits(ctx context.Context, c *call, _ *describeLimitsInput) (*describeLimitsOutput, error) {
	l, err := h.broker.Limits(ctx, c.who)
	if err != nil {
		return nil, err
	}
	return &describeLimitsOutput{
		ShardLimit:               l.ShardLimit,
		OpenShardCount:           l.OpenShards,
		OnDemandStreamCount:      l.OnDemandStreams,
		OnDemandStreamCountLimit: l.OnDemandStreamLimit,
	}, nil
}
