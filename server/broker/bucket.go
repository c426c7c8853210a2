// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"sync"
	"time"

	"github.com/leatstream/leat"
)

// bucket is a token bucket that may go into debt: what is larger than the bucket is admitted when the bucket is full,
// and has to be paid for before anything else is. So a 10 MiB record passes a shard of 1 MiB/s, a 10 MiB answer is
// followed by throttling until paid for, and the rate still holds over time.
type bucket struct {
	rate  float64 // tokens a second; the bucket holds one second's worth
	level float64
	at    time.Time // of level
}

func newBucket(rate float64, now time.Time) bucket { return bucket{rate: rate, level: rate, at: now} }

func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.level = min(b.rate, b.level+b.rate*d.Seconds())
		b.at = now
	}
}

// lacks returns how long it takes until n tokens can be admitted; 0 when they can be now.
func (b *bucket) lacks(now time.Time, n float64) time.Duration {
	b.fill(now)
	if missing := min(n, b.rate) - b.level; missing > 0 {
		return time.Duration(missing / b.rate * float64(time.Second))
	}
	return 0
}

func (b *bucket) spend(n float64) { b.level -= n }

func (b *bucket) full(now time.Time) bool {
	b.fill(now)
	return b.level >= b.rate
}

// shardMeter holds the buckets of one shard.
type shardMeter struct {
	mu                sync.Mutex
	bytesIn, recordIn bucket
	bytesOut, reads   bucket
}

// meters are the buckets of the shards that were used lately. A shard without one has full buckets, so idle shards
// cost nothing.
type meters struct {
	clock leat.Clock
	mu    sync.Mutex
	byKey map[leat.ShardKey]*shardMeter
}

func newMeters(clock leat.Clock) *meters {
	return &meters{clock: clock, byKey: map[leat.ShardKey]*shardMeter{}}
}

func (m *meters) of(k leat.ShardKey, now time.Time) *shardMeter {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.byKey[k]
	if s == nil {
		s = &shardMeter{
			bytesIn: newBucket(leat.ShardBytesIn, now), recordIn: newBucket(leat.ShardRecordsIn, now),
			bytesOut: newBucket(leat.ShardBytesOut, now), reads: newBucket(leat.ShardReadsPerSec, now),
		}
		m.byKey[k] = s
	}
	return s
}

// put takes one record's share of a shard, or tells how long until there is enough.
func (m *meters) put(k leat.ShardKey, size int) (wait time.Duration) {
	now := m.clock.Now()
	s := m.of(k, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait = max(s.bytesIn.lacks(now, float64(size)), s.recordIn.lacks(now, 1)); wait > 0 {
		return wait
	}
	s.bytesIn.spend(float64(size))
	s.recordIn.spend(1)
	return 0
}

// read takes one call's share of a shard; what it returned is charged afterwards with readBytes.
func (m *meters) read(k leat.ShardKey) (wait time.Duration) {
	now := m.clock.Now()
	s := m.of(k, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait = max(s.bytesOut.lacks(now, 1), s.reads.lacks(now, 1)); wait > 0 {
		return wait
	}
	s.reads.spend(1)
	return 0
}

func (m *meters) readBytes(k leat.ShardKey, size int) {
	now := m.clock.Now()
	s := m.of(k, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytesOut.fill(now)
	s.bytesOut.spend(float64(size))
}

// forgetIdle drops meters whose buckets are all full: a new one would be equal. A call that holds such a meter at this
// very moment may spend from it and be forgotten; it gains that one call.
func (m *meters) forgetIdle() {
	now := m.clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, s := range m.byKey {
		s.mu.Lock()
		idle := s.bytesIn.full(now) && s.recordIn.full(now) && s.bytesOut.full(now) && s.reads.full(now)
		s.mu.Unlock()
		if idle {
			delete(m.byKey, k)
		}
	}
}
