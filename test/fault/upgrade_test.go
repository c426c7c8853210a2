// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// A cluster goes from the previous release to this one node by node, and back again on the newer schema, behind a load
// balancer, under an AWS SDK with its defaults and a delivery: the SDK's own retries hide it all, no record is lost, doubled
// or out of order, and each is delivered once. Both releases find storage whole, and this one can rebuild the catalog from
// what both wrote.
func TestRollingUpgradeUnderAnSDK(t *testing.T) {
	t.Parallel()
	older, newer := rig.Previous(t), rig.Binary(t)
	b := rig.SharedBackend(t)
	l := newSDKLoad(t, b, older)
	deliver(t, l.c)
	l.await("on the previous release", 200)
	back := len(l.c.Nodes)
	if runFor(t) == 0 {
		back = 1 // make upgrade takes all of them back
	}
	for _, to := range []struct {
		how, binary string
		nodes       []*rig.Node
	}{{"upgrade", newer, l.c.Nodes}, {"rollback", older, l.c.Nodes[:back]}} {
		for _, n := range to.nodes {
			began := time.Now()
			n.Stop(t)
			n.Binary = to.binary
			n.Start(t)
			t.Logf("%s of %s took %v", to.how, n.Name, time.Since(began).Round(10*time.Millisecond))
			l.await("after the "+to.how+" of "+n.Name, 200)
			l.c.AwaitBalance(t, len(l.c.Nodes), 1, rig.Patience)
			l.crossed()
		}
	}
	final := l.finish()
	v := l.history.Check(final)
	for _, broken := range v.Broken {
		t.Error(broken)
	}
	counts := l.history.Counts()
	t.Logf("%d records acknowledged, %d read meanwhile, %d lost; the slowest call took %v", counts.Acked, counts.Reads, v.Lost, l.slowest().Round(10*time.Millisecond))
	delivered(t, l.c, uint64(final.Records()))
	l.c.Stop(t)
	if r := rig.Exec(t, rig.Command{Binary: older, Env: b.Env(), Args: []string{"fsck"}}); r.Code != 0 {
		t.Errorf("leat fsck of the previous release: exit status %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if f := billed(t, b.Verify(t), b.Check(t)); f.Records != final.Records() {
		t.Errorf("leat fsck counts %d records, %d were read back", f.Records, final.Records())
	}
	for _, broken := range l.history.Check(l.round(l.rebuilt())).Broken {
		t.Errorf("after leat rebuild: %s", broken)
	}
}

// crossed hands what one node gives out to another one: shard iterators and page tokens are the whole cluster's.
func (l *sdkLoad) crossed() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), rig.Patience)
	defer cancel()
	for i := range l.c.Nodes {
		giver, taker := l.c.Client(i), l.c.Client((i+1)%len(l.c.Nodes))
		for shard := range sdkShards {
			it, err := giver.Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{
				Stream: mainStream, ShardId: fmt.Sprintf("shardId-%012d", shard), Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_TRIM_HORIZON},
			})
			if err != nil {
				l.t.Fatalf("GetShardIterator of %s: %v", l.c.Nodes[i].Name, err)
			}
			if res, err := taker.Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator(), Limit: 1}); err != nil || len(res.GetRecords()) != 1 {
				l.t.Errorf("GetRecords with an iterator of %s: %d records, %v", l.c.Nodes[i].Name, len(res.GetRecords()), err)
			}
		}
		page, err := giver.Shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: mainStream, PageSize: sdkShards / 2})
		if err != nil {
			l.t.Fatalf("ListShards of %s: %v", l.c.Nodes[i].Name, err)
		}
		rest, err := taker.Shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: mainStream, PageSize: leat.MaxListShards, PageToken: page.GetNextPageToken()})
		if n := len(page.GetShards()) + len(rest.GetShards()); err != nil || n != sdkShards {
			l.t.Errorf("ListShards with a page token of %s: %d shards in all, want %d: %v", l.c.Nodes[i].Name, n, sdkShards, err)
		}
	}
}

