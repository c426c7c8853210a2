// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

var who = leat.Principal{Account: leat.DevAccount, Name: "tester"}

// rig is a broker over a real catalog and an engine that fails when asked. What cluster's control loop does, settle
// does when a test says so.
type rig struct {
	*broker.Broker
	t       *testing.T
	clock   *fakeClock
	engine  *faultyEngine
	catalog *catalog.Catalog
	db      *sqldb.DB
	kicks   int
	wrong   error // with the clock of the node
	jumped  bool  // it has, and nobody knows whether it is right
}

func (r *rig) Kick() { r.kicks++ }

func (r *rig) ClockWrong() error { return r.wrong }

func (r *rig) HoldsExpiry() bool { return r.wrong != nil || r.jumped }

func newRig(t *testing.T, limits broker.ShardLimits, change ...func(*broker.Config)) *rig {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(t.TempDir(), "catalog.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	clock := newFakeClock()
	r := &rig{t: t, clock: clock, engine: newFaultyEngine(clock), db: db, catalog: catalog.New(db, catalog.Options{Clock: clock})}
	if err := r.catalog.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := broker.Config{
		Engine: r.engine, Catalog: r.catalog, Control: r, ShardLimits: limits, Region: "eu-west-1",
		Secret: []byte("0123456789abcdef"), Clock: clock, StreamKeys: keyMaker{},
	}
	for _, c := range change {
		c(&cfg)
	}
	r.Broker, err = broker.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// settle brings every stream to rest and shows the broker.
func (r *rig) settle() {
	r.t.Helper()
	r.carryOut()
	r.Directory().Changed(r.t.Context())
}

// carryOut is settle without showing it to the broker.
func (r *rig) carryOut() {
	r.t.Helper()
	for {
		streams, err := r.catalog.UnsettledStreams(r.t.Context())
		r.must(err)
		if len(streams) == 0 {
			return
		}
		for _, s := range streams {
			r.settleStream(s.Stream)
		}
	}
}

func (r *rig) settleStream(s leat.Stream) {
	r.t.Helper()
	ctx := r.t.Context()
	shards, err := r.catalog.Shards(ctx, s.ID)
	r.must(err)
	switch s.Status {
	case leat.StreamCreating:
		for i := range shards {
			r.engine.open(shards[i].Key)
		}
		r.must(r.catalog.ActivateStream(ctx, s.ID))
	case leat.StreamDeleting:
		for i := range shards {
			r.engine.drop(shards[i].Key)
		}
		r.must(r.catalog.RemoveStream(ctx, s.ID))
	default:
		_, err := r.catalog.NextScaleStep(ctx, s.ID)
		r.must(err)
		r.reshard(s.ID)
	}
}

// reshard carries out the pending intents of a stream.
func (r *rig) reshard(id leat.StreamID) {
	r.t.Helper()
	for _, done := range r.makeDurable(id) {
		r.must(r.catalog.FinishReshard(r.t.Context(), done))
	}
}

// makeDurable is reshard as far as the log: the catalog does not know yet.
func (r *rig) makeDurable(id leat.StreamID) (done []shardstore.Reshard) {
	r.t.Helper()
	intents, err := r.catalog.PendingReshards(r.t.Context(), id)
	r.must(err)
	for _, in := range intents {
		var parents, children []leat.ShardKey
		for _, p := range in.Parents {
			parents = append(parents, p.Shard)
		}
		for _, c := range in.Children {
			children = append(children, c.Shard)
		}
		for i, final := range r.engine.reshard(parents, children) {
			in.Parents[i].Final = final
		}
		in.Time = leat.Micros(r.clock.Now())
		done = append(done, in)
	}
	return done
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// stream makes an active stream.
func (r *rig) stream(name string, shards int) broker.StreamDescription {
	r.t.Helper()
	d, err := r.CreateStream(r.t.Context(), who, broker.CreateStreamRequest{Stream: name, Shards: shards})
	r.must(err)
	r.settle()
	return d
}

// consumer makes an active consumer.
func (r *rig) consumer(stream, name string) {
	r.t.Helper()
	_, err := r.RegisterConsumer(r.t.Context(), who, broker.ConsumerRequest{Stream: stream, Consumer: name})
	r.must(err)
	r.clock.Advance(time.Second)
}

func (r *rig) put(stream, key, data string) broker.PutRecordResult {
	r.t.Helper()
	res, err := r.PutRecord(r.t.Context(), who, broker.PutRecordRequest{Stream: stream, Record: leat.Record{PartitionKey: key, Data: []byte(data)}})
	r.must(err)
	return res
}

func (r *rig) iterator(stream, shard string, start broker.StartingPosition) string {
	r.t.Helper()
	it, err := r.GetShardIterator(r.t.Context(), who, broker.GetShardIteratorRequest{Stream: stream, Shard: shard, Start: start})
	r.must(err)
	return it
}

func (r *rig) read(iterator string) broker.GetRecordsResult {
	r.t.Helper()
	res, err := r.GetRecords(r.t.Context(), who, broker.GetRecordsRequest{Iterator: iterator})
	r.must(err)
	return res
}

// from reads the data at a position of shard 0, joined by spaces.
func (r *rig) from(stream string, start broker.StartingPosition) string {
	r.t.Helper()
	return text(r.read(r.iterator(stream, "0", start)).Records)
}

func text(records []leat.Record) string {
	var all []string
	for i := range records {
		all = append(all, string(records[i].Data))
	}
	return strings.Join(all, " ")
}

// puts makes n records of a size under one key.
func puts(n, size int, key string) []broker.Put {
	all := make([]broker.Put, n)
	for i := range all {
		all[i].Record = leat.Record{PartitionKey: key, Data: make([]byte, size-len(key))}
	}
	return all
}

func (r *rig) wantKind(err error, kind leat.Kind, field string) {
	r.t.Helper()
	if leat.KindOf(err) != kind || err == nil {
		r.t.Fatalf("%v: want %v", err, kind)
	}
	if got := fieldOf(err); field != "" && got != field {
		r.t.Fatalf("%v is about field %q: want %q", err, got, field)
	}
}

// wantText checks the whole text of an error.
func (r *rig) wantText(err error, kind leat.Kind, text string) {
	r.t.Helper()
	r.wantKind(err, kind, "")
	if err.Error() != text {
		r.t.Errorf("got  %s\nwant %s", err, text)
	}
}

func fieldOf(err error) string {
	var e *leat.Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}

func number(stream leat.StreamID, ordinal, offset uint64) string {
	return leat.SequenceNumber(leat.ShardKey{Stream: stream, Ordinal: ordinal}, offset)
}

func ids(shards []leat.Shard) string {
	var all []string
	for i := range shards {
		all = append(all, fmt.Sprint(shards[i].Key.Ordinal))
	}
	return strings.Join(all, " ")
}

// within gives a test's waits an end.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
