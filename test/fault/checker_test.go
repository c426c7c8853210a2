// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The checker itself: a test that passes says something only when it would fail on each of these.

func sequence(shard, offset int) (shardID, number string) {
	return fmt.Sprintf("shardId-%012d", shard), fmt.Sprintf("4%012d%020d000%020d", shard, offset, 7)
}

type story struct {
	*History
	final Final
	err   error
}

func (s *story) ack(id ID, shard, offset int) {
	shardID, number := sequence(shard, offset)
	s.Acked(id, shardID, number)
}

func (s *story) saw(id ID, shard, offset, at int) {
	shardID, _ := sequence(shard, offset)
	s.Saw("reader", Place{shardID, uint64(offset)}, Seen{id, time.UnixMicro(int64(at))})
}

func (s *story) holds(id ID, shard, offset, at int) {
	shardID, number := sequence(shard, offset)
	if err := s.final.Add(shardID, number, id.PartitionKey(), id.Data(), time.UnixMicro(int64(at))); err != nil && s.err == nil {
		s.err = err
	}
}

func TestCheckerFindsEachBrokenPromise(t *testing.T) {
	a, b := ID{1, 0}, ID{1, 1}
	for _, tc := range []struct {
		about string
		tell  func(s *story)
		want  string // "" for nothing wrong
	}{
		{"all is well", func(s *story) {
			s.ack(a, 0, 0)
			s.Unknown(ID{2, 0})
			s.Unknown(ID{2, 1})
			s.Refused(ID{2, 2})
			s.saw(a, 0, 0, 1)
			s.holds(a, 0, 0, 1)
			s.holds(ID{2, 0}, 0, 1, 1)
		}, ""},
		{"a lost record", func(s *story) { s.ack(a, 0, 0) }, "LOST"},
		{"another record at its place", func(s *story) { s.ack(a, 0, 0); s.Unknown(b); s.holds(b, 0, 0, 1) }, "LOST"},
		{"a record twice", func(s *story) { s.ack(a, 0, 0); s.holds(a, 0, 0, 1); s.holds(a, 0, 1, 1) }, "twice"},
		{"a record twice in two shards", func(s *story) { s.Unknown(a); s.holds(a, 0, 0, 1); s.holds(a, 1, 0, 1) }, "twice"},
		{"a refused record", func(s *story) { s.Refused(a); s.holds(a, 0, 0, 1) }, "refused as certainly"},
		{"a refused record that was read", func(s *story) { s.Refused(a); s.saw(a, 0, 0, 1) }, "refused as certainly"},
		{"a record of nobody", func(s *story) { s.holds(a, 0, 0, 1) }, "never put"},
		{"a gap", func(s *story) { s.ack(a, 0, 1); s.holds(a, 0, 1, 1) }, "I2"},
		{"keys out of order", func(s *story) { s.ack(a, 0, 5); s.ack(b, 0, 4) }, "order"},
		{"keys out of order across shards", func(s *story) { s.ack(a, 3, 0); s.ack(b, 1, 4) }, "order"},
		{"two values at a place", func(s *story) { s.Unknown(a); s.Unknown(b); s.saw(a, 0, 0, 1); s.saw(b, 0, 0, 1) }, "I2"},
		{"two times at a place", func(s *story) { s.Unknown(a); s.saw(a, 0, 0, 1); s.saw(a, 0, 0, 2) }, "I2"},
		{"a record that was read and is gone", func(s *story) { s.Unknown(a); s.saw(a, 0, 0, 1) }, "I3"},
		{"time that falls", func(s *story) { s.ack(a, 0, 0); s.ack(b, 0, 1); s.holds(a, 0, 0, 2); s.holds(b, 0, 1, 1) }, "I9"},
		{"time that falls for a reader", func(s *story) { s.ack(a, 0, 0); s.ack(b, 0, 1); s.saw(a, 0, 0, 2); s.saw(b, 0, 1, 1) }, "I9"},
		{"a number of another shard", func(s *story) { _, n := sequence(1, 0); s.Acked(a, "shardId-000000000002", n) }, "another shard"},
	} {
		t.Run(tc.about, func(t *testing.T) {
			s := &story{History: NewHistory(), final: Final{}}
			tc.tell(s)
			v := s.Check(s.final)
			if s.err != nil {
				v.Broken = append(v.Broken, s.err.Error())
			}
			said := strings.Join(v.Broken, "\n")
			if tc.want == "" && said != "" || tc.want != "" && !strings.Contains(said, tc.want) {
				t.Errorf("the checker says %q, want %q", said, tc.want)
			}
		})
	}
}

func TestIdentifyFindsChangedBytes(t *testing.T) {
	id := ID{7, 12345}
	data := id.Data()
	if got, err := Identify(id.PartitionKey(), data); err != nil || got != id {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := Identify("key-8", data); err == nil {
		t.Error("another key was taken")
	}
	for i := range data {
		spoilt := append([]byte(nil), data...)
		spoilt[i] ^= 1
		if got, err := Identify(id.PartitionKey(), spoilt); err == nil && got == id {
			t.Fatalf("byte %d was changed and nobody noticed", i)
		}
	}
}

func TestLinearizable(t *testing.T) {
	a, b := ID{1, 0}, ID{2, 0}
	put := func(id ID, f fate, at uint64, begin, end int64) call {
		return call{put: true, id: id, fate: f, from: at, begin: begin, end: end}
	}
	read := func(from, n uint64, caughtUp bool, begin, end int64) call {
		return call{from: from, read: n, caughtUp: caughtUp, begin: begin, end: end}
	}
	both := []Seen{{ID: a}, {ID: b}}
	for _, tc := range []struct {
		about string
		final []Seen
		ops   []call
		ok    bool
	}{
		{"in turn", both, []call{put(a, acked, 0, 0, 1), read(0, 1, true, 2, 3), put(b, acked, 1, 4, 5), read(1, 1, true, 6, 7)}, true},
		{"side by side", both, []call{put(a, acked, 0, 0, 9), put(b, acked, 1, 0, 9), read(0, 1, true, 1, 8)}, true},
		{"a stale read", both, []call{put(a, acked, 0, 0, 1), put(b, acked, 1, 2, 3), read(0, 1, true, 4, 5)}, false},
		{"an empty stale read", both, []call{put(a, acked, 0, 0, 1), put(b, acked, 1, 2, 3), read(1, 0, true, 4, 5)}, false},
		{"a page that does not say it is all", both, []call{put(a, acked, 0, 0, 1), put(b, acked, 1, 2, 3), read(0, 1, false, 4, 5)}, true},
		{"a read of what is not put yet", both, []call{read(0, 1, true, 0, 1), put(a, acked, 0, 2, 3), put(b, acked, 1, 4, 5)}, false},
		{"puts that swapped", both, []call{put(b, acked, 1, 0, 1), put(a, acked, 0, 2, 3)}, false},
		{"an unknown put that came late", both, []call{put(a, acked, 0, 0, 1), put(b, unknown, 0, 2, 3), read(1, 0, true, 4, 5), read(1, 1, true, 6, 7)}, true},
		{"an unknown put that went away again", both, []call{put(a, acked, 0, 0, 1), put(b, unknown, 0, 2, 3), read(0, 2, true, 4, 5), read(1, 0, true, 6, 7)}, false},
		{"a record of nobody", both, []call{put(a, acked, 0, 0, 1)}, false},
	} {
		t.Run(tc.about, func(t *testing.T) {
			l := &Tail{ops: tc.ops}
			if _, err := l.Linearizable(tc.final); (err == nil) != tc.ok {
				t.Errorf("%v", err)
			}
		})
	}
}
