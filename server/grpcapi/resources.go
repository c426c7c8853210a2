// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

type resourceService struct {
	leatv1.UnimplementedResourceServiceServer
	*Server
}

// about reads what a request is about.
func about(req interface {
	GetStream() string
	GetConsumer() string
}) broker.ResourceRequest {
	return broker.ResourceRequest{Stream: req.GetStream(), Consumer: req.GetConsumer()}
}

func (s resourceService) AddTags(ctx context.Context, req *leatv1.AddTagsRequest) (*leatv1.AddTagsResponse, error) {
	if err := s.broker.AddTags(ctx, principal(ctx), about(req), req.GetTags()); err != nil {
		return nil, err
	}
	return &leatv1.AddTagsResponse{}, nil
}

func (s resourceService) RemoveTags(ctx context.Context, req *leatv1.RemoveTagsRequest) (*leatv1.RemoveTagsResponse, error) {
	if err := s.broker.RemoveTags(ctx, principal(ctx), about(req), req.GetNames()); err != nil {
		return nil, err
	}
	return &leatv1.RemoveTagsResponse{}, nil
}

func (s resourceService) ListTags(ctx context.Context, req *leatv1.ListTagsRequest) (*leatv1.ListTagsResponse, error) {
	tags, _, err := s.broker.ListTags(ctx, principal(ctx), broker.ListTagsRequest{ResourceRequest: about(req)})
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListTagsResponse{}
	for _, t := range tags {
		out.Tags = append(out.Tags, &leatv1.Tag{Name: t.Name, Value: t.Value})
	}
	return out, nil
}

func (s resourceService) PutResourcePolicy(ctx context.Context, req *leatv1.PutResourcePolicyRequest) (*leatv1.PutResourcePolicyResponse, error) {
	if err := s.broker.PutResourcePolicy(ctx, principal(ctx), about(req), req.GetPolicy()); err != nil {
		return nil, err
	}
	return &leatv1.PutResourcePolicyResponse{}, nil
}

func (s resourceService) GetResourcePolicy(ctx context.Context, req *leatv1.GetResourcePolicyRequest) (*leatv1.GetResourcePolicyResponse, error) {
	policy, err := s.broker.GetResourcePolicy(ctx, principal(ctx), about(req))
	if err != nil {
		return nil, err
	}
	return &leatv1.GetResourcePolicyResponse{Policy: policy}, nil
}

func (s resourceService) DeleteResourcePolicy(ctx context.Context, req *leatv1.DeleteResourcePolicyRequest) (*leatv1.DeleteResourcePolicyResponse, error) {
	if err := s.broker.DeleteResourcePolicy(ctx, principal(ctx), about(req)); err != nil {
		return nil, err
	}
	return &leatv1.DeleteResourcePolicyResponse{}, nil
}
