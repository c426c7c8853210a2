// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

func modeOf(m leat.StreamMode) leatv1.StreamMode {
	switch m {
	case leat.ModeProvisioned:
		return leatv1.StreamMode_STREAM_MODE_PROVISIONED
	case leat.ModeOnDemand:
		return leatv1.StreamMode_STREAM_MODE_ON_DEMAND
	}
	return leatv1.StreamMode_STREAM_MODE_UNSPECIFIED
}

func modeFrom(m leatv1.StreamMode) leat.StreamMode {
	switch m {
	case leatv1.StreamMode_STREAM_MODE_PROVISIONED:
		return leat.ModeProvisioned
	case leatv1.StreamMode_STREAM_MODE_ON_DEMAND:
		return leat.ModeOnDemand
	default:
		return ""
	}
}

func statusFrom(s leat.StreamStatus) leatv1.StreamStatus {
	switch s {
	case leat.StreamCreating:
		return leatv1.StreamStatus_STREAM_STATUS_CREATING
	case leat.StreamActive:
		return leatv1.StreamStatus_STREAM_STATUS_ACTIVE
	case leat.StreamUpdating:
		return leatv1.StreamStatus_STREAM_STATUS_UPDATING
	case leat.StreamDeleting:
		return leatv1.StreamStatus_STREAM_STATUS_DELETING
	}
	return leatv1.StreamStatus_STREAM_STATUS_UNSPECIFIED
}

func consumerStatus(s leat.ConsumerStatus) leatv1.ConsumerStatus {
	switch s {
	case leat.ConsumerCreating:
		return leatv1.ConsumerStatus_CONSUMER_STATUS_CREATING
	case leat.ConsumerActive:
		return leatv1.ConsumerStatus_CONSUMER_STATUS_ACTIVE
	case leat.ConsumerDeleting:
		return leatv1.ConsumerStatus_CONSUMER_STATUS_DELETING
	}
	return leatv1.ConsumerStatus_CONSUMER_STATUS_UNSPECIFIED
}

// positions is in the order of the proto's numbers.
var positions = [...]broker.IteratorType{
	leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON:          broker.TrimHorizon,
	leatv1.StartingPositionType_STARTING_POSITION_TYPE_LATEST:                broker.Latest,
	leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_SEQUENCE_NUMBER:    broker.AtSequenceNumber,
	leatv1.StartingPositionType_STARTING_POSITION_TYPE_AFTER_SEQUENCE_NUMBER: broker.AfterSequenceNumber,
	leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_TIMESTAMP:          broker.AtTimestamp,
}

func positionFrom(p *leatv1.StartingPosition) (broker.StartingPosition, error) {
	at, err := timeFrom("start.timestamp", p.GetTimestamp())
	return broker.StartingPosition{Type: named(positions[:], p.GetType()), SequenceNumber: p.GetSequenceNumber(), Timestamp: at}, err
}

// filters is in the order of the proto's numbers.
var filters = [...]broker.FilterType{
	leatv1.ShardFilterType_SHARD_FILTER_TYPE_AFTER_SHARD_ID:    broker.FilterAfterShardID,
	leatv1.ShardFilterType_SHARD_FILTER_TYPE_AT_TRIM_HORIZON:   broker.FilterAtTrimHorizon,
	leatv1.ShardFilterType_SHARD_FILTER_TYPE_FROM_TRIM_HORIZON: broker.FilterFromTrimHorizon,
	leatv1.ShardFilterType_SHARD_FILTER_TYPE_AT_LATEST:         broker.FilterAtLatest,
	leatv1.ShardFilterType_SHARD_FILTER_TYPE_AT_TIMESTAMP:      broker.FilterAtTimestamp,
	leatv1.ShardFilterType_SHARD_FILTER_TYPE_FROM_TIMESTAMP:    broker.FilterFromTimestamp,
}

func filterFrom(f *leatv1.ShardFilter) (broker.ShardFilter, error) {
	at, err := timeFrom("filter.timestamp", f.GetTimestamp())
	return broker.ShardFilter{Type: named(filters[:], f.GetType()), ShardID: f.GetShardId(), Timestamp: at}, err
}

func named[T ~string, E ~int32](names []T, e E) T {
	if e < 0 || int(e) >= len(names) {
		return "UNKNOWN"
	}
	return names[e]
}

// numbered undoes named; a name that the proto does not have is 0.
func numbered[E ~int32, T ~string](names []T, name T) E {
	return E(max(slices.Index(names, name), 0))
}

