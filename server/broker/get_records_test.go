// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/shardstore"
)

func TestReadFromEachPosition(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	var times []time.Time
	for i := range 5 {
		times = append(times, r.clock.Now())
		r.put("s", "k", fmt.Sprint(i))
		r.clock.Advance(time.Second)
	}
	for _, c := range []struct {
		start broker.StartingPosition
		want  string
	}{
		{broker.StartingPosition{Type: broker.TrimHorizon}, "0 1 2 3 4"},
		{broker.StartingPosition{Type: broker.Latest}, ""},
		{broker.StartingPosition{Type: broker.AtSequenceNumber, SequenceNumber: number(s.ID, 0, 3)}, "3 4"},
		{broker.StartingPosition{Type: broker.AfterSequenceNumber, SequenceNumber: number(s.ID, 0, 3)}, "4"},
		{broker.StartingPosition{Type: broker.AtTimestamp, Timestamp: times[2]}, "2 3 4"},
		{broker.StartingPosition{Type: broker.AtTimestamp, Timestamp: times[2].Add(time.Millisecond)}, "3 4"},
		{broker.StartingPosition{Type: broker.AtTimestamp, Timestamp: times[0].Add(-365 * 24 * time.Hour)}, "0 1 2 3 4"},
		{broker.StartingPosition{Type: broker.AtTimestamp, Timestamp: r.clock.Now()}, ""},
	} {
		if got := r.from("s", c.start); got != c.want {
			t.Errorf("%+v gave %q: want %q", c.start, got, c.want)
		}
	}
}

func TestPositionsThatHaveNoMeaning(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 2)
	other := r.stream("other", 1)
	now := r.clock.Now()
	for _, c := range []struct {
		start broker.StartingPosition
		field string
	}{
		{broker.StartingPosition{}, "start.type"},
		{broker.StartingPosition{Type: "NEWEST"}, "start.type"},
		{broker.StartingPosition{Type: broker.Latest, SequenceNumber: number(s.ID, 0, 0)}, "start.sequence_number"},
		{broker.StartingPosition{Type: broker.TrimHorizon, SequenceNumber: number(s.ID, 0, 0)}, "start.sequence_number"},
		{broker.StartingPosition{Type: broker.AtSequenceNumber}, "start.sequence_number"},
		{broker.StartingPosition{Type: broker.AfterSequenceNumber}, "start.sequence_number"},
		{broker.StartingPosition{Type: broker.AtSequenceNumber, SequenceNumber: "12"}, "start.sequence_number"},
		{broker.StartingPosition{Type: broker.AtSequenceNumber, SequenceNumber: number(s.ID, 1, 0)}, "start.sequence_number"},
		{broker.StartingPosition{Type: broker.AfterSequenceNumber, SequenceNumber: number(other.ID, 0, 0)}, "start.sequence_number"},
		{broker.StartingPosition{Type: broker.AtTimestamp}, "start.timestamp"},
		{broker.StartingPosition{Type: broker.AtTimestamp, Timestamp: now.Add(time.Second)}, "start.timestamp"},
		{broker.StartingPosition{Type: broker.Latest, Timestamp: now}, "start.timestamp"},
	} {
		_, err := r.GetShardIterator(t.Context(), who, broker.GetShardIteratorRequest{Stream: "s", Shard: "0", Start: c.start})
		r.wantKind(err, leat.KindInvalidArgument, c.field)
	}
	_, err := r.GetShardIterator(t.Context(), who, broker.GetShardIteratorRequest{Stream: "s", Shard: "7", Start: broker.StartingPosition{Type: broker.Latest}})
	r.wantKind(err, leat.KindNotFound, "shard_id")
	if err.Error() != "Shard shardId-000000000007 in stream s under account 000000000000 does not exist" {
		t.Errorf("text %q", err)
	}
}

