// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
)

// Connect, create a stream, put a record and read it back, call by call.
func ExampleDial() {
	endpoint, stop := startServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	c, err := client.Dial(endpoint)
	if err != nil {
		log.Panic(err)
	}
	defer c.Close()
	if err := createStream(ctx, c, "orders", 1); err != nil {
		log.Panic(err)
	}

	put, err := c.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: "orders", PartitionKey: "customer-7", Data: []byte("two boxes")})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("durable in", put.GetShardId())

	it, err := c.Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{
		Stream: "orders", ShardId: put.GetShardId(),
		Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON},
	})
	if err != nil {
		log.Panic(err)
	}
	page, err := c.Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator()})
	if err != nil {
		log.Panic(err)
	}
	for _, r := range page.GetRecords() {
		fmt.Printf("%s: %s\n", r.GetPartitionKey(), r.GetData())
	}

	_, err = c.Records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: "no-such-stream", PartitionKey: "k"})
	fmt.Println(leat.KindOf(err))
	// Output:
	// durable in shardId-000000000000
	// customer-7: two boxes
	// NOT_FOUND
}

// Put many records. Batches, retries and the bound on memory are the producer's business.
func ExampleProducer() {
	endpoint, stop := startServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(endpoint)
	if err != nil {
		log.Panic(err)
	}
	defer c.Close()
	if err := createStream(ctx, c, "clicks", 4); err != nil {
		log.Panic(err)
	}

	// After a lost answer: look in the stream before putting a record again.
	p, err := client.NewProducer(c, "clicks", client.ProducerOptions{Unknown: client.UnknownResolve})
	if err != nil {
		log.Panic(err)
	}
	var acks []*client.Ack
	for i := range 10_000 {
		ack, err := p.Put(ctx, fmt.Sprintf("user-%d", i%100), fmt.Appendf(nil, "click %d", i))
		if err != nil {
			log.Panic(err)
		}
		acks = append(acks, ack)
	}
	if err := p.Close(ctx); err != nil {
		log.Panic(err)
	}
	shards := map[string]bool{}
	for _, ack := range acks {
		placed, err := ack.Wait(ctx)
		if err != nil {
			log.Panic(err)
		}
		shards[placed.ShardID] = true
	}
	fmt.Printf("%d records in %d shards\n", p.Stats().Acked, len(shards))
	// Output: 10000 records in 4 shards
}

// Read a stream that is split meanwhile: the records of a key stay in order, since a shard's children are read after it.
func ExampleReader() {
	endpoint, stop := startServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(endpoint)
	if err != nil {
		log.Panic(err)
	}
	defer c.Close()
	if err := createStream(ctx, c, "temperatures", 1); err != nil {
		log.Panic(err)
	}

	p, err := client.NewProducer(c, "temperatures", client.ProducerOptions{})
	if err != nil {
		log.Panic(err)
	}
	defer p.Close(ctx)
	put := func(degrees string) {
		if _, err := p.Put(ctx, "kitchen", []byte(degrees)); err != nil {
			log.Panic(err)
		}
		if err := p.Flush(ctx); err != nil {
			log.Panic(err)
		}
	}
	put("19")
	put("20")
	if _, err := c.Shards.SplitShard(ctx, &leatv1.SplitShardRequest{Stream: "temperatures", ShardId: "0"}); err != nil {
		log.Panic(err)
	}
	if err := active(ctx, c, "temperatures"); err != nil {
		log.Panic(err)
	}
	put("21")

	r, err := client.NewReader(c, "temperatures", client.TrimHorizon(), client.ReaderOptions{ToPresent: true})
	if err != nil {
		log.Panic(err)
	}
	defer r.Close()
	for rec, err := range r.All(ctx) {
		if err != nil {
			log.Panic(err)
		}
		fmt.Printf("%s %s\n", rec.PartitionKey, rec.Data)
	}
	// Output:
	// kitchen 19
	// kitchen 20
	// kitchen 21
}

// Stop reading and go on later: keep the checkpoints, as JSON for one.
func ExampleReader_Checkpoints() {
	endpoint, stop := startServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(endpoint)
	if err != nil {
		log.Panic(err)
	}
	defer c.Close()
	if err := createStream(ctx, c, "jobs", 1); err != nil {
		log.Panic(err)
	}
	p, err := client.NewProducer(c, "jobs", client.ProducerOptions{})
	if err != nil {
		log.Panic(err)
	}
	for i := range 4 {
		if _, err := p.Put(ctx, "k", fmt.Appendf(nil, "job %d", i)); err != nil {
			log.Panic(err)
		}
	}
	if err := p.Close(ctx); err != nil {
		log.Panic(err)
	}

	read := func(at client.Checkpoints, n int) client.Checkpoints {
		r, err := client.NewReader(c, "jobs", client.TrimHorizon(), client.ReaderOptions{Checkpoints: at, ToPresent: true})
		if err != nil {
			log.Panic(err)
		}
		defer r.Close()
		for range n {
			rec, err := r.Next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				log.Panic(err)
			}
			fmt.Printf("%s\n", rec.Data)
		}
		return r.Checkpoints()
	}
	at := read(nil, 3)
	fmt.Println("and later")
	read(at, 3)
	// Output:
	// job 0
	// job 1
	// job 2
	// and later
	// job 3
}

// createStream creates a stream and waits until it takes records.
func createStream(ctx context.Context, c *client.Client, name string, shards int32) error {
	if _, err := c.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: name, ShardCount: shards}); err != nil {
		return err
	}
	return active(ctx, c, name)
}

// active waits until a stream is ACTIVE.
func active(ctx context.Context, c *client.Client, name string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		res, err := c.Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: name})
		if err != nil || res.GetStream().GetStatus() == leatv1.StreamStatus_STREAM_STATUS_ACTIVE {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// startServer starts a server for an example. A test says leattest.Start(t) instead.
func startServer() (endpoint string, stop func()) {
	dir, err := os.MkdirTemp("", "leat-example-")
	if err != nil {
		panic(err)
	}
	e := &example{dir: dir}
	srv := leattest.Start(e)
	return srv.Endpoint, func() {
		for _, f := range e.cleanups {
			f()
		}
		if err := os.RemoveAll(dir); err != nil {
			panic(err)
		}
	}
}

// example is what leattest needs of a test.
type example struct {
	dir      string
	cleanups []func()
}

func (e *example) Helper()                           {}
func (e *example) TempDir() string                   { return e.dir }
func (e *example) Cleanup(f func())                  { e.cleanups = append(e.cleanups, f) }
func (e *example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (e *example) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
