// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/internal/tracing"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/delivery/transform"
	"github.com/leatstream/leat/server/masterkey"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob"
)

// Records are the shards that deliveries read: the node's, or all the cluster's; broker.Engine satisfies it.
type Records interface {
	// Read returns records of a shard from an offset on.
	Read(ctx context.Context, shard leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error)
	// Wait returns when a record at an offset >= from is visible, or the shard is closed at from.
	Wait(ctx context.Context, shard leat.ShardKey, from uint64) error
	// Locate returns the offset of the first record at or after a time in microseconds, the tail when there is none.
	Locate(ctx context.Context, shard leat.ShardKey, at int64) (offset uint64, err error)
	// Bounds returns where a shard begins and ends now.
	Bounds(ctx context.Context, shard leat.ShardKey) (shardstore.Bounds, error)
}

// Directory is what the node knows of streams without asking the catalog; broker.Directory satisfies it.
type Directory interface {
	// Stream returns what is known of a stream.
	Stream(id leat.StreamID) (leat.Stream, bool)
	// Shards returns its shards in order of their ordinals.
	Shards(id leat.StreamID) []leat.Shard
	// Changed reads what has changed, now.
	Changed(ctx context.Context)
}

// Step names where a fault can strike.
type Step string

// The steps after which a test lets a delivery die.
const (
	StepPlanned   Step = "planned"   // the plan is in the catalog
	StepNamed     Step = "named"     // with the names of its objects
	StepPut       Step = "put"       // one of its objects is written
	StepWritten   Step = "written"   // all of them are
	StepCommitted Step = "committed" // the cursor is moved
)

// Config is what an Engine needs; Clock, Logger, Memory and Rand have defaults.
type Config struct {
	DB        *sqldb.DB
	Catalog   *catalog.Catalog
	Blobs     blob.Store      // Leat's own bucket: for outcomes of transforms that cannot be repeated, and the ledger
	Ledger    bool            // keep what a rebuilt catalog must know of plans in Blobs
	Master    *masterkey.Ring // keeps the secrets of destinations; nil: there can be none
	Keys      shardstore.Keys // seals what is kept of the transforms of encrypted streams; nil: none is encrypted
	Records   Records
	Directory Directory
	// Owns tells whether this node owns a shard, and in which epoch: its deliveries run here.
	Owns func(leat.ShardKey) (epoch uint64, ok bool)
	// Bill is told what plans used, in the transactions that commit them; nil: nobody is.
	Bill Bill
	// Kick wakes the loop that carries out what the catalog intends.
	Kick    func()
	Compile Compile // nil: what package transform makes
	S3      S3      // the server's own object store
	Region  string  // in ARNs
	Memory  int64   // bytes of records that deliveries hold; of those that they work on, and of what becomes more of these, as many each (room.go). 0 means 512 MiB
	Clock   leat.Clock
	Tracer  *tracing.Tracer // nil: nothing is followed
	Logger  *slog.Logger
	Rand    io.Reader // of identities; nil means crypto/rand
	// Look is how often the engine looks for what other nodes have changed; 0 means 5 s.
	Look time.Duration
	// Pause is how long a delivery that failed waits at first; 0 means 500 ms.
	Pause time.Duration
	// Fault, in tests, returns the error that a delivery dies with after a step.
	Fault func(step Step, plan string) error
}

const (
	defaultMemory = 512 << 20
	longestPause  = time.Minute
)

// Engine carries out the deliveries of the shards that this node owns, and does what the broker asks of delivery streams.
type Engine struct {
	cfg     Config
	tables  *tables
	work    *semaphore.Weighted // bytes of plans that are carried out
	again   *semaphore.Weighted // of these bytes, what plans have whose last try failed
	beyond  *semaphore.Weighted // bytes that are made of them beyond
	alone   *semaphore.Weighted // 1: the plan that may go further
	waiting atomic.Int64        // accounts that wait for that
	shares  sync.Map            // *share by account
	held    atomic.Int64        // bytes of records that wait in buffers
	kick    chan struct{}
	tidy    chan struct{}

	mu      sync.Mutex
	workers map[string]*worker
	known   map[string]*spec.Delivery // by id, as of the last look
	loaded  bool
	holds   map[leat.StreamID]int64 // arrival of the oldest record to hold
	stats   map[string]*counts      // by id
	left    []string                // plans of delivery streams that are deleted
}

