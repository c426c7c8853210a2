// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/shardstore"
)

func TestPutRecordsRoutesByHashKey(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 4)
	all := puts(100, 10, "k")
	for i := range all {
		all[i].Record.PartitionKey = fmt.Sprint("key-", i)
	}
	ranges := leat.SplitEvenly(4)
	all[0].Record.ExplicitHash = &ranges[3].Start
	all[1].Record.ExplicitHash = &ranges[2].End
	failed, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: all})
	r.must(err)
	if failed != 0 {
		t.Fatalf("%d failed", failed)
	}
	if all[0].Shard.Ordinal != 3 || all[1].Shard.Ordinal != 2 {
		t.Errorf("explicit hash keys went to %d and %d", all[0].Shard.Ordinal, all[1].Shard.Ordinal)
	}
	for i := range all {
		p := &all[i]
		if !ranges[p.Shard.Ordinal].Contains(p.Record.HashKey()) {
			t.Errorf("%s went to shard %d", p.Record.PartitionKey, p.Shard.Ordinal)
		}
		if p.Record.CRC != p.Record.Checksum() {
			t.Errorf("%s went without its checksum", p.Record.PartitionKey)
		}
	}
}

func TestPutRecordsRefusesTheWholeCall(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	long := strings.Repeat("ä", leat.MaxPartitionKeyChars+1)
	change := func(i int, f func(*leat.Record)) []broker.Put {
		all := puts(3, 10, "k")
		f(&all[i].Record)
		return all
	}
	for name, c := range map[string]struct {
		puts  []broker.Put
		field string
	}{
		"none":          {nil, "records"},
		"501":           {puts(501, 10, "k"), "records"},
		"10 MiB":        {puts(11, 1<<20, "k"), "records"},
		"too large":     {change(1, func(r *leat.Record) { r.Data = make([]byte, 1<<20) }), "records[1].data"},
		"far too large": {change(1, func(r *leat.Record) { r.Data = make([]byte, 10<<20+1) }), "records[1].data"},
		"empty key":     {change(2, func(r *leat.Record) { r.PartitionKey = "" }), "records[2].partition_key"},
		"long key":      {change(0, func(r *leat.Record) { r.PartitionKey = long }), "records[0].partition_key"},
		"not UTF-8":     {change(0, func(r *leat.Record) { r.PartitionKey = "\xff" }), "records[0].partition_key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: c.puts})
			r.wantKind(err, leat.KindInvalidArgument, c.field)
		})
	}
	if r.engine.appends != 0 {
		t.Errorf("the engine was asked %d times", r.engine.appends)
	}
}

func TestPutRecordsTakesTheLargest(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	for name, all := range map[string][]broker.Put{"500 records": puts(500, 20<<10, "k"), "10 MiB": puts(10, 1<<20, "k")} {
		if failed, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: all}); err != nil || failed != 0 {
			t.Errorf("%s: %d failed, %v", name, failed, err)
		}
	}
}

func TestPutNeedsAStreamThatServes(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	put := func() error {
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(1, 10, "k")})
		return err
	}
	r.wantKind(put(), leat.KindNotFound, "")
	if msg := put().Error(); msg != "Stream s under account 000000000000 not found." {
		t.Errorf("text %q", msg)
	}
	_, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "s", Shards: 1})
	r.must(err)
	r.wantKind(put(), leat.KindNotFound, "") // CREATING
	// The control loop activates it behind the broker's back: the next put looks again.
	r.carryOut()
	r.clock.Advance(time.Second)
	r.must(put())
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.must(put()) // UPDATING
	r.settle()
	r.must(r.DeleteStream(t.Context(), who, broker.DeleteStreamRequest{Stream: "s"}))
	r.wantKind(put(), leat.KindNotFound, "") // DELETING
	r.settle()
	r.wantKind(put(), leat.KindNotFound, "")
}

