// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/wal"
)

// memIndex is the catalog's part of the protocol in memory, with every check that the SQL one makes: sessions, trims,
// epochs, contiguity, idempotence by pack number, unnamed objects. It lets the engine be tested without SQL, and with
// answers that get lost.
type memIndex struct {
	mu        sync.Mutex
	sessions  map[leat.SessionID]*memSession
	shards    map[leat.ShardKey]*memShard
	deletions map[string]int64
	usage     map[leat.StreamID]int64 // records
	// broken makes it forget a rule, for tests that must fail.
	broken brokenIndex
	// fault is asked before and after each method: an error before means not executed, after means answer lost.
	fault func(op string, after bool) error
}

// brokenIndex are catalogs that get the protocol wrong.
type brokenIndex struct {
	anyState  bool // packs of sessions that are not live are taken
	anyTrim   bool // trim is not compared
	anyPlace  bool // extents need not join, nor belong to their owner
	noNumbers bool // a pack that is registered is registered again
	anyFinal  bool // a shard is handed over whether its extents end where it was released or not
	trimsAll  bool // all segments of a pack's range are deleted, those that extents stay in too
	hasty     bool // an object goes with the first of its extents that goes
}

type memSession struct {
	state   string // live, fencing, closed
	trim    uint64
	fence   uint64
	packs   map[uint64]bool
	pending map[leat.ShardKey]bool // rows (closed session, shard)
	order   int
}

type memShard struct {
	epoch    uint64
	owner    leat.SessionID
	next     uint64
	lastTime int64
	horizon  uint64
	closed   bool
	final    uint64
	extents  []shardstore.Extent
}

func newMemIndex() *memIndex {
	return &memIndex{
		sessions: map[leat.SessionID]*memSession{}, shards: map[leat.ShardKey]*memShard{},
		deletions: map[string]int64{}, usage: map[leat.StreamID]int64{},
	}
}

func (x *memIndex) setFault(f func(op string, after bool) error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.fault = f
}

func (x *memIndex) enter(op string) (leave func(*error), err error) {
	x.mu.Lock()
	fault := x.fault
	if fault != nil {
		if err := fault(op, false); err != nil {
			x.mu.Unlock()
			return nil, err
		}
	}
	return func(err *error) {
		x.mu.Unlock()
		if fault != nil && *err == nil {
			*err = fault(op, true)
		}
	}, nil
}

func (x *memIndex) Register(_ context.Context, r shardstore.Registration) (err error) {
	leave, err := x.enter("register")
	if err != nil {
		return err
	}
	defer leave(&err)
	s := x.sessions[r.Session]
	if s == nil || s.state != "live" && !x.broken.anyState {
		return fmt.Errorf("%w: the session is not live", shardstore.ErrFenced)
	}
	if s.packs[r.Number] && !x.broken.noNumbers {
		return nil
	}
	if s.trim != r.TrimFrom && !x.broken.anyTrim {
		return fmt.Errorf("%w: trim is %d, not %d", shardstore.ErrFenced, s.trim, r.TrimFrom)
	}
	if err := x.check(r); err != nil {
		return err
	}
	for _, e := range r.Replaces {
		sh := x.shards[e.Shard]
		sh.extents = slices.DeleteFunc(sh.extents, func(o shardstore.Extent) bool { return o.First == e.First && o.Object == e.Object })
	}
	for _, e := range r.Extents {
		if r.Counted {
			x.usage[e.Shard.Stream] += int64(e.Count)
		}
		sh := x.shards[e.Shard]
		if sh == nil {
			continue
		}
		if r.Counted {
			sh.next, sh.lastTime = e.End(), e.MaxTime
		}
		sh.extents = append(sh.extents, e)
		slices.SortFunc(sh.extents, func(a, b shardstore.Extent) int { return int(int64(a.First) - int64(b.First)) })
	}
	for _, e := range r.Gone {
		if x.shards[e.Shard] == nil {
			x.usage[e.Shard.Stream] += int64(e.Count)
		}
	}
	s.trim = r.TrimTo
	s.packs[r.Number] = true
	for _, k := range r.Deletes {
		x.deletions[k] = r.NotBefore
	}
	for n := r.TrimFrom; n < r.TrimTo && x.broken.trimsAll; n++ {
		x.deletions[wal.Key(r.Session, n)] = r.NotBefore
	}
	x.unname(r.Replaces, r.NotBefore)
	x.adopt(r)
	return nil
}

// check refuses a registration that breaks an invariant.
func (x *memIndex) check(r shardstore.Registration) error {
	if x.broken.anyPlace {
		return nil
	}
	if err := conserves(r); err != nil {
		return err
	}
	next := map[leat.ShardKey]uint64{}
	for _, e := range r.Extents {
		if err := stays(r, e); err != nil {
			return err
		}
		sh := x.shards[e.Shard]
		if sh == nil {
			continue
		}
		if sh.owner != r.Session {
			return shardstore.ErrFenced
		}
		if !r.Counted {
			continue
		}
		at, ok := next[e.Shard]
		if !ok {
			at = sh.next
		}
		if e.First != at {
			return fmt.Errorf("%w: %s goes on at %d, wanted %d", shardstore.ErrFenced, e.Shard, e.First, at)
		}
		next[e.Shard] = e.End()
	}
	for _, e := range r.Replaces {
		sh := x.shards[e.Shard]
		if sh == nil || !slices.ContainsFunc(sh.extents, func(o shardstore.Extent) bool { return o.First == e.First && o.Object == e.Object }) {
			return fmt.Errorf("%w: %s at %d is not in %s", shardstore.ErrFenced, e.Shard, e.First, e.Object)
		}
	}
	return nil
}

