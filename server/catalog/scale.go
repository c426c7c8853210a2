// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"slices"

	"github.com/leatstream/leat"
)

// StepKind is what a step does to shards.
type StepKind uint8

// The kinds of step.
const (
	StepDone  StepKind = iota // nothing: there is nothing left to do
	StepSplit                 // one shard into two
	StepMerge                 // two adjacent shards into one
)

// Step is one split or merge.
type Step struct {
	Kind     StepKind
	Shard    uint64       // the shard to split, or the lower one to merge
	NewStart leat.HashKey // of a split: where the upper child begins
	Adjacent uint64       // of a merge: the shard above
}

// Split is the step that cuts a shard so that its upper part begins at newStart.
func Split(shard uint64, newStart leat.HashKey) Step {
	return Step{Kind: StepSplit, Shard: shard, NewStart: newStart}
}

// Merge is the step that joins a shard with the one above it.
func Merge(shard, adjacent uint64) Step {
	return Step{Kind: StepMerge, Shard: shard, Adjacent: adjacent}
}

// ranges returns the children's ranges, or why the step is impossible. The texts are those of AWS.
func (st Step) ranges(s *leat.Stream, parents []leat.Shard) ([]leat.HashKeyRange, error) {
	r := parents[0].Range
	if st.Kind == StepSplit {
		if !canSplit(r, st.NewStart) {
			return nil, leat.Invalid("new_starting_hash_key",
				"NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
				st.NewStart, leat.ShardID(st.Shard), s.Name, s.Account, r.Start, r.End)
		}
		return []leat.HashKeyRange{{Start: r.Start, End: st.NewStart.Prev()}, {Start: st.NewStart, End: r.End}}, nil
	}
	if above := parents[1].Range; r.Adjacent(above) {
		return []leat.HashKeyRange{{Start: r.Start, End: above.End}}, nil
	}
	return nil, leat.Invalid("adjacent_shard_to_merge",
		"Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging",
		leat.ShardID(st.Shard), leat.ShardID(st.Adjacent), s.Name, s.Account)
}

// canSplit is the rule of Kinesis: the new start lies above the shard's second key and below its last.
func canSplit(r leat.HashKeyRange, newStart leat.HashKey) bool {
	return r.Start != leat.MaxHashKey && newStart.Compare(r.Start.Next()) > 0 && newStart.Compare(r.End) < 0
}

// NextStep returns the next split or merge on the way from a stream's open shards to target shards of even ranges
// (leat.SplitEvenly). Closed shards are ignored; the open ones MUST tile the hash space.
//
// Each step removes a boundary that the target does not have or adds one that it has, so there are at most as many as
// these. On the way there is never more than one shard above the larger of the two counts, nor, unless boundaries lie
// within two keys of wanted ones, one below the smaller.
func NextStep(shards []leat.Shard, target int) Step {
	var open []leat.Shard
	for _, s := range shards {
		if s.Open() {
			open = append(open, s)
		}
	}
	slices.SortFunc(open, func(a, b leat.Shard) int { return a.Range.Start.Compare(b.Range.Start) })
	wanted := make(map[leat.HashKey]bool, target)
	var starts []leat.HashKey
	for _, r := range leat.SplitEvenly(target) {
		wanted[r.Start] = true
		starts = append(starts, r.Start)
	}
	if len(open) <= target {
		if step, ok := splitMissing(open, starts, wanted); ok {
			return step
		}
	}
	for i := 1; i < len(open); i++ {
		if !wanted[open[i].Range.Start] {
			return Merge(open[i-1].Key.Ordinal, open[i].Key.Ordinal)
		}
	}
	return Step{}
}

// splitMissing adds the lowest boundary that is missing. Where it lies too near to another one for a split, which the
// target then does not have, that one is merged away first.
func splitMissing(open []leat.Shard, starts []leat.HashKey, wanted map[leat.HashKey]bool) (Step, bool) {
	i := 0
	for _, start := range starts {
		for i+1 < len(open) && open[i+1].Range.Start.Compare(start) <= 0 {
			i++
		}
		r := open[i].Range
		switch {
		case r.Start == start:
		case canSplit(r, start):
			return Split(open[i].Key.Ordinal, start), true
		case i > 0 && !wanted[r.Start]:
			return Merge(open[i-1].Key.Ordinal, open[i].Key.Ordinal), true
		case i+1 < len(open):
			return Merge(open[i].Key.Ordinal, open[i+1].Key.Ordinal), true
		}
	}
	return Step{}, false
}
