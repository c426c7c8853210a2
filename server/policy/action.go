// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// Action is an operation as the broker, its errors and the audit log name it.
type Action string

// names are what policies call the operations whose name at AWS differs, or that AWS has under several names.
var names = map[Action][]string{
	"ScaleStream":        {"kinesis:UpdateShardCount"},
	"RegisterConsumer":   {"kinesis:RegisterStreamConsumer"},
	"DescribeConsumer":   {"kinesis:DescribeStreamConsumer"},
	"ListConsumers":      {"kinesis:ListStreamConsumers"},
	"DeregisterConsumer": {"kinesis:DeregisterStreamConsumer"},
	"AddTags":            {"kinesis:AddTagsToStream", "kinesis:TagResource"},
	"RemoveTags":         {"kinesis:RemoveTagsFromStream", "kinesis:UntagResource"},
	"ListTags":           {"kinesis:ListTagsForStream", "kinesis:ListTagsForResource"},
	"Limits":             {"kinesis:DescribeLimits"},
	"AccountSettings":    {"kinesis:DescribeAccountSettings"},
	"CreateDelivery":     {"firehose:CreateDeliveryStream"},
	"DescribeDelivery":   {"firehose:DescribeDeliveryStream"},
	"ListDeliveries":     {"firehose:ListDeliveryStreams"},
	"UpdateDelivery":     {"firehose:UpdateDestination"},
	"DeleteDelivery":     {"firehose:DeleteDeliveryStream"},
	"PutDeliveryRecords": {"firehose:PutRecord", "firehose:PutRecordBatch"},

	"TagDelivery":             {"firehose:TagDeliveryStream"},
	"UntagDelivery":           {"firehose:UntagDeliveryStream"},
	"ListDeliveryTags":        {"firehose:ListTagsForDeliveryStream"},
	"StartDeliveryEncryption": {"firehose:StartDeliveryStreamEncryption"},
	"StopDeliveryEncryption":  {"firehose:StopDeliveryStreamEncryption"},

	"GetMetricData":       {"cloudwatch:GetMetricData"},
	"GetMetricStatistics": {"cloudwatch:GetMetricStatistics"},
	"ListMetrics":         {"cloudwatch:ListMetrics"},
}

// kinesis are the operations that AWS has under the same name.
var kinesis = strings.Fields(`CreateStream DescribeStream DescribeStreamSummary ListStreams DeleteStream ListShards SplitShard
MergeShards PutRecord PutRecords GetShardIterator GetRecords SubscribeToShard PutResourcePolicy GetResourcePolicy
DeleteResourcePolicy StartStreamEncryption StopStreamEncryption UpdateAccountSettings IncreaseStreamRetentionPeriod
DecreaseStreamRetentionPeriod EnableEnhancedMonitoring DisableEnhancedMonitoring UpdateStreamMode UpdateMaxRecordSize UpdateStreamWarmThroughput`)

// sameNames is kinesis with the service before each.
var sameNames = func() map[Action][]string {
	m := make(map[Action][]string, len(kinesis))
	for _, name := range kinesis {
		m[Action(name)] = []string{"kinesis:" + name}
	}
	return m
}()

// Names are what policies call an operation: SERVICE:NAME. What AWS does not have is leat:NAME, and an action that has a
// service already is its own name.
func (a Action) Names() []string {
	if n, ok := names[a]; ok {
		return n
	}
	if n, ok := sameNames[a]; ok {
		return n
	}
	if strings.Contains(string(a), ":") {
		return []string{string(a)}
	}
	return []string{"leat:" + string(a)}
}

// shared are the operations that a resource's policy can open to other accounts: what AWS lets streams and consumers share.
var shared = map[Action]bool{
	"DescribeStream": true, "DescribeStreamSummary": true, "ListShards": true, "PutRecord": true, "PutRecords": true,
	"GetShardIterator": true, "GetRecords": true, "DescribeConsumer": true, "SubscribeToShard": true,
}

// Shared tells whether an operation can be opened to other accounts.
func (a Action) Shared() bool { return shared[a] }
