// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/leatstream/leat/shardstore"
)

// 5,000 shards that nobody uses cost little; also after each of them was written to, packed and read from objects.
func TestMemoryOfIdleShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards, most = 5000, 100 << 20
		r := newRig(t).shards(shards)
		before := heap()
		s := r.open()
		idle := heap() - before
		for round := range 20 {
			puts := make([]shardstore.Put, shards)
			for i := range puts {
				puts[i] = put(r.key(i), fmt.Sprint(round, "-", i))
			}
			if err := s.Append(t.Context(), puts); err != nil {
				t.Fatal(err)
			}
			if err := s.Pack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		used := heap() - before
		pause(r.params.UnloadAfter + 2*r.params.HousekeepEvery)
		// The catalog and the bucket of this test are in memory too.
		runtime.KeepAlive(s)
		t.Logf("%d shards: %d KiB at first, %d MiB after 20 packs with every shard, the test's own catalog and bucket included", shards, idle>>10, used>>20)
		if idle > most/10 || used > most {
			t.Errorf("%d shards cost %d MiB idle, %d MiB after use", shards, idle>>20, used>>20)
		}
	})
}
