// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

var tester = leat.Principal{Account: leat.DevAccount, Name: "tester"}

// still is a clock that stands, so that nothing is paid back of what the limits have taken.
type still struct{ at time.Time }

func (c still) Now() time.Time { return c.at }
func (still) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	return leat.SystemClock{}.NewTimer(d)
}
func (*shared) Kick() {}

func (*shared) ClockWrong() error { return nil }

func (*shared) HoldsExpiry() bool { return false }

// shared is two nodes with a broker each. Of a provisioned stream with two shards, ordinal 0 is node 0's and 1 is node 1's.
type shared struct {
	*rig
	brokers [2]*broker.Broker
	stream  leat.StreamID
	shards  [2]leat.Shard
}

func newShared(t *testing.T) *shared {
	t.Helper()
	s := &shared{rig: newRig(t, 2, within)}
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(t.TempDir(), "catalog.db")})
	s.must(err)
	t.Cleanup(func() { _ = db.Close() })
	clock := still{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	cat := catalog.New(db, catalog.Options{Clock: clock})
	s.must(cat.Migrate(t.Context()))
	for i, n := range s.nodes {
		b, err := broker.New(broker.Config{
			Engine: n.router, Shared: true, Catalog: cat, Control: s, ShardLimits: broker.LimitsAWS, Region: "eu-west-1",
			Secret: []byte("0123456789abcdef"), Clock: clock, Peers: n.router,
			Owner: func(k leat.ShardKey) (leat.SessionID, uint64, bool) {
				session, epoch, _, ok := s.owners.Owner(k)
				return session, epoch, ok
			},
		})
		s.must(err)
		s.brokers[i] = b
		n.broker.Store(b)
	}
	made, err := s.brokers[0].CreateStream(t.Context(), tester, broker.CreateStreamRequest{Stream: "s", Shards: 2})
	s.must(err)
	s.stream = made.ID
	s.must(cat.ActivateStream(t.Context(), s.stream))
	shards, err := cat.Shards(t.Context(), s.stream)
	s.must(err)
	for _, b := range s.brokers {
		b.Directory().Changed(t.Context())
	}
	for i := range shards {
		s.shards[shards[i].Key.Ordinal] = shards[i]
		s.open(shards[i].Key, s.nodes[shards[i].Key.Ordinal])
	}
	return s
}

// put puts n records into a shard through a node and returns their outcomes.
func (s *shared) put(node, n, shard int) []broker.Put {
	s.t.Helper()
	at := s.shards[shard].Range.Start
	all := make([]broker.Put, n)
	for i := range all {
		all[i].Record = leat.Record{PartitionKey: "k", ExplicitHash: &at, Data: make([]byte, 99)}
	}
	_, err := s.brokers[node].PutRecords(s.t.Context(), tester, broker.PutRecordsRequest{Stream: "s", Puts: all})
	s.must(err)
	return all
}

func refused(all []broker.Put) (n int) {
	for i := range all {
		if all[i].Err != nil {
			n++
		}
	}
	return n
}

// wantThrottled checks that an error is what one node that serves all shards would say.
func (s *shared) wantThrottled(err error, shard int) {
	s.t.Helper()
	var e *leat.Error
	want := fmt.Sprintf("Rate exceeded for shard %s in stream s under account %s.", leat.ShardID(uint64(shard)), leat.DevAccount)
	if !errors.As(err, &e) || e.Kind != leat.KindThroughputExceeded || e.Message != want || e.After <= 0 || e.After > time.Second {
		s.t.Errorf("refused with %#v: want %q", err, want)
	}
}

// rates are what a node has counted of a shard.
func (s *shared) rates(node, shard int) broker.ShardRate {
	s.t.Helper()
	for _, r := range s.brokers[node].ShardRates(s.stream) {
		if r.Shard.Key == s.shards[shard].Key {
			return r
		}
	}
	s.t.Fatalf("node %d knows no shard %d", node, shard)
	return broker.ShardRate{}
}

// A shard takes what one shard takes, however many nodes clients ask, and its owner alone has counted it.
func TestLimitsOfPutsHoldAtTheOwner(t *testing.T) {
	s := newShared(t)
	for shard := range 2 {
		for _, node := range []int{0, 1} {
			if n := refused(s.put(node, 500, shard)); n != 0 {
				t.Fatalf("%d of the first 1000 records of shard %d were refused", n, shard)
			}
		}
		for _, node := range []int{0, 1, 1} {
			all := s.put(node, 4, shard)
			if n := refused(all); n != 4 {
				t.Errorf("node %d let %d more records into shard %d", node, 4-n, shard)
			}
			s.wantThrottled(all[0].Err, shard)
		}
		if n := len(s.records(s.shards[shard].Key)); n != 1000 {
			t.Errorf("shard %d has %d records: want 1000", shard, n)
		}
	}
	for shard := range 2 {
		own, other := s.rates(shard, shard), s.rates(1-shard, shard)
		want := broker.Counts{RecordsIn: 1000, BytesIn: 1000 * 100, ThrottledWrites: 12}
		if own.Total != want || own.Last15s.RecordsIn == 0 {
			t.Errorf("the owner of shard %d has counted %+v: want %+v", shard, own.Total, want)
		}
		if other.Total != (broker.Counts{}) || other.Last15s != (broker.Rate{}) {
			t.Errorf("the other node has counted %+v of shard %d", other.Total, shard)
		}
		if middle := s.shards[shard].Range.Middle(); own.Balance.At.Compare(middle) >= 0 || other.Balance.At != middle {
			t.Errorf("shard %d divides at %v by its owner and at %v by the other node, its middle is %v", shard, own.Balance.At, other.Balance.At, middle)
		}
		if sum := s.brokers[shard].StreamTotals(s.stream); sum != want {
			t.Errorf("node %d has counted %+v of the stream: want %+v", shard, sum, want)
		}
	}
}

