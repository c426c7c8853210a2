// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// settle returns when no session but closed ones is left and this node may open one: id is the session that it will
// open.
func (n *Node) settle(ctx context.Context, id leat.SessionID) error {
	watch := map[leat.SessionID]pulse{}
	for {
		others, err := n.cfg.Catalog.ListSessions(ctx, catalog.SessionLive, catalog.SessionFencing)
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		alive := 0
		for _, s := range others {
			if !n.dead(s, watch) {
				alive++
				if s.Alone {
					n.because("node %q (session %s) is alive and serves all shards: this node stands by", s.Node, s.ID)
				} else {
					n.because("node %q (session %s) is alive and shares the shards, and this node was started with --share-shards=false: nodes of one cluster are all started with it or all without", s.Node, s.ID)
				}
				continue
			}
			if err := n.recover(ctx, s.ID); err != nil {
				return err
			}
		}
		if alive == 0 {
			if err := n.guard.Wrong(); err != nil { // it may have stood by for days
				return err
			}
			leads, err := n.cfg.Catalog.AcquireLeader(ctx, id, n.cfg.DeadAfter)
			if err != nil {
				return fmt.Errorf("acquire the leader's lease: %w", err)
			}
			if leads {
				return nil
			}
			n.because("another node is about to serve: this node stands by")
		}
		if err := n.sleep(ctx, n.cfg.Heartbeat); err != nil {
			return err
		}
	}
}

// outwait returns when no session is left that serves all shards by itself: beside it this node, which shares, would get
// none. One that is dead is recovered here, since no leader does it.
func (n *Node) outwait(ctx context.Context) error {
	watch := map[leat.SessionID]pulse{}
	for {
		others, err := n.cfg.Catalog.ListSessions(ctx, catalog.SessionLive, catalog.SessionFencing)
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		alive := false
		for _, s := range others {
			switch {
			case !s.Alone:
			case !n.dead(s, watch):
				alive = true
				n.because("node %q (session %s) is alive and serves all shards by itself (--share-shards=false): nodes of one cluster are all started with it or all without", s.Node, s.ID)
			default:
				if err := n.recover(ctx, s.ID); err != nil {
					return err
				}
			}
		}
		if !alive {
			return n.guard.Wrong() // it may have waited for days
		}
		if err := n.sleep(ctx, n.cfg.Heartbeat); err != nil {
			return err
		}
	}
}

// pulse is what this node saw of a session's heartbeat.
type pulse struct {
	beat  uint64
	since time.Time // when beat was first seen
	polls int       // successful polls that saw the same beat
}

// dead tells whether a session may be fenced (data-plane.md, rule 9). Only polls of ours that succeeded count, so a
// catalog that was away makes nobody dead.
func (n *Node) dead(s catalog.Session, watch map[leat.SessionID]pulse) bool {
	n.mu.Lock()
	own := n.mine[s.ID]
	n.mu.Unlock()
	if own || n.cfg.Exclusive || s.State == catalog.SessionFencing {
		return true
	}
	now := n.cfg.Clock.Now()
	p, seen := watch[s.ID]
	if !seen || p.beat != s.Beat {
		watch[s.ID] = pulse{beat: s.Beat, since: now}
		return false
	}
	p.polls++
	watch[s.ID] = p
	need := int(n.cfg.DeadAfter / n.cfg.Heartbeat)
	return p.polls >= need && now.Sub(p.since) >= n.cfg.DeadAfter
}

// recover decides how a dead session ended and closes it in the catalog.
func (n *Node) recover(ctx context.Context, id leat.SessionID) (err error) {
	n.because("recovering session %s", id)
	ctx, end := n.follow(ctx, "recover session", id)
	defer func() { end(err) }()
	trim, err := n.cfg.Catalog.BeginFencing(ctx, id)
	if errors.Is(err, catalog.ErrClosed) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("begin to fence session %s: %w", id, err)
	}
	closing, err := shardstore.Recover(ctx, shardstore.Recovery{
		Cluster: n.cfg.Info.ID, Driver: n.cfg.Driver, Blobs: n.cfg.Blobs,
		Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger,
	}, id, trim)
	if err != nil {
		return err
	}
	err = n.cfg.Catalog.CloseSession(ctx, closing, false)
	if err != nil && !errors.Is(err, catalog.ErrClosed) {
		return fmt.Errorf("close session %s: %w", id, err)
	}
	records := uint64(0)
	for _, sh := range closing.Shards {
		for _, e := range sh.Extents {
			records += e.Count
		}
	}
	n.cfg.Logger.Info("recovered a session", "session", id, "segments", closing.Fence-closing.Trim, "shards", len(closing.Shards), "records", records)
	n.release(ctx, id)
	return nil
}

