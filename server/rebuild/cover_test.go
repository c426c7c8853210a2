// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rebuild

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

func pack(first, end uint64, level uint8) shardstore.Extent {
	return shardstore.Extent{First: first, Count: end - first, Level: level, Object: "pack/x"}
}

func left(s byte, first, end uint64) leftover {
	return leftover{leat.SessionID{s}, shardstore.Extent{First: first, Count: end - first, Epoch: uint64(s), Object: "wal/x"}}
}

func TestCover(t *testing.T) {
	type want struct {
		horizon, next, end uint64
		extents            int
		pending            []leat.SessionID
		unused             int
	}
	for name, c := range map[string]struct {
		f    found
		want want
	}{
		"nothing":                       {found{}, want{}},
		"all expired":                   {found{floor: 7}, want{horizon: 7, next: 7, end: 7}},
		"packs":                         {found{packs: []shardstore.Extent{pack(0, 5, 1), pack(5, 9, 1)}}, want{0, 9, 9, 2, nil, 0}},
		"a merge is chosen":             {found{packs: []shardstore.Extent{pack(0, 5, 1), pack(5, 9, 1), pack(0, 9, 2)}}, want{0, 9, 9, 1, nil, 0}},
		"a merge that leads nowhere":    {found{packs: []shardstore.Extent{pack(0, 5, 1), pack(5, 9, 1), pack(0, 8, 2)}}, want{0, 9, 9, 2, nil, 0}},
		"packs, then segments":          {found{packs: []shardstore.Extent{pack(0, 5, 1)}, left: []leftover{left(1, 5, 8), left(2, 8, 9)}}, want{0, 5, 9, 1, []leat.SessionID{{1}, {2}}, 0}},
		"segments that are packed":      {found{packs: []shardstore.Extent{pack(0, 5, 1)}, left: []leftover{left(1, 0, 3), left(1, 3, 5)}}, want{0, 5, 5, 1, nil, 0}},
		"a pack beyond what is adopted": {found{packs: []shardstore.Extent{pack(4, 9, 1)}, left: []leftover{left(1, 0, 4), left(2, 4, 9)}}, want{0, 0, 9, 0, []leat.SessionID{{1}, {2}}, 0}},
		"an extent stayed in a segment": {found{packs: []shardstore.Extent{pack(0, 5, 1), pack(8, 9, 1)}, stayed: []shardstore.Extent{pack(5, 8, 0)}}, want{0, 9, 9, 3, nil, 0}},
		"what a pack has too is not taken from segments": {
			found{packs: []shardstore.Extent{pack(0, 5, 1)}, stayed: []shardstore.Extent{pack(0, 3, 0), pack(3, 5, 0)}}, want{0, 5, 5, 1, nil, 0},
		},
		"the end is adopted, what stayed before it is not": {
			found{
				packs: []shardstore.Extent{pack(3, 5, 1)}, stayed: []shardstore.Extent{pack(0, 3, 0), pack(5, 8, 0)},
				left: []leftover{left(1, 0, 3), left(1, 5, 8)},
			}, want{0, 5, 8, 2, []leat.SessionID{{1}}, 0},
		},
		"what stayed is counted already": {
			found{stayed: []shardstore.Extent{pack(0, 3, 0), pack(3, 5, 0)}, left: []leftover{left(1, 0, 3), left(1, 3, 5)}, counted: 3}, want{0, 3, 5, 1, []leat.SessionID{{1}}, 0},
		},
		"what expired stays somewhere":   {found{packs: []shardstore.Extent{pack(0, 3, 1), pack(5, 9, 1)}}, want{5, 9, 9, 1, nil, 1}},
		"what expired, and nothing else": {found{packs: []shardstore.Extent{pack(0, 3, 1)}, floor: 9}, want{9, 9, 9, 0, nil, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.f.cover()
			if got.horizon != c.want.horizon || got.next != c.want.next || got.end != c.want.end || len(got.extents) != c.want.extents ||
				!slices.Equal(got.pending, c.want.pending) || len(got.unused) != c.want.unused {
				t.Errorf("got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// Whatever merges, retries and deaths leave in the bucket, the chosen extents join and reach from the horizon that the
// lost catalog had, or further back, to the end.
func TestCoverAtRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 3000 {
		f, horizon, registered, end := history(r)
		if r.IntN(2) == 0 {
			f.counted = registered // all of it: whoever adopts what is left counts that
			for i := range f.left {
				if f.left[i].End() > horizon {
					f.left[i].MaxTime = 1
				}
			}
			f.dropExpired(1)
		}
		c := f.cover()
		if f.counted > c.next && c.next < end {
			t.Fatalf("records from %d on would be adopted, and %d are counted already: %+v", c.next, f.counted, f)
		}
		at := c.horizon
		for _, e := range c.extents {
			if e.First != at {
				t.Fatalf("an extent begins at %d where %d was expected: %+v", e.First, at, f)
			}
			if e.Level == 0 {
				t.Fatalf("an extent at %d would not be merged with its neighbours", e.First)
			}
			at = e.End()
		}
		if at != c.next || c.end != end || c.horizon > horizon {
			t.Fatalf("from %d to %d and %d, want from %d or before to %d: %+v", c.horizon, c.next, c.end, horizon, end, f)
		}
		for _, s := range c.pending {
			for _, l := range f.left {
				if l.session == s && l.First == at {
					at = l.End()
				}
			}
		}
		if at != end {
			t.Fatalf("segments go on to %d of %d: %+v", at, end, f)
		}
	}
}

// history is a shard that was packed, merged, expired and left by sessions at random.
func history(r *rand.Rand) (f found, horizon, registered, end uint64) {
	var live []shardstore.Extent
	session := byte(1)
	for range r.IntN(20) {
		n := end + 1 + r.Uint64N(5)
		switch r.IntN(7) {
		case 0, 1: // a pack
			live = append(live, pack(end, n, 1))
			f.packs = append(f.packs, live[len(live)-1])
			if r.IntN(3) == 0 { // its segment is still there
				f.left = append(f.left, left(session, end, n))
			}
			if r.IntN(3) == 0 {
				f.stayed = append(f.stayed, pack(end, n, 0))
			}
			end = n
		case 6: // stays in its segment
			live = append(live, pack(end, n, 0))
			f.stayed = append(f.stayed, live[len(live)-1])
			if r.IntN(3) == 0 { // of a session that was not closed before the catalog was lost
				f.left = append(f.left, left(session, end, n))
			}
			end = n
		case 2: // a pack that was never registered, of some of the next records: written again
			f.packs = append(f.packs, pack(end, n, 1))
			n += r.Uint64N(3)
			live = append(live, pack(end, n, 1))
			f.packs = append(f.packs, live[len(live)-1])
			end = n
		case 3: // a merge; what it replaced may still be there
			if len(live) > 1 {
				k := r.IntN(len(live) - 1)
				m := pack(live[k].First, live[k+1].End(), 2)
				if r.IntN(2) == 0 {
					f.drop(live[k])
					f.drop(live[k+1])
				}
				live = slices.Replace(live, k, k+2, m)
				f.packs = append(f.packs, m)
			}
		case 4: // retention
			if len(live) > 0 {
				horizon = live[0].End()
				if r.IntN(2) == 0 {
					f.drop(live[0])
				}
				live = live[1:]
			}
		case 5:
			session++
		}
	}
	registered = end
	for range r.IntN(4) { // what is in logs alone
		n := end + 1 + r.Uint64N(5)
		f.left = append(f.left, left(session, end, n))
		f.stayed = append(f.stayed, pack(end, n, 0)) // it stands
		if r.IntN(3) == 0 {                          // written, and not registered
			f.packs = append(f.packs, pack(end, n, 1))
		}
		session++
		end = n
	}
	f.floor = end
	return f, horizon, registered, end
}

// drop deletes an object.
func (f *found) drop(e shardstore.Extent) {
	same := func(o shardstore.Extent) bool { return o.First == e.First && o.Count == e.Count && o.Level == e.Level }
	f.packs, f.stayed = slices.DeleteFunc(f.packs, same), slices.DeleteFunc(f.stayed, same)
}
