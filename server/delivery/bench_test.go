// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery/spec"
)

// BenchmarkGzipDelivery delivers 64 MiB of JSON lines of one shard to a real object store as gzip, and compares with what
// one core compresses in the same minute.
func BenchmarkGzipDelivery(b *testing.B) {
	r := newRig(b)
	r.stream("s", 1)
	const n, size = 64 << 10, 1 << 10
	records, total := make([]string, n), int64(0)
	for i := range records {
		line := fmt.Sprintf(`{"id":%d,"time":"2026-11-29T01:%02d:%02d.%06dZ","level":"info","user":"u%d","path":"/v1/items/%d","took_ms":%d,"note":"`, i, i/60%60, i%60, i*7919%1000000, i*31%5000, i*17%100000, i*13%900)
		for k := 0; len(line) < size-3; k++ {
			line += fmt.Sprintf("%x ", (i*2654435761+k*40503)&0xffff)
		}
		records[i] = line[:size-3] + `"}`
		total += int64(len(records[i]))
	}
	r.put("s", records...)
	for i := range b.N {
		name := fmt.Sprintf("d%d", i)
		began := time.Now()
		r.deliver(name, r.toBucket("s", func(c *spec.Config) {
			c.Buffer.Bytes, c.Naming.Prefix = 16<<20, name+"/"
		}))
		r.until("all is delivered", func() bool {
			d, err := r.broker.DescribeDelivery(b.Context(), who, name)
			return err == nil && d.Shards[0].Next == n
		})
		took := time.Since(began)
		began = time.Now()
		z := gzip.NewWriter(io.Discard)
		for _, line := range records {
			_, err := io.WriteString(z, line+"\n")
			r.must(err)
		}
		r.must(z.Close())
		alone := time.Since(began)
		b.ReportMetric(float64(total)/1e6/took.Seconds(), "MB/s")
		b.ReportMetric(float64(total)/1e6/alone.Seconds(), "gzip-MB/s")
		b.ReportMetric(100*alone.Seconds()/took.Seconds(), "%-of-gzip")
		r.must(r.broker.DeleteDelivery(b.Context(), who, name))
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
