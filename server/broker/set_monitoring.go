// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"slices"

	"github.com/leatstream/leat"
)

// SetMonitoring (AWS: EnableEnhancedMonitoring, DisableEnhancedMonitoring) promises: the stream has the shard-level metrics
// that are enabled and none of those that are disabled; others stay as they are. Each node then has them on /metrics.
// Changing nothing succeeds in any state.
//
// Differs from AWS: one operation for both; it takes effect at once and the stream stays ACTIVE.

// SetMonitoring chooses shard-level metrics; ALL stands for every one. It returns the metrics before and after, sorted,
// and the stream.
func (b *Broker) SetMonitoring(ctx context.Context, who leat.Principal, stream string, enable, disable []leat.ShardMetric) (before, after []leat.ShardMetric, d StreamDescription, err error) {
	if enable, disable, err = checkMetrics(enable, disable); err != nil {
		return nil, nil, d, err
	}
	v, err := b.changeableBy(ctx, who, monitoringActions(enable, disable), stream)
	if err != nil {
		return nil, nil, d, err
	}
	if !monitoringChanges(v.Monitoring, enable, disable) {
		return v.Monitoring, v.Monitoring, v.describe(), nil
	}
	if v.Status != leat.StreamActive {
		return nil, nil, d, errNotActive(&v.Stream)
	}
	before, s, err := b.catalog.SetMonitoring(ctx, v.ID, enable, disable)
	if err != nil {
		return nil, nil, d, err
	}
	b.settled(ctx, s)
	b.changed(ctx, fields{"monitoring": before}, fields{"monitoring": s.Monitoring})
	return before, s.Monitoring, StreamDescription{Stream: s, OpenShards: len(v.open)}, nil
}

// monitoringActions are what policies must allow; there is one at least.
func monitoringActions(enable, disable []leat.ShardMetric) (all []Action) {
	if len(enable) > 0 {
		all = append(all, ActionEnableMonitoring)
	}
	if len(disable) > 0 {
		all = append(all, ActionDisableMonitoring)
	}
	return all
}

func checkMetrics(enable, disable []leat.ShardMetric) (on, off []leat.ShardMetric, err error) {
	if len(enable)+len(disable) == 0 {
		return nil, nil, leat.Invalid("enable", "no metric is given")
	}
	if on, err = leat.ParseShardMetrics(enable); err != nil {
		return nil, nil, atField("enable", err)
	}
	if off, err = leat.ParseShardMetrics(disable); err != nil {
		return nil, nil, atField("disable", err)
	}
	for _, m := range off {
		if slices.Contains(on, m) {
			return nil, nil, leat.Invalid("disable", "metric %s cannot be enabled and disabled at once", m)
		}
	}
	return on, off, nil
}

func monitoringChanges(now, enable, disable []leat.ShardMetric) bool {
	missing := func(m leat.ShardMetric) bool { return !slices.Contains(now, m) }
	kept := func(m leat.ShardMetric) bool { return slices.Contains(now, m) }
	return slices.ContainsFunc(enable, missing) || slices.ContainsFunc(disable, kept)
}
