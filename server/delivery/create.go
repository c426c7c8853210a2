// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/shardstore"
)

// Create makes a delivery stream, whose place in its source is decided when Create returns. The Config has its defaults and
// is valid in form.
func (e *Engine) Create(ctx context.Context, account, name string, c spec.Config, tags map[string]string) (spec.Delivery, error) {
	if err := e.check(ctx, account, name, c); err != nil {
		return spec.Delivery{}, err
	}
	if err := e.absent(ctx, account, name); err != nil {
		return spec.Delivery{}, err
	}
	now := e.cfg.Clock.Now().UTC().Truncate(time.Microsecond)
	d := spec.Delivery{
		ID: leat.NewID[leat.StreamID](e.cfg.Rand).String(), Account: account, Name: name, State: spec.Active, Version: 1, Config: c, Tags: tags, Created: now, Updated: now,
	}
	var cursors []cursor
	var err error
	if c.Source.Direct() {
		d.Stream, err = e.hidden(ctx, account, name, c.Source.Shards)
	} else {
		cursors, err = e.places(ctx, &d)
	}
	if err != nil {
		return spec.Delivery{}, err
	}
	if err := e.tables.insert(ctx, &d, cursors); err != nil {
		if c.Source.Direct() { // puts would find it
			err = errors.Join(err, e.discard(context.WithoutCancel(ctx), d.Stream, ""))
		}
		return spec.Delivery{}, err
	}
	e.wake()
	return d, nil
}

// absent returns KindInUse when an account has a delivery stream of a name.
func (e *Engine) absent(ctx context.Context, account, name string) error {
	switch _, err := e.tables.one(ctx, account, name); {
	case err == nil:
		return exists(account, name)
	case leat.KindOf(err) != leat.KindNotFound:
		return err
	}
	return nil
}

// check refuses a configuration that cannot work, naming the member: expressions, queries, modules and credentials.
func (e *Engine) check(ctx context.Context, account, name string, c spec.Config) error {
	for _, s := range c.Secrets() {
		if *s != "" && e.cfg.Master == nil {
			return leat.Errorf(leat.KindUnsupported, "this server was started without a master key, so it keeps no credentials of destinations: give it one with --master-key-file, or leave the credentials to the server")
		}
	}
	t, err := e.compile(ctx, account, name, c)
	if err != nil {
		return err
	}
	t.close()
	return e.refuse(&c)
}

// hidden makes the stream that keeps direct puts.
func (e *Engine) hidden(ctx context.Context, account, name string, shards int) (leat.StreamID, error) {
	s, err := e.cfg.Catalog.CreateStream(ctx, catalog.NewStream{
		Account: spec.HiddenAccount(account), Name: name, Mode: leat.ModeOnDemand, Shards: shards, Retention: leat.MinRetention, MaxRecordBytes: leat.DefaultMaxRecordBytes,
	})
	if leat.KindOf(err) == leat.KindInUse {
		return leat.StreamID{}, e.taken(ctx, account, name)
	}
	if err != nil {
		return leat.StreamID{}, err
	}
	e.cfg.Kick()
	return s.ID, nil
}

// creationTakes is how long a hidden stream may be without its delivery stream while that is being made.
const creationTakes = time.Minute

// taken says why a delivery stream cannot be made whose hidden stream is there: another call makes it or has made it, it is
// being deleted, or a creation died over it, which is cleared away.
func (e *Engine) taken(ctx context.Context, account, name string) error {
	if err := e.absent(ctx, account, name); err != nil {
		return err
	}
	s, err := e.cfg.Catalog.StreamByName(ctx, spec.HiddenAccount(account), name)
	if err != nil && leat.KindOf(err) != leat.KindNotFound {
		return err
	}
	if err == nil && s.Created.Before(e.cfg.Clock.Now().Add(-creationTakes)) {
		if err := e.discard(ctx, s.ID, ""); err != nil {
			return err
		}
	}
	return leat.Errorf(leat.KindUnavailable, "delivery stream %s is being made or deleted: retry", name)
}

// discard has a hidden stream removed, unless another delivery stream than owner has it; owner is empty for none.
func (e *Engine) discard(ctx context.Context, id leat.StreamID, owner string) error {
	err := e.cfg.Catalog.BeginDeleteIf(ctx, id, func(tx *sqldb.Tx) error { return others(tx, id, owner) })
	if kind := leat.KindOf(err); err != nil && (kind == leat.KindNotFound || kind == leat.KindInUse) {
		return nil // it is gone, or another's
	}
	e.cfg.Directory.Changed(ctx) // it takes no puts any more
	e.cfg.Kick()
	return err
}

