// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/wal"
)

// Config is what a node needs.
type Config struct {
	Catalog *catalog.Catalog
	Info    catalog.ClusterInfo
	Driver  wal.Driver
	Log     wal.Params
	Blobs   blob.Store
	Params  shardstore.Params
	Node    string // a name for people
	Address string // where other nodes reach this one
	// Shared says that this node is one of many that share the shards: see the package comment. Otherwise one session at a
	// time serves all of them. A node that is Exclusive shares with nobody.
	Shared bool
	// NodeSecret says that this node signs its calls with catalog.NodeSecret.
	NodeSecret bool
	// Exclusive says that this process holds the lock of the folder that holds all sessions' logs: every other session
	// is over.
	Exclusive bool
	// Streams looks a stream up in memory; housekeeping asks it about retention.
	Streams func(leat.StreamID) (leat.Stream, bool)
	// Known reads what the catalog says of streams now. It is called before a session serves and before a stream's
	// settings are in force: records that are put after that are sealed with its present key.
	Known func(context.Context) error
	// Changed is called after the control loop changed something that readers of the catalog want to see.
	Changed func(context.Context)
	// Resharded is called when a split or merge is durable and the catalog could not be told.
	Resharded func(context.Context, shardstore.Reshard)
	// Keys seals and opens the records of encrypted streams; nil where none is.
	Keys shardstore.Keys
	// Hold returns from which time of arrival on (microseconds since 1970) a stream's records are kept though their
	// retention is over; ok is false when that is no time. nil: none are.
	Hold func(leat.StreamID) (from int64, ok bool)
	// Reopen, where it is given, makes the stores usable again before a session is opened: a local folder whose fsync
	// failed takes nothing until then.
	Reopen func(context.Context) error
	// Reference is another clock than this machine's, nil where there is none (data-plane.md, rule 19).
	Reference func() (time.Time, error)

	Heartbeat  time.Duration // between two beats, 0.5 s
	DeadAfter  time.Duration // without a beat, across our own successful polls, 2.5 s
	Transition time.Duration // least time for which CREATING, UPDATING and DELETING are visible
	Drain      time.Duration // at most, for a clean stop

	Clock  leat.Clock
	Rand   io.Reader
	Tracer shardstore.Tracer // nil: nothing is followed
	Logger *slog.Logger
}

// Defaults fills in what is not set.
func (c *Config) Defaults() {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&c.Heartbeat, 500*time.Millisecond)
	def(&c.DeadAfter, 2500*time.Millisecond)
	def(&c.Transition, 50*time.Millisecond)
	def(&c.Drain, 20*time.Second)
	c.Shared = c.Shared && !c.Exclusive
	if c.Clock == nil {
		c.Clock = leat.SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Known == nil {
		c.Known = func(context.Context) error { return nil }
	}
	if c.Changed == nil {
		c.Changed = func(context.Context) {}
	}
	if c.Resharded == nil {
		c.Resharded = func(context.Context, shardstore.Reshard) {}
	}
}

// Node is this process's part in the cluster. It is the engine that server/broker speaks to, whichever session is open.
type Node struct {
	cfg   Config
	guard *shardstore.ClockGuard
	store atomic.Pointer[shardstore.Store] // nil while no session is open
	kick  chan struct{}
	leads atomic.Bool
	older atomic.Bool // the catalog's database was replaced by an older one

	owners *Owners                      // kept where the shards are shared
	closed map[leat.SessionID]time.Time // fenced sessions, by when this node first saw them closed; of the control loop

	// Of the session that is being opened or served: they belong to open, then to the control loop.
	uncertain bool                                                        // shards may be ours in the catalog and not open in the engine
	moved     map[string]shardstore.Reshard                               // durable reshards that the catalog may not have yet
	closings  map[leat.SessionID]map[leat.ShardKey]shardstore.ClosedShard // read while opening

	mu   sync.Mutex
	why  string                  // why no session is open
	mine map[leat.SessionID]bool // sessions of this process that are over
}

// New makes a node; Run starts it.
func New(cfg Config) *Node {
	cfg.Defaults()
	n := &Node{
		cfg: cfg, guard: shardstore.NewClockGuard(cfg.Clock, cfg.Reference, cfg.Logger), kick: make(chan struct{}, 1), why: "the node is starting",
		mine: map[leat.SessionID]bool{}, closed: map[leat.SessionID]time.Time{},
	}
	n.owners = newOwners(cfg.Catalog, cfg.Clock, cfg.Heartbeat, cfg.Logger, n.Kick)
	return n
}

