// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// RemoveStream takes a stream that is DELETING out of the catalog: its shards at once, so that nothing is indexed for
// them any more, then its extents in batches, then its keys, and its own row last. Objects and segments that nothing
// names afterwards are queued for deletion. It may be called again after it failed; a stream that does not exist is fine. KindInUse when
// the stream is not DELETING.
func (c *Catalog) RemoveStream(ctx context.Context, id leat.StreamID) error {
	s, there, err := c.removeShards(ctx, id)
	if err != nil || !there {
		return err
	}
	for more := true; more; {
		if err := c.settle(ctx, func(tx *sqldb.Tx) (err error) {
			more, err = c.removeExtents(tx, id)
			return err
		}); err != nil {
			return err
		}
	}
	if err := c.removeClosedShards(ctx, id); err != nil {
		return err
	}
	// Its extents are gone, and it stays DELETING whatever happens: nobody asks for its keys any more.
	if c.opts.DestroyKeys != nil {
		if err := c.opts.DestroyKeys(ctx, s); err != nil {
			return fmt.Errorf("destroy its keys: %w", err)
		}
	}
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		if _, err := bump(tx); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM stream_keys WHERE stream = $1", id); err != nil {
			return err
		}
		n, err := tx.Exec("DELETE FROM streams WHERE id = $1 AND status = 'DELETING'", id)
		if n > 0 {
			tx.Note(goneStream{id})
		}
		return err
	})
}

// removeShards takes the rows that others look at: from here on Register counts the stream's extents alone and FinishReshard
// skips its reshards.
func (c *Catalog) removeShards(ctx context.Context, id leat.StreamID) (s leat.Stream, there bool, err error) {
	err = c.settle(ctx, func(tx *sqldb.Tx) error {
		there = false
		if _, err := bump(tx); err != nil {
			return err
		}
		var err error
		s, err = theStream(tx, id)
		if leat.KindOf(err) == leat.KindNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		if s.Status != leat.StreamDeleting {
			return leat.Errorf(leat.KindInUse, "Stream %s under account %s not DELETING, instead in state %s", s.Name, s.Account, s.Status)
		}
		there = true
		tx.Note(changedStream{id})
		tx.Note(bareStream{id})
		for _, table := range []string{"intents", "consumers", "shards", "tags", "policies", "scale_calls", "scale_events"} {
			if _, err := tx.Exec("DELETE FROM "+table+" WHERE stream = $1", id); err != nil {
				return err
			}
		}
		return nil
	})
	return s, there, err
}

// removeExtents takes one batch of extents away and tells whether there may be more.
func (c *Catalog) removeExtents(tx *sqldb.Tx, id leat.StreamID) (more bool, err error) {
	const batch = "SELECT stream, ordinal, first_offset, object FROM extents WHERE stream = $1 ORDER BY ordinal, first_offset LIMIT $2"
	rows := sqldb.NewRows(3, c.opts.RemoveBatch)
	var objects []string
	err = tx.Each(batch, func(scan sqldb.Scan) error {
		var stream leat.StreamID
		var ordinal, first uint64
		var object string
		err := scan(sqldb.ID(&stream), sqldb.U64(&ordinal), sqldb.U64(&first), &object)
		rows.Add(stream, ordinal, first)
		objects = append(objects, object)
		return err
	}, id, c.opts.RemoveBatch)
	if err != nil || rows.Len() == 0 {
		return false, err
	}
	slices.Sort(objects)
	objects = slices.Compact(objects)
	if err := holdObjects(tx, objects); err != nil {
		return false, err
	}
	if _, err := tx.ExecRows("DELETE FROM extents WHERE (stream, ordinal, first_offset) IN (VALUES $rows)", rows); err != nil {
		return false, err
	}
	return true, releaseObjects(tx, objects, c.deleteAt())
}

// removeClosedShards drops what closed sessions hold of the stream.
func (c *Catalog) removeClosedShards(ctx context.Context, id leat.StreamID) error {
	var sessions []leat.SessionID
	err := c.db.View(ctx, func(tx *sqldb.Tx) error {
		sessions = nil
		return tx.Each("SELECT DISTINCT session FROM closed_shards WHERE stream = $1", func(scan sqldb.Scan) error {
			var s leat.SessionID
			err := scan(sqldb.ID(&s))
			sessions = append(sessions, s)
			return err
		}, id)
	})
	if err != nil {
		return err
	}
	for _, s := range sessions {
		err := c.settle(ctx, func(tx *sqldb.Tx) error {
			return dropClosedShards(tx, s, c.deleteAt(), func() error {
				_, err := tx.Exec("DELETE FROM closed_shards WHERE session = $1 AND stream = $2", s, id)
				return err
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
