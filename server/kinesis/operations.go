// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"maps"
	"slices"

	"github.com/leatstream/leat"
)

// Bounds of a request's body in bytes.
const (
	// hotBody is for puts: 10 MiB of data in base64, and room for keys, names and escapes.
	hotBody = 20 << 20
	// coldBody is for everything else: the largest is a policy of 20 KiB.
	coldBody = 1 << 20
)

// operation is one entry of the table.
type operation struct {
	body int // the largest body in bytes
	run  func(h *Handler, ctx context.Context, c *call) error
}

// op makes an operation of a method: it decodes the input, checks the constraints in its tags, calls the method and
// encodes the output. A nil output is an empty body.
func op[In, Out any](f func(*Handler, context.Context, *call, *In) (*Out, error)) operation {
	return operation{body: coldBody, run: func(h *Handler, ctx context.Context, c *call) error {
		in := new(In)
		if err := c.wire.decode(c.body, in); err != nil {
			return err
		}
		if err := check(in); err != nil {
			return err
		}
		out, err := f(h, ctx, c, in)
		if err != nil || out == nil {
			return err
		}
		b, err := c.wire.append(h.buf(c), out)
		c.end(b)
		return err
	}}
}

// unsupported refuses an operation that is not built, by name.
func unsupported(name string) operation {
	return operation{body: coldBody, run: func(*Handler, context.Context, *call) error {
		return leat.Errorf(leat.KindUnsupported, "%s is not supported by this server", name)
	}}
}

// Operations are the names of all operations of the API, in order, those that are refused as unsupported included.
func Operations() []string { return slices.Sorted(maps.Keys(operations())) }

// operations is every operation of the API.
func operations() map[string]operation {
	return map[string]operation{
		"AddTagsToStream":                        op((*Handler).addTagsToStream),
		"CreateChannel":                          unsupported("CreateChannel"),
		"CreateStream":                           op((*Handler).createStream),
		"DecreaseStreamRetentionPeriod":          op((*Handler).decreaseStreamRetentionPeriod),
		"DeleteChannel":                          unsupported("DeleteChannel"),
		"DeleteResourcePolicy":                   op((*Handler).deleteResourcePolicy),
		"DeleteStream":                           op((*Handler).deleteStream),
		"DeregisterStreamConsumer":               op((*Handler).deregisterStreamConsumer),
		"DescribeAccountSettings":                op((*Handler).describeAccountSettings),
		"DescribeChannel":                        unsupported("DescribeChannel"),
		"DescribeLimits":                         op((*Handler).describeLimits),
		"DescribeStream":                         op((*Handler).describeStream),
		"DescribeStreamConsumer":                 op((*Handler).describeStreamConsumer),
		"DescribeStreamSummary":                  op((*Handler).describeStreamSummary),
		"DisableEnhancedMonitoring":              op((*Handler).disableEnhancedMonitoring),
		"EnableEnhancedMonitoring":               op((*Handler).enableEnhancedMonitoring),
		"GetRecords":                             {coldBody, (*Handler).getRecords},
		"GetResourcePolicy":                      op((*Handler).getResourcePolicy),
		"GetShardIterator":                       op((*Handler).getShardIterator),
		"IncreaseStreamRetentionPeriod":          op((*Handler).increaseStreamRetentionPeriod),
		"ListChannels":                           unsupported("ListChannels"),
		"ListShards":                             op((*Handler).listShards),
		"ListStreamConsumers":                    op((*Handler).listStreamConsumers),
		"ListStreams":                            op((*Handler).listStreams),
		"ListTagsForResource":                    op((*Handler).listTagsForResource),
		"ListTagsForStream":                      op((*Handler).listTagsForStream),
		"MergeShards":                            op((*Handler).mergeShards),
		"PutRecord":                              {hotBody, (*Handler).putRecord},
		"PutRecords":                             {hotBody, (*Handler).putRecords},
		"PutResourcePolicy":                      op((*Handler).putResourcePolicy),
		"RegisterStreamConsumer":                 op((*Handler).registerStreamConsumer),
		"RemoveTagsFromStream":                   op((*Handler).removeTagsFromStream),
		"SplitShard":                             op((*Handler).splitShard),
		"StartStreamEncryption":                  op((*Handler).startStreamEncryption),
		"StopStreamEncryption":                   op((*Handler).stopStreamEncryption),
		"SubscribeToShard":                       {coldBody, (*Handler).subscribeToShard},
		"TagResource":                            op((*Handler).tagResource),
		"UntagResource":                          op((*Handler).untagResource),
		"UpdateAccountSettings":                  op((*Handler).updateAccountSettings),
		"UpdateChannel":                          unsupported("UpdateChannel"),
		"UpdateMaxRecordSize":                    op((*Handler).updateMaxRecordSize),
		"UpdateShardCount":                       op((*Handler).updateShardCount),
		"UpdateStreamMode":                       op((*Handler).updateStreamMode),
		"UpdateStreamRecordDistributionStrategy": unsupported("UpdateStreamRecordDistributionStrategy"),
		"UpdateStreamWarmThroughput":             op((*Handler).updateStreamWarmThroughput),
	}
}
