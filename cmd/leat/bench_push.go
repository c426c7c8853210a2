// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// pushStep measures how long after a put its record is with a subscriber that waits for it.
func (b *bench) pushStep() *step {
	return &step{
		mode: "push", about: "from PutRecord to a waiting subscriber, one record at a time",
		samples: []sample{b.pushes},
		results: func(m medians) []result {
			return []result{
				against("put to its subscriber, p50", m["push ms"], "ms", "the put's own answer", m["put ms"]),
				{Name: "pushed after the answer, p50", Value: m["after ms"], Unit: "ms"},
			}
		},
	}
}

// pushes subscribes to one shard and puts records into it.
func (b *bench) pushes(ctx context.Context, d time.Duration) (_ map[string]float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, d+callWithin)
	defer cancel()
	name := fmt.Sprintf("bench-%08x", b.random.Uint32())
	defer func() { err = errors.Join(err, b.deregister(ctx, name)) }()
	if _, err := register(ctx, b.cl, b.stream, name, nil); err != nil {
		return nil, err
	}
	sub, err := b.cl.Records.SubscribeToShard(ctx, &leatv1.SubscribeToShardRequest{
		Stream: b.stream, Consumer: name, ShardId: leat.ShardID(0),
		Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_LATEST},
	})
	if err == nil {
		_, err = sub.Recv() // it stands
	}
	if err != nil {
		return nil, err
	}
	arrivals, failed := make(chan arrival, 1), make(chan error, 1)
	go func() { failed <- receive(ctx, sub.Recv, arrivals) }()
	t, err := b.pushAll(ctx, d, arrivals, failed)
	cancel()
	for range arrivals { // receive closes it
	}
	return map[string]float64{"put ms": median(t.puts), "push ms": median(t.pushes), "after ms": median(t.after)}, err
}

// deregister removes a consumer, since a stream has but so many, though ctx may have ended.
func (b *bench) deregister(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWithin)
	defer cancel()
	_, err := b.cl.Consumers.DeregisterStreamConsumer(ctx, &leatv1.DeregisterStreamConsumerRequest{Stream: b.stream, Consumer: name})
	if leat.KindOf(err) == leat.KindNotFound {
		return nil
	}
	return err
}

// pushTimes are of each record, in milliseconds: until its put was answered, until it was pushed, and from the one to the other, which is below 0 where
// the push came first.
type pushTimes struct{ puts, pushes, after []float64 }

// arrival is when a numbered record came.
type arrival struct {
	number uint64
	at     time.Time
}

// receive notes arrivals until the subscription ends.
func receive(ctx context.Context, next func() (*leatv1.SubscribeToShardResponse, error), arrivals chan<- arrival) error {
	defer close(arrivals)
	for {
		res, err := next()
		if err != nil {
			return err
		}
		at := time.Now()
		for _, r := range res.GetRecords() {
			select {
			case arrivals <- arrival{binary.LittleEndian.Uint64(r.GetData()), at}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// pushAll puts a record, waits for it, and puts the next one, until d is over or the subscription, whichever comes first.
func (b *bench) pushAll(ctx context.Context, d time.Duration, arrivals <-chan arrival, failed <-chan error) (t pushTimes, err error) {
	data := slices.Clone(b.data[0])
	began := time.Now()
	for number := uint64(0); time.Since(began) < d; number++ {
		binary.LittleEndian.PutUint64(data, number)
		start := time.Now()
		_, err := b.cl.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: b.stream, PartitionKey: "k", ExplicitHashKey: "0", Data: data})
		if err != nil {
			return t, err
		}
		answered := time.Now()
		a, stands := <-arrivals
		if !stands {
			if err := <-failed; !errors.Is(err, io.EOF) || number == 0 {
				return t, leat.Errorf(leat.KindUnavailable, "the subscription ended: %w", err)
			}
			return t, nil // its five minutes are over, or the server drains: what was measured stands
		}
		if a.number != number {
			return t, leat.Errorf(leat.KindCorrupt, "record %d was pushed where %d was put", a.number, number)
		}
		t.puts = append(t.puts, milliseconds(answered.Sub(start)))
		t.pushes = append(t.pushes, milliseconds(a.at.Sub(start)))
		t.after = append(t.after, milliseconds(a.at.Sub(answered)))
	}
	return t, nil
}
