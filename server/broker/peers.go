// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// A shard is counted where it is owned, and a subscription where it is served. What people are shown is of the whole cluster: the node that they
// look at asks the others. It is for people alone: nothing is decided by it, nobody waits long for it, and what a node does not say is said to be
// missing.

// Peers are the other nodes.
type Peers interface {
	// Reports returns what Report says on each of them. silent are those that have not answered when ctx ends.
	Reports(ctx context.Context, streams []leat.StreamID) (reports map[leat.SessionID][]byte, silent []leat.SessionID)
}

const (
	peersWithin = 400 * time.Millisecond
	peersKept   = time.Second // however many people look
)

// report is what a node has counted of one stream. Nodes of two versions read each other's: members may be added.
type report struct {
	Stream leat.StreamID `json:"stream"`
	Newest int64         `json:"newest"` // the step under way
	Steps  []Rate        `json:"steps"`  // the longSteps before it
	Total  Counts        `json:"total"`
	Shards []shardReport `json:"shards,omitempty"`
	Places []placeReport `json:"places,omitempty"`
}

type shardReport struct {
	Ordinal uint64        `json:"ordinal"`
	Last15s Rate          `json:"last_15s"`
	Last60s Rate          `json:"last_60s"`
	Last5m  Rate          `json:"last_5m"`
	Total   Counts        `json:"total"`
	Age     time.Duration `json:"age_nanos"`
	At      leat.HashKey  `json:"at"`
	Below   float64       `json:"below"`
	Hot     []hotReport   `json:"hot,omitempty"`
}

type hotReport struct {
	Key   string       `json:"key"`
	Hash  leat.HashKey `json:"hash"`
	Share float64      `json:"share"`
	Least float64      `json:"least"`
}

type placeReport struct {
	Consumer  string        `json:"consumer"`
	Ordinal   uint64        `json:"ordinal"`
	Next      uint64        `json:"next"`
	Behind    time.Duration `json:"behind_nanos"`
	Seen      int64         `json:"seen_micros"`
	Connected bool          `json:"connected"`
}

// Report tells another node what this one has counted of streams; those that it does not know are left out.
func (b *Broker) Report(streams []leat.StreamID) ([]byte, error) {
	var all []report
	for _, id := range streams {
		if v := b.directory.snap.Load().byID[id]; v != nil {
			all = append(all, b.report(v))
		}
	}
	return json.Marshal(all)
}

func (b *Broker) report(v *streamView) report {
	r := report{Stream: v.ID, Newest: b.flows.now(), Steps: make([]Rate, longSteps), Total: b.StreamTotals(v.ID)}
	for i := range v.shards {
		s := &v.shards[i]
		f := b.flows.find(s.Key)
		if f == nil {
			continue
		}
		f.steps(r.Steps, r.Newest-longSteps, b.flows.step)
		rate := b.shardRate(s, f)
		one := shardReport{
			Ordinal: s.Key.Ordinal, Last15s: rate.Last15s, Last60s: rate.Last60s, Last5m: rate.Last5m, Total: rate.Total, Age: rate.IteratorAge,
			At: rate.Balance.At, Below: rate.Balance.Below,
		}
		for _, k := range f.hottest(s.Key, rate.Last60s) {
			one.Hot = append(one.Hot, hotReport{Key: k.Key, Hash: k.Hash, Share: k.Share, Least: k.Least})
		}
		r.Shards = append(r.Shards, one)
	}
	for k, at := range b.places.of(v.ID) {
		r.Places = append(r.Places, placeReport{Consumer: k.consumer, Ordinal: k.shard.Ordinal, Next: at.next, Behind: at.behind, Seen: leat.Micros(at.seen), Connected: b.subs.has(k)})
	}
	return r
}

// heardOf is what the other nodes have said of a stream.
type heardOf struct {
	at      time.Time
	reports map[leat.SessionID]report
	silent  map[leat.SessionID]bool
}

// peers keeps what other nodes have said for a moment.
type peers struct {
	ask   Peers // nil: there are none
	clock leat.Clock

	mu    sync.Mutex
	heard map[leat.StreamID]heardOf
}

func newPeers(ask Peers, clock leat.Clock) *peers {
	return &peers{ask: ask, clock: clock, heard: map[leat.StreamID]heardOf{}}
}

// of returns what the other nodes say of streams now, or a moment ago. Those that are not in the cache are asked for at once.
func (p *peers) of(ctx context.Context, streams ...leat.StreamID) map[leat.StreamID]heardOf {
	if p.ask == nil {
		return nil
	}
	out := make(map[leat.StreamID]heardOf, len(streams))
	var stale []leat.StreamID
	now := p.clock.Now()
	p.mu.Lock()
	for _, id := range streams {
		if h, ok := p.heard[id]; ok && now.Sub(h.at) < peersKept {
			out[id] = h
		} else {
			stale = append(stale, id)
		}
	}
	p.mu.Unlock()
	if len(stale) == 0 {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, peersWithin)
	defer cancel()
	texts, silent := p.ask.Reports(ctx, stale)
	for _, id := range stale {
		out[id] = heardOf{at: now, reports: map[leat.SessionID]report{}, silent: map[leat.SessionID]bool{}}
	}
	for session, text := range texts {
		var all []report
		if json.Unmarshal(text, &all) != nil {
			silent = append(silent, session)
			continue
		}
		for _, r := range all {
			if h, asked := out[r.Stream]; asked {
				h.reports[session] = r
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range stale {
		for _, session := range silent {
			out[id].silent[session] = true
		}
		p.heard[id] = out[id]
	}
	return out
}

// forget drops what is too old to be used.
func (p *peers) forget() {
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, h := range p.heard {
		if now.Sub(h.at) >= peersKept {
			delete(p.heard, id)
		}
	}
}
