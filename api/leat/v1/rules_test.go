// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leatv1_test

import (
	"errors"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// TestRules puts values at and beyond each bound of the requests. An empty want means that the request is good; else
// it is the path of the field that is refused.
func TestRules(t *testing.T) {
	number := strings.Repeat("4", 56)
	latest := &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_LATEST}
	entry := &leatv1.PutRecordsRequestEntry{PartitionKey: "k"}
	entries := func(n int) (es []*leatv1.PutRecordsRequestEntry) {
		for range n {
			es = append(es, entry)
		}
		return es
	}
	for _, c := range []struct {
		name string
		msg  proto.Message
		want string
	}{
		{"stream", &leatv1.CreateStreamRequest{Stream: "a-Z_0.9"}, ""},
		{"stream empty", &leatv1.CreateStreamRequest{}, "stream"},
		{"stream with a colon", &leatv1.CreateStreamRequest{Stream: "a:b"}, "stream"},
		{"stream in two lines", &leatv1.CreateStreamRequest{Stream: "a\nb"}, "stream"},
		{"stream with a line end", &leatv1.CreateStreamRequest{Stream: "a\n"}, "stream"},
		{"stream of 128", &leatv1.CreateStreamRequest{Stream: strings.Repeat("x", 128)}, ""},
		{"stream of 129", &leatv1.CreateStreamRequest{Stream: strings.Repeat("x", 129)}, "stream"},
		{"shards negative", &leatv1.CreateStreamRequest{Stream: "s", ShardCount: -1}, "shard_count"},
		{"mode unknown", &leatv1.CreateStreamRequest{Stream: "s", Mode: 77}, "mode"},
		{"retention 24", &leatv1.CreateStreamRequest{Stream: "s", RetentionHours: 24}, ""},
		{"retention 23", &leatv1.CreateStreamRequest{Stream: "s", RetentionHours: 23}, "retention_hours"},
		{"retention 8760", &leatv1.CreateStreamRequest{Stream: "s", RetentionHours: 8760}, ""},
		{"retention 8761", &leatv1.CreateStreamRequest{Stream: "s", RetentionHours: 8761}, "retention_hours"},
		{"record size least", &leatv1.CreateStreamRequest{Stream: "s", MaxRecordBytes: 1 << 20}, ""},
		{"record size less", &leatv1.CreateStreamRequest{Stream: "s", MaxRecordBytes: 1<<20 - 1}, "max_record_bytes"},
		{"record size most", &leatv1.CreateStreamRequest{Stream: "s", MaxRecordBytes: 10 << 20}, ""},
		{"record size more", &leatv1.CreateStreamRequest{Stream: "s", MaxRecordBytes: 10<<20 + 1}, "max_record_bytes"},

		{"settings missing", &leatv1.UpdateStreamRequest{Stream: "s"}, "settings"},
		{"mask", update("retention_hours", "mode", "max_record_bytes"), ""},
		{"mask of another field", update("status"), "update_mask"},
		{"settings wrong", &leatv1.UpdateStreamRequest{Stream: "s", Settings: &leatv1.StreamSettings{RetentionHours: 1}}, "settings.retention_hours"},

		{"warm most", &leatv1.CreateStreamRequest{Stream: "s", WarmThroughputMibps: 10 << 10}, ""},
		{"warm more", &leatv1.CreateStreamRequest{Stream: "s", WarmThroughputMibps: 10<<10 + 1}, "warm_throughput_mibps"},
		{"tags", &leatv1.AddTagsRequest{Stream: "s", Tags: map[string]string{"語": ""}}, ""},
		{"tags of none", &leatv1.AddTagsRequest{Stream: "s"}, "tags"},
		{"tag without a name", &leatv1.AddTagsRequest{Stream: "s", Tags: map[string]string{"": "v"}}, `tags[""]`},
		{"tag with a long value", &leatv1.AddTagsRequest{Stream: "s", Consumer: "c", Tags: map[string]string{"n": strings.Repeat("x", 257)}}, `tags["n"]`},
		{"tags of a bad consumer", &leatv1.ListTagsRequest{Stream: "s", Consumer: "c c"}, "consumer"},
		{"untag nothing", &leatv1.RemoveTagsRequest{Stream: "s"}, "names"},
		{"policy of 20 KiB", &leatv1.PutResourcePolicyRequest{Stream: "s", Policy: strings.Repeat("x", 20<<10)}, ""},
		{"policy too large", &leatv1.PutResourcePolicyRequest{Stream: "s", Policy: strings.Repeat("x", 20<<10+1)}, "policy"},
		{"metric unknown", &leatv1.SetStreamMonitoringRequest{Stream: "s", Enable: []leatv1.ShardMetric{99}}, "enable[0]"},
		{"metric not given", &leatv1.SetStreamMonitoringRequest{Stream: "s", Disable: []leatv1.ShardMetric{0}}, "disable[0]"},
		{"encrypt without a key", &leatv1.StartStreamEncryptionRequest{Stream: "s"}, "key"},
		{"commitment until", &leatv1.UpdateAccountSettingsRequest{MinimumThroughputCommitment: 3}, "minimum_throughput_commitment"},
		{"key", &leatv1.CreateKeyRequest{Name: "ci build@2"}, ""},
		{"key without a name", &leatv1.CreateKeyRequest{}, "name"},
		{"key id in lower case", &leatv1.DeleteKeyRequest{KeyId: "lkia0123456789abcdef"}, "key_id"},
		{"key of no state", &leatv1.UpdateKeyRequest{KeyId: "LKIA0123456789ABCDEF"}, "state"},

		{"filter without a type", &leatv1.ListShardsRequest{Stream: "s", Filter: &leatv1.ShardFilter{}}, "filter.type"},
		{"page of 10000", &leatv1.ListShardsRequest{Stream: "s", PageSize: 10_000}, ""},
		{"page of 10001", &leatv1.ListShardsRequest{Stream: "s", PageSize: 10_000 + 1}, "page_size"},
		{"split in the middle", &leatv1.SplitShardRequest{Stream: "s", ShardId: "0"}, ""},
		{"split at a key", &leatv1.SplitShardRequest{Stream: "s", ShardId: "shardId-000000000000", NewStartingHashKey: "12"}, ""},
		{"split without a shard", &leatv1.SplitShardRequest{Stream: "s"}, "shard_id"},
		{"split at no number", &leatv1.SplitShardRequest{Stream: "s", ShardId: "0", NewStartingHashKey: "0x1"}, "new_starting_hash_key"},
		{"scale to none", &leatv1.ScaleStreamRequest{Stream: "s"}, "target_shard_count"},

		{"empty data", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k"}, ""},
		{"no key", &leatv1.PutRecordRequest{Stream: "s"}, "partition_key"},
		{"key of 256 wide characters", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: strings.Repeat("語", 256)}, ""},
		{"key of 257", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: strings.Repeat("x", 257)}, "partition_key"},
		{"data at the limit", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", Data: make([]byte, 10<<20)}, ""},
		{"data beyond", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", Data: make([]byte, 10<<20+1)}, "data"},
		{"hash of 39 digits", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", ExplicitHashKey: "340282366920938463463374607431768211455"}, ""},
		{"hash of 40 digits", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", ExplicitHashKey: strings.Repeat("1", 40)}, "explicit_hash_key"},
		{"hash negative", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", ExplicitHashKey: "-1"}, "explicit_hash_key"},
		{"ordering", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", SequenceNumberForOrdering: number}, ""},
		{"ordering of 55 digits", &leatv1.PutRecordRequest{Stream: "s", PartitionKey: "k", SequenceNumberForOrdering: number[1:]}, "sequence_number_for_ordering"},
		{"batch of 500", &leatv1.PutRecordsRequest{Stream: "s", Records: entries(500)}, ""},
		{"batch of 501", &leatv1.PutRecordsRequest{Stream: "s", Records: entries(500 + 1)}, "records"},
		{"batch of none", &leatv1.PutRecordsRequest{Stream: "s"}, "records"},
		{"batch with a bad one", &leatv1.PutRecordsRequest{Stream: "s", Records: append(entries(2), &leatv1.PutRecordsRequestEntry{})}, "records[2].partition_key"},

		{"iterator", &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "shardId-7", Start: latest}, ""},
		{"iterator from nowhere", &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "7"}, "start"},
		{"iterator of no type", &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: "7", Start: &leatv1.StartingPosition{}}, "start.type"},
		{"iterator of 13 digits", &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: strings.Repeat("1", 13), Start: latest}, "shard_id"},
		{"read", &leatv1.GetRecordsRequest{ShardIterator: "x"}, ""},
		{"read without an iterator", &leatv1.GetRecordsRequest{}, "shard_iterator"},
		{"read too much", &leatv1.GetRecordsRequest{ShardIterator: "x", Limit: 10_000 + 1}, "limit"},
		{"subscribe without a consumer", &leatv1.SubscribeToShardRequest{Stream: "s", ShardId: "0", Start: latest}, "consumer"},
		{"consumer", &leatv1.RegisterStreamConsumerRequest{Stream: "s", Consumer: "c"}, ""},
		{"consumer with a space", &leatv1.RegisterStreamConsumerRequest{Stream: "s", Consumer: "c c"}, "consumer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := protovalidate.Validate(c.msg)
			var bad *protovalidate.ValidationError
			switch {
			case err == nil && c.want == "":
			case err == nil:
				t.Fatalf("passed; %s should be refused", c.want)
			case !errors.As(err, &bad):
				t.Fatalf("the rules cannot be evaluated: %v", err)
			case c.want == "":
				t.Fatalf("refused: %v", err)
			default:
				if got := protovalidate.FieldPathString(bad.Violations[0].Proto.GetField()); got != c.want {
					t.Fatalf("refused %s, should be %s: %v", got, c.want, err)
				}
			}
		})
	}
}

func update(paths ...string) *leatv1.UpdateStreamRequest {
	return &leatv1.UpdateStreamRequest{
		Stream: "s", Settings: &leatv1.StreamSettings{}, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
	}
}

// TestRulesCompile evaluates the rules of every message, so that no rule is of the wrong type for its field or unknown
// to the library.
func TestRulesCompile(t *testing.T) {
	seen := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("leat.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Messages().Len() {
			m := f.Messages().Get(i)
			var bad *protovalidate.ValidationError
			if err := protovalidate.Validate(dynamicpb.NewMessage(m)); err != nil && !errors.As(err, &bad) {
				t.Errorf("%s: %v", m.FullName(), err)
			}
			seen++
		}
		return true
	})
	if seen < 40 {
		t.Fatalf("looked at %d messages only", seen)
	}
}
