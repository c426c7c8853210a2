// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
)

// Tools wait to see a stream CREATING, UPDATING and DELETING (kinesis-semantics 10): each lasts as long as it is set to at
// least, however soon the control loop is woken.
func TestTransitionsAreSeen(t *testing.T) {
	const transition = 60 * time.Millisecond
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
