// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package datapoints

import "slices"

// Space is what CloudWatch calls a namespace.
type Space int64

// The spaces. Their numbers are in the tables.
const (
	Streams    Space = 1
	Deliveries Space = 2
)

// String is its name.
func (s Space) String() string {
	if s == Deliveries {
		return "AWS/Firehose"
	}
	return "AWS/Kinesis"
}

// Resource is the dimension that names a stream or a delivery stream.
func (s Space) Resource() string {
	if s == Deliveries {
		return "DeliveryStreamName"
	}
	return "StreamName"
}

// SpaceOf finds a space by its name.
func SpaceOf(name string) (Space, bool) {
	for _, s := range []Space{Streams, Deliveries} {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// Metric is the number of a metric, from 1 to 62: a bit of it stands in a row.
type Metric int

// The metrics of streams: docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html.
const (
	IncomingBytes Metric = iota + 1
	IncomingRecords
	GetBytes
	GetIteratorAge
	GetLatency
	GetRecords
	GetSuccess
	PutRecordBytes
	PutRecordLatency
	PutRecordSuccess
	PutRecordsBytes
	PutRecordsLatency
	PutRecordsRecords
	PutRecordsSuccess
	PutRecordsTotal
	PutRecordsSuccessful
	PutRecordsFailed
	PutRecordsThrottled
	ReadExceeded
	WriteExceeded
	SubscribeRateExceeded
	SubscribeSuccess
	EventBytes
	EventBehind
	EventRecords
	EventSuccess
	IteratorAge
	OutgoingBytes
	OutgoingRecords
)

// The metrics of delivery streams: docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html.
// IncomingBytes and IncomingRecords are the same as those of streams.
const (
	DirectPutBytes Metric = iota + 31
	DirectPutLatency
	DirectPutRequests
	DirectBatchBytes
	DirectBatchLatency
	DirectBatchRecords
	DirectBatchRequests
	DirectThrottled
	S3Bytes
	S3Records
	S3Success
	S3Freshness
	HTTPBytes
	HTTPRecords
	HTTPSuccess
	HTTPFreshness
)

// Unit is what CloudWatch calls it.
type Unit string

// The units.
const (
	Bytes        Unit = "Bytes"
	Count        Unit = "Count"
	Milliseconds Unit = "Milliseconds"
	Seconds      Unit = "Seconds"
	Percent      Unit = "Percent"
)

// Known is a metric as CloudWatch knows it, in one space.
type Known struct {
	Space  Space
	Name   string
	Metric Metric
	Unit   Unit
}

// known is sorted by nothing: there are few.
var known = []Known{
	{Streams, "IncomingBytes", IncomingBytes, Bytes},
	{Streams, "IncomingRecords", IncomingRecords, Count},
	{Streams, "GetRecords.Bytes", GetBytes, Bytes},
	{Streams, "GetRecords.IteratorAgeMilliseconds", GetIteratorAge, Milliseconds},
	{Streams, "GetRecords.Latency", GetLatency, Milliseconds},
	{Streams, "GetRecords.Records", GetRecords, Count},
	{Streams, "GetRecords.Success", GetSuccess, Count},
	{Streams, "PutRecord.Bytes", PutRecordBytes, Bytes},
	{Streams, "PutRecord.Latency", PutRecordLatency, Milliseconds},
	{Streams, "PutRecord.Success", PutRecordSuccess, Count},
	{Streams, "PutRecords.Bytes", PutRecordsBytes, Bytes},
	{Streams, "PutRecords.Latency", PutRecordsLatency, Milliseconds},
	{Streams, "PutRecords.Records", PutRecordsRecords, Count},
	{Streams, "PutRecords.Success", PutRecordsSuccess, Count},
	{Streams, "PutRecords.TotalRecords", PutRecordsTotal, Count},
	{Streams, "PutRecords.SuccessfulRecords", PutRecordsSuccessful, Count},
	{Streams, "PutRecords.FailedRecords", PutRecordsFailed, Count},
	{Streams, "PutRecords.ThrottledRecords", PutRecordsThrottled, Count},
	{Streams, "ReadProvisionedThroughputExceeded", ReadExceeded, Count},
	{Streams, "WriteProvisionedThroughputExceeded", WriteExceeded, Count},
	{Streams, "SubscribeToShard.RateExceeded", SubscribeRateExceeded, Count},
	{Streams, "SubscribeToShard.Success", SubscribeSuccess, Count},
	{Streams, "SubscribeToShardEvent.Bytes", EventBytes, Bytes},
	{Streams, "SubscribeToShardEvent.MillisBehindLatest", EventBehind, Milliseconds},
	{Streams, "SubscribeToShardEvent.Records", EventRecords, Count},
	{Streams, "SubscribeToShardEvent.Success", EventSuccess, Count},
	{Streams, "IteratorAgeMilliseconds", IteratorAge, Milliseconds},
	{Streams, "OutgoingBytes", OutgoingBytes, Bytes},
	{Streams, "OutgoingRecords", OutgoingRecords, Count},

	{Deliveries, "IncomingBytes", IncomingBytes, Bytes},
	{Deliveries, "IncomingRecords", IncomingRecords, Count},
	{Deliveries, "PutRecord.Bytes", DirectPutBytes, Bytes},
	{Deliveries, "PutRecord.Latency", DirectPutLatency, Milliseconds},
	{Deliveries, "PutRecord.Requests", DirectPutRequests, Count},
	{Deliveries, "PutRecordBatch.Bytes", DirectBatchBytes, Bytes},
	{Deliveries, "PutRecordBatch.Latency", DirectBatchLatency, Milliseconds},
	{Deliveries, "PutRecordBatch.Records", DirectBatchRecords, Count},
	{Deliveries, "PutRecordBatch.Requests", DirectBatchRequests, Count},
	{Deliveries, "ThrottledRecords", DirectThrottled, Count},
	{Deliveries, "DeliveryToS3.Bytes", S3Bytes, Bytes},
	{Deliveries, "DeliveryToS3.Records", S3Records, Count},
	{Deliveries, "DeliveryToS3.Success", S3Success, Count},
	{Deliveries, "DeliveryToS3.DataFreshness", S3Freshness, Seconds},
	{Deliveries, "DeliveryToHttpEndpoint.Bytes", HTTPBytes, Bytes},
	{Deliveries, "DeliveryToHttpEndpoint.Records", HTTPRecords, Count},
	{Deliveries, "DeliveryToHttpEndpoint.Success", HTTPSuccess, Count},
	{Deliveries, "DeliveryToHttpEndpoint.DataFreshness", HTTPFreshness, Seconds},
}

// All are the metrics, in the order in which docs/metrics.md has them.
func All() []Known { return slices.Clone(known) }

// Find finds a metric by its name.
func Find(s Space, name string) (Known, bool) {
	for _, k := range known {
		if k.Space == s && k.Name == name {
			return k, true
		}
	}
	return Known{}, false
}
