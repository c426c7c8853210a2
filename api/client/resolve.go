// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// resolve settles records whose fate is open after a batch, and returns those that were certainly not written.
func (l *lane) resolve(m *mark, unknown []*item, why error) (again []*item) {
	p := l.p
	if p.opts.Unknown == UnknownFail {
		for _, it := range unknown {
			l.fail(it, why)
		}
		return nil
	}
	since := p.opts.Clock.Now()
	pause(p.ctx, p.opts.Clock, p.opts.ResolveSettle)
	for tries := 0; ; tries++ {
		ctx, cancel := context.WithTimeout(p.ctx, p.opts.AttemptTimeout)
		found, err := p.finder.find(ctx, m, unknown)
		cancel()
		if err == nil {
			return l.settle(unknown, found)
		}
		if fatal(err) || p.ctx.Err() != nil || p.opts.Clock.Now().Sub(since) >= p.opts.RetryFor {
			for _, it := range unknown {
				l.fail(it, why)
			}
			return nil
		}
		l.failures = tries
		l.backOff(err)
	}
}

// settle acknowledges what was found; the fate of the rest is no longer open.
func (l *lane) settle(unknown []*item, found map[*item]Placed) (again []*item) {
	for _, it := range unknown {
		if placed, ok := found[it]; ok {
			placed.Found = true
			l.p.stats.found.Add(1)
			l.ack(it, placed)
			continue
		}
		it.doubt = false
		l.p.stats.retried.Add(1)
		again = append(again, it)
	}
	l.progress(len(unknown)) // the server answers
	return again
}

// finder knows where the shards were before a batch was sent, and looks from there on for records whose fate is open.
//
// It finds every record that was written by the time it looks: a call that the server still carries out then is not found,
// and put a second time (see UnknownResolve). It never takes an earlier record for it: a mark is below whatever its batch
// may write, and above whatever its lane has written before, since that was acknowledged (or found) before the mark.
type finder struct {
	client *Client
	stream string
	clock  leat.Clock

	mu     sync.Mutex
	shards map[string]*shard   // as last listed
	places map[string]position // above or at everything acknowledged, in shards that have a place
	stale  bool                // a shard answered that is not in shards
}

// position is where a shard is read from: after a record, or at an iterator that was issued at the shard's tail.
type position struct {
	after    string
	iterator string
	issued   time.Time
}

// mark is where each shard was that a batch may write to, and which shards there were.
type mark struct {
	from  map[string]position
	known map[string]bool
	taken map[string]bool // sequence numbers of the batch's own records that were acknowledged
}

// note says that a record of the batch was acknowledged, so that an equal one is not taken for it.
func (m *mark) note(sequence string) {
	if m != nil {
		m.taken[sequence] = true
	}
}

// iteratorAge is how long a tail iterator is used for new marks: well below the five minutes that it lives, since a
// crash and a restart may lie between the mark and the search.
const iteratorAge = 30 * time.Second

func newFinder(c *Client, stream string, clock leat.Clock) *finder {
	return &finder{client: c, stream: stream, clock: clock, places: map[string]position{}}
}

// acked notes the place of an acknowledged record. Sequence numbers of a shard sort as text.
func (f *finder) acked(shardID, sequence string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sequence > f.places[shardID].after {
		f.places[shardID] = position{after: sequence}
	}
	if f.shards[shardID] == nil {
		f.stale = true
	}
}

// mark notes where the shards are that the batch may write to.
func (f *finder) mark(ctx context.Context, batch []*item) (*mark, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shards == nil || f.stale {
		shards, err := f.client.listAll(ctx, f.stream)
		if err != nil {
			return nil, err
		}
		f.shards, f.stale = shards, false
	}
	m := &mark{from: map[string]position{}, known: map[string]bool{}, taken: map[string]bool{}}
	for id, s := range f.shards {
		m.known[id] = true
		if !s.closed && anyIn(s.hashes, batch) {
			place, err := f.place(ctx, id)
			if err != nil {
				return nil, err
			}
			m.from[id] = place
		}
	}
	for id, place := range f.places {
		if !m.known[id] { // made since the listing
			m.from[id] = place
		}
	}
	return m, nil
}

func anyIn(r leat.HashKeyRange, batch []*item) bool {
	for _, it := range batch {
		if r.Contains(it.hash()) {
			return true
		}
	}
	return false
}

