// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/fault"
	"github.com/leatstream/leat/shardstore/segment"
)

// crash is a rig whose machine dies at the k-th write: nothing that it does after that reaches the store or the catalog.
type crash struct {
	*rig
	l     *ledger
	f     *fault.Store
	vault *vault
	at    int64 // dies at this write; -1 for never
	count atomic.Int64
	dead  atomic.Bool
}

// what of the k-th write happens.
type fate string

const (
	lost    fate = "not applied"
	applied fate = "applied"
	late    fate = "applied after the recovery"
)

func newCrash(t *testing.T, at, keep int64) *crash {
	t.Helper()
	c := &crash{rig: newRig(t).shards(3), l: newLedger(), vault: newVault(), at: at}
	c.keys = c.vault
	c.f = c.faulty()
	c.params.MergeFanIn = 2
	c.params.TailBytes = 300 // some of it
	c.params.KeepBytes = keep
	c.logger = (&logged{}).logger()
	return c
}

// hit counts a write and tells whether it is the last.
func (c *crash) hit() bool {
	if c.dead.Load() || c.count.Add(1)-1 != c.at {
		return false
	}
	c.dead.Store(true)
	return true
}

// storeDies kills the machine at a write to the store.
func (c *crash) storeDies(what fate) {
	c.f.SetHook(func(op fault.Op, _ string) fault.Fault {
		if c.dead.Load() {
			return fault.Fault{Kind: fault.Refuse, Err: errDead}
		}
		if op != fault.Create && op != fault.Delete || !c.hit() {
			return fault.Fault{}
		}
		return fault.Fault{Kind: map[fate]fault.Kind{lost: fault.Refuse, applied: fault.LoseAnswer, late: fault.Late}[what], Err: errDead}
	})
	c.index.setFault(func(string, bool) error { return c.ifDead() })
}

func (c *crash) ifDead() error {
	if c.dead.Load() {
		return errDead
	}
	return nil
}

// catalogDies kills the machine at a call of the catalog.
func (c *crash) catalogDies(what fate) {
	c.f.SetHook(func(fault.Op, string) fault.Fault {
		if c.dead.Load() {
			return fault.Fault{Kind: fault.Refuse, Err: errDead}
		}
		return fault.Fault{}
	})
	var calls atomic.Bool // the call that dies is under way
	c.index.setFault(func(op string, after bool) error {
		if op == "extents" || op == "due" || op == "named" {
			return c.ifDead()
		}
		if after && calls.Swap(false) || c.dead.Load() && !calls.Load() {
			return errDead
		}
		if !after && c.hit() {
			if what == lost {
				return errDead
			}
			calls.Store(true)
		}
		return nil
	})
}

var errDead = errors.New("the machine is dead")

