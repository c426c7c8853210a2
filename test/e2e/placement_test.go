// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat/api/client"
	"github.com/leatstream/leat/test/e2e/rig"
)

// forwarded sums up the records that nodes have handed to one another.
func (c *clusterTest) forwarded() (sum float64) {
	c.Helper()
	for _, i := range c.Running() {
		n, err := c.Nodes[i].Metric(c.Context(), "leat_forwarded_records_total")
		if err != nil {
			c.Fatal(err)
		}
		sum += n
	}
	return sum
}

// produce puts n records by a producer, one key each, and waits for all of them.
func (c *clusterTest) produce(p *client.Producer, about string, n int) {
	c.Helper()
	acks := make([]*client.Ack, n)
	for i := range acks {
		var err error
		if acks[i], err = p.Put(c.Context(), fmt.Sprint("key ", i), fmt.Appendf(nil, "%s %d", about, i)); err != nil {
			c.Fatal(err)
		}
	}
	for i, a := range acks {
		placed, err := a.Wait(c.Context())
		if err != nil {
			c.Fatalf("%s: record %d: %v", about, i, err)
		}
		c.acked = append(c.acked, atPlace(placed, fmt.Sprintf("%s %d", about, i)))
	}
}

func atPlace(p client.Placed, data string) placed {
	return placed{shard: p.ShardID, sequence: p.SequenceNumber, data: data}
}

// A producer that is given all nodes finds the owners of shards by itself: no node has to hand its records to another.
// When shards move, and when a node dies, it goes on.
func TestClientFindsOwners(t *testing.T) {
	t.Parallel()
	c := newCluster(t, rig.SharedBackend(t), 3)
	c.AwaitBalance(t, 3, 2, time.Minute)
	var endpoints []string
	for _, n := range c.Nodes {
		endpoints = append(endpoints, n.GRPC)
	}
	nodes, err := client.DialNodes(endpoints, client.WithToken(c.Token))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nodes.Close() })
	producer := func(o client.ProducerOptions) *client.Producer {
		p, err := client.NewProducer(c.Client(0), "s", o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close(t.Context()) })
		return p
	}
	const records = 300
	blind := producer(client.ProducerOptions{})
	before := c.forwarded()
	c.produce(blind, "blind", records)
	hops := c.forwarded() - before
	t.Logf("of %d records of a producer with one endpoint %.0f were handed on", records, hops)
	if hops < records/4 {
		t.Errorf("of %d records for three nodes only %.0f were handed on: this test says nothing", records, hops)
	}

	placing := producer(client.ProducerOptions{Nodes: nodes})
	round := 0
	direct := func(about string) {
		t.Helper()
		rig.Eventually(t, rig.Patience, about+": records go to their owners", func() error {
			round++
			before := c.forwarded()
			c.produce(placing, fmt.Sprintf("%s, round %d", about, round), records)
			if hops := c.forwarded() - before; hops > 0 {
				return fmt.Errorf("of %d records %.0f were handed on", records, hops)
			}
			return nil
		})
		t.Logf("%s: after %d rounds none of %d records was handed on", about, round, records)
	}
	direct("at rest")
	rig.Must(t, c.Nodes[0].Env(), "node", "drain", c.Nodes[1].Name)
	c.AwaitBalance(t, 2, 4, time.Minute)
	direct("after shards have moved")
	c.Nodes[2].Kill(t)
	c.produce(placing, "while a node is dead", records)
	direct("after a node has died")
	c.whole()
	c.Stop(t)
	c.Check(t)
}
