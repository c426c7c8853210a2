// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package blobtest is the contract of blob.Store as tests. Every driver runs
// them; a driver that cannot pass one is not a driver.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
)

// Run runs the whole suite, with a fresh store from open in each test. open
// registers its own cleanup.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, blob.Store)
	}{
		{"Create", testCreate},
		{"CreateRefusesNested", testNested},
		{"Racers", testRacers},
		{"Sizes", testSizes},
		{"NotAliased", testNotAliased},
		{"Ranges", testRanges},
		{"Stat", testStat},
		{"NotFound", testNotFound},
		{"ListOrder", testListOrder},
		{"ListPages", testListPages},
		{"ListMany", testListMany},
		{"Delete", testDelete},
		{"Replace", testReplace},
		{"Forget", testForget},
		{"OddKeys", testOddKeys},
		{"IllegalKeys", testIllegalKeys},
		{"Cancelled", testCancelled},
		{"ConcurrentReaders", testConcurrentReaders},
		{"Model", testModel},
		{"Gate", testGate},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// body returns n bytes that differ from place to place and from salt to salt.
func body(n int, salt string) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%s:%d\n", salt, i)
	}
	return b.Bytes()[:n:n]
}

func create(t *testing.T, s blob.Store, key string, body []byte) {
	t.Helper()
	if err := s.Create(t.Context(), key, body); err != nil {
		t.Fatalf("Create(%s) = %v", key, err)
	}
}

// holds checks that key has exactly the bytes want.
func holds(t *testing.T, s blob.Store, key string, want []byte) {
	t.Helper()
	got, err := s.Read(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatalf("Read(%s) = %v", key, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("Read(%s) has %d bytes, want %d, or they differ", key, len(got), len(want))
	}
}

func absent(t *testing.T, s blob.Store, key string) {
	t.Helper()
	if _, err := s.Read(t.Context(), key, 0, -1); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("Read(%s) = %v, want ErrNotFound", key, err)
	}
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("Stat(%s) = %v, want ErrNotFound", key, err)
	}
}

// keys collects what All yields.
func keys(ctx context.Context, s blob.Store, prefix string) ([]string, error) {
	var all []string
	for info, err := range blob.All(ctx, s, prefix) {
		if err != nil {
			return nil, err
		}
		all = append(all, info.Key)
	}
	return all, nil
}
