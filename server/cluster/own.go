// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// control serves what is this session's own, when kicked and with each heartbeat, and leads beside it. When rest is
// closed it ends after the round that it is in.
func (m *member) control(ctx context.Context, rest <-chan struct{}, s *shardstore.Store) {
	beside, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	others.Go(func() { m.lead(beside) })
	others.Go(func() { m.handOver(beside, s) })
	defer others.Wait()
	defer stop() // what a leader or a hand-over leaves half done, others finish
	waits := nag{log: m.n.cfg.Logger, clock: m.n.cfg.Clock, what: "the control loop waits"}
	for {
		wait, err := m.round(ctx, s)
		if ctx.Err() == nil {
			waits.tried(err)
		}
		if err != nil || wait <= 0 {
			wait = m.n.cfg.Heartbeat
		}
		c, stop := m.n.cfg.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-rest:
		case <-m.n.kick:
		case <-c:
		}
		stop()
		select {
		case <-ctx.Done():
			return
		case <-rest:
			return // rather than begin another round
		default:
		}
	}
}

// round brings this session to what the catalog says: settings, shards gone, shards to take, shards to open, reshards.
// wait is when something is due that nothing will kick for; 0 for nothing. A round without news asks the catalog nothing.
// What cannot be done for one shard or stream holds up no other.
func (m *member) round(ctx context.Context, s *shardstore.Store) (wait time.Duration, err error) {
	n := m.n
	untold := m.tell(ctx, s)
	if err := m.take(ctx); err != nil {
		return 0, errors.Join(untold, err)
	}
	revision := n.owners.revision()
	if revision != m.learned {
		if err := m.learn(ctx); err != nil {
			return 0, errors.Join(untold, err)
		}
	}
	moves := n.owners.moves()
	m.busy.Store(len(m.streams) > 0 || len(moves) > 0)
	if len(moves) > 0 {
		select {
		case m.move <- struct{}{}:
		default:
		}
	}
	m.drop(s)
	wait, unopened, err := m.openOwn(ctx, s)
	if err != nil {
		return 0, errors.Join(untold, err)
	}
	if wait == 0 && m.learned >= revision {
		m.apply(revision) // also with shards that cannot be opened: nobody could open them, and everybody would wait
	}
	due, err := m.reshards(ctx, s)
	return sooner(wait, due), errors.Join(untold, unopened, err)
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// apply tells the others how far this session is.
func (m *member) apply(revision uint64) {
	if m.applied.Swap(revision) == revision {
		return
	}
	select {
	case m.ack <- struct{}{}:
	default:
	}
}

// learn reads the streams' settings as of now, before this session says that it has applied them.
func (m *member) learn(ctx context.Context) error {
	n := m.n
	revision := n.owners.revision() // what is read after this is not older
	if err := n.cfg.Known(ctx); err != nil {
		return fmt.Errorf("learn the streams' settings: %w", err)
	}
	streams, err := n.cfg.Catalog.UnsettledStreams(ctx)
	if err != nil {
		return fmt.Errorf("list streams in transition: %w", err)
	}
	for i := range streams {
		n.fetchKey(&streams[i].Stream)
	}
	m.streams, m.learned = streams, revision
	return nil
}

// take makes this session the owner of shards that nobody owns, up to its fair share. What nobody takes for a while falls
// to the leader.
func (m *member) take(ctx context.Context) error {
	all, by := m.n.owners.counts()
	want := m.share(all, by)
	if want == 0 {
		return nil
	}
	taken, err := m.n.cfg.Catalog.TakeShards(ctx, m.id, want)
	if err != nil {
		return fmt.Errorf("take shards: %w", err)
	}
	if len(taken) == 0 {
		return nil
	}
	m.n.cfg.Logger.Info("took shards", "shards", len(taken), "session", m.id)
	return m.n.owners.load(ctx)
}

// share is how many unowned shards to take now.
func (m *member) share(all int, by map[leat.SessionID]int) int {
	free := by[leat.SessionID{}]
	if free == 0 {
		return 0
	}
	nodes, willing := 0, false
	for _, p := range m.last().Peers {
		// The table is newer than the last beat when a session has just ended: its shards are wanted at once.
		if _, lives := m.n.owners.Live(p.ID); !lives || p.Draining {
			continue
		}
		nodes++
		willing = willing || p.ID == m.id
	}
	if nodes > 0 && !willing {
		return 0
	}
	if m.takes.Swap(false) {
		return free
	}
	if nodes == 0 {
		return 0 // no pulse yet: nobody knows how many share
	}
	return min(free, max(0, (all+nodes-1)/nodes-by[m.id]))
}

// drop lets go of shards that are gone from the catalog, or another's there.
func (m *member) drop(s *shardstore.Store) {
	var gone []leat.ShardKey
	// One that was refused may be open all the same: a reshard opens children before the catalog knows of them.
	for _, known := range []map[leat.ShardKey]uint64{m.open, m.refused} {
		for k, epoch := range known {
			row, there := m.n.owners.ownership(k)
			if !there || row.Owner != m.id && row.Epoch >= epoch {
				gone = append(gone, k)
				delete(known, k)
			}
		}
	}
	if len(gone) > 0 {
		s.DropShards(gone)
		m.n.cfg.Logger.Info("let go of shards", "shards", len(gone), "session", m.id)
	}
}

// openOwn opens in the engine what the catalog gave to this session. wait is how long a fenced session may still serve
// reads of them; unopened is why some cannot be opened: they are tried again with each round.
func (m *member) openOwn(ctx context.Context, s *shardstore.Store) (wait time.Duration, unopened, err error) {
	const batch = 1000
	var missing []leat.ShardKey
	for k, epoch := range m.n.owners.ownedBy(m.id) {
		if m.open[k] != epoch && m.refused[k] != epoch {
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return 0, nil, nil
	}
	if wait, err = m.n.outlastFenced(ctx); wait > 0 || err != nil {
		return wait, nil, err
	}
	for len(missing) > 0 {
		part := missing[:min(batch, len(missing))]
		missing = missing[len(part):]
		some, err := m.openSome(ctx, s, part)
		if err != nil {
			return 0, nil, err
		}
		unopened = errors.Join(unopened, some)
	}
	return 0, unopened, nil
}

func (m *member) openSome(ctx context.Context, s *shardstore.Store, keys []leat.ShardKey) (unopened, err error) {
	owned, err := m.n.cfg.Catalog.OwnedOf(ctx, m.id, keys)
	if err != nil {
		return nil, fmt.Errorf("read the shards to open: %w", err)
	}
	assigned, unopened := m.n.assign(ctx, owned)
	if err := m.install(s, assigned); errors.Is(err, shardstore.ErrNotLive) {
		return nil, err
	} else if err != nil { // one of them is refused, and the others with it
		for i := range assigned {
			unopened = errors.Join(unopened, m.install(s, assigned[i:i+1]))
		}
	}
	given := make(map[leat.ShardKey]bool, len(owned))
	for _, t := range owned {
		given[t.Shard] = true
	}
	for _, k := range keys {
		if row, there := m.n.owners.ownership(k); there && m.open[k] != row.Epoch && !given[k] {
			m.refused[k] = row.Epoch
		}
	}
	return unopened, nil
}

// install opens shards in the engine: all of them or none.
func (m *member) install(s *shardstore.Store, assigned []shardstore.Assignment) error {
	if err := s.OpenShards(assigned); err != nil {
		return err
	}
	for i := range assigned {
		m.open[assigned[i].Shard] = assigned[i].Epoch
	}
	return nil
}

// outlastFenced returns how long to wait until nobody serves reads any more who was fenced (data-plane.md, rule 13). It
// counts from when this node first saw the session closed: clocks of nodes may disagree.
func (n *Node) outlastFenced(ctx context.Context) (time.Duration, error) {
	if n.cfg.Log.Lease == 0 {
		return 0, nil
	}
	now := n.cfg.Clock.Now()
	ids, err := n.cfg.Catalog.UncleanSince(ctx, now.Add(-n.cfg.Log.Lease-clockBound))
	if err != nil {
		return 0, fmt.Errorf("list sessions that were fenced: %w", err)
	}
	now = n.cfg.Clock.Now()
	seen := make(map[leat.SessionID]time.Time, len(ids))
	wait := time.Duration(0)
	for _, id := range ids {
		at, known := n.closed[id]
		if !known {
			at = now
		}
		seen[id] = at
		wait = max(wait, at.Add(n.cfg.Log.Lease).Sub(now))
	}
	n.closed = seen
	return wait, nil
}

// reshards carries out the intents whose parents are all open here. due is when a transition has been visible for long
// enough; 0 for nothing.
func (m *member) reshards(ctx context.Context, s *shardstore.Store) (due time.Duration, err error) {
	var errs []error
	for i := range m.streams {
		st := &m.streams[i]
		if st.Status != leat.StreamUpdating {
			continue
		}
		if wait := m.n.unseen(st.Since); wait > 0 {
			due = sooner(due, wait)
			continue
		}
		intents, err := m.n.cfg.Catalog.PendingReshards(ctx, st.ID)
		if err != nil {
			errs = append(errs, fmt.Errorf("stream %s: %w", st.Name, err))
			continue
		}
		for _, r := range intents {
			if _, durable := m.n.moved[r.ID]; durable || !m.ownsParents(r) {
				continue
			}
			done, err := s.Reshard(ctx, r)
			if err != nil {
				errs = append(errs, fmt.Errorf("reshard %s: %w", r.ID, err))
				continue
			}
			m.n.moved[done.ID] = done
			errs = append(errs, m.tell(ctx, s))
			m.n.goAhead(ctx, done)
		}
	}
	return due, errors.Join(errs...)
}

// tell brings the outcomes of durable reshards to the catalog. Their children are open in the engine already: they are
// noted once the table must know them, or that they are gone again.
func (m *member) tell(ctx context.Context, s *shardstore.Store) error {
	told := make(map[string]shardstore.Reshard, len(m.n.moved))
	maps.Copy(told, m.n.moved)
	err := m.n.tellMoved(ctx, s)
	for id, r := range told {
		if _, left := m.n.moved[id]; left {
			continue
		}
		for _, c := range r.Children {
			m.born = append(m.born, c.Shard)
		}
	}
	if len(m.born) == 0 {
		return err
	}
	if old := m.n.owners.load(ctx); old != nil {
		return errors.Join(err, old)
	}
	for _, k := range m.born {
		m.open[k] = max(m.open[k], 1)
	}
	m.born = nil
	return err
}

func (m *member) ownsParents(r shardstore.Reshard) bool {
	for _, p := range r.Parents {
		if epoch, open := m.open[p.Shard]; !open || epoch != p.Epoch {
			return false
		}
	}
	return true
}
