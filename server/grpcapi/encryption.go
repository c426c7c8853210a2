// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

func (s streamService) StartStreamEncryption(ctx context.Context, req *leatv1.StartStreamEncryptionRequest) (*leatv1.StartStreamEncryptionResponse, error) {
	if err := s.broker.StartStreamEncryption(ctx, principal(ctx), req.GetStream(), req.GetKey()); err != nil {
		return nil, err
	}
	return &leatv1.StartStreamEncryptionResponse{}, nil
}

func (s streamService) StopStreamEncryption(ctx context.Context, req *leatv1.StopStreamEncryptionRequest) (*leatv1.StopStreamEncryptionResponse, error) {
	if err := s.broker.StopStreamEncryption(ctx, principal(ctx), req.GetStream()); err != nil {
		return nil, err
	}
	return &leatv1.StopStreamEncryptionResponse{}, nil
}
