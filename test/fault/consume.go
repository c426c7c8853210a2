// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// consumer follows every shard of a stream from its beginning, children after their parents.
type consumer struct {
	load *Load
	name string
	push bool
	node *pick // for all shards, which have the same owner

	mu     sync.Mutex
	begun  map[string]bool
	ended  map[string]bool
	next   map[string]uint64 // offset of the next record of each shard
	last   map[string]string // the last thing that happened to each shard, for messages
	news   chan struct{}     // closed and made again at each step forward
	shards sync.WaitGroup
}

func newConsumer(l *Load, name string, push bool) *consumer {
	return &consumer{
		load: l, name: name, push: push, node: l.Targets.pick(rand.New(rand.NewPCG(l.Seed, uint64(len(name))))), begun: map[string]bool{}, ended: map[string]bool{},
		next: map[string]uint64{}, last: map[string]string{}, news: make(chan struct{}),
	}
}

// run reads until ctx is done.
func (c *consumer) run(ctx context.Context) {
	defer c.shards.Wait()
	for {
		shards, err := c.roots(ctx, c.node)
		if err == nil {
			for _, id := range shards {
				c.begin(ctx, id)
			}
			return
		}
		c.failed("ListShards", err)
		c.node.turn()
		if !pause(ctx) {
			return
		}
	}
}

// failed notes an error that faults do not explain.
func (c *consumer) failed(what string, err error) {
	if !expected(err) {
		c.load.History.Break("%s: %s: %v", c.name, what, err)
	}
}

// note keeps the last thing that happened to a shard.
func (c *consumer) note(id, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[id] = time.Now().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
}

// pause waits a little after a failure; false when ctx is done.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(50 * time.Millisecond):
		return true
	}
}

// roots lists the shards without parents.
func (c *consumer) roots(ctx context.Context, node *pick) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	res, err := node.client().Shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: c.load.Stream, PageSize: leat.MaxListShards})
	for _, s := range res.GetShards() {
		if s.GetParentShardId() == "" {
			ids = append(ids, s.GetShardId())
		}
	}
	return ids, err
}

// begin follows one more shard.
func (c *consumer) begin(ctx context.Context, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun[id] {
		return
	}
	c.begun[id] = true
	follow := c.poll
	if c.push {
		follow = c.subscribe
	}
	c.shards.Go(func() {
		children := follow(ctx, id)
		c.finish(ctx, id, children)
	})
}

// finish begins the children of an ended shard whose parents have all ended.
func (c *consumer) finish(ctx context.Context, id string, children []*leatv1.ChildShard) {
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	c.ended[id] = true
	if len(children) == 0 {
		c.load.History.Break("%s: %s has ended without children", c.name, id)
	}
	var ready []string
	for _, child := range children {
		if !slices.Contains(child.GetParentShardIds(), id) {
			c.load.History.Break("%s: %s names the child %s, whose parents are %v", c.name, id, child.GetShardId(), child.GetParentShardIds())
		}
		if !slices.ContainsFunc(child.GetParentShardIds(), func(p string) bool { return !c.ended[p] }) {
			ready = append(ready, child.GetShardId())
		}
	}
	c.mu.Unlock()
	for _, child := range ready {
		c.begin(ctx, child)
	}
}

// take checks the records of one answer and moves on behind them. It returns the last sequence number, or the one given.
func (c *consumer) take(id, after string, records []*leatv1.Record) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		at, err := PlaceOf(id, r.GetSequenceNumber())
		if err != nil {
			c.load.History.Break("%s: %v", c.name, err)
			continue
		}
		if want := c.next[id]; at.Offset != want {
			c.load.History.Break("I14: %s read offset %d of %s where %d is next", c.name, at.Offset, id, want)
		}
		c.next[id] = at.Offset + 1
		after = r.GetSequenceNumber()
		record, err := Identify(r.GetPartitionKey(), r.GetData())
		if err != nil {
			c.load.History.Break("I1: %s at %v: %v", c.name, at, err)
			continue
		}
		c.load.History.Saw(c.name, at, Seen{record, time.UnixMicro(r.GetApproximateArrivalUnixMicros())})
	}
	if len(records) > 0 {
		close(c.news)
		c.news = make(chan struct{})
	}
	return after
}

func (c *consumer) at(id string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next[id]
}

// start is where to go on in a shard.
func start(after string) *leatv1.StartingPosition {
	if after == "" {
		return &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}
	}
	return &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_AFTER_SEQUENCE_NUMBER, SequenceNumber: after}
}

