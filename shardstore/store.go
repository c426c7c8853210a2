// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// What a record, and a shard's run of records in a segment, cost in memory beyond keys and data, about.
const (
	recordOverhead = 32
	chunkOverhead  = 512
)

// overloadPause is the retry hint of an overloaded node: a few flushes.
const overloadPause = 100 * time.Millisecond

type state uint8

const (
	live     state = iota
	draining       // no puts
	closing        // no reads either: CLOSE is on its way
	ended
)

// Store is one live session of one node: the shards it owns and their log. See the package comment.
type Store struct {
	cfg     Config
	coder   *segment.Coder
	objects sync.Pool // of *[]byte: memory of large segments that are durable
	writer  *wal.Writer
	stats   stats

	mu         sync.Mutex // the sequencer
	state      state
	shards     map[leat.ShardKey]*shard
	queue      []*batch                   // not taken by the writer, oldest first; never empty
	taken      []*batch                   // taken, not durable, in order of n
	telling    *batch                     // durable, and its records are being made visible; nil: none
	notDurable int                        // bytes of records in queue and taken
	durable    uint64                     // segments below it are durable
	trim       uint64                     // segments below it are registered in packs
	reason     error                      // why the session ended
	reshards   map[string]*resharding     // placed and not confirmed, by id
	releases   map[leat.ShardKey]*release // the last one of each shard that this session gave up, or is about to

	unindexed atomic.Int64 // extents in memory that the index does not have yet

	tail    tailMemory
	cache   windowCache
	indexes indexCache
	packer  *packer

	keeper keeper

	life   context.Context // ends with the session
	cancel context.CancelFunc
	rest   context.CancelFunc // ends packing and housekeeping, for the drain
	done   chan struct{}      // closed when the session has ended and its goroutines are gone
	tasks  sync.WaitGroup
}

// Open begins a session's log with an OPEN record and returns when that is durable: the store works, and the session
// may take shards. The caller MUST have registered the session as live before. ctx bounds the opening only; Close or
// the end of the log ends the session.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if err := cfg.Driver.Begin(ctx, cfg.Session); err != nil {
		return nil, fmt.Errorf("begin the log of session %s: %w", cfg.Session, err)
	}
	s := &Store{
		cfg: cfg, coder: segment.NewCoder(), shards: map[leat.ShardKey]*shard{}, reshards: map[string]*resharding{},
		releases: map[leat.ShardKey]*release{},
		queue:    []*batch{newBatch()}, done: make(chan struct{}),
	}
	s.keeper.one, s.keeper.swept, s.keeper.failed = newTurn(), cfg.Clock.Now(), map[string]bool{}
	s.keeper.unmerged = map[extentKey]time.Time{}
	if cfg.Keys != nil {
		s.coder = s.coder.WithKeys(cfg.Keys)
	}
	s.cache.init(cfg.Params.CacheBytes)
	s.indexes.all = map[indexKey]segment.Index{}
	s.packer = newPacker(s)
	log := wal.Options{
		Driver: cfg.Driver, Session: cfg.Session, Source: source{s}, Params: cfg.Log,
		Clock: cfg.Clock, Logger: cfg.Logger, Rand: cfg.Rand,
	}
	if cfg.Tracer != nil {
		log.Follow = s.followSegment
	}
	s.writer = wal.NewWriter(log)
	s.life, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	background, rest := context.WithCancel(s.life)
	s.rest = rest
	s.background(background, s.packer.run)
	s.background(background, s.housekeep)
	go s.run()
	if err := s.control(ctx, segment.Control{Kind: segment.ControlOpen}); err != nil {
		s.cancel()
		<-s.done
		return nil, fmt.Errorf("write the first segment of session %s: %w", cfg.Session, errors.Join(err, s.Err()))
	}
	return s, nil
}

// run writes the log until the session is over and joins its goroutines.
func (s *Store) run() {
	err := s.writer.Run(s.life)
	s.end(err)
	s.cancel()
	s.tasks.Wait()
	close(s.done)
	// A stalled medium may never give back the last try. The session is over all the same; this goroutine waits for it.
	s.writer.Close()
}

// background runs f in a goroutine of the session, unless that is over. The session ends only after f has.
func (s *Store) background(ctx context.Context, f func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == ended {
		return false
	}
	s.tasks.Go(func() { f(ctx) })
	return true
}

// end makes the session over: nothing is acked and nothing is served from here on.
func (s *Store) end(err error) {
	s.over(err)
	if err := s.Err(); err != nil {
		s.cfg.Logger.Error("session ended", "session", s.cfg.Session, "error", err)
	}
	s.failAll(ErrUnknownOutcome)
	for _, sh := range s.owned() {
		sh.mu.Lock()
		sh.gone = true
		sh.wake()
		sh.mu.Unlock()
	}
}

// over makes the session ended for that reason, unless there was one before.
func (s *Store) over(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == ended {
		return
	}
	s.state = ended
	if s.reason == nil {
		s.reason = err
	}
}

// Done is closed when the session is over.
func (s *Store) Done() <-chan struct{} { return s.done }

