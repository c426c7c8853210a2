// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/leatstream/leat"
)

// Keys of PostgreSQL's advisory locks, one of each for all that migrates a Leat database. A migration may be long; what
// it takes for granted is there in a moment.
const (
	migrationLock   = 0x6c656174 // "leat"
	preparationLock = migrationLock + 1
)

// migrationRuns bounds how often a migration of SQLite gives way to another process's.
const migrationRuns = 10

// Migrate applies those of the .sql files in the root of files (goose's form) that the database does not have yet, each
// in a transaction of its own, and under a lock: of several nodes that start at once, one migrates and the others wait.
// name is the owner's, a lower-case word: each owner counts its own versions.
//
// A database that is newer than files, as that of a cluster which is being upgraded, is not touched: it is used when the
// newest of its migrations leave it to programs this old, and else refused with KindUnsupported. A migration that only
// adds leaves it to whoever could use it before. One that takes away what older programs need MUST say so in its SQL,
// and there MUST be no program left that needs it: see [Floor].
func (db *DB) Migrate(ctx context.Context, name string, files fs.FS) error {
	return db.MigrateTo(ctx, Schema{name, files}, latest)
}

// Schema is an owner's migrations.
type Schema struct {
	Name  string // of the owner
	Files fs.FS
}

// Latest is the last version that the files have.
func (s Schema) Latest() (last int64, err error) {
	files, err := fs.Glob(s.Files, "*.sql")
	for _, file := range files {
		version, wrong := goose.NumericComponent(file)
		if wrong != nil {
			return 0, wrong
		}
		last = max(last, version)
	}
	return last, err
}

// latest stands for the last version that files have.
const latest = -1

// MigrateTo is Migrate up to a version and no further: the tables are then as an older program left them. KindUnsupported when
// the files have no such version.
func (db *DB) MigrateTo(ctx context.Context, s Schema, version int64) error {
	name, files := s.Name, s.Files
	if err := db.prepare(ctx, name); err != nil {
		return fmt.Errorf("prepare the %s schema: %w", name, err)
	}
	p, err := db.provider(name, files)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", name, err)
	}
	last := int64(-1)
	for run := 1; ; run++ {
		current, err := db.migrate(ctx, name, p, version)
		if err == nil || db.Engine == Postgres || run == migrationRuns || current == last && !IsUnavailable(err) {
			return err
		}
		// SQLite has no lock across transactions: another process may have applied the same file a moment before. When
		// the version went up since, there may be less left to do.
		last = current
	}
}

func (db *DB) provider(name string, files fs.FS) (*goose.Provider, error) {
	opts := []goose.ProviderOption{
		goose.WithTableName(name + "_version"), goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true),
	}
	if db.Engine == SQLite {
		return goose.NewProvider(goose.DialectSQLite3, db.write, files, opts...)
	}
	l, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db.write, files, append(opts, goose.WithSessionLocker(patientLocker{l}))...)
}

// migrate returns the version that it found.
func (db *DB) migrate(ctx context.Context, name string, p *goose.Provider, version int64) (int64, error) {
	current, known, err := p.GetVersions(ctx)
	if err != nil {
		return 0, explain(ctx, fmt.Errorf("read the schema version of %s: %w", name, err))
	}
	if current > known {
		return current, db.usable(ctx, name, current, known)
	}
	if version == latest {
		version = known
	} else if version > known {
		return current, leat.Errorf(leat.KindUnsupported, "version %d of the %s schema is wanted and this program knows %d: run a newer leat", version, name, known)
	}
	applied, err := p.UpTo(ctx, version)
	for _, m := range applied {
		db.cfg.Logger.Info("schema migrated", "owner", name, "version", m.Source.Version, "took", m.Duration)
	}
	if err != nil {
		return current, explain(ctx, fmt.Errorf("migrate the %s schema: %w", name, err))
	}
	return current, nil
}

// Floor is the table that tells, for each owner, the oldest schema version whose programs may still use the database. A
// migration of version 12 after which programs that know less than version 11 cannot go on says so:
//
//	UPDATE schema_floor SET version = 11 WHERE owner = 'catalog';
const Floor = "schema_floor"

// prepare makes what migrations take for granted: the collation of keys, the table of floors, and in it the owner's row,
// which lets every program in.
func (db *DB) prepare(ctx context.Context, name string) error {
	return db.Tx(ctx, func(tx *Tx) error {
		if db.Engine == Postgres {
			// Of two nodes that make the same thing at once, PostgreSQL fails one, IF NOT EXISTS or not.
			if _, err := tx.Exec("SELECT pg_advisory_xact_lock($1)", int64(preparationLock)); err != nil {
				return err
			}
			// So that both engines sort and compare bytes: SQLite has a collation of this name.
			if _, err := tx.Exec(`CREATE COLLATION IF NOT EXISTS "binary" (LOCALE = 'C')`); err != nil {
				return err
			}
		}
		if _, err := tx.Exec("CREATE TABLE IF NOT EXISTS " + Floor + " (owner TEXT PRIMARY KEY, version BIGINT NOT NULL)"); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO "+Floor+" (owner, version) VALUES ($1, 0) ON CONFLICT (owner) DO NOTHING", name)
		return err
	})
}

// usable tells whether a program that knows a version may use a database of a newer one.
func (db *DB) usable(ctx context.Context, name string, current, known int64) error {
	var floor int64
	err := db.View(ctx, func(tx *Tx) error {
		return tx.Row("SELECT version FROM "+Floor+" WHERE owner = $1", name).Scan(&floor)
	})
	if err != nil {
		return fmt.Errorf("read the floor of the %s schema: %w", name, err)
	}
	if known < floor {
		return leat.Errorf(leat.KindUnsupported, "the database's %s schema has version %d, which programs that know version %d or later can use, and this one knows %d: run a newer leat", name, current, floor, known)
	}
	db.cfg.Logger.Info("the schema is newer than this program and can be used by it", "owner", name, "version", current, "known", known)
	return nil
}

// patientLocker lifts the timeout of statements while migrations run: making an index may take long.
type patientLocker struct{ lock.SessionLocker }

func (l patientLocker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if err := l.SessionLocker.SessionLock(ctx, conn); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, "SET statement_timeout = 0")
	if err != nil {
		return errors.Join(err, l.SessionLocker.SessionUnlock(context.WithoutCancel(ctx), conn))
	}
	return nil
}

func (l patientLocker) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "RESET statement_timeout")
	return errors.Join(err, l.SessionLocker.SessionUnlock(ctx, conn))
}
