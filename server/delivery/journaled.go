// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"encoding/json"
	"errors"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/journal"
)

// Journaled is what the catalog's journal has of deliveries: what was asked for. catalog.Deliveries.
type Journaled struct{}

var _ catalog.Deliveries = Journaled{}

// note has a transaction journal what it changes of a delivery stream.
func note(tx *sqldb.Tx, d journal.Delivery) { tx.Note(catalog.ChangedDelivery{Delivery: d}) }

func headOf(d *spec.Delivery) (*journal.DeliveryHead, error) {
	tags, err := json.Marshal(d.Tags)
	return &journal.DeliveryHead{
		Account: d.Account, Name: d.Name, State: string(d.State), Version: d.Version, Stream: d.Stream, Tags: tags,
		Created: leat.Micros(d.Created), Updated: leat.Micros(d.Updated),
	}, err
}

func journaledCursors(track string, cursors []cursor) (all []journal.DeliveryCursor) {
	for _, c := range cursors {
		all = append(all, journal.DeliveryCursor{Track: track, Ordinal: c.ordinal, Start: c.start, Next: c.next, Stop: c.stop, Time: c.time, Done: c.done})
	}
	return all
}

// All implements catalog.Deliveries.
func (Journaled) All(tx *sqldb.Tx) (all []journal.Delivery, err error) {
	at := map[string]int{}
	err = tx.Each("SELECT id, account, name, state, version, stream, tags, created, updated FROM deliveries ORDER BY id", func(scan sqldb.Scan) error {
		d := journal.Delivery{Head: new(journal.DeliveryHead)}
		h, tags := d.Head, ""
		err := scan(&d.ID, &h.Account, &h.Name, &h.State, sqldb.U64(&h.Version), sqldb.ID(&h.Stream), &tags, &h.Created, &h.Updated)
		h.Tags = json.RawMessage(tags)
		at[d.ID] = len(all)
		all = append(all, d)
		return err
	})
	of := func(id string) *journal.Delivery {
		i, ok := at[id]
		if !ok {
			return new(journal.Delivery) // left behind by nothing that is known; of no use
		}
		return &all[i]
	}
	errs := []error{err}
	errs = append(errs, tx.Each("SELECT delivery, track, version, config, secrets FROM delivery_configs ORDER BY delivery, track, version", func(scan sqldb.Scan) error {
		var id, config string
		var c journal.DeliveryConfig
		err := scan(&id, &c.Track, sqldb.U64(&c.Version), &config, &c.Secrets)
		c.Config = json.RawMessage(config)
		of(id).Configs = append(of(id).Configs, c)
		return err
	}), tx.Each("SELECT delivery, track, begins, ends, created FROM delivery_backfills ORDER BY delivery, track", func(scan sqldb.Scan) error {
		var id string
		var b journal.DeliveryBackfill
		err := scan(&id, &b.Track, &b.Begins, &b.Ends, &b.Created)
		of(id).Backfills = append(of(id).Backfills, b)
		return err
	}), tx.Each("SELECT delivery, track, ordinal, start_at, next_at, stop_at, at_time, done FROM delivery_cursors ORDER BY delivery, track, ordinal", func(scan sqldb.Scan) error {
		var id string
		var c journal.DeliveryCursor
		err := scan(&id, &c.Track, sqldb.U64(&c.Ordinal), sqldb.U64(&c.Start), sqldb.U64(&c.Next), &c.Stop, &c.Time, sqldb.Bool(&c.Done))
		of(id).Cursors = append(of(id).Cursors, c)
		return err
	}))
	return all, errors.Join(errs...)
}

// Apply implements catalog.Deliveries.
func (Journaled) Apply(tx *sqldb.Tx, d *journal.Delivery) error {
	if d.Gone {
		return removeDelivery(tx, d.ID)
	}
	if h := d.Head; h != nil {
		_, err := tx.Exec(`
INSERT INTO deliveries (id, account, name, state, version, stream, tags, created, updated) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, version = excluded.version, tags = excluded.tags, updated = excluded.updated`,
			d.ID, h.Account, h.Name, h.State, h.Version, h.Stream, string(h.Tags), h.Created, h.Updated)
		if err != nil {
			return err
		}
	}
	configs, backfills := sqldb.NewRows(5, len(d.Configs)), sqldb.NewRows(5, len(d.Backfills))
	for _, c := range d.Configs {
		configs.Add(d.ID, c.Track, c.Version, string(c.Config), c.Secrets)
	}
	for _, b := range d.Backfills {
		backfills.Add(d.ID, b.Track, b.Begins, b.Ends, b.Created)
	}
	_, err := tx.ExecRows("INSERT INTO delivery_configs (delivery, track, version, config, secrets) VALUES $rows ON CONFLICT (delivery, track, version) DO UPDATE SET secrets = excluded.secrets", configs)
	if err == nil {
		_, err = tx.ExecRows("INSERT INTO delivery_backfills (delivery, track, begins, ends, created) VALUES $rows ON CONFLICT (delivery, track) DO NOTHING", backfills)
	}
	tracks := map[string][]cursor{}
	for _, c := range d.Cursors {
		tracks[c.Track] = append(tracks[c.Track], cursor{ordinal: c.Ordinal, start: c.Start, next: c.Next, stop: c.Stop, time: c.Time, done: c.Done})
	}
	for track, cursors := range tracks {
		if err == nil {
			err = insertCursors(tx, d.ID, track, cursors)
		}
	}
	return err
}
