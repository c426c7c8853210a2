// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func walkPutRecord(t *testing.T, k *kinesis.Client) {
	create(t, k, "put", 2)
	last := map[string]string{} // by hash key
	for _, in := range []*kinesis.PutRecordInput{
		{Data: []byte("plain"), PartitionKey: aws.String("k")},
		{Data: []byte{0, 255, 128, 10}, PartitionKey: aws.String("ключ-🔑")},
		{Data: []byte{}, PartitionKey: aws.String(strings.Repeat("ю", 256))},
		{Data: []byte("placed"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(highest)},
		{Data: []byte("low"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0")},
		{Data: []byte("after"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(highest)},
	} {
		in.StreamName = aws.String("put")
		if before, ok := last[aws.ToString(in.ExplicitHashKey)]; ok && in.ExplicitHashKey != nil {
			in.SequenceNumberForOrdering = &before
		}
		out, err := k.PutRecord(t.Context(), in)
		must(t, err)
		last[aws.ToString(in.ExplicitHashKey)] = *out.SequenceNumber
		got := at(t, k, "put", *out.ShardId, *out.SequenceNumber)
		if !bytes.Equal(got.Data, in.Data) || *got.PartitionKey != *in.PartitionKey || *got.SequenceNumber != *out.SequenceNumber {
			t.Errorf("put %q with key %q, read %q with %q at %s", in.Data, *in.PartitionKey, got.Data, *got.PartitionKey, *got.SequenceNumber)
		}
		if age := time.Since(aws.ToTime(got.ApproximateArrivalTimestamp)); age < -time.Second || age > time.Hour {
			t.Errorf("it arrived %v ago", age)
		}
		if in.ExplicitHashKey != nil && (*in.ExplicitHashKey == highest) != (*out.ShardId == "shardId-000000000001") {
			t.Errorf("hash key %s went to %s", *in.ExplicitHashKey, *out.ShardId)
		}
	}
	_, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("put"), PartitionKey: aws.String("k"), Data: []byte("x"), ExplicitHashKey: aws.String("340282366920938463463374607431768211456")})
	fails[*types.InvalidArgumentException](t, err, "ExplicitHashKey must be in the range: [0, 2^128-1]")
}

// highest is the last hash key.
const highest = "340282366920938463463374607431768211455"

// at reads the one record that has a sequence number.
func at(tb testing.TB, k *kinesis.Client, stream, shard, seq string) types.Record {
	tb.Helper()
	out, err := k.GetShardIterator(tb.Context(), &kinesis.GetShardIteratorInput{
		StreamName: &stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &seq,
	})
	must(tb, err)
	return read(tb, k, out.ShardIterator, 1)[0]
}

func walkPutRecords(t *testing.T, k *kinesis.Client) {
	create(t, k, "batched", 3)
	in := &kinesis.PutRecordsInput{StreamARN: arnOf("batched")}
	for i := range 500 {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{
			Data: fmt.Appendf(nil, "record %d %s", i, strings.Repeat("é", i)), PartitionKey: aws.String(fmt.Sprintf("key-%d", i%17)),
		})
	}
	in.Records[123].ExplicitHashKey = aws.String("17")
	out, err := k.PutRecords(t.Context(), in)
	must(t, err)
	if len(out.Records) != 500 || aws.ToInt32(out.FailedRecordCount) != 0 {
		t.Fatalf("%d results, %d failed", len(out.Records), aws.ToInt32(out.FailedRecordCount))
	}
	if id := *out.Records[123].ShardId; id != "shardId-000000000000" {
		t.Errorf("hash key 17 went to %s", id)
	}
	byPlace := map[string]types.PutRecordsRequestEntry{}
	counts := map[string]int{}
	for i, r := range out.Records {
		byPlace[*r.ShardId+*r.SequenceNumber] = in.Records[i]
		counts[*r.ShardId]++
	}
	for shard, n := range counts {
		for _, got := range read(t, k, iterator(t, k, "batched", shard), n) {
			want, ok := byPlace[shard+*got.SequenceNumber]
			if !ok || !bytes.Equal(got.Data, want.Data) || *got.PartitionKey != *want.PartitionKey {
				t.Errorf("%s %s holds %.20q, acknowledged was %.20q", shard, *got.SequenceNumber, got.Data, want.Data)
			}
			delete(byPlace, shard+*got.SequenceNumber)
		}
	}
	if len(byPlace) > 0 {
		t.Errorf("%d acknowledged records were not read", len(byPlace))
	}
	in.Records = append(in.Records, in.Records[0])
	_, err = k.PutRecords(t.Context(), in)
	fails[error](t, err, "Member must have length less than or equal to 500")
}

