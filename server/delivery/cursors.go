// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding/json"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/journal"
)

// cursor is where a track is in a shard.
type cursor struct {
	ordinal uint64
	start   uint64
	next    uint64
	stop    int64 // where it ends: of a backfill, or of a shard that is closed; -1: not known yet
	time    int64 // arrival of the last record that was delivered
	done    bool
	epoch   uint64
	plan    string
	last    string // the plan that moved it last; in the ledger's terms alone
	reason  string
	since   time.Time
}

func insertCursors(tx *sqldb.Tx, delivery, track string, cursors []cursor) error {
	if len(cursors) == 0 {
		return nil
	}
	rows := sqldb.NewRows(8, len(cursors))
	for _, c := range cursors {
		rows.Add(delivery, track, c.ordinal, c.start, c.next, c.stop, c.time, c.done)
	}
	_, err := tx.ExecRows(`
INSERT INTO delivery_cursors (delivery, track, ordinal, start_at, next_at, stop_at, at_time, done) VALUES $rows
ON CONFLICT (delivery, track, ordinal) DO NOTHING`, rows)
	return err
}

// begin adds the cursors of shards that are to be delivered from now on; those that are there stay as they are.
func (t *tables) begin(ctx context.Context, delivery, track string, cursors []cursor) error {
	return t.settle(ctx, func(tx *sqldb.Tx) error { return insertCursors(tx, delivery, track, cursors) })
}

// cursors returns the cursors of a delivery stream by track, in order of shards.
func (t *tables) cursors(ctx context.Context, delivery string) (map[string][]cursor, error) {
	var all map[string][]cursor
	err := t.db.View(ctx, func(tx *sqldb.Tx) error {
		all = map[string][]cursor{}
		return tx.Each(`
SELECT track, ordinal, start_at, next_at, stop_at, at_time, done, epoch, plan, reason, since
FROM delivery_cursors WHERE delivery = $1 ORDER BY track, ordinal`, func(scan sqldb.Scan) error {
			var track string
			var c cursor
			err := scan(&track, sqldb.U64(&c.ordinal), sqldb.U64(&c.start), sqldb.U64(&c.next), &c.stop, &c.time, sqldb.Bool(&c.done), sqldb.U64(&c.epoch), &c.plan, &c.reason, sqldb.Time(&c.since))
			all[track] = append(all[track], c)
			return err
		}, delivery)
	})
	return all, err
}

// ends notes where a shard ends that has been closed.
func (t *tables) ends(ctx context.Context, delivery string, ordinal, final uint64) error {
	return t.settle(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE delivery_cursors SET stop_at = $3 WHERE delivery = $1 AND track = '' AND ordinal = $2 AND stop_at < 0", delivery, ordinal, final)
		return err
	})
}

// finish says that a shard has been delivered to its end.
func (t *tables) finish(ctx context.Context, delivery, track string, ordinal, next uint64) error {
	return t.settle(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("UPDATE delivery_cursors SET done = 1, reason = '' WHERE delivery = $1 AND track = $2 AND ordinal = $3 AND next_at = $4 AND plan = ''",
			delivery, track, ordinal, next)
		return sqldb.One(n, err, errMoved)
	})
}

// fail keeps why shards do not go on.
func (t *tables) fail(ctx context.Context, delivery, track string, ordinals []uint64, reason string) error {
	now := t.now()
	return t.db.Tx(ctx, func(tx *sqldb.Tx) error {
		for _, o := range ordinals {
			if _, err := tx.Exec(`
UPDATE delivery_cursors SET since = CASE WHEN reason = '' THEN $5 ELSE since END, reason = $4
WHERE delivery = $1 AND track = $2 AND ordinal = $3`, delivery, track, o, reason, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// addBackfill makes a backfill with its cursors.
func (t *tables) addBackfill(ctx context.Context, delivery string, b *spec.Backfill, cursors []cursor) error {
	config, secrets, err := t.seal(delivery, b.ID, &b.Config)
	if err != nil {
		return err
	}
	return t.change(ctx, func(tx *sqldb.Tx) error {
		note(tx, journal.Delivery{
			ID: delivery, Configs: []journal.DeliveryConfig{{Track: b.ID, Version: 1, Config: json.RawMessage(config), Secrets: secrets}}, Cursors: journaledCursors(b.ID, cursors),
			Backfills: []journal.DeliveryBackfill{{Track: b.ID, Begins: leat.Micros(b.From), Ends: leat.Micros(b.To), Created: leat.Micros(b.Created)}},
		})
		n, err := tx.Exec("INSERT INTO delivery_backfills (delivery, track, begins, ends, created) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (delivery, track) DO NOTHING",
			delivery, b.ID, b.From, b.To, b.Created)
		if err != nil || n == 0 {
			return err
		}
		if _, err := tx.Exec("INSERT INTO delivery_configs (delivery, track, version, config, secrets) VALUES ($1, $2, 1, $3, $4)", delivery, b.ID, config, secrets); err != nil {
			return err
		}
		return insertCursors(tx, delivery, b.ID, cursors)
	})
}

// backfills returns the backfills of a delivery stream, oldest first, without their progress.
func (t *tables) backfills(ctx context.Context, delivery string) (all []spec.Backfill, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each(`
SELECT b.track, b.begins, b.ends, b.created, c.config, c.secrets
FROM delivery_backfills b JOIN delivery_configs c ON c.delivery = b.delivery AND c.track = b.track
WHERE b.delivery = $1 ORDER BY b.created, b.track`, func(scan sqldb.Scan) error {
			var b spec.Backfill
			var config, secrets string
			err := scan(&b.ID, sqldb.Time(&b.From), sqldb.Time(&b.To), sqldb.Time(&b.Created), &config, &secrets)
			if err == nil {
				b.Config, err = t.unseal(delivery, b.ID, config, secrets)
			}
			all = append(all, b)
			return withoutSecrets(err)
		}, delivery)
	})
	return all, err
}

// errMoved says that somebody else has moved the cursor, or holds it: look again.
var errMoved = leat.Errorf(leat.KindUnavailable, "another owner has moved the cursor of this shard")
