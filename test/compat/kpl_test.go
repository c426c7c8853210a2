// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"google.golang.org/protobuf/encoding/protowire"
)

// aggregate packs records as the KPL does: a magic number, a protobuf message (a table of keys, a table of hash keys,
// and records that point into them), and the MD5 of the message.
func aggregate(keys, hashKeys []string, data [][]byte) []byte {
	var m []byte
	for _, k := range keys {
		m = protowire.AppendString(protowire.AppendTag(m, 1, protowire.BytesType), k)
	}
	for _, k := range hashKeys {
		m = protowire.AppendString(protowire.AppendTag(m, 2, protowire.BytesType), k)
	}
	for i, d := range data {
		var r []byte
		r = protowire.AppendVarint(protowire.AppendTag(r, 1, protowire.VarintType), uint64(i%len(keys)))
		if len(hashKeys) > 0 {
			r = protowire.AppendVarint(protowire.AppendTag(r, 2, protowire.VarintType), uint64(i%len(hashKeys)))
		}
		r = protowire.AppendBytes(protowire.AppendTag(r, 3, protowire.BytesType), d)
		m = protowire.AppendBytes(protowire.AppendTag(m, 3, protowire.BytesType), r)
	}
	sum := md5.Sum(m)
	return append(append([]byte{0xf3, 0x89, 0x9a, 0xc2}, m...), sum[:]...)
}

// disaggregate unpacks what aggregate packs.
func disaggregate(tb testing.TB, packed []byte) (keys []string, data [][]byte) {
	tb.Helper()
	m, ok := bytes.CutPrefix(packed, []byte{0xf3, 0x89, 0x9a, 0xc2})
	if !ok || len(m) < md5.Size {
		tb.Fatalf("no aggregated record: %.16x", packed)
	}
	m, sum := m[:len(m)-md5.Size], m[len(m)-md5.Size:]
	if got := md5.Sum(m); !bytes.Equal(got[:], sum) {
		tb.Fatalf("its MD5 is %x, not %x", got, sum)
	}
	var table []string
	members(tb, m, func(number protowire.Number, value []byte, _ uint64) {
		switch number {
		case 1:
			table = append(table, string(value))
		case 3:
			members(tb, value, func(number protowire.Number, value []byte, n uint64) {
				switch number {
				case 1:
					keys = append(keys, table[n])
				case 3:
					data = append(data, value)
				}
			})
		}
	})
	return keys, data
}

func members(tb testing.TB, m []byte, each func(protowire.Number, []byte, uint64)) {
	tb.Helper()
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			tb.Fatal(protowire.ParseError(n))
		}
		m = m[n:]
		var value []byte
		var v uint64
		if kind == protowire.VarintType {
			v, n = protowire.ConsumeVarint(m)
		} else {
			value, n = protowire.ConsumeBytes(m)
		}
		if n < 0 {
			tb.Fatal(protowire.ParseError(n))
		}
		m = m[n:]
		each(number, value, v)
	}
}

// What the KPL packs comes out as it went in: Leat stores one record, counts it as one, and looks at none of its parts.
func TestKPLAggregatedRecord(t *testing.T) {
	t.Parallel()
	k := client(t, dev(t))
	create(t, k, "kpl", 2)
	keys := []string{"a", "ключ", "c"}
	var parts [][]byte
	for i := range 1000 {
		parts = append(parts, fmt.Appendf(nil, "user record %d", i))
	}
	packed := aggregate(keys, []string{"0", highest}, parts)
	// The KPL puts with the key "a" and the hash key of the shard that it means.
	put, err := k.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("kpl"), Records: []types.PutRecordsRequestEntry{
		{Data: packed, PartitionKey: aws.String("a"), ExplicitHashKey: aws.String(highest)},
	}})
	must(t, err)
	if *put.Records[0].ShardId != "shardId-000000000001" {
		t.Errorf("it went to %s", *put.Records[0].ShardId)
	}
	got := read(t, k, iterator(t, k, "kpl", "shardId-000000000001"), 1)
	if len(got) != 1 || !bytes.Equal(got[0].Data, packed) || *got[0].PartitionKey != "a" {
		t.Fatalf("%d records, the first of %d bytes with key %q, want %d bytes", len(got), len(got[0].Data), *got[0].PartitionKey, len(packed))
	}
	gotKeys, gotParts := disaggregate(t, got[0].Data)
	if len(gotParts) != len(parts) || len(gotKeys) != len(parts) {
		t.Fatalf("%d keys and %d parts", len(gotKeys), len(gotParts))
	}
	for i := range parts {
		if !bytes.Equal(gotParts[i], parts[i]) || gotKeys[i] != keys[i%3] {
			t.Errorf("part %d is %q with key %q", i, gotParts[i], gotKeys[i])
		}
	}
}

// The limit of a record holds for the packed whole.
func TestKPLRecordLimit(t *testing.T) {
	t.Parallel()
	k := client(t, dev(t))
	create(t, k, "kpl", 1)
	put := func(size int) error {
		packed := aggregate([]string{"a"}, nil, [][]byte{make([]byte, size)})
		_, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("kpl"), PartitionKey: aws.String("a"), Data: packed})
		return err
	}
	around := len(aggregate([]string{"a"}, nil, [][]byte{make([]byte, 1<<20-100)})) - (1<<20 - 100)
	must(t, put(1<<20-1-around))
	if err := put(1<<20 - around); err == nil {
		t.Error("a packed record of 1 MiB and its key were taken")
	}
	if err := put(10<<20 + 1); err == nil {
		t.Error("a packed record of more than 10 MiB was taken")
	}
	if got := read(t, k, iterator(t, k, "kpl", "shardId-000000000000"), 1); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
}
