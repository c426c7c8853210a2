// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"math/bits"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
)

// Shard is an open shard as a look at it found it.
type Shard struct {
	Ordinal uint64
	Range   leat.HashKeyRange
	Short   Flow           // about the last 15 s: what makes it hot
	Long    Flow           // about the last 5 min: what, with Short, makes it cold
	Balance broker.Balance // where a split divides its writes best
	Foreign bool           // another node owns it, and knows what it does: it is one of the stream's, and is left alone
}

// Flow is what is put into a shard a second.
type Flow struct{ Bytes, Records float64 }

// Share is that beside what a provisioned shard takes: 1 is all of it.
func (f Flow) Share() float64 { return max(f.Bytes/leat.ShardBytesIn, f.Records/leat.ShardRecordsIn) }

// narrow tells whether the shard has less than 1/2^n of all hash keys.
func (s *Shard) narrow(n int) bool { return bits.LeadingZeros64(s.width().Hi) >= n }

// width is how many hash keys the shard has, less one.
func (s *Shard) width() leat.HashKey {
	lo, borrow := bits.Sub64(s.Range.End.Lo, s.Range.Start.Lo, 0)
	hi, _ := bits.Sub64(s.Range.End.Hi, s.Range.Start.Hi, borrow)
	return leat.HashKey{Hi: hi, Lo: lo}
}

// Bounds are what a stream's number of open shards stays within.
type Bounds struct {
	Least int // merges never go below
	Warm  int // splits come up to it at once, whatever the load: one for each MiB/s of warm throughput
	Most  int // splits never go above, as far as the account's quota goes; 0: there is none
}

// full tells whether n shards are as many as the account's quota leaves the stream.
func (b *Bounds) full(n int) bool { return b.Most > 0 && n >= b.Most }

// Plan is what to do with a stream now. No shard is in two steps.
type Plan struct {
	Decisions []catalog.ScaleDecision
	Holds     []Hold
}

// Hold is a hot shard that is not split, and why.
type Hold struct {
	Shard  uint64
	Reason string
}

// Watch remembers for how long the shards of one stream have been hot or cold. The zero value knows nothing yet. It is
// for one goroutine.
type Watch struct {
	hot   map[uint64]time.Time    // since when
	cold  map[[2]uint64]time.Time // of neighbours together
	held  map[uint64]time.Time    // when it was last said that it is not split
	acted time.Time               // when the last plan was carried out
}

// Look takes in what the open shards of the stream, ordered by range, do now.
func (w *Watch) Look(now time.Time, p Params, shards []Shard) {
	hot, cold, held := map[uint64]time.Time{}, map[[2]uint64]time.Time{}, map[uint64]time.Time{}
	for i := range shards {
		s := &shards[i]
		if s.Foreign {
			continue
		}
		if s.Short.Share() >= p.Hot {
			keep(hot, w.hot, s.Ordinal, now)
		}
		if at, ok := w.held[s.Ordinal]; ok {
			held[s.Ordinal] = at
		}
		if i > 0 && !shards[i-1].Foreign && together(&shards[i-1], s) <= p.Cold {
			keep(cold, w.cold, [2]uint64{shards[i-1].Ordinal, s.Ordinal}, now)
		}
	}
	w.hot, w.cold, w.held = hot, cold, held
}

func keep[K comparable](to, from map[K]time.Time, k K, now time.Time) {
	to[k] = now
	if since, ok := from[k]; ok {
		to[k] = since
	}
}

// together is the share that one shard in the place of two would take.
func together(a, b *Shard) float64 {
	most := func(s *Shard) float64 { return max(s.Short.Share(), s.Long.Share()) }
	return most(a) + most(b)
}

// Decide says what to do with a stream that is ACTIVE, after Look at the same shards. Holds are said once, and again after
// a while; when the decisions are carried out Acted MUST be called.
func (w *Watch) Decide(now time.Time, p Params, b Bounds, shards []Shard) Plan {
	plan := w.warm(p, b, shards)
	if len(plan.Decisions) > 0 || now.Sub(w.acted) < p.Cooldown {
		return plan
	}
	plan = w.splits(now, p, b, shards)
	if len(plan.Decisions) == 0 {
		plan.Decisions = w.merges(now, p, b, shards)
	}
	return plan
}

// Acted notes that a plan's decisions are being carried out.
func (w *Watch) Acted(now time.Time) { w.acted = now }

