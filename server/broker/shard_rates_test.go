// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*math.Max(1, math.Abs(want)) {
		t.Errorf("%s is %g: want %g", what, got, want)
	}
}

func TestShardRatesOverTime(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	d := r.stream("s", 1)
	const size = 1000
	for range 300 { // 10 records a second for five minutes
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(10, size, "k")})
		r.must(err)
		r.clock.Advance(time.Second)
	}
	got := r.ShardRates(d.ID)[0]
	for what, rate := range map[string]broker.Rate{"15 s": got.Last15s, "60 s": got.Last60s, "5 min": got.Last5m} {
		near(t, what+" records", rate.RecordsIn, 10, 0.01)
		near(t, what+" bytes", rate.BytesIn, 10*size, 0.01)
	}
	if got.Total.RecordsIn != 3000 || got.Total.BytesIn != 3000*size {
		t.Errorf("totals %+v: want 3000 records of %d bytes", got.Total, size)
	}

	r.clock.Advance(30 * time.Second)
	got = r.ShardRates(d.ID)[0]
	if got.Last15s.RecordsIn != 0 {
		t.Errorf("after 30 s of rest the last 15 s have %g records a second", got.Last15s.RecordsIn)
	}
	near(t, "60 s records after 30 s of rest", got.Last60s.RecordsIn, 5, 0.2)
	near(t, "5 min records after 30 s of rest", got.Last5m.RecordsIn, 9, 0.02)

	r.clock.Advance(6 * time.Minute)
	if got := r.ShardRates(d.ID)[0]; got.Last5m.RecordsIn != 0 || got.Total.RecordsIn != 3000 {
		t.Errorf("after 6 minutes of rest: %+v", got)
	}
}

func TestShardRatesOfAYoungShard(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	d := r.stream("s", 1)
	for range 20 {
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(100, 50, "k")})
		r.must(err)
		r.clock.Advance(time.Second)
	}
	// It has taken records for 20 s: its rate over five minutes is not a fifteenth of what it takes.
	near(t, "5 min records", r.ShardRates(d.ID)[0].Last5m.RecordsIn, 100, 0.01)
}

func TestShardRatesCountReadsAndThrottling(t *testing.T) {
	r := newRig(t, broker.LimitsAWS)
	d := r.stream("s", 2)
	failed, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(500, 100, "k")})
	r.must(err)
	more, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(500, 100, "k")})
	r.must(err)
	last, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(7, 100, "k")})
	r.must(err)
	if failed != 0 || more != 0 || last != 7 {
		t.Fatalf("%d, %d and %d records were refused: want 0, 0 and 7", failed, more, last)
	}
	shard := leat.ShardID(hot(r.ShardRates(d.ID)).Shard.Key.Ordinal)
	it := r.iterator("s", shard, broker.StartingPosition{Type: broker.TrimHorizon})
	r.clock.Advance(10 * time.Second)
	page, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it, Limit: 300})
	r.must(err)
	for range 6 {
		_, err = r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: it, Limit: 1})
	}
	r.wantKind(err, leat.KindThroughputExceeded, "")
	got := hot(r.ShardRates(d.ID))
	if got.Total.ThrottledWrites != 7 || got.Total.RecordsIn != 1000 {
		t.Errorf("%+v: want 1000 records in and 7 refused", got.Total)
	}
	if got.Total.RecordsOut != 300+4 || got.Total.BytesOut != 304*100 || got.Total.ThrottledReads != 2 {
		t.Errorf("%+v: want 304 records out and 2 reads refused", got.Total)
	}
	if got.IteratorAge < 10*time.Second || got.IteratorAge != page.Behind {
		t.Errorf("iterator age %v: want the %v of the last read", got.IteratorAge, page.Behind)
	}
}

// The slowest of several readers shows, whoever read last: by it one is warned before it loses records.
func TestSlowestReaderShows(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	d := r.stream("s", 1)
	r.put("s", "k", "old")
	slow := r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon})
	r.put("s", "k", "new")
	quick := r.iterator("s", "0", broker.StartingPosition{Type: broker.Latest})
	r.clock.Advance(time.Minute)
	age := func() time.Duration { return r.ShardRates(d.ID)[0].IteratorAge }
	for range 3 {
		page, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: slow, Limit: 1})
		r.must(err)
		r.read(quick)
		if got := age(); got != page.Behind || got < time.Minute {
			t.Errorf("%v behind, want %v, where one of two readers is", got, page.Behind)
		}
		r.clock.Advance(10 * time.Second)
	}
	r.clock.Advance(time.Minute)
	if got := age(); got != 0 {
		t.Errorf("%v behind, want what the last read was", got)
	}
	r.read(slow) // all that there is
	if got := age(); got != 0 {
		t.Errorf("%v behind when all are at the end", got)
	}
}

