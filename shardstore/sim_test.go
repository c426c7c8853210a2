// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/wal"
)

// sim is a world of nodes that live one after another, and sometimes at once without knowing it, over one bucket and one
// catalog that misbehave. What happens is drawn from a seed; how goroutines interleave is not.
type sim struct {
	*rig
	t     *testing.T
	rng   *rand.Rand
	l     *ledger
	chaos float64
	steps int
	vault *vault

	inner  blob.Store // the bucket itself
	bucket blob.Store // without faults; it watches what is deleted
	nodes  []*node
	now    *node        // who took the shards, as far as the catalog knows
	beside *node        // who gets some of them from it, and gives them back; nil when there is none
	lives  int64        // generations
	acker  atomic.Int64 // the youngest generation that acked anything
	tasks  sync.WaitGroup

	mu       sync.Mutex // of what tasks and steps share
	sent     int
	cursors  []*cursor
	closings map[leat.SessionID]shardstore.Closing
	splits   map[leat.ShardKey]bool   // shards whose children acked
	tails    map[leat.ShardKey]uint64 // beyond the last acked record
	moves    int

	// How the world is broken, in sim_broken_test.go.
	wrap      func(wal.Driver) wal.Driver                        // the log
	recoverer func(shardstore.Recovery, int) shardstore.Recovery // recoverers, by number
	meddle    func(context.Context, blob.Store, leat.SessionID, uint64)
	noWait    bool // for the lease
	hasty     bool // shards are handed over before they are released
}

// node is one session and its own way to the bucket.
type node struct {
	n int64 // its generation: nodes of one generation live beside each other, a later one only after they were fenced
	s *shardstore.Store
	f *fault.Store
}

// cursor is a reader that goes through one shard (I14).
type cursor struct {
	mu   sync.Mutex
	key  leat.ShardKey
	next uint64
}

const simLease = 1500 * time.Millisecond

func newSim(t *testing.T, seed uint64) *sim {
	t.Helper()
	w := &sim{
		rig: newRig(t).shards(3), t: t, rng: rand.New(rand.NewPCG(seed, 7)), l: newLedger(),
		closings: map[leat.SessionID]shardstore.Closing{}, splits: map[leat.ShardKey]bool{},
		tails: map[leat.ShardKey]uint64{},
	}
	w.chaos = []float64{0, 0.005, 0.03}[w.rng.IntN(3)]
	w.inner = w.blobs
	w.bucket = &guarded{Store: w.inner, w: w}
	w.log.Lease = simLease
	w.log.PutsPerSecond, w.log.Burst = 10, 10
	w.params.MergeFanIn, w.params.PackEvery = 3, 20*time.Second
	w.params.TailBytes, w.params.CacheBytes = 1<<w.rng.IntN(16), 1<<w.rng.IntN(16)
	w.params.PackBytes = 1000
	w.params.KeepBytes = []int64{1, 150, 1 << 20}[w.rng.IntN(3)] // all, some, none stay in their segments
	w.params.KeepRows = 1 + w.rng.IntN(100)
	w.keepFor(10 * time.Minute)
	w.vault = newVault()
	w.keys = w.vault
	if w.rng.IntN(2) == 0 {
		w.vault.rotate(w.stream)
	}
	for range 4 {
		w.cursors = append(w.cursors, &cursor{key: w.key(w.rng.IntN(3))})
	}
	return w
}

// guarded refuses to delete what rules 6 and 8 protect, and says so.
type guarded struct {
	blob.Store
	w *sim
}

func (g *guarded) Delete(ctx context.Context, key string) error {
	if id, n, ok := wal.ParseKey(key); ok {
		x := g.w.index
		x.mu.Lock()
		s := x.sessions[id]
		fine := n < s.trim || s.state == "closed" && len(s.pending) == 0 && n < s.fence
		x.mu.Unlock()
		if !fine {
			g.w.l.complain("I6: %s is deleted", key)
		}
	}
	return g.Store.Delete(ctx, key)
}

// life opens a session, lets things happen, and ends it one way or another.
func (w *sim) life(steps int) {
	w.beside = nil
	if !w.begin() {
		return
	}
	if taker := w.now; w.rng.IntN(2) == 0 && w.open() {
		w.beside, w.now = w.now, taker
	}
	for range steps {
		w.step()
	}
	w.index.setFault(nil)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	w.over(ctx, w.now)
	if w.beside != nil {
		w.over(ctx, w.beside)
	}
	pause(w.upTo(3 * time.Second))
	w.takeOver(ctx)
}

// over ends a node one way or another.
func (w *sim) over(ctx context.Context, nd *node) {
	switch w.rng.IntN(4) {
	case 0:
		nd.s.Fail(errors.New("killed"))
	case 1:
		_ = nd.s.Close(ctx) // whatever it says: recovery goes over it
	default: // a zombie: it lives on, cut off for now or not
		w.cut(nd)
	}
}

