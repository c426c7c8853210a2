// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/blobtest"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
)

// TestContract: without faults the wrapper changes nothing.
func TestContract(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return fault.New(mem.New(nil), nil) })
}

var old, fresh = []byte("old bytes"), []byte("fresh bytes")

// once gives one fault to the next call of op.
func once(t *testing.T, op fault.Op, f fault.Fault) (*fault.Store, *mem.Store) {
	t.Helper()
	inner := mem.New(nil)
	return fault.New(inner, fault.Script(op, f)), inner
}

func holds(t *testing.T, s blob.Store, key string, want []byte) {
	t.Helper()
	got, err := s.Read(t.Context(), key, 0, -1)
	if want == nil && !errors.Is(err, blob.ErrNotFound) || want != nil && (err != nil || !bytes.Equal(got, want)) {
		t.Errorf("%s = %q, %v; want %q", key, got, err, want)
	}
}

// TestCreate: what each kind answers and what then stands, at a free key and at
// one that is taken.
func TestCreate(t *testing.T) {
	for _, c := range []struct {
		fault       fault.Fault
		free, taken error // answers; nil is success
		standsFree  []byte
		standsTaken []byte
		pending     int
	}{
		{fault.Fault{}, nil, blob.ErrExists, fresh, old, 0},
		{fault.Fault{Kind: fault.Refuse}, fault.ErrReset, fault.ErrReset, nil, old, 0},
		{fault.Fault{Kind: fault.Refuse, Err: fault.ErrDiskFull}, syscall.ENOSPC, syscall.ENOSPC, nil, old, 0},
		{fault.Fault{Kind: fault.LoseAnswer, Err: fault.ErrTimeout}, fault.ErrTimeout, fault.ErrTimeout, fresh, old, 0},
		{fault.Fault{Kind: fault.Late}, fault.ErrReset, fault.ErrReset, nil, old, 1},
		{fault.Fault{Kind: fault.Twice}, blob.ErrExists, blob.ErrExists, fresh, old, 0},
		{fault.Fault{Kind: fault.DuplicateLate}, nil, blob.ErrExists, fresh, old, 1},
		{fault.Fault{Kind: fault.Overwrite}, nil, nil, fresh, fresh, 0},
		{fault.Fault{Kind: fault.Pretend}, nil, nil, fresh, old, 0},
	} {
		t.Run(string(c.fault.Kind), func(t *testing.T) {
			s, inner := once(t, fault.Create, c.fault)
			if err := s.Create(t.Context(), "k", fresh); !errors.Is(err, c.free) {
				t.Errorf("at a free key: %v, want %v", err, c.free)
			}
			holds(t, inner, "k", c.standsFree)
			if n := len(s.Pending()); n != c.pending {
				t.Errorf("%d are pending, want %d", n, c.pending)
			}
			s, inner = once(t, fault.Create, c.fault)
			if err := inner.Create(t.Context(), "k", old); err != nil {
				t.Fatal(err)
			}
			if err := s.Create(t.Context(), "k", fresh); !errors.Is(err, c.taken) {
				t.Errorf("at a taken key: %v, want %v", err, c.taken)
			}
			holds(t, inner, "k", c.standsTaken)
		})
	}
}

// TestLate: late writes arrive in order when released, whatever happened to the
// key meanwhile, with the bytes of their time.
func TestLate(t *testing.T) {
	inner := mem.New(nil)
	s := fault.New(inner, fault.Always(fault.Fault{Kind: fault.Late}, fault.Create))
	buf := bytes.Clone(old)
	for _, key := range []string{"a", "b", "c"} {
		if err := s.Create(t.Context(), key, buf); !errors.Is(err, fault.ErrReset) {
			t.Fatal(err)
		}
	}
	clear(buf)
	if got := s.Pending(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Fatalf("pending: %q", got)
	}
	if err := inner.Create(t.Context(), "b", fresh); err != nil { // a fence, say
		t.Fatal(err)
	}
	if err := s.Release(t.Context()); err != nil {
		t.Errorf("Release of a = %v", err)
	}
	if err := s.Release(t.Context()); !errors.Is(err, blob.ErrExists) {
		t.Errorf("Release of b = %v, want ErrExists", err)
	}
	holds(t, inner, "a", old)
	holds(t, inner, "b", fresh)
	holds(t, inner, "c", nil)
	if n := s.ReleaseAll(t.Context()); n != 1 {
		t.Errorf("ReleaseAll = %d", n)
	}
	holds(t, inner, "c", old)
	if err := s.Release(t.Context()); err == nil {
		t.Error("Release of nothing succeeded")
	}
}