// Leads tells whether this node's session held the leader's lease at its last beat.
func (n *Node) Leads() bool { return n.leads.Load() }

// Owners is this node's table of who owns which shard. It is kept while Run runs, and only where the shards are shared.
func (n *Node) Owners() *Owners { return n.owners }

// Kick wakes the control loop: the catalog holds something new to do.
func (n *Node) Kick() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// Ready returns nil while a session is open and serving, otherwise why not.
func (n *Node) Ready() error {
	_, err := n.engine()
	return err
}

// Session returns the open session, or the zero id.
func (n *Node) Session() leat.SessionID {
	if s := n.store.Load(); s != nil {
		return s.Session()
	}
	return leat.SessionID{}
}

// Stats returns the open session's numbers; ok is false while there is none.
func (n *Node) Stats() (st shardstore.Stats, ok bool) {
	if s := n.store.Load(); s != nil {
		return s.Stats(), true
	}
	return st, false
}

// Store returns the open session's engine, or nil. For tests and operators' tools.
func (n *Node) Store() *shardstore.Store { return n.store.Load() }

// ClockWrong tells what is wrong with this node's clock as far as it knows; nil: nothing. What such a node wrote into the
// catalog would have a wrong time.
func (n *Node) ClockWrong() error { return n.guard.Wrong() }

// HoldsExpiry tells whether nothing may be taken for expired now, since this node's clock is wrong, or has just jumped and may be.
func (n *Node) HoldsExpiry() bool { return n.guard.HoldsExpiry() }

func (n *Node) because(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.why = fmt.Sprintf(format, args...)
}

// Run lives until ctx is done, then drains. A session that ends by itself is recovered and followed by another: the
// process stays, and answers Unavailable meanwhile (data-plane.md, rule 5).
func (n *Node) Run(ctx context.Context) error {
	pause := n.cfg.Heartbeat
	session := n.session
	if n.cfg.Shared {
		session = n.join
		table, stop := context.WithCancel(context.WithoutCancel(ctx)) // until the node is drained
		var keeper sync.WaitGroup
		keeper.Go(func() { n.owners.Run(table) })
		keeper.Go(func() { n.owners.listen(table) })
		defer keeper.Wait()
		defer stop()
	}
	for ctx.Err() == nil {
		err := session(ctx)
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil // stopped while it stood by or began: it has served nothing that must be drained
		}
		if ctx.Err() != nil {
			return err
		}
		if err == nil {
			pause = n.cfg.Heartbeat
			continue
		}
		n.because("%v", err)
		n.cfg.Logger.Warn("no session yet", "error", err, "retry_in", pause)
		if n.sleep(ctx, pause) == nil {
			pause = min(2*pause, 5*time.Second)
		}
	}
	return nil
}

// session settles what others left, opens a session and serves until it is over. nil: it lived and another may follow.
func (n *Node) session(ctx context.Context) error {
	if err := n.mayOpen(ctx); err != nil {
		return err
	}
	id := leat.NewID[leat.SessionID](n.cfg.Rand)
	if err := n.settle(ctx, id); err != nil {
		return err
	}
	if err := n.cfg.Catalog.OpenSession(ctx, catalog.Session{ID: id, Node: n.cfg.Node, Address: n.cfg.Address, Alone: true, NodeSecret: n.cfg.NodeSecret}); err != nil {
		return fmt.Errorf("register a session: %w", err)
	}
	n.over(id) // from here on it must be recovered, whatever happens

	// The heart beats while the session is being opened too: that may take longer than others wait.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var heart sync.WaitGroup
	heart.Go(func() { n.beat(life, id, end) })
	still := func() {
		end(nil)
		heart.Wait()
	}
	defer still()
	s, err := n.open(ctx, id)
	if err != nil {
		return err
	}
	return n.serve(ctx, life, s, still, n.control)
}

// mayOpen makes sure that a session can work before it is opened, and that the wall clock departs from the reference by no more than a second:
// records would have wrong times (data-plane.md, rule 19). Later jumps are the guard's to notice.
func (n *Node) mayOpen(ctx context.Context) error {
	if n.older.Load() {
		return errors.Join(catalog.ErrOlder, n.cfg.Catalog.Disown(ctx))
	}
	if err := n.guard.Ask(); err != nil {
		return err
	}
	if n.cfg.Reopen != nil {
		return n.cfg.Reopen(ctx)
	}
	return nil
}

