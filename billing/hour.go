// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing/rating"
)

// window is a stretch of time, in microseconds since 1970: [from, to).
type window struct{ from, to int64 }

func (w window) length() int64 { return max(0, w.to-w.from) }

// and is what two windows have in common.
func (w window) and(o window) window { return window{max(w.from, o.from), min(w.to, o.to)} }

// span is a window in which something held, and what.
type span struct {
	window
	mode      leat.StreamMode // of modes
	retention int64           // of retentions, microseconds
}

// life is all that is known of one stream's states, sorted by when they began.
type life struct {
	account    string
	existed    []span
	modes      []span
	retentions []span
	shards     []span
	consumers  []span
}

// forever stands for the end of what still holds.
const forever = int64(1) << 62

var day = (24 * time.Hour).Microseconds()

// horizon is the first hour whose records are still kept at a time. It never goes back: what had expired before a
// retention was raised stays expired.
func (l *life) horizon(at int64) int64 {
	least := int64(0)
	for _, r := range l.retentions {
		if until := min(r.to, at); until >= r.from {
			least = max(least, until-r.retention)
		}
	}
	return hourOf(least)
}

// modeAt is the mode at a time; the first one before there was any.
func (l *life) modeAt(at int64) leat.StreamMode {
	mode := leat.ModeProvisioned
	for i, m := range l.modes {
		if i == 0 || m.from <= at {
			mode = m.mode
		}
	}
	return mode
}

// stored is what a stream holds when an hour begins: bytes that were put in the last 24 hours, in the 6 days before, and earlier.
type stored struct{ day, week, long int64 }

// usedIn computes what spans say of an hour, mode by mode: to the microsecond.
func (l *life) usedIn(hour int64, kept stored, into func(leat.StreamMode) *rating.Quantities) {
	whole := window{hour, hour + hourMicros}
	alive := int64(0)
	for _, e := range l.existed {
		alive += e.and(whole).length()
		for _, m := range l.modes {
			w := m.and(e.window).and(whole)
			if w.length() == 0 {
				continue
			}
			l.usedWithin(w, into(m.mode))
		}
	}
	if alive == 0 || kept == (stored{}) {
		return
	}
	q := into(l.modeAt(hour))
	q[rating.StorageDay] += share(kept.day, alive)
	q[rating.StorageWeek] += share(kept.week, alive)
	q[rating.StorageLong] += share(kept.long, alive)
}

// share is n byte-hours for a part of an hour, cut down to a byte-hour.
func share(n, micros int64) int64 {
	if micros == hourMicros {
		return n
	}
	return n/hourMicros*micros + n%hourMicros*micros/hourMicros
}

func (l *life) usedWithin(w window, q *rating.Quantities) {
	q[rating.StreamHours] += w.length()
	q[rating.ShardHours] += l.shardTime(w)
	for _, r := range l.retentions {
		if r.retention > day {
			q[rating.ShardExtendedHours] += l.shardTime(r.and(w))
		}
	}
	for _, c := range l.consumers {
		wc := c.and(w)
		if wc.length() > 0 {
			q[rating.ConsumerHours] += wc.length()
			q[rating.ConsumerShardHours] += l.shardTime(wc)
		}
	}
}

// shardTime adds up the time for which shards were open in a window.
func (l *life) shardTime(w window) (micros int64) {
	if w.length() == 0 {
		return 0
	}
	for _, s := range l.shards {
		micros += s.and(w).length()
	}
	return micros
}
