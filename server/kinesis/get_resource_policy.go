// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// GetResourcePolicy promises: the policy as it was put, byte for byte; {} where there is none.
//
// Differs from AWS: nothing that a client can see.

type getResourcePolicyInput struct {
	ResourceARN *string `json:"ResourceARN,omitempty" check:"required,pattern=resourceARN,len=1..2048"`
	StreamId    *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

type getResourcePolicyOutput struct {
	Policy string `json:"Policy"`
}

// noPolicy is what AWS answers for a resource without one: an empty document, not an error.
const noPolicy = "{}"

func (h *Handler) getResourcePolicy(ctx context.Context, c *call, in *getResourcePolicyInput) (*getResourcePolicyOutput, error) {
	what, err := resource(*in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	policy, err := h.broker.GetResourcePolicy(ctx, c.who, what)
	if err != nil {
		return nil, err
	}
	if policy == "" {
		policy = noPolicy
	}
	return &getResourcePolicyOutput{Policy: policy}, nil
}