func TestLatestIsFixedWhenIssued(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.put("s", "k", "before")
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.Latest})
	r.put("s", "k", "after")
	for range 2 { // an iterator may be used again
		if got := text(r.read(it).Records); got != "after" {
			t.Errorf("read %q", got)
		}
	}
}

func TestNextIteratorAlwaysDiffers(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	seen := map[string]bool{it: true}
	for range 10 { // nothing is put and the clock stands still
		it = r.read(it).Next
		if seen[it] || it == "" || len(it) > 512 {
			t.Fatalf("iterator %q", it)
		}
		seen[it] = true
	}
}

func TestIteratorsExpire(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	r.clock.Advance(5 * time.Minute)
	r.read(it)
	r.clock.Advance(time.Microsecond)
	_, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it})
	r.wantKind(err, leat.KindExpiredIterator, "")
	want := "Iterator expired. The iterator was created at time Fri Nov 20 12:00:00 UTC 2026 while right now it is Fri Nov 20 12:05:00 UTC 2026 which is further in the future than the tolerated delay of 300000 milliseconds."
	if err.Error() != want {
		t.Errorf("text %q", err)
	}
}

func TestIteratorsCannotBeForged(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	raw, err := base64.RawURLEncoding.DecodeString(it)
	r.must(err)
	bad := []string{"", "x", it + "A", it[:len(it)-1], strings.Repeat("A", 513), base64.StdEncoding.EncodeToString(raw) + "="}
	for i := range raw {
		changed := append([]byte(nil), raw...)
		changed[i] ^= 1
		bad = append(bad, base64.RawURLEncoding.EncodeToString(changed))
	}
	for range 3 { // a page token is no iterator
		r.stream(fmt.Sprint("s", len(bad)), 1)
		bad = append(bad, "")
	}
	list, err := r.ListStreams(t.Context(), who, broker.ListStreamsRequest{PageSize: 1})
	r.must(err)
	bad = append(bad, list.NextPageToken)
	for _, token := range bad {
		_, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: token})
		r.wantKind(err, leat.KindInvalidArgument, "shard_iterator")
	}
}

func TestIteratorsBelongToTheirStream(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.stream("other", 1)
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	_, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Stream: "other", Iterator: it})
	r.wantKind(err, leat.KindInvalidArgument, "shard_iterator")
	if _, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Stream: "arn:aws:kinesis:eu-west-1:000000000000:stream/s", Iterator: it}); err != nil {
		t.Errorf("named by its ARN: %v", err)
	}
	_, err = r.GetRecords(t.Context(), leat.Principal{Account: "111111111111", Name: "stranger"}, broker.GetRecordsRequest{Iterator: it})
	r.wantKind(err, leat.KindAccessDenied, "")
	// The stream is deleted and made again: the iterator is of the one that is gone.
	r.must(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: "s"}))
	_, err = r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it})
	r.wantKind(err, leat.KindNotFound, "")
	r.settle()
	r.stream("s", 1)
	_, err = r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it})
	r.wantKind(err, leat.KindNotFound, "")
}

