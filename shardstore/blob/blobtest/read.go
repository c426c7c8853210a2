// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/shardstore/blob"
)

func testRanges(t *testing.T, s blob.Store) {
	const n = 10_000
	whole := body(n, "range")
	create(t, s, "r", whole)
	create(t, s, "empty", nil)
	for _, c := range []struct{ off, length, from, to int64 }{
		{0, -1, 0, n}, {0, n, 0, n}, {0, n + 1, 0, n}, {0, 0, 0, 0}, {0, 1, 0, 1},
		{1, 1, 1, 2}, {5000, -1, 5000, n}, {5000, 100, 5000, 5100}, {n - 1, 1, n - 1, n},
		{n - 1, 100, n - 1, n}, {n - 1, -1, n - 1, n}, {n, 1, n, n}, {n, -1, n, n}, {n, 0, n, n},
		{n + 1, 1, n, n}, {10 * n, -1, n, n}, {500, 0, 500, 500},
		{-1, -1, n - 1, n}, {-100, -1, n - 100, n}, {-n, -1, 0, n}, {-2 * n, -1, 0, n},
		{-100, 10, n - 100, n - 90}, {-100, 1000, n - 100, n}, {-2 * n, 10, 0, 10}, {-100, 0, n - 100, n - 100},
	} {
		name := fmt.Sprintf("Read(%d, %d)", c.off, c.length)
		got, err := s.Read(t.Context(), "r", c.off, c.length)
		if err != nil {
			t.Errorf("%s = %v", name, err)
		} else if !bytes.Equal(got, whole[c.from:c.to]) {
			t.Errorf("%s has %d bytes, want [%d, %d)", name, len(got), c.from, c.to)
		}
		got, err = s.Read(t.Context(), "empty", c.off, c.length)
		if err != nil || len(got) != 0 {
			t.Errorf("%s of an empty object = %d bytes, %v", name, len(got), err)
		}
	}
}

func testStat(t *testing.T, s blob.Store) {
	before := time.Now()
	create(t, s, "dir/s", body(777, "stat"))
	info, err := s.Stat(t.Context(), "dir/s")
	if err != nil {
		t.Fatal(err)
	}
	if info.Key != "dir/s" || info.Size != 777 {
		t.Errorf("Stat = %+v", info)
	}
	// S3 tells whole seconds; tests run on the store's machine.
	if d := info.Modified.Sub(before); d < -2*time.Second || d > time.Minute {
		t.Errorf("Modified is %v away from the time of creation", d)
	}
	page, err := s.List(t.Context(), "dir/", "", 0)
	if err != nil || len(page) != 1 {
		t.Fatalf("List = %v, %v", page, err)
	}
	if d := page[0].Modified.Sub(info.Modified).Abs(); d > 2*time.Second || page[0].Key != info.Key || page[0].Size != info.Size {
		t.Errorf("List says %+v, Stat %+v", page[0], info)
	}
}

func testNotFound(t *testing.T, s blob.Store) {
	absent(t, s, "nothing")
	absent(t, s, "no/such/folder")
	create(t, s, "dir/file", []byte("x"))
	absent(t, s, "dir")
	absent(t, s, "dir/other")
	absent(t, s, "dir/fil")
	absent(t, s, "dir/file/below")
	for _, length := range []int64{0, 1, -1} {
		for _, off := range []int64{0, 5, -5} {
			if _, err := s.Read(t.Context(), "nothing", off, length); !errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrExists) {
				t.Errorf("Read(nothing, %d, %d) = %v, want ErrNotFound", off, length, err)
			}
		}
	}
}

func testConcurrentReaders(t *testing.T, s blob.Store) {
	const objects, readers, size = 4, 8, 300_000
	for i := range objects {
		create(t, s, fmt.Sprintf("c/%d", i), body(size, fmt.Sprint(i)))
	}
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			for i := range objects * 3 {
				o, off := (r+i)%objects, int64((r*7919+i*104729)%size)
				want := body(size, fmt.Sprint(o))[off:]
				got, err := s.Read(t.Context(), fmt.Sprintf("c/%d", o), off, -1)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("reader %d: object %d from %d: %d bytes, want %d, err %v", r, o, off, len(got), len(want), err)
					return
				}
			}
		})
	}
	wg.Wait()
}
