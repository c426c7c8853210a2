// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing_test

import (
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/segment"
)

// Verify finds a record that was counted twice or not at all, a ledger that says something else, and manifests that are lost or damaged.
func TestVerifyFinds(t *testing.T) {
	onBoth(t, monthBook, func(r *rig) {
		ctx := r.t.Context()
		id := r.stream(orders, "orders", leat.ModeProvisioned, 1)
		for _, at := range []string{"2026-11-01 01:10", "2026-11-01 01:20", "2026-11-01 02:10", "2026-11-01 03:10"} {
			r.put(id, 0, at, 10, 1000, 10)
		}
		r.at("2026-11-01 05:00")
		r.book()
		_, err := r.bill.WriteManifests(ctx)
		r.must(err)
		verify := func() billing.Verification {
			r.t.Helper()
			v, err := r.bill.Verify(ctx, moment("2026-11-01 00:00"), moment("2026-11-01 05:00"))
			r.must(err)
			return v
		}
		finds := func(what string, words ...string) {
			r.t.Helper()
			v := verify()
			if len(v.Problems) != len(words) {
				r.t.Fatalf("%s: %q", what, v.Problems)
			}
			for i, w := range words {
				if !strings.Contains(v.Problems[i], w) {
					r.t.Errorf("%s: %q does not say %q", what, v.Problems[i], w)
				}
			}
		}
		exec := func(query string) {
			r.t.Helper()
			r.must(r.db.Tx(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(query)
				return err
			}))
		}
		if v := verify(); len(v.Problems) > 0 || v.Manifests != 4 || v.PacksGone != 4 || v.Records != 40 || v.StreamHours != 3 {
			r.t.Fatalf("%+v", v)
		}
		exec("UPDATE usage SET records = records + 1 WHERE hour = (SELECT MIN(hour) FROM usage)")
		finds("one record more in the usage", "the bucket has 20 records, 2000 bytes and 20 units (0, 0 and 0 of them on-demand); the catalog's usage says 21")
		exec("UPDATE usage SET records = records - 1 WHERE hour = (SELECT MIN(hour) FROM usage)")
		exec("UPDATE billing_ledger SET put_units = 0 WHERE put_units = 20")
		finds("a ledger that was changed", "the ledger says 20, 2000 and 0")
		exec("UPDATE billing_ledger SET put_units = 20 WHERE put_bytes = 2000")
		finds("nothing")

		// The second manifest is lost: the first hour lacks 10 records, and the shard's offsets have a gap.
		key := catalog.ManifestKey("2026-11", r.session, 1)
		whole, err := r.blobs.Read(ctx, key, 0, -1)
		r.must(err)
		r.must(r.blobs.Delete(ctx, key))
		finds("a lost manifest", "no manifest has records 10 to 19", "the bucket has 10 records", "the bucket has 10 records")
		r.must(r.blobs.Create(ctx, key, whole))
		finds("the manifest is back")

		// One that claims what another has.
		r.must(r.blobs.Create(ctx, catalog.ManifestKey("2026-11", r.session, 9), whole))
		if _, err := r.bill.Verify(ctx, moment("2026-11-01 00:00"), moment("2026-11-01 05:00")); leat.KindOf(err) != leat.KindCorrupt || !strings.Contains(err.Error(), "says that it is") {
			r.t.Errorf("a manifest under another name: %v", err)
		}
		r.must(r.blobs.Delete(ctx, catalog.ManifestKey("2026-11", r.session, 9)))
		r.must(r.blobs.Delete(ctx, key))
		r.must(r.blobs.Create(ctx, key, whole[:len(whole)-3]))
		if _, err := r.bill.Verify(ctx, moment("2026-11-01 00:00"), moment("2026-11-01 05:00")); leat.KindOf(err) != leat.KindCorrupt {
			r.t.Errorf("a damaged manifest: %v", err)
		}
	})
}

