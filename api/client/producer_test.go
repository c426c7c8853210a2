// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/testproc"
)

// quick are options for tests: short pauses, many small batches.
func quick(o client.ProducerOptions) client.ProducerOptions {
	o.BackoffMin, o.BackoffMax = time.Millisecond, 4*time.Millisecond
	o.ResolveSettle = -1
	if o.BatchRecords == 0 {
		o.BatchRecords = 7
	}
	return o
}

func producer(tb testing.TB, c *client.Client, o client.ProducerOptions) *client.Producer {
	tb.Helper()
	p, err := client.NewProducer(c, "s", o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// random returns a source whose seed is told when the test fails.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// fate is what a producer said of one record.
type fate struct {
	placed client.Placed
	err    error
}

// fates collects what a producer says, by the number of the record.
type fates struct {
	mu sync.Mutex
	by map[int]fate
}

func (f *fates) done(i int) func(client.Placed, error) {
	return func(p client.Placed, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.by == nil {
			f.by = map[int]fate{}
		}
		if _, twice := f.by[i]; twice {
			panic("two fates for one record")
		}
		f.by[i] = fate{p, err}
	}
}

// checkPlaces fails unless every acknowledged record stands where the producer said, with its bytes, and the records of
// each key stand in the order of Put. It returns how often each record stands in the stream.
func checkPlaces(t *testing.T, f *fake, got *fates, keys []string) map[string]int {
	t.Helper()
	held, times := map[string]*leatv1.Record{}, map[string]int{}
	for _, r := range f.all() {
		held[r.GetSequenceNumber()] = r
		times[string(r.GetData())]++
	}
	last := map[string]string{}
	for i, key := range keys {
		ft := got.by[i]
		if ft.err != nil {
			continue
		}
		r := held[ft.placed.SequenceNumber]
		if r == nil || string(r.GetData()) != fmt.Sprint(i) || r.GetPartitionKey() != key {
			t.Fatalf("record %d was acknowledged at %s, where %v stands", i, ft.placed.SequenceNumber, r)
		}
		if ft.placed.SequenceNumber <= last[key] {
			t.Fatalf("record %d of key %s stands before an earlier one of that key", i, key)
		}
		last[key] = ft.placed.SequenceNumber
	}
	return times
}

// A server that throttles, fails with and without writing, and loses answers.
func misbehave(f *fake, rnd *rand.Rand) {
	f.throttle = func(int) bool { return rnd.IntN(40) == 0 }
	f.lose = func(int) (applied, lost bool) { return rnd.IntN(2) == 0, rnd.IntN(60) == 0 }
	f.beforePut = func(*leatv1.PutRecordsRequest) error {
		switch rnd.IntN(12) {
		case 0:
			return wireError(leat.KindUnavailable, "opening", 0)
		case 1:
			return wireError(leat.KindThroughputExceeded, "too much", time.Millisecond)
		}
		return nil
	}
	f.afterPut = func() error {
		if rnd.IntN(10) == 0 {
			return status.Error(codes.Unavailable, "the answer is lost")
		}
		return nil
	}
}

func TestProducerKeepsOrderAndLosesNothing(t *testing.T) {
	for _, policy := range []client.UnknownPolicy{client.UnknownRepeat, client.UnknownResolve, client.UnknownFail} {
		for range 6 {
			t.Run(fmt.Sprint(policy), func(t *testing.T) {
				rnd := random(t)
				f := newFake(3)
				misbehave(f, rand.New(rand.NewPCG(rnd.Uint64(), 1)))
				p := producer(t, f.dial(t), quick(client.ProducerOptions{Unknown: policy, Lanes: 1 + rnd.IntN(5), BatchRecords: 1 + rnd.IntN(20)}))
				var got fates
				keys := make([]string, 600)
				for i := range keys {
					keys[i] = fmt.Sprintf("k%d", rnd.IntN(12))
					if err := p.PutFunc(t.Context(), client.Record{PartitionKey: keys[i], Data: fmt.Append(nil, i)}, got.done(i)); err != nil {
						t.Fatal(err)
					}
				}
				if err := p.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				times := checkPlaces(t, f, &got, keys)
				checkPolicy(t, policy, &got, times, len(keys))
				checkStats(t, p.Stats(), &got, len(keys))
			})
		}
	}
}

// checkPolicy fails unless the policy's own promise was kept.
func checkPolicy(t *testing.T, policy client.UnknownPolicy, got *fates, times map[string]int, n int) {
	t.Helper()
	for i := range n {
		err, count := got.by[i].err, times[fmt.Sprint(i)]
		switch {
		case policy == client.UnknownFail && err != nil:
			if leat.KindOf(err) != leat.KindUnknownOutcome || count > 1 {
				t.Fatalf("record %d, %d times in the stream, failed with %v", i, count, err)
			}
		case err != nil:
			t.Fatalf("record %d failed: %v", i, err)
		case policy != client.UnknownRepeat && count != 1:
			t.Fatalf("record %d stands %d times in the stream", i, count)
		case count < 1:
			t.Fatalf("record %d was acknowledged and is not there", i)
		}
	}
}

func checkStats(t *testing.T, s client.ProducerStats, got *fates, n int) {
	t.Helper()
	var failed int64
	for _, ft := range got.by {
		if ft.err != nil {
			failed++
		}
	}
	if s.Put != int64(n) || s.Acked+s.Failed != s.Put || s.Failed != failed || s.Outstanding != 0 {
		t.Errorf("%d records, %d failed, but the producer counts %+v", n, failed, s)
	}
}

// The same key and data again and again: what was put before must not be taken for what was lost.
func TestResolveTellsEqualRecordsApart(t *testing.T) {
	rnd := random(t)
	f := newFake(2)
	for range 40 { // an earlier run of the same input
		f.append(f.shards[0], &leatv1.PutRecordsRequestEntry{PartitionKey: "a", Data: []byte("same")})
		f.append(f.shards[1], &leatv1.PutRecordsRequestEntry{PartitionKey: "a", Data: []byte("same")})
	}
	misbehave(f, rand.New(rand.NewPCG(rnd.Uint64(), 1)))
	p := producer(t, f.dial(t), quick(client.ProducerOptions{Unknown: client.UnknownResolve}))
	var got fates
	const n = 300
	for i := range n {
		if err := p.PutFunc(t.Context(), client.Record{PartitionKey: "a", Data: []byte("same")}, got.done(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	places := map[string]bool{}
	for i, ft := range got.by {
		if ft.err != nil || places[ft.placed.SequenceNumber] {
			t.Errorf("record %d: %+v, a place that another has, or an error", i, ft)
		}
		places[ft.placed.SequenceNumber] = true
	}
	if have := len(f.all()) - 80; have != n {
		t.Errorf("%d records stand in the stream, want %d", have, n)
	}
}

// putEqual puts equal records into shards, in the fake's second call, and returns their fates by the shard.
func putEqual(t *testing.T, f *fake, shards ...int) *fates {
	t.Helper()
	entered, release := make(chan struct{}), make(chan struct{})
	f.beforePut = func(*leatv1.PutRecordsRequest) error {
		if f.calls == 1 {
			close(entered)
			<-release
		}
		return nil
	}
	ranges := leat.SplitEvenly(len(f.shards))
	p := producer(t, f.dial(t), quick(client.ProducerOptions{Unknown: client.UnknownResolve, Lanes: 1}))
	if _, err := p.Put(t.Context(), "k", []byte("keeps the lane busy")); err != nil {
		t.Fatal(err)
	}
	<-entered
	var got fates
	for _, s := range shards {
		r := client.Record{PartitionKey: "k", ExplicitHashKey: ranges[s].End.String(), Data: []byte("same")}
		if err := p.PutFunc(t.Context(), r, got.done(s)); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &got
}

// same counts the records of putEqual in each shard.
func (f *fake) same() (in []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.shards {
		n := 0
		for _, r := range s.records {
			if string(r.GetData()) == "same" {
				n++
			}
		}
		in = append(in, n)
	}
	return in
}

// Equal records that are meant for two shards, of which one alone was written: it must not be taken for the other one.
func TestResolveTellsEqualRecordsOfTwoShardsApart(t *testing.T) {
	for written := range 2 {
		f := newFake(2)
		f.lose = func(shard int) (applied, lost bool) { return shard == written, f.calls == 2 }
		got := putEqual(t, f, 0, 1)
		for i := range 2 {
			if ft := got.by[i]; ft.err != nil || ft.placed.ShardID != leat.ShardID(uint64(i)) || ft.placed.Found != (i == written) {
				t.Errorf("%d was written: the record for shard %d: %+v", written, i, ft)
			}
		}
		if in := f.same(); !slices.Equal(in, []int{1, 1}) {
			t.Errorf("%d was written: the shards have %d of the records", written, in)
		}
	}
}

// Shards are merged between two equal records, so that one is in a parent, and the other in the child, which takes either:
// both are found.
func TestResolveTellsEqualRecordsApartAcrossAMerge(t *testing.T) {
	for i := range 30 { // a map's order is not the same each time
		f := newFake(2)
		f.lose = func(shard int) (applied, lost bool) {
			if f.calls == 2 && shard < 2 {
				f.shards[0].closed, f.shards[1].closed = true, true
				f.addShard(leat.FullRange, 0, 1)
			}
			return true, f.calls == 2
		}
		first := i % 2
		got := putEqual(t, f, first, 1-first)
		for s, ft := range got.by {
			if ft.err != nil || !ft.placed.Found {
				t.Fatalf("the record for shard %d: %+v", s, ft)
			}
		}
		if in := f.same(); in[first] != 1 || in[1-first] != 0 || in[2] != 1 {
			t.Fatalf("%d was first: the shards have %d of the records", first, in)
		}
	}
}

// The shard is split between the put that was lost and the search.
func TestResolveLooksInChildren(t *testing.T) {
	f := newFake(1)
	calls := 0
	f.beforePut = func(*leatv1.PutRecordsRequest) error {
		if calls++; calls == 2 { // the producer still knows shard 0 alone
			f.mu.Unlock()
			f.split(0)
			f.mu.Lock()
		}
		return nil
	}
	f.afterPut = func() error {
		if calls == 2 {
			return status.Error(codes.Unavailable, "the answer is lost")
		}
		return nil
	}
	p := producer(t, f.dial(t), quick(client.ProducerOptions{Unknown: client.UnknownResolve, Lanes: 1}))
	for i := range 2 {
		ack, err := p.Put(t.Context(), "k", fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		placed, err := ack.Wait(t.Context())
		if err != nil || placed.Found != (i == 1) || (placed.ShardID == leat.ShardID(0)) != (i == 0) {
			t.Errorf("record %d: %+v, %v", i, placed, err)
		}
	}
	if n := len(f.all()); n != 2 {
		t.Errorf("%d records stand in the stream", n)
	}
}

// The server's process dies with requests on their way, and comes back at the same address.
func TestProducerOutlivesTheServer(t *testing.T) {
	f := newFake(3)
	port, err := testproc.ReservePort() // nobody takes it while the server is away
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := port.Release(); err != nil {
			t.Error(err)
		}
	})
	server, address := f.start(t, port.Addr())
	p := producer(t, dial(t, address), quick(client.ProducerOptions{Unknown: client.UnknownResolve}))
	killed := make(chan struct{})
	calls := 0
	f.afterPut = func() error {
		if calls++; calls == 20 {
			go func() { server.Stop(); close(killed) }()
			return status.Error(codes.Unavailable, "dying")
		}
		return nil
	}
	var got fates
	keys := make([]string, 2000)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d", i%17)
		if err := p.PutFunc(t.Context(), client.Record{PartitionKey: keys[i], Data: fmt.Append(nil, i)}, got.done(i)); err != nil {
			t.Fatal(err)
		}
		if i == 1000 {
			p2, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			select {
			case <-killed:
			case <-p2.Done():
				t.Fatal("the server was never killed")
			}
			cancel()
			f.start(t, address)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	times := checkPlaces(t, f, &got, keys)
	checkPolicy(t, client.UnknownResolve, &got, times, len(keys))
}

func TestBadRecordDoesNotTakeOthersWithIt(t *testing.T) {
	f := newFake(1)
	f.beforePut = func(req *leatv1.PutRecordsRequest) error {
		for i, r := range req.GetRecords() {
			if string(r.GetData()) == "bad" {
				return wireFieldError(leat.KindInvalidArgument, fmt.Sprintf("records[%d].data", i), "too large", 0)
			}
		}
		return nil
	}
	p := producer(t, f.dial(t), quick(client.ProducerOptions{Lanes: 1}))
	acks := map[int]*client.Ack{}
	for i := range 9 {
		data := "good"
		if i%4 == 3 {
			data = "bad"
		}
		var err error
		if acks[i], err = p.Put(t.Context(), "k", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	for i, ack := range acks {
		if _, err := ack.Wait(t.Context()); (err != nil) != (i%4 == 3) || (err != nil && leat.KindOf(err) != leat.KindInvalidArgument) {
			t.Errorf("record %d: %v", i, err)
		}
	}
}

func TestProducerGivesUp(t *testing.T) {
	f := newFake(1)
	f.beforePut = func(*leatv1.PutRecordsRequest) error { return wireError(leat.KindUnavailable, "never", 0) }
	o := quick(client.ProducerOptions{})
	o.RetryFor = 20 * time.Millisecond
	p := producer(t, f.dial(t), o)
	var acks []*client.Ack
	for range 100 {
		ack, err := p.Put(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		if _, err := ack.Wait(t.Context()); leat.KindOf(err) != leat.KindUnavailable {
			t.Fatalf("got %v, want UNAVAILABLE", err)
		}
	}
}

func TestPutRefuses(t *testing.T) {
	f := newFake(1)
	p := producer(t, f.dial(t), client.ProducerOptions{MaxRecordBytes: 100})
	for _, r := range []client.Record{
		{},
		{PartitionKey: "k", Data: make([]byte, 100)},
		{PartitionKey: "k", ExplicitHashKey: "-1"},
		{PartitionKey: "\xff"},
	} {
		if err := p.PutFunc(t.Context(), r, nil); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Put(t.Context(), "k", nil); leat.KindOf(err) != leat.KindCanceled {
		t.Errorf("put after close: %v", err)
	}
	for _, o := range []client.ProducerOptions{{BatchRecords: 501}, {BatchBytes: 11 << 20}, {Lanes: -1}, {MaxOutstanding: 1}, {Unknown: 9}} {
		if _, err := client.NewProducer(nil, "s", o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := client.NewProducer(nil, "a b", client.ProducerOptions{}); leat.KindOf(err) != leat.KindInvalidArgument {
		t.Errorf("a stream name with a space: %v", err)
	}
}

// A server that does not answer: Put waits at the bound, and Close cuts everything off.
func TestPutWaitsAtTheBound(t *testing.T) {
	f := newFake(1)
	entered, release := make(chan struct{}), make(chan struct{})
	f.beforePut = func(*leatv1.PutRecordsRequest) error {
		close(entered)
		<-release
		return nil
	}
	defer close(release)
	p, err := client.NewProducer(f.dial(t), "s", client.ProducerOptions{MaxOutstanding: 11 << 20})
	if err != nil {
		t.Fatal(err)
	}
	acks := make([]*client.Ack, 10)
	for i := range acks {
		if acks[i], err = p.Put(t.Context(), "k", make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err = p.Put(ctx, "k", make([]byte, 1<<20)); leat.KindOf(err) != leat.KindCanceled || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beyond the bound: %v", err)
	}
	if s := p.Stats(); s.Outstanding > 11<<20 {
		t.Errorf("%d bytes are outstanding", s.Outstanding)
	}
	if err := p.Close(ctx); leat.KindOf(err) != leat.KindCanceled {
		t.Errorf("Close: %v", err)
	}
	for i, ack := range acks {
		_, err := ack.Wait(t.Context())
		want := leat.KindCanceled
		if i == 0 { // it was on its way
			want = leat.KindUnknownOutcome
		}
		if leat.KindOf(err) != want {
			t.Errorf("record %d: %v (%s), want %s", i, err, leat.KindOf(err), want)
		}
	}
}

// Batches: many records that are put at once do not go one by one, and no batch is over its bounds.
func TestBatches(t *testing.T) {
	f := newFake(1)
	f.beforePut = func(req *leatv1.PutRecordsRequest) error {
		bytes := 0
		for _, r := range req.GetRecords() {
			bytes += len(r.GetPartitionKey()) + len(r.GetData())
		}
		if len(req.GetRecords()) > 500 || (bytes > 50_000 && len(req.GetRecords()) > 1) {
			t.Errorf("a batch of %d records and %d bytes", len(req.GetRecords()), bytes)
		}
		return nil
	}
	p := producer(t, f.dial(t), client.ProducerOptions{BatchBytes: 50_000, Lanes: 2})
	for i := range 5000 {
		if _, err := p.Put(t.Context(), fmt.Sprint("k", i%10), make([]byte, 90)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Put(t.Context(), "k", make([]byte, 60_000)); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats(); s.Acked != 5001 || s.Batches > 200 || s.Batches < 10 {
		t.Errorf("%+v", s)
	}
}
