// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

type consumerService struct {
	leatv1.UnimplementedConsumerServiceServer
	*Server
}

func (s consumerService) RegisterStreamConsumer(ctx context.Context, req *leatv1.RegisterStreamConsumerRequest) (*leatv1.RegisterStreamConsumerResponse, error) {
	d, err := s.broker.RegisterConsumer(ctx, principal(ctx), broker.ConsumerRequest{Stream: req.GetStream(), Consumer: req.GetConsumer(), Tags: req.GetTags()})
	if err != nil {
		return nil, err
	}
	return &leatv1.RegisterStreamConsumerResponse{Consumer: s.consumerOf(&d)}, nil
}

func (s consumerService) DescribeStreamConsumer(ctx context.Context, req *leatv1.DescribeStreamConsumerRequest) (*leatv1.DescribeStreamConsumerResponse, error) {
	d, err := s.broker.DescribeConsumer(ctx, principal(ctx), broker.ConsumerRequest{Stream: req.GetStream(), Consumer: req.GetConsumer()})
	if err != nil {
		return nil, err
	}
	return &leatv1.DescribeStreamConsumerResponse{Consumer: s.consumerOf(&d)}, nil
}

func (s consumerService) ListStreamConsumers(ctx context.Context, req *leatv1.ListStreamConsumersRequest) (*leatv1.ListStreamConsumersResponse, error) {
	res, err := s.broker.ListConsumers(ctx, principal(ctx), broker.ListConsumersRequest{Stream: req.GetStream(), PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListStreamConsumersResponse{NextPageToken: res.NextPageToken}
	for i := range res.Consumers {
		out.Consumers = append(out.Consumers, s.consumerOf(&res.Consumers[i]))
	}
	return out, nil
}

func (s consumerService) DeregisterStreamConsumer(ctx context.Context, req *leatv1.DeregisterStreamConsumerRequest) (*leatv1.DeregisterStreamConsumerResponse, error) {
	if err := s.broker.DeregisterConsumer(ctx, principal(ctx), broker.ConsumerRequest{Stream: req.GetStream(), Consumer: req.GetConsumer()}); err != nil {
		return nil, err
	}
	return &leatv1.DeregisterStreamConsumerResponse{}, nil
}
