// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/server/forward"
	"github.com/leatstream/leat/server/grpcapi"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/disk"
	"github.com/leatstream/leat/shardstore/wal"
)

// BenchmarkForwardedPut measures PutRecords of 500 random records of 1 KiB, 16 in flight, on a local folder: at the node
// that owns the shards, in turn with one that has none and forwards all of them. Both are in this process, the clients are
// not: it prints the median of the servers' processor time per record, and of the ratios.
func BenchmarkForwardedPut(b *testing.B) {
	owner, gateway := forwarding(b, nil)
	for range warmUps {
		runLoad(b, "grpc", owner)
	}
	runLoad(b, "grpc", gateway)
	var local, forwarded, ratios []float64
	for b.Loop() {
		for range 3 {
			near, far := runLoad(b, "grpc", owner), runLoad(b, "grpc", gateway)
			local, forwarded, ratios = append(local, near.micros), append(forwarded, far.micros), append(ratios, far.micros/near.micros)
			b.Logf("records/s: local %.0f, forwarded %.0f; µs a record: local %.2f, forwarded %.2f", near.rate, far.rate, near.micros, far.micros)
		}
	}
	b.ReportMetric(median(local), "local-µs/record")
	b.ReportMetric(median(forwarded), "forwarded-µs/record")
	b.ReportMetric(median(ratios), "forwarded-cpu/local-cpu")
}

// oneOwner says that a node owns every shard.
type oneOwner struct {
	node    *cluster.Node
	address string
}

func (o oneOwner) Owner(k leat.ShardKey) (session leat.SessionID, epoch uint64, address string, ok bool) {
	s := o.node.Store()
	if s == nil {
		return session, 0, "", false
	}
	epoch, ok = s.Epoch(k)
	return s.Session(), epoch, o.address, ok
}

// Live and Peers name it alone.
func (o oneOwner) Live(id leat.SessionID) (address string, ok bool) {
	address, ok = o.Peers()[id]
	return address, ok
}

func (o oneOwner) Peers() map[leat.SessionID]string {
	if s := o.node.Store(); s != nil {
		return map[leat.SessionID]string{s.Session(): o.address}
	}
	return nil
}

func (oneOwner) Stale() {}

// forwarding starts a node that owns all shards and one that forwards to it, and returns their addresses. memory is what
// their messages are in; nil: what it is in production.
func forwarding(b testing.TB, memory mem.BufferPool) (owner, gateway string) {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	db, err := sqldb.Open(b.Context(), sqldb.Config{SQLite: filepath.Join(dir, "catalog.db")})
	must(err)
	b.Cleanup(func() { _ = db.Close() })
	cat := catalog.New(db, catalog.Options{})
	must(cat.Migrate(b.Context()))
	info, err := cat.Cluster(b.Context())
	must(err)
	blobs, err := disk.Open(dir, disk.Options{})
	must(err)
	files, err := wal.OpenFiles(filepath.Join(dir, "wal"), wal.FilesOptions{})
	must(err)
	params := shardstore.DefaultParams()
	params.TailBytes = benchMemory << 20
	var brokers [2]*broker.Broker
	node := cluster.New(cluster.Config{
		Catalog: cat, Info: info, Driver: files, Log: wal.FileParams(), Blobs: blobs, Params: params,
		Node: "bench", Address: "127.0.0.1:1", Exclusive: true, Transition: time.Millisecond,
		Streams: func(id leat.StreamID) (leat.Stream, bool) { return brokers[0].Directory().Stream(id) },
		Changed: func(ctx context.Context) { brokers[0].Directory().Changed(ctx) },
	})
	local := func() forward.Session {
		if s := node.Store(); s != nil {
			return brokers[0].Metered(s)
		}
		return nil
	}
	creds, err := forward.NewCredentials(info.Secret[:], leat.SystemClock{})
	must(err)
	var roads [2]net.Listener
	for i := range roads {
		roads[i], err = (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
		must(err)
	}
	table := oneOwner{node, roads[0].Addr().String()}
	near, err := forward.NewRouter(forward.Config{Local: local, Owners: table, Credentials: creds, Memory: memory})
	must(err)
	far, err := forward.NewRouter(forward.Config{Local: func() forward.Session { return nil }, Owners: table, Credentials: creds, Memory: memory})
	must(err)

	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	run := func(f func(context.Context) error) {
		parts.Go(func() {
			if err := f(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	var stop []func()
	b.Cleanup(func() {
		for _, f := range stop {
			f()
		}
		cancel()
		parts.Wait()
	})
	for i, engine := range []*forward.Router{near, far} {
		brokers[i], err = broker.New(broker.Config{
			Engine: engine, Shared: true, Catalog: cat, Control: node, ShardLimits: broker.LimitsOff, Region: "us-east-1", Secret: info.Secret[:],
		})
		must(err)
		api, err := grpcapi.New(grpcapi.Options{
			Broker: brokers[i], Auth: auth.Anybody{}, Ready: node.Ready, Logger: slog.New(slog.DiscardHandler),
			Info:     grpcapi.Info{Version: "bench", ClusterID: info.ID.String(), Node: "bench", Session: node.Session},
			Internal: forward.NewServer(local, nil, creds, nil, nil), Memory: memory,
		})
		must(err)
		stop = append(stop, api.Close)
		run(engine.Run)
		run(brokers[i].Run)
		parts.Go(func() { _ = api.Serve(roads[i]) })
	}
	run(node.Run)
	conn, err := grpc.NewClient(roads[1].Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	defer func() { _ = conn.Close() }()
	for node.Ready() != nil || !brokers[1].Directory().Loaded() {
		must(b.Context().Err())
	}
	makeStream(b, leatv1.NewStreamServiceClient(conn))
	return roads[0].Addr().String(), roads[1].Addr().String()
}