// NextShardIterator is absent exactly when there are children.
func TestEndOfAShard(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	for i := range 3 {
		r.put("s", "k", fmt.Sprint(i))
	}
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	// The log has the end, the catalog does not: ask again.
	parent := leat.ShardKey{Stream: s.ID}
	r.engine.reshard([]leat.ShardKey{parent}, nil)
	res := r.read(it)
	if text(res.Records) != "0 1 2" || res.Next == "" || len(res.Children) != 0 {
		t.Fatalf("%q, next %q, %d children", text(res.Records), res.Next, len(res.Children))
	}
	r.reshard(s.ID)
	for name, iterator := range map[string]string{
		"at the end":   res.Next,
		"from begin":   it,
		"LATEST":       r.iterator("s", "0", broker.StartingPosition{Type: broker.Latest}),
		"last number":  r.iterator("s", "0", broker.StartingPosition{Type: broker.AfterSequenceNumber, SequenceNumber: number(s.ID, 0, 2)}),
		"closing one":  r.iterator("s", "0", broker.StartingPosition{Type: broker.AtSequenceNumber, SequenceNumber: number(s.ID, 0, 3)}),
		"after that":   r.iterator("s", "0", broker.StartingPosition{Type: broker.AfterSequenceNumber, SequenceNumber: number(s.ID, 0, 3)}),
		"short of end": r.iterator("s", "0", broker.StartingPosition{Type: broker.AtSequenceNumber, SequenceNumber: number(s.ID, 0, 1)}),
	} {
		res := r.read(iterator)
		if res.Next != "" || ids(res.Children) != "1 2" {
			t.Errorf("%s: next %q, children %q", name, res.Next, ids(res.Children))
		}
	}
	// A page that stops before the end goes on.
	res, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it, Limit: 2})
	r.must(err)
	if text(res.Records) != "0 1" || res.Next == "" || len(res.Children) != 0 {
		t.Errorf("%q, next %q, %d children", text(res.Records), res.Next, len(res.Children))
	}
	// A merge: one child with two parents, whose own readers each find it.
	r.settle()
	r.must(r.MergeShards(t.Context(), who, broker.MergeShardsRequest{Stream: "s", Shard: "1", Adjacent: "2"}))
	r.settle()
	for _, shard := range []string{"1", "2"} {
		res := r.read(r.iterator("s", shard, broker.StartingPosition{Type: broker.TrimHorizon}))
		if ids(res.Children) != "3" || *res.Children[0].Parent != 1 || *res.Children[0].AdjacentParent != 2 {
			t.Errorf("shard %s: children %v", shard, res.Children)
		}
	}
}

// A reader that comes back to a shard that retention has removed is told so, and not to try again.
func TestIteratorsIntoRemovedShards(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.put("s", "k", "old")
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.settle()
	shards, err := r.ListShards(t.Context(), who, broker.ListShardsRequest{Stream: "s"})
	r.must(err)
	r.engine.drop(shards.Shards[0].Key)
	r.must(r.db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE shards SET horizon = final, closed = 1 WHERE ordinal = 0")
		return err
	}))
	gone, err := r.catalog.ExpireShards(t.Context())
	if err != nil || len(gone) != 1 {
		t.Fatal(gone, err)
	}
	r.Directory().Changed(t.Context())
	_, err = r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it})
	r.wantKind(err, leat.KindNotFound, "shard_id")
}

// A child is read at a node that has not heard of it while the catalog does not answer.
func TestReadOfAChildThatANodeHasNotHeardOf(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	other, err := broker.New(broker.Config{
		Engine: r.engine, Catalog: r.catalog, Control: r, ShardLimits: broker.LimitsOff, Region: "eu-west-1", Secret: []byte("0123456789abcdef"), Clock: r.clock,
	})
	r.must(err)
	other.Directory().Changed(t.Context())
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.settle()
	child := r.put("s", "k", "new").Shard.Ordinal
	it := r.iterator("s", leat.ShardID(child), fromStart)
	defer other.Directory().Hang()()
	patience, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	res, err := other.GetRecords(patience, who, broker.GetRecordsRequest{Iterator: it})
	r.must(err)
	if text(res.Records) != "new" || patience.Err() != nil {
		t.Errorf("the child gave %q, %v", text(res.Records), patience.Err())
	}
}

