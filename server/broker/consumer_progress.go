// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// ConsumerProgress promises: where the subscriptions of a stream's consumers stand, on whatever node they were made: how far
// each is behind in time and in records, and how long until retention takes what it has not read yet. Of a subscription that
// has ended it is what was known last, for as long as the stream, the shard and the process of its node are there. What a node
// knows that does not answer at once is left out.
//
// AWS has no such operation: it shows some of it in CloudWatch.

// ConsumerPlace is where a consumer stands in a shard.
type ConsumerPlace struct {
	Consumer  string
	Shard     leat.ShardKey
	Connected bool
	Seen      time.Time     // of the last event that it took
	Behind    time.Duration // of the last record that it took; 0 when caught up
	Lag       uint64        // records that it has not been given
	Known     bool          // Lag is: the shard could be asked
	Left      time.Duration // until the oldest record that it has not been given expires; the whole retention when caught up
}

// progress is where a subscription was at its last event.
type progress struct {
	next   uint64
	behind time.Duration
	seen   time.Time
}

// placesKept bounds what is kept of subscriptions on a node.
const placesKept = 10_000

// places remember how far subscriptions came.
type places struct {
	mu    sync.Mutex
	byKey map[subscriptionKey]progress
}

func newPlaces() *places { return &places{byKey: map[subscriptionKey]progress{}} }

func (p *places) note(k subscriptionKey, at progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.byKey[k]; !known && len(p.byKey) >= placesKept {
		p.makeRoom()
	}
	p.byKey[k] = at
}

// makeRoom forgets, of some, the one that was seen last the longest ago: one that goes on is noted again within seconds.
func (p *places) makeRoom() {
	const some = 16
	var oldest subscriptionKey
	looked := 0
	for k, at := range p.byKey {
		if looked == 0 || at.seen.Before(p.byKey[oldest].seen) {
			oldest = k
		}
		if looked++; looked == some {
			break
		}
	}
	delete(p.byKey, oldest)
}

func (p *places) of(stream leat.StreamID) map[subscriptionKey]progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[subscriptionKey]progress{}
	for k, at := range p.byKey {
		if k.shard.Stream == stream {
			out[k] = at
		}
	}
	return out
}

// forgetGone drops what is about shards that are gone.
func (p *places) forgetGone(d *Directory) {
	if !d.Loaded() {
		return
	}
	snap := d.snap.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range p.byKey {
		if v := snap.byID[k.shard.Stream]; v == nil || v.shard(k.shard.Ordinal) == nil {
			delete(p.byKey, k)
		}
	}
}

// connectedPlace is where a subscription was, and whether it goes on.
type connectedPlace struct {
	progress
	connected bool
}

// everywhere is where subscriptions of a stream are, on whatever node they are served: what was seen last holds.
func (b *Broker) everywhere(ctx context.Context, v *streamView) map[subscriptionKey]connectedPlace {
	all := map[subscriptionKey]connectedPlace{}
	for k, at := range b.places.of(v.ID) {
		all[k] = connectedPlace{at, b.subs.has(k)}
	}
	for _, r := range b.peers.of(ctx, v.ID)[v.ID].reports {
		for _, p := range r.Places {
			k := subscriptionKey{leat.ShardKey{Stream: v.ID, Ordinal: p.Ordinal}, p.Consumer}
			seen := time.UnixMicro(p.Seen)
			if known, there := all[k]; !there || p.Connected && !known.connected || p.Connected == known.connected && seen.After(known.seen) {
				all[k] = connectedPlace{progress{next: p.Next, behind: p.Behind, seen: seen}, p.Connected}
			}
		}
	}
	return all
}

// ConsumerProgress tells where the consumers of a stream stand, by name and shard.
func (b *Broker) ConsumerProgress(ctx context.Context, who leat.Principal, stream string) ([]ConsumerPlace, error) {
	v, err := b.on(ctx, who, ActionListConsumers, (*Broker).existing, stream)
	if err != nil {
		return nil, err
	}
	var all []ConsumerPlace
	now := b.clock.Now()
	for k, at := range b.everywhere(ctx, v) {
		place := ConsumerPlace{Consumer: k.consumer, Shard: k.shard, Seen: at.seen, Behind: at.behind, Connected: at.connected, Left: v.Retention}
		if bounds, err := b.engine.Bounds(ctx, k.shard); err == nil { // otherwise it is told without its lag
			place.Known = true
			place.Lag = bounds.Tail - min(at.next, bounds.Tail)
			if place.Lag == 0 {
				place.Behind = 0
			} else if !place.Connected {
				place.Behind += now.Sub(at.seen)
			}
		}
		place.Left = v.Retention - place.Behind
		all = append(all, place)
	}
	slices.SortFunc(all, func(a, b ConsumerPlace) int {
		return cmp.Or(cmp.Compare(a.Consumer, b.Consumer), a.Shard.Compare(b.Shard))
	})
	return all, nil
}
