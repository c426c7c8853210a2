// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"database/sql"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
)

// applyEntry makes the catalog what an entry says. The caller holds the revision.
func (c *Catalog) applyEntry(tx *sqldb.Tx, e *journal.Entry, revision uint64) error {
	for i := range e.Streams {
		if err := applyStream(tx, &e.Streams[i], revision); err != nil {
			return err
		}
	}
	for i := range e.Accounts {
		if err := applyAccount(tx, &e.Accounts[i]); err != nil {
			return err
		}
	}
	for i := range e.Deliveries {
		if err := c.applyDelivery(tx, &e.Deliveries[i]); err != nil {
			return err
		}
	}
	for _, end := range e.Ends {
		_, err := tx.Exec("UPDATE shards SET journaled_end = $3 WHERE stream = $1 AND ordinal = $2", end.Shard.Stream, end.Shard.Ordinal, end.Next)
		if err != nil {
			return err
		}
	}
	return nil // a session that left nothing in the bucket never served: it is no session
}

func applyStream(tx *sqldb.Tx, s *journal.Stream, revision uint64) error {
	if s.Gone {
		return dropStreamRows(tx, s.ID, "intents", "consumers", "shards", "tags", "policies", "scale_calls", "scale_events", "stream_keys")
	}
	if s.Head != nil {
		if err := applyHead(tx, s.Head, revision); err != nil {
			return err
		}
	}
	if s.Bare {
		if err := dropRows(tx, s.ID, "shards", "scale_calls", "scale_events"); err != nil {
			return err
		}
	}
	for i := range s.Shards {
		if err := applyShard(tx, &s.Shards[i], revision); err != nil {
			return err
		}
	}
	for _, o := range s.Lost {
		if _, err := tx.Exec("DELETE FROM shards WHERE stream = $1 AND ordinal = $2", s.ID, o); err != nil {
			return err
		}
	}
	_, err := tx.Exec("UPDATE streams SET version = $2 WHERE id = $1", s.ID, revision)
	return err
}

func dropRows(tx *sqldb.Tx, id leat.StreamID, tables ...string) error {
	for _, table := range tables {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE stream = $1", id); err != nil {
			return err
		}
	}
	return nil
}

func dropStreamRows(tx *sqldb.Tx, id leat.StreamID, tables ...string) error {
	if err := dropRows(tx, id, tables...); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM streams WHERE id = $1", id)
	return err
}

func applyHead(tx *sqldb.Tx, h *journal.Head, revision uint64) error {
	s := &h.Stream
	_, err := tx.Exec(`
INSERT INTO streams (id, account, name, mode, status, status_since, retention, max_record, created, expired_before, target_shards,
	next_ordinal, version, encryption_key, data_key, monitoring, warm_mibps, scale_min)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, status = excluded.status, status_since = excluded.status_since,
	retention = excluded.retention, max_record = excluded.max_record, expired_before = excluded.expired_before,
	target_shards = excluded.target_shards, next_ordinal = excluded.next_ordinal, version = excluded.version,
	encryption_key = excluded.encryption_key, data_key = excluded.data_key, monitoring = excluded.monitoring,
	warm_mibps = excluded.warm_mibps, scale_min = excluded.scale_min`,
		s.ID, s.Account, s.Name, string(s.Mode), string(s.Status), h.Since, s.Retention, s.MaxRecordBytes, s.Created, s.ExpiredBefore,
		s.TargetShards, s.NextOrdinal, revision, s.EncryptionKey, s.DataKey, leat.JoinShardMetrics(s.Monitoring), s.WarmThroughput, h.ScaleMin)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM intents WHERE stream = $1 AND state <> 'done'", s.ID); err != nil {
		return err
	}
	if err := dropRows(tx, s.ID, "consumers", "tags", "policies", "stream_keys"); err != nil {
		return err
	}
	if err := touchIdentity(tx); err != nil {
		return err
	}
	for _, i := range h.Intents {
		_, err := tx.Exec("INSERT INTO intents (id, stream, parents, children, state, created) VALUES ($1, $2, $3, $4, $5, $6)",
			i.ID, s.ID, string(i.Parents), string(i.Children), i.State, i.Created)
		if err != nil {
			return err
		}
	}
	return applyParts(tx, h)
}