// script is the whole life of a session. Whatever fails makes the next steps fail too.
func (c *crash) script(ctx context.Context) error {
	s, err := c.tryOpen()
	if err != nil {
		return err
	}
	steps := []func() error{
		c.puts(s, "old", 0, 1, 2), c.pack(s), c.rekey, c.puts(s, "old again", 0, 1), c.pack(s), c.houses(s),
		c.later(2 * time.Hour), c.expireOld, c.puts(s, "a", 0, 1, 2), c.puts(s, "b", 2), c.pack(s), c.houses(s),
		c.split(s), c.puts(s, "c", 0, 3, 4), c.pack(s), c.puts(s, "d", 0, 1, 3), c.rekey, c.pack(s), c.houses(s),
		c.puts(s, "e", 0, 1, 4), c.later(20 * time.Minute), c.houses(s), c.puts(s, "f", 1, 3),
		func() error { return s.Close(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// puts sends three records to each shard: one alone, two together.
func (c *crash) puts(s *shardstore.Store, what string, shards ...int) func() error {
	return func() error {
		for _, i := range shards {
			d := func(n int) string { return fmt.Sprintf("%s-%d-%d", what, i, n) }
			err := errors.Join(
				c.l.put(bounded(c.tb), s, []shardstore.Put{put(c.key(i), d(0))}),
				c.l.put(bounded(c.tb), s, []shardstore.Put{put(c.key(i), d(1)), put(c.key(i), d(2))}))
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func (c *crash) pack(s *shardstore.Store) func() error {
	return func() error { return s.Pack(bounded(c.tb)) }
}

func (c *crash) houses(s *shardstore.Store) func() error {
	return func() error { return s.Housekeep(bounded(c.tb)) }
}

func (c *crash) later(d time.Duration) func() error {
	return func() error {
		pause(d)
		return nil
	}
}

// rekey begins to encrypt, and then rotates.
func (c *crash) rekey() error {
	c.vault.rotate(c.stream)
	return nil
}

func (c *crash) expireOld() error {
	c.expire(leat.Micros(time.Now().Add(-time.Hour)))
	return nil
}

// split divides shard 2 into 3 and 4.
func (c *crash) split(s *shardstore.Store) func() error {
	return func() error {
		done, err := s.Reshard(bounded(c.tb), shardstore.Reshard{
			ID: "split", Parents: []segment.ReshardParent{{Shard: c.key(2)}},
			Children: []segment.ReshardChild{{Shard: c.key(3)}, {Shard: c.key(4)}},
		})
		if err != nil {
			return err
		}
		if err := c.index.confirm(done, s.Session()); err != nil {
			return err
		}
		s.ConfirmReshard("split")
		return nil
	}
}

// bounded is a context for one step: a machine whose writes go nowhere does not wait for ever.
func bounded(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

// revive recovers everything and checks that nothing was lost, doubled or moved.
func (c *crash) revive(t *testing.T) {
	t.Helper()
	if c.store != nil {
		c.kill()
	}
	c.dead.Store(false)
	c.f.SetHook(nil)
	c.index.setFault(nil)
	if err := c.recover(); err != nil {
		t.Fatalf("recover: %v", err)
	}
	c.f.ReleaseAll(t.Context())
	s := c.open()
	c.fsck()
	c.check(t, s)
	for k, sh := range c.index.shards {
		if !sh.closed {
			if err := c.l.put(t.Context(), s, []shardstore.Put{put(k, fmt.Sprint("revived ", k.Ordinal))}); err != nil {
				t.Errorf("%s takes no records: %v", k, err)
			}
		}
	}
	if err := s.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.check(t, s)
	c.fsck()
	c.checkUsage(t)
}

func (c *crash) check(t *testing.T, s *shardstore.Store) {
	t.Helper()
	for k := range c.index.shards {
		c.l.final(t.Context(), s, k)
	}
	if err := c.l.err(); err != nil {
		t.Fatal(err)
	}
}

// checkUsage compares what was billed with what is registered (I15): every record that was ever registered, once.
func (r *rig) checkUsage(t *testing.T) {
	t.Helper()
	r.index.mu.Lock()
	defer r.index.mu.Unlock()
	registered := map[leat.StreamID]int64{}
	for k, sh := range r.index.shards {
		registered[k.Stream] += int64(sh.next)
	}
	for stream, n := range registered {
		if r.index.usage[stream] != n {
			t.Errorf("I15: usage of %d records, %d are registered", r.index.usage[stream], n)
		}
	}
}

// The machine dies at the k-th write to the store, for every k; the k-th write happens, or not, or much later.
func TestCrashAtEveryWrite(t *testing.T) {
	for _, what := range []fate{lost, applied, late} {
		keeping(t, string(what), func(t *testing.T, keep int64) {
			crashAtEvery(t, keep, (*crash).script, func(c *crash) { c.storeDies(what) })
		})
	}
}

// The machine dies at the k-th call of the catalog, for every k; before the call or after it.
func TestCrashAtEveryCallOfTheCatalog(t *testing.T) {
	for _, what := range []fate{lost, applied} {
		keeping(t, string(what), func(t *testing.T, keep int64) {
			crashAtEvery(t, keep, (*crash).script, func(c *crash) { c.catalogDies(what) })
		})
	}
}

// keeping runs a test with no, some and all extents staying in their segments.
func keeping(t *testing.T, name string, run func(t *testing.T, keep int64)) {
	t.Helper()
	for what, keep := range map[string]int64{"packed": 1 << 20, "some kept": keepSome, "kept": 1} {
		t.Run(name+"/"+what, func(t *testing.T) { run(t, keep) })
	}
}

// keepSome is between what one record and what two of them take, sealed and plain.
const keepSome = 100

func crashAtEvery(t *testing.T, keep int64, script func(*crash, context.Context) error, dies func(*crash)) {
	t.Helper()
	k, died := int64(0), true
	for ; died && !t.Failed(); k++ {
		synctest.Test(t, func(t *testing.T) {
			c := newCrash(t, k, keep)
			dies(c)
			err := script(c, t.Context())
			if died = c.dead.Load(); !died && err != nil {
				t.Fatalf("nothing died, and yet: %v", err)
			}
			c.revive(t)
			if t.Failed() {
				t.Logf("k = %d", k)
			}
		})
	}
	if k < 15 {
		t.Errorf("the script makes only %d writes", k)
	}
	t.Logf("%d crashes", k-1)
}
