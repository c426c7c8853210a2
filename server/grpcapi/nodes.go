// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/broker"
)

// nodeStates is in the order of the proto's numbers.
var nodeStates = [...]broker.NodeState{
	leatv1.NodeState_NODE_STATE_LIVE:     broker.NodeLive,
	leatv1.NodeState_NODE_STATE_DRAINING: broker.NodeDraining,
	leatv1.NodeState_NODE_STATE_FENCING:  broker.NodeFencing,
}

func (s systemService) ListNodes(ctx context.Context, _ *leatv1.ListNodesRequest) (*leatv1.ListNodesResponse, error) {
	nodes, err := s.broker.ListNodes(ctx, principal(ctx))
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListNodesResponse{}
	for i := range nodes {
		n := &nodes[i]
		out.Nodes = append(out.Nodes, &leatv1.Node{
			NodeId: n.Node, SessionId: n.ID.String(), Address: n.Address, State: numbered[leatv1.NodeState](nodeStates[:], broker.StateOf(n)),
			Leader: n.Leader, ShardCount: int32(n.Shards), MovingShardCount: int32(n.Moving),
			BytesInPerSecond: int64(n.BytesIn), RecordsInPerSecond: int64(n.RecordsIn), OpenTime: stamp(n.Opened),
		})
	}
	return out, nil
}

func (s systemService) DrainNode(ctx context.Context, req *leatv1.DrainNodeRequest) (*leatv1.DrainNodeResponse, error) {
	left, err := s.broker.DrainNode(ctx, principal(ctx), broker.DrainNodeRequest{Node: req.GetNode(), Undo: req.GetUndo()})
	if err != nil {
		return nil, err
	}
	return &leatv1.DrainNodeResponse{ShardCount: int32(left)}, nil
}
