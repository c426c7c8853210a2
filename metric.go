// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import (
	"slices"
	"strings"
)

// ShardMetric is a metric of enhanced monitoring: kept for each shard of the streams that ask for it.
type ShardMetric string

// The metrics, with the names of AWS.
const (
	MetricIncomingBytes     ShardMetric = "IncomingBytes"
	MetricIncomingRecords   ShardMetric = "IncomingRecords"
	MetricOutgoingBytes     ShardMetric = "OutgoingBytes"
	MetricOutgoingRecords   ShardMetric = "OutgoingRecords"
	MetricWriteExceeded     ShardMetric = "WriteProvisionedThroughputExceeded"
	MetricReadExceeded      ShardMetric = "ReadProvisionedThroughputExceeded"
	MetricIteratorAgeMillis ShardMetric = "IteratorAgeMilliseconds"

	AllShardMetrics ShardMetric = "ALL" // in requests: every one of them
)

// ShardMetrics lists every metric, sorted.
func ShardMetrics() []ShardMetric {
	return []ShardMetric{
		MetricIncomingBytes, MetricIncomingRecords, MetricIteratorAgeMillis, MetricOutgoingBytes, MetricOutgoingRecords,
		MetricReadExceeded, MetricWriteExceeded,
	}
}

// ParseShardMetrics sorts the metrics of a request, each once; ALL stands for every one.
func ParseShardMetrics(asked []ShardMetric) ([]ShardMetric, error) {
	all := ShardMetrics()
	if slices.Contains(asked, AllShardMetrics) {
		return all, nil
	}
	for _, m := range asked {
		if !slices.Contains(all, m) {
			return nil, Invalid("metrics", "metric %.60q is not one of %s, ALL", m, JoinShardMetrics(all))
		}
	}
	out := slices.Clone(asked)
	slices.Sort(out)
	return slices.Compact(out), nil
}

// JoinShardMetrics writes metrics as one text, which SplitShardMetrics reads.
func JoinShardMetrics(ms []ShardMetric) string {
	texts := make([]string, len(ms))
	for i, m := range ms {
		texts[i] = string(m)
	}
	return strings.Join(texts, ",")
}

// SplitShardMetrics undoes JoinShardMetrics. Names that this program does not know are kept: a newer one may.
func SplitShardMetrics(text string) []ShardMetric {
	if text == "" {
		return nil
	}
	var ms []ShardMetric
	for _, t := range strings.Split(text, ",") {
		ms = append(ms, ShardMetric(t))
	}
	return ms
}
