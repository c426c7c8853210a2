// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
)

// Tools wait to see a stream CREATING, UPDATING and DELETING (kinesis-semantics 10): each lasts as long as it is set to at
// least, however soon the control loop is woken.
func TestTransitionsAreSeen(t *testing.T) {
	t.Parallel()
	const transition = 2 * time.Second // longer than a look at the catalog takes on a busy machine
	w := newWorld(t)
	a := w.node("a", func(c *cluster.Config) { c.Transition = transition }).awaitReady()
	lasts := func(what string, id leat.StreamID, state leat.StreamStatus, began time.Time) {
		t.Helper()
		seen := false
		await(t, "a stream is no longer "+string(state), func() bool {
			a.Kick()
			all, err := w.cat.UnsettledStreams(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range all {
				if s.ID == id {
					seen = seen || s.Status == state
					return false
				}
			}
			return true
		})
		if took := time.Since(began); !seen || took < transition {
			t.Errorf("%s: %s was seen: %v, and over after %s", what, state, seen, took)
		}
	}
	began := time.Now()
	s, err := w.cat.CreateStream(t.Context(), catalog.NewStream{
		Account: leat.DevAccount, Name: "s", Mode: leat.ModeProvisioned, Shards: 1, Retention: leat.MinRetention, MaxRecordBytes: leat.DefaultMaxRecordBytes,
	})
	if err != nil {
		t.Fatal(err)
	}
	lasts("create", s.ID, leat.StreamCreating, began)
	began = time.Now()
	if _, err := w.cat.BeginReshard(t.Context(), s.ID, catalog.Split(0, leat.FullRange.Middle())); err != nil {
		t.Fatal(err)
	}
	lasts("split", s.ID, leat.StreamUpdating, began)
	began = time.Now()
	if err := w.cat.BeginDelete(t.Context(), s.ID, false); err != nil {
		t.Fatal(err)
	}
	lasts("delete", s.ID, leat.StreamDeleting, began)
}

// ahead is a clock that is fast by an hour.
type ahead struct{ leat.SystemClock }

func (c ahead) Now() time.Time { return c.SystemClock.Now().Add(time.Hour) }

// A stream that a node with a wrong clock has changed comes to rest, not an hour later.
func TestTransitionsFromTheFuture(t *testing.T) {
	for name, kind := range map[string]func(*cluster.Config){"alone": func(*cluster.Config) {}, "shared": shared} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.node("a", kind).awaitReady()
			wrong := w.openWith(sqldb.Faults{}, catalog.Options{Clock: ahead{}})
			settled := func(what string) {
				t.Helper()
				await(t, what+" is done", func() bool {
					a.Kick()
					all, err := w.cat.UnsettledStreams(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					return len(all) == 0
				})
			}
			s, err := wrong.CreateStream(t.Context(), catalog.NewStream{
				Account: leat.DevAccount, Name: "s", Mode: leat.ModeProvisioned, Shards: 1, Retention: leat.MinRetention, MaxRecordBytes: leat.DefaultMaxRecordBytes,
			})
			if err != nil {
				t.Fatal(err)
			}
			settled("the creation")
			if _, err := wrong.BeginReshard(t.Context(), s.ID, catalog.Split(0, leat.FullRange.Middle())); err != nil {
				t.Fatal(err)
			}
			settled("the split")
			if err := wrong.BeginDelete(t.Context(), s.ID, false); err != nil {
				t.Fatal(err)
			}
			settled("the deletion")
		})
	}
}
