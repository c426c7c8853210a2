// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
)

// listed are keys whose byte order is not the order of a walk through folders:
// '-' and '.' sort before '/', digits and letters after it.
var listed = []string{
	"a!b", "a-b", "a-b2/c", "a.b/c", "a/b", "a/b-c", "a/b.c", "a/b0/1", "a/b0/2", "a/bb", "a0", "a=", "ab/c", "b/1", "b/10", "b/2", "c",
}

func testListOrder(t *testing.T, s blob.Store) {
	if !slices.IsSorted(listed) {
		t.Fatal("the list of this test is out of order")
	}
	for _, i := range []int{3, 16, 0, 8, 12, 5, 1, 10, 2, 15, 7, 4, 14, 6, 11, 9, 13} {
		create(t, s, listed[i], []byte(listed[i]))
	}
	prefixes := []string{"", "a", "a-", "a/", "a/b", "a/b0/", "a/b0", "b/1", "b/1/", "c", "c/", "d", "aa", "a/b0/1"}
	afters := append([]string{"a/b0", "a/", "b/", "zzz", "Z", "a-b2", "b/1/x", ""}, listed...)
	for _, prefix := range prefixes {
		for _, after := range afters {
			for _, limit := range []int{0, 1, 3} {
				checkList(t, s, prefix, after, limit)
			}
		}
	}
}

func checkList(t *testing.T, s blob.Store, prefix, after string, limit int) {
	t.Helper()
	var want []string
	for _, key := range listed {
		if len(key) >= len(prefix) && key[:len(prefix)] == prefix && key > after && (limit <= 0 || len(want) < limit) {
			want = append(want, key)
		}
	}
	page, err := s.List(t.Context(), prefix, after, limit)
	if err != nil {
		t.Fatalf("List(%q, %q, %d) = %v", prefix, after, limit, err)
	}
	var got []string
	for _, info := range page {
		got = append(got, info.Key)
		if info.Size != int64(len(info.Key)) {
			t.Errorf("List(%q, %q, %d): %s has size %d", prefix, after, limit, info.Key, info.Size)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("List(%q, %q, %d) = %q, want %q", prefix, after, limit, got, want)
	}
}

func testListPages(t *testing.T, s blob.Store) {
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("p/%02d/x", i)
		create(t, s, key, nil)
		want = append(want, key)
	}
	create(t, s, "o", nil)
	create(t, s, "q", nil)
	for _, limit := range []int{1, 7, 24, 25, 26} {
		var got []string
		after := ""
		for {
			page, err := s.List(t.Context(), "p/", after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) > limit {
				t.Fatalf("a page of %d has %d keys", limit, len(page))
			}
			for _, info := range page {
				got = append(got, info.Key)
			}
			if len(page) < limit {
				break
			}
			after = page[len(page)-1].Key
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: got %q", limit, got)
		}
	}
}

// testListMany crosses the drivers' own page of 1000 keys.
func testListMany(t *testing.T, s blob.Store) {
	const n, writers = 1100, 8
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < n; i += writers {
				if err := s.Create(t.Context(), fmt.Sprintf("many/%05d", i), []byte{1}); err != nil {
					t.Errorf("Create %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	page, err := s.List(t.Context(), "many/", "", 0)
	if err != nil || len(page) != blob.PageSize {
		t.Fatalf("List without limit = %d keys, %v; want %d", len(page), err, blob.PageSize)
	}
	page, err = s.List(t.Context(), "many/", "many/00009", 1050)
	if err != nil || len(page) != 1050 || page[0].Key != "many/00010" {
		t.Fatalf("List of 1050 = %d keys, %v", len(page), err)
	}
	all, err := keys(t.Context(), s, "many/")
	if err != nil || len(all) != n || !slices.IsSorted(all) {
		t.Fatalf("All = %d keys (sorted: %v), %v; want %d", len(all), slices.IsSorted(all), err, n)
	}
	seen := 0
	for _, err := range blob.All(t.Context(), s, "many/") {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Fatalf("All went on for %d keys after a break at 3", seen)
	}
}
