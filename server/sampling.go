// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/datapoints"
	"github.com/leatstream/leat/server/delivery"
)

// sampling turns what this node counts anyway into datapoints, a few times a minute: what its shards take and give, for the
// metrics that their stream has chosen (EnableEnhancedMonitoring), and what its deliveries deliver. What calls do the
// broker tells by itself.
type sampling struct {
	s      *Server
	points *datapoints.Log
	shards map[leat.ShardKey]broker.Counts // as they were
	sent   map[string]delivery.Delivered   // by id, as they were
}

func newSampling(s *Server, points *datapoints.Log) *sampling {
	return &sampling{s: s, points: points, shards: map[leat.ShardKey]broker.Counts{}, sent: map[string]delivery.Delivered{}}
}

// gather is called by one goroutine.
func (g *sampling) gather(ctx context.Context, at time.Time) {
	g.gatherShards(at)
	const endOfMinute = 45 // a look into the catalog for each delivery stream is for once a minute
	g.gatherDeliveries(ctx, at, at.Second() >= endOfMinute)
}

func (g *sampling) gatherShards(at time.Time) {
	seen := map[leat.ShardKey]broker.Counts{}
	for _, stream := range g.s.broker.MonitoredStreams() {
		chosen := map[leat.ShardMetric]bool{}
		for _, m := range stream.Monitoring {
			chosen[m] = true
		}
		for _, r := range g.s.broker.ShardRates(stream.ID) {
			if !g.s.owns(r.Shard.Key) {
				continue
			}
			was, known := g.shards[r.Shard.Key]
			now := r.Total
			if seen[r.Shard.Key] = now; !known {
				continue // from here on: what it has counted since its stream was made belongs to no minute
			}
			if now.RecordsIn < was.RecordsIn || now.RecordsOut < was.RecordsOut {
				was = broker.Counts{} // it was forgotten while nothing was counted, and begins anew
			}
			to := datapoints.Series{Space: datapoints.Streams, Account: stream.Account, Name: stream.Name, Shard: leat.ShardID(r.Shard.Key.Ordinal)}
			for _, c := range []struct {
				name   leat.ShardMetric
				metric datapoints.Metric
				n      uint64
			}{
				{leat.MetricIncomingBytes, datapoints.IncomingBytes, now.BytesIn - was.BytesIn},
				{leat.MetricIncomingRecords, datapoints.IncomingRecords, now.RecordsIn - was.RecordsIn},
				{leat.MetricOutgoingBytes, datapoints.OutgoingBytes, now.BytesOut - was.BytesOut},
				{leat.MetricOutgoingRecords, datapoints.OutgoingRecords, now.RecordsOut - was.RecordsOut},
				{leat.MetricWriteExceeded, datapoints.WriteExceeded, now.ThrottledWrites - was.ThrottledWrites},
				{leat.MetricReadExceeded, datapoints.ReadExceeded, now.ThrottledReads - was.ThrottledReads},
			} {
				if chosen[c.name] {
					g.points.ObserveAt(to, at, datapoints.Value{Metric: c.metric, V: float64(c.n)})
				}
			}
			if chosen[leat.MetricIteratorAgeMillis] && now.RecordsOut > 0 {
				g.points.ObserveAt(to, at, datapoints.Value{Metric: datapoints.IteratorAge, V: float64(r.IteratorAge.Milliseconds())})
			}
		}
	}
	g.shards = seen
}

// deliveryMetrics are the metrics of a destination.
type deliveryMetrics struct {
	bytes, records, success, freshness datapoints.Metric
}

func (g *sampling) gatherDeliveries(ctx context.Context, at time.Time, behind bool) {
	seen := map[string]delivery.Delivered{}
	for _, now := range g.s.deliver.Delivered(ctx, behind) {
		was := g.sent[now.ID]
		seen[now.ID] = now
		m := deliveryMetrics{datapoints.S3Bytes, datapoints.S3Records, datapoints.S3Success, datapoints.S3Freshness}
		if now.Endpoint {
			m = deliveryMetrics{datapoints.HTTPBytes, datapoints.HTTPRecords, datapoints.HTTPSuccess, datapoints.HTTPFreshness}
		}
		to := datapoints.Series{Space: datapoints.Deliveries, Account: now.Account, Name: now.Name}
		if n := float64(now.Objects - was.Objects); n > 0 {
			g.points.Add(to, at, m.bytes, datapoints.Stat{Count: 1, Sum: float64(now.Bytes - was.Bytes), Min: float64(now.Bytes - was.Bytes), Max: float64(now.Bytes - was.Bytes)})
			records := float64(now.Records - was.Records)
			g.points.Add(to, at, m.records, datapoints.Stat{Count: 1, Sum: records, Min: records, Max: records})
			g.points.Add(to, at, m.success, datapoints.Stat{Count: n, Sum: n, Min: 1, Max: 1})
		}
		if n := float64(now.Failures - was.Failures); n > 0 {
			g.points.Add(to, at, m.success, datapoints.Stat{Count: n})
		}
		if now.Known {
			g.points.ObserveAt(to, at, datapoints.Value{Metric: m.freshness, V: now.Behind})
		}
	}
	g.sent = seen
}
