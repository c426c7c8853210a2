// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
)

// ledger is what the world outside knows: what it sent, what was acked and what readers saw. It is compared with what
// is stored in the end, by the numbers of the invariants in data-plane.md.
type ledger struct {
	mu    sync.Mutex
	acked map[leat.ShardKey]map[uint64]string
	sent  map[leat.ShardKey]map[string]bool
	seen  map[leat.ShardKey]map[uint64]string
	wrong []error
}

func newLedger() *ledger {
	return &ledger{
		acked: map[leat.ShardKey]map[uint64]string{}, sent: map[leat.ShardKey]map[string]bool{},
		seen: map[leat.ShardKey]map[uint64]string{},
	}
}

// note keeps a violation. mu is held.
func (l *ledger) note(format string, args ...any) {
	if len(l.wrong) < 20 {
		l.wrong = append(l.wrong, fmt.Errorf(format, args...))
	}
}

func (l *ledger) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(format, args...)
}

func inner[K comparable, V any](m map[leat.ShardKey]map[K]V, k leat.ShardKey) map[K]V {
	if m[k] == nil {
		m[k] = map[K]V{}
	}
	return m[k]
}

// put appends records, each of which is sent only once in its life, and notes the outcomes. It tells whether all were
// acked, and the error of the first that was not.
func (l *ledger) put(ctx context.Context, s *shardstore.Store, puts []shardstore.Put) (err error) {
	l.mu.Lock()
	for _, p := range puts {
		inner(l.sent, p.Shard)[string(p.Record.Data)] = true
	}
	l.mu.Unlock()
	if err := s.Append(ctx, puts); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range puts {
		if p.Err != nil {
			err = errors.Join(err, p.Err)
			continue
		}
		acked := inner(l.acked, p.Shard)
		data, off := string(p.Record.Data), p.Record.Offset
		if old, taken := acked[off]; taken {
			l.note("I1: %s offset %d was acked for %q and for %q", p.Shard, off, old, data)
		}
		if old, taken := inner(l.seen, p.Shard)[off]; taken && old != data {
			l.note("I2: %s offset %d was seen as %q and acked as %q", p.Shard, off, old, data)
		}
		acked[off] = data
	}
	return err
}

// saw notes what a reader was shown.
func (l *ledger) saw(k leat.ShardKey, records []leat.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := inner(l.seen, k)
	for _, r := range records {
		data := string(r.Data)
		if old, ok := seen[r.Offset]; ok && old != data {
			l.note("I2: %s offset %d was seen as %q and as %q", k, r.Offset, old, data)
		}
		if !inner(l.sent, k)[data] {
			l.note("I1: %s offset %d shows %q, which nobody sent", k, r.Offset, data)
		}
		seen[r.Offset] = data
	}
}

// final reads a shard from its horizon on and compares it with what was acked and seen.
func (l *ledger) final(ctx context.Context, s *shardstore.Store, k leat.ShardKey) {
	b, err := s.Bounds(ctx, k)
	if err != nil {
		l.complain("%s: bounds: %v", k, err)
		return
	}
	all, err := readAll(ctx, s, k)
	if err != nil {
		l.complain("%s cannot be read: %w", k, err)
		return
	}
	l.saw(k, all)
	l.mu.Lock()
	defer l.mu.Unlock()
	if uint64(len(all)) != b.Tail-b.Horizon {
		l.note("I2, I7: %s has %d records from %d to %d", k, len(all), b.Horizon, b.Tail)
	}
	at := map[uint64]string{}
	where := map[string]uint64{}
	last := int64(0)
	for i, r := range all {
		if r.Offset != b.Horizon+uint64(i) {
			l.note("I2: %s record %d from the horizon has offset %d", k, i, r.Offset)
		}
		if r.Time < last {
			l.note("I9: %s offset %d is of %d, after %d", k, r.Offset, r.Time, last)
		}
		data := string(r.Data)
		if other, twice := where[data]; twice {
			l.note("I1: %s holds %q at %d and at %d", k, data, other, r.Offset)
		}
		last, at[r.Offset], where[data] = r.Time, data, r.Offset
	}
	for what, known := range map[string]map[uint64]string{"acked": l.acked[k], "seen": l.seen[k]} {
		for off, data := range known {
			if off >= b.Horizon && at[off] != data {
				l.note("I1, I3, I4: %s offset %d was %s as %q and holds %q", k, off, what, data, at[off])
			}
		}
	}
}

func readAll(ctx context.Context, s *shardstore.Store, k leat.ShardKey) (all []leat.Record, err error) {
	for from := uint64(0); ; {
		p, err := s.Read(ctx, k, from, shardstore.ReadLimits{Records: 1000, Bytes: 10 << 20})
		if err != nil {
			return all, err
		}
		all = append(all, p.Records...)
		if p.Next >= p.Tail {
			return all, nil
		}
		if p.Next <= from {
			return all, fmt.Errorf("the read at %d makes no progress", from)
		}
		from = p.Next
	}
}

func (l *ledger) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.wrong...)
}
