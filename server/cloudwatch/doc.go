// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package cloudwatch is the part of the Amazon CloudWatch wire that tools read metrics of streams and delivery streams
// with: GetMetricData, GetMetricStatistics and ListMetrics, in the three protocols that SDKs speak. It translates:
// server/broker decides and answers.
//
// Invariants:
//   - What a request asks for that is not built is refused by its name, never left out in silence.
//   - All three protocols have the same members, decoded into the same structs: a request means the same in each.
//
// It does not own: statistics (server/datapoints), permissions (server/broker), signatures (server/auth).
//
// Sources: the API model in aws-sdk-go-v2 service/cloudwatch; smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html,
// smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html and aws-query-protocol.html.
package cloudwatch
