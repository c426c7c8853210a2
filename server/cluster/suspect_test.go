// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/cluster"
)

const (
	heartbeat = 500 * time.Millisecond
	deadAfter = 2500 * time.Millisecond
)

// hearts are sessions whose beats a test moves.
type hearts struct {
	cluster.Watch
	now   time.Time
	peers []catalog.Peer
}

func newHearts(n int) *hearts {
	h := &hearts{now: time.Unix(1000, 0)}
	for i := range n {
		h.peers = append(h.peers, catalog.Peer{ID: leat.SessionID{byte(i)}, State: catalog.SessionLive})
	}
	return h
}

// poll looks after a while; those who beat have.
func (h *hearts) poll(after time.Duration, beat ...int) {
	h.now = h.now.Add(after)
	for _, i := range beat {
		h.peers[i].Beat++
	}
	h.Poll(h.now, h.peers[0].ID, h.peers, 2*heartbeat)
}

func (h *hearts) suspects() []leat.SessionID { return h.Suspects(deadAfter) }

// Who is silent across the leader's own polls is suspected, and nobody else: not the leader itself, nor one that beats,
// however seldom it is seen to.
func TestSuspicion(t *testing.T) {
	h := newHearts(3)
	h.poll(0)
	for range 4 {
		h.poll(heartbeat, 1)
	}
	if s := h.suspects(); len(s) > 0 {
		t.Fatalf("suspected after two seconds: %v", s)
	}
	h.poll(heartbeat, 1)
	if s := h.suspects(); !slices.Equal(s, []leat.SessionID{{2}}) {
		t.Fatalf("suspected: %v", s)
	}
	h.poll(heartbeat, 2)
	if s := h.suspects(); len(s) > 0 {
		t.Fatalf("suspected, and it has beaten: %v", s)
	}
}

// The catalog was away, or the leader stood still: the time in which nobody could be seen to beat counts little, so those
// who beat as soon as they can are never suspected.
func TestAGapMakesNobodyDead(t *testing.T) {
	h := newHearts(5)
	h.poll(0, 1, 2, 3, 4)
	h.poll(heartbeat)
	h.poll(time.Hour)
	if s := h.suspects(); len(s) > 0 {
		t.Fatalf("suspected at the first poll after an hour: %v", s)
	}
	h.poll(heartbeat, 1, 2, 3) // one is dead indeed
	h.poll(heartbeat, 1, 2, 3)
	if s := h.suspects(); !slices.Equal(s, []leat.SessionID{{4}}) {
		t.Fatalf("suspected: %v", s)
	}
}

// At any loss of polls and any order of beats: who beats at least each second heartbeat of covered time is never
// suspected, and who is silent is in the end.
func TestSuspicionAtRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		h := newHearts(4)
		dead := 3
		polls := 0
		for range 60 {
			gap := time.Duration(rng.Int64N(int64(2 * heartbeat)))
			if rng.IntN(10) == 0 {
				gap = time.Duration(rng.Int64N(int64(time.Minute))) // nobody could beat
			}
			var beats []int
			if polls%2 == 0 {
				beats = []int{1, 2}
			}
			h.poll(gap, beats...)
			polls++
			for _, s := range h.suspects() {
				if s != h.peers[dead].ID {
					t.Fatalf("seed %d: %v is suspected and beats", seed, s)
				}
			}
		}
		if len(h.suspects()) != 1 {
			t.Fatalf("seed %d: the dead one is not suspected", seed)
		}
	}
}

// Of many that seem dead at once only some are fenced: one of a few, a fifth of many; the others' silence has to be
// found anew.
func TestFencingIsCapped(t *testing.T) {
	for sessions, most := range map[int]int{1: 1, 2: 1, 3: 1, 9: 1, 10: 2, 100: 20} {
		if got := cluster.MayFence(sessions); got != most {
			t.Errorf("of %d sessions %d may be fenced, want %d", sessions, got, most)
		}
	}
	h := newHearts(10)
	h.poll(0)
	for range 5 {
		h.poll(heartbeat)
	}
	if n := len(h.suspects()); n != 9 {
		t.Fatalf("%d are suspected", n)
	}
	h.Spare()
	for range 4 {
		h.poll(heartbeat)
		if s := h.suspects(); len(s) > 0 {
			t.Fatalf("suspected again too soon: %v", s)
		}
	}
	h.poll(heartbeat)
	if n := len(h.suspects()); n != 9 {
		t.Fatalf("%d are suspected again", n)
	}
}

// After a power cut every session of before is silent, and each node is there again with a later one: those are told from
// sessions that only seem dead, so that they need not wait for one another. One that beats is never suspected, whoever has
// its name.
func TestSessionsReplacedByTheirOwnNodes(t *testing.T) {
	h := newHearts(7)
	for i := range h.peers {
		h.peers[i].Node, h.peers[i].Address = fmt.Sprint("n", i), fmt.Sprint("host-", i, ":4568")
	}
	for i := range 3 { // 4, 5 and 6 are 1, 2 and 3 again: 3 beats all the same, 1 is somewhere else
		h.peers[4+i].Node, h.peers[4+i].Address = h.peers[1+i].Node, h.peers[1+i].Address
	}
	h.peers[4].Address = "host-9:4568"
	h.poll(0)
	for range 6 {
		h.poll(heartbeat, 3, 4, 5, 6)
	}
	if s := h.suspects(); !slices.Equal(s, []leat.SessionID{{1}, {2}}) {
		t.Fatalf("suspected: %v", s)
	}
	for i, want := range []bool{false, false, true, true, false, false, false} {
		if got := h.Replaced(h.peers[i].ID); got != want {
			t.Errorf("session %d is replaced: %v", i, got)
		}
	}
}

// Balance ends, evens out to an eighth, and takes everything from those who leave; it never moves more than it must.
func TestLevel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		seats := make([]cluster.Seat, 1+rng.IntN(8))
		all := 0
		for i := range seats {
			seats[i] = cluster.Seat{Shards: rng.IntN(200), Leaves: i > 0 && rng.IntN(4) == 0}
			all += seats[i].Shards
		}
		shards, moves := cluster.Level(seats)
		sum, low, high, stay := 0, all, 0, 0
		for i, n := range shards {
			sum += n
			if seats[i].Leaves {
				if n > 0 {
					t.Fatalf("seed %d: %v became %v: one that leaves has shards", seed, seats, shards)
				}
				continue
			}
			stay++
			low, high = min(low, n), max(high, n)
		}
		if slack := max(1, all/stay/8); sum != all || high-low > slack || moves > all {
			t.Fatalf("seed %d: %v became %v by %d moves", seed, seats, shards, moves)
		}
		if _, again := cluster.Level(seatsOf(shards, seats)); again > 0 {
			t.Fatalf("seed %d: %v does not rest", seed, shards)
		}
	}
}

func seatsOf(shards []int, like []cluster.Seat) []cluster.Seat {
	out := slices.Clone(like)
	for i := range out {
		out[i].Shards = shards[i]
	}
	return out
}
