// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"

	"github.com/leatstream/leat"
)

// Tracer follows calls, and what the engine does by itself, as spans of traces. Its methods are called under the
// sequencer's lock too, so they MUST be quick and wait for nothing.
//
// One segment carries the records of many calls. The span of its commit is a part of the trace of the first of them that
// is followed; the spans of all the others have a link to it.
type Tracer interface {
	// Begin begins a span of a part of what ctx belongs to; nil where that is not followed.
	Begin(ctx context.Context, name string) (context.Context, Span)
	// Work begins a trace of something that the engine does by itself; nil where it is not followed.
	Work(ctx context.Context, name string) (context.Context, Span)
	// Carry returns ctx with the span of another context in the place of its own.
	Carry(ctx, from context.Context) context.Context
}

// Span is a part of a trace.
type Span interface {
	// Size says how many records it is about, and their bytes of data and partition keys.
	Size(records, bytes int)
	// Number adds a number.
	Number(name string, n int64)
	// Text adds a name.
	Text(name, value string)
	// Link ties it to the span that ctx has.
	Link(to context.Context)
	// End ends it, with the kind of an error where there is one.
	End(err error)
}

// traced is what of a batch is followed; nil: nothing.
type traced struct {
	call   context.Context // the first of those in it that are followed
	commit context.Context // set when the batch is frozen
	span   Span            // of the commit; nil before
}

// follow has a batch's commit be a part of what ctx belongs to, unless an earlier call has. mu is held.
func (b *batch) follow(ctx context.Context) {
	if b.traced == nil {
		b.traced = &traced{call: context.WithoutCancel(ctx)}
	}
}

// committing begins the span of a batch that is followed, from here to the end of its segment. mu is held.
func (s *Store) committing(b *batch) {
	t := b.traced
	if t.commit, t.span = s.cfg.Tracer.Begin(t.call, "segment commit"); t.span != nil {
		t.span.Text("leat.session", s.cfg.Session.String())
		t.span.Number("leat.segment", int64(b.n))
		t.span.Number("leat.shards", int64(len(b.shards)))
	}
}

// committed ends the span of a batch that is durable, or will never be.
func (b *batch) committed() {
	if b.traced == nil || b.traced.span == nil {
		return
	}
	if b.err == nil {
		records, bytes := 0, 0
		for i := range b.extents {
			records += int(b.extents[i].Count)
			bytes += int(b.extents[i].Bytes)
		}
		b.traced.span.Size(records, bytes)
	}
	b.traced.span.End(b.err)
}

// followSegment has the tries to write a segment be parts of its commit.
func (s *Store) followSegment(ctx context.Context, n uint64) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.taken {
		if b.n == n && b.traced != nil && b.traced.span != nil {
			return s.cfg.Tracer.Carry(ctx, b.traced.commit)
		}
	}
	return ctx
}

// appended ends the span of a call.
func appended(call Span, puts []Put, spans []span, err error) {
	records, bytes, shards := 0, 0, map[leat.ShardKey]bool{}
	for i := range puts {
		shards[puts[i].Shard] = true
		if puts[i].Err == nil {
			records++
			bytes += puts[i].Record.Size()
		} else if err == nil {
			err = puts[i].Err
		}
	}
	call.Size(records, bytes)
	if len(puts) > 0 && len(shards) == 1 {
		call.Text("leat.shard", leat.ShardID(puts[0].Shard.Ordinal))
	}
	for _, sp := range spans {
		select {
		case <-sp.b.done: // its commit is known
			if sp.b.traced != nil && sp.b.traced.span != nil {
				call.Link(sp.b.traced.commit)
			}
		default: // the caller went away first
		}
	}
	call.End(err)
}

// work begins a trace of something that the engine does by itself; end ends it.
func (s *Store) work(ctx context.Context, name string) (_ context.Context, end func(error)) {
	if s.cfg.Tracer != nil {
		if traced, span := s.cfg.Tracer.Work(ctx, name); span != nil {
			span.Text("leat.session", s.cfg.Session.String())
			return traced, span.End
		}
	}
	return ctx, func(error) {}
}

// part begins a span of a part of what was followed before, and has ctx belong to it.
func (s *Store) part(ctx, of context.Context, name string) (_ context.Context, end func(error)) {
	if s.cfg.Tracer != nil && of != nil {
		if traced, span := s.cfg.Tracer.Begin(s.cfg.Tracer.Carry(ctx, of), name); span != nil {
			return traced, span.End
		}
	}
	return ctx, func(error) {}
}
