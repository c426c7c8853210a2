// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// control carries out what the catalog intends, when kicked and once a second. When rest is closed it ends after the
// round that it is in.
func (n *Node) control(ctx context.Context, rest <-chan struct{}, s *shardstore.Store) {
	const poll = time.Second
	var expired time.Time // when shards were last expired
	waits := nag{log: n.cfg.Logger, clock: n.cfg.Clock, what: "the control loop waits"}
	for {
		wait := poll
		if now := n.cfg.Clock.Now(); now.Sub(expired) >= expireEvery {
			expired = now
			if err := n.expire(ctx, s); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Warn("expired shards stay for now", "error", err)
			}
		}
		again, err := n.reconcile(ctx, s)
		if ctx.Err() == nil {
			waits.tried(err)
		}
		if err == nil && again > 0 {
			wait = again
		}
		c, stop := n.cfg.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			stop()
			return
		case <-rest:
			stop()
			return
		case <-n.kick:
			stop()
		case <-c:
		}
		select {
		case <-rest:
			return // rather than begin another round
		default:
		}
	}
}

// expireEvery is how often closed shards without records are looked for.
const expireEvery = time.Minute

// expire forgets closed shards whose records have all expired.
func (n *Node) expire(ctx context.Context, s *shardstore.Store) error {
	if n.HoldsExpiry() {
		return nil
	}
	gone, err := n.cfg.Catalog.ExpireShards(ctx)
	if err != nil || len(gone) == 0 {
		return err
	}
	s.DropShards(gone)
	n.cfg.Changed(ctx)
	n.cfg.Logger.Info("closed shards have expired", "shards", len(gone))
	return nil
}

// reconcile does one round. again is when something that waits for its transition time is due; 0 when nothing waits.
func (n *Node) reconcile(ctx context.Context, s *shardstore.Store) (again time.Duration, err error) {
	untold := n.tellMoved(ctx, s)
	taken, err := n.take(ctx, s)
	if err != nil {
		return 0, errors.Join(untold, err)
	}
	unsettled, err := n.cfg.Catalog.UnsettledStreams(ctx)
	if err != nil {
		return 0, errors.Join(untold, fmt.Errorf("list streams in transition: %w", err))
	}
	errs := []error{untold}
	changed := taken > 0
	for _, st := range unsettled {
		wait, did, err := n.settleStream(ctx, s, st)
		if err != nil {
			errs = append(errs, fmt.Errorf("stream %s: %w", st.Name, err))
		}
		changed = changed || did
		if wait > 0 && (again == 0 || wait < again) {
			again = wait
		}
	}
	if changed {
		n.cfg.Changed(ctx)
	}
	return again, errors.Join(errs...)
}

// settleStream brings one stream that is not at rest a step further.
func (n *Node) settleStream(ctx context.Context, s *shardstore.Store, st catalog.Unsettled) (wait time.Duration, did bool, err error) {
	if wait := n.unseen(st.Since); wait > 0 {
		return wait, false, nil
	}
	switch st.Status {
	case leat.StreamCreating:
		return n.activate(ctx, s, st)
	case leat.StreamDeleting:
		return 0, true, n.remove(ctx, s, st)
	}
	return n.reshard(ctx, s, st)
}

// unseen is for how long a transition must still be seen by tools that wait for it; 0 for no longer. One that begins in
// the future was written by a node whose clock is ahead, by a year perhaps: that is not waited for.
func (n *Node) unseen(since time.Time) time.Duration {
	wait := since.Add(n.cfg.Transition).Sub(n.cfg.Clock.Now())
	if wait < 0 || wait > n.cfg.Transition {
		return 0
	}
	return wait
}

