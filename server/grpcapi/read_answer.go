// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

// readAnswer is a GetRecordsResponse or a SubscribeToShardResponse that writes itself, as generated code would write it
// (FuzzReadAnswer): nothing is made for each record, whose bytes are copied once, from the store's memory to the wire's.
type readAnswer struct {
	shard   leat.ShardKey
	records []leat.Record // the first field of both messages
	rest    []byte        // all other fields, which come after it
}

// Numbers of the fields, as record_service.proto and record.proto have them.
const (
	readRecords                                     = 1
	recordNumber, recordTime, recordKey, recordData = 1, 2, 3, 4
)

// newReadAnswer makes an answer of records, which are not copied yet and MUST never change, and of a message with all
// fields but the records.
func newReadAnswer(shard leat.ShardKey, records []leat.Record, rest proto.Message) (*readAnswer, error) {
	b, err := proto.Marshal(rest)
	return &readAnswer{shard, records, b}, err
}

// MarshalWire writes the answer.
func (a *readAnswer) MarshalWire(memory mem.BufferPool) mem.BufferSlice {
	size := len(a.rest)
	for i := range a.records {
		size += protowire.SizeTag(readRecords) + protowire.SizeBytes(recordSize(&a.records[i]))
	}
	buf := memory.Get(size)
	b := (*buf)[:0]
	numbers := leat.NewSequenceNumbers(a.shard)
	for i := range a.records {
		r := &a.records[i]
		b = append(b, texts(readRecords))
		b = appendRecord(protowire.AppendVarint(b, uint64(recordSize(r))), &numbers, r)
	}
	b = append(b, a.rest...)
	*buf = b
	return mem.BufferSlice{mem.NewBuffer(buf, memory)}
}

// texts is the tag of a field of text, bytes or messages, whose number is small enough for one byte.
func texts(field protowire.Number) byte { return byte(protowire.EncodeTag(field, protowire.BytesType)) }

// sequenceSize is the length of a sequence number.
const sequenceSize = 56

// recordSize is the length of a Record.
func recordSize(r *leat.Record) int {
	n := protowire.SizeTag(recordNumber) + protowire.SizeBytes(sequenceSize)
	if r.Time != 0 {
		n += protowire.SizeTag(recordTime) + protowire.SizeVarint(uint64(r.Time))
	}
	if len(r.PartitionKey) > 0 {
		n += protowire.SizeTag(recordKey) + protowire.SizeBytes(len(r.PartitionKey))
	}
	if len(r.Data) > 0 {
		n += protowire.SizeTag(recordData) + protowire.SizeBytes(len(r.Data))
	}
	return n
}

// appendRecord appends a Record.
func appendRecord(b []byte, numbers *leat.SequenceNumbers, r *leat.Record) []byte {
	b = numbers.Append(append(b, texts(recordNumber), sequenceSize), r.Offset)
	if r.Time != 0 {
		b = protowire.AppendVarint(append(b, byte(protowire.EncodeTag(recordTime, protowire.VarintType))), uint64(r.Time))
	}
	if r.PartitionKey != "" {
		b = protowire.AppendString(append(b, texts(recordKey)), r.PartitionKey)
	}
	if len(r.Data) > 0 {
		b = protowire.AppendBytes(append(b, texts(recordData)), r.Data)
	}
	return b
}

// handleGetRecords does what generated code does, for an answer that is not generated.
//
//nolint:revive // the form of grpc.MethodHandler
func (s *Server) handleGetRecords(srv any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	req := new(leatv1.GetRecordsRequest)
	if err := dec(req); err != nil {
		return nil, err
	}
	info := &grpc.UnaryServerInfo{Server: srv, FullMethod: leatv1.RecordService_GetRecords_FullMethodName}
	return intercept(ctx, req, info, func(ctx context.Context, _ any) (any, error) {
		a, err := s.getRecords(ctx, req)
		if err != nil {
			return nil, err // not an interface that holds a nil
		}
		return a, nil
	})
}

func (s *Server) getRecords(ctx context.Context, req *leatv1.GetRecordsRequest) (*readAnswer, error) {
	res, err := s.broker.GetRecords(ctx, principal(ctx), broker.GetRecordsRequest{Iterator: req.GetShardIterator(), Limit: int(req.GetLimit())})
	if err != nil {
		return nil, err
	}
	return newReadAnswer(res.Shard, res.Records, &leatv1.GetRecordsResponse{
		MillisBehindLatest: millis(res.Behind), NextShardIterator: res.Next, ChildShards: childrenOf(res.Children),
	})
}

func (s recordService) SubscribeToShard(req *leatv1.SubscribeToShardRequest, stream grpc.ServerStreamingServer[leatv1.SubscribeToShardResponse]) error {
	ctx := stream.Context()
	start, err := positionFrom(req.GetStart())
	if err != nil {
		return err
	}
	r := broker.SubscribeRequest{Stream: req.GetStream(), Consumer: req.GetConsumer(), Shard: req.GetShardId(), Start: start}
	return s.broker.Subscribe(ctx, principal(ctx), r, func(e broker.Event) error {
		a, err := newReadAnswer(e.Shard, e.Records, &leatv1.SubscribeToShardResponse{
			ContinuationSequenceNumber: e.Continuation, MillisBehindLatest: millis(e.Behind), ChildShards: childrenOf(e.Children),
		})
		if err != nil {
			return err
		}
		return stream.SendMsg(a)
	})
}
