// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/wiremem"
	"github.com/leatstream/leat/server/grpcapi"
)

// appendFile appends n bytes and makes them durable, over and over, in a file of its own.
func (b *bench) appendFile(name string, n int) sample {
	return func(ctx context.Context, d time.Duration) (figures map[string]float64, err error) {
		f, err := os.Create(filepath.Join(b.dir, "floor"))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
		chunk := make([]byte, n)
		for i := range chunk {
			chunk[i] = byte(b.random.Uint32())
		}
		calls, took, latencies, err := crowd(ctx, 1, d, func(context.Context, int) error {
			if _, err := f.Write(chunk); err != nil {
				return err
			}
			return syncData(f)
		})
		return map[string]float64{name + " MB/s": mbs(float64(calls*n), took), name + " ms": median(latencies)}, err
	}
}

// echoServer is gRPC and nothing else, with the memory, buffers and goroutines that Leat's own server gives it: it takes the native API's messages and
// answers with messages of the size that a real server would send. Generated code reads and writes them.
type echoServer struct {
	leatv1.UnimplementedRecordServiceServer

	page   *leatv1.GetRecordsResponse
	number string // a sequence number
	grpc   *grpc.Server
	client *client.Client
	wg     sync.WaitGroup
	failed error
}

// pageBytes is the data in one page of the bare server: what GetRecords returns at most, as a reader that catches up sees.
const pageBytes = leat.MaxGetRecordsBytes

// startEcho starts the bare server and connects to it as to a real one.
func startEcho(b *bench) (*echoServer, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &echoServer{
		page:   &leatv1.GetRecordsResponse{NextShardIterator: fmt.Sprintf("%0100d", 7), MillisBehindLatest: 1},
		number: leat.SequenceNumber(leat.ShardKey{}, 1<<40),
	}
	memory := new(wiremem.Pool)
	e.grpc = grpc.NewServer(append(grpcapi.Transport(memory), grpc.ForceServerCodecV2(wiremem.NewCodec(memory)))...)
	for i := 0; i < min(leat.MaxGetRecords, pageBytes/(b.RecordBytes+16)); i++ {
		e.page.Records = append(e.page.Records, &leatv1.Record{
			SequenceNumber: e.number, PartitionKey: b.keys[i%len(b.keys)], Data: b.data[i%len(b.data)],
			ApproximateArrivalUnixMicros: time.Now().UnixMicro(),
		})
	}
	leatv1.RegisterRecordServiceServer(e.grpc, e)
	e.wg.Go(func() { e.failed = e.grpc.Serve(l) })
	if e.client, err = client.Dial(l.Addr().String()); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return e, nil
}

func (e *echoServer) stop() error {
	var err error
	if e.client != nil {
		err = e.client.Close()
	}
	e.grpc.Stop()
	e.wg.Wait()
	return errors.Join(err, e.failed)
}

// PutRecord answers at once.
func (e *echoServer) PutRecord(context.Context, *leatv1.PutRecordRequest) (*leatv1.PutRecordResponse, error) {
	return &leatv1.PutRecordResponse{ShardId: leat.ShardID(0), SequenceNumber: e.number}, nil
}

// PutRecords answers at once.
func (e *echoServer) PutRecords(_ context.Context, req *leatv1.PutRecordsRequest) (*leatv1.PutRecordsResponse, error) {
	res := &leatv1.PutRecordsResponse{Records: make([]*leatv1.PutRecordsResponseEntry, len(req.GetRecords()))}
	id := leat.ShardID(0)
	for i := range res.Records {
		res.Records[i] = &leatv1.PutRecordsResponseEntry{ShardId: id, SequenceNumber: e.number}
	}
	return res, nil
}

// GetShardIterator answers at once.
func (e *echoServer) GetShardIterator(context.Context, *leatv1.GetShardIteratorRequest) (*leatv1.GetShardIteratorResponse, error) {
	return &leatv1.GetShardIteratorResponse{ShardIterator: e.page.GetNextShardIterator()}, nil
}

// GetRecords answers with the one page.
func (e *echoServer) GetRecords(context.Context, *leatv1.GetRecordsRequest) (*leatv1.GetRecordsResponse, error) {
	return e.page, nil
}
