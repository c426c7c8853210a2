// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// ListNodes promises: the sessions that have not ended, with what each owns, as one look at the catalog finds them.
//
// AWS has no such operation.

// ActionListNodes is a look at the cluster.
const ActionListNodes Action = "ListNodes"

// NodeStatus is a session that has not ended.
type NodeStatus = catalog.NodeStatus

// NodeState is how the cluster sees a node.
type NodeState string

// The states of a node.
const (
	NodeLive     NodeState = "LIVE"
	NodeDraining NodeState = "DRAINING"
	NodeFencing  NodeState = "FENCING"
)

// StateOf says how the cluster sees a node.
func StateOf(n *NodeStatus) NodeState {
	switch {
	case n.State == catalog.SessionFencing:
		return NodeFencing
	case n.Draining:
		return NodeDraining
	}
	return NodeLive
}

// ListNodes lists the cluster's nodes, to operators alone: addresses are nobody else's affair.
func (b *Broker) ListNodes(ctx context.Context, who leat.Principal) ([]NodeStatus, error) {
	if err := b.may(ctx, who, ActionListNodes, theServer(who)); err != nil {
		return nil, err
	}
	all, err := b.catalog.Nodes(ctx)
	if err != nil {
		return nil, away(err)
	}
	return all, nil
}
