// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/internal/s3test"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/server/masterkey"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal"
)

const account = leat.DevAccount

var who = leat.Principal{Account: account, Name: "test"}

// rig is deliveries on a real node, whose records are in memory, into a real object store.
type rig struct {
	t       testing.TB
	broker  *broker.Broker
	node    *cluster.Node
	cat     *catalog.Catalog
	journal *journal.Log
	blobs   blob.Eraser
	engine  *delivery.Engine
	alive   atomic.Pointer[delivery.Engine]
	config  delivery.Config
	store   *s3test.Server
	s3      *minio.Client
	bucket  string

	clock *shifted
	db    *sqldb.DB

	stopEngine func()
}

// shifted is the machine's clock, some time ahead.
type shifted struct{ by atomic.Int64 }

func (s *shifted) Now() time.Time { return time.Now().Add(time.Duration(s.by.Load())) }

func (s *shifted) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	return leat.SystemClock{}.NewTimer(d)
}

// later lets time pass, and then does what is due: packs, and lets go of what has expired.
func (r *rig) later(d time.Duration) {
	r.t.Helper()
	r.must(r.node.Store().Pack(r.t.Context()))
	r.clock.by.Add(int64(d))
	r.until("housekeeping is done", func() bool {
		s := r.node.Store()
		return s != nil && s.Housekeep(r.t.Context()) == nil
	})
}

// deliveries hands the broker the engine that is alive.
type deliveries struct{ r *rig }

func (d deliveries) Create(ctx context.Context, account, name string, c spec.Config, tags map[string]string) (spec.Delivery, error) {
	return d.r.engine.Create(ctx, account, name, c, tags)
}

func (d deliveries) Describe(ctx context.Context, account, name string) (spec.Description, error) {
	return d.r.engine.Describe(ctx, account, name)
}

func (d deliveries) List(ctx context.Context, account, after string, limit int) ([]spec.Delivery, error) {
	return d.r.engine.List(ctx, account, after, limit)
}

func (d deliveries) Update(ctx context.Context, account, name string, ch spec.Change) (spec.Delivery, error) {
	return d.r.engine.Update(ctx, account, name, ch)
}

func (d deliveries) Delete(ctx context.Context, account, name string) error {
	return d.r.engine.Delete(ctx, account, name)
}

func (d deliveries) Backfill(ctx context.Context, account, name string, from, to time.Time, change func(*spec.Config) error) (spec.Backfill, error) {
	return d.r.engine.Backfill(ctx, account, name, from, to, change)
}

func (d deliveries) Verify(ctx context.Context, account, name string, o spec.VerifyOptions) (spec.Report, error) {
	return d.r.engine.Verify(ctx, account, name, o)
}

func (d deliveries) Written(ctx context.Context, account, name string, failed bool, after *spec.Place, limit int) ([]spec.Written, error) {
	return d.r.engine.Written(ctx, account, name, failed, after, limit)
}

func (d deliveries) Failed(ctx context.Context, account, name string, at spec.Place) (spec.FailedRecords, error) {
	return d.r.engine.Failed(ctx, account, name, at)
}

type directory struct{ r *rig }

func (d directory) Stream(id leat.StreamID) (leat.Stream, bool) {
	return d.r.broker.Directory().Stream(id)
}

func (d directory) Shards(id leat.StreamID) []leat.Shard { return d.r.broker.Directory().Shards(id) }

func (d directory) Changed(ctx context.Context) { d.r.broker.Directory().Changed(ctx) }

