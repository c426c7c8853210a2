// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// silence is how long a session's heartbeat has not moved, as this node saw it.
type silence struct {
	beat  uint64
	lasts time.Duration // of time that this node's polls cover
	state catalog.SessionState
	again bool // its node is there again: a later session has its name and address
}

// watch is what a node's own successful polls say of the other sessions' hearts (data-plane.md, rule 9). Every node keeps
// one, so that a new leader need not begin anew; only the leader acts on it.
type watch struct {
	seen map[leat.SessionID]silence
	last time.Time // of the last poll
}

// poll counts one successful look at all sessions that are not closed. Of the time since the look before, at most covers
// counts: while the catalog was away, or this process stood still, nobody could beat or be seen to.
func (w *watch) poll(now time.Time, own leat.SessionID, peers []catalog.Peer, covers time.Duration) {
	fresh := make(map[leat.SessionID]silence, len(peers))
	passed := min(now.Sub(w.last), covers)
	for i := range peers {
		p := &peers[i]
		if p.ID == own {
			continue
		}
		s, known := w.seen[p.ID]
		if !known || s.beat != p.Beat {
			s = silence{beat: p.Beat}
		} else {
			s.lasts += passed
		}
		s.state = p.State
		s.again = slices.ContainsFunc(peers[i+1:], func(q catalog.Peer) bool {
			return q.State == catalog.SessionLive && q.Node == p.Node && q.Address == p.Address && q.Address != ""
		})
		fresh[p.ID] = s
	}
	w.seen, w.last = fresh, now
}

// suspects returns the live sessions that have been silent for after, those silent longest first.
func (w *watch) suspects(after time.Duration) (ids []leat.SessionID) {
	for id, s := range w.seen {
		if s.state == catalog.SessionLive && s.lasts >= after {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b leat.SessionID) int {
		return cmp.Or(cmp.Compare(w.seen[b].lasts, w.seen[a].lasts), slices.Compare(a[:], b[:]))
	})
	return ids
}

// replaced tells whether a session's own node has opened a later one. No two processes listen at one address, so of these
// there is more to say than that they are silent, however many there are: after a power cut it is all of them.
func (w *watch) replaced(id leat.SessionID) bool { return w.seen[id].again }

// fencing returns the sessions that somebody has begun to fence.
func (w *watch) fencing() (ids []leat.SessionID) {
	for id, s := range w.seen {
		if s.state == catalog.SessionFencing {
			ids = append(ids, id)
		}
	}
	return ids
}

// spare has the evidence against everybody begin anew.
func (w *watch) spare() {
	for id, s := range w.seen {
		s.lasts = 0
		w.seen[id] = s
	}
}

// mayFence is how many sessions may be fenced on suspicion before the evidence against the others has to be found anew:
// when many seem dead at once, it is rather the leader who is wrong.
func mayFence(sessions int) int { return max(1, sessions/5) }
