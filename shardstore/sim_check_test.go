// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"errors"
	"time"

	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/segment"
	"github.com/leatstream/leat/shardstore/wal"
)

// settle ends the simulation: everything that was on its way arrives, one clean session owns all, and the ledger is
// compared with what is stored.
func (w *sim) settle() error {
	if !w.begin() {
		return w.l.err()
	}
	w.now.f.SetHook(nil)
	w.index.setFault(nil)
	w.tasks.Wait()
	for _, nd := range w.nodes {
		nd.f.SetHook(nil)
		nd.f.ReleaseAll(w.t.Context())
	}
	w.blobs, w.driver = w.bucket, wal.NewObjects(w.bucket)
	for k := range w.index.shards {
		w.l.final(w.t.Context(), w.now.s, k)
		w.put(w.t.Context(), w.now, []shardstore.Put{put(k, "last of "+k.String())})
		w.l.final(w.t.Context(), w.now.s, k)
	}
	if err := w.now.s.Pack(w.t.Context()); err != nil {
		w.l.complain("the last pack: %v", err)
	}
	pause(20 * time.Minute) // what nobody needs is deleted
	for _, p := range w.problems() {
		w.l.complain("fsck: %v", p)
	}
	for k := range w.index.shards {
		w.l.final(w.t.Context(), w.now.s, k)
	}
	w.recoverAgain()
	w.checkEnds()
	return w.l.err()
}

// recoverAgain lets a very late recoverer go over all sessions, with the trims that it once read.
func (w *sim) recoverAgain() {
	for id, c := range w.closings {
		o := shardstore.Recovery{Blobs: w.bucket}
		if w.recoverer != nil {
			o = w.recoverer(o, 1)
		}
		o.Driver = wal.NewObjects(o.Blobs)
		again, err := shardstore.Recover(w.t.Context(), o, id, c.Trim)
		if err != nil || again.Fence != c.Fence || len(again.Shards) != len(c.Shards) {
			w.l.complain("I5: recovered again, session %s ended with %+v, %v, before with %+v", id, again, err, c)
		}
	}
}

// checkEnds checks finals, fences and bills.
func (w *sim) checkEnds() {
	for id, first := range w.closings {
		c, err := shardstore.ReadClosing(w.t.Context(), w.bucket, id)
		if err != nil || c.Fence != first.Fence || len(c.Shards) != len(first.Shards) {
			w.l.complain("I5: the end of session %s was %+v and is %+v, %v", id, first, c, err)
		}
		head, err := w.bucket.Read(w.t.Context(), wal.Key(id, first.Fence), 0, segment.HeaderSize)
		if err != nil {
			w.l.complain("I6: the fence of session %s: %v", id, err)
			continue
		}
		if h, err := segment.ParseHeader(head); err != nil || h.Kind != segment.KindFence {
			w.l.complain("I6: in the place of the fence of session %s: %v, %v", id, h.Kind, err)
		}
	}
	var billed, registered int64
	for k, sh := range w.index.shards {
		registered += int64(sh.next)
		billed = w.index.usage[k.Stream]
	}
	if billed != registered {
		w.l.complain("I15: %d records were billed, %d registered", billed, registered)
	}
}

// run simulates some lives and returns what was wrong.
func (w *sim) run(lives, steps int) error {
	defer w.tasks.Wait()
	for range lives {
		if w.life(steps); w.l.err() != nil {
			return w.l.err()
		}
	}
	return w.settle()
}

// simTotals shows that something happened.
type simTotals struct {
	Steps, Sent, Acked, Seen, Shards, Children int
	Sessions, Moves                            int
	Packs, Kept, Merges, Deleted, Failures     uint64
}

// add counts what a world did, and ends it.
func (n *simTotals) add(w *sim) {
	n.Steps += w.steps
	n.Sent += w.sent
	n.Sessions += len(w.nodes)
	n.Moves += w.moves
	n.Shards += len(w.index.shards)
	n.Children += len(w.index.shards) - 3
	for _, m := range w.l.acked {
		n.Acked += len(m)
	}
	for _, m := range w.l.seen {
		n.Seen += len(m)
	}
	for _, nd := range w.nodes {
		nd.s.Fail(errors.New("over"))
		st := nd.s.Stats()
		n.Packs += st.Packs
		n.Kept += st.Kept
		n.Merges += st.Merges
		n.Deleted += st.Deleted
		n.Failures += st.PackFailures
	}
}
