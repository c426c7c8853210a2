// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat"
)

func TestHotKeysFindsTheHeavyOnes(t *testing.T) {
	var sketch hotKeys
	rnd := rand.New(rand.NewPCG(7, 7))
	counted := map[string]int{}
	const records = 200_000
	for range records {
		key := fmt.Sprintf("rare-%d", rnd.IntN(100_000))
		switch p := rnd.Float64(); {
		case p < 0.30:
			key = "first"
		case p < 0.45:
			key = "second"
		case p < 0.53:
			key = "third"
		}
		counted[key]++
		sketch.add(key, leat.HashPartitionKey(key), 100)
	}
	top := sketch.top(leat.ShardKey{}, 5, 0.05)
	if len(top) != 3 {
		t.Fatalf("%d keys have at least 5 %% for certain: %+v", len(top), top)
	}
	for i, want := range []string{"first", "second", "third"} {
		share := float64(counted[want]) / records
		if top[i].Key != want || top[i].Hash != leat.HashPartitionKey(want) {
			t.Errorf("key %d is %q: want %q", i, top[i].Key, want)
		}
		const sampling = 0.02 // five times what a sample of 14,000 strays
		if top[i].Least > share+sampling || top[i].Share < share-sampling {
			t.Errorf("the share of %s is %g, which is not from %g to %g", want, share, top[i].Least, top[i].Share)
		}
		if top[i].Share-top[i].Least > 1.5/hotCells {
			t.Errorf("the share of %s is known to %g to %g only", want, top[i].Least, top[i].Share)
		}
	}
	sketch.halve(64)
	if left := sketch.top(leat.ShardKey{}, 5, 0); len(left) != 0 {
		t.Errorf("after a long time there are still %+v", left)
	}
}

func TestHotKeysForgetsByHalves(t *testing.T) {
	var sketch hotKeys
	add := func(key string, n int) {
		for range n {
			sketch.add(key, leat.HashPartitionKey(key), 10)
		}
	}
	add("old", 1000)
	sketch.halve(4)
	add("new", 1000)
	if top := sketch.top(leat.ShardKey{}, 1, 0); top[0].Key != "new" || top[0].Share < 0.9 {
		t.Errorf("the hottest key is %+v", top[0])
	}
}

// BenchmarkRouted measures what the sketch costs a record beside what routing it cost before: its hash key and its place in the load map. Chunks
// with and without the sketch take turns, and what counts is the processor time of the thread, so that other work on the machine does not.
func BenchmarkRouted(b *testing.B) {
	for _, keys := range []int{1, 16, 100_000} {
		names := make([]string, keys)
		for i := range names {
			names[i] = fmt.Sprintf("customer-%08d", i)
		}
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			f := newFlow(leat.FullRange, leat.SystemClock{}.Now(), 0)
			const chunk = 10_000
			var used [2]time.Duration
			b.ReportAllocs()
			for b.Loop() {
				for sketched := range used {
					began := threadTime(b)
					for i := range chunk {
						key := names[i%keys]
						h := leat.HashPartitionKey(key)
						f.load.add(h, 1024)
						if sketched == 1 {
							f.hot.add(key, h, 1024)
						}
					}
					used[sketched] += threadTime(b) - began
				}
			}
			record := func(d time.Duration) float64 { return float64(d) / float64(b.N*chunk) }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(record(used[0]), "ns-routing")
			b.ReportMetric(record(used[1]-used[0]), "ns-sketch")
		})
	}
}

func threadTime(b *testing.B) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
