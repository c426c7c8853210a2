// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
)

// steppedClock is the machine's clock, but for a wall clock that is ahead by as much as it was stepped.
type steppedClock struct {
	leat.SystemClock
	ahead atomic.Int64
}

func (c *steppedClock) Now() time.Time {
	ahead := c.ahead.Load()
	t := time.Now().Add(time.Duration(ahead))
	// Add moved both readings. The second word of a time.Time that has a monotonic reading is that reading.
	(*[2]int64)(unsafe.Pointer(&t))[1] -= ahead
	return t
}

func (c *steppedClock) step(d time.Duration) { c.ahead.Add(int64(d)) }

// A node whose clock was right when it began to stand by, and has jumped since, changes nothing and opens no session (rule 19).
func TestStandbyWhoseClockJumps(t *testing.T) {
	for mode, share := range map[string]bool{"alone": false, "shared": true} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			a := w.node("a").awaitReady()
			var clock steppedClock
			b := w.node("b", func(c *cluster.Config) {
				c.Clock, c.Shared = &clock, share
				c.Reference = func() (time.Time, error) { return time.Now(), nil }
			})
			says := func(what string) func() bool {
				return func() bool { return b.Ready() != nil && strings.Contains(b.Ready().Error(), what) }
			}
			await(t, "the node stands by", says("is alive and serves all shards"))
			if err := b.ClockWrong(); err != nil {
				t.Errorf("of a clock that is right it says %v", err)
			}
			clock.step(48 * time.Hour)
			if err := b.ClockWrong(); leat.KindOf(err) != leat.KindUnavailable || !b.HoldsExpiry() {
				t.Errorf("of a clock that has jumped it says %v", err)
			}
			if err := a.end(); err != nil {
				t.Fatal(err)
			}
			await(t, "the node says why it does not take over", says("clock is wrong by 48h"))
			open, err := w.cat.ListSessions(t.Context(), catalog.SessionLive, catalog.SessionFencing)
			if err != nil || len(open) != 0 {
				t.Errorf("it opened a session: %+v, %v", open, err)
			}
			clock.step(-48 * time.Hour)
			b.awaitReady()
		})
	}
}

// What a node knows of its clock does not end with a session: by a jump that nobody confirmed nothing expires for an hour.
func TestHoldOutlivesItsSession(t *testing.T) {
	w := newWorld(t)
	var clock steppedClock
	a := w.node("a", func(c *cluster.Config) {
		c.Clock = &clock
		c.Streams = func(leat.StreamID) (leat.Stream, bool) { return leat.Stream{Retention: 24 * time.Hour}, true }
	}).awaitReady()
	_, k := w.stream(a, "s", 1)
	a.mustPut(k[0], "x")
	first := a.Store()
	if err := first.Pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.step(48 * time.Hour)
	if !a.HoldsExpiry() {
		t.Error("a jump that nobody confirmed is believed at once")
	}
	first.Fail(errors.New("the disk is full"))
	await(t, "another session is open", func() bool { return a.Store() != nil && a.Store() != first })
	if err := a.Store().Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err := a.Store().Bounds(t.Context(), k[0]); err != nil || b.Horizon != 0 {
		t.Errorf("in the next session the record has expired: %+v, %v", b, err)
	}
}

// Meanwhile closed shards are not forgotten either.
func TestHeldShardsAreNotForgotten(t *testing.T) {
	w := newWorld(t)
	var clock steppedClock
	cat := w.openWith(sqldb.Faults{}, catalog.Options{Clock: &clock})
	a := w.node("a", func(c *cluster.Config) { c.Clock, c.Catalog = &clock, cat }).awaitReady()
	s, _ := w.stream(a, "s", 1)
	if _, err := w.cat.BeginReshard(t.Context(), s.ID, catalog.Split(0, leat.FullRange.Middle())); err != nil {
		t.Fatal(err)
	}
	a.Kick()
	await(t, "the shard is split", func() bool { return w.openShards(s.ID) == 2 && w.status(s.ID) == leat.StreamActive })
	clock.step(48 * time.Hour)
	if err := cluster.Expire(t.Context(), a.Node); err != nil {
		t.Fatal(err)
	}
	if all, err := w.cat.Shards(t.Context(), s.ID); err != nil || len(all) != 3 {
		t.Errorf("left are %+v, %v", all, err)
	}
}