func hot(rates []broker.ShardRate) (most broker.ShardRate) {
	for _, s := range rates {
		if s.Total.RecordsIn >= most.Total.RecordsIn {
			most = s
		}
	}
	return most
}

// TestShardRatesBalance: the boundary that is offered for a split divides what was put, wherever in the range it fell.
func TestShardRatesBalance(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for name, test := range map[string]struct {
		key      func(i int) leat.HashKey
		min, max float64 // of what lies below
	}{
		"even":     {func(int) leat.HashKey { return leat.HashKey{Hi: rng.Uint64(), Lo: rng.Uint64()} }, 0.45, 0.55},
		"low end":  {func(int) leat.HashKey { return leat.HashKey{Hi: rng.Uint64() >> 3} }, 0.4, 0.6},
		"high end": {func(int) leat.HashKey { return leat.HashKey{Hi: ^uint64(0) - rng.Uint64()>>3} }, 0.4, 0.6},
		"two keys": {func(i int) leat.HashKey { return leat.HashKey{Hi: uint64(1+i%2) << 61} }, 0.5, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, broker.LimitsOff)
			d := r.stream("s", 1)
			var all []broker.Put
			for i := range 500 {
				h := test.key(i)
				all = append(all, broker.Put{Record: leat.Record{PartitionKey: "k", ExplicitHash: &h}})
			}
			_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: all})
			r.must(err)
			b := r.ShardRates(d.ID)[0].Balance
			below := 0
			for i := range all {
				if all[i].Record.HashKey().Compare(b.At) < 0 {
					below++
				}
			}
			share := float64(below) / 500
			if share < test.min || share > test.max || math.Abs(share-b.Below) > 0.001 {
				t.Errorf("split at %s: %g lie below, and it says %g; want %g to %g", b.At, share, b.Below, test.min, test.max)
			}
			if err := r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0", NewStartingHashKey: b.At.String()}); err != nil {
				t.Errorf("the shard cannot be split there: %v", err)
			}
		})
	}
}

// TestShardRatesBalanceForgets: load that has moved does not decide where a shard is split.
func TestShardRatesBalanceForgets(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	d := r.stream("s", 1)
	put := func(hi uint64) {
		for range 60 {
			for i := range 2 {
				h := leat.HashKey{Hi: hi + uint64(i)<<60}
				_, err := r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k", ExplicitHash: &h}})
				r.must(err)
			}
			r.clock.Advance(5 * time.Second)
		}
	}
	put(0)
	put(1 << 63)
	if b := r.ShardRates(d.ID)[0].Balance; b.At.Hi <= 1<<63 || b.At.Hi > 1<<63+1<<60 {
		t.Errorf("split at %s, which does not divide what was put lately", b.At)
	}
}

// TestShardRatesOfNarrowShards: a shard of a few keys offers no boundary that a split would refuse.
func TestShardRatesOfNarrowShards(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	d := r.stream("s", 1)
	for _, cut := range []string{"1000", "1010"} {
		open := 0
		for _, s := range r.ShardRates(d.ID) {
			if s.Shard.Open() && s.Shard.Range.End == leat.MaxHashKey {
				open = int(s.Shard.Key.Ordinal)
			}
		}
		r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: fmt.Sprint(open), NewStartingHashKey: cut}))
		r.settle()
	}
	for i := range uint64(10) {
		h := leat.HashKey{Lo: 1000 + i}
		_, err := r.PutRecord(t.Context(), who, broker.PutRecordRequest{Stream: "s", Record: leat.Record{PartitionKey: "k", ExplicitHash: &h}})
		r.must(err)
	}
	for _, s := range r.ShardRates(d.ID) {
		if s.Shard.Open() && s.Shard.Range.Start.Lo == 1000 {
			near(t, "share below", s.Balance.Below, 0.5, 0.01)
			if s.Balance.At != (leat.HashKey{Lo: 1005}) {
				t.Errorf("split at %s: want 1005", s.Balance.At)
			}
			return
		}
	}
	t.Fatal("no shard of ten keys")
}

