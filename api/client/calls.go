// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// putBatch puts records once. Its errors are about all of them, and say KindUnknownOutcome unless it is certain that
// nothing was written. It waits for a connection as long as patience says, and for an answer until ctx ends.
func (c *Client) putBatch(ctx context.Context, stream string, records []*Record, patience time.Duration) ([]outcome, error) {
	req := &leatv1.PutRecordsRequest{Stream: stream, Records: make([]*leatv1.PutRecordsRequestEntry, len(records))}
	for i, r := range records {
		req.Records[i] = &leatv1.PutRecordsRequestEntry{PartitionKey: r.PartitionKey, Data: r.Data, ExplicitHashKey: r.ExplicitHashKey}
	}
	d := &departure{}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patient := time.AfterFunc(patience, func() {
		if !d.left.Load() {
			cancel(context.DeadlineExceeded)
		}
	})
	defer patient.Stop()
	d.back = func() { patient.Reset(patience) }
	res, err := c.Records.PutRecords(context.WithValue(ctx, departureKey{}, d), req, grpc.WaitForReady(true))
	if err != nil {
		return nil, c.fate(ctx, err, d.left.Load())
	}
	if len(res.GetRecords()) != len(records) {
		return nil, &leat.Error{Kind: leat.KindUnknownOutcome, Op: "PutRecords", Message: "the answer has another number of records than the request"}
	}
	out := make([]outcome, len(records))
	for i, r := range res.GetRecords() {
		out[i] = outcome{shard: r.GetShardId(), sequence: r.GetSequenceNumber(), err: entryError(r)}
	}
	return out, nil
}

// fate decides about a call that was cut off: what had not left was not written.
func (c *Client) fate(ctx context.Context, err error, left bool) error {
	if leat.KindOf(err) != leat.KindCanceled {
		return err
	}
	switch {
	case left:
		return &leat.Error{Kind: leat.KindUnknownOutcome, Op: "PutRecords", Message: c.endpoint + " did not answer in time: the record may or may not have been written", Err: silent{err}}
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return c.nothingAnswers(err)
	}
	return err
}

func entryError(r *leatv1.PutRecordsResponseEntry) error {
	switch r.GetErrorCode() {
	case leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_UNSPECIFIED:
		return nil
	case leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_PROVISIONED_THROUGHPUT_EXCEEDED:
		return &leat.Error{Kind: leat.KindThroughputExceeded, Op: "PutRecords", Message: r.GetErrorMessage()}
	}
	return &leat.Error{Kind: leat.KindUnknownOutcome, Op: "PutRecords", Message: r.GetErrorMessage()}
}

// maxPages bounds listings.
const maxPages = 10_000

// listAll returns every shard of a stream that is open or still has records.
func (c *Client) listAll(ctx context.Context, stream string) (map[string]*shard, error) {
	out := map[string]*shard{}
	req := &leatv1.ListShardsRequest{Stream: stream, PageSize: leat.MaxListShards}
	for range maxPages {
		res, err := c.Shards.ListShards(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, s := range res.GetShards() {
			hashes, err := hashRange(s.GetHashKeyRange())
			if err != nil {
				return nil, err
			}
			out[s.GetShardId()] = &shard{
				id: s.GetShardId(), parents: nonEmpty(s.GetParentShardId(), s.GetAdjacentParentShardId()),
				hashes: hashes, closed: s.GetCloseTime() != nil,
			}
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return out, nil
}

func hashRange(r *leatv1.HashKeyRange) (leat.HashKeyRange, error) {
	start, err1 := leat.ParseHashKey(r.GetStartingHashKey())
	end, err2 := leat.ParseHashKey(r.GetEndingHashKey())
	if err := errors.Join(err1, err2); err != nil {
		return leat.HashKeyRange{}, leat.Errorf(leat.KindInternal, "a shard's hash key range: %w", err)
	}
	return leat.HashKeyRange{Start: start, End: end}, nil
}

func nonEmpty(ids ...string) (out []string) {
	for _, id := range ids {
		if id != "" {
			out = append(out, id)
		}
	}
	return out
}

// position is the wire's form of a start.
func (s Start) position() *leatv1.StartingPosition {
	switch s.kind {
	case startLatest:
		return &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_LATEST}
	case startTime:
		return &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_TIMESTAMP, Timestamp: timestamppb.New(s.at)}
	case startAt:
		return &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_SEQUENCE_NUMBER, SequenceNumber: s.sequence}
	case startAfter:
		return &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_AFTER_SEQUENCE_NUMBER, SequenceNumber: s.sequence}
	}
	return &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}
}

// iterator returns a shard iterator.
func (c *Client) iterator(ctx context.Context, stream, shardID string, start Start) (string, error) {
	res, err := c.Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{Stream: stream, ShardId: shardID, Start: start.position()})
	return res.GetShardIterator(), err
}

// getRecords reads one page.
func (c *Client) getRecords(ctx context.Context, iterator string, limit int) (*page, error) {
	res, err := c.Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: iterator, Limit: int32(limit)})
	if err != nil {
		return nil, err
	}
	p := newPage("", res.GetRecords(), res.GetMillisBehindLatest(), res.GetChildShards())
	p.next = res.GetNextShardIterator()
	return p, nil
}

// subscription is one SubscribeToShard.
type subscription struct {
	shardID string
	stream  grpc.ServerStreamingClient[leatv1.SubscribeToShardResponse]
}

// subscribe begins a subscription.
func (c *Client) subscribe(ctx context.Context, stream, shardID, consumer string, start Start) (*subscription, error) {
	s, err := c.Records.SubscribeToShard(ctx, &leatv1.SubscribeToShardRequest{Stream: stream, Consumer: consumer, ShardId: shardID, Start: start.position()})
	if err != nil {
		return nil, err
	}
	return &subscription{shardID, s}, nil
}

// next returns the next push, io.EOF when the subscription is over.
func (s *subscription) next() (*page, error) {
	res, err := s.stream.Recv()
	if err != nil {
		return nil, err
	}
	p := newPage(s.shardID, res.GetRecords(), res.GetMillisBehindLatest(), res.GetChildShards())
	p.next = res.GetContinuationSequenceNumber()
	return p, nil
}

func newPage(shardID string, records []*leatv1.Record, behind int64, children []*leatv1.ChildShard) *page {
	p := &page{shard: shardID, behind: time.Duration(behind) * time.Millisecond, records: make([]*ReadRecord, len(records))}
	var slab []ReadRecord // of a few, so that who keeps one record does not keep the page
	for i, r := range records {
		if len(slab) == 0 {
			slab = make([]ReadRecord, min(16, len(records)-i))
		}
		slab[0] = ReadRecord{
			SequenceNumber: r.GetSequenceNumber(), PartitionKey: r.GetPartitionKey(), Data: r.GetData(),
			Arrival: time.UnixMicro(r.GetApproximateArrivalUnixMicros()),
		}
		p.records[i], slab = &slab[0], slab[1:]
	}
	for _, c := range children {
		p.children = append(p.children, &shard{id: c.GetShardId(), parents: c.GetParentShardIds()})
	}
	return p
}
