// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/leatstream/leat"
)

// month is a node's catalog over weeks: rows and objects alone, no bytes. A pack comes every minute, retention and
// merges are decided by the functions that the engine uses.
type month struct {
	p       Params
	rng     *rand.Rand
	now     time.Time
	shards  []*monthShard
	ids     map[*shard]*monthShard
	names   map[string]int                 // rows in each object
	company map[string]map[*monthShard]int // and whose
	objects int                            // ever made
	level   uint8                          // that was merged last

	bytesIn, written int64
}

type monthShard struct {
	sh      shard
	keep    time.Duration
	kind    string
	bytes   func(m *month) int64 // of the minute that ends
	rows    []Extent
	next    uint64
	checked int
	maxRows int
}

func newMonth(seed uint64) *month {
	return &month{
		p: DefaultParams(), rng: rand.New(rand.NewPCG(seed, 11)), now: time.Unix(1_700_000_000, 0),
		ids: map[*shard]*monthShard{}, names: map[string]int{}, company: map[string]map[*monthShard]int{},
	}
}

func (m *month) add(kind string, n int, keep time.Duration, bytes func(m *month) int64) {
	for range n {
		s := &monthShard{kind: kind, keep: keep, bytes: bytes}
		s.sh.key = leat.ShardKey{Ordinal: uint64(len(m.shards))}
		m.shards = append(m.shards, s)
		m.ids[&s.sh] = s
	}
}

// object names a new object.
func (m *month) object() string {
	m.objects++
	return "o" + strconv.Itoa(m.objects)
}

func (m *month) refer(s *monthShard, object string) {
	m.names[object]++
	if m.company[object] == nil {
		m.company[object] = map[*monthShard]int{}
	}
	m.company[object][s]++
}

func (m *month) forget(s *monthShard, object string) {
	if m.company[object][s]--; m.company[object][s] == 0 {
		delete(m.company[object], s)
	}
	if m.names[object]--; m.names[object] == 0 {
		delete(m.names, object)
		delete(m.company, object)
	}
}

// minute makes one pack of what came.
func (m *month) minute() {
	m.now = m.now.Add(time.Minute)
	object := m.object()
	at := leat.Micros(m.now)
	for _, s := range m.shards {
		n := s.bytes(m)
		if n == 0 {
			continue
		}
		m.bytesIn += n
		m.written += n
		s.rows = append(s.rows, Extent{
			Shard: s.sh.key, First: s.next, Count: 1, MinTime: at - 60_000_000, MaxTime: at, Raw: n, Level: 1, Object: object,
		})
		s.next++
		m.refer(s, object)
		s.maxRows = max(s.maxRows, len(s.rows))
	}
}

// retain drops what has expired.
func (m *month) retain() {
	for _, s := range m.shards {
		k, before := 0, leat.Micros(m.now.Add(-s.keep))
		for k < len(s.rows) && s.rows[k].MaxTime < before {
			m.forget(s, s.rows[k].Object)
			k++
		}
		if k > 0 {
			s.rows = slices.Delete(s.rows, 0, k)
			s.checked = min(s.checked, len(s.rows))
		}
	}
}

// merge does one round as Store.merge does; false when nothing was due.
func (m *month) merge() bool {
	var due []shardMerge
	for _, s := range m.shards {
		if len(s.rows)-s.checked < m.p.MergeFanIn {
			continue
		}
		if d := dueMerge(&s.sh, slices.Clone(s.rows), m.p, s.keep/8); len(d.groups) > 0 {
			due = append(due, d)
		} else {
			s.checked = len(s.rows)
		}
	}
	if len(due) == 0 {
		return false
	}
	level := nextLevel(due, m.level)
	m.level = level
	due = onLevel(due, level)
	shared := sourcesOf(due)
	in := map[*monthShard]bool{}
	for _, d := range due {
		in[m.ids[d.sh]] = true
	}
	for object := range shared {
		for s := range m.company[object] {
			if in[s] {
				continue
			}
			in[s] = true
			if c := companyMerge(&s.sh, slices.Clone(s.rows), shared, level, m.p, s.keep/8); len(c.groups) > 0 {
				due = append(due, c)
			}
		}
	}
	for _, out := range planOutputs(due, m.p) {
		m.replace(out, min(level+1, maxLevel))
	}
	return true
}

