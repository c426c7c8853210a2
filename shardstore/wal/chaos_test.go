// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

// TestWriterInChaos: a real Writer with many callers over a store that loses, delays, doubles and spoils, fenced in the
// middle by two recoverers at once. What was told durable lies below the fence (I4), everyone finds the same fence, and
// what arrives late changes nothing.
func TestWriterInChaos(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	runs := 60
	if testing.Short() {
		runs = 15
	}
	var told, fenced uint64
	for i := range uint64(runs) {
		k, isFenced := chaos(t, seed+i)
		told += k
		if isFenced {
			fenced++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d segments told, %d of %d writers fenced", told, fenced, runs)
	if told == 0 || fenced == 0 {
		t.Errorf("seed %d: %d segments told, %d writers fenced", seed, told, fenced)
	}
}

func chaos(t *testing.T, seed uint64) (told uint64, fenced bool) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	b := newBucket(t)
	b.fault.SetHook(fault.Seeded(seed, fault.Chaos(0.02)...))
	src := waltest.NewSource(t, b.g)
	p := wal.ObjectParams()
	p.SegmentTarget, p.Linger, p.InFlight, p.PutsPerSecond = 2000, time.Millisecond, 1+rng.IntN(8), 0
	p.RetryMin, p.RetryMax, p.HedgeAfter = 100*time.Microsecond, time.Millisecond, 2*time.Millisecond
	w := wal.NewWriter(wal.Options{Driver: b.driver, Session: b.g.Session, Source: src, Params: p})
	src.Notify, src.Target = w.Notify, p.SegmentTarget
	ran, ended := make(chan error, 1), make(chan struct{})
	go func() { ran <- w.Run(t.Context()); close(ended) }()

	var callers sync.WaitGroup
	enough := make(chan struct{}) // closed when the successor may come
	var once sync.Once
	after := 5 + rng.Uint64N(60)
	for range 1 + rng.IntN(12) {
		size := 1 + rng.IntN(1500)
		callers.Go(func() {
			for {
				select {
				case <-src.Append(size):
				case <-ended:
					return
				}
				if w.Flushed() >= after {
					once.Do(func() { close(enough) })
				}
				b.late() // what is late comes at some time
			}
		})
	}
	select {
	case <-enough:
	case <-ended:
	case <-time.After(patience):
		t.Errorf("seed %d: %d of %d segments are durable", seed, w.Flushed(), after)
	}
	fences := make(chan uint64, 2)
	for range 2 {
		callers.Go(func() { fences <- b.insist(seed) })
	}
	one, two := <-fences, <-fences
	err := <-ran
	callers.Wait()
	told = w.Flushed()
	if !errors.Is(err, wal.ErrFenced) {
		t.Errorf("seed %d: Run = %v", seed, err)
	}
	if one != two || told > one {
		t.Errorf("seed %d: %d segments were told durable, the fences stand at %d and %d", seed, told, one, two)
	}
	b.fault.SetHook(nil)
	b.fault.ReleaseAll(t.Context())
	rec, err := b.recover(0)
	if err != nil {
		t.Errorf("seed %d: Recover when all is quiet = %v", seed, err)
		return told, false
	}
	waltest.CheckRecovered(t, rec, b.g, 0, one)
	return told, true
}

// late delivers one write that the network held back, if there is any.
func (b *bucket) late() { _ = b.fault.Release(b.t.Context()) }

// insist recovers until the store lets it.
func (b *bucket) insist(seed uint64) uint64 {
	for range 100 {
		if rec, err := b.recover(0); err == nil {
			return rec.Fence
		}
	}
	b.t.Errorf("seed %d: no recovery came through", seed)
	return 0
}