// begin opens the first session of a generation on a new node.
func (w *sim) begin() bool {
	w.lives++
	return w.open()
}

// open opens a session on a new node.
func (w *sim) open() bool {
	nd := &node{n: w.lives, f: fault.New(w.bucket, nil)}
	w.nodes = append(w.nodes, nd)
	w.blobs, w.driver = nd.f, wal.NewObjects(nd.f)
	if w.wrap != nil {
		w.driver = w.wrap(w.driver)
	}
	s, err := w.tryOpen()
	if err != nil {
		w.l.complain("no session can be opened: %v", err)
		w.nodes = w.nodes[:len(w.nodes)-1]
		return false
	}
	nd.s, w.now = s, nd
	nd.f.SetHook(fault.Seeded(w.rng.Uint64(), fault.Chaos(w.chaos)...))
	if w.chaos > 0 {
		w.index.setFault(w.flakyIndex())
	}
	return true
}

// flakyIndex fails some calls, before or after they are executed.
func (w *sim) flakyIndex() func(string, bool) error {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(w.rng.Uint64(), 3))
	return func(string, bool) error {
		mu.Lock()
		defer mu.Unlock()
		if rng.Float64() < 4*w.chaos {
			return errAway
		}
		return nil
	}
}

// cut makes a node's way to the bucket worse for a while: nothing answers, or everything arrives late.
func (w *sim) cut(nd *node) {
	switch w.rng.IntN(3) {
	case 0:
		gate := fault.NewGate()
		nd.f.SetHook(fault.Always(fault.Fault{Wait: gate.Wait}))
		w.after(w.upTo(time.Minute), func() {
			nd.f.SetHook(nil)
			gate.Open()
		})
	case 1:
		nd.f.SetHook(fault.Always(fault.Fault{Kind: fault.Late}, fault.Create, fault.Delete))
		w.after(w.upTo(time.Minute), func() {
			nd.f.ReleaseAll(w.t.Context())
			nd.f.SetHook(nil)
		})
	default:
		nd.f.SetHook(nil)
	}
}

// after does f later.
func (w *sim) after(d time.Duration, f func()) {
	w.tasks.Go(func() {
		pause(d)
		f()
	})
}

func (w *sim) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// any picks a node: mostly the owner, sometimes one that does not know that it is over.
func (w *sim) any() *node {
	if p := w.rng.IntN(10); p < 4 && w.beside != nil {
		return w.beside
	} else if p < 8 {
		return w.now
	}
	return w.nodes[w.rng.IntN(len(w.nodes))]
}

// step lets one thing happen.
func (w *sim) step() {
	w.steps++
	nd := w.any()
	switch p := w.rng.IntN(100); {
	case p < 45:
		w.startPuts(nd)
	case p < 70:
		w.startRead(nd, w.cursors[w.rng.IntN(len(w.cursors))])
	case p < 75:
		w.start(func(ctx context.Context) { _ = nd.s.Pack(ctx) })
	case p < 80:
		w.start(func(ctx context.Context) { _ = nd.s.Housekeep(ctx) })
	case p < 83:
		w.startReshard(nd)
	case p < 86:
		w.start(func(ctx context.Context) { _ = nd.f.Release(ctx) })
	case p == 86 && w.chaos > 0:
		w.index.setFault(away(w.rng.IntN(2) == 0))
		w.after(w.upTo(3*time.Minute), func() { w.index.setFault(nil) })
	case p == 87 && w.rng.IntN(4) == 0:
		w.vault.stop(w.stream)
	case p == 87 || p == 88:
		w.vault.rotate(w.stream)
	case p < 92:
		w.startMove()
	case p < 96:
		pause(w.upTo(300 * time.Millisecond))
	default:
		pause(w.upTo(40 * time.Second))
	}
}

// start lets something happen beside what follows.
func (w *sim) start(f func(context.Context)) {
	w.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
		defer cancel()
		f(ctx)
	})
}

func (w *sim) startPuts(nd *node) {
	var puts []shardstore.Put
	key := w.someShard()
	for range 1 + w.rng.IntN(5) {
		if w.rng.IntN(3) == 0 {
			key = w.someShard()
		}
		w.sent++
		puts = append(puts, put(key, fmt.Sprintf("%d/%d%s", key.Ordinal, w.sent, texts("", 1+w.rng.IntN(20))[0])))
	}
	w.start(func(ctx context.Context) { w.put(ctx, nd, puts) })
}

