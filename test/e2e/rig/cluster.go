// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// Cluster is nodes that share the shards of one backend, each behind a road of its own for the others.
type Cluster struct {
	*Backend
	Nodes []*Node
	Roads []*Proxy // to the node of the same number, for other nodes; clients go past it

	clients []*client.Client
	args    []string
}

// NewCluster makes n nodes. Start starts them.
func NewCluster(tb testing.TB, b *Backend, n int, args ...string) *Cluster {
	tb.Helper()
	c := &Cluster{Backend: b, args: args}
	for range n {
		c.Add(tb)
	}
	return c
}

// Add makes one more node, which is not started.
func (c *Cluster) Add(tb testing.TB) *Node {
	tb.Helper()
	n := Serve(tb, fmt.Sprintf("node-%d", len(c.Nodes)+1), c.Backend, c.args...)
	road := NewProxy(tb, n.GRPC)
	n.args = append(n.args, "--advertise-address", road.Addr)
	c.Nodes, c.Roads, c.clients = append(c.Nodes, n), append(c.Roads, road), append(c.clients, n.Dial(tb))
	return n
}

// Start starts every node that does not run and waits until all of them serve.
func (c *Cluster) Start(tb testing.TB) {
	tb.Helper()
	for _, n := range c.Nodes {
		if !n.Running() {
			n.Launch(tb)
		}
	}
	for _, n := range c.Nodes {
		n.Await(tb)
	}
}

// Stop stops every node that runs, all at once, and fails the test unless each of them ends in order.
func (c *Cluster) Stop(tb testing.TB) {
	tb.Helper()
	running := slices.DeleteFunc(slices.Clone(c.Nodes), func(n *Node) bool { return !n.Running() })
	for _, n := range running {
		n.Term(tb)
	}
	for _, n := range running {
		if err := n.Exit(tb); err != nil {
			tb.Errorf("%s: after SIGTERM: %v\n%s", n.Name, err, n.Log())
		}
	}
}

// Client is a connection to a node that stays through its lives.
func (c *Cluster) Client(i int) *client.Client { return c.clients[i] }

// Running returns the numbers of the nodes whose processes live.
func (c *Cluster) Running() (all []int) {
	for i, n := range c.Nodes {
		if n.Running() {
			all = append(all, i)
		}
	}
	return all
}

// callWithin bounds one call: longer than a call waits for a new owner.
const callWithin = 15 * time.Second

// List asks any node for the nodes of the cluster.
func (c *Cluster) List(ctx context.Context) ([]*leatv1.Node, error) {
	errs := []error{errors.New("no node runs")}
	for _, i := range c.Running() {
		call, cancel := context.WithTimeout(ctx, 2*time.Second) // one that is frozen never answers
		res, err := c.clients[i].System.ListNodes(call, &leatv1.ListNodesRequest{})
		cancel()
		if err == nil {
			return res.GetNodes(), nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// Leader returns the number of the node that leads; -1 when none does.
func (c *Cluster) Leader(tb testing.TB) (at int) {
	tb.Helper()
	Eventually(tb, Patience, "somebody leads", func() error {
		nodes, err := c.List(tb.Context())
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if n.GetLeader() && n.GetState() == leatv1.NodeState_NODE_STATE_LIVE {
				at = slices.IndexFunc(c.Nodes, func(of *Node) bool { return of.Name == n.GetNodeId() && of.Running() })
				if at >= 0 {
					return nil
				}
			}
		}
		return errors.New("nobody does")
	})
	return at
}

// AwaitBalance waits until each of n nodes has at least its number of shards, and all of them live.
func (c *Cluster) AwaitBalance(tb testing.TB, n, least int, within time.Duration) {
	tb.Helper()
	Eventually(tb, within, fmt.Sprintf("%d nodes have %d shards or more", n, least), func() error {
		nodes, err := c.List(tb.Context())
		if err != nil {
			return err
		}
		seen := fmt.Sprintf("%d nodes:", len(nodes))
		enough := 0
		for _, of := range nodes {
			seen += fmt.Sprintf(" %s (%v) %d", of.GetNodeId(), of.GetState(), of.GetShardCount())
			if of.GetState() == leatv1.NodeState_NODE_STATE_LIVE && int(of.GetShardCount()) >= least {
				enough++
			}
		}
		if enough != n {
			return errors.New(seen)
		}
		return nil
	})
}

// Shards lists a stream's open shards as a node knows them.
func (c *Cluster) Shards(ctx context.Context, i int, stream string) ([]*leatv1.Shard, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	res, err := c.clients[i].Shards.ListShards(ctx, &leatv1.ListShardsRequest{Stream: stream, PageSize: leat.MaxListShards})
	return slices.DeleteFunc(res.GetShards(), func(s *leatv1.Shard) bool { return s.GetCloseTime() != nil }), err
}

// Put puts one record into a shard, at a node. It returns the record's sequence number.
func (c *Cluster) Put(ctx context.Context, i int, stream string, shard *leatv1.Shard, data []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	res, err := c.clients[i].Records.PutRecord(ctx, &leatv1.PutRecordRequest{
		Stream: stream, PartitionKey: "k", ExplicitHashKey: shard.GetHashKeyRange().GetStartingHashKey(), Data: data,
	})
	if err == nil && res.GetShardId() != shard.GetShardId() {
		err = fmt.Errorf("a record for %s was put into %s", shard.GetShardId(), res.GetShardId())
	}
	return res.GetSequenceNumber(), err
}

// Get reads the record with a sequence number, at a node.
func (c *Cluster) Get(ctx context.Context, i int, stream, shardID, sequence string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	it, err := c.clients[i].Records.GetShardIterator(ctx, &leatv1.GetShardIteratorRequest{Stream: stream, ShardId: shardID, Start: &leatv1.StartingPosition{
		Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_AT_SEQUENCE_NUMBER, SequenceNumber: sequence,
	}})
	if err != nil {
		return nil, err
	}
	res, err := c.clients[i].Records.GetRecords(ctx, &leatv1.GetRecordsRequest{ShardIterator: it.GetShardIterator(), Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(res.GetRecords()) == 0 || res.GetRecords()[0].GetSequenceNumber() != sequence {
		return nil, fmt.Errorf("LOST: %s of %s is not at its place: %v", sequence, shardID, res.GetRecords())
	}
	return res.GetRecords()[0].GetData(), nil
}
