// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

// PutRecords: see broker.PutRecords for what it promises.
//
// A batch decides how much a node takes, so it is read, and its answer written, by hand and in memory that is used again:
// nothing is allocated for each record. Data and partition keys are given to the broker as views of the message. That is
// safe for the reasons that server/kinesis/put_records.go gives: the engine copies every byte of a record before Append
// returns, be it by shardstore or on its way to another node, also where the caller goes away meanwhile; the broker returns
// after the engine; and nobody keeps a part of a record but in an error's text, which is a copy.

// handlePutRecords does what generated code does for messages that are generated.
//
//nolint:revive // the form of grpc.MethodHandler
func (s *Server) handlePutRecords(srv any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	c := s.puts.get()
	defer s.puts.put(c)
	if err := dec(c); err != nil {
		return nil, err
	}
	info := &grpc.UnaryServerInfo{Server: srv, FullMethod: leatv1.RecordService_PutRecords_FullMethodName}
	return intercept(ctx, c, info, func(ctx context.Context, _ any) (any, error) {
		a, err := s.putRecords(ctx, c)
		if err != nil {
			return nil, err // not an interface that holds a nil
		}
		return a, nil
	})
}

func (s *Server) putRecords(ctx context.Context, c *putCall) (*putAnswer, error) {
	if err := leat.ValidateStreamName(c.stream); err != nil {
		return nil, err
	}
	if c.records > leat.MaxPutRecords {
		return nil, leat.Invalid("records", "PutRecords with %d records: %d at most", c.records, leat.MaxPutRecords)
	}
	if c.refused != nil {
		return nil, c.refused
	}
	c.lent = true
	failed, err := s.broker.PutRecords(ctx, principal(ctx), broker.PutRecordsRequest{Stream: c.stream, Puts: c.puts})
	c.lent = false
	if err != nil {
		return nil, err
	}
	return s.answer(ctx, failed, c.puts), nil
}

// failure is what a caller is told of a record that failed. What was certainly not written may be put again and has the
// code that says so; for the rest there is only InternalFailure, as with AWS.
func (s *Server) failure(ctx context.Context, err error) (code leatv1.PutRecordsErrorCode, message string) {
	e, _ := kindOf(err)
	switch e.Kind {
	case leat.KindThroughputExceeded, leat.KindUnavailable:
		return leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_PROVISIONED_THROUGHPUT_EXCEEDED, e.Message
	default:
		s.log.ErrorContext(ctx, "record failed", "request_id", callerOf(ctx).id, "kind", e.Kind.String(), "error", err)
		return leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_INTERNAL_FAILURE, "Internal Service Failure"
	}
}

func inEntry(i int, err error) error {
	var e *leat.Error
	if !errors.As(err, &e) {
		return err
	}
	return leat.Invalid(fmt.Sprintf("records[%d].%s", i, e.Field), "record %d: %s", i, e.Message)
}