// A stream that is deleted before its records are packed is on its owner's bill, and verify finds its manifest right: they are in no pack, though there is one.
func TestVerifyRemovedStreams(t *testing.T) {
	onBoth(t, shortBook, func(r *rig) {
		ctx := r.t.Context()
		kept, gone := r.stream(orders, "kept", leat.ModeProvisioned, 1), r.stream(clicks, "gone", leat.ModeOnDemand, 1)
		r.at("2026-11-01 01:10")
		r.must(r.cat.BeginDelete(ctx, gone, false))
		r.must(r.cat.RemoveStream(ctx, gone))
		k := leat.ShardKey{Stream: kept}
		chunk := segment.NewChunk(k, r.epochs[k], 0)
		rec := leat.Record{PartitionKey: "k", Time: leat.Micros(moment("2026-11-01 01:09"))}
		rec.CRC = rec.Checksum()
		chunk.Append(&rec)
		object, extents, err := segment.NewCoder().Encode(segment.Header{Kind: segment.KindPack, Session: r.session, N: r.number}, []*segment.Chunk{chunk}, nil, segment.Options{})
		r.must(err)
		reg := r.pack(extents...)
		r.must(r.blobs.Create(ctx, reg.Object, object))
		reg.Gone = []shardstore.Extent{r.extent(gone, 0, "2026-11-01 01:08", 10, 1000, 10)}
		r.register(reg)
		r.at("2026-11-01 05:00")
		r.book()
		if inv := r.invoice(clicks, "2026-11"); !strings.Contains(told(&inv), "usage units tier 1 10 one at 1 = 10\n") {
			r.t.Errorf("the bill is\n%s", told(&inv))
		}
		usage, err := r.bill.Sums(ctx, clicks, moment("2026-11-01 00:00"), moment("2026-11-02 00:00"))
		r.must(err)
		if len(usage) != 1 || usage[0].Mode != leat.ModeOnDemand || usage[0].Quantities[rating.StorageDay] != 0 {
			r.t.Errorf("usage %+v", usage)
		}
		v, err := r.bill.Verify(ctx, moment("2026-11-01 00:00"), moment("2026-11-01 05:00"))
		if err != nil || len(v.Problems) > 0 || v.Packs != 1 || v.Records != 11 {
			r.t.Errorf("%+v %v", v, err)
		}
	})
}

// A manifest stays in the database until it stands in the bucket, and is not written over what stands there.
func TestManifests(t *testing.T) {
	onBoth(t, monthBook, func(r *rig) {
		ctx := r.t.Context()
		id := r.stream(orders, "orders", leat.ModeProvisioned, 1)
		// A pack of two months has a manifest in each.
		r.at("2026-12-01 00:01")
		r.register(r.pack(r.extent(id, 0, "2026-11-30 23:59", 10, 1000, 10), r.extent(id, 0, "2026-12-01 00:00", 10, 1000, 10)))
		november, december := catalog.ManifestKey("2026-11", r.session, 0), catalog.ManifestKey("2026-12", r.session, 0)
		r.must(r.blobs.Create(ctx, december, []byte("a stranger")))
		n, err := r.bill.WriteManifests(ctx)
		if n != 1 || leat.KindOf(err) != leat.KindCorrupt {
			r.t.Errorf("%d written over a stranger: %v", n, err)
		}
		r.must(r.blobs.Delete(ctx, december))
		r.lose = true
		if _, err := r.bill.WriteManifests(ctx); err == nil {
			r.t.Error("a lost answer of the database was none")
		}
		if _, err = r.bill.WriteManifests(ctx); err != nil {
			r.t.Error(err)
		}
		for _, key := range []string{november, december} {
			if _, err := r.blobs.Stat(ctx, key); err != nil {
				r.t.Errorf("%s: %v", key, err)
			}
		}
		v, err := r.bill.Verify(ctx, moment("2026-11-01 00:00"), moment("2027-01-01 00:00"))
		if err != nil || len(v.Problems) > 0 || v.Manifests != 2 || v.Records != 20 {
			r.t.Errorf("%+v %v", v, err)
		}
	})
}
