// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/shardstore/blob"
)

// testModel runs random calls against the store and against a map. rapid prints
// the seed of a failure and shrinks it.
func testModel(t *testing.T, s blob.Store) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := &model{s: s, t: t, root: fmt.Sprintf("run%d/", run), want: map[string][]byte{}}
		rt.Repeat(map[string]func(*rapid.T){
			"create": m.create,
			"read":   m.read,
			"list":   m.list,
			"delete": m.delete,
			"":       func(*rapid.T) {},
		})
		m.compare(rt)
	})
}

type model struct {
	s    blob.Store
	t    *testing.T
	root string
	want map[string][]byte
}

// key draws from few keys, so that calls meet, none the folder of another.
func (m *model) key(t *rapid.T) string {
	return m.root + rapid.SampledFrom([]string{"a", "a-b", "a.c/x", "b/x", "b/y", "b-/x", "c/d/e", "c/d-/e"}).Draw(t, "key")
}

func (m *model) create(t *rapid.T) {
	key := m.key(t)
	b := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "body")
	err := m.s.Create(m.t.Context(), key, b)
	if _, ok := m.want[key]; ok {
		if !errors.Is(err, blob.ErrExists) {
			t.Fatalf("Create(%s) = %v, want ErrExists", key, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("Create(%s) = %v", key, err)
	}
	m.want[key] = b
}

func (m *model) read(t *rapid.T) {
	key := m.key(t)
	off := rapid.Int64Range(-50, 50).Draw(t, "off")
	length := rapid.Int64Range(-1, 50).Draw(t, "length")
	got, err := m.s.Read(m.t.Context(), key, off, length)
	want, ok := m.want[key]
	if !ok {
		if !errors.Is(err, blob.ErrNotFound) {
			t.Fatalf("Read(%s) = %v, want ErrNotFound", key, err)
		}
		return
	}
	from, to := span(int64(len(want)), off, length)
	if err != nil || !bytes.Equal(got, want[from:to]) {
		t.Fatalf("Read(%s, %d, %d) = %q, %v; want %q", key, off, length, got, err, want[from:to])
	}
}

// span is blob.Span said again in another way, as a check on it.
func span(size, off, length int64) (from, to int64) {
	if off < 0 {
		off += size
		if off < 0 {
			off = 0
		}
	}
	if off > size {
		off = size
	}
	if length < 0 || off+length > size {
		length = size - off
	}
	return off, off + length
}

func (m *model) list(t *rapid.T) {
	prefix := m.root + rapid.SampledFrom([]string{"", "a", "b", "b/", "b-", "c/d", "c/d/", "zz"}).Draw(t, "prefix")
	after := ""
	if rapid.Bool().Draw(t, "with after") {
		after = m.key(t)
	}
	limit := rapid.IntRange(1, 10).Draw(t, "limit")
	page, err := m.s.List(m.t.Context(), prefix, after, limit)
	if err != nil {
		t.Fatalf("List = %v", err)
	}
	var want []string
	for _, key := range slices.Sorted(maps.Keys(m.want)) {
		if strings.HasPrefix(key, prefix) && key > after && len(want) < limit {
			want = append(want, key)
		}
	}
	var got []string
	for _, info := range page {
		got = append(got, info.Key)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("List(%q, %q, %d) = %q, want %q", prefix, after, limit, got, want)
	}
}

func (m *model) delete(t *rapid.T) {
	key := m.key(t)
	if err := m.s.Delete(m.t.Context(), key); err != nil {
		t.Fatalf("Delete(%s) = %v", key, err)
	}
	delete(m.want, key)
}

// compare checks the whole of a run's objects.
func (m *model) compare(t *rapid.T) {
	left := maps.Clone(m.want)
	for info, err := range blob.All(m.t.Context(), m.s, m.root) {
		if err != nil {
			t.Fatalf("All = %v", err)
		}
		want, ok := left[info.Key]
		got, err := m.s.Read(m.t.Context(), info.Key, 0, -1)
		if !ok || err != nil || !bytes.Equal(got, want) || info.Size != int64(len(want)) {
			t.Fatalf("%s: listed %+v, read %q (%v), want %q (%v)", info.Key, info, got, err, want, ok)
		}
		delete(left, info.Key)
	}
	if len(left) > 0 {
		t.Fatalf("not listed: %q", slices.Sorted(maps.Keys(left)))
	}
}
