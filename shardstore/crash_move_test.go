// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"testing"

	"github.com/leatstream/leat/shardstore"
)

// moves is the life of two sessions that hand a shard to and fro.
func (c *crash) moves(ctx context.Context) error {
	var nodes [2]*shardstore.Store
	defer func() {
		for _, s := range nodes {
			if s != nil {
				s.Fail(errDead) // both live on the machine that dies
			}
		}
	}()
	for i := range nodes {
		s, err := c.tryOpen()
		if err != nil {
			return err
		}
		nodes[i] = s
	}
	a, b := nodes[0], nodes[1]
	steps := []func() error{
		c.puts(a, "a", 0, 1, 2), c.pack(a), c.puts(a, "b", 0, 1), c.move(a, b, 0), c.puts(b, "c", 0), c.puts(a, "d", 1, 2),
		c.rekey, c.move(a, b, 1), c.puts(b, "e", 0, 1), c.pack(a), c.houses(b), c.move(b, a, 0), c.puts(a, "f", 0, 2), c.pack(b),
		c.split(a), c.puts(a, "g", 0, 3), c.move(a, b, 2), c.move(a, b, 3), c.puts(b, "h", 3, 1), c.pack(a), c.houses(a),
		func() error { return a.Close(ctx) }, func() error { return b.Close(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// move hands a shard over.
func (c *crash) move(from, to *shardstore.Store, i int) func() error {
	return func() error {
		_, epoch := c.index.ownerOf(c.key(i))
		final, err := from.Release(bounded(c.tb), c.key(i), epoch)
		if err != nil {
			return err
		}
		if err := c.index.move(c.key(i), from.Session(), epoch, final, to.Session()); err != nil {
			return err
		}
		from.ConfirmRelease(c.key(i), epoch)
		return c.assign(to)
	}
}

// The machine dies at the k-th write to the store, or call of the catalog, of a life of hand-overs, for every k.
func TestCrashAtEveryWriteOfMoves(t *testing.T) {
	for name, dies := range map[string]func(*crash){
		"store: not applied":      func(c *crash) { c.storeDies(lost) },
		"store: applied":          func(c *crash) { c.storeDies(applied) },
		"store: applied late":     func(c *crash) { c.storeDies(late) },
		"catalog: not applied":    func(c *crash) { c.catalogDies(lost) },
		"catalog: answer is lost": func(c *crash) { c.catalogDies(applied) },
	} {
		keeping(t, name, func(t *testing.T, keep int64) { crashAtEvery(t, keep, (*crash).moves, dies) })
	}
}