// applyParts writes the small rows of a stream.
func applyParts(tx *sqldb.Tx, h *journal.Head) error {
	id := h.Stream.ID
	consumers, tags := sqldb.NewRows(4, len(h.Consumers)), sqldb.NewRows(4, len(h.Tags))
	policies, keys := sqldb.NewRows(3, len(h.Policies)), sqldb.NewRows(4, len(h.Keys))
	for _, o := range h.Consumers {
		consumers.Add(id, o.Name, o.Created, o.Active)
	}
	for _, t := range h.Tags {
		tags.Add(id, t.Consumer, t.Name, t.Value)
	}
	for _, p := range h.Policies {
		policies.Add(id, p.Consumer, p.Policy)
	}
	for _, k := range h.Keys {
		keys.Add(k.ID, id, k.Wrapped, k.Created)
	}
	for query, rows := range map[string]*sqldb.Rows{
		"INSERT INTO consumers (stream, name, created, active) VALUES $rows":  consumers,
		"INSERT INTO tags (stream, consumer, name, value) VALUES $rows":       tags,
		"INSERT INTO policies (stream, consumer, policy) VALUES $rows":        policies,
		"INSERT INTO stream_keys (id, stream, wrapped, created) VALUES $rows": keys,
	} {
		if _, err := tx.ExecRows(query, rows); err != nil {
			return err
		}
	}
	return nil
}

// applyShard makes a shard, or closes one. A new one gets the owner that the entry says, unless that is over: a reshard's
// children are open in the engine of their parents' owner, and must not be given to another beside it.
func applyShard(tx *sqldb.Tx, s *journal.Shard, revision uint64) error {
	var parent, adjacent sql.NullInt64
	if s.Parent != nil {
		parent = sql.NullInt64{Int64: int64(*s.Parent), Valid: true}
	}
	if s.AdjacentParent != nil {
		adjacent = sql.NullInt64{Int64: int64(*s.AdjacentParent), Valid: true}
	}
	_, err := tx.Exec(`
INSERT INTO shards (stream, ordinal, start_key, end_key, parent, adjacent, created, closed, final, last_time, epoch, owner, changed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, (SELECT id FROM sessions WHERE id = $12 AND state <> 'closed'), $13)
ON CONFLICT (stream, ordinal) DO UPDATE SET closed = excluded.closed, final = excluded.final`,
		s.Key.Stream, s.Key.Ordinal, s.Range.Start, s.Range.End, parent, adjacent, s.Created, s.Closed, s.Final, s.LastTime, s.Epoch, s.Owner, revision)
	return err
}

func applyAccount(tx *sqldb.Tx, a *journal.Account) error {
	for _, table := range []string{"account_settings", "access_keys", "roles", "tokens"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE account = $1", a.Account); err != nil {
			return err
		}
	}
	if err := applyAccountParts(tx, a); err != nil {
		return err
	}
	if len(a.Settings) > 0 {
		if _, err := tx.Exec("INSERT INTO account_settings (account, settings) VALUES ($1, $2)", a.Account, string(a.Settings)); err != nil {
			return err
		}
	}
	for _, k := range a.AccessKeys {
		_, err := tx.Exec("INSERT INTO access_keys (id, account, name, secret, state, created, role) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			k.ID, a.Account, k.Name, k.Secret, k.State, k.Created, k.Role)
		if err != nil {
			return err
		}
	}
	return nil
}

// applyAccountParts writes an account itself, its roles and its tokens. An entry from before there were accounts has none:
// the account of development stays then, and others are made under their number.
func applyAccountParts(tx *sqldb.Tx, a *journal.Account) error {
	head := a.Head
	if head == nil && (len(a.AccessKeys) > 0 || a.Account == leat.DevAccount) {
		head = &leat.Account{ID: a.Account, Name: "default", State: leat.AccountActive}
	}
	if head == nil {
		if _, err := tx.Exec("DELETE FROM accounts WHERE id = $1", a.Account); err != nil {
			return err
		}
	} else if err := writeAccount(tx, head); err != nil {
		return err
	}
	for i := range a.Roles {
		if err := writeRole(tx, &a.Roles[i]); err != nil {
			return err
		}
	}
	for _, t := range a.Tokens {
		if err := writeToken(tx, &StoredToken{Token: t.Token, Hash: t.Hash}); err != nil {
			return err
		}
	}
	return touchIdentity(tx)
}
