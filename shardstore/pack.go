// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// packer turns durable segments into packs (data-plane.md, rule 7): whole segments only, in order. A pack is written
// while the object store works and registered while the catalog works. What waits for the catalog is one extent a shard
// and pack, so that a catalog may be away for hours. Until its registration is known nothing of a pack is forgotten, and
// it is tried again under its own number: so an answer that was lost is told from a refusal.
type packer struct {
	s      *Store
	number atomic.Uint64 // of the next pack or merge
	kick   chan struct{}
	one    turn // of whoever packs: the loop, Pack or Close
	sql    turn // of whoever registers: the packer or a merge

	mu    sync.Mutex
	queue []tailSegment // durable, in no pack, in order of n
	bytes int64         // of their encoded records
	held  map[string]uint64
	adopt bool     // some shard has pending extents of a closed session
	owed  []Extent // of dropped shards: in segments of the queue, and counted by the pack that trims these

	// Whoever has the turn in one.
	written  []*pack               // not registered, oldest first
	adopting *pack                 // written, and its registration tried
	noLinks  bool                  // a log file could not get a second name
	linkless bool                  // none can: it is not for want of room that it could not
	stuck    map[stuckIn]time.Time // since when something cannot be packed

	unsure atomic.Bool // a registration was tried and its outcome is not known
}

// pack is an object that is written and waits to be registered.
type pack struct {
	reg      Registration
	parts    []part          // without chunks
	finished []*shard        // by an adoption: nothing is left of the closed session after it
	traced   context.Context // of the writing, for traces
}

// part is one shard's share of a pack.
type part struct {
	sh      *shard
	chunks  []*segment.Chunk
	from    []Extent   // where the chunks are
	sealed  leat.KeyID // the last key that some of the chunks are sealed with where they are; zero: none
	kept    []Extent   // that stay where they are
	extents []Extent   // in the pack, and kept; set by write
}

func newPacker(s *Store) *packer {
	return &packer{s: s, kick: make(chan struct{}, 1), one: newTurn(), sql: newTurn(), held: map[string]uint64{}, stuck: map[stuckIn]time.Time{}}
}

// turn is a lock whose wait ends with a context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) lock(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) unlock() { <-t }

// logged hears of each durable segment, in order.
func (p *packer) logged(t tailSegment) {
	p.mu.Lock()
	p.queue = append(p.queue, t)
	p.bytes += t.raw
	full := p.bytes >= p.s.cfg.Params.PackBytes
	p.mu.Unlock()
	if full {
		p.wake()
	}
}

func (p *packer) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// run packs when it is due, until ctx ends. Failures are logged and tried again with a pause: the catalog or the store
// may be away for long, and puts go on meanwhile.
func (p *packer) run(ctx context.Context) {
	const check = time.Second
	pause := time.Duration(0)
	for {
		c, stop := p.s.cfg.Clock.NewTimer(max(check, pause))
		kick := p.kick
		if pause > 0 {
			kick = nil
		}
		select {
		case <-ctx.Done():
			stop()
			return
		case <-kick:
			stop()
		case <-c:
		}
		err := p.round(ctx, false)
		switch {
		case err == nil:
			pause = 0
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrFenced):
			p.s.abort(fmt.Errorf("the catalog refused a pack: %w", err))
			return
		default:
			pause = min(max(2*pause, check), 15*time.Second)
			p.s.stats.packFailures.Add(1)
			p.s.cfg.Logger.Warn("packing waits", "error", err, "retry_in", pause)
		}
	}
}

// round adopts what closed sessions left, writes the packs that are due, or all, and registers what is written.
func (p *packer) round(ctx context.Context, all bool) error {
	return p.roundWhile(ctx, func() bool { return all || p.ready() })
}

