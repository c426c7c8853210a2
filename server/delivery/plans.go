// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/leatstream/leat/internal/sqldb"
)

// The states of a plan.
const (
	planned   = "planned"
	committed = "committed"
	expired   = "expired" // its records were gone before they could be read
)

// plan is a range that goes to objects of its own.
type plan struct {
	id       string
	track    string
	version  uint64
	state    string
	parts    []Part
	oldest   int64 // arrival, microseconds since 1970
	newest   int64
	manifest Manifest
}

// Manifest is what a plan's objects hold.
type Manifest struct {
	Objects []Object `json:"objects,omitempty"`
	Dropped Tally    `json:"dropped"`           // by filters
	Expired Tally    `json:"expired,omitzero"`  // before they could be read
	Partial bool     `json:"partial,omitempty"` // names alone: nothing is counted yet
	// After is the plan that moved the cursor to where an expired one begins; empty: none did, or an older version wrote it.
	After string `json:"after,omitempty"`
}

// Role says what an object is for.
type Role string

// The roles.
const (
	Data   Role = ""
	Errors Role = "errors" // records that could not be delivered
	Backup Role = "backup" // source records as they came
)

// Object is one object of a plan.
type Object struct {
	Role   Role   `json:"role,omitempty"`
	Key    string `json:"key"`
	Backup bool   `json:"backup_bucket,omitempty"` // it is in the backup's bucket
	Tally         // records of the source that are here and nowhere else; of one that became several, the first
	Units  uint64 `json:"units"` // what was written: a record may become several
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"`
	// Begin and End are the places of its first and last output; of a plan that is not committed.
	Begin *Mark `json:"begin,omitempty"`
	End   *Mark `json:"end,omitempty"`
}

// plan writes a plan and ties the cursors of its parts to it. errMoved when a cursor is not where the plan begins, or
// belongs to another plan, or a later epoch of its shard has planned, or another version of the configuration this range.
func (t *tables) plan(ctx context.Context, delivery string, p *plan, epochs []uint64) error {
	parts, err := json.Marshal(p.parts)
	if err != nil {
		return err
	}
	return t.settle(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`
INSERT INTO delivery_plans (id, delivery, track, ordinal, first_at, version, state, parts, oldest, newest, manifest, planned)
VALUES ($1, $2, $3, $4, $5, $6, 'planned', $7, $8, $9, '{}', $10) ON CONFLICT (id) DO NOTHING`,
			p.id, delivery, p.track, p.parts[0].Shard, p.parts[0].First, p.version, string(parts), p.oldest, p.newest, t.now())
		if err != nil {
			return err
		}
		if n == 0 { // an earlier run of this transaction, or another owner's: its cursors tell
			var state string
			var version uint64
			if err := tx.Row("SELECT state, version FROM delivery_plans WHERE id = $1", p.id).Scan(&state, sqldb.U64(&version)); err != nil {
				return err
			}
			// One of another version of the configuration has other objects: it is found at the cursor, and carried out as it is.
			if state != planned || version != p.version {
				return errMoved
			}
		}
		for i, part := range p.parts {
			n, err := tx.Exec(`
UPDATE delivery_cursors SET plan = $4, epoch = $5
WHERE delivery = $1 AND track = $2 AND ordinal = $3 AND next_at = $6 AND (plan = '' OR plan = $4) AND epoch <= $5 AND done = 0`,
				delivery, p.track, part.Shard, p.id, epochs[i], part.First)
			if err := sqldb.One(n, err, errMoved); err != nil {
				return err
			}
		}
		return nil
	})
}

// planned returns a plan; sql.ErrNoRows when there is none.
func (t *tables) planned(ctx context.Context, id string) (p plan, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) error {
		p, err = scanPlan(tx.Row("SELECT "+planColumns+" FROM delivery_plans WHERE id = $1", id).Scan)
		return err
	})
	return p, err
}

const planColumns = "id, track, version, state, parts, oldest, newest, manifest"

func scanPlan(scan sqldb.Scan) (p plan, err error) {
	var parts, manifest string
	if err := scan(&p.id, &p.track, sqldb.U64(&p.version), &p.state, &parts, &p.oldest, &p.newest, &manifest); err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(parts), &p.parts); err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(manifest), &p.manifest)
}