func TestPutOutcomes(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	all := func() []broker.Put { return puts(3, 10, "k") }
	for name, c := range map[string]struct {
		err  error
		kind leat.Kind
	}{
		"unknown":    {fmt.Errorf("%w: %w", shardstore.ErrUnknownOutcome, context.Canceled), leat.KindUnknownOutcome},
		"not owned":  {shardstore.ErrNotOwned, leat.KindUnavailable},
		"overloaded": {shardstore.ErrOverloaded, leat.KindThroughputExceeded},
		"a fault":    {errors.New("disk on fire"), leat.KindUnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			r.engine.outcome = func(*shardstore.Put) error { n++; return map[bool]error{true: c.err}[n == 2 || n == 3] }
			p := all()
			failed, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: p})
			if err != nil || failed != 1 || p[0].Err != nil || leat.KindOf(p[1].Err) != c.kind || p[2].Err != nil {
				t.Errorf("%d failed, %v; outcomes %v, %v, %v", failed, err, p[0].Err, p[1].Err, p[2].Err)
			}
			r.engine.outcome = func(*shardstore.Put) error { return c.err }
			_, err = r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k"}})
			r.wantKind(err, c.kind, "")
		})
	}
	r.engine.outcome = nil
	before := len(r.engine.shards[leat.ShardKey{Stream: s.ID}].records)
	r.engine.refuse = &leat.Error{Kind: leat.KindUnavailable, Message: "no session", After: time.Second}
	_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: all()})
	r.wantKind(err, leat.KindUnavailable, "")
	if n := len(r.engine.shards[leat.ShardKey{Stream: s.ID}].records); n != before {
		t.Errorf("%d records were written by refused calls", n-before)
	}
}

// An engine that says neither yes nor no of a record, a fault of its own, does not make anybody acknowledge it.
func TestSilenceIsNoAcknowledgement(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	r.engine.silent = true
	silent := func() {
		t.Helper()
		p := puts(3, 10, "k")
		failed, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: p})
		if err != nil || failed != len(p) {
			t.Fatalf("%d failed, %v", failed, err)
		}
		for i := range p {
			r.wantKind(p[i].Err, leat.KindUnknownOutcome, "")
		}
		_, err = r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k"}})
		r.wantKind(err, leat.KindUnknownOutcome, "")
	}
	silent()
	// Nor where records go on to a shard's children.
	r.engine.silent = false
	r.engine.closed = func(leat.ShardKey) { r.engine.change(func() { r.engine.silent = true }) }
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.carryOut()
	silent()
	if n := len(r.engine.shards[leat.ShardKey{Stream: s.ID}].records); n != 0 {
		t.Errorf("%d records were written", n)
	}
}

// A shard is closed between the route and the append: its records go to the children and none is lost or doubled.
func TestPutFollowsAReshard(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.carryOut() // the broker does not know yet
	p := puts(50, 10, "k")
	for i := range p {
		p[i].Record.PartitionKey = fmt.Sprint("key-", i)
	}
	failed, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: p})
	if err != nil || failed != 0 {
		t.Fatalf("%d failed, %v: %v", failed, err, p[0].Err)
	}
	written := 0
	for ordinal := range uint64(3) {
		written += len(r.engine.shards[leat.ShardKey{Stream: s.ID, Ordinal: ordinal}].records)
	}
	if written != 50 || len(r.engine.shards[leat.ShardKey{Stream: s.ID}].records) != 0 {
		t.Errorf("%d records stand in the children", written)
	}
}

// The log knows of the split before the catalog does: the broker waits for the children, and gives up in the end with an
// error that says that nothing was written.
func TestPutWaitsForChildren(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 1)
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.engine.reshard([]leat.ShardKey{{Stream: s.ID}}, nil)
	done := make(chan error)
	go func() {
		_, err := r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k"}})
		done <- err
	}()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 256*time.Millisecond) {
		armed := make(chan struct{})
		ctx, cancel := context.WithCancel(within(t))
		go func() {
			defer close(armed)
			r.clock.untilArmed(ctx, pause)
		}()
		select {
		case <-armed:
			cancel()
			r.clock.Advance(pause)
			continue
		case err := <-done:
			cancel()
			<-armed
			r.wantKind(err, leat.KindUnavailable, "")
			if r.engine.appends != 1 {
				t.Errorf("the closed shard was asked %d times", r.engine.appends)
			}
			return
		}
	}
}

