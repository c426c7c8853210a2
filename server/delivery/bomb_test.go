// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Small records that become large ones take no more memory than a range may make: what is beyond goes to the error prefix,
// as it came, and the delivery goes on.
func TestRecordsThatGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("half a gigabyte")
	}
	r := newRig(t)
	r.stream("s", 1)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 9 {
		_, err := z.Write(make([]byte, 1<<20))
		r.must(err)
	}
	r.must(z.Close())
	const n = 120 // of 9 MiB: a gigabyte, where half of one is allowed
	puts := make([]broker.Put, n+1)
	for i := range puts {
		puts[i].Record = leat.Record{PartitionKey: "k", Data: b.Bytes()}
	}
	puts[n].Record.Data = []byte("plain")
	failed, err := r.broker.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts})
	if err != nil || failed > 0 {
		t.Fatalf("put: %d failed, %v", failed, err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	var most runtime.MemStats
	r.deliver("d", r.toBucket("s", func(c *spec.Config) {
		c.Buffer.Bytes, c.Transforms = 5<<20, []spec.Transform{{Kind: spec.Decompress}}
	}))
	r.until("it is delivered", func() bool {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most.HeapAlloc = max(most.HeapAlloc, m.HeapAlloc)
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && len(d.Shards) == 1 && d.Shards[0].Next == n+1
	})
	rep := r.clean("d", n+1)
	if rep.Failed != n-56 || rep.Stored != 57 { // 56 * 9 = 504, and the plain one
		t.Errorf("verify: %+v", rep)
	}
	lines := errorLines(t, r, "errors/processing-failed/")
	if len(lines) != n-56 || lines[0]["errorCode"] != "Transform.OutputTooLarge" || !strings.HasPrefix(fmt.Sprint(lines[0]["rawData"]), "H4sI") {
		t.Errorf("%d lines of errors", len(lines))
	}
	t.Logf("the heap had %d MiB at most", most.HeapAlloc>>20)
	if most.HeapAlloc > 1536<<20 {
		t.Errorf("the heap had %d MiB", most.HeapAlloc>>20)
	}
}

// Ranges of several shards that all become large ones at the same time wait for one another, and none for ever.
func TestManyRangesThatGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("a quarter of a gigabyte")
	}
	r := newRig(t, func(c *delivery.Config) { c.Memory = 16 << 20 })
	const shards, each = 6, 12
	r.stream("s", shards)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 9 {
		_, err := z.Write(make([]byte, 1<<20))
		r.must(err)
	}
	r.must(z.Close())
	var puts []broker.Put
	for i := range shards * each {
		puts = append(puts, broker.Put{Record: leat.Record{PartitionKey: fmt.Sprint(i), Data: b.Bytes()}})
	}
	failed, err := r.broker.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts})
	if err != nil || failed > 0 {
		t.Fatalf("put: %d failed, %v", failed, err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	r.deliver("d", r.toBucket("s", func(c *spec.Config) {
		c.Buffer.Bytes, c.Transforms = 5<<20, []spec.Transform{{Kind: spec.Decompress}}
	}))
	r.until("it is delivered", func() bool {
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		n := uint64(0)
		for _, p := range d.Shards {
			n += p.Next
		}
		return err == nil && n == uint64(len(puts))
	})
	if rep := r.clean("d", uint64(len(puts))); rep.Stored != uint64(len(puts)) {
		t.Errorf("verify: %+v", rep)
	}
}

// One record that the KPL packed, whose parts all become large ones, takes no more memory than one record may: it goes to the
// error prefix as it came.
func TestOneRecordThatGrows(t *testing.T) {
	if testing.Short() {
		t.Skip("a quarter of a gigabyte")
	}
	r := newRig(t)
	r.stream("s", 1)
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	r.must(err)
	bomb := z.EncodeAll(make([]byte, 60<<20), nil)
	packed := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "k")
	for range 170 {
		part := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
		part = protowire.AppendBytes(protowire.AppendTag(part, 3, protowire.BytesType), bomb)
		packed = protowire.AppendBytes(protowire.AppendTag(packed, 3, protowire.BytesType), part)
	}
	sum := md5.Sum(packed)
	record := "\xf3\x89\x9a\xc2" + string(packed) + string(sum[:])
	t.Logf("a record of %d bytes would be %d MiB", len(record), 170*60)
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	var most runtime.MemStats
	r.deliver("d", r.toBucket("s", func(c *spec.Config) {
		c.Transforms = []spec.Transform{{Kind: spec.UnpackKPL}, {Kind: spec.Decompress}}
	}))
	puts := make([]broker.Put, 3)
	for i, data := range []string{"before", record, "after"} {
		puts[i].Record = leat.Record{PartitionKey: "k", Data: []byte(data)}
	}
	failed, err := r.broker.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts})
	if err != nil || failed > 0 {
		t.Fatalf("put: %d failed, %v", failed, err)
	}
	r.until("it is delivered", func() bool {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most.HeapAlloc = max(most.HeapAlloc, m.HeapAlloc)
		d, err := r.broker.DescribeDelivery(t.Context(), who, "d")
		return err == nil && len(d.Shards) == 1 && d.Shards[0].Next == 3
	})
	if rep := r.clean("d", 3); rep.Failed != 1 || rep.Stored != 2 {
		t.Errorf("verify: %+v", rep)
	}
	r.once(r.lines("data/"), []string{"before", "after"})
	lines := errorLines(t, r, "errors/processing-failed/")
	if len(lines) != 1 || lines[0]["errorCode"] != "Transform.OutputTooLarge" || lines[0]["rawData"] != base64.StdEncoding.EncodeToString([]byte(record)) {
		t.Errorf("%d lines of errors: %.300v", len(lines), lines)
	}
	t.Logf("the heap had %d MiB at most", most.HeapAlloc>>20)
	if most.HeapAlloc > 768<<20 {
		t.Errorf("the heap had %d MiB", most.HeapAlloc>>20)
	}
}