// TestDuplicateLate: the second delivery brings back what was deleted.
func TestDuplicateLate(t *testing.T) {
	s, inner := once(t, fault.Create, fault.Fault{Kind: fault.DuplicateLate})
	if err := errors.Join(s.Create(t.Context(), "k", old), s.Delete(t.Context(), "k")); err != nil {
		t.Fatal(err)
	}
	holds(t, inner, "k", nil)
	if err := s.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, inner, "k", old)
}

func TestDelete(t *testing.T) {
	for _, c := range []struct {
		fault   fault.Fault
		answer  error
		left    []byte
		pending int
	}{
		{fault.Fault{Kind: fault.Refuse, Err: fault.ErrReadOnly}, syscall.EROFS, old, 0},
		{fault.Fault{Kind: fault.LoseAnswer}, fault.ErrReset, nil, 0},
		{fault.Fault{Kind: fault.Late}, fault.ErrReset, old, 1},
		{fault.Fault{Kind: fault.Twice}, nil, nil, 0},
		{fault.Fault{Kind: fault.DuplicateLate}, nil, nil, 1},
	} {
		t.Run(string(c.fault.Kind), func(t *testing.T) {
			s, inner := once(t, fault.Delete, c.fault)
			if err := inner.Create(t.Context(), "k", old); err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(t.Context(), "k"); !errors.Is(err, c.answer) {
				t.Errorf("Delete = %v, want %v", err, c.answer)
			}
			holds(t, inner, "k", c.left)
			if n := len(s.Pending()); n != c.pending {
				t.Errorf("%d are pending", n)
			}
			s.ReleaseAll(t.Context())
			if c.pending > 0 {
				holds(t, inner, "k", nil)
			}
		})
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		fault fault.Fault
		want  string
		err   error
	}{
		{fault.Fault{Kind: fault.Truncate}, "old ", nil},
		{fault.Fault{Kind: fault.Truncate, N: 7}, "old byt", nil},
		{fault.Fault{Kind: fault.Truncate, N: 700}, "old bytes", nil},
		{fault.Fault{Kind: fault.CutShort}, "", io.ErrUnexpectedEOF},
		{fault.Fault{Kind: fault.Flip, N: 2}, "ole bytes", nil},
		{fault.Fault{Kind: fault.Flip, N: 9*5 + 2}, "ole bytes", nil},
		{fault.Fault{Kind: fault.LoseAnswer}, "", fault.ErrReset},
		{fault.Fault{Kind: fault.Refuse, Err: fault.Status(503)}, "", fault.Status(503)},
	} {
		s, inner := once(t, fault.Read, c.fault)
		if err := inner.Create(t.Context(), "k", old); err != nil {
			t.Fatal(err)
		}
		got, err := s.Read(t.Context(), "k", 0, -1)
		same := errors.Is(err, c.err) || c.err != nil && err != nil && errors.Unwrap(err).Error() == c.err.Error()
		if string(got) != c.want || !same {
			t.Errorf("%+v: Read = %q, %v", c.fault, got, err)
		}
		holds(t, s, "k", old) // the object itself is whole
	}
}

// TestStatus: only a 412 means that something exists.
func TestStatus(t *testing.T) {
	for _, code := range []int{403, 404, 409, 412, 429, 500, 503} {
		err := fault.Status(code)
		if errors.Is(err, blob.ErrExists) != (code == 412) || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Status(%d) = %v", code, err)
		}
	}
}

