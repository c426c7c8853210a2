// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leattest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
)

// What was put before a restart is there after it.
func TestStartAndRestart(t *testing.T) {
	srv := leattest.Start(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	records := dial(t, srv)
	if _, err := leatv1.NewStreamServiceClient(records.conn).CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: "s", ShardCount: 2}); err != nil {
		t.Fatal(err)
	}
	records.waitActive(ctx, t, "s")
	put := &leatv1.PutRecordsRequest{Stream: "s"}
	for i := range 20 {
		put.Records = append(put.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprint(i), Data: []byte(fmt.Sprint("record ", i))})
	}
	answer, err := records.PutRecords(ctx, put)
	if err != nil || answer.FailedRecordCount != 0 {
		t.Fatalf("put: %v, %v", answer, err)
	}
	if err := srv.Restart(); err != nil {
		t.Fatal(err)
	}
	again := dial(t, srv)
	got := 0
	for shard := range 2 {
		it, err := again.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{Stream: "s", ShardId: fmt.Sprint(shard), Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}})
		if err != nil {
			t.Fatal(err)
		}
		page, err := again.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: it.ShardIterator})
		if err != nil {
			t.Fatal(err)
		}
		got += len(page.Records)
	}
	if got != 20 {
		t.Fatalf("%d records after the restart, want 20", got)
	}
}

type service struct {
	leatv1.RecordServiceClient
	conn *grpc.ClientConn
}

func dial(t *testing.T, srv *leattest.Server) service {
	t.Helper()
	conn, err := grpc.NewClient(srv.Endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return service{leatv1.NewRecordServiceClient(conn), conn}
}

func (s service) waitActive(ctx context.Context, t *testing.T, stream string) {
	t.Helper()
	for {
		d, err := leatv1.NewStreamServiceClient(s.conn).DescribeStream(ctx, &leatv1.DescribeStreamRequest{Stream: stream})
		if err != nil {
			t.Fatal(err)
		}
		if d.Stream.Status == leatv1.StreamStatus_STREAM_STATUS_ACTIVE {
			return
		}
		if ctx.Err() != nil {
			t.Fatal("the stream did not become active")
		}
	}
}
