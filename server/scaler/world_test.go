// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package scaler_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/scaler"
)

// world is a stream whose load a test gives, and a Watch that scales it. It carries out each plan at once and ends the
// test at one that no catalog would take.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	params scaler.Params
	bounds scaler.Bounds
	watch  scaler.Watch
	now    time.Time
	noise  float64 // of each key's load, as a share of it

	keys   []loadKey // sorted by hash
	loads  int       // how often they were changed
	shards []*simShard
	next   uint64

	splits, merges int
	acted          time.Time
	holds          []scaler.Hold
	bounded        map[leat.HashKey]string // boundaries: made, or gone again
	remade         []leat.HashKey          // boundaries that were made, merged away and made again
}

type loadKey struct {
	at    uint64  // of the hash, its upper half
	share float64 // of what one shard takes
}

type simShard struct {
	ordinal uint64
	hashes  leat.HashKeyRange
	history []float64 // shares, one a look

	known   int // the load that these are of, when there is no noise
	share   float64
	balance broker.Balance
}

func newWorld(t *testing.T, seed uint64, shards int) *world {
	t.Helper()
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), bounds: scaler.Bounds{Least: min(4, shards)},
		bounded: map[leat.HashKey]string{}, loads: 1,
	}
	w.params.Defaults()
	for _, r := range leat.SplitEvenly(shards) {
		w.open(r)
	}
	return w
}

func (w *world) open(r leat.HashKeyRange) {
	w.shards = append(w.shards, &simShard{ordinal: w.next, hashes: r})
	w.next++
	slices.SortFunc(w.shards, func(a, b *simShard) int { return a.hashes.Start.Compare(b.hashes.Start) })
}

// load gives the stream keys with shares that add up to a total; none has more than most.
func (w *world) load(keys int, total, most float64) {
	w.keys = nil
	var sum float64
	weights := make([]float64, keys)
	for i := range weights {
		weights[i] = math.Pow(w.rng.Float64(), 3) // some have much, many little
		sum += weights[i]
	}
	for _, weight := range weights {
		w.keys = append(w.keys, loadKey{w.rng.Uint64(), min(weight/sum*total, most)})
	}
	w.sortKeys()
}

// rest takes the load away.
func (w *world) rest() {
	w.keys = nil
	w.sortKeys()
}

// sortKeys MUST follow every change of the keys.
func (w *world) sortKeys() {
	w.loads++
	slices.SortFunc(w.keys, func(a, b loadKey) int {
		if a.at < b.at {
			return -1
		}
		return 1
	})
}

func (w *world) total() (sum float64) {
	for _, k := range w.keys {
		sum += k.share
	}
	return sum
}

// within returns the keys of a range.
func (w *world) within(r leat.HashKeyRange) []loadKey {
	from := sort.Search(len(w.keys), func(i int) bool { return (leat.HashKey{Hi: w.keys[i].at}).Compare(r.Start) >= 0 })
	to := sort.Search(len(w.keys), func(i int) bool { return (leat.HashKey{Hi: w.keys[i].at}).Compare(r.End) > 0 })
	return w.keys[from:to]
}

// hottest is the greatest share that a shard has now, without noise.
func (w *world) hottest() (most float64) {
	for _, s := range w.shards {
		var sum float64
		for _, k := range w.within(s.hashes) {
			sum += k.share
		}
		most = max(most, sum)
	}
	return most
}

// run lets time pass and returns how many decisions were made.
func (w *world) run(d time.Duration) int {
	w.t.Helper()
	before := w.splits + w.merges
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(w.params.Every)
		shards := w.look()
		w.watch.Look(w.now, w.params, shards)
		plan := w.watch.Decide(w.now, w.params, w.bounds, shards)
		w.holds = append(w.holds, plan.Holds...)
		if len(plan.Decisions) > 0 {
			w.carryOut(plan.Decisions)
			w.watch.Acted(w.now)
		}
	}
	return w.splits + w.merges - before
}

func (w *world) look() (all []scaler.Shard) {
	for _, s := range w.shards {
		if s.known != w.loads || w.noise > 0 {
			w.measure(s)
		}
		s.history = append(s.history, s.share)
		all = append(all, scaler.Shard{Ordinal: s.ordinal, Range: s.hashes, Short: flow(s.history, 3), Long: flow(s.history, 60), Balance: s.balance})
	}
	return all
}

