// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leatstream/leat"
)

// Pauses between two attempts to listen.
const (
	listenFirst = 100 * time.Millisecond
	listenLast  = 10 * time.Second
)

// Notify has every Listen on a channel hear a payload once the transaction has committed. SQLite has no other process
// that could listen, and nothing happens there.
func (tx *Tx) Notify(channel, payload string) error {
	if tx.engine != Postgres {
		return nil
	}
	_, err := tx.Exec("SELECT pg_notify($1, $2)", channel, payload)
	return err
}

// Listen calls heard with each payload that is notified on a channel, until ctx ends, on a connection of its own. It is a
// hint and no more: what is notified while there is no connection is lost, so that the caller MUST look by itself too.
// lost is told of each connection that broke or could not be made; the next one is tried after a pause. On SQLite it
// waits for ctx.
//
// A pooler between here and PostgreSQL that hands connections out for single transactions (PgBouncer's transaction
// mode) does not pass notifications on.
func (db *DB) Listen(ctx context.Context, channel string, heard func(payload string), lost func(error)) {
	if db.Engine != Postgres {
		<-ctx.Done()
		return
	}
	for pause := listenFirst; ctx.Err() == nil; pause = min(2*pause, listenLast) {
		began := time.Now()
		err := db.listen(ctx, channel, heard)
		if ctx.Err() != nil {
			return
		}
		lost(err)
		if time.Since(began) > listenLast {
			pause = listenFirst // it held for a while
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (db *DB) listen(ctx context.Context, channel string, heard func(string)) error {
	conn, err := pgx.ConnectConfig(ctx, db.pool.Config().ConnConfig.Copy())
	if err != nil {
		return leat.Errorf(leat.KindUnavailable, "connect to listen: %w", err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end) // nothing is in it
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return leat.Errorf(leat.KindUnavailable, "listen: %w", err)
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return leat.Errorf(leat.KindUnavailable, "wait for a notification: %w", err)
		}
		heard(n.Payload)
	}
}
