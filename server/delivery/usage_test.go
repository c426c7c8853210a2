// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/delivery/spec"
)

// billed is all that was written down of a delivery stream.
func (r *rig) billed(name string) (d billing.Delivered) {
	r.t.Helper()
	r.must(r.db.View(r.t.Context(), func(tx *sqldb.Tx) error {
		return tx.Row(`
SELECT c.stream, c.account, n.name, SUM(delivery_records), SUM(delivery_bytes), SUM(delivery_rounded_bytes), SUM(delivery_converted_bytes), SUM(delivery_partitioned_bytes), SUM(delivery_objects)
FROM billing_counts c JOIN billing_deliveries n ON n.id = c.stream WHERE n.name = $1 GROUP BY c.stream, c.account, n.name`, name).
			Scan(sqldb.ID(&d.Delivery), &d.Account, &d.Name, &d.Records, &d.Bytes, &d.Rounded, &d.Converted, &d.Partitioned, &d.Objects)
	}))
	return d
}

func sizeOf(records []string) (n int64) {
	for _, s := range records {
		n += int64(len(s))
	}
	return n
}

// TestUsage shows what is billed of a delivery with partitions and of one into Parquet.
func TestUsage(t *testing.T) {
	r := newRig(t, compile(keys{}))
	r.stream("s", 1)
	long := strings.Repeat("x", 5<<10) // with its key a little more than 5 KiB: 10 KiB
	records := []string{"a:1", "b:2", "a:3", "c:" + long}
	r.put("s", records...)
	r.deliver("parts", r.toBucket("s", partitioned(10)))
	r.settled("parts", 4)
	want := billing.Delivered{Account: account, Name: "parts", Records: 4, Bytes: sizeOf(records), Rounded: 5 * 5 << 10, Partitioned: sizeOf(records), Objects: 3}
	got := r.billed("parts")
	id := got.Delivery
	if got.Delivery = (leat.StreamID{}); got != want || id.IsZero() {
		t.Errorf("with partitions: billed %+v, want %+v", got, want)
	}

	r.stream("j", 1)
	objects := []string{`{"a":1}`, `{"a":2}`, `not JSON`}
	r.put("j", objects...)
	r.deliver("columns", r.toBucket("j", func(c *spec.Config) {
		c.Transforms, c.Format, c.Compression = nil, spec.Format{Kind: spec.ParquetFile}, spec.None
		c.Naming.Prefix = "columns/"
	}))
	r.settled("columns", 3)
	want = billing.Delivered{Account: account, Name: "columns", Records: 3, Bytes: sizeOf(objects), Rounded: 3 * 5 << 10, Converted: sizeOf(objects)}
	got = r.billed("columns")
	if got.Delivery = (leat.StreamID{}); got != want {
		t.Errorf("into Parquet: billed %+v, want %+v", got, want)
	}
}
