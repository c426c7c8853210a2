// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery/spec"
	"github.com/leatstream/leat/server/journal"
	"github.com/leatstream/leat/server/masterkey"
)

//go:embed migrations/*.sql
var migrations embed.FS

// tables are what the catalog's database keeps of deliveries.
type tables struct {
	db     *sqldb.DB
	cat    *catalog.Catalog // runs the transactions that go to its journal
	master *masterkey.Ring
	clock  leat.Clock
}

// Migrate makes or updates the tables of deliveries. Nodes may call it at the same time.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	schema := Schema()
	return db.Migrate(ctx, schema.Name, schema.Files)
}

// Schema is the migrations of the tables of deliveries.
func Schema() sqldb.Schema {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sqldb.Schema{Name: "delivery", Files: files}
}

func (t *tables) now() time.Time { return t.clock.Now().UTC().Truncate(time.Microsecond) }

// settle runs a transaction that recognises its own earlier run again while the outcome of its COMMIT is unknown.
func (t *tables) settle(ctx context.Context, fn func(tx *sqldb.Tx) error) error {
	return settle(ctx, t.db.Tx, fn)
}

// change is settle for what a rebuilt catalog must have: fn notes it.
func (t *tables) change(ctx context.Context, fn func(tx *sqldb.Tx) error) error {
	return settle(ctx, t.cat.Change, fn)
}

func settle(ctx context.Context, run func(context.Context, func(tx *sqldb.Tx) error) error, fn func(tx *sqldb.Tx) error) error {
	const runs = 3
	for n := 1; ; n++ {
		err := run(ctx, fn)
		if !errors.Is(err, sqldb.ErrCommitUnknown) || n >= runs || ctx.Err() != nil {
			return err
		}
	}
}

// purpose is what the secrets of a configuration are wrapped for.
func purpose(delivery, track string) string { return "delivery/" + delivery + "/" + track }

func (t *tables) seal(delivery, track string, c *spec.Config) (config, secrets string, err error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", "", err
	}
	all := map[string]string{}
	for name, s := range c.Secrets() {
		if *s != "" {
			all[name] = string(*s)
		}
	}
	if len(all) == 0 {
		return string(text), "", nil
	}
	plain, err := json.Marshal(all)
	if err != nil {
		return "", "", err
	}
	secrets, err = t.master.Wrap(purpose(delivery, track), plain)
	return string(text), secrets, err
}

func (t *tables) unseal(delivery, track, config, secrets string) (c spec.Config, err error) {
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return c, leat.Errorf(leat.KindCorrupt, "the configuration of delivery stream %s cannot be read: %w", delivery, err)
	}
	if secrets == "" {
		return c, nil
	}
	plain, err := t.master.Unwrap(purpose(delivery, track), secrets)
	if err != nil {
		return c, &secretsError{err}
	}
	all := map[string]string{}
	if err := json.Unmarshal(plain, &all); err != nil {
		return c, &secretsError{leat.Errorf(leat.KindCorrupt, "the secrets of delivery stream %s cannot be read", delivery)}
	}
	for name, to := range c.Secrets() {
		*to = spec.Secret(all[name])
	}
	return c, nil
}

// secretsError says why the secrets of a configuration cannot be read, whose other members can.
type secretsError struct{ error }

func (e *secretsError) Unwrap() error { return e.error }

// withoutSecrets is an error without that: for what needs no secrets. Who has lost the master key MUST be able to look at a delivery
// stream, to give its secrets anew, and to delete it.
func withoutSecrets(err error) error {
	if _, ok := errors.AsType[*secretsError](err); ok {
		return nil
	}
	return err
}

