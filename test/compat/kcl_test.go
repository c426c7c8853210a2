// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat/test/e2e/rig"
)

// load puts records with many keys, each key in order, until stop is closed. It returns what was acknowledged by key.
type load struct {
	k      *kinesis.Client
	stream string
	acked  map[string]int // by key; read when run has ended
	total  atomic.Int64
}

const (
	producers       = 4
	keysOfAProducer = 8
)

func (l *load) run(ctx context.Context, stop <-chan struct{}) error {
	l.acked = map[string]int{}
	var g errgroup.Group
	counts := make([]int, producers)
	for p := range producers {
		g.Go(func() (err error) {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return nil
				default:
				}
				if err = l.put(ctx, p, i); err != nil {
					return fmt.Errorf("producer %d, record %d: %w", p, i, err)
				}
				counts[p]++
				l.total.Add(keysOfAProducer)
			}
		})
	}
	err := g.Wait()
	for p, n := range counts {
		for key := range keysOfAProducer {
			l.acked[fmt.Sprintf("key-%d-%d", p, key)] = n
		}
	}
	return err
}

// put puts record i of each key of a producer. Half of the producers put one by one, the others in batches.
func (l *load) put(ctx context.Context, p, i int) error {
	batch := &kinesis.PutRecordsInput{StreamName: &l.stream}
	for key := range keysOfAProducer {
		batch.Records = append(batch.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprintf("key-%d-%d", p, key)), Data: fmt.Append(nil, i)})
	}
	if p%2 == 0 {
		out, err := l.k.PutRecords(ctx, batch)
		if err == nil && aws.ToInt32(out.FailedRecordCount) > 0 {
			err = fmt.Errorf("%d records of a batch failed", *out.FailedRecordCount)
		}
		return err
	}
	for _, r := range batch.Records {
		if _, err := l.k.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &l.stream, PartitionKey: r.PartitionKey, Data: r.Data}); err != nil {
			return err
		}
	}
	return nil
}

// While producers keep writing, shards are split and merged; a polling application and one with fan-out follow parents
// to their end and then their children, and each gets every record once, in order of its key.
func TestKCLFollowsReshards(t *testing.T) {
	t.Parallel()
	n := dev(t)
	k := client(t, n)
	create(t, k, "kcl", 4)
	arn := *register(t, k, "kcl", "application").ConsumerARN
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()

	initial := shards(t, k, "kcl", &types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon})
	tiles(t, initial)
	polled, pushed := newLeases(initial), newLeases(initial)
	enough, stop := make(chan struct{}), make(chan struct{})
	l := &load{k: k, stream: "kcl"}
	ended := make(chan error, 3) // by two readers and the producers
	go func() { ended <- consume(ctx, polled, enough, (&poller{polled, k, "kcl"}).read) }()
	go func() {
		ended <- consume(ctx, pushed, enough, (&fanOut{leases: pushed, client: func() *kinesis.Client { return client(t, n) }, consumer: arn}).read)
	}()
	go func() { ended <- l.run(ctx, stop) }()
	early := func() {
		t.Helper()
		select {
		case err := <-ended:
			t.Fatalf("a producer or a reader ended early: %v", err)
		default:
		}
	}

	more := func() {
		t.Helper()
		at := l.total.Load()
		rig.Eventually(t, rig.Patience, "more records", func() error {
			early()
			if now := l.total.Load(); now < at+300 {
				return fmt.Errorf("%d records were put", now)
			}
			return nil
		})
	}
	more()
	split(t, k, "kcl", initial[0])
	more()
	merge(t, k, "kcl", initial[2], initial[3])
	more()
	now := open(shards(t, k, "kcl", nil))
	split(t, k, "kcl", now[len(now)-1])
	_, err := k.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: aws.String("kcl"), TargetShardCount: aws.Int32(3), ScalingType: types.ScalingTypeUniformScaling})
	must(t, err)
	active(t, k, "kcl")
	more()
	close(stop)
	must(t, <-ended)

	want := int(l.total.Load())
	rig.Eventually(t, rig.Patience, "all records", func() error {
		early()
		if polled.count() < want || pushed.count() < want {
			return fmt.Errorf("polled %d and pushed %d of %d", polled.count(), pushed.count(), want)
		}
		return nil
	})
	close(enough)
	must(t, <-ended)
	must(t, <-ended)
	all := shards(t, k, "kcl", nil)
	t.Logf("%d records through %d shards, %d of which are open", want, len(all), len(open(all)))
	for about, got := range map[string]*leases{"polled": polled, "pushed": pushed} {
		for key, n := range l.acked {
			inOrder(t, about+" "+key, got.got[key], n)
		}
		if got.count() != want {
			t.Errorf("%s %d records, want %d", about, got.count(), want)
		}
		for _, s := range all {
			if closed := s.SequenceNumberRange.EndingSequenceNumber != nil; closed != got.ended[*s.ShardId] {
				t.Errorf("%s: %s is closed: %v, was read to its end: %v", about, *s.ShardId, closed, got.ended[*s.ShardId])
			}
		}
	}
}

// inOrder expects "0", "1" and so on up to n.
func inOrder(tb testing.TB, about string, got []string, n int) {
	tb.Helper()
	if len(got) != n {
		tb.Errorf("%s: %d records, %d were acknowledged", about, len(got), n)
	}
	for i, data := range got {
		if data != fmt.Sprint(i) {
			tb.Errorf("%s: record %d is %s", about, i, data)
			return
		}
	}
}

