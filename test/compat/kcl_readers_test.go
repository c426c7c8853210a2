// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"golang.org/x/sync/errgroup"
)

// everyRound is the pause of a reader that has nothing to do.
const everyRound = 10 * time.Millisecond

// consume runs one reader a lease, as leases become ready, until enough is closed.
func consume(ctx context.Context, l *leases, enough <-chan struct{}, read func(context.Context, string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	tick := time.NewTicker(everyRound)
	defer tick.Stop()
	for {
		for _, shard := range l.ready() {
			g.Go(func() error {
				if err := read(ctx, shard); err != nil && ctx.Err() == nil {
					return fmt.Errorf("%s: %w", shard, err)
				}
				return nil
			})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return g.Wait()
		case <-enough:
			cancel()
			return g.Wait()
		}
	}
}

// poller reads a shard by GetRecords. After some pages another worker takes the lease: it gets an iterator of its own,
// after the checkpoint.
type poller struct {
	*leases
	k      *kinesis.Client
	stream string
}

const pagesALease = 5

func (p *poller) read(ctx context.Context, shard string) error {
	in := &kinesis.GetShardIteratorInput{StreamName: &p.stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	tick := time.NewTicker(everyRound)
	defer tick.Stop()
	for {
		from, err := p.k.GetShardIterator(ctx, in)
		if err != nil {
			return err
		}
		next := from.ShardIterator
		for range pagesALease {
			page, err := p.k.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next, StreamARN: arnOf(p.stream), Limit: aws.Int32(50)})
			if err != nil {
				return err
			}
			p.take(page.Records)
			if n := len(page.Records); n > 0 {
				in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, page.Records[n-1].SequenceNumber
			}
			next = page.NextShardIterator
			if ended, err := p.turn(shard, next, page.ChildShards); ended || err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// fanOut reads a shard by SubscribeToShard. Some subscriptions hang up after some events and subscribe again after the
// continuation; not all, as a shard takes a new subscription 5 seconds after the last one at the soonest.
//
// Each shard gets a client of its own: all subscriptions of one SDK client write to the same fields of its decoder,
// which does no harm (smithy-go 1.28) but is a race.
type fanOut struct {
	*leases
	client   func() *kinesis.Client
	consumer string // its ARN
	hangUps  atomic.Int32
}

const (
	eventsBeforeHangUp = 10
	maxHangUps         = 3
)

func (f *fanOut) read(ctx context.Context, shard string) error {
	k := f.client()
	from := types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
	for {
		out, err := f.subscribe(ctx, k, shard, from)
		if err != nil {
			return err
		}
		next, err := f.events(ctx, shard, out.GetStream())
		if next == nil || err != nil {
			return err
		}
		from = types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: next}
	}
}

// subscribe asks again while the last subscription of the shard is in the way, as the KCL does.
func (f *fanOut) subscribe(ctx context.Context, k *kinesis.Client, shard string, from types.StartingPosition) (*kinesis.SubscribeToShardOutput, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := k.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &f.consumer, ShardId: &shard, StartingPosition: &from})
		if _, busy := errors.AsType[*types.ResourceInUseException](err); !busy {
			return out, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// events takes some events, and returns where to go on: nil at the end of the shard.
func (f *fanOut) events(ctx context.Context, shard string, stream *kinesis.SubscribeToShardEventStream) (next *string, err error) {
	defer stream.Close()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case e, ok := <-stream.Events():
			if !ok {
				return nil, fmt.Errorf("the events ended: %w", stream.Err())
			}
			event := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
			f.take(event.Records)
			next = event.ContinuationSequenceNumber
			if ended, err := f.turn(shard, next, event.ChildShards); ended || err != nil {
				return nil, err
			}
			if n == eventsBeforeHangUp && f.hangUps.Add(1) <= maxHangUps {
				return next, nil
			}
		}
	}
}
