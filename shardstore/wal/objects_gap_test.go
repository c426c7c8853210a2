// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// A session that still writes fills the gap and goes on after recovery looked at it: no catalog is stale, and what was
// written below the fence counts.
func TestRecoverWhileTheSessionWritesOn(t *testing.T) {
	ctx := t.Context()
	bucket := mem.New(time.Now)
	writer := wal.NewObjects(bucket)
	s := leat.NewID[leat.SessionID](nil)
	write := func(n uint64) {
		t.Helper()
		h := segment.Header{Kind: segment.KindSegment, Session: s, N: n, Nonce: leat.NewID[leat.SessionID](nil)}
		object, _, err := segment.NewCoder().Encode(h, nil, nil, segment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Write(ctx, s, n, object); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	var once atomic.Bool
	store := fault.New(bucket, func(op fault.Op, _ string) fault.Fault {
		if op == fault.List && once.CompareAndSwap(false, true) {
			for n := uint64(1); n <= 1+wal.WindowSize; n++ {
				write(n)
			}
		}
		return fault.Fault{}
	})
	rec, err := wal.NewObjects(store).Recover(ctx, s, 0, wal.RecoverOptions{ClosedExists: func(context.Context) (bool, error) { return false, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if rec.Fence != 2+wal.WindowSize || len(rec.Segments) != int(rec.Fence) {
		t.Errorf("fence %d with %d segments, want %d", rec.Fence, len(rec.Segments), 2+wal.WindowSize)
	}
}