func newRig(t testing.TB, change ...func(*delivery.Config)) *rig {
	t.Helper()
	r := &rig{t: t, clock: new(shifted)}
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(t.TempDir(), "catalog.db")})
	r.must(err)
	t.Cleanup(func() { r.must(db.Close()) })
	r.blobs = mem.New(time.Now)
	r.journal = journal.New(r.blobs, func(context.Context, leat.SessionID) (bool, error) { return true, nil })
	r.cat = catalog.New(db, catalog.Options{Clock: r.clock, Journal: r.journal, Deliveries: delivery.Journaled{}})
	r.must(r.cat.Migrate(t.Context()))
	r.db = db
	bill, err := billing.New(db, billing.Options{Clock: r.clock})
	r.must(err)
	r.must(bill.Migrate(t.Context()))
	r.must(delivery.Migrate(t.Context(), db))
	info, err := r.cat.Cluster(t.Context())
	r.must(err)
	params := wal.ObjectParams()
	params.PutsPerSecond, params.Linger = 0, 0 // memory costs nothing
	r.node = cluster.New(cluster.Config{
		Catalog: r.cat, Info: info, Driver: wal.NewObjects(r.blobs), Log: params, Blobs: r.blobs, Params: shardstore.DefaultParams(),
		Node: "test", Address: "127.0.0.1:1", Exclusive: true, Transition: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Clock: r.clock,
		Hold: func(id leat.StreamID) (int64, bool) {
			if e := r.alive.Load(); e != nil {
				return e.Hold(id)
			}
			return 0, true
		},
		Streams: func(id leat.StreamID) (leat.Stream, bool) { return r.broker.Directory().Stream(id) },
		Changed: func(ctx context.Context) { r.broker.Directory().Changed(ctx) },
	})
	r.broker, err = broker.New(broker.Config{
		Engine: r.node, Catalog: r.cat, Control: r.node, ShardLimits: broker.LimitsOff, Region: "eu-west-1", Secret: info.Secret[:],
		TransitionDelay: time.Millisecond, Clock: r.clock, Logger: log, Deliveries: deliveries{r},
	})
	r.must(err)
	r.store = s3test.Start(t)
	r.bucket = r.store.Bucket(t)
	keys := credentials.NewStaticV4(r.store.AccessKey, r.store.SecretKey, "")
	r.s3, err = minio.New(r.store.Endpoint, &minio.Options{Creds: keys, Region: r.store.Region})
	r.must(err)
	master, err := masterkey.Parse([]byte(masterkey.Generate(strings.NewReader(strings.Repeat("k", 64)))))
	r.must(err)
	r.config = delivery.Config{
		Bill: func(tx *sqldb.Tx, u *delivery.Usage) error {
			d := billing.Delivered(*u)
			return bill.CountDelivered(tx, &d)
		},
		DB: db, Catalog: r.cat, Blobs: r.blobs, Master: master, Records: r.node, Directory: directory{r}, Kick: r.node.Kick,
		Owns: func(k leat.ShardKey) (uint64, bool) {
			if s := r.node.Store(); s != nil {
				return s.Epoch(k)
			}
			return 0, false
		},
		S3:     delivery.S3{Endpoint: "http://" + r.store.Endpoint, Region: r.store.Region, Credentials: keys},
		Region: "eu-west-1", Clock: r.clock, Logger: log, Look: 50 * time.Millisecond, Pause: 20 * time.Millisecond,
	}
	for _, c := range change {
		c(&r.config)
	}
	ctx, stop := context.WithCancel(context.Background())
	var life sync.WaitGroup
	life.Go(func() { _ = r.node.Run(ctx) })
	life.Go(func() { _ = r.broker.Run(ctx) })
	t.Cleanup(func() {
		r.kill()
		stop()
		life.Wait()
		_ = r.s3
	})
	r.until("the node serves", func() bool { return r.node.Ready() == nil && r.broker.Directory().Loaded() })
	r.start()
	return r
}

// start starts an engine; kill ends it wherever it is.
func (r *rig) start() {
	r.t.Helper()
	e, err := delivery.New(r.config)
	r.must(err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.Run(ctx)
	}()
	r.engine = e
	r.alive.Store(e)
	r.stopEngine = func() {
		stop()
		<-done
	}
}

func (r *rig) kill() {
	if r.stopEngine != nil {
		r.stopEngine()
		r.stopEngine = nil
	}
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// patience bounds what a test waits for.
const patience = 90 * time.Second

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			r.t.Fatalf("waited too long until %s", what)
		}
	}
}

// stream makes an active stream.
func (r *rig) stream(name string, shards int) {
	r.t.Helper()
	_, err := r.broker.CreateStream(r.t.Context(), who, broker.CreateStreamRequest{Stream: name, Shards: shards})
	r.must(err)
	r.until("the stream is active", func() bool {
		d, err := r.broker.DescribeStream(r.t.Context(), who, broker.DescribeStreamRequest{Stream: name})
		return err == nil && d.Stream.Status == leat.StreamActive
	})
}

// keyOf is the partition key of the n-th record of a put.
func keyOf(n int, record string) string { return fmt.Sprintf("key-%d-%.20s", n, record) }

// put puts records.
func (r *rig) put(stream string, records ...string) {
	r.t.Helper()
	for len(records) > 0 {
		n := min(len(records), 500)
		puts := make([]broker.Put, n)
		for i := range puts {
			puts[i].Record = leat.Record{PartitionKey: keyOf(i, records[i]), Data: []byte(records[i])}
		}
		failed, err := r.broker.PutRecords(r.t.Context(), who, broker.PutRecordsRequest{Stream: stream, Puts: puts})
		if err != nil || failed > 0 {
			r.t.Fatalf("put: %d failed, %v", failed, err)
		}
		records = records[n:]
	}
}