// Records of one call whose shards have two owners: those of the full one are refused, the others taken.
func TestLimitsRefuseSinglePuts(t *testing.T) {
	s := newShared(t)
	s.put(1, 500, 1)
	s.put(1, 498, 1)
	all := make([]broker.Put, 8)
	for i := range all {
		at := s.shards[i%2].Range.Start
		all[i].Record = leat.Record{PartitionKey: "k", ExplicitHash: &at, Data: []byte{byte(i)}}
	}
	failed, err := s.brokers[0].PutRecords(t.Context(), tester, broker.PutRecordsRequest{Stream: "s", Puts: all})
	s.must(err)
	if failed != 2 {
		t.Errorf("%d records were refused: want 2", failed)
	}
	for i := range all {
		if i == 5 || i == 7 {
			s.wantThrottled(all[i].Err, 1)
			continue
		}
		if got := s.records(all[i].Shard); all[i].Err != nil || got[all[i].Record.Offset].Data[0] != byte(i) {
			t.Errorf("record %d: offset %d, %v", i, all[i].Record.Offset, all[i].Err)
		}
	}
}

// Reads of a shard share its limits, whichever nodes are asked; pushes do not.
func TestLimitsOfReadsHoldAtTheOwner(t *testing.T) {
	s := newShared(t)
	const shard = 1
	s.put(0, 10, shard)
	read := func(node int) error {
		t.Helper()
		it, err := s.brokers[node].GetShardIterator(t.Context(), tester, broker.GetShardIteratorRequest{
			Stream: "s", Shard: leat.ShardID(shard), Start: broker.StartingPosition{Type: broker.TrimHorizon},
		})
		s.must(err)
		_, err = s.brokers[node].GetRecords(t.Context(), tester, broker.GetRecordsRequest{Iterator: it, Limit: 10})
		return err
	}
	for i := range leat.ShardReadsPerSec {
		s.must(read(i % 2))
	}
	for _, node := range []int{0, 1, 0} {
		s.wantThrottled(read(node), shard)
	}
	for node := range 2 {
		page, err := s.nodes[node].router.Read(t.Context(), s.shards[shard].Key, 0, shardstore.ReadLimits{Records: 10, Bytes: 1 << 20})
		s.must(err)
		if len(page.Records) != 10 {
			t.Errorf("a push through node %d reads %d records", node, len(page.Records))
		}
	}
	// What a server reads for itself is nobody's read, at whichever node: a live tail, a delivery, a look of the console.
	for node := range 2 {
		page, err := s.nodes[node].router.Read(t.Context(), s.shards[shard].Key, 0, shardstore.ReadLimits{Records: 10, Bytes: 1 << 20, Look: true})
		s.must(err)
		if len(page.Records) != 10 {
			t.Errorf("a look through node %d reads %d records", node, len(page.Records))
		}
	}
	own, other := s.rates(1, shard).Total, s.rates(0, shard).Total
	if own.RecordsOut != 7*10 || own.BytesOut != 7*10*100 || own.ThrottledReads != 3 {
		t.Errorf("the owner has counted %+v: want 70 records in 7 pages, and 3 reads refused", own)
	}
	if other != (broker.Counts{}) {
		t.Errorf("the other node has counted %+v", other)
	}
}

// A shard that moves is limited and counted by its new owner from then on.
func TestLimitsMoveWithTheShard(t *testing.T) {
	s := newShared(t)
	s.put(0, 500, 0)
	s.put(0, 500, 0)
	key := s.shards[0].Key
	s.release(key, s.nodes[0])
	s.open(key, s.nodes[1])
	for _, node := range []int{0, 1} {
		if n := refused(s.put(node, 500, 0)); n != 0 {
			t.Errorf("the new owner refused %d records through node %d", n, node)
		}
	}
	s.wantThrottled(s.put(0, 1, 0)[0].Err, 0)
	if was, is := s.rates(0, 0).Total.RecordsIn, s.rates(1, 0).Total.RecordsIn; was != 1000 || is != 1000 {
		t.Errorf("the old owner has counted %d and the new one %d records: want 1000 each", was, is)
	}
}

