// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"context"
	"errors"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

// bucket is a store in memory, what breaks it, and the driver over both.
type bucket struct {
	t      *testing.T
	mem    *mem.Store
	fault  *fault.Store
	driver *wal.Objects
	g      *waltest.Segments
}

func newBucket(t *testing.T) *bucket {
	m := mem.New(nil)
	f := fault.New(m, nil)
	return &bucket{t, m, f, wal.NewObjects(f), waltest.NewSegments()}
}

// put places an object for segment n behind the driver's back.
func (b *bucket) put(n uint64, object []byte) {
	b.t.Helper()
	if err := b.mem.Create(b.t.Context(), wal.Key(b.g.Session, n), object); err != nil {
		b.t.Fatal(err)
	}
}

// data places segments from to to-1.
func (b *bucket) data(from, to uint64) {
	b.t.Helper()
	for n := from; n < to; n++ {
		b.put(n, b.g.Make(b.t, n, 50))
	}
}

// keys are all keys of the store.
func (b *bucket) keys() (keys []string) {
	b.t.Helper()
	for info, err := range blob.All(b.t.Context(), b.mem, "") {
		if err != nil {
			b.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func (b *bucket) write(n uint64, object []byte) error {
	return b.driver.Write(b.t.Context(), b.g.Session, n, object)
}

func (b *bucket) recover(trim uint64) (wal.Recovered, error) {
	return b.driver.Recover(b.t.Context(), b.g.Session, trim, waltest.Options(b.g))
}

func unknown(err error) bool {
	return err != nil && !errors.Is(err, wal.ErrFenced) && !errors.Is(err, wal.ErrFailed)
}

func TestA412IsReadBack(t *testing.T) {
	on := func(op fault.Op, kind fault.Kind) fault.Hook { return fault.Always(fault.Fault{Kind: kind}, op) }
	for _, c := range []struct {
		name  string
		stand func(*bucket, []byte) // what stands there before
		hook  fault.Hook
		check func(error) bool
	}{
		{"our own, written twice by the network", nil, on(fault.Create, fault.Twice), func(err error) bool { return err == nil }},
		{"our own, from an earlier try", func(b *bucket, o []byte) { b.put(3, o) }, nil, func(err error) bool { return err == nil }},
		{"a fence", func(b *bucket, _ []byte) { b.put(3, b.g.Fence(3)) }, nil, func(err error) bool { return errors.Is(err, wal.ErrFenced) }},
		{"another nonce", func(b *bucket, _ []byte) { b.put(3, b.g.Make(b.t, 3, 50)) }, nil, func(err error) bool { return errors.Is(err, wal.ErrFenced) }},
		{"gone again", nil, fault.Always(fault.Fault{Kind: fault.Refuse, Err: fault.Status(412)}, fault.Create), func(err error) bool { return errors.Is(err, wal.ErrFenced) }},
		{"our own, spoilt on its way", func(b *bucket, o []byte) { b.put(3, o) }, on(fault.Read, fault.Flip), unknown},
		{"our own, cut short", func(b *bucket, o []byte) { b.put(3, o) }, on(fault.Read, fault.Truncate), unknown},
		{"a fence, cut short", func(b *bucket, _ []byte) { b.put(3, b.g.Fence(3)) }, on(fault.Read, fault.Truncate), unknown},
		{"not readable", func(b *bucket, o []byte) { b.put(3, o) }, on(fault.Read, fault.Refuse), unknown},
		{"bytes of something else", func(b *bucket, _ []byte) { b.put(3, make([]byte, 500)) }, nil, unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBucket(t)
			object := b.g.Make(t, 3, 50)
			if c.stand != nil {
				c.stand(b, object)
			}
			b.fault.SetHook(c.hook)
			if err := b.write(3, object); !c.check(err) {
				t.Errorf("Write = %v", err)
			}
		})
	}
}

func TestEverythingBut200And412IsUnknown(t *testing.T) {
	for _, err := range []error{fault.ErrReset, fault.ErrTimeout, fault.ErrBucketGone, fault.Status(403), fault.Status(409), fault.Status(429), fault.Status(500), fault.Status(503)} {
		for _, kind := range []fault.Kind{fault.Refuse, fault.LoseAnswer, fault.Late} {
			b := newBucket(t)
			object := b.g.Make(t, 0, 50)
			b.fault.SetHook(fault.Script(fault.Create, fault.Fault{Kind: kind, Err: err}))
			if got := b.write(0, object); !unknown(got) {
				t.Errorf("%s with %v = %v", kind, err, got)
			}
			if got := b.write(0, object); got != nil {
				t.Errorf("%s with %v, then the same again = %v", kind, err, got)
			}
		}
	}
}

func TestAVanishedBucketIsNotAMissingSegment(t *testing.T) {
	for _, gone := range []error{fault.ErrBucketGone, fault.ErrTimeout, fault.Status(403)} {
		b := newBucket(t)
		b.data(0, 3)
		before := len(b.keys())
		b.fault.SetHook(fault.Always(fault.Fault{Kind: fault.Refuse, Err: gone}))
		if _, err := b.driver.Verify(t.Context(), b.g.Session, 3, nil); err == nil {
			t.Errorf("Verify with %v answers", gone)
		}
		if _, err := b.driver.Read(t.Context(), b.g.Session, 0, 0, -1); err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Read with %v = %v", gone, err)
		}
		if err := b.driver.Remove(t.Context(), b.g.Session, 0); err == nil {
			t.Errorf("Remove with %v = nil", gone)
		}
		if rec, err := b.recover(0); !errors.Is(err, gone) {
			t.Errorf("Recover with %v = %+v, %v", gone, rec, err)
		}
		if after := len(b.keys()); after != before {
			t.Errorf("with %v the store went from %d objects to %d", gone, before, after)
		}
	}
}

func TestRemoveRefusesFencesAndWhatItCannotRead(t *testing.T) {
	b := newBucket(t)
	b.data(0, 2)
	b.put(2, b.g.Fence(2))
	b.put(3, make([]byte, 300))
	for _, n := range []uint64{2, 3} {
		if err := b.driver.Remove(t.Context(), b.g.Session, n); err == nil {
			t.Errorf("Remove(%d) = nil", n)
		}
	}
	if got := len(b.keys()); got != 4 {
		t.Errorf("%d objects are left of 4", got)
	}
	for n := range uint64(2) {
		if err := b.driver.Remove(t.Context(), b.g.Session, n); err != nil {
			t.Errorf("Remove(%d) = %v", n, err)
		}
	}
	if got := len(b.keys()); got != 2 {
		t.Errorf("%d objects are left, want 2", got)
	}
}

func TestBeginNeedsASession(t *testing.T) {
	for _, d := range []wal.Driver{wal.NewObjects(mem.New(nil)), openFiles(t, t.TempDir(), 8<<10)} {
		if err := d.Begin(context.Background(), leat.SessionID{}); err == nil {
			t.Errorf("%T begins a session without an identity", d)
		}
	}
}