// place returns where a shard is now or was a little ago. f.mu is held.
func (f *finder) place(ctx context.Context, id string) (position, error) {
	place, ok := f.places[id]
	now := f.clock.Now()
	if ok && (place.after != "" || now.Sub(place.issued) < iteratorAge) {
		return place, nil
	}
	iterator, err := f.client.iterator(ctx, f.stream, id, Latest())
	if err != nil {
		return position{}, err
	}
	place = position{iterator: iterator, issued: now}
	f.places[id] = place
	return place, nil
}

// find reads from the mark on and returns which of the records are there.
func (f *finder) find(ctx context.Context, m *mark, batch []*item) (map[*item]Placed, error) {
	shards, err := f.client.listAll(ctx, f.stream)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.shards, f.stale = shards, false
	f.mu.Unlock()
	q := &query{mark: m, wanted: map[[32]byte][]*item{}, found: map[*item]Placed{}}
	for _, it := range batch {
		sum := fingerprint(it.PartitionKey, it.Data)
		q.wanted[sum] = append(q.wanted[sum], it)
	}
	for _, s := range slices.SortedFunc(maps.Values(shards), narrowFirst) {
		from, marked := m.from[s.id]
		if !marked && m.known[s.id] || !anyIn(s.hashes, batch) {
			continue // closed before the batch was sent, or none of its records' business
		}
		if err := f.search(ctx, s, from, q); err != nil {
			return nil, err
		}
	}
	return q.found, nil
}

// narrowFirst sorts shards by how much they take. Of equal records a child of a merge takes those of all its parents, and
// a parent of a split those of all its children: it is left those that can be nowhere else.
func narrowFirst(a, b *shard) int { return width(a.hashes).Compare(width(b.hashes)) }

// width is the number of keys in a range, less one.
func width(r leat.HashKeyRange) leat.HashKey {
	low, borrow := bits.Sub64(r.End.Lo, r.Start.Lo, 0)
	high, _ := bits.Sub64(r.End.Hi, r.Start.Hi, borrow)
	return leat.HashKey{Hi: high, Lo: low}
}

// query is what a search looks for, and what it has found.
type query struct {
	mark   *mark
	wanted map[[32]byte][]*item // equal records in the order of Put
	found  map[*item]Placed
}

// look compares one record of a shard with those that the shard takes: an equal one may be meant for another shard, by an
// explicit hash key, which is not read back.
func (q *query) look(s *shard, r *ReadRecord) {
	if q.mark.taken[r.SequenceNumber] {
		return
	}
	sum := fingerprint(r.PartitionKey, r.Data)
	same := q.wanted[sum]
	at := slices.IndexFunc(same, func(it *item) bool { return s.hashes.Contains(it.hash()) })
	if at < 0 {
		return
	}
	q.found[same[at]] = Placed{ShardID: s.id, SequenceNumber: r.SequenceNumber}
	q.wanted[sum] = slices.Delete(same, at, at+1)
}

const (
	maxSearchPages = 10_000                 // bounds one search of one shard
	readPause      = 200 * time.Millisecond // five reads a second are what AWS allows
)

// search reads one shard from a position to its present end; the zero position is the shard's beginning.
func (f *finder) search(ctx context.Context, s *shard, from position, q *query) error {
	iterator := from.iterator
	if iterator == "" {
		start := TrimHorizon()
		if from.after != "" {
			start = AfterSequence(from.after)
		}
		var err error
		if iterator, err = f.client.iterator(ctx, f.stream, s.id, start); err != nil {
			return err
		}
	}
	for range maxSearchPages {
		p, err := f.client.getRecords(ctx, iterator, leat.MaxGetRecords)
		if leat.KindOf(err) == leat.KindThroughputExceeded {
			pause(ctx, f.clock, max(retryAfter(err), readPause))
			continue
		}
		if err != nil {
			return err
		}
		for _, r := range p.records {
			q.look(s, r)
		}
		if p.next == "" || p.behind == 0 {
			return nil
		}
		iterator = p.next
	}
	return &leat.Error{Kind: leat.KindUnavailable, Op: "Put", Message: "shard " + s.id + " grows faster than it can be searched"}
}

// fingerprint recognises a record.
func fingerprint(key string, data []byte) (sum [32]byte) {
	h := sha256.New()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(key)))
	h.Write(n[:])
	h.Write([]byte(key))
	h.Write(data)
	h.Sum(sum[:0])
	return sum
}

// hash is the record's place in the hash space. Put has checked the explicit key.
func (it *item) hash() leat.HashKey {
	if it.ExplicitHashKey != "" {
		k, _ := leat.ParseHashKey(it.ExplicitHashKey)
		return k
	}
	return leat.HashPartitionKey(it.PartitionKey)
}