// TestGate: a slow call waits at its gate, before or after its work, without a
// clock; its context frees it.
func TestGate(t *testing.T) {
	for _, hold := range []bool{false, true} {
		gate := fault.NewGate()
		f := fault.Fault{Wait: gate.Wait}
		if hold {
			f = fault.Fault{Hold: gate.Wait}
		}
		inner := mem.New(nil)
		s := fault.New(inner, fault.Always(f, fault.Create))
		done := make(chan error, 1)
		go func() { done <- s.Create(t.Context(), "k", old) }()
		<-gate.Arrived()
		if _, err := inner.Stat(t.Context(), "k"); (err == nil) != hold {
			t.Errorf("held after its work: %v, Stat = %v", hold, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Create(ctx, "other", old); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled Create = %v", err)
		}
		gate.Open()
		gate.Open()
		if err := <-done; err != nil {
			t.Errorf("Create = %v", err)
		}
		holds(t, inner, "k", old)
	}
}

// TestSeeded: the same seed gives each call the same fault, whatever the order
// of calls; another seed gives others.
func TestSeeded(t *testing.T) {
	run := func(seed uint64, backwards bool) map[string]fault.Kind {
		hook := fault.Seeded(seed, fault.Chaos(0.05)...)
		got := map[string]fault.Kind{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 50 {
			if backwards {
				i = 49 - i
			}
			key := fmt.Sprint("k", i)
			wg.Go(func() {
				for n := range 20 {
					for _, op := range []fault.Op{fault.Create, fault.Read, fault.List} {
						kind := hook(op, key).Kind
						mu.Lock()
						got[fmt.Sprintf("%s %s %d", op, key, n)] = kind
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		return got
	}
	kinds := func(m map[string]fault.Kind) (n int) {
		for _, k := range m {
			if k != fault.None {
				n++
			}
		}
		return n
	}
	one, same, other := run(42, false), run(42, true), run(43, false)
	differ := 0
	for call, kind := range one {
		if same[call] != kind {
			t.Errorf("%s: %q and %q from one seed", call, kind, same[call])
		}
		if other[call] != kind {
			differ++
		}
	}
	if n := kinds(one); n < 300 || n > 1800 || differ < 300 {
		t.Errorf("%d faults in 3000 calls, %d differ under another seed", n, differ)
	}
}

// TestHooks: scripts run out, chains take the first fault, SetHook replaces.
func TestHooks(t *testing.T) {
	refuse := fault.Fault{Kind: fault.Refuse}
	s := fault.New(mem.New(nil), fault.Chain(fault.Script(fault.Stat, fault.Fault{}, refuse), fault.Always(refuse, fault.Delete)))
	for i, want := range []error{blob.ErrNotFound, fault.ErrReset, blob.ErrNotFound} {
		if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, want) {
			t.Errorf("Stat %d = %v, want %v", i, err, want)
		}
	}
	if err := s.Delete(t.Context(), "k"); !errors.Is(err, fault.ErrReset) {
		t.Errorf("Delete = %v", err)
	}
	s.SetHook(fault.Always(fault.Fault{Kind: fault.Refuse, Err: fault.ErrBucketGone}))
	if _, err := s.List(t.Context(), "", "", 0); !errors.Is(err, fault.ErrBucketGone) || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("List = %v", err)
	}
	s.SetHook(nil)
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Errorf("Delete = %v", err)
	}
}

// TestCounts: calls, objects and bytes, with what was late counted when it came.
func TestCounts(t *testing.T) {
	s := fault.New(mem.New(nil), fault.Script(fault.Create, fault.Fault{Kind: fault.Late}, fault.Fault{}, fault.Fault{Kind: fault.Refuse}))
	for _, key := range []string{"a", "b", "c"} {
		_ = s.Create(t.Context(), key, old) // the script says which fail
	}
	s.ReleaseAll(t.Context())
	if _, err := s.Read(t.Context(), "a", 0, 4); err != nil {
		t.Fatal(err)
	}
	_, _ = s.Stat(t.Context(), "c")
	if _, err := s.List(t.Context(), "", "", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	want := fault.Counts{Creates: 3, Reads: 1, Stats: 1, Lists: 1, Deletes: 1, Created: 2, BytesIn: 18, BytesOut: 4, Faults: 2}
	if got := s.Counts(); got != want {
		t.Errorf("Counts = %+v, want %+v", got, want)
	}
}
