// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore"
)

// packsKept is how many of a session's registrations are remembered: far more than are ever under way at once.
const packsKept = 1000

// errRegistered ends a transaction whose pack is registered already.
var errRegistered = errors.New("catalog: pack is registered")

// Register commits one pack or merge; see shardstore.Index. A registration that contradicts itself, such as a merge
// that covers other offsets than what it replaces, is refused with KindInvalidArgument.
func (c *Catalog) Register(ctx context.Context, r shardstore.Registration) error {
	p, err := planOf(&r)
	if err != nil {
		return err
	}
	err = c.settle(ctx, func(tx *sqldb.Tx) error { return c.register(tx, &r, p) })
	if errors.Is(err, errRegistered) {
		return nil
	}
	return err
}

func (c *Catalog) register(tx *sqldb.Tx, r *shardstore.Registration, p *plan) error {
	if err := c.claimPack(tx, r); err != nil {
		return err
	}
	if err := moveTrim(tx, r); err != nil {
		return err
	}
	there, err := holdShards(tx, r, p)
	if err != nil {
		return err
	}
	if err := replaceExtents(tx, r, p, there); err != nil {
		return err
	}
	if r.Counted {
		extents, err := toCount(tx, r)
		if err != nil {
			return err
		}
		counted, err := writeUsage(tx, extents)
		if err != nil {
			return err
		}
		if err := writeManifests(tx, r, counted); err != nil {
			return err
		}
	}
	if err := adopt(tx, r); err != nil {
		return err
	}
	return queue(tx, r.Deletes, r.NotBefore)
}

// claimPack writes the pack's row, or finds that an earlier run of this very transaction has.
func (c *Catalog) claimPack(tx *sqldb.Tx, r *shardstore.Registration) error {
	n, err := tx.Exec(`
INSERT INTO packs (session, number, object, created) VALUES ($1, $2, $3, $4)
ON CONFLICT (session, number) DO NOTHING`, r.Session, r.Number, r.Object, c.now())
	if err != nil {
		return err
	}
	if n == 0 {
		return errRegistered
	}
	if r.Number < packsKept {
		return nil
	}
	_, err = tx.Exec("DELETE FROM packs WHERE session = $1 AND number < $2", r.Session, r.Number-packsKept)
	return err
}

// moveTrim is rule 6: only while the session is live, and from where the packer believes the trim to be. The row stays
// locked, so that nobody fences the session before this transaction is over.
func moveTrim(tx *sqldb.Tx, r *shardstore.Registration) error {
	if r.TrimFrom == r.TrimTo {
		return holdLive(tx, r.Session)
	}
	n, err := tx.Exec("UPDATE sessions SET trimmed = $3 WHERE id = $1 AND state = 'live' AND trimmed = $2", r.Session, r.TrimFrom, r.TrimTo)
	return sqldb.One(n, err, fmt.Errorf("session %s is not live with its trim at %d: %w", r.Session, r.TrimFrom, shardstore.ErrFenced))
}

// holdShards locks the rows of the shards that the registration writes for, and moves their ends when its extents are
// counted. It returns those that exist; shards of a removed stream do not. ErrFenced when one that exists has another
// owner or epoch, or ends elsewhere.
func holdShards(tx *sqldb.Tx, r *shardstore.Registration, p *plan) (there map[leat.ShardKey]bool, err error) {
	const advance = `
WITH v (stream, ordinal, epoch, first_offset, next_offset, last_time) AS (VALUES $rows)
UPDATE shards SET next_offset = v.next_offset,
	last_time = CASE WHEN shards.last_time < v.last_time THEN v.last_time ELSE shards.last_time END
FROM v
WHERE shards.stream = v.stream AND shards.ordinal = v.ordinal AND shards.owner = $1
	AND shards.next_offset = v.first_offset AND (shards.epoch = v.epoch OR $2 = 1 AND shards.epoch > v.epoch)
RETURNING shards.stream, shards.ordinal`
	const hold = `
WITH v (stream, ordinal, epoch, first_offset, next_offset, last_time) AS (VALUES $rows)
UPDATE shards SET epoch = shards.epoch
FROM v
WHERE shards.stream = v.stream AND shards.ordinal = v.ordinal AND shards.owner = $1
	AND (shards.epoch = v.epoch OR $2 = 1 AND shards.epoch > v.epoch)
RETURNING shards.stream, shards.ordinal`
	query := hold
	if r.Counted {
		query = advance
	}
	// Adopted and merged records were given their offsets by an owner before this one; those of the session's own
	// segments by itself in the shard's present epoch.
	own := r.Counted && r.Adopts.IsZero()
	rows := sqldb.NewRows(6, len(p.runs))
	for _, run := range p.runs {
		rows.Add(run.shard.Stream, run.shard.Ordinal, run.epoch, run.first, run.next, run.lastTime)
	}
	there = make(map[leat.ShardKey]bool, len(p.runs))
	err = tx.EachRows(query, rows, func(scan sqldb.Scan) error {
		k, err := scanShardKey(scan)
		there[k] = true
		return err
	}, r.Session, !own)
	if err != nil || len(there) == len(p.runs) {
		return there, err
	}
	return there, refuseExisting(tx, r, p, there)
}