// replace puts one merged object in the place of what it was made of.
func (m *month) replace(out mergeOutput, level uint8) {
	object := m.object()
	for _, w := range out.work {
		s := m.ids[w.sh]
		from, _ := slices.BinarySearchFunc(s.rows, w.group[0].First, func(e Extent, first uint64) int { return int(e.First) - int(first) })
		last := w.group[len(w.group)-1]
		merged := w.group[0]
		merged.Count, merged.MaxTime, merged.Level, merged.Raw = last.End()-merged.First, last.MaxTime, level, rawOf(w.group)
		merged.Object = object
		m.written += merged.Raw
		for _, e := range w.group {
			m.forget(s, e.Object)
		}
		m.refer(s, object)
		s.rows = slices.Replace(s.rows, from, from+len(w.group), merged)
		s.checked = 0
	}
}

// 30 days of 5,000 shards: however long they live and whatever they do, a cold shard has some tens of rows, and the
// number of objects stays what it is after the first days.
func TestThirtyDaysOfFiveThousandShards(t *testing.T) {
	days, part := 30, 1
	if testing.Short() {
		days, part = 8, 10
	}
	seed := rand.Uint64()
	m := newMonth(seed)
	often := func(perDay float64, bytes int64) func(*month) int64 {
		return func(m *month) int64 {
			if m.rng.Float64()*24*60 < perDay {
				return 1 + m.rng.Int64N(2*bytes)
			}
			return 0
		}
	}
	for _, keep := range []time.Duration{24 * time.Hour, 7 * 24 * time.Hour} {
		m.add("idle", 1507/part, keep, often(1, 1000))
		m.add("trickling", 400/part, keep, often(100, 1000))
		m.add("steady", 100/part, keep, often(24*60, 2000))
		m.add("hot", max(1, 3/part), keep, often(24*60, 8<<20))        // its extents become objects of their own
		m.add("bursty", 490/part, keep, func(m *month) (bytes int64) { // ten minutes, four times a day
			if m.now.Unix()/60%360 < 10 {
				bytes = 1 + m.rng.Int64N(200_000)
			}
			return bytes
		})
	}
	var after []int
	for minute := range days * 24 * 60 {
		m.minute()
		if minute%5 == 0 {
			for m.merge() {
			}
		}
		if minute%60 == 0 {
			m.retain()
		}
		if minute%(24*60) == 0 {
			after = append(after, len(m.names))
		}
	}
	rows, most := 0, map[string]int{}
	for _, s := range m.shards {
		rows += len(s.rows)
		k := s.kind + " " + s.keep.String()
		most[k] = max(most[k], s.maxRows)
		if s.kind != "hot" && s.maxRows > 80 {
			t.Fatalf("seed %d: a %s shard that keeps %v had %d rows", seed, s.kind, s.keep, s.maxRows)
		}
	}
	cold, large := m.count()
	t.Logf("%d days, %d shards, at most so many rows: %v; %d rows in all; %d objects, %d of them of hot shards; each byte written %.1f times", days, len(m.shards), most, rows, cold+large, large, float64(m.written)/float64(m.bytesIn))
	t.Logf("objects after each day: %v", after)
	if cold > 500 {
		t.Errorf("seed %d: %d objects without a hot shard", seed, cold)
	}
	if n := len(after); n > 10 && after[n-1] > after[8]*11/10 {
		t.Errorf("seed %d: the number of objects grows: %v", seed, after)
	}
	if amp := float64(m.written) / float64(m.bytesIn); amp > 4 {
		t.Errorf("seed %d: each byte was written %.1f times", seed, amp)
	}
}

// count tells how many objects hold no record of a hot shard, and how many do.
func (m *month) count() (cold, hot int) {
	for _, shards := range m.company {
		isHot := false
		for s := range shards {
			isHot = isHot || s.kind == "hot"
		}
		if isHot {
			hot++
		} else {
			cold++
		}
	}
	return cold, hot
}