// rebuilt makes a new catalog from the bucket, and reads the stream back through a node of this release.
func (l *sdkLoad) rebuilt() Final {
	l.t.Helper()
	fresh := *l.c.Backend
	fresh.DSN = fresh.PG.Database(l.t)
	rig.Must(l.t, fresh.Env(), "rebuild", "--master-key-file", l.args[len(l.args)-1])
	n := rig.Serve(l.t, "rebuilt", &fresh, l.args...)
	n.Start(l.t)
	final := readBack(l.t, n, mainStream)
	n.Stop(l.t)
	return final
}

// deliver begins to deliver the stream of the load to a bucket of its own.
func deliver(t *testing.T, c *rig.Cluster) {
	t.Helper()
	_, err := c.Client(0).Delivery.CreateDelivery(t.Context(), &leatv1.CreateDeliveryRequest{Delivery: mainStream, Config: &leatv1.DeliveryConfig{
		Source: &leatv1.DeliverySource{Stream: mainStream}, Buffer: &leatv1.DeliveryBuffer{Bytes: 1 << 20, Seconds: 1},
		Format:      &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_DELIMITED},
		Compression: leatv1.DeliveryCompression_DELIVERY_COMPRESSION_GZIP,
		S3:          &leatv1.DeliveryS3{Bucket: c.S3.Bucket(t), Endpoint: "http://" + c.S3.Endpoint, Region: c.S3.Region, AccessKey: c.S3.AccessKey, SecretKey: c.S3.SecretKey},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// delivered waits until every record is delivered, and proves from the objects that each is in one of them.
func delivered(t *testing.T, c *rig.Cluster, records uint64) {
	t.Helper()
	rig.Eventually(t, rig.Patience, "every record is delivered", func() error {
		d, err := c.Client(0).Delivery.DescribeDelivery(t.Context(), &leatv1.DescribeDeliveryRequest{Delivery: mainStream})
		if err != nil {
			return err
		}
		done := uint64(0)
		for _, s := range d.GetShards() {
			done += s.GetNext() - s.GetStart()
		}
		if done < records {
			return fmt.Errorf("%d of %d", done, records)
		}
		return nil
	})
	v, err := c.Client(0).Delivery.VerifyDelivery(t.Context(), &leatv1.VerifyDeliveryRequest{Delivery: mainStream, Deep: true})
	if err != nil || !v.GetClean() || v.GetStored() != records {
		t.Errorf("VerifyDelivery of %d records: %v, %v", records, v, err)
	}
}

// Two nodes of the previous release and one of this share the shards while streams are resharded: each takes over what
// those of the other leave behind when they are killed, frozen and stopped.
func TestMixedReleasesUnderFaults(t *testing.T) {
	if runFor(t) == 0 {
		t.Skip("make upgrade runs it")
	}
	t.Parallel()
	older, newer := rig.Previous(t), rig.Binary(t)
	b, ledger := newBackend(t)
	c := rig.NewCluster(t, b, 3, "--pack-every", "2s", "--shard-limits", "off")
	c.Nodes[0].Binary, c.Nodes[1].Binary = older, older
	c.Nodes[0].Start(t) // alone, as in newSDKLoad
	c.Start(t)
	w := newWorld(t, c.Nodes, ledger, func() rig.Fsck { return b.Check(t) })
	w.shared = true
	f := clusterFaults{c}
	w.rotate([]fault{
		{"kill -9 of the older nodes", func(w *world) { f.kill(w, 0, 1) }},
		{"kill -9 of the newer node", func(w *world) { f.kill(w, 2) }},
		{"zombie of the older release", func(w *world) { f.freeze(w, 0) }},
		{"zombie of the newer release", func(w *world) { f.freeze(w, 2) }},
		{"upgrade and rollback", func(w *world) {
			f.become(w, 1, newer)
			w.progress("with one older node", 50, rig.Patience)
			f.become(w, 1, older)
		}},
		{"SIGTERM of a node", f.stopOne},
	})
	w.finish()
}

// become starts a node again as another binary.
func (f clusterFaults) become(w *world, i int, binary string) {
	f.c.Nodes[i].Stop(w.t)
	f.c.Nodes[i].Binary = binary
	f.launch(w, i)
}
