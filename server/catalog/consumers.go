// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// maxConsumersCreating is how many consumers of a stream may be CREATING at once, as with Kinesis.
const maxConsumersCreating = 5

// NewConsumer is what a consumer is made of. The caller has validated it.
type NewConsumer struct {
	Stream leat.StreamID
	Name   string
	Active time.Time // CREATING before it
	Most   int       // consumers that the stream can have; 0 means 20
	Tags   map[string]string
}

// RegisterConsumer makes a consumer that is CREATING before a time and ACTIVE from then on. KindInUse when the stream has
// one of that name or is being deleted, KindLimitExceeded when it has as many as it can have, or 5 that are CREATING.
func (c *Catalog) RegisterConsumer(ctx context.Context, spec NewConsumer) (leat.Consumer, error) {
	stream, name := spec.Stream, spec.Name
	now := c.now().UTC().Truncate(time.Microsecond)
	written := false
	err := c.settle(ctx, func(tx *sqldb.Tx) error {
		if _, err := bump(tx); err != nil { // makes the count below hold
			return err
		}
		s, err := theStream(tx, stream)
		if err != nil {
			return err
		}
		if s.Status == leat.StreamCreating || s.Status == leat.StreamDeleting {
			return notActive(&s)
		}
		var created int64
		switch err := tx.Row("SELECT created FROM consumers WHERE stream = $1 AND name = $2", stream, name).Scan(&created); {
		case err == nil && written && created == leat.Micros(now):
			return nil // an earlier run of this transaction
		case err == nil:
			return leat.Errorf(leat.KindInUse, "Consumer %s of stream %s under account %s already exists.", name, s.Name, s.Account)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if err := roomForConsumer(tx, &s, now, cmp.Or(spec.Most, leat.MaxConsumersPerStream)); err != nil {
			return err
		}
		if _, err = tx.Exec("INSERT INTO consumers (stream, name, created, active) VALUES ($1, $2, $3, $4)", stream, name, now, spec.Active); err != nil {
			return err
		}
		written = true
		tx.Note(changedStream{stream})
		return writeTags(tx, Resource{Stream: stream, Consumer: name}, spec.Tags)
	})
	return consumerAt(stream, name, now, spec.Active, now), err
}

func roomForConsumer(tx *sqldb.Tx, s *leat.Stream, now time.Time, most int) error {
	var all, creating int
	err := tx.Row("SELECT count(*), count(CASE WHEN active > $2 THEN 1 END) FROM consumers WHERE stream = $1", s.ID, now).Scan(&all, &creating)
	switch {
	case err != nil:
		return err
	case all >= most:
		return leat.Errorf(leat.KindLimitExceeded, "Stream %s under account %s has %d consumers: deregister one first.", s.Name, s.Account, all)
	case creating >= maxConsumersCreating:
		return leat.Errorf(leat.KindLimitExceeded, "Stream %s under account %s has %d consumers in state CREATING: wait until they are ACTIVE.", s.Name, s.Account, creating)
	}
	return nil
}

func consumerAt(stream leat.StreamID, name string, created, active, now time.Time) leat.Consumer {
	c := leat.Consumer{Stream: stream, Name: name, Created: created, Status: leat.ConsumerActive}
	if active.After(now) {
		c.Status = leat.ConsumerCreating
	}
	return c
}

// Consumer returns a stream's consumer; KindNotFound when there is none of that name.
func (c *Catalog) Consumer(ctx context.Context, stream leat.StreamID, name string) (leat.Consumer, error) {
	all, err := c.consumers(ctx, "stream = $1 AND name = $2", stream, name)
	if err != nil {
		return leat.Consumer{}, err
	}
	if len(all) == 0 {
		return leat.Consumer{}, noConsumer(name)
	}
	return all[0], nil
}

func noConsumer(name string) error {
	return leat.Errorf(leat.KindNotFound, "Consumer %s not found.", name)
}

// ListConsumers returns up to limit consumers of a stream whose names come after a name, in byte order of names.
func (c *Catalog) ListConsumers(ctx context.Context, stream leat.StreamID, after string, limit int) ([]leat.Consumer, error) {
	return c.consumers(ctx, "stream = $1 AND name > $2 ORDER BY name LIMIT $3", stream, after, limit)
}

func (c *Catalog) consumers(ctx context.Context, where string, args ...any) (all []leat.Consumer, err error) {
	now := c.now()
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT stream, name, created, active FROM consumers WHERE "+where, func(scan sqldb.Scan) error {
			var stream leat.StreamID
			var name string
			var created, active time.Time
			err := scan(sqldb.ID(&stream), &name, sqldb.Time(&created), sqldb.Time(&active))
			all = append(all, consumerAt(stream, name, created, active, now))
			return err
		}, args...)
	})
	return all, err
}

// DeregisterConsumer removes a consumer at once, with its tags and its policy. created is when it was made, in seconds since
// 1970, or 0 for any. KindNotFound when there is none of that name and time.
func (c *Catalog) DeregisterConsumer(ctx context.Context, stream leat.StreamID, name string, created int64) error {
	gone := false
	return c.tx(ctx, func(tx *sqldb.Tx) error {
		if _, err := bump(tx); err != nil {
			return err
		}
		if _, err := (Resource{stream, name, created}).find(tx); err != nil {
			if gone && leat.KindOf(err) == leat.KindNotFound {
				return nil // an earlier run of this transaction was applied
			}
			return err
		}
		n, err := tx.Exec("DELETE FROM consumers WHERE stream = $1 AND name = $2", stream, name)
		if err := sqldb.One(n, err, noConsumer(name)); err != nil {
			return err
		}
		gone = true
		tx.Note(changedStream{stream})
		return dropConsumerResources(tx, stream, name)
	})
}
