// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/server/kinesis"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is this edge on a broker and an engine in memory.
type rig struct {
	t       testing.TB
	broker  *broker.Broker
	web     *httptest.Server
	node    *cluster.Node
	log     *journal
	handler http.Handler
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

// account is who calls in these tests.
const account = leat.DevAccount

var who = leat.Principal{Account: account, Name: "test"}

// anybody accepts every request.
type anybody struct{}

func (anybody) Admit(*http.Request) error { return nil }

func (anybody) Verify(*http.Request, []byte) (leat.Principal, error) { return who, nil }

type options struct {
	auth   auth.Signatures
	limits broker.ShardLimits
	keys   broker.StreamKeys
	// transition is how long streams stay CREATING, UPDATING and DELETING at least; 0 for a moment
	transition time.Duration
	engine     func(broker.Engine) broker.Engine // stands before the real one
	blobs      func(blob.Store) blob.Store       // likewise
	tail       int64                             // bytes of records kept in memory; 0 for the default
	clock      leat.Clock                        // the broker's; nil for the machine's
	authorizer broker.Authorizer                 // nil: everybody may do everything in their account
}

func newRig(t testing.TB, o options) *rig {
	t.Helper()
	if o.auth == nil {
		o.auth = anybody{}
	}
	if o.limits == "" {
		o.limits = broker.LimitsOff
	}
	r := &rig{t: t, log: &journal{}}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(t.TempDir(), "catalog.db")})
	r.must(err)
	t.Cleanup(func() { r.must(db.Close()) })
	cat := catalog.New(db, catalog.Options{})
	r.must(cat.Migrate(t.Context()))
	info, err := cat.Cluster(t.Context())
	r.must(err)

	var blobs blob.Store = mem.New(time.Now)
	if o.blobs != nil {
		blobs = o.blobs(blobs)
	}
	engineParams := shardstore.DefaultParams()
	if o.tail != 0 {
		engineParams.TailBytes = o.tail
	}
	params := wal.ObjectParams()
	params.PutsPerSecond, params.Linger = 0, 0 // memory costs nothing
	r.node = cluster.New(cluster.Config{
		Catalog: cat, Info: info, Driver: wal.NewObjects(blobs), Log: params, Blobs: blobs, Params: engineParams,
		Node: "test", Address: "127.0.0.1:1", Exclusive: true, Transition: max(o.transition, time.Millisecond), Logger: slog.New(slog.DiscardHandler),
		Streams: func(id leat.StreamID) (leat.Stream, bool) { return r.broker.Directory().Stream(id) },
		Changed: func(ctx context.Context) { r.broker.Directory().Changed(ctx) },
	})
	var engine broker.Engine = r.node
	if o.engine != nil {
		engine = o.engine(engine)
	}
	r.broker, err = broker.New(broker.Config{
		Engine: engine, Catalog: cat, Control: r.node, Authorizer: o.authorizer, ShardLimits: o.limits, StreamKeys: o.keys,
		Region: "eu-west-1", Secret: info.Secret[:], TransitionDelay: time.Millisecond, Clock: o.clock, Logger: log,
	})
	r.must(err)
	h, err := kinesis.New(kinesis.Options{Broker: r.broker, Auth: o.auth, Logger: log})
	r.must(err)
	r.handler = h
	r.run(h)
	return r
}

// run starts what has a life, and joins it when the test ends.
func (r *rig) run(h http.Handler) {
	r.t.Helper()
	r.web = httptest.NewUnstartedServer(h)
	r.web.Config.Protocols = new(http.Protocols)
	r.web.Config.Protocols.SetHTTP1(true)
	r.web.Config.Protocols.SetUnencryptedHTTP2(true)
	r.web.Start()
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { r.should(r.node.Run(ctx)) })
	parts.Go(func() { r.should(r.broker.Run(ctx)) })
	r.t.Cleanup(func() {
		r.web.CloseClientConnections()
		r.web.Close()
		cancel()
		parts.Wait()
	})
	r.poll("a session", func() bool { return r.node.Ready() == nil })
}

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
func (r *rig) stream(name string, shards int) {
	r.t.Helper()
	_, err := r.broker.CreateStream(r.t.Context(), who, broker.CreateStreamRequest{Stream: name, Shards: shards})
	r.must(err)
	r.active(name)
}

func (r *rig) active(name string) {
	r.t.Helper()
	r.poll("an ACTIVE stream", func() bool {
		d, _, err := r.broker.DescribeStreamSummary(r.t.Context(), who, name)
		r.must(err)
		return d.Status == leat.StreamActive
	})
}

const (
	contentJSON = "application/x-amz-json-1.1"
	contentCBOR = "application/x-amz-cbor-1.1"
)

// answer is what the server said.
type answer struct {
	r      *rig
	code   int
	header http.Header
	body   []byte
}

// send posts a body for an operation.
func (r *rig) send(operation, contentType string, body []byte) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.web.URL, bytes.NewReader(body))
	r.must(err)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
	resp, err := r.web.Client().Do(req)
	r.must(err)
	defer func() { r.should(resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	r.must(err)
	return answer{r, resp.StatusCode, resp.Header, raw}
}

// call posts JSON.
func (r *rig) call(operation string, in any) answer {
	r.t.Helper()
	raw, ok := in.(string)
	if !ok {
		b, err := json.Marshal(in)
		r.must(err)
		raw = string(b)
	}
	return r.send(operation, contentJSON, []byte(raw))
}

// into decodes a good answer.
func (a answer) into(v any) {
	a.r.t.Helper()
	if a.code != http.StatusOK {
		a.r.t.Fatalf("HTTP %d: %s", a.code, a.body)
	}
	a.r.must(json.Unmarshal(a.body, v))
}

// refused checks that an answer is an error of a type.
func (a answer) refused(status int, exception string) (message string) {
	a.r.t.Helper()
	var e struct {
		Type string `json:"__type"`
		// encoding/json takes either case.
		Message string `json:"message"`
	}
	if err := json.Unmarshal(a.body, &e); err != nil || a.code != status || e.Type != exception || a.header.Get("x-amzn-ErrorType") != exception {
		a.r.t.Fatalf("HTTP %d, %q: %s: want HTTP %d, %s", a.code, a.header.Get("x-amzn-ErrorType"), a.body, status, exception)
	}
	return e.Message
}

type object map[string]any

func asError[T error](err error, target *T) bool { return errors.As(err, target) }
