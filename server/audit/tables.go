// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
)

const columns = "id, at, last, times, account, principal, name, credential, operation, resource, edge, source, agent, request, outcome, message, was, became"

// insert may be run again for the same events.
func (l *Log) insert(ctx context.Context, all []Event) error {
	rows := sqldb.NewRows(18, len(all))
	for i := range all {
		e := &all[i]
		rows.Add(e.ID, e.Time, e.Last, e.Times, e.Account, e.Principal, e.Name, e.Credential, e.Operation, e.Resource, string(e.Edge), e.Source, e.Agent, e.Request,
			e.Outcome, e.Message, string(e.Before), string(e.After))
	}
	const runs = 3
	for n := 1; ; n++ {
		err := l.db.Tx(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.ExecRows("INSERT INTO audit_events ("+columns+") VALUES $rows ON CONFLICT (id) DO UPDATE SET times = excluded.times, last = excluded.last", rows)
			return err
		})
		if !errors.Is(err, sqldb.ErrCommitUnknown) || n == runs || ctx.Err() != nil {
			return err
		}
	}
}

// Filter says which events are asked for; what is empty does not matter.
type Filter struct {
	Since, Until time.Time // the first from Since on, the last before Until
	Account      string
	Principal    string // an ARN, a credential's id or its name
	Operation    string
	Resource     string // an ARN, or how one ends: /orders
	Request      string // a request's id
	Denied       bool   // those that were refused permission alone
	Changes      bool   // those that changed something alone

	NewestFirst bool
	After       string // the id of the last event of the page before
	Limit       int
}

// List returns events in order of their times. What was merged on any node within the last round may be missing yet.
func (l *Log) List(ctx context.Context, f Filter) (all []Event, err error) {
	var where []string
	var args []any
	add := func(text string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			text = strings.Replace(text, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, text)
	}
	for _, is := range []struct{ column, value string }{{"account", f.Account}, {"operation", f.Operation}, {"request", f.Request}} {
		if is.value != "" {
			add(is.column+" = ?", is.value)
		}
	}
	if f.Principal != "" {
		add("(principal = ? OR credential = ? OR name = ?)", f.Principal, f.Principal, f.Principal)
	}
	if f.Resource != "" {
		add("(resource = ? OR resource LIKE ? ESCAPE '!')", f.Resource, "%"+strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(f.Resource))
	}
	if f.Denied {
		add("outcome = ?", leat.KindAccessDenied.String())
	}
	if f.Changes {
		add("(was <> '' OR became <> '')")
	}
	if !f.Since.IsZero() {
		add("id >= ?", idAt(f.Since))
	}
	if !f.Until.IsZero() {
		add("id < ?", idAt(f.Until))
	}
	order := "ASC"
	if f.NewestFirst {
		order = "DESC"
	}
	if f.After != "" && f.NewestFirst {
		add("id < ?", f.After)
	} else if f.After != "" {
		add("id > ?", f.After)
	}
	if len(where) == 0 {
		where = []string{"1 = 1"}
	}
	args = append(args, f.Limit)
	err = l.db.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return tx.Each("SELECT "+columns+" FROM audit_events WHERE "+strings.Join(where, " AND ")+" ORDER BY id "+order+fmt.Sprintf(" LIMIT $%d", len(args)), func(scan sqldb.Scan) error {
			var e Event
			var edge, before, after string
			err := scan(&e.ID, sqldb.Time(&e.Time), sqldb.Time(&e.Last), &e.Times, &e.Account, &e.Principal, &e.Name, &e.Credential, &e.Operation, &e.Resource, &edge,
				&e.Source, &e.Agent, &e.Request, &e.Outcome, &e.Message, &before, &after)
			e.Edge = leat.Edge(edge)
			if before != "" {
				e.Before = json.RawMessage(before)
			}
			if after != "" {
				e.After = json.RawMessage(after)
			}
			all = append(all, e)
			return err
		}, args...)
	})
	return all, err
}

// sweepRows bounds one transaction of Sweep.
const sweepRows = 5_000

// Sweep deletes what is older than it is to be kept.
func (l *Log) Sweep(ctx context.Context) error {
	before := idAt(l.opts.Clock.Now().Add(-l.opts.Keep))
	for {
		var n int64
		err := l.db.Tx(ctx, func(tx *sqldb.Tx) (err error) {
			n, err = tx.Exec("DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events WHERE id < $1 ORDER BY id LIMIT $2)", before, sweepRows)
			return err
		})
		if err != nil || n < sweepRows {
			return err
		}
	}
}
