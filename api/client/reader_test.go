// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

func reader(tb testing.TB, c *client.Client, begin client.Start, o client.ReaderOptions) *client.Reader {
	tb.Helper()
	o.PollMin, o.PollMax = time.Millisecond, 4*time.Millisecond
	o.BackoffMin, o.BackoffMax = time.Millisecond, 4*time.Millisecond
	r, err := client.NewReader(c, "s", begin, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = r.Close() })
	return r
}

// reshard splits or merges by chance.
func (f *fake) reshard(rnd *rand.Rand) {
	f.mu.Lock()
	var open []*fakeShard
	for _, s := range f.shards {
		if !s.closed {
			open = append(open, s)
		}
	}
	f.mu.Unlock()
	slices.SortFunc(open, func(a, b *fakeShard) int { return a.hashes.Start.Compare(b.hashes.Start) })
	i := rnd.IntN(len(open))
	if i+1 < len(open) && rnd.IntN(2) == 0 {
		f.merge(int(open[i].key.Ordinal), int(open[i+1].key.Ordinal))
	} else {
		f.split(int(open[i].key.Ordinal))
	}
}

// trouble makes reads fail now and then, in each way that a reader gets over.
func trouble(f *fake, rnd *rand.Rand) {
	f.beforeRead = func(string) error {
		switch rnd.IntN(15) {
		case 0:
			return wireError(leat.KindExpiredIterator, "Iterator expired", 0)
		case 1:
			return wireError(leat.KindThroughputExceeded, "Rate exceeded", time.Millisecond)
		case 2:
			return wireError(leat.KindUnavailable, "moving", 0)
		}
		return nil
	}
}

// witness checks that what a reader returns is in order, in no shard before the end of its parents, and never twice.
type witness struct {
	f    *fake
	last map[uint64]int // records seen of each shard
	seen int
}

func newWitness(f *fake) *witness { return &witness{f: f, last: map[uint64]int{}} }

func (w *witness) see(t *testing.T, r *client.ReadRecord) {
	t.Helper()
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	n, err := leat.ParseShardID(r.ShardID)
	if err != nil {
		t.Fatal(err)
	}
	s := w.f.shards[n]
	want := s.records[w.last[n]]
	if r.SequenceNumber != want.GetSequenceNumber() || r.PartitionKey != want.GetPartitionKey() || string(r.Data) != string(want.GetData()) {
		t.Fatalf("%s: got %s after %d records, want %s", r.ShardID, r.SequenceNumber, w.last[n], want.GetSequenceNumber())
	}
	for _, p := range s.parents {
		if w.last[p] != len(w.f.shards[p].records) {
			t.Fatalf("%s was read before the end of its parent %s", r.ShardID, leat.ShardID(p))
		}
	}
	w.last[n]++
	w.seen++
}

func TestReaderReadsToThePresent(t *testing.T) {
	for range 10 {
		rnd := random(t)
		f := newFake(1 + rnd.IntN(4))
		trouble(f, rand.New(rand.NewPCG(rnd.Uint64(), 1)))
		for range 12 {
			f.put(rnd, rnd.IntN(40))
			if rnd.IntN(2) == 0 {
				f.reshard(rnd)
			}
		}
		r := reader(t, f.dial(t), client.TrimHorizon(), client.ReaderOptions{ToPresent: true, PageRecords: 1 + rnd.IntN(20), PagesAhead: 1 + rnd.IntN(4)})
		w := newWitness(f)
		for rec, err := range r.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			w.see(t, rec)
		}
		if all := len(f.all()); w.seen != all {
			t.Errorf("read %d of %d records", w.seen, all)
		}
		if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
	}
}