// refuseExisting returns ErrFenced when a shard that could not be held exists.
func refuseExisting(tx *sqldb.Tx, r *shardstore.Registration, p *plan, there map[leat.ShardKey]bool) error {
	var missed []leat.ShardKey
	for _, run := range p.runs {
		if !there[run.shard] {
			missed = append(missed, run.shard)
		}
	}
	return tx.EachRows(`
WITH v (stream, ordinal) AS (VALUES $rows)
SELECT s.stream, s.ordinal, s.epoch, s.owner, s.next_offset FROM v JOIN shards s ON s.stream = v.stream AND s.ordinal = v.ordinal`,
		shardRows(missed), func(scan sqldb.Scan) error {
			var k leat.ShardKey
			var epoch, next uint64
			var owner leat.SessionID
			if err := scan(sqldb.ID(&k.Stream), sqldb.U64(&k.Ordinal), sqldb.U64(&epoch), sqldb.ID(&owner), sqldb.U64(&next)); err != nil {
				return err
			}
			run := p.run(k)
			return fmt.Errorf("shard %s has epoch %d, owner %s and end %d; session %s registers epoch %d from %d: %w",
				k, epoch, owner, next, r.Session, run.epoch, run.first, shardstore.ErrFenced)
		})
}

func scanShardKey(scan sqldb.Scan) (k leat.ShardKey, err error) {
	err = scan(sqldb.ID(&k.Stream), sqldb.U64(&k.Ordinal))
	return k, err
}

// replaceExtents takes the replaced extents away and puts the new ones in. A new object is queued at once when none of
// its shards exists any more.
func replaceExtents(tx *sqldb.Tx, r *shardstore.Registration, p *plan, there map[leat.ShardKey]bool) error {
	if err := holdObjects(tx, p.replaced); err != nil {
		return err
	}
	if err := deleteReplaced(tx, r, there); err != nil {
		return err
	}
	rows := sqldb.NewRows(extentColumns, len(r.Extents))
	used := map[string]bool{} // of the new objects, whether an extent names them
	if r.Object != "" {
		used[r.Object] = false
	}
	for i := range r.Extents {
		e := &r.Extents[i]
		if there[e.Shard] {
			addExtent(rows, e)
		}
		used[e.Object] = used[e.Object] || there[e.Shard]
	}
	objects := sqldb.NewRows(1, len(used))
	var unused []string
	for _, key := range slices.Sorted(maps.Keys(used)) {
		if used[key] {
			objects.Add(key)
		} else {
			unused = append(unused, key)
		}
	}
	// A segment of a closed session may have its row already, by another leftover that stayed in it.
	if _, err := tx.ExecRows("INSERT INTO objects (key) VALUES $rows ON CONFLICT (key) DO UPDATE SET key = excluded.key", objects); err != nil {
		return err
	}
	if _, err := tx.ExecRows(insertExtents, rows); err != nil {
		return err
	}
	unused, err := withoutNeeded(tx, unused)
	if err != nil {
		return err
	}
	if err := queue(tx, unused, r.NotBefore); err != nil {
		return err
	}
	return releaseObjects(tx, p.replaced, r.NotBefore)
}

func deleteReplaced(tx *sqldb.Tx, r *shardstore.Registration, there map[leat.ShardKey]bool) error {
	rows := sqldb.NewRows(5, len(r.Replaces))
	for _, e := range r.Replaces {
		if there[e.Shard] {
			rows.Add(e.Shard.Stream, e.Shard.Ordinal, e.First, e.Count, e.Object)
		}
	}
	n, err := tx.ExecRows(`
DELETE FROM extents
WHERE (stream, ordinal, first_offset, records, object) IN (VALUES $rows)`, rows)
	if err == nil && n != int64(rows.Len()) {
		err = fmt.Errorf("%d of %d extents to be replaced are there: %w", n, rows.Len(), shardstore.ErrFenced)
	}
	return err
}
