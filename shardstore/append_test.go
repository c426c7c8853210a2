// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// Puts that are all refused are answered at once: nobody writes an empty batch.
func TestPutsThatAreAllRefused(t *testing.T) {
	r := newRig(t).shards(1)
	s := r.open()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	puts := []shardstore.Put{put(r.key(7), "x"), put(r.key(8), "y")}
	if err := s.Append(ctx, puts); err != nil {
		t.Fatal(err)
	}
	for i, p := range puts {
		if !errors.Is(p.Err, shardstore.ErrNotOwned) || errors.Is(p.Err, shardstore.ErrUnknownOutcome) {
			t.Errorf("put %d: %v", i, p.Err)
		}
	}
	if err := s.Append(ctx, nil); err != nil || ctx.Err() != nil {
		t.Errorf("refusals had to wait: %v, %v", err, ctx.Err())
	}
}

// One call may fill several segments; each put has the fate of its own.
func TestPutsOverSeveralSegments(t *testing.T) {
	r := newRig(t).shards(2)
	r.params.SegmentTarget = 1000
	s := r.open()
	var puts []shardstore.Put
	var want []string
	for i := range 50 {
		d := strings.Repeat(string(rune('a'+i%26)), 100+7*i)
		want = append(want, d)
		puts = append(puts, put(r.key(0), d), put(r.key(9), "refused"))
	}
	if err := s.Append(t.Context(), puts); err != nil {
		t.Fatal(err)
	}
	for i, p := range puts {
		if refused := errors.Is(p.Err, shardstore.ErrNotOwned); refused != (i%2 == 1) || !refused && p.Err != nil {
			t.Fatalf("put %d: %v", i, p.Err)
		}
	}
	if n := s.Stats().Segments; n < 10 {
		t.Fatalf("%d segments", n)
	}
	r.wantAll(0, want)
}

// A record that is too large for any segment is refused alone.
func TestPutBeyondTheLimit(t *testing.T) {
	r := newRig(t).shards(1)
	s := r.open()
	puts := []shardstore.Put{put(r.key(0), strings.Repeat("x", leat.MaxRecordBytes)), put(r.key(0), "small")}
	if err := s.Append(t.Context(), puts); err != nil {
		t.Fatal(err)
	}
	if leat.KindOf(puts[0].Err) != leat.KindInvalidArgument || puts[1].Err != nil {
		t.Fatalf("got %v and %v", puts[0].Err, puts[1].Err)
	}
}

// Shards that were busy once and idle since do not keep what they wrote last.
func TestIdleShardsKeepNoBatch(t *testing.T) {
	const shards, size = 64, 1 << 20
	r := newRig(t).shards(shards)
	r.params.TailBytes, r.params.CacheBytes = 1, 1
	s := r.open()
	data := strings.Repeat("x", size)
	before := heap()
	for i := range shards {
		r.put(i, data)
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if grown := heap() - before; grown > shards*size/4 {
		t.Fatalf("%d idle shards hold %d MiB", shards, grown>>20)
	}
	runtime.KeepAlive(s)
}

// heap returns the bytes that are in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