// New makes an Engine; Run starts it. Migrate MUST have run before Run.
func New(c Config) (*Engine, error) {
	if c.DB == nil || c.Catalog == nil || c.Records == nil || c.Directory == nil || c.Owns == nil || c.Blobs == nil {
		return nil, errors.New("delivery: database, catalog, bucket, records, directory and ownership must be given")
	}
	c.Memory = cmp.Or(c.Memory, defaultMemory)
	c.Look = cmp.Or(c.Look, 5*time.Second)
	c.Pause = cmp.Or(c.Pause, 500*time.Millisecond)
	if c.Clock == nil {
		c.Clock = leat.SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Kick == nil {
		c.Kick = func() {}
	}
	if c.Bill == nil {
		c.Bill = func(*sqldb.Tx, *Usage) error { return nil }
	}
	if c.Compile == nil {
		region := c.Region
		c.Compile = func(ctx context.Context, arn string, steps []spec.Transform) (spec.Pipeline, error) {
			p, err := transform.New(ctx, transform.Options{Transforms: steps, ARN: arn, Region: region})
			if err != nil {
				return nil, err // not an interface that holds a nil
			}
			return p, nil
		}
	}
	return &Engine{
		cfg: c, tables: &tables{db: c.DB, cat: c.Catalog, master: c.Master, clock: c.Clock},
		work: semaphore.NewWeighted(c.Memory), again: semaphore.NewWeighted(c.Memory / 2), beyond: semaphore.NewWeighted(c.Memory), alone: semaphore.NewWeighted(1), kick: make(chan struct{}, 1), tidy: make(chan struct{}, 1),
		workers: map[string]*worker{}, known: map[string]*spec.Delivery{}, holds: map[leat.StreamID]int64{}, stats: map[string]*counts{},
	}, nil
}

// Migrate makes or updates the tables. Nodes may call it at the same time.
func (e *Engine) Migrate(ctx context.Context) error { return Migrate(ctx, e.cfg.DB) }

// at lets a test's fault strike.
func (e *Engine) at(ctx context.Context, s Step, plan string) error {
	if e.cfg.Fault == nil {
		return nil
	}
	if err := e.cfg.Fault(s, plan); err != nil {
		return err
	}
	return ctx.Err()
}

// wake has Run look soon.
func (e *Engine) wake() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends, then returns nil. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	defer e.stopAll()
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { e.tidyUp(ctx) })
	for healthy := true; ; {
		err := e.look(ctx)
		if err != nil && healthy && ctx.Err() == nil {
			e.cfg.Logger.Warn("deliveries go on as they were known: the catalog cannot be asked", "error", err)
		}
		healthy = err == nil
		c, stop := e.cfg.Clock.NewTimer(e.cfg.Look)
		select {
		case <-c:
		case <-e.kick:
			stop()
		case <-ctx.Done():
			stop()
			return nil
		}
	}
}

// job of a look: what should run.
type wanted struct {
	delivery *spec.Delivery
	track    string
	version  uint64
	ordinals []uint64
	gone     []uint64 // shards of the delivery stream that are no more
}

func (w *wanted) key() string {
	b := make([]byte, 0, 64)
	b = append(b, w.delivery.ID+"|"+w.track+"|"...)
	b = appendUint(b, w.delivery.Version) // a backfill's workers begin anew too: see renew
	for _, o := range w.ordinals {
		b = append(b, '|')
		b = appendUint(b, o)
	}
	for _, o := range w.gone {
		b = append(b, '-')
		b = appendUint(b, o)
	}
	return string(b)
}

// shard names one of the track's shards.
func (w *wanted) shard(ordinal uint64) string {
	return string(appendUint([]byte(w.delivery.ID+"|"+w.track+"|"), ordinal))
}