// places finds where in the source stream to begin.
func (e *Engine) places(ctx context.Context, d *spec.Delivery) ([]cursor, error) {
	src := &d.Config.Source
	s, err := e.cfg.Catalog.StreamByName(ctx, d.Account, src.Stream)
	if err != nil {
		return nil, err
	}
	if s.Status == leat.StreamCreating || s.Status == leat.StreamDeleting {
		return nil, leat.Errorf(leat.KindInUse, "Stream %s under account %s is %s.", s.Name, s.Account, s.Status)
	}
	d.Stream = s.ID
	shards, err := e.cfg.Catalog.Shards(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	kept := map[uint64]*leat.Shard{}
	for i := range shards {
		kept[shards[i].Key.Ordinal] = &shards[i]
	}
	var cursors []cursor
	for i := range shards {
		if !begins(src, &shards[i], kept) {
			continue
		}
		c, err := e.placeIn(ctx, src, shards[i].Key)
		if err != nil {
			return nil, err
		}
		cursors = append(cursors, c)
	}
	return cursors, nil
}

// begins tells whether a delivery begins in a shard; in its children it begins when it is through with it.
func begins(src *spec.Source, s *leat.Shard, kept map[uint64]*leat.Shard) bool {
	if src.From == spec.Latest {
		return s.Open()
	}
	if over(src, s) {
		return false
	}
	for _, parent := range []*uint64{s.Parent, s.AdjacentParent} {
		if parent != nil && kept[*parent] != nil && !over(src, kept[*parent]) {
			return false
		}
	}
	return true
}

// over tells whether a shard had ended before the time that a delivery begins at.
func over(src *spec.Source, s *leat.Shard) bool {
	return src.From == spec.AtTime && !s.Open() && leat.Micros(s.Closed) < src.Time
}

func (e *Engine) placeIn(ctx context.Context, src *spec.Source, key leat.ShardKey) (c cursor, err error) {
	c = cursor{ordinal: key.Ordinal, stop: -1}
	switch src.From {
	case spec.AtTime:
		c.start, err = e.cfg.Records.Locate(ctx, key, src.Time)
	default:
		var b shardstore.Bounds
		b, err = e.cfg.Records.Bounds(ctx, key)
		if c.start = b.Horizon; src.From == spec.Latest {
			c.start = b.Tail
		}
	}
	c.next = c.start
	if err != nil {
		return c, leat.Errorf(leat.KindUnavailable, "%s cannot be asked now where it begins: retry: %w", leat.ShardID(key.Ordinal), err)
	}
	return c, nil
}

// Update changes a delivery stream. Its place stays; ranges that are planned keep the configuration that they were planned with,
// but for what renew takes from the present one.
func (e *Engine) Update(ctx context.Context, account, name string, ch spec.Change) (spec.Delivery, error) {
	if ch.Config != nil {
		old, err := e.tables.whole(ctx, account, name)
		unread, ok := errors.AsType[*secretsError](err)
		if err != nil && !ok {
			return old, err
		}
		inherit(ch.Config, &old.Config)
		if unread != nil {
			if err := demand(ch.Config, &old.Config, unread); err != nil {
				return old, err
			}
		}
		if err := ch.Config.Validate(); err != nil {
			return old, err
		}
		if err := e.check(ctx, account, name, *ch.Config); err != nil {
			return old, err
		}
	}
	d, err := e.tables.update(ctx, account, name, func(d *spec.Delivery) error {
		if d.State == spec.Deleting {
			return leat.Errorf(leat.KindInUse, "Delivery stream %s is being deleted.", name)
		}
		if ch.IfVersion != 0 && ch.IfVersion != d.Version {
			return leat.Errorf(leat.KindInUse, "delivery stream %s has version %d, not %d: look at it again", name, d.Version, ch.IfVersion)
		}
		if ch.State != "" {
			d.State = ch.State
		}
		if ch.Config != nil {
			if ch.Config.Source != d.Config.Source {
				return leat.Invalid("source", "the source of a delivery stream never changes: make another delivery stream")
			}
			d.Config, d.Version = *ch.Config, d.Version+1
		}
		return retag(d, &ch)
	})
	e.wake()
	return d, err
}

func retag(d *spec.Delivery, ch *spec.Change) error {
	tags := map[string]string{}
	for k, v := range d.Tags {
		tags[k] = v
	}
	for k, v := range ch.SetTags {
		tags[k] = v
	}
	for _, k := range ch.DropTags {
		delete(tags, k)
	}
	if len(tags) > leat.MaxTags {
		return leat.Invalid("tags", "%d tags: a delivery stream may have %d", len(tags), leat.MaxTags)
	}
	d.Tags = tags
	return nil
}

// Delete takes a delivery stream away at once. What it wrote stays; what was put into it directly and is not delivered yet
// is gone.
func (e *Engine) Delete(ctx context.Context, account, name string) error {
	d, err := e.tables.update(ctx, account, name, func(d *spec.Delivery) error {
		d.State = spec.Deleting
		return nil
	})
	if err != nil {
		return err
	}
	// A worker that does not stop finds its plan gone.
	e.stop(ctx, func(w *worker) bool { return w.want.delivery.ID == d.ID })
	return e.remove(context.WithoutCancel(ctx), &d) // whoever asked may be gone
}

// deletionTakes is how long a deletion may be under way before others do the rest.
const deletionTakes = time.Minute

// remove does the rest of a deletion. It may be done again.
func (e *Engine) remove(ctx context.Context, d *spec.Delivery) error {
	if d.Config.Source.Direct() {
		// By its id: a delivery stream that was made meanwhile under this name has another one.
		if err := e.discard(ctx, d.Stream, d.ID); err != nil {
			return err
		}
	}
	err := e.removeAll(ctx, d.ID)
	e.wake()
	return err
}

// List returns up to limit of an account's delivery streams whose names come after one, by name.
func (e *Engine) List(ctx context.Context, account, after string, limit int) ([]spec.Delivery, error) {
	return e.tables.list(ctx, account, strings.TrimSpace(after), limit)
}
