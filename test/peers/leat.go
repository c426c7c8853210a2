// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// leatPage is how many records one GetRecords asks for: as many as are quickest, as with the peers.
const leatPage = 2000

// leatServer is `leat dev`: SQLite and a local folder.
type leatServer struct {
	daemon
	lanes int
	conns int
}

func newLeat(path string, lanes, conns int) *leatServer {
	return &leatServer{daemon: daemon{name: "leat", path: path, sig: syscall.SIGTERM}, lanes: lanes, conns: conns}
}

func (s *leatServer) Name() string { return "leat" }

func (s *leatServer) Ways() []string { return []string{"PutRecords of 500"} }

func (s *leatServer) Start(ctx context.Context, dir string) error {
	if err := s.reserve(2); err != nil {
		return err
	}
	return s.run(ctx, dir, []string{
		"dev", "--data-dir", filepath.Join(dir, "data"), "--http-addr", s.addr(0), "--grpc-addr", s.addr(1),
	}, func(ctx context.Context) error {
		info, err := s.info(ctx)
		if err == nil && info.GetState() != leatv1.ServerState_SERVER_STATE_SERVING {
			err = fmt.Errorf("leat is %s", info.GetState())
		}
		return err
	})
}

func (s *leatServer) info(ctx context.Context) (*leatv1.ServerInfo, error) {
	c, err := client.Dial(s.addr(1))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	res, err := c.System.GetServerInfo(ctx, &leatv1.GetServerInfoRequest{})
	return res.GetServer(), err
}

// Proof has no setting to ask for: Leat has none that makes it less durable.
func (s *leatServer) Proof(ctx context.Context) (string, error) {
	info, err := s.info(ctx)
	if err != nil {
		return "", err
	}
	if info.GetShardLimits() != leatv1.ShardLimits_SHARD_LIMITS_OFF {
		return "", fmt.Errorf("leat enforces limits of shards: %s", info.GetShardLimits())
	}
	return "Leat " + info.GetVersion() + ", leat dev (local folder; always durable), no limits of shards", nil
}

func (s *leatServer) Log(ctx context.Context, name string) (log, error) {
	l := &leatLog{stream: name}
	for range s.conns {
		c, err := client.Dial(s.addr(1))
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.clients = append(l.clients, c)
	}
	if err := l.create(ctx, s.lanes); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// leatLog is a stream.
type leatLog struct {
	stream  string
	clients []*client.Client
	shards  []string
}

func (l *leatLog) create(ctx context.Context, shards int) error {
	c := l.clients[0]
	_, err := c.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{
		Stream: l.stream, ShardCount: int32(shards), Mode: leatv1.StreamMode_STREAM_MODE_PROVISIONED,
	})
	if err != nil && leat.KindOf(err) != leat.KindInUse {
		return err
	}
	if err := l.active(ctx); err != nil {
		return err
	}
	listed, err := c.Shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: l.stream})
	for _, shard := range listed.GetShards() {
		l.shards = append(l.shards, shard.GetShardId())
	}
	if err == nil && len(l.shards) != shards {
		err = fmt.Errorf("leat has %d shards, not %d", len(l.shards), shards)
	}
	return err
}

func (l *leatLog) active(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		is, err := l.clients[0].Streams.DescribeStreamSummary(ctx, &leatv1.DescribeStreamSummaryRequest{Stream: l.stream})
		if err != nil {
			return err
		}
		if is.GetStream().GetStatus() == leatv1.StreamStatus_STREAM_STATUS_ACTIVE {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *leatLog) Close() error {
	var errs []error
	for _, c := range l.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (l *leatLog) Writer(n int) (writer, error) {
	return &leatWriter{records: l.clients[n%len(l.clients)].Records, stream: l.stream}, nil
}

func (l *leatLog) Read(ctx context.Context, lane int, see func([]byte)) error {
	records := l.clients[lane%len(l.clients)].Records
	res, err := records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{
		Stream: l.stream, ShardId: l.shards[lane],
		Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON},
	})
	if err != nil {
		return err
	}
	for iterator := res.GetShardIterator(); iterator != ""; {
		page, err := records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: iterator, Limit: leatPage})
		if err != nil {
			return err
		}
		for _, r := range page.GetRecords() {
			see(r.GetData())
		}
		if page.GetMillisBehindLatest() == 0 {
			return nil
		}
		iterator = page.GetNextShardIterator()
	}
	return nil
}

type leatWriter struct {
	records leatv1.RecordServiceClient
	stream  string
}

func (w *leatWriter) Close() error { return nil }

func (w *leatWriter) Put(ctx context.Context, p *payloads, i int) error {
	_, err := w.records.PutRecord(ctx, &leatv1.PutRecordRequest{Stream: w.stream, PartitionKey: p.keys[i], Data: p.data[i]})
	return err
}

// PutBatch fails when one record does: nothing limits the rate here, so a refusal is a finding.
func (w *leatWriter) PutBatch(ctx context.Context, _ string, p *payloads, i, n int) error {
	entries := make([]leatv1.PutRecordsRequestEntry, n)
	req := &leatv1.PutRecordsRequest{Stream: w.stream, Records: make([]*leatv1.PutRecordsRequestEntry, n)}
	for k := range n {
		entries[k].PartitionKey, entries[k].Data = p.keys[i+k], p.data[i+k]
		req.Records[k] = &entries[k]
	}
	res, err := w.records.PutRecords(ctx, req)
	if err != nil {
		return err
	}
	if failed := res.GetFailedRecordCount(); failed > 0 {
		for _, r := range res.GetRecords() {
			if r.GetErrorCode() != leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_UNSPECIFIED {
				return fmt.Errorf("leat refused %d of %d records: %s: %s", failed, n, r.GetErrorCode(), r.GetErrorMessage())
			}
		}
	}
	return nil
}
