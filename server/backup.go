// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/backup"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/rebuild"
	"github.com/leatstream/leat/shardstore"
)

// BackupReport is what a backup holds and where it is.
type BackupReport struct {
	backup.Summary
	Place  string // a file, or the name of a backup in the bucket
	Bytes  int64
	Behind int // entries of the bucket's journal that the database did not have; of a database in use 1 at most
	Pruned int // older backups that were deleted
}

// Backup writes a backup of a database, which may be in use, to a file that does not exist yet or, where none is named, to the bucket; there
// the newest keep backups stay then, all when keep is 0.
func Backup(ctx context.Context, postgres string, bucket S3, file string, keep int, version string) (r BackupReport, err error) {
	const within = 24 * time.Hour // one statement for each table, as large as it is
	remote, err := openRemote(ctx, sqldb.Config{Postgres: postgres, Logger: slog.New(slog.DiscardHandler), TxTimeout: within, StatementTimeout: within}, bucket)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, remote.Close()) }()
	clock := leat.SystemClock{}
	var to backupWriter
	if file != "" {
		to, err = createFile(file)
	} else {
		to = remote.backups().create(ctx, clock.Now())
	}
	if err != nil {
		return r, err
	}
	r.Place = to.place()
	if r.Summary, err = backup.Write(ctx, remote.DB, to, version, clock); err == nil {
		err = sameCluster(ctx, &r.Summary, bucket, remote, "database")
	}
	if err == nil {
		r.Bytes, err = to.finish(&r.Summary)
	}
	if err != nil {
		return r, errors.Join(err, to.discard())
	}
	if r.Behind, _, err = remote.journal(nil).Since(ctx, r.Journal); err != nil || file != "" || keep == 0 {
		return r, err
	}
	r.Pruned, err = remote.backups().prune(ctx, keep, clock.Now())
	return r, err
}

// backupWriter takes a backup.
type backupWriter interface {
	io.Writer
	place() string
	finish(s *backup.Summary) (bytes int64, err error) // makes it durable
	discard() error
}

// backupFile is a backup on its way into a file.
type backupFile struct{ *os.File }

func createFile(path string) (backupWriter, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, bad("to", path, "%v: give the name of a file that does not exist, in a folder that does", err)
	}
	return backupFile{f}, nil
}

func (f backupFile) place() string { return f.Name() }

func (f backupFile) finish(*backup.Summary) (int64, error) {
	info, err := f.Stat()
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), f.Close()
}

func (f backupFile) discard() error {
	_ = f.Close() // it may be closed
	return os.Remove(f.Name())
}

// BackupCheck is what checking a backup found: it is whole, and is of this bucket where one was given.
type BackupCheck struct {
	backup.Summary
	Place    string
	InBucket bool // the bucket was looked at
	Since    int  // entries of the bucket's journal that are newer
	Last     time.Time
	Database bool // a database was looked at, and is empty
}

// CheckBackup reads a backup whole, as a restore would, and changes nothing. Without an endpoint the bucket is not looked at, without postgres
// no database.
func CheckBackup(ctx context.Context, postgres string, bucket S3, source string) (c BackupCheck, err error) {
	err = withBackup(ctx, bucket, source, func(old *backup.Backup, remote *Remote, place string) error {
		c.Summary, c.Place = old.Summary, place
		if remote != nil {
			if err := c.bucket(ctx, bucket, remote); err != nil {
				return err
			}
		}
		if postgres == "" {
			return nil
		}
		db, err := openPostgres(ctx, sqldb.Config{Postgres: postgres})
		if err != nil {
			return err
		}
		c.Database = true
		return errors.Join(backup.Empty(ctx, db), db.Close())
	})
	return c, err
}

func (c *BackupCheck) bucket(ctx context.Context, bucket S3, remote *Remote) error {
	if err := sameCluster(ctx, &c.Summary, bucket, remote, "backup"); err != nil {
		return err
	}
	there, err := remote.journal(nil).Has(ctx, c.Journal)
	if err != nil {
		return err
	}
	if !there && c.Journal > 0 {
		return leat.Errorf(leat.KindCorrupt, "the backup knows the bucket's journal up to entry %d, which is not there: the bucket was set back, or is another one", c.Journal)
	}
	c.InBucket = true
	n, last, err := remote.journal(nil).Since(ctx, c.Journal)
	c.Since = n
	if last != nil {
		c.Last = time.UnixMicro(last.At).UTC()
	}
	return err
}