// Each filter of ListShards gives the shards that the KCL builds its leases from, whole or page by page.
func TestKCLListsShards(t *testing.T) {
	t.Parallel()
	k := client(t, dev(t))
	create(t, k, "kcl", 3)
	first := shards(t, k, "kcl", nil)
	started := time.Now()
	split(t, k, "kcl", first[1])
	between := time.Now()
	all := shards(t, k, "kcl", nil)
	merge(t, k, "kcl", first[0], all[3])
	ids := func(filter *types.ShardFilter) (ids []string) {
		t.Helper()
		for _, s := range shards(t, k, "kcl", filter) {
			ids = append(ids, *s.ShardId)
		}
		in := &kinesis.ListShardsInput{StreamName: aws.String("kcl"), ShardFilter: filter, MaxResults: aws.Int32(2)}
		var paged []string
		for {
			out, err := k.ListShards(t.Context(), in)
			must(t, err)
			for _, s := range out.Shards {
				paged = append(paged, *s.ShardId)
			}
			if out.NextToken == nil {
				break
			}
			in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(2)}
		}
		if !slices.Equal(ids, paged) {
			t.Errorf("%+v: at once %v, in pages %v", filter, ids, paged)
		}
		return ids
	}
	numbers := func(want ...int) (ids []string) {
		for _, n := range want {
			ids = append(ids, fmt.Sprintf("shardId-%012d", n))
		}
		return ids
	}
	// Shards 0, 1 and 2; 1 was split into 3 and 4; 0 and 3 were merged into 5.
	for about, e := range map[string]struct {
		filter *types.ShardFilter
		want   []string
	}{
		"no filter":         {nil, numbers(0, 1, 2, 3, 4, 5)},
		"AT_TRIM_HORIZON":   {&types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}, numbers(0, 1, 2)},
		"FROM_TRIM_HORIZON": {&types.ShardFilter{Type: types.ShardFilterTypeFromTrimHorizon}, numbers(0, 1, 2, 3, 4, 5)},
		"AT_LATEST":         {&types.ShardFilter{Type: types.ShardFilterTypeAtLatest}, numbers(2, 4, 5)},
		"AT_TIMESTAMP":      {&types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp, Timestamp: &between}, numbers(0, 2, 3, 4)},
		"at the start":      {&types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp, Timestamp: &started}, numbers(0, 1, 2)},
		"FROM_TIMESTAMP":    {&types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: &between}, numbers(0, 2, 3, 4, 5)},
		"AFTER_SHARD_ID":    {&types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: aws.String(numbers(3)[0])}, numbers(4, 5)},
	} {
		if got := ids(e.filter); !slices.Equal(got, e.want) {
			t.Errorf("%s: %v, want %v", about, got, e.want)
		}
	}
	tiles(t, shards(t, k, "kcl", &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}))
	tiles(t, shards(t, k, "kcl", &types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp, Timestamp: &between}))
}

// A closed shard gives iterators of every kind and ends with its children, for one who comes late and for one who
// waited at its tip.
func TestKCLShardEnd(t *testing.T) {
	t.Parallel()
	n := dev(t)
	k := client(t, n)
	create(t, k, "kcl", 1)
	const shard = "shardId-000000000000"
	put, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("kcl"), PartitionKey: aws.String("k"), Data: []byte("0")})
	must(t, err)
	get := func(kind types.ShardIteratorType, seq *string) *string {
		t.Helper()
		out, err := k.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("kcl"), ShardId: aws.String(shard), ShardIteratorType: kind, StartingSequenceNumber: seq})
		must(t, err)
		return out.ShardIterator
	}
	waited := get(types.ShardIteratorTypeLatest, nil)
	split(t, k, "kcl", shards(t, k, "kcl", nil)[0])
	end := shards(t, k, "kcl", nil)[0].SequenceNumberRange.EndingSequenceNumber
	for about, e := range map[string]struct {
		iterator *string
		records  int
	}{
		"waited at the tip":     {waited, 0},
		"LATEST":                {get(types.ShardIteratorTypeLatest, nil), 0},
		"TRIM_HORIZON":          {get(types.ShardIteratorTypeTrimHorizon, nil), 1},
		"AT_SEQUENCE_NUMBER":    {get(types.ShardIteratorTypeAtSequenceNumber, put.SequenceNumber), 1},
		"AFTER_SEQUENCE_NUMBER": {get(types.ShardIteratorTypeAfterSequenceNumber, put.SequenceNumber), 0},
		"after the shard's end": {get(types.ShardIteratorTypeAfterSequenceNumber, end), 0},
	} {
		l, n := newLeases(nil), 0
		for next, pages := e.iterator, 0; next != nil; pages++ {
			out, err := k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next})
			must(t, err)
			n += len(out.Records)
			next = out.NextShardIterator
			if _, err := l.turn(shard, next, out.ChildShards); err != nil || pages > 10 {
				t.Fatalf("%s: page %d: %v", about, pages, err)
			}
		}
		if n != e.records || len(l.parents) != 2 {
			t.Errorf("%s: %d records, want %d; %d children", about, n, e.records, len(l.parents))
		}
	}
	arn := *register(t, k, "kcl", "late").ConsumerARN
	pushed := newLeases(nil)
	must(t, (&fanOut{leases: pushed, client: func() *kinesis.Client { return client(t, n) }, consumer: arn}).read(t.Context(), shard))
	if pushed.total != 1 || len(pushed.parents) != 2 {
		t.Errorf("pushed %d records and %d children", pushed.total, len(pushed.parents))
	}
}
