// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/api/leattest"
)

// Two shards become three: the middle one is merged of a child of each. Whoever is done with the first shard hears of it before its second parent, and
// reads it after the second shard all the same.
func TestReaderWaitsForBothLinesOfAMerge(t *testing.T) {
	c := dial(t, leattest.Start(t).Endpoint)
	if err := createStream(t.Context(), c, "s", 2); err != nil {
		t.Fatal(err)
	}
	p := producer(t, c, client.ProducerOptions{})
	put := func(n int, data string, hash leat.HashKey) {
		t.Helper()
		for range n {
			if err := p.PutFunc(t.Context(), client.Record{PartitionKey: "k", ExplicitHashKey: hash.String(), Data: []byte(data)}, func(_ client.Placed, err error) {
				if err != nil {
					t.Error(err)
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const backlog = 300
	second := leat.SplitEvenly(2)[1]
	put(1, "first", leat.HashKey{})
	put(backlog, "second", second.End)
	r := reader(t, c, client.TrimHorizon(), client.ReaderOptions{PageRecords: 10})
	got := map[string]int{}
	next := func() string {
		t.Helper()
		rec, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got[string(rec.Data)]++
		return string(rec.Data)
	}
	next() // it has listed two shards
	if _, err := c.Shards.ScaleStream(t.Context(), &leatv1.ScaleStreamRequest{Stream: "s", TargetShardCount: 3}); err != nil {
		t.Fatal(err)
	}
	if err := active(t.Context(), c, "s"); err != nil {
		t.Fatal(err)
	}
	put(1, "merged", second.Start)
	for data := ""; data != "merged"; {
		data = next()
	}
	if got["first"] != 1 || got["second"] != backlog {
		t.Errorf("what was merged is read after %v", got)
	}
}

// Retention overtakes a reader: shards go that it is reading, or that wait for their parents. It goes on with what is left of their line.
func TestReaderGoesOnBehindShardsThatHaveGone(t *testing.T) {
	for _, consumer := range []string{"", "c"} {
		rnd := random(t)
		f := newFake(1)
		f.put(rnd, 20)
		f.split(0) // 1, 2
		f.put(rnd, 20)
		f.split(1) // 3, 4
		f.put(rnd, 20)
		f.split(3) // 5, 6
		f.put(rnd, 20)
		r := reader(t, f.dial(t), client.TrimHorizon(), client.ReaderOptions{Consumer: consumer, PageRecords: 1})
		if _, err := r.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		left := 0
		for _, n := range []int{0, 1, 3} { // 0 is being read, 1 and 3 wait
			f.shards[n].gone = true
		}
		for _, s := range f.shards {
			if !s.gone {
				left += len(s.records)
			}
		}
		f.mu.Unlock()
		for left > 0 {
			rec, err := r.Next(t.Context())
			if err != nil {
				t.Fatalf("%d records before the end: %v", left, err)
			}
			if rec.ShardID != leat.ShardID(0) { // of which a page or two were on their way
				left--
			}
		}
		for _, n := range []uint64{0, 1, 3} {
			if at := r.Checkpoints()[leat.ShardID(n)]; !at.Ended {
				t.Errorf("shard %d is at %+v", n, at)
			}
		}
	}
}

// A stream that was deleted has not ended.
func TestReaderOfADeletedStreamFails(t *testing.T) {
	f := newFake(1)
	f.beforeRead = func(string) error { f.removed = true; return nil }
	r := reader(t, f.dial(t), client.TrimHorizon(), client.ReaderOptions{})
	if _, err := r.Next(t.Context()); leat.KindOf(err) != leat.KindNotFound {
		t.Errorf("got %v", err)
	}
}

// Whoever is ready has its place in every shard, and misses nothing of what is put then, though one page alone may wait for Next.
func TestReaderIsReadyAtLatest(t *testing.T) {
	for _, consumer := range []string{"", "c"} {
		rnd := random(t)
		f := newFake(4)
		f.put(rnd, 40)
		w := newWitness(f)
		for n, s := range f.shards {
			w.last[uint64(n)] = len(s.records)
		}
		r := reader(t, f.dial(t), client.Latest(), client.ReaderOptions{Consumer: consumer, PagesAhead: 1})
		if err := r.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.put(rnd, 100)
		for range 100 {
			rec, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.see(t, rec)
		}
	}
	f := newFake(1)
	f.removed = true
	if err := reader(t, f.dial(t), client.Latest(), client.ReaderOptions{}).Ready(t.Context()); leat.KindOf(err) != leat.KindNotFound {
		t.Errorf("a stream that is not there: %v", err)
	}
}