func (w *world) measure(s *simShard) {
	s.known, s.share, s.balance = w.loads, 0, broker.Balance{At: s.hashes.Middle(), Below: 0.5}
	keys := w.within(s.hashes)
	for _, k := range keys {
		s.share += k.share * (1 + w.noise*(2*w.rng.Float64()-1))
	}
	if s.share > w.params.Hot/2 { // of others nobody asks
		s.balance = balance(s.hashes, keys)
	}
}

func flow(history []float64, n int) scaler.Flow {
	n = min(n, len(history))
	var sum float64
	for _, share := range history[len(history)-n:] {
		sum += share
	}
	return scaler.Flow{Bytes: sum / float64(n) * leat.ShardBytesIn / 2, Records: sum / float64(n) * leat.ShardRecordsIn}
}

// balance cuts a range into 64 cells, as coarsely as the broker sees it.
func balance(r leat.HashKeyRange, keys []loadKey) broker.Balance {
	var total, below float64
	for _, k := range keys {
		total += k.share
	}
	best, larger, width := broker.Balance{At: r.Middle(), Below: 0.5}, math.Inf(1), uint64(0)
	cell := (r.End.Hi - r.Start.Hi) / 64
	for i := uint64(1); i < 64 && cell > 0 && total > 0; i++ {
		at := r.Start.Hi + i*cell
		for ; len(keys) > 0 && keys[0].at < at; keys = keys[1:] {
			below += keys[0].share
		}
		part, wide := max(below, total-below), at-r.Start.Hi
		if below < total-below {
			wide = r.End.Hi - at
		}
		if part < larger || part == larger && wide < width {
			larger, width, best = part, wide, broker.Balance{At: leat.HashKey{Hi: at}, Below: below / total}
		}
	}
	return best
}

// carryOut does what the catalog does, with its rules.
func (w *world) carryOut(decisions []catalog.ScaleDecision) {
	w.t.Helper()
	w.acted = w.now
	taken := map[uint64]bool{}
	for _, d := range decisions {
		if d.Reason == "" {
			w.t.Fatalf("no reason for %+v", d.Step)
		}
		lower := w.take(taken, d.Step.Shard)
		switch d.Step.Kind {
		case catalog.StepSplit:
			at := d.Step.NewStart
			if at.Compare(lower.Start.Next()) <= 0 || at.Compare(lower.End) >= 0 {
				w.t.Fatalf("a split at %s, which is not inside %v", at, lower)
			}
			if w.bounded[at] == "gone" {
				w.remade = append(w.remade, at)
			}
			w.bounded[at] = "made"
			w.splits++
			w.open(leat.HashKeyRange{Start: lower.Start, End: at.Prev()})
			w.open(leat.HashKeyRange{Start: at, End: lower.End})
		case catalog.StepMerge:
			upper := w.take(taken, d.Step.Adjacent)
			if !lower.Adjacent(upper) {
				w.t.Fatalf("a merge of %v and %v, which are not neighbours", lower, upper)
			}
			w.bounded[upper.Start] = "gone"
			w.merges++
			w.open(leat.HashKeyRange{Start: lower.Start, End: upper.End})
		default:
			w.t.Fatalf("a decision that does nothing: %+v", d)
		}
	}
	if n := len(w.shards); n > w.params.MaxShards || w.merges > 0 && n < w.bounds.Least {
		w.t.Fatalf("%d shards: want %d to %d", n, w.bounds.Least, w.params.MaxShards)
	}
}

// take closes a shard that a step reshards.
func (w *world) take(taken map[uint64]bool, ordinal uint64) leat.HashKeyRange {
	w.t.Helper()
	at := slices.IndexFunc(w.shards, func(s *simShard) bool { return s.ordinal == ordinal })
	if at < 0 || taken[ordinal] {
		w.t.Fatalf("shard %d is not open, or two steps would take it", ordinal)
	}
	taken[ordinal] = true
	r := w.shards[at].hashes
	w.shards = slices.Delete(w.shards, at, at+1)
	return r
}

func (w *world) String() string {
	return fmt.Sprintf("%d shards after %d splits and %d merges, load %.2f, the hottest has %.2f", len(w.shards), w.splits, w.merges, w.total(), w.hottest())
}
