// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/server/grpcapi"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal"
)

// rig is the whole server below its wiring, on a store in memory, reached over both edges.
type rig struct {
	t      testing.TB
	broker *broker.Broker
	server *grpcapi.Server
	conn   *grpc.ClientConn
	url    string
	log    *journal
	token  string // sent by both edges where it is not empty

	streams   leatv1.StreamServiceClient
	shards    leatv1.ShardServiceClient
	records   leatv1.RecordServiceClient
	consumers leatv1.ConsumerServiceClient
}

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

type options struct {
	auth       auth.Authenticator
	authorizer broker.Authorizer
	limits     broker.ShardLimits
	ready      func() error
	token      string
	internal   grpcapi.Internal
	failures   *auth.Failures
	patience   grpcapi.Patience
}

func newRig(t testing.TB, o options) *rig {
	t.Helper()
	if o.auth == nil {
		o.auth = auth.Anybody{}
	}
	if o.limits == "" {
		o.limits = broker.LimitsOff
	}
	r := &rig{t: t, log: &journal{}, token: o.token}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(t.TempDir(), "catalog.db")})
	r.must(err)
	t.Cleanup(func() { r.must(db.Close()) })
	cat := catalog.New(db, catalog.Options{})
	r.must(cat.Migrate(t.Context()))
	info, err := cat.Cluster(t.Context())
	r.must(err)

	blobs, params := mem.New(time.Now), wal.ObjectParams()
	params.PutsPerSecond, params.Linger = 0, 0 // memory costs nothing
	node := cluster.New(cluster.Config{
		Catalog: cat, Info: info, Driver: wal.NewObjects(blobs), Log: params, Blobs: blobs, Params: shardstore.DefaultParams(),
		Node: "test", Address: "127.0.0.1:1", Exclusive: true, Transition: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Streams: func(id leat.StreamID) (leat.Stream, bool) { return r.broker.Directory().Stream(id) },
		Changed: func(ctx context.Context) { r.broker.Directory().Changed(ctx) },
	})
	r.broker, err = broker.New(broker.Config{
		Engine: node, Catalog: cat, Control: node, Authorizer: o.authorizer, ShardLimits: o.limits,
		Region: "eu-west-1", Secret: info.Secret[:], TransitionDelay: time.Millisecond, Logger: log,
	})
	r.must(err)
	if o.ready == nil {
		o.ready = node.Ready
	}
	r.server, err = grpcapi.New(grpcapi.Options{
		Broker: r.broker, Auth: o.auth, Logger: log, Ready: o.ready, Internal: o.internal, Failures: o.failures, Patience: o.patience,
		Info: grpcapi.Info{Version: "v0.0.0-test", ClusterID: info.ID.String(), Node: "test", Session: node.Session, Started: time.Now()},
	})
	r.must(err)
	r.run(node)
	r.dial()
	return r
}

// run starts what has a life, and joins it when the test ends.
func (r *rig) run(node *cluster.Node) {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	web := httptest.NewServer(r.server.Handler())
	r.url = web.URL
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { r.should(node.Run(ctx)) })
	parts.Go(func() { r.should(r.broker.Run(ctx)) })
	parts.Go(func() { r.should(r.server.Serve(l)) })
	r.t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		r.server.Close()
		r.server.Close() // twice does no harm
		cancel()
		parts.Wait()
	})
	r.conn, err = grpc.NewClient(l.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(bearer{r}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20), grpc.MaxCallSendMsgSize(32<<20)))
	r.must(err)
	r.t.Cleanup(func() { r.should(r.conn.Close()) })
	r.poll("a session", func() bool { return node.Ready() == nil })
}

func (r *rig) dial() {
	r.streams, r.shards = leatv1.NewStreamServiceClient(r.conn), leatv1.NewShardServiceClient(r.conn)
	r.records, r.consumers = leatv1.NewRecordServiceClient(r.conn), leatv1.NewConsumerServiceClient(r.conn)
}

// bearer sends the rig's token.
type bearer struct{ r *rig }

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b.r.token == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + b.r.token}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) should(err error) {
	r.t.Helper()
	if err != nil && !errors.Is(err, context.Canceled) {
		r.t.Error(err)
	}
}

// poll waits until ok holds.
func (r *rig) poll(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited too long for %s", what)
		}
	}
}

// stream makes an active stream.
func (r *rig) stream(name string, shards int32) {
	r.t.Helper()
	_, err := r.streams.CreateStream(r.t.Context(), &leatv1.CreateStreamRequest{Stream: name, ShardCount: shards})
	r.must(err)
	r.active(name)
}

func (r *rig) active(name string) {
	r.t.Helper()
	r.poll("an ACTIVE stream", func() bool {
		d, err := r.streams.DescribeStreamSummary(r.t.Context(), &leatv1.DescribeStreamSummaryRequest{Stream: name})
		r.must(err)
		return d.GetStream().GetStatus() == leatv1.StreamStatus_STREAM_STATUS_ACTIVE
	})
}

// all reads shard 0 of a stream from its beginning.
func (r *rig) all(stream string) []*leatv1.Record {
	r.t.Helper()
	it, err := r.records.GetShardIterator(r.t.Context(), &leatv1.GetShardIteratorRequest{Stream: stream, ShardId: "0",
		Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON}})
	r.must(err)
	res, err := r.records.GetRecords(r.t.Context(), &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator()})
	r.must(err)
	return res.GetRecords()
}

// answer is what REST said.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

// rest sends a request; a body that is not text is sent as JSON.
func (r *rig) rest(method, path string, body any) answer {
	r.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		r.must(err)
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, reader)
	r.must(err)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	r.must(err)
	defer func() { r.should(resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	r.must(err)
	return answer{resp.StatusCode, resp.Header, raw}
}

// into decodes a good answer.
func (a answer) into(r *rig, v any) {
	r.t.Helper()
	if a.code != http.StatusOK {
		r.t.Fatalf("HTTP %d: %s", a.code, a.body)
	}
	r.must(json.Unmarshal(a.body, v))
}

// fault is an error as either edge tells it.
type fault struct{ kind, field string }

// fault reads the error of a REST answer.
func (a answer) fault() fault {
	type told struct {
		Details []struct {
			Type     string `json:"@type"`
			Reason   string
			Metadata map[string]string
		}
	}
	var s struct {
		told
		Error told // of a stream
	}
	if json.Unmarshal(a.body, &s) != nil {
		return fault{}
	}
	for _, d := range append(s.Details, s.Error.Details...) {
		if strings.HasSuffix(d.Type, "google.rpc.ErrorInfo") {
			return fault{d.Reason, d.Metadata["field"]}
		}
	}
	return fault{}
}

// faultOf reads the error of a gRPC call.
func faultOf(err error) fault {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return fault{info.GetReason(), info.GetMetadata()["field"]}
		}
	}
	return fault{}
}