// stays refuses an extent that is neither in the pack nor where it may stay.
func stays(r shardstore.Registration, e shardstore.Extent) error {
	session, n, ok := wal.ParseKey(e.Object)
	inRange := ok && session == r.Session && n >= r.TrimFrom && n < r.TrimTo && !slices.Contains(r.Deletes, e.Object) && r.Counted
	left := ok && session == r.Adopts && r.Counted
	if e.Object != r.Object && !inRange && !left && !strings.HasPrefix(e.Object, shardstore.KeptName(r.Session, r.Number)) {
		return fmt.Errorf("I6: %s registers an extent in %s", r.Session, e.Object)
	}
	return nil
}

// conserves refuses a merge that does not hold what it replaces (I8).
func conserves(r shardstore.Registration) error {
	if len(r.Replaces) == 0 {
		return nil
	}
	sum := func(extents []shardstore.Extent) (count, hash uint64) {
		for _, e := range extents {
			count, hash = count+e.Count, hash+e.Hash
		}
		return count, hash
	}
	count, hash := sum(r.Extents)
	was, before := sum(r.Replaces)
	if count != was || hash != before {
		return fmt.Errorf("I8: a merge of %d records with hash %x has %d with %x", was, before, count, hash)
	}
	return nil
}

func (x *memIndex) adopt(r shardstore.Registration) {
	old := x.sessions[r.Adopts]
	if old == nil {
		return
	}
	for _, k := range r.AdoptShards {
		delete(old.pending, k)
	}
	if len(r.AdoptShards) > 0 && len(old.pending) == 0 {
		var all []shardstore.Extent
		for n := old.trim; n < old.fence; n++ {
			all = append(all, shardstore.Extent{Object: wal.Key(r.Adopts, n)})
		}
		x.unname(all, r.NotBefore)
	}
}

// unname queues the objects of extents that are gone, unless others name them.
func (x *memIndex) unname(gone []shardstore.Extent, notBefore int64) {
	objects := map[string]bool{}
	for _, e := range gone {
		objects[e.Object] = true
	}
	for _, sh := range x.shards {
		for _, e := range sh.extents {
			if !x.broken.hasty {
				delete(objects, e.Object)
			}
		}
	}
	for o := range objects {
		if session, n, ok := wal.ParseKey(o); ok && !x.broken.hasty {
			if s := x.sessions[session]; s != nil && len(s.pending) > 0 && n >= s.trim {
				continue // it holds what is to be adopted
			}
		}
		x.deletions[o] = notBefore
	}
}

func (x *memIndex) Extents(_ context.Context, shards []leat.ShardKey) (out []shardstore.ShardExtents, err error) {
	leave, err := x.enter("extents")
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	for _, k := range shards {
		a := shardstore.ShardExtents{Shard: k}
		if sh := x.shards[k]; sh != nil {
			a.Extents, a.Horizon = slices.Clone(sh.extents), sh.horizon
		}
		out = append(out, a)
	}
	return out, nil
}

func (x *memIndex) AdvanceHorizon(_ context.Context, k leat.ShardKey, epoch, horizon uint64, notBefore int64) (err error) {
	leave, err := x.enter("horizon")
	if err != nil {
		return err
	}
	defer leave(&err)
	sh := x.shards[k]
	if sh == nil {
		return nil
	}
	if sh.epoch != epoch {
		return shardstore.ErrFenced
	}
	sh.horizon = max(sh.horizon, horizon)
	var gone []shardstore.Extent
	sh.extents = slices.DeleteFunc(sh.extents, func(e shardstore.Extent) bool {
		if e.End() <= horizon {
			gone = append(gone, e)
			return true
		}
		return false
	})
	x.unname(gone, notBefore)
	return nil
}

func (x *memIndex) DueDeletions(_ context.Context, now int64, limit int) (keys []string, err error) {
	leave, err := x.enter("due")
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	for k, at := range x.deletions {
		if at <= now {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(x.deletions[a], x.deletions[b]), cmp.Compare(a, b))
	})
	return keys[:min(limit, len(keys))], nil
}

func (x *memIndex) Deleted(_ context.Context, keys []string) (err error) {
	leave, err := x.enter("deleted")
	if err != nil {
		return err
	}
	defer leave(&err)
	for _, k := range keys {
		delete(x.deletions, k)
	}
	return nil
}

func (x *memIndex) Named(_ context.Context, keys []string) (named map[string]bool, err error) {
	leave, err := x.enter("named")
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	named = map[string]bool{}
	for _, k := range keys {
		if _, ok := x.deletions[k]; ok {
			named[k] = true
		}
	}
	for _, sh := range x.shards {
		for _, e := range sh.extents {
			if slices.Contains(keys, e.Object) {
				named[e.Object] = true
			}
		}
	}
	return named, nil
}
