// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Scan copies the columns of the row at hand.
type Scan = func(dest ...any) error

// Exec runs a statement and returns how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	tx.sent.Add(1)
	r, err := tx.tx.ExecContext(tx.ctx, query, convert(args)...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Row runs a query for one row; its Scan returns sql.ErrNoRows when there is none.
func (tx *Tx) Row(query string, args ...any) *sql.Row {
	tx.sent.Add(1)
	return tx.tx.QueryRowContext(tx.ctx, query, convert(args)...)
}

// Each runs a query and hands its rows to each, which MUST NOT use the transaction.
func (tx *Tx) Each(query string, each func(Scan) error, args ...any) error {
	return tx.each(query, each, convert(args))
}

func (tx *Tx) each(query string, each func(Scan) error, args []any) (err error) {
	tx.sent.Add(1)
	rows, err := tx.tx.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ExecRows runs a statement with the rows where it says $rows, in several statements when they are many, and returns
// how many rows all of them changed. Placeholders of the query itself are for fixed.
func (tx *Tx) ExecRows(query string, rows *Rows, fixed ...any) (int64, error) {
	changed := int64(0)
	err := rows.chunks(tx.engine, query, convert(fixed), func(text string, args []any) error {
		tx.sent.Add(1)
		r, err := tx.tx.ExecContext(tx.ctx, text, tx.unprepared(args)...)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		changed += n
		return err
	})
	return changed, err
}

// EachRows is Each for a query with $rows, such as one with RETURNING.
func (tx *Tx) EachRows(query string, rows *Rows, each func(Scan) error, fixed ...any) error {
	return rows.chunks(tx.engine, query, convert(fixed), func(text string, args []any) error {
		return tx.each(text, each, tx.unprepared(args))
	})
}

// unprepared has pgx send the statement as it is: one that is hundreds of KiB long, and of a length that seldom comes
// again, is not worth keeping prepared.
func (tx *Tx) unprepared(args []any) []any {
	if tx.engine == Postgres {
		return append([]any{pgx.QueryExecModeExec}, args...)
	}
	return args
}

// One says that exactly one row must have changed; otherwise it returns miss.
func One(changed int64, err, miss error) error {
	switch {
	case err != nil:
		return err
	case changed == 0:
		return miss
	case changed > 1:
		return fmt.Errorf("sqldb: a statement changed %d rows where one was meant", changed)
	}
	return nil
}
