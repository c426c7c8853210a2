// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Place is where a record is.
type Place struct {
	Shard  string
	Offset uint64
}

// PlaceOf reads a place out of a shard id and a sequence number.
func PlaceOf(shardID, sequence string) (Place, error) {
	if len(sequence) != 56 {
		return Place{}, fmt.Errorf("%s: sequence number %q has not 56 digits", shardID, sequence)
	}
	offset, err := strconv.ParseUint(sequence[13:33], 10, 64)
	if err == nil && shardID != "shardId-"+sequence[1:13] {
		err = fmt.Errorf("%s: sequence number %s is of another shard", shardID, sequence)
	}
	return Place{shardID, offset}, err
}

// Seen is a record that a reader was given.
type Seen struct {
	ID      ID
	Arrival time.Time
}

// fate is what a producer knows of a record.
type fate uint8

const (
	refused fate = iota + 1 // certainly not written
	unknown
	acked
)

// History is everything that producers and readers of one stream were told. Its methods may be called concurrently.
type History struct {
	// Ledger knows what is durable; nil where nobody does. It is set before the history is used.
	Ledger *Ledger

	mu     sync.Mutex
	fates  map[ID]fate
	places map[ID]Place      // of acknowledged records
	last   map[int]ID        // the last acknowledged record of each key
	next   map[string]uint64 // above the highest acknowledged offset of each shard
	seen   map[string][]Seen // what is where, as the first reader was told
	counts Counts
	late   time.Duration // the longest time from a record's becoming durable to its acknowledgement
	broken []string
}

// Counts sums a history up.
type Counts struct {
	Acked, Refused, Unknown, Reads uint64
}

// maxBroken bounds what is kept of a run that goes wrong everywhere.
const maxBroken = 50

// NewHistory returns an empty history.
func NewHistory() *History {
	return &History{
		fates: map[ID]fate{}, places: map[ID]Place{}, last: map[int]ID{},
		next: map[string]uint64{}, seen: map[string][]Seen{},
	}
}

// Break notes that a promise was broken.
func (h *History) Break(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.breakLocked(format, args...)
}

func (h *History) breakLocked(format string, args ...any) {
	if len(h.broken) < maxBroken {
		h.broken = append(h.broken, fmt.Sprintf(format, args...))
	}
}

// Broken returns the promises that were broken.
func (h *History) Broken() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.broken)
}

// Counts returns the sums so far.
func (h *History) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts
}

// Refused notes a record that was certainly not written.
func (h *History) Refused(id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fates[id] = refused
	h.counts.Refused++
}

// Unknown notes a record that may have been written.
func (h *History) Unknown(id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fates[id] = unknown
	h.counts.Unknown++
}

// Acked notes a record that was acknowledged. The records of a key are noted in the order of their puts.
func (h *History) Acked(id ID, shardID, sequence string) {
	at, err := PlaceOf(shardID, sequence)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.breakLocked("the acknowledgement of %v: %v", id, err)
		return
	}
	h.durableLocked("acknowledged", id, at)
	h.fates[id], h.places[id] = acked, at
	h.counts.Acked++
	if before, ok := h.last[id.Key]; ok {
		// Shard ids of children sort above their parents'.
		if was := h.places[before]; at.Shard < was.Shard || at.Shard == was.Shard && at.Offset <= was.Offset {
			h.breakLocked("order: %v was acknowledged at %v, after %v at %v", id, at, before, was)
		}
	}
	h.last[id.Key] = id
	h.next[at.Shard] = max(h.next[at.Shard], at.Offset+1)
}

// durableLocked checks that a record is durable now (I3). It is called when somebody has just been told of it.
func (h *History) durableLocked(told string, id ID, at Place) {
	if h.Ledger == nil {
		return
	}
	since, err := h.Ledger.Durable(id, at)
	if err != nil {
		h.breakLocked("I3: %s before it was durable: %v", told, err)
		return
	}
	if told == "acknowledged" {
		h.late = max(h.late, time.Since(since))
	}
}

// Late is the longest time from a record's becoming durable to its acknowledgement.
func (h *History) Late() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.late
}

// Tail returns the offset below which records of a shard are acknowledged already.
func (h *History) Tail(shardID string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next[shardID]
}

// Tails returns Tail of every shard.
func (h *History) Tails() map[string]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string]uint64, len(h.next))
	for shard, n := range h.next {
		out[shard] = n
	}
	return out
}

// Saw notes what a reader was given at a place, and compares it with what others were given there.
func (h *History) Saw(reader string, at Place, s Seen) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.Reads++
	h.durableLocked("given to "+reader, s.ID, at)
	log := h.seen[at.Shard]
	switch n := uint64(len(log)); {
	case at.Offset < n:
		if was := log[at.Offset]; was.ID != s.ID || !was.Arrival.Equal(s.Arrival) {
			h.breakLocked("I2: %s saw %v (%v) at %v, where %v (%v) was seen before", reader, s.ID, s.Arrival, at, was.ID, was.Arrival)
		}
	case at.Offset == n:
		if n > 0 && s.Arrival.Before(log[n-1].Arrival) {
			h.breakLocked("I9: at %v the arrival time falls from %v to %v", at, log[n-1].Arrival, s.Arrival)
		}
		if h.fates[s.ID] == refused {
			h.breakLocked("I1: %v was refused as certainly not written and is at %v", s.ID, at)
		}
		h.seen[at.Shard] = append(log, s)
	default:
		h.breakLocked("I14: %s saw %v at %v, and nobody has seen what is at offset %d", reader, s.ID, at, n)
	}
}
