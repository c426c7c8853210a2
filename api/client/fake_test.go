// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// fake is a server with one stream in memory, which fails when it is told to.
type fake struct {
	leatv1.UnimplementedRecordServiceServer
	leatv1.UnimplementedShardServiceServer

	mu        sync.Mutex
	id        leat.StreamID
	shards    []*fakeShard
	iterators int
	changed   chan struct{} // closed and made anew with each change
	calls     int           // of PutRecords
	removed   bool          // the stream is not listed any more

	// Hooks, called with mu held; nil for none.
	beforePut          func(req *leatv1.PutRecordsRequest) error
	throttle           func(shard int) bool
	lose               func(shard int) (applied, lost bool) // an InternalFailure, applied or not
	afterPut           func() error                         // the answer is lost
	beforeSubscription func() error                         // mu is held
	afterSubscription  error                                // how each ends that has nothing else to say
	beforeRead         func(iterator string) error
	onToken            func(metadata.MD)
}

type fakeShard struct {
	key     leat.ShardKey
	hashes  leat.HashKeyRange
	parents []uint64
	closed  bool
	gone    bool // by retention
	records []*leatv1.Record
}

func newFake(shards int) *fake {
	f := &fake{id: leat.NewID[leat.StreamID](nil), changed: make(chan struct{})}
	for _, r := range leat.SplitEvenly(shards) {
		f.addShard(r)
	}
	return f
}

// addShard adds an open shard. f.mu is held, or nobody else knows f.
func (f *fake) addShard(r leat.HashKeyRange, parents ...uint64) *fakeShard {
	s := &fakeShard{key: leat.ShardKey{Stream: f.id, Ordinal: uint64(len(f.shards))}, hashes: r, parents: parents}
	f.shards = append(f.shards, s)
	return s
}

// split closes a shard and opens two.
func (f *fake) split(ordinal int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.shards[ordinal]
	s.closed = true
	mid := s.hashes.Middle()
	f.addShard(leat.HashKeyRange{Start: s.hashes.Start, End: mid.Prev()}, s.key.Ordinal)
	f.addShard(leat.HashKeyRange{Start: mid, End: s.hashes.End}, s.key.Ordinal)
	f.change()
}

// merge closes two shards and opens one.
func (f *fake) merge(a, b int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	low, high := f.shards[a], f.shards[b]
	low.closed, high.closed = true, true
	f.addShard(leat.HashKeyRange{Start: low.hashes.Start, End: high.hashes.End}, low.key.Ordinal, high.key.Ordinal)
	f.change()
}

func (f *fake) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// start serves on address ("127.0.0.1:0" for any port) until the test ends.
func (f *fake) start(tb testing.TB, address string, opts ...grpc.ServerOption) (*grpc.Server, string) {
	tb.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	// A process that has died writes nothing any more: Stop is its death, so it waits for what is under way.
	s := grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(32<<20), grpc.WaitForHandlers(true))...)
	leatv1.RegisterRecordServiceServer(s, f)
	leatv1.RegisterShardServiceServer(s, f)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	tb.Cleanup(func() { s.Stop(); wg.Wait() })
	return s, l.Addr().String()
}

// dial starts the fake and connects to it.
func (f *fake) dial(tb testing.TB) *client.Client {
	tb.Helper()
	_, address := f.start(tb, "127.0.0.1:0")
	return dial(tb, address)
}