// toBucket is a delivery of lines, gzipped, of a stream into the rig's bucket, a second after they came.
func (r *rig) toBucket(stream string, change ...func(*spec.Config)) spec.Config {
	c := spec.Config{
		Source: spec.Source{Stream: stream}, Buffer: spec.Buffer{Bytes: 1 << 20, Seconds: 1}, Format: spec.Format{Kind: spec.Delimited}, Compression: spec.Gzip,
		Naming:      spec.Naming{Prefix: "data/", ErrorPrefix: "errors/!{firehose:error-output-type}/"},
		Destination: spec.Destination{S3: &spec.S3{Bucket: r.bucket}},
	}
	for _, ch := range change {
		ch(&c)
	}
	return c
}

func (r *rig) deliver(name string, c spec.Config) {
	r.t.Helper()
	_, err := r.broker.CreateDelivery(r.t.Context(), who, broker.CreateDeliveryRequest{Delivery: name, Config: c})
	r.must(err)
}

// settled waits until everything that was put is delivered.
func (r *rig) settled(name string, records uint64) spec.Description {
	r.t.Helper()
	var d spec.Description
	r.until(fmt.Sprintf("%d records are delivered", records), func() bool {
		var err error
		if d, err = r.broker.DescribeDelivery(r.t.Context(), who, name); err != nil {
			return false
		}
		n, behind := uint64(0), false
		for _, p := range d.Shards {
			n += p.Next - p.Start
			behind = behind || p.Next < p.Tail
		}
		return n >= records && !behind
	})
	return d
}

func (r *rig) verify(name string) spec.Report {
	r.t.Helper()
	rep, err := r.broker.VerifyDelivery(r.t.Context(), who, broker.VerifyDeliveryRequest{Delivery: name, Options: spec.VerifyOptions{Deep: true}})
	r.must(err)
	return rep
}

func (r *rig) clean(name string, records uint64) spec.Report {
	r.t.Helper()
	rep := r.verify(name)
	if !rep.Clean || rep.Records != records || rep.Stored+rep.Failed+rep.Dropped+rep.Expired != records {
		r.t.Fatalf("verify: %+v, want %d records and no problem", rep, records)
	}
	return rep
}

// objects returns the bytes of all objects below a prefix, by key.
func (r *rig) objects(prefix string) map[string][]byte {
	r.t.Helper()
	out := map[string][]byte{}
	for o := range r.s3.ListObjects(r.t.Context(), r.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		r.must(o.Err)
		body, err := r.s3.GetObject(r.t.Context(), r.bucket, o.Key, minio.GetObjectOptions{})
		r.must(err)
		out[o.Key], err = io.ReadAll(body)
		r.must(errors.Join(err, body.Close()))
	}
	return out
}

// lines counts the lines of all objects below a prefix, which are gzipped where their names say so.
func (r *rig) lines(prefix string) map[string]int {
	r.t.Helper()
	out := map[string]int{}
	for key, body := range r.objects(prefix) {
		if strings.HasSuffix(key, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(body))
			r.must(err)
			body, err = io.ReadAll(z)
			r.must(err)
		}
		for line := range strings.Lines(string(body)) {
			out[strings.TrimSuffix(line, "\n")]++
		}
	}
	return out
}

// once fails the test unless each record is there exactly once, and nothing else is.
func (r *rig) once(got map[string]int, records []string) {
	r.t.Helper()
	for _, want := range records {
		if got[want] != 1 {
			r.t.Fatalf("%q is there %d times", want, got[want])
		}
	}
	if len(got) != len(records) {
		r.t.Fatalf("%d different records are there, want %d", len(got), len(records))
	}
}

func numbered(what string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(`{"%s":%d,"pad":"%s"}`, what, i, strings.Repeat("x", i%97))
	}
	return out
}

// flaky is a network that does what it is asked and then says that it failed, or fails before.
type flaky struct {
	next http.RoundTripper
	mu   sync.Mutex
	fail func(n int, r *http.Request) (before, after bool)
	n    int
}

func (f *flaky) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.n++
	before, after := f.fail(f.n, req)
	f.mu.Unlock()
	if before {
		return nil, errors.New("flaky: connection reset before")
	}
	resp, err := f.next.RoundTrip(req)
	if after && err == nil {
		_ = resp.Body.Close()
		return nil, errors.New("flaky: connection reset after")
	}
	return resp, err
}

// fieldOf is the member that an error names.
func fieldOf(err error) string {
	var e *leat.Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}