func TestExpiredRecordsAreSkipped(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	r.put("s", "k", "old")
	r.clock.Advance(25 * time.Hour)
	r.put("s", "k", "new")
	if got := r.from("s", broker.StartingPosition{Type: broker.TrimHorizon}); got != "new" {
		t.Errorf("read %q", got)
	}
	week := 7 * 24 * time.Hour
	_, err := r.UpdateStream(t.Context(), who, broker.UpdateStreamRequest{Stream: "s", Retention: &week})
	r.must(err)
	if got := r.from("s", broker.StartingPosition{Type: broker.TrimHorizon}); got != "new" {
		t.Errorf("raising retention revived what had expired: %q", got)
	}
	r.clock.Advance(48 * time.Hour)
	if got := r.from("s", broker.StartingPosition{Type: broker.TrimHorizon}); got != "new" {
		t.Errorf("read %q after two days of seven", got)
	}
}

func TestLimitsOfGetRecords(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	for range 3 {
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(5, 1<<20, "k")})
		r.must(err)
	}
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	if n := len(r.read(it).Records); n != 10 {
		t.Errorf("%d records of 1 MiB in one page", n)
	}
	for _, limit := range []int{-1, 10_001} {
		_, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it, Limit: limit})
		r.wantKind(err, leat.KindInvalidArgument, "limit")
	}
}

func TestShardLimitsOut(t *testing.T) {
	r := newRig(t, broker.LimitsAWS)
	r.stream("s", 1)
	for range 10 {
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(1, 1<<20, "k")})
		r.must(err)
		r.clock.Advance(2 * time.Second)
	}
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	end := r.read(it).Next // 10 MiB
	for waited := time.Duration(0); ; waited += 500 * time.Millisecond {
		_, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: end})
		if err == nil {
			if waited < 4*time.Second || waited > 5*time.Second {
				t.Errorf("10 MiB were paid for after %v", waited)
			}
			break
		}
		r.wantKind(err, leat.KindThroughputExceeded, "")
		r.clock.Advance(500 * time.Millisecond)
	}
	r.clock.Advance(time.Minute)
	for i := range 6 { // five reads a second
		_, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: r.iterator("s", "0", broker.StartingPosition{Type: broker.Latest})})
		if (err != nil) != (i == 5) {
			t.Errorf("read %d: %v", i, err)
		}
	}
}

func TestReadFaults(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	r.put("s", "k", "data")
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	read := func() error {
		_, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it})
		return err
	}
	r.engine.onRead = func(p *shardstore.Page) error {
		p.Records[0].Data = []byte("dato")
		return nil
	}
	r.wantKind(read(), leat.KindCorrupt, "")
	r.engine.onRead = func(*shardstore.Page) error { return errors.New("disk on fire") }
	r.wantKind(read(), leat.KindInternal, "")
	r.engine.onRead = nil
	it = r.read(it).Next
	r.engine.onRead = func(p *shardstore.Page) error {
		*p = shardstore.Page{} // as if the shard were empty: a reader would begin anew
		return nil
	}
	r.wantKind(read(), leat.KindInternal, "")
	r.engine.onRead = nil
	r.must(read())
	r.engine.drop(leat.ShardKey{Stream: s.ID})
	r.wantKind(read(), leat.KindUnavailable, "")
}

// A node that takes a stream for CREATING still reads it for whoever got an iterator elsewhere, and does not say that there is
// none when it cannot ask.
func TestReadOfAStreamThatIsNewHere(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	elsewhere, err := broker.New(broker.Config{
		Engine: r.engine, Catalog: r.catalog, Control: r, ShardLimits: broker.LimitsOff, Region: "eu-west-1",
		Secret: []byte("0123456789abcdef"), Clock: r.clock, StreamKeys: keyMaker{},
	})
	r.must(err)
	iterator := func(stream string) string {
		t.Helper()
		_, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: stream, Shards: 1})
		r.must(err)
		r.carryOut()
		it, err := elsewhere.GetShardIterator(t.Context(), who, broker.GetShardIteratorRequest{Stream: stream, Shard: "0", Start: fromStart})
		r.must(err)
		return it
	}
	r.read(iterator("s"))
	it := iterator("other")
	r.must(r.db.Close())
	_, err = r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it})
	r.wantKind(err, leat.KindUnavailable, "")
}