// name keeps the names of a plan's objects, before the first of them is written.
func (t *tables) name(ctx context.Context, id string, m *Manifest) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return t.settle(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("UPDATE delivery_plans SET manifest = $2 WHERE id = $1 AND state = 'planned'", id, string(text))
		return sqldb.One(n, err, errMoved)
	})
}

// commit says what a plan's objects hold and moves its cursors. errMoved when it was committed already: by an earlier
// run, or by another owner, whose objects are the same.
// bill writes down what it used, with it.
func (t *tables) commit(ctx context.Context, delivery string, p *plan, bill func(*sqldb.Tx) error) error {
	text, err := json.Marshal(&p.manifest)
	if err != nil {
		return err
	}
	return t.settle(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("UPDATE delivery_plans SET state = 'committed', manifest = $2, committed = $3 WHERE id = $1 AND state = 'planned'", p.id, string(text), t.now())
		if err := sqldb.One(n, err, errMoved); err != nil {
			return err
		}
		if err := p.advance(tx, delivery); err != nil {
			return err
		}
		return bill(tx)
	})
}

func (p *plan) advance(tx *sqldb.Tx, delivery string) error {
	for _, part := range p.parts {
		n, err := tx.Exec(`
UPDATE delivery_cursors SET next_at = $5, at_time = $6, plan = '', last = $7, reason = '', since = 0
WHERE delivery = $1 AND track = $2 AND ordinal = $3 AND next_at = $4 AND plan = $7`,
			delivery, p.track, part.Shard, part.First, part.End, cmp.Or(part.Newest, p.newest), p.id)
		if err := sqldb.One(n, err, errMoved); err != nil {
			return err
		}
	}
	return nil
}

// skip moves a cursor over records that are gone, and keeps that they are.
func (t *tables) skip(ctx context.Context, delivery string, p *plan, epoch uint64) error {
	p.state, p.manifest = expired, Manifest{Expired: tallyOf(p.parts)}
	parts, err := json.Marshal(p.parts)
	if err != nil {
		return err
	}
	now, at := t.now(), p.parts[0]
	return t.settle(ctx, func(tx *sqldb.Tx) error {
		m := p.manifest
		err := tx.Row("SELECT last FROM delivery_cursors WHERE delivery = $1 AND track = $2 AND ordinal = $3", delivery, p.track, at.Shard).Scan(&m.After)
		if err != nil {
			return err
		}
		text, err := json.Marshal(&m)
		if err != nil {
			return err
		}
		n, err := tx.Exec(`
INSERT INTO delivery_plans (id, delivery, track, ordinal, first_at, version, state, parts, oldest, newest, manifest, planned, committed)
VALUES ($1, $2, $3, $4, $5, $6, 'expired', $7, $8, $8, $9, $10, $10) ON CONFLICT (id) DO NOTHING`,
			p.id, delivery, p.track, at.Shard, at.First, p.version, string(parts), p.newest, string(text), now)
		if err != nil || n == 0 {
			return err
		}
		n, err = tx.Exec(`
UPDATE delivery_cursors SET next_at = $5, epoch = $6, last = $7
WHERE delivery = $1 AND track = $2 AND ordinal = $3 AND next_at = $4 AND plan = '' AND epoch <= $6`,
			delivery, p.track, at.Shard, at.First, at.End, epoch, p.id)
		if err := sqldb.One(n, err, errMoved); err != nil {
			return err
		}
		p.manifest = m
		return nil
	})
}

// eachPlan hands all plans of a track to each, in order of their first parts.
func (t *tables) eachPlan(ctx context.Context, delivery, track string, each func(*plan) error) error {
	const page = 500
	ordinal, first := int64(-1), int64(-1)
	for {
		var plans []plan
		err := t.db.View(ctx, func(tx *sqldb.Tx) error {
			plans = nil
			return tx.Each("SELECT "+planColumns+` FROM delivery_plans
WHERE delivery = $1 AND track = $2 AND (ordinal > $3 OR ordinal = $3 AND first_at > $4) ORDER BY ordinal, first_at LIMIT $5`, func(scan sqldb.Scan) error {
				p, err := scanPlan(scan)
				plans = append(plans, p)
				return err
			}, delivery, track, ordinal, first, page)
		})
		if err != nil {
			return err
		}
		for i := range plans {
			if err := each(&plans[i]); err != nil {
				return err
			}
		}
		if len(plans) < page {
			return nil
		}
		last := &plans[len(plans)-1]
		ordinal, first = int64(last.parts[0].Shard), int64(last.parts[0].First)
	}
}
