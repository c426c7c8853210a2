// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/fault"
)

// slowTelling is a clock that holds up whoever asks it while a segment's records are made visible.
type slowTelling struct {
	leat.Clock
	armed atomic.Bool
	began chan struct{}
	gate  chan struct{}
}

func (c *slowTelling) Now() time.Time {
	pcs := make([]uintptr, 8)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for more := c.armed.Load(); more; {
		var f runtime.Frame
		if f, more = frames.Next(); strings.HasSuffix(f.Function, "source.Durable") && c.armed.Swap(false) {
			close(c.began)
			<-c.gate
		}
	}
	return c.Clock.Now()
}

// Close comes while a segment is durable and its records are being made visible: neither pending, nor known to the packer.
// They are packed too, or Close says that something is left.
func TestCloseWaitsForWhatIsBeingTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		c := &slowTelling{Clock: r.clock, began: make(chan struct{}), gate: make(chan struct{})}
		r.clock = c
		s := r.open()
		c.armed.Store(true)
		puts := []shardstore.Put{put(r.key(0), "told late")}
		acked := make(chan error, 1)
		go func() { acked <- s.Append(context.Background(), puts) }()
		<-c.began
		closed := make(chan error, 1)
		go func() { closed <- s.Close(context.Background()) }()
		synctest.Wait()
		close(c.gate)
		if err := errors.Join(<-acked, puts[0].Err, <-closed); err != nil {
			t.Fatal(err)
		}
		left, err := shardstore.Recover(context.Background(), shardstore.Recovery{Driver: r.driver, Blobs: r.blobs}, s.Session(), r.index.fence(s.Session()))
		if err != nil || len(left.Shards) > 0 {
			t.Errorf("Close said that nothing is left, but the log holds %v (%v)", left.Shards, err)
		}
	})
}

// A put whose last record did not fit and was refused leaves an empty batch behind the full one. Close MUST wait for the
// full one: a clean end says that nothing is left to recover, and the log goes.
func TestCloseWaitsForTheFullBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		f := r.faulty()
		r.log.InFlight, r.log.HedgeAfter, r.log.AttemptTimeout = 1, 0, 0
		r.params.SegmentTarget = 1000
		var slow atomic.Bool
		first, second := make(chan struct{}), make(chan struct{})
		f.SetHook(func(op fault.Op, key string) fault.Fault {
			if op != fault.Create || !strings.HasPrefix(key, "wal/") || !slow.Load() {
				return fault.Fault{}
			}
			gate := first
			if strings.HasSuffix(key, "2") {
				gate = second
			}
			return fault.Fault{Wait: func(context.Context) error { <-gate; return nil }}
		})
		s := r.open()
		slow.Store(true)
		outcome := make(chan []shardstore.Put, 2)
		begin := func(puts ...shardstore.Put) {
			go func() {
				if err := s.Append(context.Background(), puts); err != nil {
					t.Error(err)
				}
				outcome <- puts
			}()
			synctest.Wait()
			pause(100 * time.Millisecond)
		}
		stranger := leat.ShardKey{Stream: r.stream, Ordinal: 9}
		begin(put(r.key(0), "one")) // in flight: the slot is taken
		begin(put(r.key(0), strings.Repeat("x", 900)), put(stranger, strings.Repeat("y", 200)))
		closed := make(chan error, 1)
		go func() { closed <- s.Close(context.Background()) }()
		synctest.Wait()
		close(first)
		pause(time.Second)
		close(second)
		if err := <-closed; err != nil {
			t.Fatalf("close: %v", err)
		}
		for range 2 {
			if puts := <-outcome; puts[0].Err != nil {
				t.Fatalf("put: %v", puts[0].Err)
			}
		}
		c, err := shardstore.Recover(context.Background(), shardstore.Recovery{Driver: r.driver, Blobs: r.blobs}, s.Session(), r.index.fence(s.Session()))
		if err != nil {
			t.Fatal(err)
		}
		for _, cs := range c.Shards {
			t.Errorf("Close said that nothing is left, but the log holds acked records of %v up to %d", cs.Shard, cs.Final)
		}
	})
}