// TestShardRatesAfterAReshard: children count for themselves, the stream's sums go on, and what is gone is forgotten.
func TestShardRatesAfterAReshard(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	d := r.stream("s", 1)
	run, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(run) }()
	defer func() {
		stop()
		r.must(<-done)
	}()
	r.put("s", "a", "1")
	r.must(r.SplitShard(t.Context(), who, broker.SplitShardRequest{Stream: "s", Shard: "0"}))
	r.settle()
	r.put("s", "a", "2")
	r.put("s", "b", "3")
	var sum uint64
	for _, s := range r.ShardRates(d.ID) {
		sum += s.Total.RecordsIn
		if s.Shard.Key.Ordinal == 0 && s.Total.RecordsIn != 1 {
			t.Errorf("the parent counts %d records: want 1", s.Total.RecordsIn)
		}
	}
	if total := r.StreamTotals(d.ID); sum != 3 || total.RecordsIn != 3 {
		t.Errorf("shards count %d records, the stream %d: want 3", sum, total.RecordsIn)
	}
	// The parent is used no more: it is forgotten, and the stream's sum is not smaller for it.
	limit := within(t)
	for len(r.ShardRates(d.ID)) > 2 {
		if !r.clock.untilArmed(limit, time.Minute) {
			t.Fatal("the broker does not tidy up")
		}
		r.clock.Advance(time.Minute)
	}
	if total := r.StreamTotals(d.ID); total.RecordsIn != 3 {
		t.Errorf("the stream counts %d records once its parent shard is forgotten: want 3", total.RecordsIn)
	}
	r.put("s", "a", "4")
	if total := r.StreamTotals(d.ID); total.RecordsIn != 4 {
		t.Errorf("the stream counts %d records after a rest: want 4", total.RecordsIn)
	}
}

func TestShardRatesCountPushes(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	d := r.stream("s", 1)
	r.consumer("s", "c")
	r.put("s", "k", "12345")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	err := r.Subscribe(ctx, who, broker.SubscribeRequest{Stream: "s", Consumer: "c", Shard: "0", Start: broker.StartingPosition{Type: broker.TrimHorizon}},
		func(e broker.Event) error {
			if len(e.Records) > 0 {
				stop()
			}
			return nil
		})
	r.wantKind(err, leat.KindCanceled, "")
	if got := r.ShardRates(d.ID)[0].Total; got.RecordsOut != 1 || got.BytesOut != 6 {
		t.Errorf("%+v: want one record of 6 bytes out", got)
	}
}

// TestCountingDoesNotAllocate holds the promise that counting is cheap on the put path.
func TestCountingDoesNotAllocate(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 4)
	r.engine.refuse = leat.Errorf(leat.KindThroughputExceeded, "full")
	batch := puts(500, 100, "k")
	call := func() {
		_, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: batch})
		r.wantKind(err, leat.KindThroughputExceeded, "")
	}
	call()
	if n := testing.AllocsPerRun(20, call); n > 10 {
		t.Errorf("%g allocations for a call of 500 records", n)
	}
}

// A person's look at records is nobody's read: neither what goes out nor how far readers are behind changes by it.
func TestLooksAreNotCounted(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	d := r.stream("s", 1)
	r.put("s", "k", "12345")
	r.put("s", "k", "67890")
	r.clock.Advance(time.Minute)
	page, err := r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon}), Limit: 1, Look: true})
	r.must(err)
	if len(page.Records) != 1 || page.Behind == 0 {
		t.Fatalf("%d records, %s behind", len(page.Records), page.Behind)
	}
	if got := r.ShardRates(d.ID)[0]; got.Total.RecordsOut != 0 || got.Total.BytesOut != 0 || got.IteratorAge != 0 {
		t.Errorf("a look is counted: %+v", got)
	}
	_, err = r.GetRecords(t.Context(), who, broker.GetRecordsRequest{Iterator: r.iterator("s", "0", broker.StartingPosition{Type: broker.TrimHorizon}), Limit: 1})
	r.must(err)
	if got := r.ShardRates(d.ID)[0]; got.Total.RecordsOut != 1 || got.IteratorAge == 0 {
		t.Errorf("a read is not counted: %+v", got)
	}
}
