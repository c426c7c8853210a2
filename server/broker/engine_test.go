// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// faultyEngine holds shards in memory and fails as tests ask: what the real engine does only when a disk or a network
// fails.
type faultyEngine struct {
	clock leat.Clock

	mu      sync.Mutex
	shards  map[leat.ShardKey]*faultyShard
	changed chan struct{} // closed and replaced at every change

	refuse  error                          // of whole calls
	silent  bool                           // appends return without a word
	outcome func(p *shardstore.Put) error  // of single records; called with the lock held
	onRead  func(p *shardstore.Page) error // may change what is read
	appends int                            // calls of Append
	closed  func(parent leat.ShardKey)     // called without the lock when a put meets a closed shard
}

type faultyShard struct {
	records []leat.Record
	closed  bool
	became  *shardstore.Reshard // what closed it; nil: the engine does not say
}

func newFaultyEngine(clock leat.Clock) *faultyEngine {
	return &faultyEngine{clock: clock, shards: map[leat.ShardKey]*faultyShard{}, changed: make(chan struct{})}
}

// change runs f with the lock held and wakes who waits.
func (e *faultyEngine) change(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *faultyEngine) open(shards ...leat.ShardKey) {
	e.change(func() {
		for _, k := range shards {
			e.shards[k] = &faultyShard{}
		}
	})
}

func (e *faultyEngine) drop(k leat.ShardKey) { e.change(func() { delete(e.shards, k) }) }

// reshard closes parents and opens children, and returns the parents' finals.
func (e *faultyEngine) reshard(parents, children []leat.ShardKey) (finals []uint64) {
	e.change(func() {
		for _, k := range parents {
			e.shards[k].closed = true
			finals = append(finals, uint64(len(e.shards[k].records)))
		}
		for _, k := range children {
			e.shards[k] = &faultyShard{}
		}
	})
	return finals
}

// says lets the engine say what became of a reshard's parents.
func (e *faultyEngine) says(r shardstore.Reshard) {
	e.change(func() {
		for _, p := range r.Parents {
			e.shards[p.Shard].became = &r
		}
	})
}

func (e *faultyEngine) Append(_ context.Context, puts []shardstore.Put) error {
	e.mu.Lock()
	e.appends++
	if e.refuse != nil {
		defer e.mu.Unlock()
		return e.refuse
	}
	if e.silent {
		e.mu.Unlock()
		return nil
	}
	var overtaken []leat.ShardKey
	for i := range puts {
		p := &puts[i]
		s := e.shards[p.Shard]
		switch {
		case s == nil:
			p.Err = shardstore.ErrNotOwned
		case s.closed:
			if p.Err = shardstore.ErrResharded; s.became != nil {
				p.Err = &shardstore.ReshardedError{Reshard: s.became}
			}
			overtaken = append(overtaken, p.Shard)
		case e.outcome != nil && e.outcome(p) != nil:
			p.Err = e.outcome(p)
		default:
			p.Record.Offset, p.Record.Time, p.Err = uint64(len(s.records)), leat.Micros(e.clock.Now()), nil
			r := p.Record
			r.Data = slices.Clone(r.Data)
			s.records = append(s.records, r)
		}
	}
	close(e.changed)
	e.changed = make(chan struct{})
	hook := e.closed
	e.mu.Unlock()
	if hook != nil && len(overtaken) > 0 {
		hook(overtaken[0])
	}
	return nil
}

func (e *faultyEngine) Read(_ context.Context, k leat.ShardKey, from uint64, lim shardstore.ReadLimits) (shardstore.Page, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refuse != nil {
		return shardstore.Page{}, e.refuse
	}
	s := e.shards[k]
	if s == nil {
		return shardstore.Page{}, shardstore.ErrNotOwned
	}
	p := shardstore.Page{Next: from, Tail: uint64(len(s.records))}
	for size := 0; p.Next < p.Tail && len(p.Records) < lim.Records; p.Next++ {
		r := s.records[p.Next]
		if r.Time < lim.MinTime {
			continue
		}
		if size += r.Size(); size > lim.Bytes && len(p.Records) > 0 {
			break
		}
		p.Records = append(p.Records, r)
	}
	if p.Next < p.Tail {
		p.Behind = max(e.clock.Now().Sub(time.UnixMicro(s.records[p.Next].Time)), time.Millisecond)
	}
	if p.Ended = s.closed && p.Next >= p.Tail; p.Ended {
		p.Became = s.became
	}
	if e.onRead != nil {
		return p, e.onRead(&p)
	}
	return p, nil
}

func (e *faultyEngine) Wait(ctx context.Context, k leat.ShardKey, from uint64) error {
	for {
		e.mu.Lock()
		s, changed := e.shards[k], e.changed
		switch {
		case s == nil:
			e.mu.Unlock()
			return shardstore.ErrNotOwned
		case uint64(len(s.records)) > from, s.closed:
			e.mu.Unlock()
			return nil
		}
		e.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *faultyEngine) Locate(_ context.Context, k leat.ShardKey, at int64) (uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.shards[k]
	if s == nil {
		return 0, shardstore.ErrNotOwned
	}
	for i := range s.records {
		if s.records[i].Time >= at {
			return uint64(i), nil
		}
	}
	return uint64(len(s.records)), nil
}

func (e *faultyEngine) Bounds(_ context.Context, k leat.ShardKey) (shardstore.Bounds, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.shards[k]
	if s == nil {
		return shardstore.Bounds{}, shardstore.ErrNotOwned
	}
	return shardstore.Bounds{Epoch: 1, Tail: uint64(len(s.records)), Closed: s.closed}, nil
}
