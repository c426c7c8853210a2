// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// DrainNode promises: the node's session takes no more shards, and the leader has it hand over those that it owns, until
// that is undone or the session ends. It does not wait for that.
//
// AWS has no such operation.

// ActionDrainNode takes a node's shards away.
const ActionDrainNode Action = "DrainNode"

// DrainNodeRequest names a node.
type DrainNodeRequest struct {
	Node string // name or session
	Undo bool
}

// DrainNode returns how many shards the node owns now.
func (b *Broker) DrainNode(ctx context.Context, who leat.Principal, req DrainNodeRequest) (shards int, err error) {
	if err := b.may(ctx, who, ActionDrainNode, Resource{Account: who.Account, Path: "leat:node/" + req.Node}); err != nil {
		return 0, err
	}
	nodes, err := b.catalog.Nodes(ctx)
	if err != nil {
		return 0, away(err)
	}
	var found []NodeStatus
	for i := range nodes {
		if n := &nodes[i]; n.State == catalog.SessionLive && (n.Node == req.Node || n.ID.String() == req.Node) {
			found = append(found, *n)
		}
	}
	switch len(found) {
	case 0:
		return 0, errNoNode(req.Node)
	case 1:
	default:
		return 0, leat.Invalid("node", "%d live nodes have the name %s: give a session", len(found), req.Node)
	}
	err = b.catalog.SetDraining(ctx, found[0].ID, !req.Undo)
	if errors.Is(err, shardstore.ErrFenced) {
		return 0, errNoNode(req.Node) // it has just ended
	}
	if err != nil {
		return 0, away(err)
	}
	b.changed(ctx, fields{"draining": req.Undo}, fields{"draining": !req.Undo, "session": found[0].ID})
	return found[0].Shards, nil
}

func errNoNode(name string) error {
	return leat.Errorf(leat.KindNotFound, "Node %s has no live session.", name)
}
