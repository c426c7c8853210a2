// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package firehose

import (
	"context"
	"maps"
	"slices"
)

// Bounds of a request's body in bytes.
const (
	hotBody  = 8 << 20 // 4 MiB of records in base64, and room for names
	coldBody = 1 << 20
)

// operation is one entry of the table.
type operation struct {
	body int
	run  func(h *Handler, ctx context.Context, c *call) (any, error)
}

// op makes an operation of a method: it decodes the input and calls the method.
func op[In, Out any](body int, f func(*Handler, context.Context, *call, *In) (*Out, error)) operation {
	return operation{body: body, run: func(h *Handler, ctx context.Context, c *call) (any, error) {
		in := new(In)
		if err := decode(c.body, in); err != nil {
			return nil, err
		}
		out, err := f(h, ctx, c, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

// nothing is the output of operations that answer with an empty object.
type nothing struct{}

// Operations are the names of all operations of the API, in order.
func Operations() []string { return slices.Sorted(maps.Keys(operations())) }

// operations is every operation of the API.
func operations() map[string]operation {
	return map[string]operation{
		"CreateDeliveryStream":          op(coldBody, (*Handler).createDeliveryStream),
		"DeleteDeliveryStream":          op(coldBody, (*Handler).deleteDeliveryStream),
		"DescribeDeliveryStream":        op(coldBody, (*Handler).describeDeliveryStream),
		"ListDeliveryStreams":           op(coldBody, (*Handler).listDeliveryStreams),
		"ListTagsForDeliveryStream":     op(coldBody, (*Handler).listTagsForDeliveryStream),
		"PutRecord":                     op(hotBody, (*Handler).putRecord),
		"PutRecordBatch":                op(hotBody, (*Handler).putRecordBatch),
		"StartDeliveryStreamEncryption": op(coldBody, (*Handler).startDeliveryStreamEncryption),
		"StopDeliveryStreamEncryption":  op(coldBody, (*Handler).stopDeliveryStreamEncryption),
		"TagDeliveryStream":             op(coldBody, (*Handler).tagDeliveryStream),
		"UntagDeliveryStream":           op(coldBody, (*Handler).untagDeliveryStream),
		"UpdateDestination":             op(coldBody, (*Handler).updateDestination),
	}
}
