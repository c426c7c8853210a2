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

// NewStream is what a stream is made of. The caller has validated it.
type NewStream struct {
	Account        string
	Name           string
	Mode           leat.StreamMode
	Shards         int
	Retention      time.Duration
	MaxRecordBytes int
	WarmThroughput int // MiB/s
	Tags           map[string]string
}

// CreateStream makes a stream in status CREATING, with shards that cut the hash space evenly and have no owner yet.
// KindInUse when the account has one of that name, in whatever status.
func (c *Catalog) CreateStream(ctx context.Context, spec NewStream) (leat.Stream, error) {
	s := leat.Stream{
		ID: leat.NewID[leat.StreamID](c.opts.Rand), Account: spec.Account, Name: spec.Name, Mode: spec.Mode, Status: leat.StreamCreating,
		Retention: spec.Retention, MaxRecordBytes: spec.MaxRecordBytes, Created: c.now().UTC().Truncate(time.Microsecond), NextOrdinal: uint64(spec.Shards),
		WarmThroughput: spec.WarmThroughput,
	}
	if spec.Shards < 1 {
		return s, leat.Invalid("shard_count", "a stream must have at least one shard")
	}
	err := c.settle(ctx, func(tx *sqldb.Tx) (err error) {
		if s.Version, err = bump(tx); err != nil {
			return err
		}
		var going int
		if err := tx.Row("SELECT count(*) FROM accounts WHERE id = $1 AND state = 'DELETING'", s.Account).Scan(&going); err != nil {
			return err
		}
		if going > 0 {
			return leat.Errorf(leat.KindInUse, "Account %s is being deleted.", s.Account)
		}
		n, err := tx.Exec(`
INSERT INTO streams (id, account, name, mode, status, status_since, retention, max_record, created, next_ordinal, version, warm_mibps)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $6, $9, $10, $11)
ON CONFLICT (account, name) DO NOTHING`,
			s.ID, s.Account, s.Name, string(s.Mode), string(s.Status), s.Created, s.Retention, s.MaxRecordBytes, s.NextOrdinal, s.Version,
			s.WarmThroughput)
		if err != nil {
			return err
		}
		if n == 0 {
			return sameStream(tx, &s)
		}
		if err := insertShards(tx, &s); err != nil {
			return err
		}
		noteNewStream(tx, &s)
		return writeTags(tx, Resource{Stream: s.ID}, spec.Tags)
	})
	return s, err
}

// sameStream tells a stream that an earlier run of this transaction made from another one of that name.
func sameStream(tx *sqldb.Tx, s *leat.Stream) error {
	there, err := streamBy(tx, "account = $1 AND name = $2", s.Account, s.Name)
	if err != nil {
		return err
	}
	if there.ID != s.ID {
		return leat.Errorf(leat.KindInUse, "Stream %s under account %s already exists.", s.Name, s.Account)
	}
	*s = there
	return nil
}

func noteNewStream(tx *sqldb.Tx, s *leat.Stream) {
	shards := make([]leat.ShardKey, s.NextOrdinal)
	for i := range shards {
		shards[i] = leat.ShardKey{Stream: s.ID, Ordinal: uint64(i)}
	}
	tx.Note(changedStream{s.ID})
	tx.Note(changedShards{shards})
}

func insertShards(tx *sqldb.Tx, s *leat.Stream) error {
	rows := sqldb.NewRows(6, int(s.NextOrdinal))
	for i, r := range leat.SplitEvenly(int(s.NextOrdinal)) {
		rows.Add(s.ID, uint64(i), r.Start, r.End, s.Created, s.Version)
	}
	if _, err := tx.ExecRows("INSERT INTO shards (stream, ordinal, start_key, end_key, created, changed) VALUES $rows", rows); err != nil {
		return err
	}
	return setScaleFloor(tx, s, int(s.NextOrdinal))
}

const streamColumns = `id, account, name, mode, status, retention, max_record, created, expired_before, target_shards, next_ordinal, version,
	encryption_key, data_key, monitoring, warm_mibps`