// What people are shown of a stream is the same whichever node they ask: each shard as its owner has counted it.
func TestLoadIsOfAllNodes(t *testing.T) {
	s := newShared(t)
	s.put(0, 3, 0)
	s.put(0, 5, 1)
	var first broker.StreamLoad
	for node := range 2 {
		l, err := s.brokers[node].StreamLoad(t.Context(), tester, "s")
		s.must(err)
		if l.Total.RecordsIn != 8 || l.Silent != 0 || len(l.Shards) != 2 || l.Shards[0].Total.RecordsIn != 3 || l.Shards[1].Total.RecordsIn != 5 {
			t.Errorf("node %d says %+v", node, l)
		}
		if len(l.Hot) != 2 || l.Hot[0].Shard == l.Hot[1].Shard || l.Hot[0].Key != "k" || l.Hot[1].Share != 1 {
			t.Errorf("node %d: hot keys are %+v", node, l.Hot)
		}
		if l.Now.RecordsIn == 0 || node == 1 && (l.Now != first.Now || l.Shards[1].Last60s != first.Shards[1].Last60s || l.Shards[1].Balance != first.Shards[1].Balance) {
			t.Errorf("node %d: the load is %+v, and the other's %+v", node, l.Now, first.Now)
		}
		first = l
	}
	all := s.brokers[1].StreamLoads(t.Context(), tester, []string{"s", "none"})
	if len(all) != 1 || all["s"].Total.RecordsIn != 8 {
		t.Errorf("of several streams: %+v", all)
	}
}

// A node that does not answer holds nobody up, and its shards are said to be missing.
func TestLoadWithoutANode(t *testing.T) {
	s := newShared(t)
	s.put(0, 3, 0)
	s.put(1, 5, 1)
	s.nodes[1].grpc.Stop()
	began := time.Now()
	l, err := s.brokers[0].StreamLoad(t.Context(), tester, "s")
	s.must(err)
	if l.Total.RecordsIn != 3 || l.Silent != 1 || len(l.Shards) != 2 {
		t.Errorf("the load is %+v", l)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A live tail and a look of the console count as nobody's read at the shard's owner, whichever node they are asked of; a look takes of its limits.
func TestLooksAreNobodysReads(t *testing.T) {
	s := newShared(t)
	for shard := range 2 {
		s.put(0, 10, shard)
		for node := range 2 {
			it, err := s.brokers[node].GetShardIterator(t.Context(), tester, broker.GetShardIteratorRequest{
				Stream: "s", Shard: leat.ShardID(uint64(shard)), Start: broker.StartingPosition{Type: broker.TrimHorizon},
			})
			s.must(err)
			page, err := s.brokers[node].GetRecords(t.Context(), tester, broker.GetRecordsRequest{Iterator: it, Limit: 5, Look: true})
			s.must(err)
			if len(page.Records) != 5 {
				t.Fatalf("a look has %d records", len(page.Records))
			}
			ctx, seen := context.WithCancel(t.Context())
			go func() {
				for ctx.Err() == nil {
					all := []broker.Put{{Record: leat.Record{PartitionKey: "k", ExplicitHash: &s.shards[shard].Range.Start, Data: []byte("x")}}}
					_, _ = s.brokers[node].PutRecords(ctx, tester, broker.PutRecordsRequest{Stream: "s", Puts: all})
				}
			}()
			s.must(s.brokers[node].TailStream(ctx, tester, broker.TailStreamRequest{Stream: "s", Shard: leat.ShardID(uint64(shard))}, func(broker.TailBatch) error {
				seen()
				return nil
			}))
		}
		for node := range 2 {
			if got := s.rates(node, shard).Total; got.RecordsOut != 0 || got.BytesOut != 0 {
				t.Errorf("node %d has counted %d records and %d bytes out of shard %d", node, got.RecordsOut, got.BytesOut, shard)
			}
		}
	}
	// The limits hold for looks: five reads a second of a shard, and two were made of it.
	refused := 0
	for range leat.ShardReadsPerSec {
		it, err := s.brokers[0].GetShardIterator(t.Context(), tester, broker.GetShardIteratorRequest{Stream: "s", Shard: leat.ShardID(1), Start: broker.StartingPosition{Type: broker.TrimHorizon}})
		s.must(err)
		if _, err := s.brokers[0].GetRecords(t.Context(), tester, broker.GetRecordsRequest{Iterator: it, Limit: 1, Look: true}); leat.KindOf(err) == leat.KindThroughputExceeded {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d looks were refused: want 2", refused)
	}
}

// Nor does one that stands behind the limits: its broker says that the outcome is unknown, also to another node's.
func TestSilenceBehindTheLimits(t *testing.T) {
	s := newShared(t)
	for i, n := range s.nodes {
		n.session.Load().silent = true
		for _, p := range s.put(0, 2, i) {
			if leat.KindOf(p.Err) != leat.KindUnknownOutcome {
				t.Errorf("a record of node %d: %v", i, p.Err)
			}
		}
	}
}
