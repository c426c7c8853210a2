// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import "testing"

// What is missing of a plan is taken for expired only if it may be that: as many other records are not.
func TestSettleExpired(t *testing.T) {
	tally := func(offsets ...uint64) (t Tally) {
		for _, o := range offsets {
			t.add(1, o)
		}
		return t
	}
	for name, tc := range map[string]struct {
		there []uint64
		ok    bool
	}{
		"all that is left":                 {[]uint64{2, 3, 4, 5}, true},
		"what expired is there, too":       {[]uint64{0, 1, 2, 3, 4, 5}, true},
		"some of it is":                    {[]uint64{1, 2, 3, 4, 5}, true},
		"one is missing that is left":      {[]uint64{2, 3, 4}, false},
		"that, and one is there twice":     {[]uint64{2, 3, 4, 4}, false},
		"so it is beside all that expired": {[]uint64{0, 1, 2, 3, 4, 4}, false},
		"more is there than the plan has":  {[]uint64{0, 1, 2, 3, 4, 5, 5}, false},
	} {
		j := &job{p: &plan{id: name, parts: []Part{{Shard: 1, First: 0, End: 6}}}}
		m := Manifest{Objects: []Object{{Tally: tally(tc.there...)}}, Expired: tally(0, 1)}
		if err := j.settleExpired(&m); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