// metrics is in the order of the proto's numbers.
var metrics = [...]leat.ShardMetric{
	leatv1.ShardMetric_SHARD_METRIC_INCOMING_BYTES:                        leat.MetricIncomingBytes,
	leatv1.ShardMetric_SHARD_METRIC_INCOMING_RECORDS:                      leat.MetricIncomingRecords,
	leatv1.ShardMetric_SHARD_METRIC_OUTGOING_BYTES:                        leat.MetricOutgoingBytes,
	leatv1.ShardMetric_SHARD_METRIC_OUTGOING_RECORDS:                      leat.MetricOutgoingRecords,
	leatv1.ShardMetric_SHARD_METRIC_WRITE_PROVISIONED_THROUGHPUT_EXCEEDED: leat.MetricWriteExceeded,
	leatv1.ShardMetric_SHARD_METRIC_READ_PROVISIONED_THROUGHPUT_EXCEEDED:  leat.MetricReadExceeded,
	leatv1.ShardMetric_SHARD_METRIC_ITERATOR_AGE_MILLISECONDS:             leat.MetricIteratorAgeMillis,
}

func metricsFrom(asked []leatv1.ShardMetric) []leat.ShardMetric {
	out := make([]leat.ShardMetric, len(asked))
	for i, m := range asked {
		out[i] = named(metrics[:], m)
	}
	return out
}

func metricsOf(kept []leat.ShardMetric) []leatv1.ShardMetric {
	var out []leatv1.ShardMetric
	for _, m := range kept {
		out = append(out, numbered[leatv1.ShardMetric](metrics[:], m))
	}
	return out
}

// timeFrom refuses times that the proto's form does not allow; absent is the zero time.
func timeFrom(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, leat.Invalid(field, "%s is not a time from year 1 to 9999", field)
	}
	return t.AsTime(), nil
}

// stamp returns nil for the zero time.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func (s *Server) streamOf(d *broker.StreamDescription) *leatv1.Stream {
	return &leatv1.Stream{
		Name: d.Name, Arn: d.ARN(s.broker.Region()), Id: d.ID.String(), Account: d.Account,
		Mode: modeOf(d.Mode), Status: statusFrom(d.Status),
		OpenShardCount: int32(d.OpenShards), TargetShardCount: int32(d.TargetShards),
		RetentionHours: int32(d.Retention / time.Hour), MaxRecordBytes: int64(d.MaxRecordBytes),
		CreateTime: stamp(d.Created), EncryptionKey: d.EncryptionKey, Monitoring: metricsOf(d.Monitoring), WarmThroughputMibps: int32(d.WarmThroughput),
	}
}

func rangeOf(r leat.HashKeyRange) *leatv1.HashKeyRange {
	return &leatv1.HashKeyRange{StartingHashKey: r.Start.String(), EndingHashKey: r.End.String()}
}

func shardsOf(shards []leat.Shard) []*leatv1.Shard {
	out := make([]*leatv1.Shard, len(shards))
	for i := range shards {
		s := &shards[i]
		first, last := broker.SequenceRange(s)
		out[i] = &leatv1.Shard{
			ShardId: leat.ShardID(s.Key.Ordinal), HashKeyRange: rangeOf(s.Range),
			ParentShardId: ancestor(s.Parent), AdjacentParentShardId: ancestor(s.AdjacentParent),
			SequenceNumberRange: &leatv1.SequenceNumberRange{StartingSequenceNumber: first, EndingSequenceNumber: last},
			CreateTime:          stamp(s.Created), CloseTime: stamp(s.Closed),
			OwnerSessionId: sessionOf(s.Owner), Epoch: int64(s.Epoch),
		}
	}
	return out
}

// sessionOf is empty where nobody owns a shard.
func sessionOf(id leat.SessionID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

func ancestor(ordinal *uint64) string {
	if ordinal == nil {
		return ""
	}
	return leat.ShardID(*ordinal)
}

func childrenOf(shards []leat.Shard) []*leatv1.ChildShard {
	out := make([]*leatv1.ChildShard, len(shards))
	for i := range shards {
		s := &shards[i]
		c := &leatv1.ChildShard{ShardId: leat.ShardID(s.Key.Ordinal), HashKeyRange: rangeOf(s.Range)}
		for _, parent := range []*uint64{s.Parent, s.AdjacentParent} {
			if parent != nil {
				c.ParentShardIds = append(c.ParentShardIds, leat.ShardID(*parent))
			}
		}
		out[i] = c
	}
	return out
}

func (s *Server) consumerOf(d *broker.ConsumerDescription) *leatv1.Consumer {
	return &leatv1.Consumer{
		Name: d.Name, Arn: d.ARN(d.In.ARN(s.broker.Region())), Status: consumerStatus(d.Status),
		CreateTime: stamp(d.Created), Stream: d.In.Name,
	}
}
