// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import "context"

// StopStreamEncryption promises: records that are put once the stream is ACTIVE again are not encrypted. What was
// encrypted stays so, and can be read. A stream that is not encrypted is left as it is: Terraform asks for that.
//
// Differs from AWS: KeyId need not be the key in use.

type stopStreamEncryptionInput struct {
	StreamName     *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN      *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId       *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	EncryptionType *string `json:"EncryptionType,omitempty" check:"required,enum=NONE|KMS"`
	KeyId          *string `json:"KeyId,omitempty" check:"required,len=1..2048"`
}

func (h *Handler) stopStreamEncryption(ctx context.Context, c *call, in *stopStreamEncryptionInput) (*nothing, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	if err := wantKMS(in.EncryptionType); err != nil {
		return nil, err
	}
	return nil, h.broker.StopStreamEncryption(ctx, c.who, stream)
}