// put sends records and checks what an ack must not do.
func (w *sim) put(ctx context.Context, nd *node, puts []shardstore.Put) {
	w.mu.Lock()
	closed := map[leat.ShardKey]bool{} // by children that acked before we began
	for k := range w.splits {
		closed[k] = true
	}
	w.mu.Unlock()
	_ = w.l.put(ctx, nd.s, puts) // refusals are part of the game
	for _, p := range puts {
		if p.Err != nil || p.Record.Time == 0 {
			continue
		}
		w.acker.Store(max(w.acker.Load(), nd.n))
		w.mu.Lock()
		w.tails[p.Shard] = max(w.tails[p.Shard], p.Record.Offset+1)
		w.mu.Unlock()
		if closed[p.Shard] {
			w.l.complain("I10: %s acked after its children did", p.Shard)
		}
		w.mu.Lock()
		if c, over := w.closings[nd.s.Session()]; over {
			i := slices.IndexFunc(c.Shards, func(cs shardstore.ClosedShard) bool { return cs.Shard == p.Shard })
			if i >= 0 && p.Record.Offset >= c.Shards[i].Final {
				w.l.complain("I4: %s offset %d was acked beyond its final %d", p.Shard, p.Record.Offset, c.Shards[i].Final)
			}
		}
		for _, parent := range w.parents(p.Shard) {
			w.splits[parent] = true
		}
		w.mu.Unlock()
	}
}

// startRead lets a reader go on from where it is, on some node.
func (w *sim) startRead(nd *node, c *cursor) {
	lim := shardstore.ReadLimits{Records: 1 + w.rng.IntN(50), Bytes: 1 + w.rng.IntN(2000)}
	w.start(func(ctx context.Context) {
		if !c.mu.TryLock() {
			return // it is on its way
		}
		defer c.mu.Unlock()
		acker := w.acker.Load()
		w.mu.Lock()
		tail := w.tails[c.key]
		w.mu.Unlock()
		p, err := nd.s.Read(ctx, c.key, c.next, lim)
		if err != nil {
			return
		}
		if acker > nd.n {
			w.l.complain("I13: a node of generation %d served a read that began after one of generation %d acked", nd.n, acker)
		}
		if p.Tail < tail {
			w.l.complain("I13: a read of %s that began after %d records were acked ended at %d", c.key, tail, p.Tail)
		}
		w.l.saw(c.key, p.Records)
		for i, r := range p.Records {
			if want := max(c.next, p.Horizon) + uint64(i); r.Offset != want {
				w.l.complain("I14: a reader at %d of %s was shown %d", want, c.key, r.Offset)
			}
		}
		if p.Next < c.next {
			w.l.complain("I14: a reader was sent back from %d to %d", c.next, p.Next)
		}
		c.next = p.Next
	})
}

// takeOver recovers whatever is not closed, with two recoverers at once, and waits as rule 13 says.
func (w *sim) takeOver(ctx context.Context) {
	for id, trim := range w.index.fenceAll() {
		out := make(chan shardstore.Closing, 2)
		for i := range 2 {
			o := shardstore.Recovery{Blobs: fault.New(w.bucket, fault.Seeded(w.rng.Uint64(), fault.Chaos(w.chaos/4)...))}
			if w.recoverer != nil {
				o = w.recoverer(o, i)
			}
			o.Driver = wal.NewObjects(o.Blobs)
			w.tasks.Go(func() {
				c, err := shardstore.Recover(ctx, o, id, trim)
				for try := 0; err != nil && try < 20; try++ {
					pause(time.Second)
					c, err = shardstore.Recover(ctx, o, id, trim)
				}
				if err != nil {
					w.l.complain("I5: session %s cannot be recovered: %v", id, err)
				}
				out <- c
			})
		}
		a, b := <-out, <-out
		if w.l.err() != nil {
			return // wrong enough
		}
		if a.Fence != b.Fence || len(a.Shards) != len(b.Shards) {
			w.l.complain("I5: two recoverers disagree about session %s: %+v and %+v", id, a, b)
		}
		w.mu.Lock()
		w.closings[id] = a
		w.mu.Unlock()
		w.index.close(a)
		if w.meddle != nil {
			w.meddle(ctx, w.inner, id, a.Fence)
		}
	}
	if !w.noWait {
		pause(simLease)
	}
}

// The simulation, over many seeds.
func TestSimulation(t *testing.T) {
	seeds, lives, steps := 60, 4, 60
	if testing.Short() {
		seeds = 10
	}
	base, total := rand.Uint64(), &simTotals{}
	for i := range seeds {
		seed := base + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			w := newSim(t, seed)
			if err := w.run(lives, steps); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			total.add(w)
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%+v", *total)
	if !testing.Short() && (total.Acked < 1000 || total.Seen < 1000 || total.Merges == 0 || total.Children == 0 || total.Deleted == 0 || total.Moves < 20 || total.Kept == 0) {
		t.Errorf("too little happened: %+v", *total)
	}
}