// A stream is written and resharded while it is followed, and the reader is made anew from its checkpoints all the time.
func TestReaderFollowsThroughReshardsAndRestarts(t *testing.T) {
	for _, consumer := range []string{"", "fan-out"} {
		t.Run("consumer "+consumer, func(t *testing.T) {
			rnd := random(t)
			f := newFake(2)
			trouble(f, rand.New(rand.NewPCG(rnd.Uint64(), 1)))
			c := f.dial(t)
			const rounds, each = 25, 20
			writer := rand.New(rand.NewPCG(rnd.Uint64(), 2))
			step := make(chan struct{}, rounds)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range rounds {
					<-step
					f.put(writer, each)
					f.reshard(writer)
				}
			}()
			defer func() { <-done }()
			w := newWitness(f)
			var at client.Checkpoints
			for w.seen < rounds*each {
				step <- struct{}{}
				r := reader(t, c, client.TrimHorizon(), client.ReaderOptions{Checkpoints: at, Consumer: consumer, PageRecords: 1 + rnd.IntN(20)})
				for range min(each, rounds*each-w.seen) {
					rec, err := r.Next(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					w.see(t, rec)
				}
				at = roundTrip(t, r.Checkpoints())
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// roundTrip keeps checkpoints as JSON.
func roundTrip(t *testing.T, at client.Checkpoints) (back client.Checkpoints) {
	t.Helper()
	b, err := json.Marshal(at)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestReaderBeginsAtLatest(t *testing.T) {
	rnd := random(t)
	f := newFake(2)
	f.put(rnd, 100)
	f.split(0)
	f.put(rnd, 100)
	started := make(chan struct{}, 100)
	f.beforeRead = func(string) error { started <- struct{}{}; return nil }
	r := reader(t, f.dial(t), client.Latest(), client.ReaderOptions{})
	for range 3 * 2 { // all three open shards have their place by then, since each is asked again only after a pause
		<-started
	}
	old := map[string]bool{}
	for _, rec := range f.all() {
		old[rec.GetSequenceNumber()] = true
	}
	f.mu.Lock()
	f.beforeRead = nil
	f.mu.Unlock()
	f.put(rnd, 50)
	f.reshard(rnd)
	f.put(rnd, 50)
	fresh := len(f.all()) - len(old)
	for range fresh {
		rec, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if old[rec.SequenceNumber] {
			t.Fatalf("%s is older than the reader", rec.SequenceNumber)
		}
	}
}

func TestReaderBeginsAtATime(t *testing.T) {
	rnd := random(t)
	f := newFake(2)
	f.put(rnd, 100)
	f.split(0)
	f.put(rnd, 30)
	f.split(1)
	f.mu.Lock()
	hour := time.Now().Add(-time.Hour)
	for _, s := range f.shards {
		for i, r := range s.records {
			r.ApproximateArrivalUnixMicros = hour.Add(time.Duration(i) * time.Millisecond).UnixMicro()
		}
	}
	f.mu.Unlock()
	before := len(f.all())
	f.put(rnd, 40)
	r := reader(t, f.dial(t), client.AtTime(hour.Add(time.Minute)), client.ReaderOptions{ToPresent: true})
	n := 0
	for rec, err := range r.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Arrival.Before(hour.Add(time.Minute)) {
			t.Fatalf("a record of %s", rec.Arrival)
		}
		n++
	}
	if want := len(f.all()) - before; n != want {
		t.Errorf("read %d records, want %d", n, want)
	}
}

func TestReaderOfOneShard(t *testing.T) {
	rnd := random(t)
	f := newFake(2)
	f.put(rnd, 60)
	f.split(1)
	f.put(rnd, 60)
	c := f.dial(t)
	from := f.shards[1].records[4].GetSequenceNumber()
	for _, tc := range []struct {
		begin client.Start
		skip  int
	}{{client.TrimHorizon(), 0}, {client.AtSequence(from), 4}, {client.AfterSequence(from), 5}} {
		r := reader(t, c, tc.begin, client.ReaderOptions{Shards: []string{"1"}})
		n := tc.skip
		for rec, err := range r.All(t.Context()) { // ends without ToPresent, since the shard is closed
			if err != nil {
				t.Fatal(err)
			}
			if rec.SequenceNumber != f.shards[1].records[n].GetSequenceNumber() {
				t.Fatalf("record %d is %s", n, rec.SequenceNumber)
			}
			n++
		}
		if n != len(f.shards[1].records) {
			t.Errorf("read up to %d of %d", n, len(f.shards[1].records))
		}
	}
	if _, err := client.NewReader(c, "s", client.AtSequence(from), client.ReaderOptions{}); leat.KindOf(err) != leat.KindInvalidArgument {
		t.Errorf("a sequence number for a whole stream: %v", err)
	}
	r := reader(t, c, client.TrimHorizon(), client.ReaderOptions{Shards: []string{"shardId-77"}})
	if _, err := r.Next(t.Context()); leat.KindOf(err) != leat.KindNotFound {
		t.Errorf("a shard that is not there: %v", err)
	}
}

func TestReaderFails(t *testing.T) {
	f := newFake(1)
	f.beforeRead = func(string) error { return wireError(leat.KindUnavailable, "gone", 0) }
	c := f.dial(t)
	r := reader(t, c, client.TrimHorizon(), client.ReaderOptions{RetryFor: 20 * time.Millisecond})
	for range 2 { // and it stays failed
		if _, err := r.Next(t.Context()); leat.KindOf(err) != leat.KindUnavailable {
			t.Errorf("a server that is away: %v", err)
		}
	}
	f.mu.Lock()
	f.beforeRead = func(string) error { return wireError(leat.KindCorrupt, "bad checksum", 0) }
	f.mu.Unlock()
	r = reader(t, c, client.TrimHorizon(), client.ReaderOptions{})
	if _, err := r.Next(t.Context()); leat.KindOf(err) != leat.KindCorrupt {
		t.Errorf("corruption is tried again: %v", err)
	}
	f.mu.Lock()
	f.beforeRead = nil
	f.mu.Unlock()
	r = reader(t, c, client.Latest(), client.ReaderOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.Next(ctx); leat.KindOf(err) != leat.KindCanceled {
		t.Errorf("nothing comes: %v", err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := r.Next(t.Context()); leat.KindOf(err) != leat.KindCanceled {
		t.Errorf("after Close: %v", err)
	}
}

// Whose connection broke may find its own subscription still standing for a moment; whoever comes to another's is told at once.
func TestReaderSubscribesAgain(t *testing.T) {
	f := newFake(1)
	f.put(random(t), 100)
	refused := 0
	f.beforeSubscription = func() error {
		if refused++; refused%2 == 0 {
			return wireError(leat.KindInUse, "Another active subscription exists", 0)
		}
		return nil
	}
	c := f.dial(t)
	r := reader(t, c, client.TrimHorizon(), client.ReaderOptions{Consumer: "c", ToPresent: true, BackoffMin: time.Millisecond})
	for n := range 100 {
		if _, err := r.Next(t.Context()); err != nil {
			t.Fatalf("after %d records: %v", n, err)
		}
	}
	f.mu.Lock()
	refused = 1
	f.mu.Unlock()
	r = reader(t, c, client.TrimHorizon(), client.ReaderOptions{Consumer: "c"})
	if _, err := r.Next(t.Context()); leat.KindOf(err) != leat.KindInUse {
		t.Errorf("another's subscription: %v", err)
	}
}

// A server ends the subscription of a reader that takes nothing in for minutes. The reader goes on where it was.
func TestReaderThatWasTooSlow(t *testing.T) {
	f := newFake(1)
	f.put(random(t), 100)
	f.afterSubscription = status.Error(codes.Canceled, "context canceled")
	r := reader(t, f.dial(t), client.TrimHorizon(), client.ReaderOptions{Consumer: "c", ToPresent: true, BackoffMin: time.Millisecond})
	n := 0
	for _, err := range r.All(t.Context()) {
		if err != nil {
			t.Fatalf("after %d records: %v", n, err)
		}
		n++
	}
	if n != 100 {
		t.Errorf("read %d records", n)
	}
}

// A stream that is written faster than its reader looks still has a present.
func TestPresentIsReachedUnderLoad(t *testing.T) {
	rnd := random(t)
	f := newFake(1)
	f.put(rnd, 100)
	f.beforeRead = func(string) error { // every read meets ten new records
		for i := range 10 {
			f.append(f.shards[0], &leatv1.PutRecordsRequestEntry{PartitionKey: "k", Data: fmt.Append(nil, i)})
		}
		return nil
	}
	r := reader(t, f.dial(t), client.TrimHorizon(), client.ReaderOptions{ToPresent: true, PageRecords: 10})
	n := 0
	for _, err := range r.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < 110 {
		t.Errorf("read %d records, fewer than there were at the start", n)
	}
}
