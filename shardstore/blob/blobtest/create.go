// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
)

func testCreate(t *testing.T, s blob.Store) {
	first, second := body(1000, "first"), body(2000, "second")
	create(t, s, "a/b", first)
	for _, again := range [][]byte{second, first, nil} {
		err := s.Create(t.Context(), "a/b", again)
		if !errors.Is(err, blob.ErrExists) || errors.Is(err, blob.ErrNotFound) {
			t.Fatalf("second Create = %v, want ErrExists", err)
		}
	}
	holds(t, s, "a/b", first)
	create(t, s, "a/c", second)
	holds(t, s, "a/c", second)
	holds(t, s, "a/b", first)
}

// testNested: a key in the way of another is a caller's mistake. It may succeed
// (AWS) or fail, but not with ErrExists, which would be taken for a fence, and
// it must not hurt the object that stands.
func testNested(t *testing.T, s blob.Store) {
	create(t, s, "x/y", []byte("old"))
	for _, key := range []string{"x", "x/y/z"} {
		if err := s.Create(t.Context(), key, []byte("new")); errors.Is(err, blob.ErrExists) {
			t.Errorf("Create(%s) = %v, want nil or an unknown error", key, err)
		}
	}
	holds(t, s, "x/y", []byte("old"))
}

// testRacers has many writers go for one key, through several rounds.
func testRacers(t *testing.T, s blob.Store) {
	const racers, rounds = 16, 8
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		errs := make([]error, racers)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range racers {
			wg.Go(func() {
				<-start
				errs[i] = s.Create(t.Context(), key, body(5000, fmt.Sprint(i)))
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("round %d: racers %d and %d both won", round, winner, i)
			case err == nil:
				winner = i
			case !errors.Is(err, blob.ErrExists):
				t.Fatalf("round %d: racer %d: %v", round, i, err)
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: nobody won", round)
		}
		holds(t, s, key, body(5000, fmt.Sprint(winner)))
	}
}

func testSizes(t *testing.T, s blob.Store) {
	for _, n := range []int{0, 1, 4095, 4096, 128<<10 + 1, 1 << 20, 8<<20 + 13} {
		key := fmt.Sprintf("size/%d", n)
		want := body(n, "size")
		create(t, s, key, want)
		holds(t, s, key, want)
		info, err := s.Stat(t.Context(), key)
		if err != nil || info.Size != int64(n) {
			t.Fatalf("Stat(%s) = %+v, %v", key, info, err)
		}
	}
}

// testNotAliased changes buffers on both sides of the store.
func testNotAliased(t *testing.T, s blob.Store) {
	want := body(3000, "mine")
	buf := bytes.Clone(want)
	create(t, s, "alias", buf)
	clear(buf)
	got, err := s.Read(t.Context(), "alias", 0, -1)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the store kept the writer's buffer (err %v)", err)
	}
	clear(got)
	holds(t, s, "alias", want)
	if part, err := s.Read(t.Context(), "alias", 10, 20); err != nil {
		t.Fatal(err)
	} else {
		clear(part[:cap(part)])
	}
	holds(t, s, "alias", want)
}
