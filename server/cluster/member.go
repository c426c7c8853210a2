// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// member is one session's life beside others. Three loops live in it: the heart, the control loop (own shards), and the
// leader's, which rests while another session leads.
type member struct {
	n     *Node
	id    leat.SessionID
	store atomic.Pointer[shardstore.Store] // nil until the log is open

	ack    chan struct{} // asks the heart to beat now
	move   chan struct{} // tells the mover of a new table
	pulsed chan struct{} // tells the leader's loop of a beat
	busy   atomic.Bool   // streams are in transition, or shards move: beats come faster
	takes  atomic.Bool   // the leader found shards that nobody takes

	applied atomic.Uint64 // the revision that this session has applied
	load    load          // of the heart
	beats   uint64        // that the catalog has answered; of the heart
	before  uint64        // the revision of the table of owners when this session opened: another database's, perhaps
	shed    shed          // of the hand-over loop

	mu    sync.Mutex
	pulse catalog.Pulse // the last
	watch watch         // what the pulses say of the others

	// Of the control loop.
	open    map[leat.ShardKey]uint64 // epochs of the shards that are open in the engine
	refused map[leat.ShardKey]uint64 // epochs of shards that cannot be opened: their streams are being deleted
	born    []leat.ShardKey          // children of reshards that the catalog has and the table may not
	learned uint64                   // the revision at which the settings of streams were last learned
	streams []catalog.Unsettled      // as of learned
}

// join opens a session beside others and serves what falls to it, until it is over. nil: it lived and another may follow.
func (n *Node) join(ctx context.Context) error {
	if err := n.mayOpen(ctx); err != nil {
		return err
	}
	if err := errors.Join(n.buryOwn(ctx), n.outwait(ctx)); err != nil {
		return err
	}
	m := &member{
		n: n, id: leat.NewID[leat.SessionID](n.cfg.Rand), ack: make(chan struct{}, 1), pulsed: make(chan struct{}, 1), move: make(chan struct{}, 1),
		open: map[leat.ShardKey]uint64{}, refused: map[leat.ShardKey]uint64{},
		watch: watch{seen: map[leat.SessionID]silence{}},
	}
	if err := n.cfg.Catalog.OpenSession(ctx, catalog.Session{ID: m.id, Node: n.cfg.Node, Address: n.cfg.Address, NodeSecret: n.cfg.NodeSecret}); err != nil {
		n.over(m.id) // it may have been registered
		return fmt.Errorf("register a session: %w", err)
	}
	n.over(m.id) // from here on it must be recovered, whatever happens
	m.before = n.owners.revision()
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var heart sync.WaitGroup
	heart.Go(func() { m.beat(life, end) })
	still := func() {
		end(nil)
		heart.Wait()
		n.leads.Store(false)
	}
	defer still()
	s, err := n.begin(ctx, m.id)
	if err != nil {
		return err
	}
	m.store.Store(s)
	if err := n.learn(ctx); err != nil {
		s.Fail(err)
		return err
	}
	return n.serve(ctx, life, s, still, m.control)
}