func walkGetRecords(t *testing.T, k *kinesis.Client) {
	create(t, k, "got", 1)
	const shard, n = "shardId-000000000000", 25
	for i := range n {
		_, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("got"), PartitionKey: aws.String("k"), Data: fmt.Append(nil, i)})
		must(t, err)
	}
	next := iterator(t, k, "got", shard)
	var got []string
	for range 3 {
		out, err := k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next, StreamARN: arnOf("got"), Limit: aws.Int32(10)})
		must(t, err)
		for _, r := range out.Records {
			got = append(got, string(r.Data))
		}
		if behind := aws.ToInt64(out.MillisBehindLatest); len(got) == n && behind != 0 {
			t.Errorf("all is read, and it is %d ms behind", behind)
		}
		if *out.NextShardIterator == *next || len(out.ChildShards) != 0 {
			t.Errorf("an open shard answers the same iterator, or children: %v", out.ChildShards)
		}
		again, err := k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next, Limit: aws.Int32(10)})
		must(t, err)
		if len(again.Records) != len(out.Records) {
			t.Errorf("used again, an iterator gives %d records, not %d", len(again.Records), len(out.Records))
		}
		next = out.NextShardIterator
	}
	if len(got) != n || got[0] != "0" || got[n-1] != fmt.Sprint(n-1) {
		t.Errorf("read %v", got)
	}
	empty, err := k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next})
	must(t, err)
	if len(empty.Records) != 0 || empty.NextShardIterator == nil || aws.ToInt64(empty.MillisBehindLatest) != 0 {
		t.Errorf("at the tip: %d records, next %v, %d ms behind", len(empty.Records), empty.NextShardIterator, aws.ToInt64(empty.MillisBehindLatest))
	}
	forged := []byte(*next)
	slices.Reverse(forged)
	_, err = k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String(string(forged))})
	fails[*types.InvalidArgumentException](t, err, "")
	_, err = k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next, Limit: aws.Int32(10001)})
	fails[error](t, err, "10000")
}