// insert makes a delivery stream and its cursors. KindInUse when the account has one of that name.
func (t *tables) insert(ctx context.Context, d *spec.Delivery, cursors []cursor) error {
	config, secrets, err := t.seal(d.ID, "", &d.Config)
	if err != nil {
		return err
	}
	head, err := headOf(d)
	if err != nil {
		return err
	}
	return t.change(ctx, func(tx *sqldb.Tx) error {
		note(tx, journal.Delivery{
			ID: d.ID, Head: head, Configs: []journal.DeliveryConfig{{Version: d.Version, Config: json.RawMessage(config), Secrets: secrets}}, Cursors: journaledCursors("", cursors),
		})
		if d.Config.Source.Direct() {
			if err := catalog.Standing(tx, d.Stream); leat.KindOf(err) == leat.KindInUse || leat.KindOf(err) == leat.KindNotFound {
				return leat.Errorf(leat.KindUnavailable, "delivery stream %s was being deleted while it was made: retry", d.Name)
			} else if err != nil {
				return err
			}
		}
		n, err := tx.Exec(`
INSERT INTO deliveries (id, account, name, state, version, stream, tags, created, updated)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (account, name) DO NOTHING`,
			d.ID, d.Account, d.Name, string(d.State), d.Version, d.Stream, string(head.Tags), d.Created)
		if err != nil {
			return err
		}
		if n == 0 {
			var id string
			if err := tx.Row("SELECT id FROM deliveries WHERE account = $1 AND name = $2", d.Account, d.Name).Scan(&id); err != nil {
				return err
			}
			if id == d.ID {
				return nil // an earlier run of this transaction
			}
			return exists(d.Account, d.Name)
		}
		if _, err := tx.Exec("INSERT INTO delivery_configs (delivery, track, version, config, secrets) VALUES ($1, '', $2, $3, $4)",
			d.ID, d.Version, config, secrets); err != nil {
			return err
		}
		return insertCursors(tx, d.ID, "", cursors)
	})
}

const deliveryColumns = `d.id, d.account, d.name, d.state, d.version, d.stream, d.tags, d.created, d.updated, c.config, c.secrets
FROM deliveries d JOIN delivery_configs c ON c.delivery = d.id AND c.track = '' AND c.version = d.version`

func (t *tables) scan(scan sqldb.Scan) (d spec.Delivery, err error) {
	var state, tags, config, secrets string
	err = scan(&d.ID, &d.Account, &d.Name, &state, sqldb.U64(&d.Version), sqldb.ID(&d.Stream), &tags, sqldb.Time(&d.Created), sqldb.Time(&d.Updated), &config, &secrets)
	if err != nil {
		return d, err
	}
	d.State = spec.State(state)
	if err := json.Unmarshal([]byte(tags), &d.Tags); err != nil {
		return d, err
	}
	d.Config, err = t.unseal(d.ID, "", config, secrets)
	return d, err
}

// one returns an account's delivery stream, without secrets that cannot be opened; KindNotFound when there is none.
func (t *tables) one(ctx context.Context, account, name string) (spec.Delivery, error) {
	d, err := t.whole(ctx, account, name)
	return d, withoutSecrets(err)
}

// whole is one with its secrets. A secretsError comes with what can be read.
func (t *tables) whole(ctx context.Context, account, name string) (d spec.Delivery, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		d, err = t.scan(tx.Row("SELECT "+deliveryColumns+" WHERE d.account = $1 AND d.name = $2", account, name).Scan)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = noDelivery(account, name)
	}
	return d, err
}

func exists(account, name string) error {
	return leat.Errorf(leat.KindInUse, "Delivery stream %s under account %s already exists.", name, account)
}

// others returns KindInUse when another delivery stream than owner has a stream.
func others(tx *sqldb.Tx, stream leat.StreamID, owner string) error {
	var n int
	if err := tx.Row("SELECT count(*) FROM deliveries WHERE stream = $1 AND id <> $2", stream, owner).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return leat.Errorf(leat.KindInUse, "stream %s is another delivery stream's", stream)
	}
	return nil
}

func noDelivery(account, name string) error {
	return leat.Errorf(leat.KindNotFound, "Delivery stream %s under account %s not found.", name, account)
}

// list returns up to limit of an account's delivery streams whose names come after one, by name.
func (t *tables) list(ctx context.Context, account, after string, limit int) ([]spec.Delivery, error) {
	return t.deliveries(ctx, "d.account = $1 AND d.name > $2 ORDER BY d.name LIMIT $3", account, after, limit)
}

// all returns every delivery stream of every account; of some without their secrets. unread are those of which nothing but
// their columns can be read. broken says why.
func (t *tables) all(ctx context.Context) (all, unread []spec.Delivery, broken []error, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) error {
		all, unread, broken = nil, nil, nil
		return tx.Each("SELECT "+deliveryColumns+" ORDER BY d.account, d.name", func(scan sqldb.Scan) error {
			d, err := t.scan(scan)
			if err != nil && d.ID == "" {
				return err
			}
			if err != nil {
				broken = append(broken, fmt.Errorf("delivery stream %s: %w", d.Name, err))
			}
			if _, ok := errors.AsType[*secretsError](err); err != nil && !ok {
				unread = append(unread, d)
				return nil
			}
			all = append(all, d)
			return nil
		})
	})
	return all, unread, broken, err
}

