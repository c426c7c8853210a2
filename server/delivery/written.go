// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"math"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/delivery/spec"
)

const (
	plansAPage   = 200
	plansLooked  = 20_000 // that one listing goes back at most
	failedShown  = 100    // records of an object in the error prefix
	failedBytes  = 4 << 20
	failedWithin = 15 * time.Second
)

// Written lists up to limit objects that a delivery stream and its backfills have written, the newest first, those after a
// place; failed asks for those in the error prefix alone. It looks back over the newest 20,000 plans after that place.
func (e *Engine) Written(ctx context.Context, account, name string, failed bool, after *spec.Place, limit int) ([]spec.Written, error) {
	d, err := e.tables.one(ctx, account, name)
	if err != nil {
		return nil, err
	}
	from := spec.Place{At: math.MaxInt64, Index: math.MaxInt}
	if after != nil {
		from = *after
	}
	var all []spec.Written
	known := map[madeKey]spec.Config{}
	for looked := 0; looked < plansLooked; {
		plans, err := e.tables.plansBefore(ctx, d.ID, from, plansAPage)
		if err != nil {
			return nil, err
		}
		for i := range plans {
			p := &plans[i]
			begin := 0
			if p.id == from.Plan {
				begin = from.Index + 1
			}
			for n := begin; n < len(p.manifest.Objects); n++ {
				if failed && p.manifest.Objects[n].Role != Errors {
					continue
				}
				c, err := e.madeBy(ctx, d.ID, p, known)
				if err != nil {
					return nil, err
				}
				if all = append(all, p.written(n, &c)); len(all) == limit {
					return all, nil
				}
			}
		}
		if len(plans) < plansAPage {
			break
		}
		looked += len(plans)
		last := &plans[len(plans)-1]
		from = spec.Place{At: last.committed, Plan: last.id, Index: math.MaxInt - 1}
	}
	return all, nil
}

// donePlan is a plan with the time of its commit.
type donePlan struct {
	plan
	committed int64
}

// plansBefore returns committed plans, the newest first, from a place on: the plan of the place is among them.
func (t *tables) plansBefore(ctx context.Context, delivery string, from spec.Place, limit int) (plans []donePlan, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) error {
		plans = nil
		return tx.Each("SELECT committed, "+planColumns+` FROM delivery_plans
WHERE delivery = $1 AND state = 'committed' AND (committed < $2 OR committed = $2 AND id <= $3)
ORDER BY committed DESC, id DESC LIMIT $4`, func(scan sqldb.Scan) error {
			var d donePlan
			p, err := scanPlan(func(to ...any) error { return scan(append([]any{&d.committed}, to...)...) })
			d.plan = p
			plans = append(plans, d)
			return err
		}, delivery, from.At, from.Plan, limit)
	})
	return plans, err
}

// madeBy is the configuration that a plan was made with, for what needs no secrets. known remembers it by version and track.
func (e *Engine) madeBy(ctx context.Context, delivery string, p *donePlan, known map[madeKey]spec.Config) (c spec.Config, err error) {
	at := madeKey{p.version, p.track}
	c, ok := known[at]
	if !ok {
		c, err = e.tables.config(ctx, delivery, p.track, p.version)
		if err = withoutSecrets(err); err == nil {
			known[at] = c
		}
	}
	return c, err
}

type madeKey struct {
	version uint64
	track   string
}

// written is one object of a plan that was made by a configuration.
func (p *donePlan) written(index int, c *spec.Config) spec.Written {
	o := &p.manifest.Objects[index]
	w := spec.Written{
		Place: spec.Place{At: p.committed, Plan: p.id, Index: index}, Backfill: p.track, At: timeOf(p.committed), For: string(o.Role), Key: o.Key,
		Records: o.Records, Units: o.Units, Bytes: o.Bytes,
	}
	if o.Role == Sent {
		w.Key = spec.WithoutQuery(o.Key) // older plans have it whole
	}
	if b := bucketOf(c, o); b != nil {
		w.Bucket = b.Bucket
	}
	return w
}

// bucketOf is where an object is; nil when an endpoint took it.
func bucketOf(c *spec.Config, o *Object) *spec.S3 {
	if o.Backup && c.Backup != nil {
		return &c.Backup.S3
	}
	return c.Destination.S3
}

// Failed reads the beginning of an object in the error prefix: up to 100 records.
func (e *Engine) Failed(ctx context.Context, account, name string, at spec.Place) (f spec.FailedRecords, err error) {
	d, err := e.tables.one(ctx, account, name)
	if err != nil {
		return f, err
	}
	p, err := e.tables.donePlan(ctx, d.ID, at.Plan)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (at.Index >= len(p.manifest.Objects) || p.manifest.Objects[at.Index].Role != Errors) {
		return f, leat.Errorf(leat.KindNotFound, "Delivery stream %s has no such object in its error prefix.", name)
	}
	if err != nil {
		return f, err
	}
	c, err := e.config(ctx, d.ID, p.track, p.version)
	if err != nil {
		return f, err
	}
	f.Object = p.written(at.Index, &c)
	from := bucketOf(&c, &p.manifest.Objects[at.Index])
	if from == nil {
		return f, leat.Errorf(leat.KindNotFound, "This object is in no bucket.")
	}
	b, err := e.cfg.S3.open(from)
	if err != nil {
		return f, err
	}
	defer b.close()
	ctx, cancel := context.WithTimeout(ctx, failedWithin)
	defer cancel()
	if f.Records, f.More, err = b.failed(ctx, f.Object.Key); err != nil {
		return f, leat.Errorf(leat.KindUnavailable, "The object cannot be read now: %w", err)
	}
	return f, nil
}

// donePlan returns a committed plan of a delivery stream; sql.ErrNoRows when there is none.
func (t *tables) donePlan(ctx context.Context, delivery, id string) (d donePlan, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) error {
		row := tx.Row("SELECT committed, "+planColumns+" FROM delivery_plans WHERE delivery = $1 AND id = $2 AND state = 'committed'", delivery, id)
		d.plan, err = scanPlan(func(to ...any) error { return row.Scan(append([]any{&d.committed}, to...)...) })
		return err
	})
	return d, err
}

// failed reads the first records of an object in the error prefix.
func (b *bucket) failed(ctx context.Context, key string) (all []spec.FailedRecord, more bool, err error) {
	body, _, _, err := b.core.GetObject(ctx, b.name, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, false, b.explain("GET", key, err)
	}
	defer func() { _ = body.Close() }() // nothing more is read of it
	limited := &io.LimitedReader{R: body, N: failedBytes}
	lines := json.NewDecoder(bufio.NewReader(limited))
	for len(all) < failedShown {
		var r failedRecord
		switch err := lines.Decode(&r); {
		case errors.Is(err, io.EOF):
			return all, limited.N == 0, nil
		case err != nil && limited.N == 0: // in the middle of a line
			return all, true, nil
		case err != nil:
			return all, false, b.explain("GET", key, err)
		}
		all = append(all, spec.FailedRecord{
			Arrived: time.UnixMilli(r.ArrivalTimestamp).UTC(), Code: r.ErrorCode, Message: r.ErrorMessage, Attempts: r.AttemptsMade,
			Shard: r.ShardID, Sequence: r.SequenceNumber, PartitionKey: r.PartitionKey, Data: r.RawData, Part: r.PartOfRecord,
		})
	}
	return all, lines.More(), nil
}
