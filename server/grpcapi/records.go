// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

type recordService struct {
	leatv1.UnimplementedRecordServiceServer
	*Server
}

// hot tells which messages the validator is not asked about: those of a put, whose every rule the broker checks anyhow
// (leat.ValidateRecord, leat.ParseHashKey). Asking twice would add 0.18 ms to a batch of 500 records, more than a quarter
// of what it takes to decode it (BenchmarkValidatePutRecords).
func hot(m proto.Message) bool {
	_, ok := m.(*leatv1.PutRecordRequest) // a batch is no message of protobuf here: see put_records.go
	return ok
}

func (s recordService) PutRecord(ctx context.Context, req *leatv1.PutRecordRequest) (*leatv1.PutRecordResponse, error) {
	if err := leat.ValidateStreamName(req.GetStream()); err != nil {
		return nil, err
	}
	r := leat.Record{PartitionKey: req.GetPartitionKey(), Data: req.GetData()}
	if err := explicitHash(&r, req.GetExplicitHashKey()); err != nil {
		return nil, err
	}
	res, err := s.broker.PutRecord(ctx, principal(ctx), broker.PutRecordRequest{
		Stream: req.GetStream(), Record: r, SequenceNumberForOrdering: req.GetSequenceNumberForOrdering(),
	})
	if err != nil {
		return nil, err
	}
	return &leatv1.PutRecordResponse{
		ShardId: leat.ShardID(res.Shard.Ordinal), SequenceNumber: leat.SequenceNumber(res.Shard, res.Offset),
	}, nil
}

// explicitHash fills in a record's explicit hash key, where there is one.
func explicitHash(r *leat.Record, key string) error {
	if key == "" {
		return nil
	}
	h, err := leat.ParseHashKey(key)
	if err != nil {
		return err
	}
	r.ExplicitHash = &h
	return nil
}

func (s recordService) GetShardIterator(ctx context.Context, req *leatv1.GetShardIteratorRequest) (*leatv1.GetShardIteratorResponse, error) {
	start, err := positionFrom(req.GetStart())
	if err != nil {
		return nil, err
	}
	it, err := s.broker.GetShardIterator(ctx, principal(ctx), broker.GetShardIteratorRequest{Stream: req.GetStream(), Shard: req.GetShardId(), Start: start})
	if err != nil {
		return nil, err
	}
	return &leatv1.GetShardIteratorResponse{ShardIterator: it}, nil
}

func (s recordService) GetRecords(ctx context.Context, req *leatv1.GetRecordsRequest) (*leatv1.GetRecordsResponse, error) {
	res, err := s.broker.GetRecords(ctx, principal(ctx), broker.GetRecordsRequest{Iterator: req.GetShardIterator(), Limit: int(req.GetLimit())})
	if err != nil {
		return nil, err
	}
	return &leatv1.GetRecordsResponse{
		Records: recordsOf(res.Shard, res.Records), MillisBehindLatest: millis(res.Behind),
		NextShardIterator: res.Next, ChildShards: childrenOf(res.Children),
	}, nil
}

func (s recordService) SubscribeToShard(req *leatv1.SubscribeToShardRequest, stream grpc.ServerStreamingServer[leatv1.SubscribeToShardResponse]) error {
	ctx := stream.Context()
	start, err := positionFrom(req.GetStart())
	if err != nil {
		return err
	}
	r := broker.SubscribeRequest{Stream: req.GetStream(), Consumer: req.GetConsumer(), Shard: req.GetShardId(), Start: start}
	return s.broker.Subscribe(ctx, principal(ctx), r, func(e broker.Event) error {
		return stream.Send(&leatv1.SubscribeToShardResponse{
			Records: recordsOf(e.Shard, e.Records), ContinuationSequenceNumber: e.Continuation,
			MillisBehindLatest: millis(e.Behind), ChildShards: childrenOf(e.Children),
		})
	})
}
