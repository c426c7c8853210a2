// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/leatstream/leat"
)

// StreamLoad promises: what this node has counted of a stream's shards, for people to look at: the same numbers as
// ShardRates, how they went over the last five minutes, and the keys that load the shards most. It asks the directory
// alone and never the catalog, so it may be asked for every few seconds.
//
// A shard is counted where it is owned: where nodes share the shards each node tells of its own.
//
// AWS has no such operation: it shows some of it in CloudWatch.

// StreamLoad is what a stream takes and gives.
type StreamLoad struct {
	Shards []ShardRate // by ordinal: all that are open, and the closed ones that were used lately
	Now    Rate        // the sum of the means of about the last 15 seconds
	Steps  []Rate      // the sums of the steps that are over, the oldest first
	Step   time.Duration
	Until  time.Time // when the last of them ended
	Total  Counts
	Behind time.Duration // the most that a reader's last read of a shard was behind
	Hot    []HotKey      // the heaviest first
}

const (
	hotKeysTold   = 20
	hotKeysAShard = 5
	hotKeyLeast   = 0.02 // share of its shard's load below which a key is not hot
)

// StreamLoad tells what a stream takes and gives.
func (b *Broker) StreamLoad(ctx context.Context, who leat.Principal, stream string) (StreamLoad, error) {
	what, err := b.target(ctx, who, ActionDescribeStream, stream)
	if err != nil {
		return StreamLoad{}, err
	}
	v, err := b.directory.find(ctx, streamName{what.Account, what.Stream})
	if err != nil {
		return StreamLoad{}, err
	}
	l := StreamLoad{Shards: b.ShardRates(v.ID), Total: b.StreamTotals(v.ID), Step: b.flows.step}
	newest := b.flows.now()
	l.Until = time.Unix(0, newest*int64(l.Step))
	l.Steps = make([]Rate, longSteps)
	for i := range l.Shards {
		s := &l.Shards[i]
		l.Now = l.Now.plus(s.Last15s)
		l.Behind = max(l.Behind, s.IteratorAge)
		if f := b.flows.find(s.Shard.Key); f != nil {
			f.steps(l.Steps, newest-longSteps, l.Step)
			if s.Last60s.RecordsIn == 0 {
				continue // its sketch has not been told that time went on
			}
			l.Hot = append(l.Hot, f.hot.top(s.Shard.Key, hotKeysAShard, hotKeyLeast)...)
		}
	}
	slices.SortFunc(l.Hot, func(a, b HotKey) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), a.Shard.Compare(b.Shard))
	})
	l.Hot = l.Hot[:min(len(l.Hot), hotKeysTold)]
	return l, nil
}

func (r Rate) plus(o Rate) Rate {
	return Rate{
		BytesIn: r.BytesIn + o.BytesIn, RecordsIn: r.RecordsIn + o.RecordsIn, BytesOut: r.BytesOut + o.BytesOut, RecordsOut: r.RecordsOut + o.RecordsOut,
		ThrottledWrites: r.ThrottledWrites + o.ThrottledWrites, ThrottledReads: r.ThrottledReads + o.ThrottledReads,
	}
}

// steps adds the rates of single steps, of which to[0] is the first.
func (f *flow) steps(to []Rate, first int64, step time.Duration) {
	for i := range f.slots {
		s := &f.slots[i]
		at := s.step.Load() - first
		if at < 0 || at >= int64(len(to)) {
			continue
		}
		per := func(c counter) float64 { return float64(s.n[c].Load()) / step.Seconds() }
		to[at] = to[at].plus(Rate{
			BytesIn: per(bytesIn), RecordsIn: per(recordsIn), BytesOut: per(bytesOut), RecordsOut: per(recordsOut),
			ThrottledWrites: per(throttledWrites), ThrottledReads: per(throttledReads),
		})
	}
}
