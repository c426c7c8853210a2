// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rebuild

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/shardstore"
)

// Each registered record is counted once: by the backup, by a manifest in the bucket, or now.
func TestUncounted(t *testing.T) {
	type manifest struct{ from, to uint64 }
	merged := pack(0, 30, 2)
	for name, c := range map[string]struct {
		counted   uint64 // by the backup
		manifests []manifest
		f         found
		want      string // extents that are counted now
		usage     int64  // records that manifests counted
		problem   string
	}{
		"all is in the backup":           {10, nil, found{packs: []shardstore.Extent{pack(0, 10, 1)}}, "", 0, ""},
		"a shard that is new":            {0, nil, found{packs: []shardstore.Extent{pack(0, 4, 1), pack(4, 10, 1)}}, "0-4 4-10", 0, ""},
		"the manifests are there":        {4, []manifest{{4, 7}, {7, 10}}, found{packs: []shardstore.Extent{pack(0, 4, 1), pack(4, 7, 1), pack(7, 10, 1)}}, "", 6, ""},
		"older manifests too":            {4, []manifest{{0, 2}, {2, 4}, {4, 10}}, found{packs: []shardstore.Extent{pack(0, 10, 2)}}, "", 6, ""},
		"the last one is lost":           {4, []manifest{{4, 7}}, found{packs: []shardstore.Extent{pack(0, 4, 1), pack(4, 7, 1), pack(7, 10, 1)}}, "7-10", 3, ""},
		"one in the middle is lost":      {0, []manifest{{6, 8}, {0, 3}}, found{packs: []shardstore.Extent{pack(0, 3, 1), pack(3, 6, 1), pack(6, 8, 1)}}, "3-6", 5, ""},
		"what was merged since":          {10, []manifest{{10, 20}}, found{packs: []shardstore.Extent{merged, pack(20, 25, 1), pack(25, 30, 1)}}, "20-25 25-30", 10, ""},
		"merged, and the packs are gone": {10, []manifest{{10, 20}}, found{packs: []shardstore.Extent{merged}}, "", 10, "are on none"},
		"a pack that was never registered before one that was": {
			5, nil, found{packs: []shardstore.Extent{pack(0, 5, 1), pack(5, 9, 1), pack(5, 7, 1), pack(9, 12, 1)}}, "5-9 9-12", 0, "",
		},
		"it stayed in segments":            {0, nil, found{stayed: []shardstore.Extent{pack(0, 5, 0), pack(5, 9, 0)}}, "0-5 5-9", 0, ""},
		"what is left is adopted":          {0, nil, found{packs: []shardstore.Extent{pack(0, 5, 1)}, left: []leftover{left(1, 5, 9)}}, "0-5", 0, ""},
		"expired":                          {3, nil, found{packs: []shardstore.Extent{pack(8, 10, 1)}}, "8-10", 0, ""},
		"gone before the backup":           {math.MaxUint64, []manifest{{0, 10}}, found{packs: []shardstore.Extent{pack(0, 10, 1)}}, "", 0, ""},
		"two manifests of one record":      {0, []manifest{{0, 5}, {4, 10}}, found{packs: []shardstore.Extent{pack(0, 10, 1)}}, "", 11, "two manifests"},
		"a manifest over the backup's end": {3, []manifest{{0, 10}}, found{packs: []shardstore.Extent{pack(0, 10, 1)}}, "", 10, "billed twice"},
		"counted and in logs alone":        {9, nil, found{packs: []shardstore.Extent{pack(0, 5, 1)}, left: []leftover{left(1, 5, 9)}}, "", 0, "in no pack any more"},
	} {
		t.Run(name, func(t *testing.T) {
			k := leat.ShardKey{Stream: leat.StreamID{1}, Ordinal: 2}
			r := &run{o: Options{History: &History{Counted: map[leat.ShardKey]uint64{k: c.counted}}}}
			r.metered.begin()
			for _, m := range c.manifests {
				r.meter(&catalog.ManifestStream{Stream: k.Stream, Account: "a"}, &catalog.ManifestExtent{
					Shard: k.Ordinal, First: m.from, Records: int64(m.to - m.from), MaxTime: time.Date(2026, 11, 29, 10, 59, 59, 0, time.UTC).UnixMicro(),
				})
			}
			r.join()
			c.f.counted = r.counted(k)
			cover := c.f.cover()
			var got []string
			for _, e := range r.uncounted(k, &c.f, &cover) {
				got = append(got, fmt.Sprintf("%d-%d", e.First, e.End()))
			}
			usage := int64(0)
			for _, u := range r.metered.usage() {
				usage += u.Records
				if u.Account != "a" || !u.Hour.Equal(time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)) {
					t.Errorf("usage is %+v", u)
				}
			}
			said := ""
			for _, p := range r.report.Problems {
				said += p.Text
			}
			if strings.Join(got, " ") != c.want || usage != c.usage || (c.problem == "") != (said == "") || !strings.Contains(said, c.problem) {
				t.Errorf("counted now %q, by manifests %d, problems %q; want %q, %d, %q", got, usage, said, c.want, c.usage, c.problem)
			}
		})
	}
}

// Tiles are exactly what is asked for, or nothing.
func TestTile(t *testing.T) {
	f := found{packs: []shardstore.Extent{pack(0, 4, 1), pack(4, 6, 1), pack(0, 6, 2), pack(6, 9, 1), pack(3, 9, 1)}}
	for _, c := range []struct {
		from, to uint64
		want     []uint64
	}{{0, 9, []uint64{0, 6}}, {4, 9, []uint64{4, 6}}, {3, 9, []uint64{3}}, {0, 4, []uint64{0}}, {1, 9, nil}, {0, 8, nil}} {
		var got []uint64
		for _, e := range f.tile(c.from, c.to) {
			got = append(got, e.First)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d to %d: extents from %v, want %v", c.from, c.to, got, c.want)
		}
	}
}