// roundWhile is round, with packs written while more says so and anything is left.
func (p *packer) roundWhile(ctx context.Context, more func() bool) error {
	if err := p.one.lock(ctx); err != nil {
		return err
	}
	defer p.one.unlock()
	if p.unsure.Load() && p.adopting == nil && len(p.written) > 0 {
		// What was tried is settled before anything else, or the trim that everything else names may be an old one.
		if err := p.registerPack(ctx, p.written[0]); err != nil {
			return errors.Join(err, p.writeWhile(ctx, more))
		}
		p.written = p.written[1:]
	}
	maps.DeleteFunc(p.stuck, func(in stuckIn, _ time.Time) bool { return in.sh != nil && in.sh.isGone() })
	held, err := p.adoptAll(ctx)
	written := p.writeWhile(ctx, more)
	if err == nil {
		// What is written does not wait for what cannot be written, nor for shards that it has nothing of.
		err = p.registerWritten(ctx)
	}
	return errors.Join(held, written, err)
}

// writeWhile writes packs while more says so and anything is left.
func (p *packer) writeWhile(ctx context.Context, more func() bool) error {
	for more() {
		if done, err := p.writeNext(ctx); err != nil || !done {
			return err
		}
	}
	return nil
}

func (p *packer) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return false
	}
	par := p.s.cfg.Params
	return p.bytes >= par.PackBytes || p.s.cfg.Clock.Now().Sub(p.queue[0].at) >= par.PackEvery
}

// take chooses the segments of the next pack: from the oldest on, up to PackBytes.
func (p *packer) take() []tailSegment {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, size := 0, int64(0)
	for k < len(p.queue) && (k == 0 || size+p.queue[k].raw <= p.s.cfg.Params.PackBytes) {
		size += p.queue[k].raw
		k++
	}
	return p.queue[:k:k]
}

// drop forgets segments that are in a pack.
func (p *packer) drop(segments []tailSegment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range segments {
		p.bytes -= t.raw
	}
	p.queue = slices.Clone(p.queue[len(segments):])
}

// writeNext writes the pack of the oldest segments. done is false when there was none.
func (p *packer) writeNext(ctx context.Context) (done bool, err error) {
	segments := p.take()
	if len(segments) == 0 {
		return false, nil
	}
	ctx, end := p.s.work(ctx, "pack")
	defer func() { end(err) }()
	from, to := segments[0].n, segments[len(segments)-1].n+1
	reg := Registration{Session: p.s.cfg.Session, Number: p.nextNumber(), TrimFrom: from, TrimTo: to, Counted: true}
	runs, shares := logRuns(segments, to)
	st := staying{p: p, reg: &reg, names: p.keepLarge(&reg, runs)}
	if err := p.gather(ctx, &st, runs, shares); err != nil {
		return false, err
	}
	for i := range runs {
		if key := wal.Key(p.s.cfg.Session, runs[i].n); !runs[i].kept && !st.in[key] {
			reg.Deletes = append(reg.Deletes, key)
		}
	}
	parts := make([]part, 0, len(shares))
	for _, pt := range shares {
		if len(pt.chunks) > 0 || len(pt.kept) > 0 {
			parts = append(parts, *pt)
		}
	}
	reg.Gone = p.owedBelow(to, parts)
	if err := p.write(ctx, &reg, parts, 1); err != nil {
		return false, err
	}
	if err := p.link(ctx, st.names); err != nil {
		return false, err
	}
	for i := range parts {
		p.s.unindexed.Add(parts[i].sh.park(to, parts[i].extents))
		p.s.stats.kept.Add(uint64(len(parts[i].kept)))
		parts[i].chunks, parts[i].from, parts[i].kept = nil, nil, nil
	}
	st.recovered(parts)
	p.written = append(p.written, &pack{reg: reg, parts: parts, traced: context.WithoutCancel(ctx)})
	p.drop(segments)
	p.settle(to)
	return true, nil
}

