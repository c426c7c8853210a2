// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/shardstore/blob"
)

// The ledger is what Leat's own bucket knows of plans, for a catalog that is made anew (leat rebuild). Each plan has an
// entry, written if absent after its names are in the catalog and before the first of its objects is. It has the plan with
// these names, and the plans that ended where it begins, with what their objects hold.
//
// A plan that none comes after, since its shard ends there, has a second entry, which has it as committed, where something was kept of
// it until then.
//
// So, without the catalog: a plan that another entry has as one before it, or has committed, was committed. One that no entry has may have
// been: it is carried out again, which makes the same objects. Unless another one goes on from it: then it was committed, and what
// its objects hold is not known. A plan without an entry wrote nothing.
//
//	deliveries/<delivery>/<track, or live>/<ordinal, 10 digits>/<first offset, 20 digits>-<plan>
//	deliveries/…-<plan>-committed
//	    "leat-delivery 1 <CRC-32C of the rest>\n", then JSON
const ledgerRoot = "deliveries/"

// posted is an entry of the ledger.
type posted struct {
	Delivery string
	Track    string `json:",omitempty"`
	Plan     postedPlan
	Before   []postedPlan `json:",omitempty"`
}

type postedPlan struct {
	ID             string
	Version        uint64
	State          string
	Parts          []Part
	Oldest, Newest int64
	Manifest       Manifest
}

func post(p *plan) postedPlan {
	return postedPlan{p.id, p.version, p.state, p.parts, p.oldest, p.newest, p.manifest}
}

func ledgerKey(delivery, track string, p *plan) string {
	if track == "" {
		track = "live"
	}
	return fmt.Sprintf("%s%s/%s/%010d/%020d-%s", ledgerRoot, delivery, track, p.parts[0].Shard, p.parts[0].First, p.id)
}

const ledgerForm = "leat-delivery 1 %08x\n"

func sealEntry(body []byte) []byte {
	return append(fmt.Appendf(nil, ledgerForm, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))), body...)
}

// enter writes the entry of a plan, and returns the plans before it. m has the names of its objects.
func (e *Engine) enter(ctx context.Context, delivery string, p *plan, m Manifest) (before []plan, err error) {
	if !e.cfg.Ledger {
		return nil, nil
	}
	if before, err = e.tables.before(ctx, delivery, p); err != nil {
		return nil, err
	}
	named := *p
	named.state, named.manifest = cmp.Or(p.state, planned), m
	entry := posted{Delivery: delivery, Track: p.track, Plan: post(&named)}
	for i := range before {
		entry.Before = append(entry.Before, post(&before[i]))
	}
	if err := e.enterAt(ctx, ledgerKey(delivery, p.track, p), &entry); err != nil {
		return nil, err
	}
	return before, nil
}

func (e *Engine) enterAt(ctx context.Context, key string, entry *posted) error {
	body, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	if err := e.cfg.Blobs.Create(ctx, key, sealEntry(body)); err != nil && !errors.Is(err, blob.ErrExists) {
		return fmt.Errorf("the ledger of deliveries cannot be written: %w", err)
	}
	return nil
}

// before returns the plans that moved the cursors to where a plan begins. Where one of them says that records had expired, the plan
// that moved the cursor there too, which no other entry may have.
func (t *tables) before(ctx context.Context, delivery string, p *plan) (before []plan, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) error {
		before = nil
		seen := map[string]bool{"": true}
		for _, part := range p.parts {
			var last string
			err := tx.Row("SELECT last FROM delivery_cursors WHERE delivery = $1 AND track = $2 AND ordinal = $3", delivery, p.track, part.Shard).Scan(&last)
			if err != nil {
				return err
			}
			for !seen[last] {
				seen[last] = true
				was, err := scanPlan(tx.Row("SELECT "+planColumns+" FROM delivery_plans WHERE id = $1", last).Scan)
				if err != nil {
					return err
				}
				if was.id != p.id {
					before = append(before, was)
				}
				last = ""
				if was.state == expired {
					last = was.manifest.After
				}
			}
		}
		return nil
	})
	return before, err
}

