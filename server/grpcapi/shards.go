// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

type shardService struct {
	leatv1.UnimplementedShardServiceServer
	*Server
}

func (s shardService) ListShards(ctx context.Context, req *leatv1.ListShardsRequest) (*leatv1.ListShardsResponse, error) {
	filter := broker.ShardFilter{}
	if req.GetFilter() != nil {
		var err error
		if filter, err = filterFrom(req.GetFilter()); err != nil {
			return nil, err
		}
	}
	res, err := s.broker.ListShards(ctx, principal(ctx), broker.ListShardsRequest{
		Stream: req.GetStream(), Filter: filter, PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &leatv1.ListShardsResponse{Shards: shardsOf(res.Shards), NextPageToken: res.NextPageToken}, nil
}

func (s shardService) SplitShard(ctx context.Context, req *leatv1.SplitShardRequest) (*leatv1.SplitShardResponse, error) {
	err := s.broker.SplitShard(ctx, principal(ctx), broker.SplitShardRequest{Stream: req.GetStream(), Shard: req.GetShardId(), NewStartingHashKey: req.GetNewStartingHashKey()})
	if err != nil {
		return nil, err
	}
	return &leatv1.SplitShardResponse{}, nil
}

func (s shardService) MergeShards(ctx context.Context, req *leatv1.MergeShardsRequest) (*leatv1.MergeShardsResponse, error) {
	err := s.broker.MergeShards(ctx, principal(ctx), broker.MergeShardsRequest{Stream: req.GetStream(), Shard: req.GetShardId(), Adjacent: req.GetAdjacentShardId()})
	if err != nil {
		return nil, err
	}
	return &leatv1.MergeShardsResponse{}, nil
}

func (s shardService) ScaleStream(ctx context.Context, req *leatv1.ScaleStreamRequest) (*leatv1.ScaleStreamResponse, error) {
	now, err := s.broker.ScaleStream(ctx, principal(ctx), broker.ScaleStreamRequest{Stream: req.GetStream(), Target: int(req.GetTargetShardCount())})
	if err != nil {
		return nil, err
	}
	return &leatv1.ScaleStreamResponse{CurrentShardCount: int32(now), TargetShardCount: req.GetTargetShardCount()}, nil
}
