// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"

	"github.com/leatstream/leat"
)

// StartStreamEncryption promises: records that are put once the stream is ACTIVE again are encrypted at rest under a new
// key of the stream's own, which the server's master key wraps. KeyId is kept and told as it was given.
//
// Differs from AWS: there is no KMS, the keys are the server's, and KeyId is a name for them, whatever it says.

type startStreamEncryptionInput struct {
	StreamName     *string `json:"StreamName,omitempty" check:"pattern=streamName,len=1..128"`
	StreamARN      *string `json:"StreamARN,omitempty" check:"pattern=streamARN,len=1..2048"`
	StreamId       *string `json:"StreamId,omitempty" check:"pattern=streamId,len=1..24"`
	EncryptionType *string `json:"EncryptionType,omitempty" check:"required,enum=NONE|KMS"`
	KeyId          *string `json:"KeyId,omitempty" check:"required,len=1..2048"`
}

func (h *Handler) startStreamEncryption(ctx context.Context, c *call, in *startStreamEncryptionInput) (*nothing, error) {
	stream, err := h.stream(c, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	if err := wantKMS(in.EncryptionType); err != nil {
		return nil, err
	}
	return nil, h.broker.StartStreamEncryption(ctx, c.who, stream, *in.KeyId)
}

// wantKMS refuses NONE, which the model lists and AWS refuses.
func wantKMS(encryption *string) error {
	if value(encryption) != encryptionKMS {
		return leat.Invalid("EncryptionType", "EncryptionType %s cannot be set: the only valid value is %s.", value(encryption), encryptionKMS)
	}
	return nil
}
