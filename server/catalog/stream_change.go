// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// StreamUpdate says what to change of a stream; nil leaves as it is. The caller has validated it.
type StreamUpdate struct {
	Version        uint64 // that the stream must have; 0 for any
	Retention      *time.Duration
	Direction      int // of Retention: -1 down only, 1 up only, 0 either
	Mode           *leat.StreamMode
	MaxRecordBytes *int
	WarmThroughput *int // MiB/s
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

// UpdateStream changes a stream's settings and returns it. What had expired under the old retention stays expired. A
// stream that has fewer open shards than MiB/s of warm throughput begins to scale to as many.
//
// KindInvalidArgument for a retention in the wrong direction, and for warm throughput of a provisioned stream; KindInUse
// when its version is another, or when it is being deleted.
func (c *Catalog) UpdateStream(ctx context.Context, id leat.StreamID, u StreamUpdate) (updated leat.Stream, err error) {
	err = c.change(ctx, id, func(tx *sqldb.Tx, s *leat.Stream) error {
		if s.Status == leat.StreamDeleting {
			return notActive(s)
		}
		if u.Version != 0 && u.Version != s.Version {
			return leat.Errorf(leat.KindInUse, "Stream %s under account %s was changed by another request.", s.Name, s.Account)
		}
		if u.Retention != nil {
			if err := c.setRetention(s, *u.Retention, u.Direction); err != nil {
				return err
			}
		}
		if u.Mode != nil {
			s.Mode = *u.Mode
		}
		if u.MaxRecordBytes != nil {
			s.MaxRecordBytes = *u.MaxRecordBytes
		}
		return setWarmThroughput(tx, s, u.WarmThroughput)
	}, &updated)
	return updated, err
}

// setRetention has the texts of AWS.
func (c *Catalog) setRetention(s *leat.Stream, d time.Duration, direction int) error {
	switch {
	case direction > 0 && d < s.Retention:
		return leat.Invalid("retention_hours", "Requested retention period (%d hours) for stream %s can not be shorter than existing retention period (%d hours). Use DecreaseRetentionPeriod API.",
			d/time.Hour, s.Name, s.Retention/time.Hour)
	case direction < 0 && d > s.Retention:
		return leat.Invalid("retention_hours", "Requested retention period (%d hours) for stream %s can not be longer than existing retention period (%d hours). Use IncreaseRetentionPeriod API.",
			d/time.Hour, s.Name, s.Retention/time.Hour)
	case d > s.Retention:
		if expired := c.now().Add(-s.Retention).UTC().Truncate(time.Microsecond); expired.After(s.ExpiredBefore) {
			s.ExpiredBefore = expired
		}
	}
	s.Retention = d
	return nil
}

// setWarmThroughput also drops what a stream that has become provisioned kept room for.
func setWarmThroughput(tx *sqldb.Tx, s *leat.Stream, mibps *int) error {
	if s.Mode != leat.ModeOnDemand {
		s.WarmThroughput = 0
		if mibps != nil && *mibps > 0 {
			return leat.Invalid("warm_throughput_mibps", "Stream %s under account %s is in %s mode: only a stream in ON_DEMAND mode keeps warm throughput.", s.Name, s.Account, s.Mode)
		}
		return nil
	}
	if mibps == nil || *mibps == s.WarmThroughput {
		return nil
	}
	s.WarmThroughput = *mibps
	open, err := openShards(tx, s.ID)
	if err == nil && open < *mibps && s.Status == leat.StreamActive {
		s.Status, s.TargetShards = leat.StreamUpdating, *mibps
	}
	return err
}

func openShards(tx *sqldb.Tx, id leat.StreamID) (n int, err error) {
	err = tx.Row("SELECT count(*) FROM shards WHERE stream = $1 AND closed = 0", id).Scan(&n)
	return n, err
}

// SetMonitoring chooses the shard-level metrics of a stream and returns those that it had. Both lists are sorted and have
// nothing in common. KindInUse when it is being deleted.
func (c *Catalog) SetMonitoring(ctx context.Context, id leat.StreamID, enable, disable []leat.ShardMetric) (before []leat.ShardMetric, updated leat.Stream, err error) {
	first := true
	err = c.change(ctx, id, func(_ *sqldb.Tx, s *leat.Stream) error {
		if s.Status == leat.StreamDeleting {
			return notActive(s)
		}
		if first { // a later run finds what this one wrote
			before, first = s.Monitoring, false
		}
		kept := slices.DeleteFunc(slices.Concat(s.Monitoring, enable), func(m leat.ShardMetric) bool { return slices.Contains(disable, m) })
		slices.Sort(kept)
		s.Monitoring = slices.Compact(kept)
		return nil
	}, &updated)
	return before, updated, err
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

// BeginDeleteIf is BeginDelete of a stream with its consumers, unless may, asked in the same transaction with the revision held,
// returns an error.
func (c *Catalog) BeginDeleteIf(ctx context.Context, id leat.StreamID, may func(tx *sqldb.Tx) error) error {
	return c.change(ctx, id, func(tx *sqldb.Tx, s *leat.Stream) error {
		if s.Status == leat.StreamDeleting {
			return nil
		}
		if err := may(tx); err != nil {
			return err
		}
		s.Status, s.TargetShards = leat.StreamDeleting, 0
		return nil
	})
}

// Standing holds the revision until a transaction ends, so that a stream that stands is not deleted meanwhile. KindNotFound
// when there is none, KindInUse when it is DELETING.
func Standing(tx *sqldb.Tx, id leat.StreamID) error {
	if err := hold(tx); err != nil {
		return err
	}
	s, err := theStream(tx, id)
	if err == nil && s.Status == leat.StreamDeleting {
		err = notActive(&s)
	}
	return err
}

// scaleCallsWithin is how far back SetTargetShards counts its own calls, as with Kinesis.
const scaleCallsWithin = 24 * time.Hour

// SetTargetShards begins to scale a stream to n shards: it is UPDATING until NextScaleStep finds that it has them. allow
// is asked with the number of open shards, and how often the stream was scaled this way in the last 24 hours; nil allows
// everything. KindInUse when the stream is not ACTIVE.
func (c *Catalog) SetTargetShards(ctx context.Context, id leat.StreamID, n int, allow func(open, calls int) error) (updated leat.Stream, err error) {
	if n < 1 {
		return updated, leat.Invalid("target_shard_count", "a stream must have at least one shard")
	}
	err = c.change(ctx, id, func(tx *sqldb.Tx, s *leat.Stream) error {
		if s.Status != leat.StreamActive {
			return notActive(s)
		}
		if err := c.countScaling(tx, id, allow); err != nil {
			return err
		}
		s.Status, s.TargetShards = leat.StreamUpdating, n
		return nil
	}, &updated)
	return updated, err
}

// countScaling writes down one more call when it is allowed, and forgets those that do not count any more.
func (c *Catalog) countScaling(tx *sqldb.Tx, id leat.StreamID, allow func(open, calls int) error) error {
	now := c.now()
	if _, err := tx.Exec("DELETE FROM scale_calls WHERE stream = $1 AND at <= $2", id, now.Add(-scaleCallsWithin)); err != nil {
		return err
	}
	if allow != nil {
		var calls int
		if err := tx.Row("SELECT count(*) FROM scale_calls WHERE stream = $1", id).Scan(&calls); err != nil {
			return err
		}
		open, err := openShards(tx, id)
		if err != nil {
			return err
		}
		if err := allow(open, calls); err != nil {
			return err
		}
	}
	_, err := tx.Exec("INSERT INTO scale_calls (stream, at) VALUES ($1, $2)", id, now)
	return err
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
	tx.Note(changedStream{id})
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
