// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// DeleteResourcePolicy promises: the stream or consumer has no policy. Where there is none it is
// ResourceNotFoundException.
//
// Differs from AWS: nothing that a client can see.

type deleteResourcePolicyInput struct {
	ResourceARN *string `json:"ResourceARN,omitempty" check:"required,pattern=resourceARN,len=1..2048"`
	StreamId    *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
}

func (h *Handler) deleteResourcePolicy(ctx context.Context, c *call, in *deleteResourcePolicyInput) (*nothing, error) {
	what, err := resource(*in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return nil, h.broker.DeleteResourcePolicy(ctx, c.who, what)
}