// begin begins a session's log.
func (n *Node) begin(ctx context.Context, id leat.SessionID) (*shardstore.Store, error) {
	if err := n.dropLogs(ctx); err != nil {
		n.cfg.Logger.Warn("logs of closed sessions stay until the next start", "error", err)
	}
	n.uncertain, n.moved = false, map[string]shardstore.Reshard{}
	var leads func() bool // alone: always
	if n.cfg.Shared {
		leads = n.Leads
	}
	return shardstore.Open(ctx, shardstore.Config{
		Cluster: n.cfg.Info.ID, Session: id, Driver: n.cfg.Driver, Log: n.cfg.Log, Blobs: n.cfg.Blobs,
		Index: n.cfg.Catalog, Params: n.cfg.Params, Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger,
		Retention: n.retention, Guard: n.guard, SessionClosed: n.sessionsClosed, Leads: leads, Keys: n.cfg.Keys, Tracer: n.cfg.Tracer,
	})
}

// open begins a session's log and takes all shards.
func (n *Node) open(ctx context.Context, id leat.SessionID) (*shardstore.Store, error) {
	s, err := n.begin(ctx, id)
	if err != nil {
		return nil, err
	}
	n.closings = map[leat.SessionID]map[leat.ShardKey]shardstore.ClosedShard{}
	defer func() { n.closings = nil }()
	err = n.outlast(ctx)
	for taken := 1; err == nil && taken > 0; {
		taken, err = n.take(ctx, s)
	}
	if err == nil {
		err = n.learn(ctx)
	}
	if err != nil {
		s.Fail(err)
		return nil, err
	}
	n.cfg.Changed(ctx)
	return s, nil
}

// outlast waits until nobody serves reads any more who was fenced (data-plane.md, rule 13). The catalog remembers who
// was, whichever node did it and whatever went wrong since; only a session closed in order, or one that a file lock proves dead, needs no
// wait.
func (n *Node) outlast(ctx context.Context) error {
	if n.cfg.Exclusive || n.cfg.Log.Lease == 0 {
		return nil
	}
	closed, err := n.cfg.Catalog.ListSessions(ctx, catalog.SessionClosed)
	if err != nil {
		return fmt.Errorf("list closed sessions: %w", err)
	}
	recent := n.cfg.Clock.Now().Add(-n.cfg.Log.Lease - clockBound)
	if !slices.ContainsFunc(closed, func(s catalog.Session) bool { return !s.Clean && s.Closed.After(recent) }) {
		return nil
	}
	return n.sleep(ctx, n.cfg.Log.Lease)
}

// clockBound is by how much clocks of nodes may disagree about when a session was closed.
const clockBound = time.Minute

// over remembers a session of this process.
func (n *Node) over(id leat.SessionID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mine[id] = true
}

// serve publishes the session and keeps it until it, its life (the catalog says that it is over) or ctx ends. still
// stops its heartbeat; control is the session's loop.
func (n *Node) serve(ctx, life context.Context, s *shardstore.Store, still func(), control func(context.Context, <-chan struct{}, *shardstore.Store)) error {
	n.store.Store(s)
	n.cfg.Logger.Info("serving", "session", s.Session(), "shards", s.Stats().Shards)
	loop, stop := context.WithCancel(life)
	rest := make(chan struct{})
	var tasks sync.WaitGroup
	tasks.Go(func() { control(loop, rest, s) })
	var err error
	select {
	case <-life.Done():
		stop()
		s.Fail(context.Cause(life))
		n.because("the session ended: %v", s.Err())
	case <-s.Done():
		stop()
		n.because("the session ended: %v", s.Err())
	case <-ctx.Done():
		// A reshard that is under way ends first: until the catalog knows of it, its segment cannot be packed.
		close(rest)
		n.await(&tasks, n.cfg.Drain/2)
		err = n.drain(s, still)
		stop()
	}
	n.store.Store(nil)
	tasks.Wait()
	if ctx.Err() != nil && err == nil {
		n.release(ctx, s.Session()) // after the last beat, which would take it again
	}
	return err
}

// await waits for tasks, but not for longer than d.
func (n *Node) await(tasks *sync.WaitGroup, d time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		tasks.Wait()
	}()
	late, stop := n.cfg.Clock.NewTimer(d)
	defer stop()
	select {
	case <-done:
	case <-late: // serve joins them after it has stopped them
	}
}

