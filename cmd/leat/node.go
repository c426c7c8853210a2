// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// nodeCmd is `leat node`.
type nodeCmd struct {
	Connection connection `embed:""`

	List  nodeListCmd  `cmd:"" help:"List the cluster's nodes, and what each of them serves."`
	Drain nodeDrainCmd `cmd:"" help:"Have a node hand its shards to others, and take no more until it is started again."`
}

type nodeListCmd struct{}

// Run lists nodes.
func (cmd *nodeListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.System.ListNodes(ctx, &leatv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		p := newPrinter(t.out, c.Output, "NODE", "STATE", "LEADER", "SHARDS", "RECORDS/S", "IN/S", "ADDRESS", "SESSION", "SINCE")
		for _, n := range res.GetNodes() {
			v := viewNode(n)
			if err := p.Row(v, v.Name, v.State, v.leads(), v.shards(), count(v.RecordsIn), size(float64(v.BytesIn)), v.Address, v.Session, local(n.GetOpenTime())); err != nil {
				return err
			}
		}
		return p.Flush()
	})
}

type nodeDrainCmd struct {
	Name string `arg:"" help:"Name of the node, or its session where two have one name."`
	Undo bool   `help:"Let it take shards again."`
}

// Run drains a node.
func (cmd *nodeDrainCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.System.DrainNode(ctx, &leatv1.DrainNodeRequest{Node: cmd.Name, Undo: cmd.Undo})
		if err != nil {
			return err
		}
		v := drainView{Name: cmd.Name, Draining: !cmd.Undo, Shards: int(res.GetShardCount())}
		text := fmt.Sprintf("node %s hands over %s: `leat node list` shows how many are left", v.Name, plural(v.Shards, "shard"))
		if cmd.Undo {
			text = fmt.Sprintf("node %s takes shards again", v.Name)
		}
		p := newPrinter(t.out, c.Output)
		if err := p.Row(v, text); err != nil {
			return err
		}
		return p.Flush()
	})
}

// drainView is the JSON form of what became of a drain.
type drainView struct {
	Name     string `json:"node"`
	Draining bool   `json:"draining"`
	Shards   int    `json:"shard_count"`
}

// nodeNames returns the names of the nodes by their sessions. It is empty where the server does not tell: names are for
// people alone, who can do with the sessions.
func nodeNames(ctx context.Context, cl *client.Client) map[string]string {
	names := map[string]string{}
	res, err := cl.System.ListNodes(ctx, &leatv1.ListNodesRequest{})
	if err != nil {
		return names
	}
	for _, n := range res.GetNodes() {
		names[n.GetSessionId()] = n.GetNodeId()
	}
	return names
}

// nodeView is the JSON form of a node.
type nodeView struct {
	Name      string `json:"node_id"`
	Session   string `json:"session_id"`
	Address   string `json:"address"`
	State     string `json:"state"`
	Leader    bool   `json:"leader"`
	Shards    int    `json:"shard_count"`
	Moving    int    `json:"moving_shard_count"`
	BytesIn   int64  `json:"bytes_in_per_second"`
	RecordsIn int64  `json:"records_in_per_second"`
	Opened    string `json:"open_time"`
}

func viewNode(n *leatv1.Node) nodeView {
	return nodeView{
		Name: n.GetNodeId(), Session: n.GetSessionId(), Address: n.GetAddress(), State: short(n.GetState().String()), Leader: n.GetLeader(),
		Shards: int(n.GetShardCount()), Moving: int(n.GetMovingShardCount()),
		BytesIn: n.GetBytesInPerSecond(), RecordsIn: n.GetRecordsInPerSecond(), Opened: rfc3339(n.GetOpenTime()),
	}
}

func (v *nodeView) leads() string {
	if v.Leader {
		return "yes"
	}
	return ""
}

// shards says how many there are, and how many of them are on their way to another node.
func (v *nodeView) shards() string {
	if v.Moving == 0 {
		return strconv.Itoa(v.Shards)
	}
	return fmt.Sprintf("%d (%d moving)", v.Shards, v.Moving)
}