func TestShardLimitsIn(t *testing.T) {
	r := newRig(t, broker.LimitsAWS)
	r.stream("s", 2)
	low, high := leat.SplitEvenly(2)[0].Start, leat.SplitEvenly(2)[1].Start
	put := func(n, size int, to leat.HashKey) (failed int, first error) {
		t.Helper()
		all := puts(n, size, "k")
		for i := range all {
			all[i].Record.ExplicitHash = &to
		}
		failed, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: all})
		r.must(err)
		for i := range all {
			if all[i].Err != nil {
				return failed, all[i].Err
			}
		}
		return failed, nil
	}
	for range 2 {
		if failed, err := put(500, 10, low); failed != 0 {
			t.Fatalf("%d of the first 1000 records failed: %v", failed, err)
		}
	}
	failed, err := put(500, 10, low)
	if failed != 500 || leat.KindOf(err) != leat.KindThroughputExceeded {
		t.Fatalf("%d failed: %v", failed, err)
	}
	if err.Error() != "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000." {
		t.Errorf("text %q", err)
	}
	if failed, _ := put(500, 10, high); failed != 0 {
		t.Errorf("the other shard is throttled too")
	}
	r.clock.Advance(250 * time.Millisecond)
	if failed, _ := put(500, 10, low); failed != 250 {
		t.Errorf("after a quarter of a second %d of 500 failed", failed)
	}
	r.clock.Advance(time.Minute)
	if failed, _ := put(4, 512<<10, low); failed != 2 {
		t.Errorf("of 2 MiB at once %d halves of a MiB failed", failed)
	}
}

func TestShardLimitsSpareOnDemand(t *testing.T) {
	r := newRig(t, broker.LimitsAWS)
	_, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "s", Shards: 1, Mode: leat.ModeOnDemand})
	r.must(err)
	r.settle()
	for range 5 {
		if failed, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(500, 10<<10, "k")}); err != nil || failed != 0 {
			t.Fatalf("%d failed: %v", failed, err)
		}
	}
	it := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	for range 20 {
		it = r.read(it).Next
	}
}

func TestSequenceNumberForOrdering(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s, other := r.stream("s", 2), r.stream("other", 2)
	low := leat.SplitEvenly(2)[0].Start
	put := func(number string) (broker.PutRecordResult, error) {
		return r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k", ExplicitHash: &low}, SequenceNumberForOrdering: number})
	}
	first, err := put("")
	r.must(err)
	parent := number(s.ID, first.Shard.Ordinal, first.Offset)
	_, err = put(parent)
	r.must(err)
	for name, bad := range map[string]string{"another shard": number(s.ID, 1, 0), "another stream": number(other.ID, 0, 0), "no number": "17", "changed": parent[:55] + string('0'+(parent[55]-'0'+1)%10)} {
		_, err := put(bad)
		if leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.settle()
	child, err := put(parent) // a producer goes on through a split
	r.must(err)
	if child.Shard.Ordinal == 0 {
		t.Errorf("the record went to the closed parent")
	}
}

// Splits and merges in turn make twice as many ways to an ancestor each time: whether a shard comes from another one is not asked along each.
func TestOrderingInALongLine(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	s := r.stream("s", 2)
	for i := range uint64(40) {
		line := 3 * i // 0 first, then each merge's child
		if i > 0 {
			line = 3*i + 1
		}
		shard := func(n uint64) string { return fmt.Sprint(n) }
		r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: shard(line)}))
		r.settle()
		r.must(r.MergeShards(t.Context(), who, broker.MergeShardsRequest{Stream: "s", Shard: shard(3*i + 2), Adjacent: shard(3*i + 3)}))
		r.settle()
	}
	low := leat.HashKey{}
	_, err := r.PutRecord(t.Context(), who, broker.PutRecordRequest{
		Stream: "s", Record: leat.Record{PartitionKey: "k", ExplicitHash: &low}, SequenceNumberForOrdering: leat.SequenceNumber(leat.ShardKey{Stream: s.ID, Ordinal: 1}, 7),
	})
	r.wantKind(err, leat.KindInvalidArgument, "sequence_number_for_ordering")
	_, err = r.PutRecord(t.Context(), who, broker.PutRecordRequest{
		Stream: "s", Record: leat.Record{PartitionKey: "k", ExplicitHash: &low}, SequenceNumberForOrdering: leat.SequenceNumber(leat.ShardKey{Stream: s.ID, Ordinal: 0}, 7),
	})
	r.must(err)
}
