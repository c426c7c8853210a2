// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// PutResourcePolicy promises: the stream or consumer has this policy and no other.
//
// Differs from AWS: nothing that a client can see.

type putResourcePolicyInput struct {
	ResourceARN *string `json:"ResourceARN,omitempty" check:"required,pattern=resourceARN,len=1..2048"`
	StreamId    *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	Policy      *string `json:"Policy,omitempty" check:"required"`
}

func (h *Handler) putResourcePolicy(ctx context.Context, c *call, in *putResourcePolicyInput) (*nothing, error) {
	what, err := resource(*in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return nil, h.broker.PutResourcePolicy(ctx, c.who, what, *in.Policy)
}
