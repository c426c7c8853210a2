// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/journal"
)

// gather puts what a transaction noted into its entry, as it is now.
func gather(tx *sqldb.Tx, e *journal.Entry, notes []any) error {
	streams := map[leat.StreamID]*journal.Stream{}
	of := func(id leat.StreamID) *journal.Stream {
		if streams[id] == nil {
			streams[id] = &journal.Stream{ID: id}
		}
		return streams[id]
	}
	for _, note := range notes {
		var err error
		switch n := note.(type) {
		case changedStream:
			of(n.id).Head, err = readHead(tx, n.id)
		case changedShards:
			var all []journal.Shard
			if all, err = readChanged(tx, n.shards); err == nil && len(all) > 0 {
				s := of(all[0].Key.Stream)
				s.Shards = append(s.Shards, all...)
			}
		case droppedShards:
			for _, k := range n.shards {
				of(k.Stream).Lost = append(of(k.Stream).Lost, k.Ordinal)
			}
		case bareStream:
			of(n.id).Bare = true
		case goneStream:
			of(n.id).Gone = true
		case changedAccount:
			err = addAccount(tx, e, n.account)
		case openedSession:
			err = addSession(tx, e, n.id)
		case ChangedDelivery:
			e.Deliveries = append(e.Deliveries, n.Delivery)
		case deletes:
			err = addDeletions(tx, e, n.keys)
		}
		if err != nil {
			return err
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(streams), func(a, b leat.StreamID) int { return bytes.Compare(a[:], b[:]) }) {
		e.Streams = append(e.Streams, *streams[id])
	}
	return nil
}

// mostShards is how many shards the catalog may have for a full entry to be made on the way, which a change of the
// control plane waits for. The first entry is full in any case.
const mostShards = 20_000

// entireState makes a full entry. What the transaction noted comes after it, and says the same again.
func (c *Catalog) entireState(tx *sqldb.Tx, e *journal.Entry) error {
	var shards int
	if err := tx.Row("SELECT count(*) FROM shards").Scan(&shards); err != nil || shards > mostShards && e.N > 1 {
		return err
	}
	e.Full = true
	var ids []leat.StreamID
	err := tx.Each("SELECT id FROM streams ORDER BY id", func(scan sqldb.Scan) error {
		var id leat.StreamID
		err := scan(sqldb.ID(&id))
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		s := journal.Stream{ID: id}
		if s.Head, err = readHead(tx, id); err != nil {
			return err
		}
		if s.Shards, err = readJournalShards(tx, "stream = $1", id); err != nil {
			return err
		}
		e.Streams = append(e.Streams, s)
	}
	var accounts []string
	err = tx.Each("SELECT account FROM account_settings UNION SELECT account FROM access_keys UNION SELECT id FROM accounts", func(scan sqldb.Scan) error {
		var a string
		err := scan(&a)
		accounts = append(accounts, a)
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(accounts)
	for _, a := range accounts {
		if err := addAccount(tx, e, a); err != nil {
			return err
		}
	}
	if c.opts.Deliveries != nil {
		if e.Deliveries, err = c.opts.Deliveries.All(tx); err != nil {
			return err
		}
	}
	return addAllSessions(tx, e)
}

// addAllSessions lists every session, with the segment below which all of its log is in registered packs.
func addAllSessions(tx *sqldb.Tx, e *journal.Entry) error {
	return tx.Each(`
SELECT id, opened, CASE WHEN state = 'closed' AND clean = 1 THEN fence ELSE trimmed END FROM sessions ORDER BY id`, func(scan sqldb.Scan) error {
		var s journal.Session
		err := scan(sqldb.ID(&s.ID), &s.Opened, sqldb.U64(&s.Below))
		e.Sessions = append(e.Sessions, s)
		return err
	})
}

func addSession(tx *sqldb.Tx, e *journal.Entry, id leat.SessionID) error {
	s := journal.Session{ID: id}
	if err := tx.Row("SELECT opened FROM sessions WHERE id = $1", id).Scan(&s.Opened); err != nil {
		return err
	}
	if !slices.Contains(e.Sessions, s) {
		e.Sessions = append(e.Sessions, s)
	}
	return nil
}

// readHead reads everything about a stream but its shards.
func readHead(tx *sqldb.Tx, id leat.StreamID) (*journal.Head, error) {
	h := new(journal.Head)
	var err error
	if h.Stream, err = theStream(tx, id); err != nil {
		return nil, err
	}
	if err := tx.Row("SELECT status_since, scale_min FROM streams WHERE id = $1", id).Scan(&h.Since, &h.ScaleMin); err != nil {
		return nil, err
	}
	err = tx.Each("SELECT id, parents, children, state, created FROM intents WHERE stream = $1 AND state <> 'done' ORDER BY id", func(scan sqldb.Scan) error {
		var i journal.Intent
		var parents, children string
		err := scan(&i.ID, &parents, &children, &i.State, &i.Created)
		i.Parents, i.Children = json.RawMessage(parents), json.RawMessage(children)
		h.Intents = append(h.Intents, i)
		return err
	}, id)
	if err != nil {
		return nil, err
	}
	err = tx.Each("SELECT name, created, active FROM consumers WHERE stream = $1 ORDER BY name", func(scan sqldb.Scan) error {
		var o journal.Consumer
		err := scan(&o.Name, &o.Created, &o.Active)
		h.Consumers = append(h.Consumers, o)
		return err
	}, id)
	if err != nil {
		return nil, err
	}
	err = tx.Each("SELECT consumer, name, value FROM tags WHERE stream = $1 ORDER BY consumer, name", func(scan sqldb.Scan) error {
		var t journal.Tag
		err := scan(&t.Consumer, &t.Name, &t.Value)
		h.Tags = append(h.Tags, t)
		return err
	}, id)
	if err != nil {
		return nil, err
	}
	err = tx.Each("SELECT consumer, policy FROM policies WHERE stream = $1 ORDER BY consumer", func(scan sqldb.Scan) error {
		var p journal.Policy
		err := scan(&p.Consumer, &p.Policy)
		h.Policies = append(h.Policies, p)
		return err
	}, id)
	if err != nil {
		return nil, err
	}
	return h, tx.Each("SELECT id, wrapped, created FROM stream_keys WHERE stream = $1 ORDER BY id", func(scan sqldb.Scan) error {
		var k journal.Key
		err := scan(sqldb.ID(&k.ID), &k.Wrapped, &k.Created)
		h.Keys = append(h.Keys, k)
		return err
	}, id)
}

// readChanged reads shards of one stream.
func readChanged(tx *sqldb.Tx, shards []leat.ShardKey) (all []journal.Shard, err error) {
	from, to := shards[0].Ordinal, shards[0].Ordinal
	wanted := make(map[uint64]bool, len(shards))
	for _, k := range shards {
		from, to, wanted[k.Ordinal] = min(from, k.Ordinal), max(to, k.Ordinal), true
	}
	between, err := readJournalShards(tx, "stream = $1 AND ordinal >= $2 AND ordinal <= $3", shards[0].Stream, from, to)
	for _, s := range between {
		if wanted[s.Key.Ordinal] {
			all = append(all, s)
		}
	}
	if err == nil && len(all) != len(wanted) {
		err = leat.Errorf(leat.KindInternal, "%d of %d shards of stream %s that are to be journaled are there", len(all), len(wanted), shards[0].Stream)
	}
	return all, err
}

func readJournalShards(tx *sqldb.Tx, where string, args ...any) (all []journal.Shard, err error) {
	err = tx.Each("SELECT "+shardColumns+", next_offset, last_time FROM shards WHERE "+where+" ORDER BY ordinal", func(scan sqldb.Scan) error {
		var s journal.Shard
		var err error
		s.Shard, err = scanShard(func(to ...any) error { return scan(append(to, sqldb.U64(&s.Next), &s.LastTime)...) })
		all = append(all, s)
		return err
	}, args...)
	return all, err
}

func addAccount(tx *sqldb.Tx, e *journal.Entry, account string) error {
	a := journal.Account{Account: account}
	var settings string
	err := tx.Row("SELECT settings FROM account_settings WHERE account = $1", account).Scan(&settings)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil {
		a.Settings = json.RawMessage(settings)
	}
	err = tx.Each("SELECT id, name, secret, state, created, role FROM access_keys WHERE account = $1 ORDER BY id", func(scan sqldb.Scan) error {
		var k journal.AccessKey
		err := scan(&k.ID, &k.Name, &k.Secret, &k.State, &k.Created, &k.Role)
		a.AccessKeys = append(a.AccessKeys, k)
		return err
	}, account)
	if err == nil {
		err = addAccountParts(tx, &a)
	}
	e.Accounts = append(e.Accounts, a)
	return err
}

// addAccountParts reads an account itself, its roles and its tokens.
func addAccountParts(tx *sqldb.Tx, a *journal.Account) error {
	head, err := theAccount(tx, a.Account)
	if err == nil {
		a.Head = &head
	} else if leat.KindOf(err) != leat.KindNotFound {
		return err
	}
	if a.Roles, err = readRoles(tx, "WHERE account = $1 ORDER BY name", a.Account); err != nil {
		return err
	}
	tokens, err := readTokens(tx, "WHERE account = $1 ORDER BY id", a.Account)
	for _, t := range tokens {
		a.Tokens = append(a.Tokens, journal.Token{Token: t.Token, Hash: t.Hash})
	}
	return err
}

// addDeletions says below which segment each log that loses segments is packed, and where shards end that have lost all
// of their extents and whose end the journal does not have yet.
func addDeletions(tx *sqldb.Tx, e *journal.Entry, keys []string) error {
	below := map[leat.SessionID]uint64{}
	for _, key := range keys {
		if s, n, ok := parseSegment(key); ok {
			below[s] = max(below[s], n+1)
		}
	}
	for _, s := range slices.SortedFunc(maps.Keys(below), func(a, b leat.SessionID) int { return bytes.Compare(a[:], b[:]) }) {
		e.Trims = append(e.Trims, journal.Trim{Session: s, Below: below[s]})
	}
	return tx.Each(`
UPDATE shards SET journaled_end = next_offset
WHERE horizon = next_offset AND next_offset <> journaled_end
RETURNING stream, ordinal, next_offset, last_time`, func(scan sqldb.Scan) error {
		var end journal.End
		err := scan(sqldb.ID(&end.Shard.Stream), sqldb.U64(&end.Shard.Ordinal), sqldb.U64(&end.Next), &end.LastTime)
		e.Ends = append(e.Ends, end)
		return err
	})
}
