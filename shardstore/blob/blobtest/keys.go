// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
)

func testDelete(t *testing.T, s blob.Store) {
	create(t, s, "d/1", []byte("one"))
	create(t, s, "d/2", []byte("two"))
	for range 2 {
		if err := s.Delete(t.Context(), "d/1"); err != nil {
			t.Fatalf("Delete = %v", err)
		}
		absent(t, s, "d/1")
	}
	for _, key := range []string{"never", "no/such/folder", "d/2/below"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatalf("Delete(%s) = %v", key, err)
		}
	}
	// A folder is not an object.
	if err := s.Delete(t.Context(), "d"); err != nil {
		t.Fatalf("Delete(d) = %v", err)
	}
	holds(t, s, "d/2", []byte("two"))
	all, err := keys(t.Context(), s, "")
	if err != nil || !slices.Equal(all, []string{"d/2"}) {
		t.Fatalf("left are %q, %v", all, err)
	}
	// A key may live again, and a folder that became empty too.
	if err := s.Delete(t.Context(), "d/2"); err != nil {
		t.Fatal(err)
	}
	create(t, s, "d/1", []byte("again"))
	holds(t, s, "d/1", []byte("again"))
}

func testOddKeys(t *testing.T, s blob.Store) {
	odd := []string{
		".hidden", "...", "-dash", "~tilde/~", "a+b", "b=c", "c@d,e:f", "!'()*", "g..h/..i", "UPPER/Case",
		strings.Repeat("n", blob.MaxPart), "o/" + strings.Repeat("p/", 60) + "end", "q/tmp", "tmp/r", "objects/s",
	}
	for _, key := range odd {
		create(t, s, key, []byte(key))
	}
	for _, key := range odd {
		holds(t, s, key, []byte(key))
		page, err := s.List(t.Context(), key, "", 1)
		if err != nil || len(page) != 1 || page[0].Key != key {
			t.Errorf("List(%q) = %v, %v", key, page, err)
		}
	}
	slices.Sort(odd)
	all, err := keys(t.Context(), s, "")
	if err != nil || !slices.Equal(all, odd) {
		t.Errorf("All = %q, %v; want %q", all, err, odd)
	}
}

func testIllegalKeys(t *testing.T, s blob.Store) {
	ctx := t.Context()
	for _, key := range []string{"", "/a", "a//b", "a/", "../a", "a/../b", "a b", "ü", strings.Repeat("x", 256)} {
		_, read := s.Read(ctx, key, 0, -1)
		_, stat := s.Stat(ctx, key)
		for op, err := range map[string]error{
			"Create": s.Create(ctx, key, nil), "Read": read, "Stat": stat, "Delete": s.Delete(ctx, key),
		} {
			if !errors.Is(err, blob.ErrKey) || errors.Is(err, blob.ErrNotFound) {
				t.Errorf("%s(%q) = %v, want ErrKey", op, key, err)
			}
		}
	}
	for _, prefix := range []string{"/", "a//b", "../", "\x00"} {
		if _, err := s.List(ctx, prefix, "", 0); !errors.Is(err, blob.ErrKey) {
			t.Errorf("List(%q) = %v, want ErrKey", prefix, err)
		}
		if _, err := s.List(ctx, "", prefix, 0); !errors.Is(err, blob.ErrKey) {
			t.Errorf("List after %q = %v, want ErrKey", prefix, err)
		}
	}
}

// testCancelled: a cancelled call ends with the context's error and, because it
// had not begun, changes nothing.
func testCancelled(t *testing.T, s blob.Store) {
	create(t, s, "k", []byte("v"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, read := s.Read(ctx, "k", 0, -1)
	_, stat := s.Stat(ctx, "k")
	_, list := s.List(ctx, "", "", 0)
	for op, err := range map[string]error{
		"Create": s.Create(ctx, "new", nil), "Read": read, "Stat": stat, "List": list, "Delete": s.Delete(ctx, "k"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", op, err)
		}
	}
	absent(t, s, "new")
	holds(t, s, "k", []byte("v"))
}