// buryOwn recovers this process's earlier sessions: it knows that they are over, and nobody need suspect them.
func (n *Node) buryOwn(ctx context.Context) error {
	n.mu.Lock()
	some := len(n.mine) > 0
	n.mu.Unlock()
	if !some {
		return nil
	}
	left, err := n.cfg.Catalog.ListSessions(ctx, catalog.SessionLive, catalog.SessionFencing)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	for _, s := range left {
		n.mu.Lock()
		own := n.mine[s.ID]
		n.mu.Unlock()
		if !own {
			continue
		}
		if err := n.recover(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// beat keeps the heartbeat until ctx ends, and looks at the cluster with each. A catalog that does not answer changes
// nothing: live owners go on. A catalog that says the session is over ends it at once.
func (m *member) beat(ctx context.Context, end context.CancelCauseFunc) {
	for healthy := true; ; {
		err := m.beatOnce(ctx)
		switch {
		case errors.Is(err, shardstore.ErrFenced):
			if ctx.Err() == nil {
				m.n.cfg.Logger.Error("another node has taken over this session", "session", m.id)
			}
			end(err)
			return
		case errors.Is(err, catalog.ErrOlder):
			m.n.disown(m.id, end)
			return
		case err != nil && healthy && ctx.Err() == nil:
			m.n.cfg.Logger.Warn("the catalog is away: what is owned is served on", "error", err)
		case err == nil && !healthy:
			m.n.cfg.Logger.Info("the catalog is back")
		}
		healthy = err == nil
		if !m.untilBeat(ctx) {
			return
		}
	}
}

// untilBeat waits for the next beat: sooner when there is something to tell, and while streams are in transition.
func (m *member) untilBeat(ctx context.Context) bool {
	wait := m.n.cfg.Heartbeat
	if m.busy.Load() {
		wait /= 5
	}
	c, stop := m.n.cfg.Clock.NewTimer(wait)
	defer stop()
	select {
	case <-c:
	case <-m.ack:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

func (m *member) beatOnce(ctx context.Context) error {
	cfg := &m.n.cfg
	limited, cancel := context.WithTimeout(ctx, cfg.DeadAfter)
	defer cancel()
	lease := cfg.DeadAfter
	if m.n.ClockWrong() != nil {
		lease = 0 // it would end when nobody knows, and this node does nothing as the leader
	}
	newest := m.newest()
	p, err := cfg.Catalog.Pulse(limited, m.id, m.report(), lease)
	if err != nil {
		return err
	}
	if !m.remembered(&p) || p.Revision < newest {
		return catalog.ErrOlder
	}
	m.mu.Lock()
	was := m.pulse.Leads
	m.pulse = p
	m.watch.poll(cfg.Clock.Now(), m.id, p.Peers, 2*cfg.Heartbeat)
	m.mu.Unlock()
	m.n.leads.Store(p.Leads)
	if p.Leads != was {
		cfg.Logger.Info("leadership", "leads", p.Leads, "session", m.id)
	}
	m.n.owners.heardOf(&p)
	select {
	case m.pulsed <- struct{}{}:
	default:
	}
	return nil
}

// remembered tells whether the catalog has every beat of this session that it has answered.
func (m *member) remembered(p *catalog.Pulse) bool {
	for i := range p.Peers {
		if p.Peers[i].ID == m.id { // as it was before this beat
			ok := p.Peers[i].Beat >= m.beats
			m.beats = max(m.beats, p.Peers[i].Beat+1)
			return ok
		}
	}
	return true
}

// newest is the highest revision that this session has read. A catalog that has a lower one later has lost what was done in
// between, such as that this session took shards: others would take them too, in the same epoch.
func (m *member) newest() uint64 {
	newest := m.last().Revision
	if r := m.n.owners.revision(); r > m.before {
		newest = max(newest, r)
	}
	return newest
}

// last is what the last beat saw.
func (m *member) last() catalog.Pulse {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pulse
}

// report is what the next beat tells.
func (m *member) report() catalog.Report {
	r := m.n.report(m.store.Load(), &m.load)
	r.Revision = m.applied.Load()
	return r
}

// load smooths what a session takes in.
type load struct {
	at             time.Time
	bytes, records uint64  // when last asked
	perByte        float64 // bytes a second
	perRecord      float64 // records a second
}

// rates returns bytes and records a second, as an average that forgets in about the time of memory.
func (l *load) rates(now time.Time, memory time.Duration, bytes, records uint64) (uint64, uint64) {
	if passed := now.Sub(l.at); !l.at.IsZero() && passed > 0 {
		weight := min(1, float64(passed)/float64(memory))
		l.perByte += weight * (float64(bytes-l.bytes)/passed.Seconds() - l.perByte)
		l.perRecord += weight * (float64(records-l.records)/passed.Seconds() - l.perRecord)
	}
	l.at, l.bytes, l.records = now, bytes, records
	return uint64(l.perByte), uint64(l.perRecord)
}
