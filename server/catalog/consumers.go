// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// maxConsumersCreating is how many consumers of a stream may be CREATING at once, as with Kinesis.
const maxConsumersCreating = 5

// RegisterConsumer makes a consumer that is CREATING before a time and ACTIVE from then on. KindInUse when the stream has
// one of that name or is being deleted, KindLimitExceeded when it has 20, or 5 that are CREATING.
func (c *Catalog) RegisterConsumer(ctx context.Context, stream leat.StreamID, name string, active time.Time) (leat.Consumer, error) {
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
		if err := roomForConsumer(tx, &s, now); err != nil {
			return err
		}
		_, err = tx.Exec("INSERT INTO consumers (stream, name, created, active) VALUES ($1, $2, $3, $4)", stream, name, now, active)
		written = true
		return err
	})
	return consumerAt(stream, name, now, active, now), err
}

func roomForConsumer(tx *sqldb.Tx, s *leat.Stream, now time.Time) error {
	var all, creating int
	err := tx.Row("SELECT count(*), count(CASE WHEN active > $2 THEN 1 END) FROM consumers WHERE stream = $1", s.ID, now).Scan(&all, &creating)
	switch {
	case err != nil:
		return err
	case all >= leat.MaxConsumersPerStream:
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

// DeregisterConsumer removes a consumer at once. KindNotFound when there is none of that name.
func (c *Catalog) DeregisterConsumer(ctx context.Context, stream leat.StreamID, name string) error {
	return c.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if _, err := bump(tx); err != nil {
			return err
		}
		n, err := tx.Exec("DELETE FROM consumers WHERE stream = $1 AND name = $2", stream, name)
		return sqldb.One(n, err, noConsumer(name))
	})
}
