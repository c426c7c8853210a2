// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"sync"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
)

// testReplace: what is replaced is gone, wherever else objects stand, and readers see one whole body or the other.
func testReplace(t *testing.T, s blob.Store) {
	e := eraser(t, s)
	first, second := body(3000, "first"), body(2000, "second")
	replace := func(key string, b []byte) {
		t.Helper()
		if err := e.Replace(t.Context(), key, b); err != nil {
			t.Fatalf("Replace(%s) = %v", key, err)
		}
	}
	replace("keys/a/new", first) // nothing stood there
	holds(t, s, "keys/a/new", first)
	create(t, s, "keys/a/b", first)
	create(t, s, "keys/a/c", first)
	replace("keys/a/b", second)
	holds(t, s, "keys/a/b", second)
	holds(t, s, "keys/a/c", first)
	if info, err := s.Stat(t.Context(), "keys/a/b"); err != nil || info.Size != int64(len(second)) {
		t.Errorf("Stat = %+v, %v", info, err)
	}

	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := s.Read(t.Context(), "keys/a/b", 0, -1); err != nil || len(got) != len(first) && len(got) != len(second) {
					t.Errorf("a reader saw %d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	for range 20 {
		replace("keys/a/b", first)
		replace("keys/a/b", second)
	}
	close(stop)
	readers.Wait()
	if err := e.Replace(t.Context(), "keys//x", nil); err == nil {
		t.Error("an illegal key was replaced")
	}
}

// testForget: what stands stays, and what was deleted does not come back.
func testForget(t *testing.T, s blob.Store) {
	e := eraser(t, s)
	create(t, s, "keys/a/b", body(100, "b"))
	create(t, s, "keys/a/c", body(100, "c"))
	if err := e.Replace(t.Context(), "keys/a/c", body(100, "d")); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "keys/a/b"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, prefix := range []string{"keys/a/", "keys/none/"} {
			for _, deleted := range []bool{false, true} {
				if err := e.Forget(t.Context(), prefix, deleted); err != nil {
					t.Fatalf("Forget(%s, %v) = %v", prefix, deleted, err)
				}
			}
		}
		absent(t, s, "keys/a/b")
		holds(t, s, "keys/a/c", body(100, "d"))
	}
}

func eraser(t *testing.T, s blob.Store) blob.Eraser {
	t.Helper()
	e, ok := s.(blob.Eraser)
	if !ok {
		t.Fatalf("%T is no blob.Eraser", s)
	}
	return e
}
