// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However a caller asks, what is admitted over a time never exceeds the rate, one full bucket and one record of debt.
func TestBucketKeepsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rate = 1000.0
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		now, b := start, newBucket(rate, start)
		spent, largest := 0.0, 0.0
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
			n := float64(rapid.IntRange(1, 10_000).Draw(t, "n"))
			if wait := b.lacks(now, n); wait > 0 {
				if b.lacks(now.Add(wait+time.Microsecond), n) > 0 {
					t.Fatalf("after the wait of %v there was still not enough", wait)
				}
				now = now.Add(wait + time.Microsecond)
				continue
			}
			b.spend(n)
			spent, largest = spent+n, max(largest, n)
		}
		if most := rate*now.Sub(start).Seconds() + rate + largest; spent > most {
			t.Fatalf("%g were admitted in %v: %g at most", spent, now.Sub(start), most)
		}
	})
}

func TestBucketAdmitsWhatIsLargerThanItself(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := newBucket(100, now)
	if b.lacks(now, 1000) != 0 {
		t.Fatal("a full bucket refused a large record")
	}
	b.spend(1000)
	if wait := b.lacks(now, 1); wait < 9*time.Second || wait > 10*time.Second {
		t.Fatalf("the debt is paid after %v", wait)
	}
	if b.full(now.Add(9 * time.Second)) {
		t.Fatal("full while in debt")
	}
	if !b.full(now.Add(11 * time.Second)) {
		t.Fatal("not full when paid and filled")
	}
}
