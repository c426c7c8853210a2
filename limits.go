// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import "time"

// Limits that Kinesis documents (kinesis API reference, PutRecords, GetRecords and "Quotas and limits").
const (
	MaxRecordBytes        = 10 << 20 // data and partition key of one record, at most, on a stream that allows it
	DefaultMaxRecordBytes = 1 << 20  // a stream's own maximum unless set
	MinMaxRecordBytes     = 1 << 20  // the lowest maximum that can be set
	MaxPutRecords         = 500      // records in one PutRecords
	MaxPutRecordsBytes    = 10 << 20 // data and keys of one PutRecords
	MaxGetRecords         = 10_000   // records in one GetRecords
	MaxGetRecordsBytes    = 10 << 20 // data and keys of one GetRecords
	MaxPartitionKeyChars  = 256      // unicode code points
	MaxConsumersPerStream = 20
	MaxTags               = 50  // of a stream or a consumer
	MaxTagName            = 128 // unicode code points, at least one
	MaxTagValue           = 256 // unicode code points; may be empty
	MaxPolicyBytes        = 20 << 10
	MaxWarmThroughput     = 10 << 10 // MiB/s
	MaxListShards         = 10_000   // shards in one page of ListShards
	DefaultListShards     = 1_000

	MinRetention     = 24 * time.Hour
	MaxRetention     = 8760 * time.Hour
	IteratorLifetime = 5 * time.Minute // of shard iterators and page tokens
	SubscriptionTime = 5 * time.Minute // of one SubscribeToShard

	ShardBytesIn      = 1 << 20 // per second
	ShardRecordsIn    = 1000    // per second
	ShardBytesOut     = 2 << 20 // per second, all GetRecords together
	ShardReadsPerSec  = 5
	DefaultOnDemand   = 4 // shards of a new on-demand stream
	MaxStreamNameSize = 128
)
