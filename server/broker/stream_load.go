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

// StreamLoad promises: what the cluster's nodes have counted of a stream's shards, for people to look at: the same numbers as
// ShardRates, how they went over the last five minutes, and the keys that load the shards most. It asks the directory and the other
// nodes (peers.go) and never the catalog, so it may be asked for every few seconds. A shard whose owner does not answer at once is
// said to be missing.
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
	Hot    []HotKey      // the heaviest first; without Key and Hash for who may not read records
	Silent int           // open shards whose owner has not answered: their counts are missing
}

const (
	hotKeysTold   = 20
	hotKeysAShard = 5
	hotKeyLeast   = 0.02 // share of its shard's load below which a key is not hot
)

// StreamLoad tells what a stream takes and gives.
func (b *Broker) StreamLoad(ctx context.Context, who leat.Principal, stream string) (StreamLoad, error) {
	v, err := b.on(ctx, who, ActionDescribeStream, (*Broker).existing, stream)
	if err != nil {
		return StreamLoad{}, err
	}
	return b.loadFor(ctx, who, v, b.peers.of(ctx, v.ID)[v.ID]), nil
}

// StreamLoads tells it of several streams of the caller's account, by their names. Those that cannot be told of are left out.
func (b *Broker) StreamLoads(ctx context.Context, who leat.Principal, streams []string) map[string]StreamLoad {
	var views []*streamView
	var ids []leat.StreamID
	for _, name := range streams {
		if v, err := b.on(ctx, who, ActionDescribeStream, (*Broker).existing, name); err == nil {
			views, ids = append(views, v), append(ids, v.ID)
		}
	}
	heard := b.peers.of(ctx, ids...)
	out := make(map[string]StreamLoad, len(views))
	for _, v := range views {
		out[v.Name] = b.loadFor(ctx, who, v, heard[v.ID])
	}
	return out
}

// loadFor leaves out what partition keys are called where the caller may not read records: keys are part of them. It does not ask for a read, so
// that the audit log hears of none.
func (b *Broker) loadFor(ctx context.Context, who leat.Principal, v *streamView, heard heardOf) StreamLoad {
	l := b.load(v, heard)
	if b.decide(ctx, who, ActionGetRecords, Resource{Account: v.Account, Stream: v.Name, ID: v.ID}) == nil {
		return l
	}
	for i := range l.Hot {
		l.Hot[i].Key, l.Hot[i].Hash = "", leat.HashKey{}
	}
	return l
}

// load adds up what this node and others have counted.
func (b *Broker) load(v *streamView, heard heardOf) StreamLoad {
	l := StreamLoad{Shards: b.ShardRates(v.ID), Total: b.StreamTotals(v.ID), Step: b.flows.step, Steps: make([]Rate, longSteps)}
	newest := b.flows.now()
	l.Until = time.Unix(0, newest*int64(l.Step))
	for i := range l.Shards {
		s := &l.Shards[i]
		f := b.flows.find(s.Shard.Key)
		if f == nil {
			continue
		}
		f.steps(l.Steps, newest-longSteps, l.Step)
		if owner := b.ownerOf(s.Shard.Key); heard.reports[owner].Stream.IsZero() { // its owner has not said more of it
			l.Hot = append(l.Hot, f.hottest(s.Shard.Key, s.Last60s)...)
		} else {
			s.IteratorAge = 0
		}
	}
	for session := range heard.reports {
		l.plus(b, v, session, heard.reports[session], newest)
	}
	for i := range l.Shards {
		s := &l.Shards[i]
		l.Now = l.Now.plus(s.Last15s)
		l.Behind = max(l.Behind, s.IteratorAge)
		if s.Shard.Open() && heard.silent[b.ownerOf(s.Shard.Key)] {
			l.Silent++
		}
	}
	slices.SortFunc(l.Hot, func(a, b HotKey) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), a.Shard.Compare(b.Shard))
	})
	l.Hot = l.Hot[:min(len(l.Hot), hotKeysTold)]
	return l
}

// ownerOf is the session that is known to own a shard; zero where that is not asked or not known.
func (b *Broker) ownerOf(k leat.ShardKey) (session leat.SessionID) {
	if b.owner != nil {
		session, _, _ = b.owner(k)
	}
	return session
}

// plus adds what another node has counted. Rates and totals are sums: a shard that has moved was counted by both, each its own records. What a
// shard is like now, its owner knows.
func (l *StreamLoad) plus(b *Broker, v *streamView, session leat.SessionID, r report, newest int64) {
	l.Total = l.Total.plus(r.Total)
	for i := range r.Steps {
		if at := int64(i) + r.Newest - newest; at >= 0 && at < int64(len(l.Steps)) {
			l.Steps[at] = l.Steps[at].plus(r.Steps[i])
		}
	}
	for i := range r.Shards {
		said := &r.Shards[i]
		known := v.shard(said.Ordinal)
		if known == nil {
			continue
		}
		at, there := slices.BinarySearchFunc(l.Shards, said.Ordinal, func(s ShardRate, o uint64) int { return cmp.Compare(s.Shard.Key.Ordinal, o) })
		if !there {
			l.Shards = slices.Insert(l.Shards, at, ShardRate{Shard: *known, Balance: Balance{At: said.At, Below: said.Below}})
		}
		s := &l.Shards[at]
		s.Last15s, s.Last60s, s.Last5m, s.Total = s.Last15s.plus(said.Last15s), s.Last60s.plus(said.Last60s), s.Last5m.plus(said.Last5m), s.Total.plus(said.Total)
		if b.ownerOf(known.Key) != session {
			continue
		}
		s.Balance, s.IteratorAge = Balance{At: said.At, Below: said.Below}, said.Age
		for _, k := range said.Hot {
			l.Hot = append(l.Hot, HotKey{Shard: known.Key, Key: k.Key, Hash: k.Hash, Share: k.Share, Least: k.Least})
		}
	}
}

// hottest are the keys that load a shard most; none where nothing was put lately: its sketch has not been told that time went on.
func (f *flow) hottest(k leat.ShardKey, lately Rate) []HotKey {
	if lately.RecordsIn == 0 {
		return nil
	}
	return f.hot.top(k, hotKeysAShard, hotKeyLeast)
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
