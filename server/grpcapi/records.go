// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"errors"
	"fmt"

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
	switch m.(type) {
	case *leatv1.PutRecordRequest, *leatv1.PutRecordsRequest:
		return true
	}
	return false
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

// PutRecords hands the records' bytes to the broker as gRPC has read them: nothing else refers to that memory, and the
// engine copies it into its segment.
func (s recordService) PutRecords(ctx context.Context, req *leatv1.PutRecordsRequest) (*leatv1.PutRecordsResponse, error) {
	if err := leat.ValidateStreamName(req.GetStream()); err != nil {
		return nil, err
	}
	if n := len(req.GetRecords()); n > leat.MaxPutRecords { // before memory is spent on them
		return nil, leat.Invalid("records", "PutRecords with %d records: %d at most", n, leat.MaxPutRecords)
	}
	puts := make([]broker.Put, len(req.GetRecords()))
	for i, e := range req.GetRecords() {
		r := &puts[i].Record
		r.PartitionKey, r.Data = e.GetPartitionKey(), e.GetData()
		if err := explicitHash(r, e.GetExplicitHashKey()); err != nil {
			return nil, inEntry(i, err)
		}
	}
	failed, err := s.broker.PutRecords(ctx, principal(ctx), broker.PutRecordsRequest{Stream: req.GetStream(), Puts: puts})
	if err != nil {
		return nil, err
	}
	entries, out := make([]leatv1.PutRecordsResponseEntry, len(puts)), make([]*leatv1.PutRecordsResponseEntry, len(puts))
	ids := map[uint64]string{}
	for i := range puts {
		s.outcome(ctx, &entries[i], &puts[i], ids)
		out[i] = &entries[i]
	}
	return &leatv1.PutRecordsResponse{FailedRecordCount: int32(failed), Records: out}, nil
}

func inEntry(i int, err error) error {
	var e *leat.Error
	if !errors.As(err, &e) {
		return err
	}
	return leat.Invalid(fmt.Sprintf("records[%d].%s", i, e.Field), "record %d: %s", i, e.Message)
}

// outcome writes what became of one record. What was certainly not written may be put again and has the code that says
// so; for the rest there is only InternalFailure, as with AWS.
func (s recordService) outcome(ctx context.Context, to *leatv1.PutRecordsResponseEntry, p *broker.Put, ids map[uint64]string) {
	if p.Err == nil {
		id, ok := ids[p.Shard.Ordinal]
		if !ok {
			id = leat.ShardID(p.Shard.Ordinal)
			ids[p.Shard.Ordinal] = id
		}
		to.ShardId, to.SequenceNumber = id, leat.SequenceNumber(p.Shard, p.Record.Offset)
		return
	}
	e, _ := kindOf(p.Err)
	switch e.Kind {
	case leat.KindThroughputExceeded, leat.KindUnavailable:
		to.ErrorCode, to.ErrorMessage = leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_PROVISIONED_THROUGHPUT_EXCEEDED, e.Message
	default:
		to.ErrorCode, to.ErrorMessage = leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_INTERNAL_FAILURE, "Internal Service Failure"
		s.log.Error("record failed", "request_id", callerOf(ctx).id, "kind", e.Kind.String(), "error", p.Err)
	}
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
