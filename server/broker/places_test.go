// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"testing"
	"time"

	"github.com/leatstream/leat"
)

// However many places are known, a new one is kept, and what was seen long ago goes for it.
func TestPlacesMakeRoom(t *testing.T) {
	p := newPlaces()
	note := func(consumer string, i int, seen int64) {
		p.note(subscriptionKey{leat.ShardKey{Ordinal: uint64(i)}, consumer}, progress{seen: time.Unix(seen, 0)})
	}
	for i := range placesKept {
		note("old", i, int64(i%2)) // one in two
	}
	const more = 100
	for i := range more {
		note("new", i, 2)
	}
	left := map[string]int{}
	for k, at := range p.byKey {
		if k.consumer == "old" && at.seen.Unix() == 1 {
			left["later"]++
		}
		left[k.consumer]++
	}
	if left["new"] != more || len(p.byKey) != placesKept || left["later"] < placesKept/2-more/2 {
		t.Errorf("%d places: %v", len(p.byKey), left)
	}
}
