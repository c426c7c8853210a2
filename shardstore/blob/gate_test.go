// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
)

func prove(t *testing.T, opts blob.GateOptions, stores ...blob.Store) error {
	t.Helper()
	return blob.ProveConditionalCreate(t.Context(), stores, "p/", opts)
}

func left(t *testing.T, s blob.Store) []string {
	t.Helper()
	var keys []string
	for info, err := range blob.All(t.Context(), s, "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// TestGateRaces (rule 20): 32 racers × 20 rounds by default, spread over all
// endpoints, once for each bucket and set of endpoints.
func TestGateRaces(t *testing.T) {
	inner := mem.New(nil)
	a, b := fault.New(inner, nil), fault.New(inner, nil)
	if err := prove(t, blob.GateOptions{Names: []string{"a", "b"}}, a, b); err != nil {
		t.Fatal(err)
	}
	// 16 racers and a late one through each, a round; and one marker.
	if got, want := []int64{a.Counts().Creates, b.Counts().Creates}, []int64{20*17 + 1, 20 * 17}; !slices.Equal(got, want) {
		t.Errorf("creates through the endpoints: %d, want %d", got, want)
	}
	if err := prove(t, blob.GateOptions{Names: []string{"b", "a"}}, b, a); err != nil || a.Counts().Creates != 341 {
		t.Errorf("the second proof: %v, %d creates", err, a.Counts().Creates)
	}
	if err := prove(t, blob.GateOptions{Names: []string{"a", "c"}}, a, b); err != nil || a.Counts().Creates != 2*341 {
		t.Errorf("a new endpoint: %v, %d creates", err, a.Counts().Creates)
	}
	if keys := left(t, inner); len(keys) != 2 || !strings.HasPrefix(keys[0], "p/gate/v1/proved-") {
		t.Errorf("left: %q", keys)
	}
}

// TestGateRefuses: each way of breaking If-None-Match is found, through one
// endpoint of two as well, and the error says what to do. No marker is left.
func TestGateRefuses(t *testing.T) {
	for name, hook := range map[string]fault.Hook{
		"overwrites":        fault.Always(fault.Fault{Kind: fault.Overwrite}, fault.Create),
		"says ok to all":    fault.Always(fault.Fault{Kind: fault.Pretend}, fault.Create),
		"seldom overwrites": fault.Seeded(1, fault.Chance{P: 1.0 / 64, Ops: []fault.Op{fault.Create}, Fault: fault.Fault{Kind: fault.Overwrite}}),
		"spoils reads":      fault.Always(fault.Fault{Kind: fault.Flip}, fault.Read),
		"hides objects":     fault.Always(fault.Fault{Kind: fault.Refuse, Err: blob.ErrNotFound}, fault.Read),
	} {
		t.Run(name, func(t *testing.T) {
			inner := mem.New(nil)
			bad := fault.New(inner, hook)
			// "Seldom" decides by key and call: with fixed key names the test always
			// sees the same thing.
			err := prove(t, blob.GateOptions{Rand: bytes.NewReader(make([]byte, 16))}, inner, bad)
			if !errors.Is(err, blob.ErrUnsafe) {
				t.Fatalf("the gate says %v, want ErrUnsafe", err)
			}
			if !strings.Contains(err.Error(), "Leat does not use this store") || !strings.Contains(err.Error(), "endpoint 2") {
				t.Errorf("the error does not help: %v", err)
			}
			if keys := left(t, inner); len(keys) != 0 {
				t.Errorf("left: %q", keys)
			}
		})
	}
}

// TestGateNobodyWins: a store that answers 412 at a free key is refused.
func TestGateNobodyWins(t *testing.T) {
	s := fault.New(mem.New(nil), fault.Always(fault.Fault{Kind: fault.Refuse, Err: fault.Status(412)}, fault.Create))
	if err := prove(t, blob.GateOptions{}, s); !errors.Is(err, blob.ErrUnsafe) {
		t.Errorf("the gate says %v, want ErrUnsafe", err)
	}
}

// TestGateUnclear: a store that refuses or loses some answers is safe; one that
// answers nothing is neither safe nor unsafe.
func TestGateUnclear(t *testing.T) {
	some := []fault.Chance{
		{P: 0.2, Ops: []fault.Op{fault.Create}, Fault: fault.Fault{Kind: fault.LoseAnswer, Err: fault.ErrTimeout}},
		{P: 0.2, Ops: []fault.Op{fault.Create}, Fault: fault.Fault{Kind: fault.Refuse, Err: fault.Status(409)}},
	}
	names := bytes.NewReader(make([]byte, 16))
	inner := mem.New(nil)
	s := fault.New(inner, racersOnly(32, fault.Seeded(7, some...)))
	if err := prove(t, blob.GateOptions{Rand: names}, s); err != nil {
		t.Errorf("lost and refused answers: %v", err)
	}
	if s.Counts().Faults == 0 {
		t.Error("no fault was met")
	}
	for name, hook := range map[string]fault.Hook{
		"bucket gone": fault.Always(fault.Fault{Kind: fault.Refuse, Err: fault.ErrBucketGone}),
		"read-only":   fault.Always(fault.Fault{Kind: fault.Refuse, Err: fault.ErrReadOnly}, fault.Create, fault.Delete),
		"too busy":    fault.Always(fault.Fault{Kind: fault.Refuse, Err: fault.Status(503)}, fault.Create),
	} {
		inner := mem.New(nil)
		err := prove(t, blob.GateOptions{}, fault.New(inner, hook))
		if err == nil || errors.Is(err, blob.ErrUnsafe) {
			t.Errorf("%s: the gate says %v", name, err)
		}
		if keys := left(t, inner); len(keys) != 0 {
			t.Errorf("%s: left: %q", name, keys)
		}
	}
}

// racersOnly applies a hook to the first n creations of each racing key, so that
// late racers get an answer.
func racersOnly(n int, hook fault.Hook) fault.Hook {
	var mu sync.Mutex
	seen := map[string]int{}
	return func(op fault.Op, key string) fault.Fault {
		mu.Lock()
		defer mu.Unlock()
		if op != fault.Create || strings.Contains(key, "proved") {
			return fault.Fault{}
		}
		if seen[key]++; seen[key] > n {
			return fault.Fault{}
		}
		return hook(op, key)
	}
}

// TestGateCancelled: a cancelled run ends, cleans up and marks nothing.
func TestGateCancelled(t *testing.T) {
	inner := mem.New(nil)
	ctx, cancel := context.WithCancel(t.Context())
	var n atomic.Int64
	s := fault.New(inner, func(op fault.Op, _ string) fault.Fault {
		if op == fault.Create && n.Add(1) == 100 {
			cancel()
		}
		return fault.Fault{}
	})
	if err := blob.ProveConditionalCreate(ctx, []blob.Store{s}, "", blob.GateOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the gate says %v, want context.Canceled", err)
	}
	if keys := left(t, inner); len(keys) != 0 {
		t.Errorf("left: %q", keys)
	}
}

// TestAllStopsAtError: All hands on a failed page once and ends.
func TestAllStopsAtError(t *testing.T) {
	inner := mem.New(nil)
	for i := range blob.PageSize + 5 {
		if err := inner.Create(t.Context(), fmt.Sprintf("k/%05d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	s := fault.New(inner, fault.Script(fault.List, fault.Fault{}, fault.Fault{Kind: fault.Refuse, Err: fault.Status(503)}))
	good, bad := 0, 0
	for _, err := range blob.All(t.Context(), s, "k/") {
		if err != nil {
			bad++
		} else {
			good++
		}
	}
	if good != blob.PageSize || bad != 1 {
		t.Errorf("All gave %d keys and %d errors", good, bad)
	}
}
