// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"fmt"
	"time"
)

// Final is a stream as it is read back at the end, by shard and offset.
type Final map[string][]Seen

// Add takes in the next record of a shard.
func (f Final) Add(shardID, sequence, partitionKey string, data []byte, arrival time.Time) error {
	at, err := PlaceOf(shardID, sequence)
	if err != nil {
		return err
	}
	if n := uint64(len(f[shardID])); at.Offset != n {
		return fmt.Errorf("I2: after offset %d of %s comes %d", int64(n)-1, shardID, at.Offset)
	}
	id, err := Identify(partitionKey, data)
	if err != nil {
		return fmt.Errorf("I1: at %v: %w", at, err)
	}
	f[shardID] = append(f[shardID], Seen{id, arrival})
	return nil
}

// Records counts the records.
func (f Final) Records() (n int) {
	for _, log := range f {
		n += len(log)
	}
	return n
}

// Verdict is the outcome of a check.
type Verdict struct {
	Records int // in the stream
	Found   int // of unknown fate, in the stream
	Lost    int // acknowledged, not at their place
	Broken  []string
}

// Check compares the history with what is in the stream at the end. Nobody may be putting any more.
func (h *History) Check(final Final) Verdict {
	v := Verdict{Records: final.Records()}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, at := range h.places {
		if log := final[at.Shard]; at.Offset >= uint64(len(log)) || log[at.Offset].ID != id {
			v.Lost++
			h.breakLocked("I1: LOST: %v was acknowledged at %v, which holds %v", id, at, hold(log, at.Offset))
		}
	}
	for shard, log := range h.seen {
		for offset, s := range log {
			if now := final[shard]; offset >= len(now) || now[offset].ID != s.ID || !now[offset].Arrival.Equal(s.Arrival) {
				h.breakLocked("I3: %v was read at %s/%d, which holds %v at the end", s.ID, shard, offset, hold(now, uint64(offset)))
			}
		}
	}
	where := map[ID]Place{}
	for shard, log := range final {
		for offset, s := range log {
			at := Place{shard, uint64(offset)}
			if was, twice := where[s.ID]; twice {
				h.breakLocked("I1: %v is in the stream twice, at %v and %v", s.ID, was, at)
			}
			where[s.ID] = at
			if offset > 0 && s.Arrival.Before(log[offset-1].Arrival) {
				h.breakLocked("I9: at %v the arrival time falls", at)
			}
			switch h.fates[s.ID] {
			case acked: // its place was compared above
			case unknown:
				v.Found++
			case refused:
				h.breakLocked("I1: %v was refused as certainly not written and is at %v", s.ID, at)
			default:
				h.breakLocked("I1: %v at %v was never put", s.ID, at)
			}
		}
	}
	v.Broken = append(v.Broken, h.broken...)
	return v
}

func hold(log []Seen, offset uint64) string {
	if offset >= uint64(len(log)) {
		return fmt.Sprintf("nothing (%d records)", len(log))
	}
	return log[offset].ID.String()
}