// logRuns lists what segments below to hold, segment by segment, and the share of each shard.
func logRuns(segments []tailSegment, to uint64) (runs []logSegment, shares []*part) {
	type rest struct {
		part *part
		left []Extent
	}
	of := map[*shard]*rest{}
	for _, t := range segments {
		seg := logSegment{n: t.n}
		for _, sh := range t.shards {
			r := of[sh]
			if r == nil {
				r = &rest{part: &part{sh: sh}, left: sh.loggedBelow(to)}
				of[sh] = r
				shares = append(shares, r.part)
			}
			if len(r.left) == 0 {
				continue // dropped meanwhile
			}
			seg.runs = append(seg.runs, logRun{r.part, r.left[0]})
			r.left = r.left[1:]
		}
		runs = append(runs, seg)
	}
	return runs, shares
}

// gather collects the chunks of the runs, from memory or from the segments. What cannot be had stays, in the end, where it
// is.
func (p *packer) gather(ctx context.Context, st *staying, segments []logSegment, shares []*part) error {
	reader := objectReader{s: p.s, window: p.s.cfg.Params.ReadWindow}
	for _, seg := range segments {
		for i := range seg.runs {
			r := &seg.runs[i]
			c, err := p.s.chunkOf(ctx, &reader, r.part.sh, r.e)
			if err == nil {
				r.part.add(c, &r.e)
				continue
			}
			err = fmt.Errorf("gather %s from %s: %w", r.part.sh.key, r.e.Object, err)
			if ctx.Err() != nil || !st.leave(r.part, err, r.e) {
				return err
			}
		}
	}
	for _, pt := range shares {
		if err := st.seals(pt); err != nil {
			return err
		}
	}
	return nil
}

// nextNumber is a new number for a registration.
func (p *packer) nextNumber() uint64 { return p.number.Add(1) - 1 }

// write encodes the chunks of the parts as one object and makes it durable under the registration's number. The parts
// learn their extents.
func (p *packer) write(ctx context.Context, reg *Registration, parts []part, level uint8) error {
	sortParts(parts)
	var packed []part
	var chunks []*segment.Chunk
	for _, part := range parts {
		if len(part.chunks) > 0 {
			packed = append(packed, part)
			chunks = append(chunks, part.chunks...)
		}
	}
	if len(chunks) == 0 {
		reg.Extents = withKept(parts)
		return nil
	}
	h := segment.Header{Kind: segment.KindPack, Cluster: p.s.cfg.Cluster, Session: reg.Session, N: reg.Number, Created: leat.Micros(p.s.cfg.Clock.Now())}
	h.Nonce = leat.NewID[leat.SessionID](p.s.cfg.Rand)
	codec := segment.CodecZstd
	if level == 1 && p.s.cfg.Params.FastPacks {
		codec = segment.CodecS2
	}
	seal, err := p.s.sealParts(packed)
	if err != nil {
		return fmt.Errorf("pack %d: %w", reg.Number, err)
	}
	object, extents, err := p.s.coder.Encode(h, chunks, nil, segment.Options{Codec: codec, Level: level, Key: seal})
	if err != nil {
		return fmt.Errorf("encode pack %d: %w", reg.Number, err)
	}
	reg.Object = PackKey(reg.Session, reg.Number)
	for i := range extents {
		extents[i].Object = reg.Object
	}
	share(parts, extents)
	reg.Extents = withKept(parts)
	return p.s.create(ctx, reg.Object, object)
}

func sortParts(parts []part) {
	slices.SortFunc(parts, func(a, b part) int { return a.sh.key.Compare(b.sh.key) })
}

// share gives each part its extents: both are in the order of shards.
func share(parts []part, extents []Extent) {
	at := 0
	for i := range parts {
		from := at
		for at < len(extents) && extents[at].Shard == parts[i].sh.key {
			at++
		}
		parts[i].extents = extents[from:at:at]
	}
}

// PackKey is the key of a pack: pack/<session>/<number>.
func PackKey(s leat.SessionID, number uint64) string {
	return fmt.Sprintf("%s%s/%020d", packPrefix, s, number)
}

const packPrefix = "pack/"