// follow begins a trace of something that the node does about a session; end ends it.
func (n *Node) follow(ctx context.Context, name string, id leat.SessionID) (_ context.Context, end func(error)) {
	if n.cfg.Tracer != nil {
		if traced, span := n.cfg.Tracer.Work(ctx, name); span != nil {
			span.Text("leat.session", id.String())
			return traced, span.End
		}
	}
	return ctx, func(error) {}
}

// release ends the leader's lease of a session that is over, so that its successor need not wait for the end of it.
func (n *Node) release(ctx context.Context, id leat.SessionID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.cfg.DeadAfter) // it has run out by then
	defer cancel()
	if err := n.cfg.Catalog.ReleaseLeader(ctx, id); err != nil {
		n.cfg.Logger.Warn("the leader's lease was not released: it runs out by itself", "session", id, "error", err)
	}
}

// take gives unowned shards to the session and opens them in its engine. Where an earlier take came to no clear end,
// everything that the session owns is looked at again: shards that are open already are left alone.
func (n *Node) take(ctx context.Context, s *shardstore.Store) (opened int, err error) {
	const batch = 1000
	var taken []catalog.Taken
	if n.uncertain {
		taken, err = n.cfg.Catalog.Owned(ctx, s.Session())
	} else {
		taken, err = n.cfg.Catalog.TakeShards(ctx, s.Session(), batch)
	}
	n.uncertain = n.uncertain || err != nil
	if err != nil {
		return 0, fmt.Errorf("take shards: %w", err)
	}
	if len(taken) == 0 {
		n.uncertain = false
		return 0, nil
	}
	ctx, end := n.follow(ctx, "take over shards", s.Session())
	defer func() { end(err) }()
	n.uncertain = true
	assigned, err := n.assign(ctx, taken)
	if err != nil {
		return 0, err
	}
	if err := s.OpenShards(assigned); err != nil {
		return 0, err
	}
	n.uncertain = false
	return len(taken), nil
}

// assign adds what closed sessions still hold of the shards: closed/<session> says it. With an error it returns those of
// which that can be said.
func (n *Node) assign(ctx context.Context, taken []catalog.Taken) ([]shardstore.Assignment, error) {
	left := n.closings
	if left == nil {
		left = map[leat.SessionID]map[leat.ShardKey]shardstore.ClosedShard{}
	}
	out := make([]shardstore.Assignment, 0, len(taken))
	unread := map[leat.SessionID]bool{}
	var errs []error
	for _, t := range taken {
		for _, id := range t.Sessions {
			if left[id] != nil || unread[id] {
				continue
			}
			c, err := shardstore.ReadClosing(ctx, n.cfg.Blobs, id)
			if err != nil {
				unread[id], errs = true, append(errs, err)
				continue
			}
			left[id] = map[leat.ShardKey]shardstore.ClosedShard{}
			for _, cs := range c.Shards {
				left[id][cs.Shard] = cs
			}
		}
		if slices.ContainsFunc(t.Sessions, func(id leat.SessionID) bool { return unread[id] }) {
			continue
		}
		a := shardstore.Assignment{
			Shard: t.Shard, Epoch: t.Epoch, Horizon: t.Horizon, Next: t.Next, LastTime: t.LastTime,
			Closed: t.Closed, Extents: t.Extents,
		}
		for _, id := range t.Sessions {
			cs := left[id][t.Shard]
			a.Pending = append(a.Pending, shardstore.Pending{Session: id, Extents: cs.Extents})
			a.LastTime = max(a.LastTime, cs.LastTime)
		}
		out = append(out, a)
	}
	return out, errors.Join(errs...)
}

// logKeeper is a medium that keeps something of each session until it is told to drop it, as a local folder does.
type logKeeper interface {
	Sessions() ([]leat.SessionID, error)
	Drop(ctx context.Context, s leat.SessionID) error
}

// dropLogs removes what the medium keeps of sessions that are closed and hold no records of any shard. It runs before
// anything is read in a session of ours, so nobody is in those logs.
func (n *Node) dropLogs(ctx context.Context) error {
	keeper, ok := n.cfg.Driver.(logKeeper)
	if !ok {
		return nil
	}
	kept, err := keeper.Sessions()
	if err != nil {
		return err
	}
	closed, err := n.cfg.Catalog.ListSessions(ctx, catalog.SessionClosed)
	if err != nil {
		return err
	}
	held, err := n.cfg.Catalog.ClosedShards(ctx)
	if err != nil {
		return err
	}
	over := make(map[leat.SessionID]bool, len(closed))
	for _, s := range closed {
		over[s.ID] = true
	}
	for _, id := range kept {
		if !over[id] || len(held[id]) > 0 {
			continue
		}
		if err := keeper.Drop(ctx, id); err != nil {
			return fmt.Errorf("drop the log of session %s: %w", id, err)
		}
	}
	return nil
}
