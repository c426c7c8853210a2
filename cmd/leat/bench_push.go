// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"fmt"
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
				{Name: "pushed after the answer, p50", Value: max(m["push ms"]-m["put ms"], 0), Unit: "ms"},
			}
		},
	}
}

// pushes subscribes to one shard and puts records into it.
func (b *bench) pushes(ctx context.Context, d time.Duration) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, d+callWithin)
	defer cancel()
	name := fmt.Sprintf("bench-%08x", b.random.Uint32())
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
	puts, pushes, err := b.pushAll(ctx, d, arrivals, failed)
	cancel()
	for range arrivals { // receive closes it
	}
	return map[string]float64{"put ms": median(puts), "push ms": median(pushes)}, err
}

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

// pushAll puts a record, waits for it, and puts the next one.
func (b *bench) pushAll(ctx context.Context, d time.Duration, arrivals <-chan arrival, failed <-chan error) (puts, pushes []float64, err error) {
	data := slices.Clone(b.data[0])
	began := time.Now()
	for number := uint64(0); time.Since(began) < d; number++ {
		binary.LittleEndian.PutUint64(data, number)
		start := time.Now()
		_, err := b.cl.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: b.stream, PartitionKey: "k", ExplicitHashKey: "0", Data: data})
		if err != nil {
			return puts, pushes, err
		}
		puts = append(puts, milliseconds(time.Since(start)))
		select {
		case a := <-arrivals:
			if a.number != number {
				return puts, pushes, leat.Errorf(leat.KindCorrupt, "record %d was pushed where %d was put", a.number, number)
			}
			pushes = append(pushes, milliseconds(a.at.Sub(start)))
		case err := <-failed:
			return puts, pushes, err
		}
	}
	return puts, pushes, nil
}