// drain closes the session so that nothing of it has to be recovered. The heart beats until its log is closed.
func (n *Node) drain(s *shardstore.Store, still func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.Drain)
	defer cancel()
	n.because("the node is stopping")
	if err := s.Close(ctx); err != nil {
		return fmt.Errorf("drain: nothing is lost, the next start recovers the log: %w", err)
	}
	still() // a beat of a closed session would look like a take-over
	closing := shardstore.Closing{Session: s.Session(), Trim: s.Stats().Trim, Fence: s.Stats().Durable}
	err := n.cfg.Catalog.CloseSession(ctx, closing, true)
	if errors.Is(err, catalog.ErrClosed) {
		err = n.closedClean(ctx, s.Session()) // an answer that was lost
	}
	if err != nil {
		return fmt.Errorf("close the session in the catalog: nothing is lost, the next start recovers the log: %w", err)
	}
	if err := n.cfg.Catalog.ReleaseLeader(ctx, s.Session()); err != nil {
		n.cfg.Logger.Warn("the leader's lease runs out by itself", "error", err)
	}
	return nil
}

// closedClean returns nil when the catalog has the session as closed in order.
func (n *Node) closedClean(ctx context.Context, id leat.SessionID) error {
	closed, err := n.cfg.Catalog.ListSessions(ctx, catalog.SessionClosed)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(closed, func(s catalog.Session) bool { return s.ID == id && s.Clean }) {
		return catalog.ErrClosed
	}
	return nil
}

// beat keeps the heartbeat until ctx ends. A catalog that does not answer changes nothing: live owners go on (static
// stability). A catalog that says the session is over ends it at once.
func (n *Node) beat(ctx context.Context, id leat.SessionID, end context.CancelCauseFunc) {
	fails := nag{log: n.cfg.Logger, clock: n.cfg.Clock, what: "heartbeats fail; puts and reads go on"}
	var taken load
	for last := uint64(0); n.sleep(ctx, n.cfg.Heartbeat) == nil; {
		beats, err := n.cfg.Catalog.Beat(ctx, id, n.report(n.store.Load(), &taken))
		if err == nil && beats <= last {
			n.disown(id, end)
			return
		}
		if err == nil {
			last = beats
		}
		if errors.Is(err, shardstore.ErrFenced) {
			if ctx.Err() == nil {
				n.cfg.Logger.Error("another node has taken over this session", "session", id)
			}
			end(err)
			return
		}
		if err == nil {
			_, err = n.cfg.Catalog.AcquireLeader(ctx, id, n.cfg.DeadAfter)
		}
		if ctx.Err() == nil {
			fails.tried(err)
		}
	}
}

// report is what a beat tells of the session's store; nil: of one that is being opened.
func (n *Node) report(s *shardstore.Store, l *load) (r catalog.Report) {
	if s != nil {
		st := s.Stats()
		r.Shards = st.Shards
		r.BytesIn, r.RecordsIn = l.rates(n.cfg.Clock.Now(), 10*n.cfg.Heartbeat, st.Bytes, st.Records)
	}
	return r
}

// disown ends a session whose own heartbeats the catalog has forgotten: another database, older than this session's last
// beat, was put in the place of the one that it knows. What that one says of owners and ends is not to be believed, so
// nothing is settled with it, now (mayOpen) or after a restart (catalog.Disown).
func (n *Node) disown(id leat.SessionID, end context.CancelCauseFunc) {
	n.cfg.Logger.Error("the catalog is older than this session", "session", id, "error", catalog.ErrOlder)
	n.older.Store(true)
	end(catalog.ErrOlder)
}

func (n *Node) retention(id leat.StreamID, now time.Time) (shardstore.Retention, bool) {
	st, ok := n.cfg.Streams(id)
	if !ok {
		return shardstore.Retention{}, false
	}
	before := max(leat.Micros(now.Add(-st.Retention)), leat.Micros(st.ExpiredBefore))
	if n.cfg.Hold != nil {
		if from, held := n.cfg.Hold(id); held {
			before = min(before, from)
		}
	}
	return shardstore.Retention{ExpiredBefore: before, Keep: st.Retention}, true
}

// sessionsClosed tells the sweep of orphans which sessions are closed for ever.
func (n *Node) sessionsClosed(ctx context.Context, ids []leat.SessionID) (map[leat.SessionID]bool, error) {
	all, err := n.cfg.Catalog.ListSessions(ctx, catalog.SessionClosed)
	if err != nil {
		return nil, err
	}
	closed := map[leat.SessionID]bool{}
	for _, s := range all {
		closed[s.ID] = slices.Contains(ids, s.ID)
	}
	return closed, nil
}

func (n *Node) sleep(ctx context.Context, d time.Duration) error {
	c, stop := n.cfg.Clock.NewTimer(d)
	defer stop()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
