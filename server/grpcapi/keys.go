// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

type keyService struct {
	leatv1.UnimplementedKeyServiceServer
	*Server
}

func (s keyService) CreateKey(ctx context.Context, req *leatv1.CreateKeyRequest) (*leatv1.CreateKeyResponse, error) {
	res, err := s.broker.CreateKey(ctx, principal(ctx), broker.CreateKeyRequest{Name: req.GetName(), Role: req.GetRole()})
	if err != nil {
		return nil, err
	}
	return &leatv1.CreateKeyResponse{Key: keyOf(&res.Key), Secret: res.Secret}, nil
}

func (s keyService) ListKeys(ctx context.Context, req *leatv1.ListKeysRequest) (*leatv1.ListKeysResponse, error) {
	res, err := s.broker.ListKeys(ctx, principal(ctx), broker.ListKeysRequest{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListKeysResponse{NextPageToken: res.NextPageToken}
	for i := range res.Keys {
		out.Keys = append(out.Keys, keyOf(&res.Keys[i]))
	}
	return out, nil
}

func (s keyService) UpdateKey(ctx context.Context, req *leatv1.UpdateKeyRequest) (*leatv1.UpdateKeyResponse, error) {
	k, err := s.broker.UpdateKey(ctx, principal(ctx), broker.UpdateKeyRequest{ID: req.GetKeyId(), Active: req.GetState() == leatv1.KeyState_KEY_STATE_ACTIVE})
	if err != nil {
		return nil, err
	}
	return &leatv1.UpdateKeyResponse{Key: keyOf(&k)}, nil
}

func (s keyService) DeleteKey(ctx context.Context, req *leatv1.DeleteKeyRequest) (*leatv1.DeleteKeyResponse, error) {
	if err := s.broker.DeleteKey(ctx, principal(ctx), req.GetKeyId()); err != nil {
		return nil, err
	}
	return &leatv1.DeleteKeyResponse{}, nil
}

func keyOf(k *leat.AccessKey) *leatv1.AccessKey {
	out := &leatv1.AccessKey{Id: k.ID, Name: k.Name, Account: k.Account, Role: k.Role, State: leatv1.KeyState_KEY_STATE_INACTIVE, CreateTime: stamp(k.Created)}
	if k.Active {
		out.State = leatv1.KeyState_KEY_STATE_ACTIVE
	}
	return out
}
