// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// Resource is what has tags and a policy: a stream or one of its consumers. Both go with it.
type Resource struct {
	Stream   leat.StreamID
	Consumer string // empty: the stream itself
	Created  int64  // of the consumer, in seconds since 1970, where its ARN is given; 0 for any
}

// find returns KindNotFound when there is no such stream or consumer.
func (r Resource) find(tx *sqldb.Tx) (leat.Stream, error) {
	s, err := theStream(tx, r.Stream)
	if err != nil || r.Consumer == "" {
		return s, err
	}
	var created time.Time
	err = tx.Row("SELECT created FROM consumers WHERE stream = $1 AND name = $2", r.Stream, r.Consumer).Scan(sqldb.Time(&created))
	if errors.Is(err, sql.ErrNoRows) || err == nil && r.Created != 0 && created.Unix() != r.Created {
		return s, noConsumer(r.Consumer)
	}
	return s, err
}

// changeable is find for a change: KindInUse when the stream is being deleted. The stream stays as it is until the
// transaction ends.
func (r Resource) changeable(tx *sqldb.Tx) error {
	if err := hold(tx); err != nil {
		return err
	}
	s, err := r.find(tx)
	if err == nil && s.Status == leat.StreamDeleting {
		return notActive(&s)
	}
	tx.Note(changedStream{r.Stream})
	return err
}

// Tag is a name and a value.
type Tag struct{ Name, Value string }

// AddTags gives tags to a resource, in place of those of the same names. KindInvalidArgument when it would have more
// than 50.
func (c *Catalog) AddTags(ctx context.Context, r Resource, tags map[string]string) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		if err := r.changeable(tx); err != nil {
			return err
		}
		return writeTags(tx, r, tags)
	})
}

func writeTags(tx *sqldb.Tx, r Resource, tags map[string]string) error {
	rows := sqldb.NewRows(4, len(tags))
	if len(tags) > 0 {
		if err := touchIdentity(tx); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) { // in order, so that two transactions do not deadlock
		rows.Add(r.Stream, r.Consumer, name, tags[name])
	}
	_, err := tx.ExecRows(`
INSERT INTO tags (stream, consumer, name, value) VALUES $rows
ON CONFLICT (stream, consumer, name) DO UPDATE SET value = excluded.value`, rows)
	if err != nil {
		return err
	}
	var n int
	if err := tx.Row("SELECT count(*) FROM tags WHERE stream = $1 AND consumer = $2", r.Stream, r.Consumer).Scan(&n); err != nil {
		return err
	}
	if n > leat.MaxTags {
		return leat.Invalid("tags", "Failed to add tags: %d tags would be more than the %d that a stream or a consumer can have.", n, leat.MaxTags)
	}
	return nil
}

// RemoveTags takes tags from a resource; names that it does not have are passed over.
func (c *Catalog) RemoveTags(ctx context.Context, r Resource, names []string) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		if err := r.changeable(tx); err != nil {
			return err
		}
		if err := touchIdentity(tx); err != nil {
			return err
		}
		for _, name := range names {
			if _, err := tx.Exec("DELETE FROM tags WHERE stream = $1 AND consumer = $2 AND name = $3", r.Stream, r.Consumer, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// ListTags returns up to limit tags of a resource whose names come after a name, in byte order of names.
func (c *Catalog) ListTags(ctx context.Context, r Resource, after string, limit int) (tags []Tag, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		tags = nil
		if _, err := r.find(tx); err != nil {
			return err
		}
		return tx.Each(`
SELECT name, value FROM tags WHERE stream = $1 AND consumer = $2 AND name > $3 ORDER BY name LIMIT $4`, func(scan sqldb.Scan) error {
			var t Tag
			err := scan(&t.Name, &t.Value)
			tags = append(tags, t)
			return err
		}, r.Stream, r.Consumer, after, limit)
	})
	return tags, err
}

// PutPolicy sets the policy of a resource in place of the one before. The caller has validated it.
func (c *Catalog) PutPolicy(ctx context.Context, r Resource, policy string) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		if err := r.changeable(tx); err != nil {
			return err
		}
		if err := touchIdentity(tx); err != nil {
			return err
		}
		_, err := tx.Exec(`
INSERT INTO policies (stream, consumer, policy) VALUES ($1, $2, $3)
ON CONFLICT (stream, consumer) DO UPDATE SET policy = excluded.policy`, r.Stream, r.Consumer, policy)
		return err
	})
}

// Policy returns the policy of a resource; empty when there is none.
func (c *Catalog) Policy(ctx context.Context, r Resource) (policy string, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		policy = ""
		if _, err := r.find(tx); err != nil {
			return err
		}
		err := tx.Row("SELECT policy FROM policies WHERE stream = $1 AND consumer = $2", r.Stream, r.Consumer).Scan(&policy)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return policy, err
}

// DeletePolicy takes the policy from a resource and tells whether there was one.
func (c *Catalog) DeletePolicy(ctx context.Context, r Resource) (there bool, err error) {
	err = c.settle(ctx, func(tx *sqldb.Tx) error {
		if err := r.changeable(tx); err != nil {
			return err
		}
		n, err := tx.Exec("DELETE FROM policies WHERE stream = $1 AND consumer = $2", r.Stream, r.Consumer)
		there = there || n > 0 // an earlier run of this transaction may have been applied
		if err != nil {
			return err
		}
		return touchIdentity(tx)
	})
	return there, err
}

// dropConsumerResources takes away what is kept about a consumer that goes.
func dropConsumerResources(tx *sqldb.Tx, stream leat.StreamID, consumer string) error {
	for _, table := range []string{"tags", "policies"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE stream = $1 AND consumer = $2", stream, consumer); err != nil {
			return err
		}
	}
	return touchIdentity(tx)
}