func walkGetShardIterator(t *testing.T, k *kinesis.Client) {
	create(t, k, "iterated", 1)
	const shard = "shardId-000000000000"
	var seqs []string
	put := func(data string) {
		t.Helper()
		out, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("iterated"), PartitionKey: aws.String("k"), Data: []byte(data)})
		must(t, err)
		seqs = append(seqs, *out.SequenceNumber)
	}
	get := func(in kinesis.GetShardIteratorInput) (*string, error) {
		t.Helper()
		in.StreamName = aws.String("iterated")
		if in.ShardId == nil {
			in.ShardId = aws.String(shard)
		}
		out, err := k.GetShardIterator(t.Context(), &in)
		if err != nil {
			return nil, err
		}
		if len(*out.ShardIterator) > 512 {
			t.Errorf("an iterator of %d characters", len(*out.ShardIterator))
		}
		return out.ShardIterator, nil
	}
	first := func(in kinesis.GetShardIteratorInput, want string) {
		t.Helper()
		from, err := get(in)
		must(t, err)
		if got := read(t, k, from, 1); string(got[0].Data) != want {
			t.Errorf("%s %s begins with %q, want %q", in.ShardIteratorType, aws.ToString(in.StartingSequenceNumber), got[0].Data, want)
		}
	}
	for i := range 3 {
		put(fmt.Sprint("record ", i))
	}
	latest, err := get(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest})
	must(t, err)
	put("later")
	if got := read(t, k, latest, 1); string(got[0].Data) != "later" {
		t.Errorf("LATEST begins with %q", got[0].Data)
	}
	// Tools begin at the number of the shard itself, which no record has.
	start := shards(t, k, "iterated", nil)[0].SequenceNumberRange.StartingSequenceNumber
	first(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: start}, "record 0")
	first(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: start}, "record 0")
	arrived := at(t, k, "iterated", shard, seqs[1]).ApproximateArrivalTimestamp
	first(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}, "record 0")
	first(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon, ShardId: aws.String("0")}, "record 0")
	first(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &seqs[1]}, "record 1")
	first(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: &seqs[1]}, "record 2")
	first(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Unix(1, 0))}, "record 0")
	from, err := get(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: arrived})
	must(t, err)
	// Records that arrived in the same millisecond come along.
	if got := read(t, k, from, 1); arrived.Sub(*got[0].ApproximateArrivalTimestamp) > 0 {
		t.Errorf("AT_TIMESTAMP %v begins at %v", arrived, got[0].ApproximateArrivalTimestamp)
	}
	for about, in := range map[string]kinesis.GetShardIteratorInput{
		"a time to come":           {ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Now().Add(time.Hour))},
		"AT_ without a number":     {ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber},
		"LATEST with a number":     {ShardIteratorType: types.ShardIteratorTypeLatest, StartingSequenceNumber: &seqs[0]},
		"a number that is no such": {ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: aws.String("12x")},
	} {
		if _, err := get(in); err == nil {
			t.Errorf("%s gives an iterator", about)
		}
	}
	_, err = get(kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest, ShardId: aws.String("shardId-000000000007")})
	fails[*types.ResourceNotFoundException](t, err, "shardId-000000000007 in stream iterated")
}

func walkListShards(t *testing.T, k *kinesis.Client) {
	create(t, k, "shards", 5)
	in := &kinesis.ListShardsInput{StreamName: aws.String("shards"), MaxResults: aws.Int32(2)}
	var all []types.Shard
	for {
		out, err := k.ListShards(t.Context(), in)
		must(t, err)
		all = append(all, out.Shards...)
		if out.NextToken == nil {
			break
		}
		if len(out.Shards) != 2 {
			t.Fatalf("a page of %d", len(out.Shards))
		}
		_, err = k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("shards"), NextToken: out.NextToken})
		fails[*types.InvalidArgumentException](t, err, "NextToken and StreamName cannot be provided together.")
		in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(2)}
	}
	if len(all) != 5 {
		t.Fatalf("%d shards", len(all))
	}
	tiles(t, all)
	after, err := k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamARN: arnOf("shards"), ExclusiveStartShardId: all[2].ShardId})
	must(t, err)
	if len(after.Shards) != 2 || *after.Shards[0].ShardId != *all[3].ShardId {
		t.Errorf("%d shards after the third", len(after.Shards))
	}
}

// tiles fails the test unless the ranges of shards, in some order, are the whole hash space with no gap and no overlap.
func tiles(tb testing.TB, all []types.Shard) {
	tb.Helper()
	number := func(s *string) *big.Int {
		n, ok := new(big.Int).SetString(aws.ToString(s), 10)
		if !ok {
			tb.Fatalf("%q is no hash key", aws.ToString(s))
		}
		return n
	}
	sorted := slices.SortedFunc(slices.Values(all), func(a, b types.Shard) int {
		return number(a.HashKeyRange.StartingHashKey).Cmp(number(b.HashKeyRange.StartingHashKey))
	})
	next := new(big.Int)
	for _, s := range sorted {
		if from := number(s.HashKeyRange.StartingHashKey); from.Cmp(next) != 0 {
			tb.Errorf("%s begins at %v, want %v", *s.ShardId, from, next)
		}
		next.Add(number(s.HashKeyRange.EndingHashKey), big.NewInt(1))
	}
	if next.Cmp(new(big.Int).Lsh(big.NewInt(1), 128)) != 0 {
		tb.Errorf("%d shards end at %v", len(all), next)
	}
}