// Ledger reads what the bucket knows of plans. The result writes it into the tables, after those have what the journal
// knows of deliveries.
func Ledger(ctx context.Context, blobs blob.Store) (func(tx *sqldb.Tx) error, error) {
	return LedgerAfter(ctx, blobs, nil)
}

// LedgerAfter is Ledger with an older database, of which nil is none: plans that it has as committed, and counted, are not carried out
// once more.
func LedgerAfter(ctx context.Context, blobs blob.Store, older *sqldb.DB) (func(tx *sqldb.Tx) error, error) {
	var keys []string
	for info, err := range blob.All(ctx, blobs, ledgerRoot) {
		if err != nil {
			return nil, fmt.Errorf("list the ledger of deliveries: %w", err)
		}
		keys = append(keys, info.Key)
	}
	const parallel = 16
	all := make([]posted, len(keys))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, key := range keys {
		g.Go(func() error {
			b, err := blobs.Read(gctx, key, 0, -1)
			if err != nil {
				return err
			}
			_, body, _ := bytes.Cut(b, []byte("\n"))
			if !bytes.Equal(b, sealEntry(body)) || json.Unmarshal(body, &all[i]) != nil || len(all[i].Plan.Parts) == 0 {
				return leat.Errorf(leat.KindCorrupt, "%s does not match its checksum", key)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	books := map[string]*book{}
	for i := range all {
		of := all[i].Delivery + "/" + all[i].Track
		if books[of] == nil {
			books[of] = &book{delivery: all[i].Delivery, track: all[i].Track, plans: map[string]*postedPlan{}}
		}
		books[of].add(&all[i])
	}
	if older != nil {
		for _, b := range books {
			if err := b.committed(ctx, older); err != nil {
				return nil, err
			}
		}
	}
	return func(tx *sqldb.Tx) error {
		for _, b := range books {
			if err := b.write(tx); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// book is all that the ledger has of one track.
type book struct {
	delivery, track string
	plans           map[string]*postedPlan
}

func (b *book) add(e *posted) {
	for i := range e.Before {
		b.plans[e.Before[i].ID] = &e.Before[i]
	}
	if was := b.plans[e.Plan.ID]; was == nil || was.State == planned {
		b.plans[e.Plan.ID] = &e.Plan
	}
}

// committed finds plans that another entry does not have as ones before it, and that a database does.
func (b *book) committed(ctx context.Context, older *sqldb.DB) error {
	return older.View(ctx, func(tx *sqldb.Tx) error {
		for id, p := range b.plans {
			if p.State != planned {
				continue
			}
			was, err := scanPlan(tx.Row("SELECT "+planColumns+" FROM delivery_plans WHERE id = $1 AND state <> 'planned'", id).Scan)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			known := post(&was)
			b.plans[id] = &known
		}
		return nil
	})
}

// write fills in the plans of a track and moves its cursors to where they end.
func (b *book) write(tx *sqldb.Tx) error {
	var known int
	err := tx.Row("SELECT count(*) FROM delivery_configs WHERE delivery = $1 AND track = $2", b.delivery, b.track).Scan(&known)
	if err != nil || known == 0 {
		return err // it was deleted
	}
	b.followed()
	at, err := b.cursors(tx)
	if err != nil {
		return err
	}
	rows := sqldb.NewRows(13, len(b.plans))
	for _, p := range b.plans {
		parts, err := json.Marshal(p.Parts)
		if err != nil {
			return err
		}
		manifest, err := json.Marshal(&p.Manifest)
		if err != nil {
			return err
		}
		over := p.Newest // when it was committed is not known
		if p.State == planned {
			over = 0
		}
		rows.Add(p.ID, b.delivery, b.track, p.Parts[0].Shard, p.Parts[0].First, p.Version, p.State, string(parts), p.Oldest, p.Newest, string(manifest), p.Newest, over)
	}
	_, err = tx.ExecRows(`
INSERT INTO delivery_plans (id, delivery, track, ordinal, first_at, version, state, parts, oldest, newest, manifest, planned, committed) VALUES $rows
ON CONFLICT (id) DO NOTHING`, rows)
	if err != nil {
		return err
	}
	for _, c := range at {
		_, err := tx.Exec(`
INSERT INTO delivery_cursors (delivery, track, ordinal, start_at, next_at, stop_at, at_time, done, plan, last) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (delivery, track, ordinal) DO UPDATE SET start_at = excluded.start_at, next_at = excluded.next_at, at_time = excluded.at_time, done = excluded.done, plan = excluded.plan, last = excluded.last`,
			b.delivery, b.track, c.ordinal, c.start, c.next, c.stop, c.time, c.done, c.plan, c.last)
		if err != nil {
			return err
		}
	}
	return nil
}

// followed takes plans as committed which others go on from: cursors move by commits alone. Of those that ended where records had
// expired, versions before this one had no entry that says so.
func (b *book) followed() {
	latest := map[uint64]uint64{} // by shard: where its last plan begins
	for _, p := range b.plans {
		for _, part := range p.Parts {
			latest[part.Shard] = max(latest[part.Shard], part.First)
		}
	}
	for _, p := range b.plans {
		goesOn := func(part Part) bool { return latest[part.Shard] >= part.End }
		if p.State == planned && slices.ContainsFunc(p.Parts, goesOn) {
			p.State = committed
		}
	}
}

// cursors are where the plans leave each shard.
func (b *book) cursors(tx *sqldb.Tx) (map[uint64]*cursor, error) {
	at := map[uint64]*cursor{}
	err := tx.Each("SELECT ordinal, start_at, next_at, stop_at, at_time, done FROM delivery_cursors WHERE delivery = $1 AND track = $2", func(scan sqldb.Scan) error {
		c := new(cursor)
		err := scan(sqldb.U64(&c.ordinal), sqldb.U64(&c.start), sqldb.U64(&c.next), &c.stop, &c.time, sqldb.Bool(&c.done))
		at[c.ordinal] = c
		return err
	}, b.delivery, b.track)
	if err != nil {
		return nil, err
	}
	parts := map[uint64][]ranged{}
	for _, p := range b.plans {
		for _, part := range p.Parts {
			parts[part.Shard] = append(parts[part.Shard], ranged{part, p})
		}
	}
	for ordinal, all := range parts {
		c := at[ordinal]
		if c == nil { // a child: its first record is where it begins
			c = &cursor{ordinal: ordinal, stop: -1}
			at[ordinal] = c
		}
		if err := c.through(all); err != nil {
			return nil, fmt.Errorf("delivery stream %s: %w", b.delivery, err)
		}
	}
	return at, nil
}

// ranged is a part with its plan.
type ranged struct {
	Part
	plan *postedPlan
}

// through moves a cursor over all plans of its shard. What lies before the first of them that joins the rest was delivered
// before there was a ledger; plans before where the cursor begins are those that a rebuild before this one left behind.
func (c *cursor) through(all []ranged) error {
	begin, at := c.start, c.start
	for _, r := range inOrder(all) {
		if r.End <= begin {
			if r.plan.State != planned {
				c.time, c.last = max(c.time, r.Newest, lastOf(r.plan)), r.plan.ID
			}
			continue
		}
		if c.plan != "" || r.First < at {
			return leat.Errorf(leat.KindCorrupt, "the ledger has plan %s at records %d to %d of %s, where another one is", r.plan.ID, r.First, r.End-1, leat.ShardID(c.ordinal))
		}
		if r.First > at {
			c.start, at = r.First, r.First
		}
		if r.plan.State == planned {
			c.plan = r.plan.ID
			continue
		}
		at, c.time, c.last = r.End, max(c.time, r.Newest, lastOf(r.plan)), r.plan.ID
		if r.plan.Manifest.Partial { // what it holds is not known, so nothing up to its end can be proved
			c.start = at
		}
	}
	if c.plan == "" && c.next > at { // a full entry of the journal knows more
		c.start, at = c.next, c.next
	}
	c.next = at // of a plan that is carried out once more: where it begins
	c.done = c.done && c.plan == ""
	return nil
}

// lastOf is when the last record of a plan arrived, where its parts do not say.
func lastOf(p *postedPlan) int64 {
	if len(p.Parts) == 1 {
		return p.Newest
	}
	return 0
}
