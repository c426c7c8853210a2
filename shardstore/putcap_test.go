// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/wal"
)

// The number of PUT requests follows the cap and never the number of shards (rule 4): with a trickle into each shard,
// 5,000 shards cost no more requests than one.
func TestPutRequestsDoNotGrowWithShards(t *testing.T) {
	for _, shards := range []int{1, 5000} {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			r := newRig(t).shards(shards)
			var puts atomic.Int64
			r.blobs = fault.New(r.blobs, func(op fault.Op, key string) fault.Fault {
				if op == fault.Create && strings.HasPrefix(key, "wal/") {
					puts.Add(1)
				}
				return fault.Fault{}
			})
			r.driver = wal.NewObjects(r.blobs)
			r.log = wal.ObjectParams()
			r.log.Lease = 0
			s := r.open()

			const callers, spell = 8, 1500 * time.Millisecond
			began := time.Now()
			puts.Store(0)
			done := make(chan int, callers)
			for c := range callers {
				go func() {
					n := 0
					for time.Since(began) < spell {
						one := []shardstore.Put{put(r.key((c+n*callers)%shards), "x")}
						if err := s.Append(context.Background(), one); err != nil || one[0].Err != nil {
							t.Errorf("put: %v, %v", err, one[0].Err)
							break
						}
						n++
					}
					done <- n
				}()
			}
			records := 0
			for range callers {
				records += <-done
			}
			took := time.Since(began)
			most := r.log.PutsPerSecond*took.Seconds() + float64(r.log.Burst) + 1
			t.Logf("%d shards: %d records in %v with %d PUTs, at most %.0f", shards, records, took.Round(time.Millisecond), puts.Load(), most)
			if float64(puts.Load()) > most {
				t.Errorf("%d PUTs in %v: the cap allows %.0f", puts.Load(), took, most)
			}
		})
	}
}
