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
	"github.com/leatstream/leat/server/journal"
)

// StreamKey is a key that seals a stream's records, as the catalog has it: by its name. The wrapped key itself has an object
// in the bucket (server/keyring); it is here only since a former version, or while nodes of one run.
type StreamKey struct {
	ID      leat.KeyID
	Stream  leat.StreamID
	Wrapped string // under a master key; journal.KeptApart: it is in the bucket alone
}

// Apart tells whether the key is in the bucket alone.
func (k *StreamKey) Apart() bool { return k.Wrapped == journal.KeptApart }

// StartEncryption makes a stream seal what is written from now on with a new key, known to its owner under a name. It is
// UPDATING until the node that serves it knows the key. The key MUST be in the bucket already. KindInUse when the stream is
// not ACTIVE.
func (c *Catalog) StartEncryption(ctx context.Context, k StreamKey, name string) (updated leat.Stream, err error) {
	err = c.change(ctx, k.Stream, func(tx *sqldb.Tx, s *leat.Stream) error {
		if s.DataKey == k.ID {
			return nil // an earlier run of this transaction
		}
		if s.Status != leat.StreamActive {
			return notActive(s)
		}
		s.Status, s.EncryptionKey, s.DataKey = leat.StreamUpdating, name, k.ID
		wrapped := journal.KeptApart
		if apart, err := c.keepsApart(tx); err != nil {
			return err
		} else if !apart {
			wrapped = k.Wrapped
		}
		_, err := tx.Exec("INSERT INTO stream_keys (id, stream, wrapped, created) VALUES ($1, $2, $3, $4)", k.ID, k.Stream, wrapped, c.now())
		return err
	}, &updated)
	return updated, err
}

// keysVersion is the version of the schema from which on programs find keys in the bucket.
const keysVersion = 12

// wayBack is how long after the last session of a former version its programs may be needed again.
const wayBack = 24 * time.Hour

// keepsApart tells whether keys may be in the bucket alone, where programs of former versions do not find them: none of these runs,
// or did lately. From then on they are refused.
func (c *Catalog) keepsApart(tx *sqldb.Tx) (bool, error) {
	var former int
	err := tx.Row("SELECT count(*) FROM sessions WHERE keys_apart = 0 AND (state <> 'closed' OR closed > $1)", c.now().Add(-wayBack)).Scan(&former)
	if err != nil || former > 0 {
		return false, err
	}
	_, err = tx.Exec("UPDATE "+sqldb.Floor+" SET version = $1 WHERE owner = 'catalog' AND version < $1", keysVersion)
	return true, err
}

// KeepApart takes a wrapped key out of the catalog, which MUST be in the bucket. moved is false while programs may be needed
// that would not find it there, and when the key is not here any more.
func (c *Catalog) KeepApart(ctx context.Context, id leat.KeyID) (moved bool, err error) {
	err = c.settle(ctx, func(tx *sqldb.Tx) error {
		moved = false
		apart, err := c.keepsApart(tx)
		if err != nil || !apart {
			return err
		}
		var stream leat.StreamID
		err = tx.Row("UPDATE stream_keys SET wrapped = $2 WHERE id = $1 RETURNING stream", id, journal.KeptApart).Scan(sqldb.ID(&stream))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		moved = err == nil
		tx.Note(changedStream{stream})
		return err
	})
	return moved, err
}

// ScrubJournal takes the wrapped keys of streams out of the journal; see journal.Log.Scrub. It returns how many entries were
// changed.
func (c *Catalog) ScrubJournal(ctx context.Context, kept func(leat.StreamID, *journal.Key) error) (int, error) {
	if c.opts.Journal == nil {
		return 0, nil
	}
	n, err := c.journaled(ctx)
	if err != nil {
		return 0, err
	}
	// What an older catalog knows of streams is no reason to touch anything.
	if behind, err := c.opts.Journal.Has(ctx, n+1); err != nil || behind {
		return 0, err
	}
	return c.opts.Journal.Scrub(ctx, n, kept)
}

// StopEncryption makes a stream write new records in the clear; what is sealed stays so. A stream that is not encrypted
// stays as it is. KindInUse when it is not ACTIVE.
func (c *Catalog) StopEncryption(ctx context.Context, id leat.StreamID) (updated leat.Stream, err error) {
	err = c.change(ctx, id, func(_ *sqldb.Tx, s *leat.Stream) error {
		if s.EncryptionKey == "" {
			return nil
		}
		if s.Status != leat.StreamActive {
			return notActive(s)
		}
		s.Status, s.EncryptionKey, s.DataKey = leat.StreamUpdating, "", leat.KeyID{}
		return nil
	}, &updated)
	return updated, err
}

const streamKeyColumns = "id, stream, wrapped"

func scanStreamKey(scan sqldb.Scan) (k StreamKey, err error) {
	err = scan(sqldb.ID(&k.ID), sqldb.ID(&k.Stream), &k.Wrapped)
	return k, err
}

// StreamKey returns one key; KindNotFound when there is none.
func (c *Catalog) StreamKey(ctx context.Context, id leat.KeyID) (k StreamKey, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		k, err = scanStreamKey(tx.Row("SELECT "+streamKeyColumns+" FROM stream_keys WHERE id = $1", id).Scan)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = leat.Errorf(leat.KindNotFound, "Key %s not found.", id)
	}
	return k, err
}

// StreamKeys lists the keys of all streams, those of former times too.
func (c *Catalog) StreamKeys(ctx context.Context) (all []StreamKey, err error) {
	err = c.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT "+streamKeyColumns+" FROM stream_keys ORDER BY id", func(scan sqldb.Scan) error {
			k, err := scanStreamKey(scan)
			all = append(all, k)
			return err
		})
	})
	return all, err
}

// RewrapStreamKey stores a key that is here wrapped under another master key, unless somebody else did meanwhile: was is how it was
// wrapped. What it seals does not change.
func (c *Catalog) RewrapStreamKey(ctx context.Context, id leat.KeyID, was, wrapped string) error {
	return c.settle(ctx, func(tx *sqldb.Tx) error {
		var stream leat.StreamID
		err := tx.Row("UPDATE stream_keys SET wrapped = $3 WHERE id = $1 AND wrapped = $2 RETURNING stream", id, was, wrapped).Scan(sqldb.ID(&stream))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		tx.Note(changedStream{stream})
		return err
	})
}