// activate opens a new stream for puts once every shard of it is open here.
func (n *Node) activate(ctx context.Context, s *shardstore.Store, st catalog.Unsettled) (wait time.Duration, did bool, err error) {
	// It may have been made since this round took shards.
	if _, err := n.take(ctx, s); err != nil {
		return 0, false, err
	}
	shards, err := n.cfg.Catalog.Shards(ctx, st.ID)
	if err != nil {
		return 0, false, err
	}
	for i := range shards {
		if shards[i].Owner != s.Session() {
			return n.cfg.Heartbeat, false, nil
		}
	}
	return 0, true, n.cfg.Catalog.ActivateStream(ctx, st.ID)
}

// remove takes a deleted stream out of the catalog and lets go of its shards.
func (n *Node) remove(ctx context.Context, s *shardstore.Store, st catalog.Unsettled) error {
	shards, err := n.cfg.Catalog.Shards(ctx, st.ID)
	if err != nil {
		return err
	}
	keys := make([]leat.ShardKey, 0, len(shards))
	for i := range shards {
		keys = append(keys, shards[i].Key)
	}
	for _, done := range n.moved { // children that are open here, and that the catalog has not been told of
		for _, child := range done.Children {
			if child.Shard.Stream == st.ID {
				keys = append(keys, child.Shard)
			}
		}
	}
	// The catalog first: from the moment at which the shards are gone there, nobody misses their records in a pack.
	if err := n.cfg.Catalog.RemoveStream(ctx, st.ID); err != nil {
		return err
	}
	s.DropShards(keys)
	return nil
}

// reshard runs the stream's intents, then the next step towards its target number of shards.
func (n *Node) reshard(ctx context.Context, s *shardstore.Store, st catalog.Unsettled) (wait time.Duration, did bool, err error) {
	intents, err := n.cfg.Catalog.PendingReshards(ctx, st.ID)
	if err != nil {
		return 0, false, err
	}
	for _, r := range intents {
		if err := n.runIntent(ctx, s, r); err != nil {
			return 0, did, err
		}
		did = true
	}
	if did {
		// The catalog may want another step: look again at once.
		n.Kick()
		return 0, true, nil
	}
	if err := n.cfg.Known(ctx); err != nil {
		return 0, false, fmt.Errorf("learn the stream's settings: %w", err)
	}
	n.fetchKey(&st.Stream)
	did, err = n.cfg.Catalog.NextScaleStep(ctx, st.ID)
	if did {
		n.Kick()
	}
	return 0, did, err
}

// runIntent writes one RESHARD record and tells the catalog. An outcome that the catalog could not take is kept and told
// again by every round: the record is in the log once, and packing waits until the catalog knows.
func (n *Node) runIntent(ctx context.Context, s *shardstore.Store, r shardstore.Reshard) error {
	done, err := s.Reshard(ctx, r)
	if err != nil {
		return fmt.Errorf("reshard %s: %w", r.ID, err)
	}
	n.moved[done.ID] = done
	err = n.tellMoved(ctx, s)
	n.goAhead(ctx, done)
	return err
}

// goAhead lets this node's edges have a durable reshard that the catalog could not be told of. Not before the catalog was
// tried: other nodes, which ask it, should know the children when their first readers come.
func (n *Node) goAhead(ctx context.Context, done shardstore.Reshard) {
	if _, untold := n.moved[done.ID]; untold {
		n.cfg.Resharded(ctx, done)
	}
}

// tellMoved brings the outcomes of durable reshards to the catalog. One whose answer was lost, or whose stream was
// deleted meanwhile, is told again without harm. One that the catalog does not take holds up no other.
func (n *Node) tellMoved(ctx context.Context, s *shardstore.Store) error {
	var errs []error
	for id, done := range n.moved {
		if err := n.cfg.Catalog.FinishReshard(ctx, done); err != nil {
			if errs = append(errs, fmt.Errorf("finish reshard %s: %w", id, err)); ctx.Err() != nil {
				break
			}
			continue
		}
		s.ConfirmReshard(id)
		delete(n.moved, id)
	}
	return errors.Join(errs...)
}