func scanStream(scan sqldb.Scan, more ...any) (s leat.Stream, err error) {
	var monitoring string
	err = scan(append([]any{
		sqldb.ID(&s.ID), &s.Account, &s.Name, &s.Mode, &s.Status, sqldb.Duration(&s.Retention), &s.MaxRecordBytes,
		sqldb.Time(&s.Created), sqldb.Time(&s.ExpiredBefore), &s.TargetShards, sqldb.U64(&s.NextOrdinal), sqldb.U64(&s.Version),
		&s.EncryptionKey, sqldb.KeyID(&s.DataKey), &monitoring, &s.WarmThroughput,
	}, more...)...)
	s.Monitoring = leat.SplitShardMetrics(monitoring)
	return s, err
}

// streamBy returns the one stream that a condition finds; sql.ErrNoRows when there is none.
func streamBy(tx *sqldb.Tx, where string, args ...any) (leat.Stream, error) {
	return scanStream(tx.Row("SELECT "+streamColumns+" FROM streams WHERE "+where, args...).Scan)
}

// StreamByName returns an account's stream, in whatever status; KindNotFound when there is none.
func (c *Catalog) StreamByName(ctx context.Context, account, name string) (s leat.Stream, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		s, err = streamBy(tx, "account = $1 AND name = $2", account, name)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = leat.Errorf(leat.KindNotFound, "Stream %s under account %s not found.", name, account)
	}
	return s, err
}

// StreamByID returns a stream in whatever status; KindNotFound when there is none.
func (c *Catalog) StreamByID(ctx context.Context, id leat.StreamID) (s leat.Stream, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		s, err = theStream(tx, id)
		return err
	})
	return s, err
}

func theStream(tx *sqldb.Tx, id leat.StreamID) (leat.Stream, error) {
	s, err := streamBy(tx, "id = $1", id)
	if errors.Is(err, sql.ErrNoRows) {
		err = leat.Errorf(leat.KindNotFound, "Stream with id %s not found.", id)
	}
	return s, err
}

// ListStreams returns up to limit streams of an account whose names come after a name, in byte order of names.
func (c *Catalog) ListStreams(ctx context.Context, account, after string, limit int) ([]leat.Stream, error) {
	return c.streams(ctx, "account = $1 AND name > $2 ORDER BY name LIMIT $3", account, after, limit)
}

// Streams lists every stream of every account, sorted by account and name.
func (c *Catalog) Streams(ctx context.Context) ([]leat.Stream, error) {
	return c.streams(ctx, "true ORDER BY account, name")
}

func (c *Catalog) streams(ctx context.Context, where string, args ...any) (all []leat.Stream, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT "+streamColumns+" FROM streams WHERE "+where, func(scan sqldb.Scan) error {
			s, err := scanStream(scan)
			all = append(all, s)
			return err
		}, args...)
	})
	return all, err
}

// Changes is what a node reads when the revision has moved.
type Changes struct {
	Revision uint64        // as of this answer
	Streams  []leat.Stream // whose version is above the one asked for
	Total    int           // streams there are: a node that then counts more knows one that is gone
}

// Changes returns the streams that changed after a revision, and how many there are.
func (c *Catalog) Changes(ctx context.Context, since uint64) (ch Changes, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		ch = Changes{}
		err := tx.Row("SELECT n, (SELECT count(*) FROM streams) FROM revision WHERE one = 1").Scan(sqldb.U64(&ch.Revision), &ch.Total)
		if err != nil || ch.Revision == since {
			return err
		}
		return tx.Each("SELECT "+streamColumns+" FROM streams WHERE version > $1 ORDER BY account, name", func(scan sqldb.Scan) error {
			s, err := scanStream(scan)
			ch.Streams = append(ch.Streams, s)
			return err
		}, since)
	})
	return ch, err
}

// Unsettled is a stream that is not at rest: CREATING, UPDATING or DELETING.
type Unsettled struct {
	leat.Stream
	Since time.Time // when it came into its status
}

// UnsettledStreams lists the streams that somebody must bring to rest, those that wait longest first.
func (c *Catalog) UnsettledStreams(ctx context.Context) (all []Unsettled, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT "+streamColumns+`, status_since FROM streams
WHERE status IN ('CREATING', 'UPDATING', 'DELETING') ORDER BY status_since, id`, func(scan sqldb.Scan) error {
			var u Unsettled
			var err error
			u.Stream, err = scanStream(scan, sqldb.Time(&u.Since))
			all = append(all, u)
			return err
		})
	})
	return all, err
}
