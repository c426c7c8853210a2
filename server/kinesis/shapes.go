// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// nothing is the output of operations that answer with an empty body.
type nothing struct{}

// The structures that several operations answer with. Their members are those of the SDK's types.

type streamModeDetails struct {
	StreamMode *string `json:"StreamMode,omitempty" check:"required,enum=PROVISIONED|ON_DEMAND"`
}

type hashKeyRange struct {
	StartingHashKey string `json:"StartingHashKey"`
	EndingHashKey   string `json:"EndingHashKey"`
}

type sequenceNumberRange struct {
	StartingSequenceNumber string  `json:"StartingSequenceNumber"`
	EndingSequenceNumber   *string `json:"EndingSequenceNumber,omitempty"` // absent while the shard is open
}

type shard struct {
	ShardId               string              `json:"ShardId"`
	ParentShardId         *string             `json:"ParentShardId,omitempty"`
	AdjacentParentShardId *string             `json:"AdjacentParentShardId,omitempty"`
	HashKeyRange          hashKeyRange        `json:"HashKeyRange"`
	SequenceNumberRange   sequenceNumberRange `json:"SequenceNumberRange"`
}

type enhancedMetrics struct {
	ShardLevelMetrics []string `json:"ShardLevelMetrics"`
}

type tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

type warmThroughput struct {
	TargetMiBps  *int `json:"TargetMiBps,omitempty"` // absent where none was asked for
	CurrentMiBps int  `json:"CurrentMiBps"`
}

// shardsOf is never nil: clients iterate over the list without asking whether it is there.
func shardsOf(list []leat.Shard) []shard {
	out := make([]shard, 0, len(list))
	for i := range list {
		out = append(out, shardOf(&list[i]))
	}
	return out
}

func shardOf(s *leat.Shard) shard {
	first, last := broker.SequenceRange(s)
	return shard{
		ShardId:               leat.ShardID(s.Key.Ordinal),
		ParentShardId:         parentOf(s.Parent),
		AdjacentParentShardId: parentOf(s.AdjacentParent),
		HashKeyRange:          hashKeyRange{StartingHashKey: s.Range.Start.String(), EndingHashKey: s.Range.End.String()},
		SequenceNumberRange:   sequenceNumberRange{StartingSequenceNumber: first, EndingSequenceNumber: given(last)},
	}
}

func parentOf(ordinal *uint64) *string {
	if ordinal == nil {
		return nil
	}
	id := leat.ShardID(*ordinal)
	return &id
}

// serves tells whether a stream's shards can be read and written: AWS describes none while it is made or removed.
func serves(s *leat.Stream) bool {
	return s.Status == leat.StreamActive || s.Status == leat.StreamUpdating
}

// modeOf reads the mode that a request asks for; empty when it asks for none. AWS's names are the native ones.
func modeOf(d *streamModeDetails) leat.StreamMode {
	if d == nil {
		return ""
	}
	return leat.StreamMode(value(d.StreamMode))
}

func modeDetails(m leat.StreamMode) *streamModeDetails {
	mode := string(m)
	return &streamModeDetails{StreamMode: &mode}
}

// The values of EncryptionType.
const (
	encryptionNone = "NONE"
	encryptionKMS  = "KMS"
)

// encryptionOf returns EncryptionType and KeyId; the latter is absent where nothing is encrypted.
func encryptionOf(s *leat.Stream) (encryption string, key *string) {
	if s.EncryptionKey == "" {
		return encryptionNone, nil
	}
	return encryptionKMS, &s.EncryptionKey
}

// monitoringOf returns EnhancedMonitoring, which always has one element.
func monitoringOf(m []leat.ShardMetric) []enhancedMetrics {
	return []enhancedMetrics{{ShardLevelMetrics: metricNames(m)}}
}

func metricNames(m []leat.ShardMetric) []string {
	names := make([]string, 0, len(m))
	for _, name := range m {
		names = append(names, string(name))
	}
	return names
}

func tagsOf(list []broker.Tag) []tag {
	out := make([]tag, 0, len(list))
	for _, t := range list {
		out = append(out, tag{Key: t.Name, Value: t.Value})
	}
	return out
}

// warmThroughputOf returns what a stream was asked to keep room for, and what its shards take now.
func warmThroughputOf(d *broker.StreamDescription) *warmThroughput {
	w := &warmThroughput{CurrentMiBps: d.OpenShards * leat.ShardBytesIn >> 20}
	if d.WarmThroughput > 0 {
		w.TargetMiBps = &d.WarmThroughput
	}
	return w
}

// The values of RecordDistributionStrategy.
const (
	distributeByKey  = "USER_PARTITION_KEY"
	distributeEvenly = "AUTO"
)

// hours returns a retention as AWS counts it.
func hours(d time.Duration) int { return int(d / time.Hour) }

// integer returns nil where the member is absent.
func integer(n *int32) *int {
	if n == nil {
		return nil
	}
	i := int(*n)
	return &i
}

// given returns nil for what is not there, so that the member is left out.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