// warm splits the widest shards of a stream that has fewer than its warm throughput needs.
func (w *Watch) warm(p Params, b Bounds, shards []Shard) (plan Plan) {
	missing := min(b.Warm, p.MaxShards) - len(shards)
	if missing <= 0 {
		return plan
	}
	widest := byWidth(shards)
	widest = slices.DeleteFunc(widest, func(s *Shard) bool { return s.Foreign })
	slices.Reverse(widest)
	for _, s := range widest[:min(missing, len(widest))] {
		if !s.narrow(p.NarrowBits) && !b.full(len(shards)+len(plan.Decisions)) {
			plan.Decisions = append(plan.Decisions, catalog.ScaleDecision{Step: catalog.Split(s.Ordinal, s.Balance.At), Reason: reasonWarm(b.Warm, len(shards))})
		}
	}
	return plan
}

// splits cuts every shard that has been hot for long enough, the hottest first, as far as there may be more shards.
func (w *Watch) splits(now time.Time, p Params, b Bounds, shards []Shard) (plan Plan) {
	var hot []*Shard
	for i := range shards {
		if since, ok := w.hot[shards[i].Ordinal]; ok && now.Sub(since) >= p.HotFor {
			hot = append(hot, &shards[i])
		}
	}
	slices.SortStableFunc(hot, func(a, b *Shard) int {
		if a.Short.Share() > b.Short.Share() {
			return -1
		}
		return 1
	})
	for _, s := range hot {
		switch {
		case s.narrow(p.NarrowBits):
			w.hold(&plan, now, p, s, reasonNarrow(s, p.NarrowBits))
		case len(shards)+len(plan.Decisions) >= p.MaxShards:
			w.hold(&plan, now, p, s, reasonMost(s, p.MaxShards))
		case b.full(len(shards) + len(plan.Decisions)):
			w.hold(&plan, now, p, s, reasonQuota(s))
		default:
			plan.Decisions = append(plan.Decisions, catalog.ScaleDecision{
				Step: catalog.Split(s.Ordinal, s.Balance.At), Reason: reasonHot(s, now.Sub(w.hot[s.Ordinal])),
			})
		}
	}
	return plan
}

func (w *Watch) hold(plan *Plan, now time.Time, p Params, s *Shard, reason string) {
	if at, said := w.held[s.Ordinal]; said && now.Sub(at) < p.HoldAgain {
		return
	}
	w.held[s.Ordinal] = now
	plan.Holds = append(plan.Holds, Hold{Shard: s.Ordinal, Reason: reason})
}

// merges joins pairs that have been cold for long enough, the narrowest first so that ranges stay even, as long as enough
// shards remain.
func (w *Watch) merges(now time.Time, p Params, b Bounds, shards []Shard) (all []catalog.ScaleDecision) {
	type pair struct {
		at   int
		both Shard
	}
	var ripe []pair
	for i := 1; i < len(shards); i++ {
		lower, upper := &shards[i-1], &shards[i]
		if since, ok := w.cold[[2]uint64{lower.Ordinal, upper.Ordinal}]; ok && now.Sub(since) >= p.ColdFor {
			ripe = append(ripe, pair{i - 1, Shard{Range: leat.HashKeyRange{Start: lower.Range.Start, End: upper.Range.End}}})
		}
	}
	slices.SortStableFunc(ripe, func(a, b pair) int { return a.both.width().Compare(b.both.width()) })
	taken := make([]bool, len(shards))
	for _, c := range ripe {
		if len(shards)-len(all) <= max(b.Least, b.Warm, 1) {
			break
		}
		if taken[c.at] || taken[c.at+1] {
			continue
		}
		taken[c.at], taken[c.at+1] = true, true
		lower, upper := &shards[c.at], &shards[c.at+1]
		since := now.Sub(w.cold[[2]uint64{lower.Ordinal, upper.Ordinal}])
		all = append(all, catalog.ScaleDecision{Step: catalog.Merge(lower.Ordinal, upper.Ordinal), Reason: reasonCold(lower, upper, since)})
	}
	return all
}

// byWidth returns the shards, the narrowest first.
func byWidth(shards []Shard) []*Shard {
	all := make([]*Shard, len(shards))
	for i := range shards {
		all[i] = &shards[i]
	}
	slices.SortStableFunc(all, func(a, b *Shard) int { return a.width().Compare(b.width()) })
	return all
}