func (t *tables) deliveries(ctx context.Context, where string, args ...any) (all []spec.Delivery, err error) {
	err = t.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT "+deliveryColumns+" WHERE "+where, func(scan sqldb.Scan) error {
			d, err := t.scan(scan)
			all = append(all, d)
			return withoutSecrets(err)
		}, args...)
	})
	return all, err
}

// update changes a delivery stream. change gets it as it is, without secrets that cannot be opened, and says what it should be.
func (t *tables) update(ctx context.Context, account, name string, change func(*spec.Delivery) error) (d spec.Delivery, err error) {
	err = t.cat.Change(ctx, func(tx *sqldb.Tx) error {
		d, err = t.scan(tx.Row("SELECT "+deliveryColumns+" WHERE d.account = $1 AND d.name = $2", account, name).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return noDelivery(account, name)
		}
		if err = withoutSecrets(err); err != nil {
			return err
		}
		version := d.Version
		if err := change(&d); err != nil {
			return err
		}
		d.Updated = t.now()
		head, err := headOf(&d)
		if err != nil {
			return err
		}
		n, err := tx.Exec("UPDATE deliveries SET state = $3, version = $4, tags = $5, updated = $6 WHERE id = $1 AND version = $2",
			d.ID, version, string(d.State), d.Version, string(head.Tags), d.Updated)
		if err := sqldb.One(n, err, leat.Errorf(leat.KindInUse, "delivery stream %s was changed meanwhile: look at it again", name)); err != nil {
			return err
		}
		if d.Version == version {
			note(tx, journal.Delivery{ID: d.ID, Head: head})
			return nil
		}
		config, secrets, err := t.seal(d.ID, "", &d.Config)
		if err != nil {
			return err
		}
		note(tx, journal.Delivery{ID: d.ID, Head: head, Configs: []journal.DeliveryConfig{{Version: d.Version, Config: json.RawMessage(config), Secrets: secrets}}})
		_, err = tx.Exec("INSERT INTO delivery_configs (delivery, track, version, config, secrets) VALUES ($1, '', $2, $3, $4)", d.ID, d.Version, config, secrets)
		return err
	})
	return d, err
}

// remove takes a delivery stream away, with all that is known of what it wrote. The objects stay.
func (t *tables) remove(ctx context.Context, id string) error {
	return t.change(ctx, func(tx *sqldb.Tx) error {
		note(tx, journal.Delivery{ID: id, Gone: true})
		return removeDelivery(tx, id)
	})
}

func removeDelivery(tx *sqldb.Tx, id string) error {
	for _, statement := range []string{
		"DELETE FROM deliveries WHERE id = $1", "DELETE FROM delivery_configs WHERE delivery = $1", "DELETE FROM delivery_backfills WHERE delivery = $1",
		"DELETE FROM delivery_cursors WHERE delivery = $1", "DELETE FROM delivery_plans WHERE delivery = $1",
	} {
		if _, err := tx.Exec(statement, id); err != nil {
			return err
		}
	}
	return nil
}

// present returns the configuration of the live delivery.
func (t *tables) present(ctx context.Context, delivery string) (spec.Config, error) {
	var config, secrets string
	err := t.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT c.config, c.secrets FROM deliveries d JOIN delivery_configs c ON c.delivery = d.id AND c.track = '' AND c.version = d.version WHERE d.id = $1", delivery).
			Scan(&config, &secrets)
	})
	if err != nil {
		return spec.Config{}, err
	}
	return t.unseal(delivery, "", config, secrets)
}

// config returns the configuration that a plan was made with.
func (t *tables) config(ctx context.Context, delivery, track string, version uint64) (spec.Config, error) {
	var config, secrets string
	err := t.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT config, secrets FROM delivery_configs WHERE delivery = $1 AND track = $2 AND version = $3", delivery, track, version).Scan(&config, &secrets)
	})
	if err != nil {
		return spec.Config{}, err
	}
	return t.unseal(delivery, track, config, secrets)
}
