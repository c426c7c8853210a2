// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"database/sql"
	"errors"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

// StreamKey is a key that seals a stream's records, as the catalog has it: wrapped under a master key.
type StreamKey struct {
	ID      leat.KeyID
	Stream  leat.StreamID
	Wrapped string
}

// StartEncryption makes a stream seal what is written from now on with a new key, known to its owner under a name. It is
// UPDATING until the node that serves it knows the key. KindInUse when it is not ACTIVE.
func (c *Catalog) StartEncryption(ctx context.Context, k StreamKey, name string) (updated leat.Stream, err error) {
	err = c.change(ctx, k.Stream, func(tx *sqldb.Tx, s *leat.Stream) error {
		if s.DataKey == k.ID {
			return nil // an earlier run of this transaction
		}
		if s.Status != leat.StreamActive {
			return notActive(s)
		}
		s.Status, s.EncryptionKey, s.DataKey = leat.StreamUpdating, name, k.ID
		_, err := tx.Exec("INSERT INTO stream_keys (id, stream, wrapped, created) VALUES ($1, $2, $3, $4)", k.ID, k.Stream, k.Wrapped, c.now())
		return err
	}, &updated)
	return updated, err
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

// RewrapStreamKey stores a key wrapped under another master key, unless somebody else did meanwhile: was is how it was
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
