// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery/spec"
)

// flatRecords are JSON lines of a size.
func flatRecords(n, size int) (records []string, total int64) {
	records = make([]string, n)
	for i := range records {
		line := fmt.Sprintf(`{"id":%d,"time":"2026-11-29T01:%02d:%02d.%06dZ","level":"info","user":"u%d","path":"/v1/items/%d","took_ms":%d,"note":"`, i, i/60%60, i%60, i*7919%1000000, i*31%5000, i*17%100000, i*13%900)
		for k := 0; len(line) < size-3; k++ {
			line += fmt.Sprintf("%x ", (i*2654435761+k*40503)&0xffff)
		}
		records[i] = line[:max(size-3, len(line)-5)] + `"}`
		total += int64(len(records[i]))
	}
	return records, total
}

// delivered returns how long a delivery takes for all that is in the stream.
func (r *rig) delivered(name string, records uint64, change func(*spec.Config)) time.Duration {
	r.t.Helper()
	began := time.Now()
	r.deliver(name, r.toBucket("s", func(c *spec.Config) {
		c.Buffer.Bytes, c.Naming.Prefix = 16<<20, name+"/"
		change(c)
	}))
	r.until("all is delivered", func() bool {
		d, err := r.broker.DescribeDelivery(context.Background(), who, name)
		return err == nil && d.Shards[0].Next == records
	})
	took := time.Since(began)
	if rep := r.clean(name, records); rep.Stored != records {
		r.t.Fatalf("verify: %+v", rep)
	}
	r.must(r.broker.DeleteDelivery(context.Background(), who, name))
	return took
}

// BenchmarkGzipDelivery delivers 64 MiB of JSON lines of one shard to a real object store as gzip, and compares with what
// one core compresses of the same bytes, right before and right after.
func BenchmarkGzipDelivery(b *testing.B) {
	r := newRig(b)
	r.stream("s", 1)
	const n, size = 64 << 10, 1 << 10
	records, total := flatRecords(n, size)
	r.put("s", records...)
	text := []byte(strings.Join(records, "\n") + "\n")
	compress := func() time.Duration {
		began := time.Now()
		z := gzip.NewWriter(io.Discard)
		_, err := z.Write(text)
		r.must(errors.Join(err, z.Close()))
		return time.Since(began)
	}
	var took, alone time.Duration
	for i := range b.N {
		before := compress()
		took += r.delivered(fmt.Sprintf("d%d", i), n, func(*spec.Config) {})
		alone += (before + compress()) / 2
	}
	b.ReportMetric(float64(total)*float64(b.N)/1e6/took.Seconds(), "MB/s")
	b.ReportMetric(float64(total)*float64(b.N)/1e6/alone.Seconds(), "gzip-MB/s")
	b.ReportMetric(100*alone.Seconds()/took.Seconds(), "%-of-gzip")
}

// BenchmarkParquetDelivery delivers flat records of 200 bytes of one shard to a real object store as Parquet.
func BenchmarkParquetDelivery(b *testing.B) {
	for name, p := range map[string]*spec.Parquet{"inferred": nil, "given": {Columns: []spec.Column{
		{Name: "id", Type: spec.TypeInt64}, {Name: "time", Type: spec.TypeTimestamp}, {Name: "level", Type: spec.TypeString}, {Name: "user", Type: spec.TypeString},
		{Name: "path", Type: spec.TypeString}, {Name: "took_ms", Type: spec.TypeInt64}, {Name: "note", Type: spec.TypeString},
	}}} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b)
			r.stream("s", 1)
			const n, size = 300_000, 200
			records, total := flatRecords(n, size)
			r.put("s", records...)
			var took time.Duration
			for i := range b.N {
				took += r.delivered(fmt.Sprintf("d%d", i), n, func(c *spec.Config) {
					c.Format, c.Compression = spec.Format{Kind: spec.ParquetFile, Parquet: p}, spec.None
				})
			}
			b.ReportMetric(float64(n)*float64(b.N)/took.Seconds(), "records/s")
			b.ReportMetric(float64(total)*float64(b.N)/1e6/took.Seconds(), "MB/s")
			b.ReportMetric(float64(total)/n, "B/record")
		})
	}
}

// What a delivery does is told by how it is configured, and what cannot work is refused when it is created.
func TestBadConfigurationsAreRefusedByName(t *testing.T) {
	r := newRig(t)
	r.stream("s", 1)
	for field, change := range map[string]func(*spec.Config){
		"naming.prefix":       func(c *spec.Config) { c.Naming.Prefix = "a/!{nonsense:x}/" },
		"naming.error_prefix": func(c *spec.Config) { c.Naming.Prefix, c.Naming.ErrorPrefix = "a/!{timestamp:yyyy}/", "" },
		"transforms[0].query": func(c *spec.Config) { c.Transforms = []spec.Transform{{Kind: spec.JQ, Query: ".a | ("}} },
		"transforms[0].module": func(c *spec.Config) {
			c.Transforms = []spec.Transform{{Kind: spec.WASM, Module: []byte("no module")}}
		},
		"source.stream": func(c *spec.Config) { c.Source.Stream = "no such/stream" },
	} {
		_, err := r.broker.CreateDelivery(t.Context(), who, broker.CreateDeliveryRequest{Delivery: "d", Config: r.toBucket("s", change)})
		if err == nil || !strings.HasPrefix(fieldOf(err), field) {
			t.Errorf("%s: field %q of %v", field, fieldOf(err), err)
		}
	}
}
