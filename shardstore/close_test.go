// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/fault"
)

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