// look starts and stops workers so that each shard that this node owns has those it should have. It waits for none to stop: a
// worker may be in the middle of something that nothing interrupts, and others' must go on. What comes after it begins when it
// has ended.
func (e *Engine) look(ctx context.Context) error {
	// One without its secrets is looked at like others: its place holds retention, and its workers keep why they cannot go on.
	all, unread, errs, err := e.tables.all(ctx)
	if err != nil {
		return err
	}
	want, holds := map[string]wanted{}, map[leat.StreamID]int64{}
	known := map[string]*spec.Delivery{}
	for i := range unread {
		e.keep(unread[i].ID, want)
		holds[unread[i].Stream] = 0 // nobody knows what it asks for
	}
	for i := range all {
		d := &all[i]
		if d.State == spec.Deleting && e.cfg.Clock.Now().Sub(d.Updated) > deletionTakes { // its deletion died
			errs = append(errs, e.remove(ctx, d))
			continue
		}
		known[d.ID] = d
		if err := e.lookAt(ctx, d, want, holds); err != nil {
			errs = append(errs, err)
			e.keep(d.ID, want)
			if d.Config.HoldSeconds > 0 {
				holds[d.Stream] = 0 // nobody knows what it has delivered
			}
		}
	}
	e.mu.Lock()
	e.holds, e.loaded = holds, true
	e.known = known
	defer e.mu.Unlock()
	for key, w := range e.workers {
		if _, ok := want[key]; !ok {
			w.cancel()
		}
	}
	busy := map[string]bool{}
	for _, w := range e.workers {
		for _, o := range w.want.ordinals {
			busy[w.want.shard(o)] = true
		}
	}
	for key, x := range want {
		if !slices.ContainsFunc(x.ordinals, func(o uint64) bool { return busy[x.shard(o)] }) {
			e.start(ctx, key, x)
		}
	}
	return errors.Join(errs...)
}

// keep keeps the workers of a delivery stream that could not be looked at.
func (e *Engine) keep(id string, want map[string]wanted) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, w := range e.workers {
		if w.want.delivery.ID == id {
			want[key] = w.want
		}
	}
}

// mergedShards is how many shards go into one object at most.
const mergedShards = 32

func (e *Engine) lookAt(ctx context.Context, d *spec.Delivery, want map[string]wanted, holds map[leat.StreamID]int64) error {
	tracks, err := e.tables.cursors(ctx, d.ID)
	if err != nil {
		return err
	}
	gone, err := e.gone(ctx, d, tracks)
	if err != nil {
		return err
	}
	live, err := e.follow(ctx, d, tracks[""])
	if err != nil {
		return err
	}
	e.hold(d, live, holds)
	if d.State != spec.Active {
		return nil
	}
	tracks[""] = live
	standsIn := len(gone) > 0 && e.standsIn(d)
	for track, cursors := range tracks {
		version := d.Version
		if track != "" {
			version = 1
		}
		var mine []uint64
		for _, c := range cursors {
			if c.done {
				continue
			}
			_, ok := e.cfg.Owns(leat.ShardKey{Stream: d.Stream, Ordinal: c.ordinal})
			if ok || standsIn && slices.Contains(gone, c.ordinal) {
				mine = append(mine, c.ordinal)
			}
		}
		group := 1
		if track == "" && d.Config.Buffer.Merged {
			group = mergedShards
		}
		for len(mine) > 0 {
			n := min(group, len(mine))
			w := wanted{delivery: d, track: track, version: version, ordinals: mine[:n], gone: gone}
			want[w.key()] = w
			mine = mine[n:]
		}
	}
	return nil
}

// start starts a worker. mu is held.
func (e *Engine) start(ctx context.Context, key string, x wanted) {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{
		e: e, want: x, cancel: cancel, done: make(chan struct{}), jitter: rand.Float64,
		log: e.cfg.Logger.With("delivery", x.delivery.Name, "account", x.delivery.Account, "shards", x.ordinals),
	}
	if x.track != "" {
		w.log = w.log.With("backfill", x.track)
	}
	if e.stats[x.delivery.ID] == nil {
		e.stats[x.delivery.ID] = &counts{}
	}
	w.counts = e.stats[x.delivery.ID]
	e.workers[key] = w
	go func() {
		defer close(w.done)
		w.run(ctx)
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.workers, key)
		e.wake() // something else has to run
	}()
}

// stopTakes is how long workers are waited for that are to stop. One that does not within it ends later, or with the process: its
// plan is carried out again.
const stopTakes = 10 * time.Second

func (e *Engine) stopAll() {
	if !e.stop(context.Background(), func(*worker) bool { return true }) {
		e.cfg.Logger.Warn("some deliveries do not stop", "after", stopTakes)
	}
}

// stop stops workers, and tells whether they have ended.
func (e *Engine) stop(ctx context.Context, which func(*worker) bool) bool {
	e.mu.Lock()
	var all []*worker
	for _, w := range e.workers {
		if which(w) {
			w.cancel()
			all = append(all, w)
		}
	}
	e.mu.Unlock()
	over, stop := e.cfg.Clock.NewTimer(stopTakes)
	defer stop()
	for _, w := range all {
		select {
		case <-w.done:
		case <-over:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
