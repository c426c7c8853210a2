// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// Two nodes share the shards of a stream and deliver them. Each is killed while plans of its own are in the catalog and
// their objects are not, and the stream is resharded meanwhile: whoever owns the shards next carries the plans out, and each
// record is in one object.
func TestDeliveryFailsOver(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	lake := b.S3.Bucket(t)
	road := rig.NewProxy(t, b.S3.Endpoint) // to the destination alone
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(rig.Must(t, nil, "master-key")), 0o600); err != nil {
		t.Fatal(err)
	}
	c := rig.NewCluster(t, b, 2, "--pack-every", "2s", "--shard-limits", "off", "--master-key-file", keys)
	c.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rig.Must(t, c.Nodes[0].Env(), "stream", "create", "s", "--shards", "4")
	c.AwaitBalance(t, 2, 1, rig.Patience)
	_, err := c.Client(0).Delivery.CreateDelivery(ctx, &leatv1.CreateDeliveryRequest{Delivery: "d", Config: &leatv1.DeliveryConfig{
		Source: &leatv1.DeliverySource{Stream: "s"}, Buffer: &leatv1.DeliveryBuffer{Bytes: 1 << 20, Seconds: 1},
		Format:      &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_DELIMITED},
		Compression: leatv1.DeliveryCompression_DELIVERY_COMPRESSION_GZIP, Naming: &leatv1.DeliveryNaming{Prefix: "d/"},
		S3: &leatv1.DeliveryS3{Bucket: lake, Endpoint: "http://" + road.Addr, Region: b.S3.Region, AccessKey: b.S3.AccessKey, SecretKey: b.S3.SecretKey},
	}})
	if err != nil {
		t.Fatal(err)
	}
	l := &load{c: c, acked: map[string]bool{}}
	loading, stop := context.WithCancel(ctx)
	var producer sync.WaitGroup
	producer.Go(func() { l.run(loading) })
	for round, shards := range []string{"6", "3"} {
		road.Silence() // what is planned from now on is not written
		awaitPlans(t, b, 2)
		c.Nodes[round].Kill(t)
		road.Mend()
		rig.Eventually(t, 2*rig.Patience, "the stream is scaled", func() error {
			if r := rig.Run(t, c.Nodes[1-round].Env(), "stream", "scale", "s", shards); r.Code != 0 {
				return errors.New(r.Stderr)
			}
			return nil
		})
		c.Start(t)
		c.AwaitBalance(t, 2, 1, 2*rig.Patience)
	}
	stop()
	producer.Wait()
	await(ctx, t, func() bool {
		d, err := c.Client(0).Delivery.DescribeDelivery(ctx, &leatv1.DescribeDeliveryRequest{Delivery: "d"})
		done := uint64(0)
		for _, s := range d.GetShards() {
			done += s.GetNext() - s.GetStart()
			if s.GetNext() < s.GetTail() {
				return false
			}
		}
		return err == nil && done >= uint64(len(l.acked))
	})
	got := gunzipped(t, b, lake, "d/")
	for line, n := range got {
		if n != 1 {
			t.Errorf("%.40q is there %d times", line, n)
		}
	}
	for line := range l.acked {
		if got[line] == 0 {
			t.Errorf("LOST: %.40q", line)
		}
	}
	t.Logf("%d records were acknowledged, %d delivered", len(l.acked), len(got))
	if len(l.acked) < 1000 {
		t.Errorf("%d records were acknowledged: too few to say anything", len(l.acked))
	}
	r := rig.Run(t, c.Nodes[1].Env(), "delivery", "verify", "d", "--deep")
	if r.Code != 0 || !strings.Contains(r.Stdout, "clean") {
		t.Errorf("leat delivery verify: %+v", r)
	}
	c.Stop(t)
	b.Check(t)
}

// load puts records through any node that answers.
type load struct {
	c     *rig.Cluster
	acked map[string]bool
	n     int
}

func (l *load) run(ctx context.Context) {
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		req := &leatv1.PutRecordsRequest{Stream: "s"}
		for range 20 { // a record that is not acknowledged is not put again
			l.n++
			req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{PartitionKey: fmt.Sprint(l.n), Data: fmt.Appendf(nil, `{"n":%d,"pad":"%s"}`, l.n, strings.Repeat("p", l.n%300))})
		}
		call, cancel := context.WithTimeout(ctx, 15*time.Second)
		res, _ := l.c.Client(i%2).Records.PutRecords(call, req) // what it does not have was not acknowledged
		cancel()
		for j, r := range res.GetRecords() {
			if r.GetSequenceNumber() != "" {
				l.acked[string(req.GetRecords()[j].GetData())] = true
			}
		}
		<-pause.C
	}
}

// awaitPlans waits until n plans are in the catalog and not committed.
func awaitPlans(t *testing.T, b *rig.Backend, n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rig.Eventually(t, rig.Patience, "plans wait for their objects", func() error {
		var there int
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM delivery_plans WHERE state = 'planned'").Scan(&there)
		if err == nil && there < n {
			err = fmt.Errorf("there are %d", there)
		}
		return err
	})
}
