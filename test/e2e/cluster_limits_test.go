// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// A shard takes what one shard takes, however many nodes its producers ask, and its owner alone counts it.
func TestShardLimitsHoldOverAllNodes(t *testing.T) {
	t.Parallel()
	c := rig.NewCluster(t, rig.SharedBackend(t), 3, "--pack-every", "2s", "--shard-limits", "aws")
	c.Start(t)
	rig.Must(t, c.Nodes[0].Env(), "stream", "create", "s", "--shards", "3")
	c.AwaitBalance(t, 3, 1, time.Minute)
	shards, err := c.Shards(t.Context(), 0, "s")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Client(0).Streams.SetStreamMonitoring(t.Context(), &leatv1.SetStreamMonitoringRequest{
		Stream: "s", Enable: []leatv1.ShardMetric{leatv1.ShardMetric_SHARD_METRIC_INCOMING_RECORDS},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards {
		took, acked := flood(t, c, shard)
		if most := int(float64(leat.ShardRecordsIn) * (1 + took.Seconds())); acked > most || acked < leat.ShardRecordsIn {
			t.Errorf("%s took %d records in %v by three nodes: want %d to %d", shard.GetShardId(), acked, took, leat.ShardRecordsIn, most)
		}
		ownerCounts(t, c, shard.GetShardId(), acked)
	}
	c.Stop(t)
	c.Check(t)
}

// flood puts many small records into a shard by all nodes at once, and returns how long that took and how many were taken.
func flood(t *testing.T, c *rig.Cluster, shard *leatv1.Shard) (took time.Duration, acked int) {
	t.Helper()
	req := &leatv1.PutRecordsRequest{Stream: "s"}
	for range leat.MaxPutRecords {
		req.Records = append(req.Records, &leatv1.PutRecordsRequestEntry{
			PartitionKey: "k", ExplicitHashKey: shard.GetHashKeyRange().GetStartingHashKey(), Data: []byte("x"),
		})
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	began := time.Now()
	for i := range c.Nodes {
		all.Go(func() {
			for range 8 {
				res, err := c.Client(i).Records.PutRecords(t.Context(), req)
				if err != nil {
					t.Errorf("%s: %v", c.Nodes[i].Name, err)
					return
				}
				for _, r := range res.GetRecords() {
					switch r.GetErrorCode() {
					case leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_UNSPECIFIED:
						mu.Lock()
						acked++
						mu.Unlock()
					case leatv1.PutRecordsErrorCode_PUT_RECORDS_ERROR_CODE_PROVISIONED_THROUGHPUT_EXCEEDED:
						if !strings.HasPrefix(r.GetErrorMessage(), "Rate exceeded for shard "+shard.GetShardId()) {
							t.Errorf("%s refuses with %q", c.Nodes[i].Name, r.GetErrorMessage())
							return
						}
					default:
						t.Errorf("%s: %v %s", c.Nodes[i].Name, r.GetErrorCode(), r.GetErrorMessage())
						return
					}
				}
			}
		})
	}
	all.Wait()
	return time.Since(began), acked
}

// ownerCounts waits until one node, and no other, shows how many records a shard has taken.
func ownerCounts(t *testing.T, c *rig.Cluster, shard string, want int) {
	t.Helper()
	series := fmt.Sprintf(`leat_shard_incoming_records_total{account=%q,shard=%q,stream="s"}`, leat.DevAccount, shard)
	rig.Eventually(t, rig.Patience, "the owner of "+shard+" shows its records", func() error {
		var shown []float64
		for _, n := range c.Nodes {
			if got, err := n.Metric(t.Context(), series); err == nil {
				shown = append(shown, got)
			}
		}
		if len(shown) != 1 || shown[0] != float64(want) {
			return fmt.Errorf("nodes show %v records: want one with %d", shown, want)
		}
		return nil
	})
}