func sameCluster(ctx context.Context, s *backup.Summary, bucket S3, remote *Remote, what string) error {
	id, err := remote.whose(ctx, bucket)
	if err == nil && id != s.Cluster {
		err = bad("s3-bucket", bucket.Bucket, "it holds the records of cluster %s, and the %s is of cluster %s: give the bucket and prefix that belong to it", id, what, s.Cluster)
	}
	return err
}

// RestoreReport is what a restore found.
type RestoreReport struct {
	RebuildReport
	Backup backup.Summary
}

// Restore fills an empty database from the bucket, with the history that a backup has: what Rebuild brings, and what the database alone
// knew when the backup was made.
func Restore(ctx context.Context, postgres string, bucket S3, keys MasterKeys, source string, check bool, report func(shardstore.Problem), log *slog.Logger) (r RestoreReport, err error) {
	if len(bucket.Endpoint) == 0 {
		return r, bad("s3-endpoint", "", "give the address of the object store and the other --s3 flags, as the servers have them: records are in the bucket alone")
	}
	err = withBackup(ctx, bucket, source, func(old *backup.Backup, remote *Remote, _ string) error {
		r.Backup = old.Summary
		if err := sameCluster(ctx, &old.Summary, bucket, remote, "backup"); err != nil {
			return err
		}
		r.RebuildReport, err = rebuildFrom(ctx, postgres, bucket, keys, old, check, report, log)
		return err
	})
	return r, err
}

// withHistory prepares a rebuild with a backup.
func withHistory(ctx context.Context, o *rebuild.Options, old *backup.Backup, db *sqldb.DB) error {
	if err := backup.Empty(ctx, db); err != nil {
		return err
	}
	if err := backup.Migrate(ctx, db); err != nil {
		return err
	}
	counted, err := old.Counted(ctx)
	if err != nil {
		return err
	}
	ended, err := old.Ended(ctx)
	if err != nil {
		return err
	}
	o.Deliveries = old.Deliveries
	o.History = &rebuild.History{
		Journal: old.Journal, Counted: counted, Replay: old.Replay,
		Manifests: func(ctx context.Context, each func(*catalog.Manifest) error) error {
			return billing.EachManifest(ctx, o.Blobs, func(s leat.SessionID) bool { return !ended[s] }, each)
		},
		Write: func(tx *sqldb.Tx) error { return old.Write(ctx, tx) },
	}
	return nil
}

// withBackup opens a backup: a file, or one in the bucket. The bucket is opened where an endpoint is given, or where the backup is in it.
func withBackup(ctx context.Context, bucket S3, source string, do func(*backup.Backup, *Remote, string) error) (err error) {
	var remote *Remote
	if len(bucket.Endpoint) > 0 {
		if remote, err = openBucket(ctx, bucket); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remote.Close()) }()
	}
	from, place, err := openBackup(ctx, remote, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	folder, err := os.MkdirTemp("", "leat-restore-")
	if err != nil {
		return fmt.Errorf("make a folder for what the backup holds (TMPDIR says where): %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	old, err := backup.Open(ctx, from, folder)
	if err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	return do(old, remote, place)
}

// openBackup finds a backup by the name of a file or, where there is no such file, of one in the bucket.
func openBackup(ctx context.Context, remote *Remote, source string) (io.ReadCloser, string, error) {
	f, err := os.Open(source)
	if err == nil {
		return f, source, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, "", leat.Invalid("backup", "%q: %v", source, err)
	}
	if remote == nil {
		return nil, "", leat.Invalid("backup", "%q: there is no such file; for a backup in the bucket give the --s3 flags", source)
	}
	return remote.backups().open(ctx, source)
}

// ListBackups lists the backups in a bucket, the newest first.
func ListBackups(ctx context.Context, bucket S3) (all []StoredBackup, err error) {
	remote, err := openBucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remote.Close()) }()
	return remote.backups().list(ctx)
}