// Err tells why the session ended: nil while it lives and after Close.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Session returns the session's identity.
func (s *Store) Session() leat.SessionID { return s.cfg.Session }

// notLive is the error for calls that a session which is not live refuses. mu is held.
func (s *Store) notLive() error {
	cause := ErrNotLive
	if s.reason != nil {
		cause = fmt.Errorf("%w: %w", ErrNotLive, s.reason)
	}
	return &leat.Error{Kind: leat.KindUnavailable, Message: "this node has no live session: retry", After: overloadPause, Err: cause}
}

// Fail ends the session at once, as a fence would: for an owner that learns from elsewhere that it is over.
func (s *Store) Fail(err error) {
	s.abort(err)
	<-s.done
}

// abort ends the session from one of its own goroutines.
func (s *Store) abort(err error) {
	s.over(err)
	s.cancel()
}

func (s *Store) header(kind segment.Kind, n uint64) segment.Header {
	h := segment.Header{Kind: kind, Cluster: s.cfg.Cluster, Session: s.cfg.Session, N: n, Trim: s.trim, Created: leat.Micros(s.cfg.Clock.Now())}
	h.Nonce = leat.NewID[leat.SessionID](s.cfg.Rand)
	return h
}

// OpenShards takes shards that this session owns from now on. An assignment whose pending extents do not join its
// registered ones is refused whole with KindCorrupt (I7), and nothing is opened. Those of an epoch that is open already,
// or was released, change nothing.
func (s *Store) OpenShards(assigned []Assignment) error {
	opened := make([]*shard, len(assigned))
	for i, a := range assigned {
		sh, err := newShard(a)
		if err != nil {
			return err
		}
		opened[i] = sh
	}
	replaced, err := s.install(opened)
	for _, sh := range replaced {
		unindexed, _ := sh.drop() // an earlier owner's, and counted by whoever adopts it
		s.unindexed.Add(unindexed)
	}
	return err
}

// install makes shards known and returns those whose place they take.
func (s *Store) install(opened []*shard) (replaced []*shard, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live {
		return nil, s.notLive()
	}
	for _, sh := range opened {
		if old := s.shards[sh.key]; old != nil && old.epoch < sh.epoch && sh.next < old.next {
			return nil, leat.Errorf(leat.KindInternal, "shard %s: epoch %d begins at offset %d, but this session gave offsets up to %d in epoch %d", sh.key, sh.epoch, sh.next, old.next, old.epoch)
		}
		if _, err := s.released(sh); err != nil {
			return nil, err
		}
	}
	installed := opened[:0]
	for _, sh := range opened {
		if over, _ := s.released(sh); over {
			continue // the catalog will hear of that
		}
		if old := s.shards[sh.key]; old != nil {
			if old.epoch >= sh.epoch {
				continue
			}
			replaced = append(replaced, old)
		}
		s.shards[sh.key] = sh
		installed = append(installed, sh)
	}
	s.packer.opened(installed)
	return replaced, nil
}

func newShard(a Assignment) (*shard, error) {
	sh := &shard{key: a.Shard, epoch: a.Epoch, horizon: a.Horizon, closing: a.Closed, closed: a.Closed, count: a.Extents}
	next, last := a.Next, a.LastTime
	for _, p := range a.Pending {
		kept := Pending{Session: p.Session}
		for _, e := range p.Extents {
			if e.End() <= next {
				continue // registered by an adoption that did not come to its end
			}
			if e.First != next {
				return nil, leat.Errorf(leat.KindCorrupt, "shard %s: session %s continues at offset %d where %d was expected", a.Shard, p.Session, e.First, next)
			}
			kept.Extents = append(kept.Extents, e)
			next, last = e.End(), max(last, e.MaxTime)
		}
		// Kept even when empty: the row (closed session, shard) must go.
		sh.pending = append(sh.pending, kept)
	}
	sh.next, sh.visible, sh.clock, sh.lastTime = next, next, last, last
	return sh, nil
}

// DropShards forgets shards of a stream that is being deleted. Their records are not packed any more, and leave the caches; the next pack
// counts them (owed.go).
func (s *Store) DropShards(keys []leat.ShardKey) {
	s.mu.Lock()
	var dropped []*shard
	for _, k := range keys {
		if sh := s.shards[k]; sh != nil {
			delete(s.shards, k)
			dropped = append(dropped, sh)
		}
	}
	s.mu.Unlock()
	for _, sh := range dropped {
		s.unindexed.Add(s.packer.dropShard(sh))
		s.cache.drop(sh.uncache())
	}
}

func (s *Store) shard(k leat.ShardKey) (*shard, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state >= closing {
		return nil, s.notLive()
	}
	sh := s.shards[k]
	if sh == nil || sh.unopened {
		return nil, ErrNotOwned
	}
	return sh, nil
}

// owned returns a snapshot of the session's shards.
func (s *Store) owned() []*shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*shard, 0, len(s.shards))
	for _, sh := range s.shards {
		all = append(all, sh)
	}
	return all
}