func dial(tb testing.TB, address string, opts ...client.Option) *client.Client {
	tb.Helper()
	c, err := client.Dial(address, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func (f *fake) PutRecords(ctx context.Context, req *leatv1.PutRecordsRequest) (*leatv1.PutRecordsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.onToken != nil {
		md, _ := metadata.FromIncomingContext(ctx)
		f.onToken(md)
	}
	if f.beforePut != nil {
		if err := f.beforePut(req); err != nil {
			return nil, err
		}
	}
	res := &leatv1.PutRecordsResponse{}
	full, lost := map[uint64]bool{}, map[uint64]bool{}
	for _, r := range req.GetRecords() {
		e := f.putOne(r, full, lost)
		if e.GetErrorCode() != 0 {
			res.FailedRecordCount++
		}
		res.Records = append(res.Records, e)
	}
	f.change()
	if f.afterPut != nil {
		if err := f.afterPut(); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// putOne puts a record. What follows a refused record of its shard is refused too; what follows a lost one is lost too.
func (f *fake) putOne(r *leatv1.PutRecordsRequestEntry, full, lost map[uint64]bool) *leatv1.PutRecordsResponseEntry {
	s := f.route(r)
	n := s.key.Ordinal
	if full[n] || (!lost[n] && f.throttle != nil && f.throttle(int(n))) {
		full[n] = true
		return &leatv1.PutRecordsResponseEntry{ErrorCode: leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_PROVISIONED_THROUGHPUT_EXCEEDED, ErrorMessage: "Rate exceeded"}
	}
	if lost[n] {
		return internalFailure()
	}
	if f.lose != nil {
		if applied, gone := f.lose(int(n)); gone {
			lost[n] = true
			if applied {
				f.append(s, r)
			}
			return internalFailure()
		}
	}
	seq := f.append(s, r)
	return &leatv1.PutRecordsResponseEntry{ShardId: leat.ShardID(n), SequenceNumber: seq}
}

func internalFailure() *leatv1.PutRecordsResponseEntry {
	return &leatv1.PutRecordsResponseEntry{ErrorCode: leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_INTERNAL_FAILURE, ErrorMessage: "Internal Service Failure"}
}

func (f *fake) route(r *leatv1.PutRecordsRequestEntry) *fakeShard {
	h := leat.HashPartitionKey(r.GetPartitionKey())
	if r.GetExplicitHashKey() != "" {
		h, _ = leat.ParseHashKey(r.GetExplicitHashKey())
	}
	for _, s := range f.shards {
		if !s.closed && s.hashes.Contains(h) {
			return s
		}
	}
	panic("no open shard")
}

func (f *fake) append(s *fakeShard, r *leatv1.PutRecordsRequestEntry) string {
	seq := leat.SequenceNumber(s.key, uint64(len(s.records)))
	s.records = append(s.records, &leatv1.Record{
		SequenceNumber: seq, PartitionKey: r.GetPartitionKey(), Data: slices.Clone(r.GetData()),
		ApproximateArrivalUnixMicros: time.Now().UnixMicro(),
	})
	return seq
}

func (f *fake) ListShards(context.Context, *leatv1.ListShardsRequest) (*leatv1.ListShardsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	res := &leatv1.ListShardsResponse{}
	if f.removed {
		return nil, wireError(leat.KindNotFound, "no such stream", 0)
	}
	for _, s := range f.shards {
		if s.gone {
			continue
		}
		out := &leatv1.Shard{
			ShardId:      leat.ShardID(s.key.Ordinal),
			HashKeyRange: &leatv1.HashKeyRange{StartingHashKey: s.hashes.Start.String(), EndingHashKey: s.hashes.End.String()},
		}
		if len(s.parents) > 0 {
			out.ParentShardId = leat.ShardID(s.parents[0])
		}
		if len(s.parents) > 1 {
			out.AdjacentParentShardId = leat.ShardID(s.parents[1])
		}
		if s.closed {
			out.CloseTime = timestamppb.Now()
		}
		res.Shards = append(res.Shards, out)
	}
	return res, nil
}

func (f *fake) GetShardIterator(_ context.Context, req *leatv1.GetShardIteratorRequest) (*leatv1.GetShardIteratorResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, offset, err := f.locate(req.GetShardId(), req.GetStart())
	if err != nil {
		return nil, err
	}
	return &leatv1.GetShardIteratorResponse{ShardIterator: f.newIterator(s, offset)}, nil
}

func (f *fake) newIterator(s *fakeShard, offset int) string {
	f.iterators++
	return fmt.Sprintf("%d/%d/%d", s.key.Ordinal, offset, f.iterators)
}

func (f *fake) locate(shardID string, p *leatv1.StartingPosition) (*fakeShard, int, error) {
	n, err := leat.ParseShardID(shardID)
	if err != nil || n >= uint64(len(f.shards)) || f.shards[n].gone {
		return nil, 0, errNoShard()
	}
	s := f.shards[n]
	seq := p.GetSequenceNumber()
	switch p.GetType() {
	case leatv1.StartingPositionType_STARTING_POSITION_TYPE_LATEST:
		return s, len(s.records), nil
	case leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_TIMESTAMP:
		at := p.GetTimestamp().AsTime().UnixMicro()
		i := slices.IndexFunc(s.records, func(r *leatv1.Record) bool { return r.GetApproximateArrivalUnixMicros() >= at })
		if i < 0 {
			i = len(s.records)
		}
		return s, i, nil
	case leatv1.StartingPositionType_STARTING_POSITION_TYPE_AFTER_SEQUENCE_NUMBER:
		if i, ok := strings.CutPrefix(seq, "gap"); ok { // a continuation
			var offset int
			_, err := fmt.Sscan(i, &offset)
			return s, offset, err
		}
		offset, err := leat.ParseSequenceNumber(s.key, seq)
		return s, int(offset) + 1, err
	case leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_SEQUENCE_NUMBER:
		offset, err := leat.ParseSequenceNumber(s.key, seq)
		return s, int(offset), err
	}
	return s, 0, nil
}

func (f *fake) GetRecords(_ context.Context, req *leatv1.GetRecordsRequest) (*leatv1.GetRecordsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.beforeRead != nil {
		if err := f.beforeRead(req.GetShardIterator()); err != nil {
			return nil, err
		}
	}
	var n, offset, serial int
	if _, err := fmt.Sscanf(req.GetShardIterator(), "%d/%d/%d", &n, &offset, &serial); err != nil {
		return nil, wireError(leat.KindInvalidArgument, "no iterator", 0)
	}
	s := f.shards[n]
	if s.gone || f.removed {
		return nil, errNoShard()
	}
	end := min(offset+int(req.GetLimit()), len(s.records))
	res := &leatv1.GetRecordsResponse{Records: s.records[offset:end], MillisBehindLatest: int64(len(s.records) - end)}
	if res.ChildShards = f.children(s, end); res.ChildShards == nil {
		res.NextShardIterator = f.newIterator(s, end)
	}
	return res, nil
}

func errNoShard() error {
	return wireFieldError(leat.KindNotFound, "shard_id", "no such shard", 0)
}

// children are told at a shard's end alone.
func (f *fake) children(s *fakeShard, offset int) (out []*leatv1.ChildShard) {
	if !s.closed || offset < len(s.records) {
		return nil
	}
	for _, c := range f.shards {
		if slices.Contains(c.parents, s.key.Ordinal) {
			child := &leatv1.ChildShard{ShardId: leat.ShardID(c.key.Ordinal)}
			for _, p := range c.parents {
				child.ParentShardIds = append(child.ParentShardIds, leat.ShardID(p))
			}
			out = append(out, child)
		}
	}
	return out
}

// SubscribeToShard ends every subscription after a few pushes, as a real server does after five minutes.
func (f *fake) SubscribeToShard(req *leatv1.SubscribeToShardRequest, out grpc.ServerStreamingServer[leatv1.SubscribeToShardResponse]) error {
	const pushes = 5
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.beforeSubscription != nil {
		if err := f.beforeSubscription(); err != nil {
			return err
		}
	}
	s, offset, err := f.locate(req.GetShardId(), req.GetStart())
	if err != nil {
		return err
	}
	for range pushes {
		end := min(offset+3, len(s.records))
		res := &leatv1.SubscribeToShardResponse{Records: s.records[offset:end], MillisBehindLatest: int64(len(s.records) - end)}
		if res.ChildShards = f.children(s, end); res.ChildShards == nil {
			res.ContinuationSequenceNumber = fmt.Sprintf("gap%d", end)
		}
		changed := f.changed
		f.mu.Unlock()
		err := out.Send(res)
		if err == nil && res.ChildShards == nil && res.GetMillisBehindLatest() == 0 {
			select {
			case <-changed:
			case <-out.Context().Done():
				err = out.Context().Err()
			}
		}
		f.mu.Lock()
		if offset = end; err != nil || res.ChildShards != nil {
			return err
		}
	}
	return f.afterSubscription
}

// put puts n records in the fake itself, under random keys.
func (f *fake) put(random *rand.Rand, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		r := &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprintf("k%d", random.IntN(50)), Data: fmt.Appendf(nil, "%d", random.Uint64())}
		f.append(f.route(r), r)
	}
	f.change()
}

// all returns what the stream holds, shard by shard.
func (f *fake) all() (out []*leatv1.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.shards {
		out = append(out, s.records...)
	}
	return out
}
