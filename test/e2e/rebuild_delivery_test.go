// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// The database is lost while deliveries are on their way. A rebuild has them again with their configurations, secrets,
// states and places: each record is in one object, those of before and those of after.
func TestRebuildKeepsDeliveries(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	lake := b.S3.Bucket(t)
	road := rig.NewProxy(t, b.S3.Endpoint) // to the destination alone
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(rig.Must(t, nil, "master-key")), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--shard-limits", "off", "--pack-every", "1s", "--master-key-file", keys}
	one := rig.Serve(t, "one", b, args...)
	one.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cl := one.Dial(t)
	rig.Must(t, one.Env(), "stream", "create", "s", "--shards", "2")
	make1 := func(name, stream string) {
		t.Helper()
		c := &leatv1.DeliveryConfig{
			Buffer:      &leatv1.DeliveryBuffer{Bytes: 1 << 20, Seconds: 1},
			Format:      &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_DELIMITED},
			Compression: leatv1.DeliveryCompression_DELIVERY_COMPRESSION_GZIP, Naming: &leatv1.DeliveryNaming{Prefix: name + "/"},
			S3: &leatv1.DeliveryS3{Bucket: lake, Endpoint: "http://" + road.Addr, Region: b.S3.Region, AccessKey: b.S3.AccessKey, SecretKey: b.S3.SecretKey},
		}
		if stream != "" {
			c.Source = &leatv1.DeliverySource{Stream: stream}
		}
		if _, err := cl.Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: name, Config: c}); err != nil {
			t.Fatal(err)
		}
	}
	make1("live", "s")
	make1("direct", "")
	make1("paused", "s")
	make1("gone", "s")
	rig.Must(t, one.Env(), "delivery", "pause", "paused")
	want := map[string]bool{}
	put := func(n *rig.Node, what string, count int) {
		t.Helper()
		var req leatv1.PutRecordsRequest
		var direct leatv1.PutDeliveryRecordsRequest
		req.Stream, direct.Delivery = "s", "direct"
		for i := range count {
			line := fmt.Sprintf("%s %d %s", what, i, strings.Repeat("p", i%100))
			want[line] = true
			req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: line, Data: []byte(line)})
			direct.Records = append(direct.Records, []byte(line))
		}
		cl := n.Dial(t)
		if res, err := cl.Records.PutRecords(ctx, &req); err != nil || res.GetFailedRecordCount() > 0 {
			t.Fatalf("put: %v, %v", res, err)
		}
		await(ctx, t, func() bool {
			res, err := cl.Delivery.PutDeliveryRecords(ctx, &direct)
			return err == nil && res.GetFailedCount() == 0
		})
	}
	settled := func(n *rig.Node, names ...string) {
		t.Helper()
		cl := n.Dial(t)
		await(ctx, t, func() bool {
			for _, name := range names {
				d, err := cl.Delivery.DescribeDelivery(ctx, &leatv1.DescribeDeliveryRequest{Delivery: name})
				done := uint64(0)
				for _, s := range d.GetShards() {
					done += s.GetNext() - s.GetStart()
					if s.GetNext() < s.GetTail() {
						return false
					}
				}
				if err != nil || done < uint64(len(want)) {
					return false
				}
			}
			return true
		})
	}
	put(one, "first", 300)
	settled(one, "live", "direct", "gone")
	rig.Must(t, one.Env(), "delivery", "delete", "gone")
	rig.Must(t, one.Env(), "stream", "scale", "s", "1")
	put(one, "second", 300)
	settled(one, "live", "direct")
	road.Silence()
	put(one, "third", 300)
	awaitPlans(t, b, 2)
	one.Kill(t)
	road.Mend()

	fresh := *b
	fresh.DSN = b.PG.Database(t)
	told := rig.Must(t, fresh.Env(), "rebuild", "--master-key-file", keys)
	if !strings.Contains(told, "3 delivery streams go on where they were") {
		t.Errorf("leat rebuild says %q", told)
	}
	two := rig.Serve(t, "two", &fresh, args...)
	two.Start(t)
	put(two, "fourth", 300)
	rig.Must(t, two.Env(), "delivery", "resume", "paused")
	settled(two, "live", "direct", "paused")
	for _, name := range []string{"live", "direct", "paused"} {
		got := gunzipped(t, b, lake, name+"/")
		for line := range want {
			if got[line] != 1 {
				t.Errorf("%s: %.40q is there %d times", name, line, got[line])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d different lines, want %d", name, len(got), len(want))
		}
		v, err := two.Dial(t).Delivery.VerifyDelivery(ctx, &leatv1.VerifyDeliveryRequest{Delivery: name, Deep: true})
		if err != nil || !v.GetClean() || v.GetStored() != uint64(len(want)) {
			t.Errorf("%s: verify: %v, %v", name, v, err)
		}
	}
	if out := rig.Must(t, two.Env(), "delivery", "list"); strings.Contains(out, "gone") {
		t.Errorf("a deleted delivery stream is back:\n%s", out)
	}
	two.Stop(t)
	fresh.Check(t)
}
