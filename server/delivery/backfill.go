// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore"
)

// maxBackfills bounds the backfills that are kept of one delivery stream.
const maxBackfills = 100

// Backfill delivers again what arrived from a time on and before another, while the live delivery goes on. c is the
// configuration to do it by, valid in form; its source MUST be the delivery stream's. Objects of a backfill have other names
// than those of the live delivery, so the same prefix holds both.
func (e *Engine) Backfill(ctx context.Context, account, name string, from, to time.Time, change func(*spec.Config) error) (spec.Backfill, error) {
	d, err := e.tables.whole(ctx, account, name)
	if err != nil {
		return spec.Backfill{}, err
	}
	if d.State == spec.Deleting {
		return spec.Backfill{}, leat.Errorf(leat.KindInUse, "Delivery stream %s is being deleted.", name)
	}
	b := spec.Backfill{From: from.UTC().Truncate(time.Microsecond), To: to.UTC().Truncate(time.Microsecond), Config: d.Config, Created: e.cfg.Clock.Now().UTC().Truncate(time.Microsecond)}
	if !b.From.Before(b.To) {
		return b, leat.Invalid("from", "from must be before to")
	}
	if b.To.After(b.Created) {
		b.To = b.Created // what comes later is live
	}
	if err := change(&b.Config); err != nil {
		return b, err
	}
	if err := b.Config.Validate(); err != nil {
		return b, err
	}
	if err := e.check(ctx, account, name, b.Config); err != nil {
		return b, err
	}
	there, err := e.tables.backfills(ctx, d.ID)
	if err != nil {
		return b, err
	}
	if len(there) >= maxBackfills {
		return b, leat.Errorf(leat.KindLimitExceeded, "delivery stream %s has had %d backfills, the most that are kept", name, len(there))
	}
	b.ID = leat.NewID[leat.StreamID](e.cfg.Rand).String()[:12]
	cursors, err := e.stretch(ctx, d.Stream, &b)
	if err != nil {
		return b, err
	}
	if err := e.tables.addBackfill(ctx, d.ID, &b, cursors); err != nil {
		return b, err
	}
	e.wake()
	for _, c := range cursors {
		b.Shards = append(b.Shards, e.progress(ctx, &d, c))
	}
	return b, nil
}

// stretch finds the records of a time in every shard that is kept.
func (e *Engine) stretch(ctx context.Context, stream leat.StreamID, b *spec.Backfill) ([]cursor, error) {
	shards, err := e.cfg.Catalog.Shards(ctx, stream)
	if err != nil {
		return nil, err
	}
	var cursors []cursor
	for i := range shards {
		if !shards[i].Open() && shards[i].Closed.Before(b.From) {
			continue
		}
		first, err := e.cfg.Records.Locate(ctx, shards[i].Key, leat.Micros(b.From))
		if err != nil {
			return nil, err
		}
		end, err := e.cfg.Records.Locate(ctx, shards[i].Key, leat.Micros(b.To))
		if err != nil {
			return nil, err
		}
		cursors = append(cursors, cursor{ordinal: shards[i].Key.Ordinal, start: first, next: first, stop: int64(max(first, end)), done: first >= end})
	}
	return cursors, nil
}

// arrival returns when the record at an offset, or the first one after it that is kept, arrived.
func (e *Engine) arrival(ctx context.Context, key leat.ShardKey, at uint64) (micros int64, ok bool) {
	page, err := e.cfg.Records.Read(ctx, key, at, shardstore.ReadLimits{Records: 1, Bytes: 1, Look: true})
	if err != nil || len(page.Records) == 0 {
		return 0, false
	}
	return page.Records[0].Time, true
}