// poll follows one shard with GetRecords, at whichever node answers.
func (c *consumer) poll(ctx context.Context, id string) []*leatv1.ChildShard {
	iterator, after := "", ""
	for ctx.Err() == nil {
		at := c.node.now()
		res, err := c.page(ctx, c.node.all[at], id, iterator, after)
		if leat.KindOf(err) == leat.KindExpiredIterator && err != nil {
			iterator = ""
			continue
		}
		if err != nil {
			c.note(id, "%v", err)
			c.failed("read "+id, err)
			c.node.leave(at)
			pause(ctx)
			continue
		}
		c.note(id, "%d records", len(res.GetRecords()))
		after = c.take(id, after, res.GetRecords())
		if iterator = res.GetNextShardIterator(); iterator == "" {
			return res.GetChildShards()
		}
		if len(res.GetRecords()) == 0 {
			pause(ctx)
		}
	}
	return nil
}

// page makes one read, and checks that an answer that says "caught up" is.
func (c *consumer) page(ctx context.Context, node *client.Client, id, iterator, after string) (*leatv1.GetRecordsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	records := node.Records
	if iterator == "" {
		res, err := records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{Stream: c.load.Stream, ShardId: id, Start: start(after)})
		if err != nil {
			return nil, err
		}
		iterator = res.GetShardIterator()
	}
	tail := c.load.History.Tail(id)
	res, err := records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: iterator, Limit: 1000})
	if err != nil {
		return nil, err
	}
	if end := c.at(id) + uint64(len(res.GetRecords())); end < tail && (res.GetMillisBehindLatest() == 0 || res.GetNextShardIterator() == "") {
		c.load.History.Break("I13: %s was told that %s ends at %d, when %d records of it were acknowledged", c.name, id, end, tail)
	}
	return res, nil
}

// subscribe follows one shard with SubscribeToShard, at whichever node answers.
func (c *consumer) subscribe(ctx context.Context, id string) []*leatv1.ChildShard {
	after := ""
	for ctx.Err() == nil {
		at := c.node.now()
		children, ended, err := c.subscription(ctx, c.node.all[at], id, &after)
		c.note(id, "the subscription ended: %v", err)
		if ended {
			return children
		}
		// An older subscription of this consumer may not have been missed by the server yet.
		if err != nil && leat.KindOf(err) != leat.KindInUse {
			c.failed("subscribe to "+id, err)
			c.node.leave(at)
		}
		pause(ctx)
	}
	return nil
}

// silence is how long a subscription may say nothing: it promises a message at least every five seconds. A node that is
// frozen says nothing at all.
const silence = 8 * time.Second

// subscription reads one subscription until it ends.
func (c *consumer) subscription(ctx context.Context, node *client.Client, id string, after *string) (children []*leatv1.ChildShard, ended bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	s, err := node.Records.SubscribeToShard(ctx, &leatv1.SubscribeToShardRequest{
		Stream: c.load.Stream, Consumer: c.load.Consumer, ShardId: id, Start: start(*after),
	})
	if err != nil {
		return nil, false, err
	}
	for {
		res, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		quiet.Reset(silence)
		c.note(id, "%d records pushed, then %q", len(res.GetRecords()), res.GetContinuationSequenceNumber())
		c.take(id, *after, res.GetRecords())
		if res.GetContinuationSequenceNumber() == "" {
			return res.GetChildShards(), true, nil
		}
		*after = res.GetContinuationSequenceNumber()
	}
}

// await waits until the consumer has read each shard up to an offset.
func (c *consumer) await(ctx context.Context, upTo map[string]uint64) error {
	for {
		c.mu.Lock()
		news := c.news
		var behind []string
		for id, want := range upTo {
			if got := c.next[id]; got < want {
				behind = append(behind, fmt.Sprintf("%s is at offset %d of %s, and %d are acknowledged", c.name, got, id, want))
			}
		}
		c.mu.Unlock()
		if len(behind) == 0 {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			slices.Sort(behind)
			return fmt.Errorf("%d shards were not read to their end: %s; open:%s", len(behind), behind[0], c.open())
		}
	}
}

// open describes the shards that are being read.
func (c *consumer) open() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out strings.Builder
	for id := range c.begun {
		if !c.ended[id] {
			fmt.Fprintf(&out, "\n%s: next offset %d, %s", id, c.next[id], c.last[id])
		}
	}
	return out.String()
}
