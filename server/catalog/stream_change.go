// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// StreamUpdate says what to change of a stream; nil leaves as it is. The caller has validated it.
type StreamUpdate struct {
	Version        uint64 // that the stream must have; 0 for any
	Retention      *time.Duration
	Mode           *leat.StreamMode
	MaxRecordBytes *int
}

// ActivateStream ends CREATING. A stream in another status stays as it is.
func (c *Catalog) ActivateStream(ctx context.Context, id leat.StreamID) error {
	return c.change(ctx, id, func(_ *sqldb.Tx, s *leat.Stream) error {
		if s.Status == leat.StreamCreating {
			s.Status = leat.StreamActive
		}
		return nil
	})
}

// UpdateStream changes a stream's settings and returns it. What had expired under the old retention stays expired.
// KindInUse when its version is another, or when it is being deleted.
func (c *Catalog) UpdateStream(ctx context.Context, id leat.StreamID, u StreamUpdate) (updated leat.Stream, err error) {
	err = c.change(ctx, id, func(_ *sqldb.Tx, s *leat.Stream) error {
		if s.Status == leat.StreamDeleting {
			return notActive(s)
		}
		if u.Version != 0 && u.Version != s.Version {
			return leat.Errorf(leat.KindInUse, "Stream %s under account %s was changed by another request.", s.Name, s.Account)
		}
		if u.Retention != nil && *u.Retention != s.Retention {
			if expired := c.now().Add(-s.Retention).UTC().Truncate(time.Microsecond); *u.Retention > s.Retention && expired.After(s.ExpiredBefore) {
				s.ExpiredBefore = expired
			}
			s.Retention = *u.Retention
		}
		if u.Mode != nil {
			s.Mode = *u.Mode
		}
		if u.MaxRecordBytes != nil {
			s.MaxRecordBytes = *u.MaxRecordBytes
		}
		return nil
	}, &updated)
	return updated, err
}

// BeginDelete moves a stream to DELETING, from where it only goes away (RemoveStream). KindInUse when it has consumers
// and they are not to be deleted with it.
func (c *Catalog) BeginDelete(ctx context.Context, id leat.StreamID, withConsumers bool) error {
	return c.change(ctx, id, func(tx *sqldb.Tx, s *leat.Stream) error {
		if s.Status == leat.StreamDeleting {
			return nil
		}
		if !withConsumers {
			var n int
			if err := tx.Row("SELECT count(*) FROM consumers WHERE stream = $1", s.ID).Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				return leat.Errorf(leat.KindInUse, "Stream %s under account %s has %d registered consumers: deregister them, or enforce their deletion.", s.Name, s.Account, n)
			}
		}
		s.Status, s.TargetShards = leat.StreamDeleting, 0
		return nil
	})
}

// SetTargetShards begins to scale a stream to n shards: it is UPDATING until NextScaleStep finds that it has them.
// KindInUse when it is not ACTIVE.
func (c *Catalog) SetTargetShards(ctx context.Context, id leat.StreamID, n int) (updated leat.Stream, err error) {
	if n < 1 {
		return updated, leat.Invalid("target_shard_count", "a stream must have at least one shard")
	}
	err = c.change(ctx, id, func(_ *sqldb.Tx, s *leat.Stream) error {
		if s.Status != leat.StreamActive {
			return notActive(s)
		}
		s.Status, s.TargetShards = leat.StreamUpdating, n
		return nil
	}, &updated)
	return updated, err
}

// ClearTarget gives up scaling a stream. It is ACTIVE again, at once or when the step under way is done.
func (c *Catalog) ClearTarget(ctx context.Context, id leat.StreamID) error {
	return c.change(ctx, id, func(tx *sqldb.Tx, s *leat.Stream) error {
		s.TargetShards = 0
		return rest(tx, s)
	})
}

// rest makes an UPDATING stream ACTIVE that has no target and no pending reshard.
func rest(tx *sqldb.Tx, s *leat.Stream) error {
	if s.Status != leat.StreamUpdating || s.TargetShards != 0 {
		return nil
	}
	var pending int
	if err := tx.Row("SELECT count(*) FROM intents WHERE stream = $1 AND state = 'pending'", s.ID).Scan(&pending); err != nil {
		return err
	}
	if pending == 0 {
		s.Status = leat.StreamActive
	}
	return nil
}

func notActive(s *leat.Stream) error {
	return leat.Errorf(leat.KindInUse, "Stream %s under account %s not ACTIVE, instead in state %s", s.Name, s.Account, s.Status)
}

// change lets edit change a stream in a transaction of its own and copies the result to the given places. KindNotFound
// when there is none.
func (c *Catalog) change(ctx context.Context, id leat.StreamID, edit func(*sqldb.Tx, *leat.Stream) error, results ...*leat.Stream) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		s, err := c.edit(tx, id, edit)
		for _, r := range results {
			*r = s
		}
		return err
	})
}

// edit reads a stream, lets edit change it and writes it back when it has. The revision's row, which is taken first,
// keeps others from changing it meanwhile.
func (c *Catalog) edit(tx *sqldb.Tx, id leat.StreamID, edit func(*sqldb.Tx, *leat.Stream) error) (s leat.Stream, err error) {
	if err := hold(tx); err != nil {
		return s, err
	}
	if s, err = theStream(tx, id); err != nil {
		return s, err
	}
	before := s
	if err := edit(tx, &s); err != nil || s.Equal(&before) {
		return s, err
	}
	revision, err := bump(tx)
	if err != nil {
		return s, err
	}
	return s, c.writeStream(tx, &s, before.Status, revision)
}

// writeStream stores a changed stream under a new version.
func (c *Catalog) writeStream(tx *sqldb.Tx, s *leat.Stream, before leat.StreamStatus, revision uint64) error {
	s.Version = revision
	n, err := tx.Exec(`
UPDATE streams SET mode = $2, status = $3, retention = $4, max_record = $5, expired_before = $6, target_shards = $7,
	next_ordinal = $8, version = $9, status_since = CASE WHEN status = $3 THEN status_since ELSE $10 END,
	encryption_key = $12, data_key = $13, monitoring = $14, warm_mibps = $15
WHERE id = $1 AND status = $11`,
		s.ID, string(s.Mode), string(s.Status), s.Retention, s.MaxRecordBytes, s.ExpiredBefore, s.TargetShards, s.NextOrdinal, s.Version,
		c.now(), string(before), s.EncryptionKey, s.DataKey, leat.JoinShardMetrics(s.Monitoring), s.WarmThroughput)
	return sqldb.One(n, err, leat.Errorf(leat.KindInternal, "stream %s changed under the revision's lock", s.ID))
}
