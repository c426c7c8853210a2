// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/server/backup"
	"github.com/leatstream/leat/shardstore"
)

// backupCmd is `leat backup`.
type backupCmd struct {
	Create backupCreateCmd `cmd:"" default:"withargs" help:"Write a backup, into the bucket or a file. What leat backup does when nothing else is said."`
	List   backupListCmd   `cmd:"" help:"List the backups in the bucket."`
	Verify backupVerifyCmd `cmd:"" help:"Check a backup, and how far the bucket has gone on since."`
}

// backupCreateCmd is `leat backup create`.
type backupCreateCmd struct {
	Postgres    string    `name:"postgres" required:"" env:"LEAT_POSTGRES" help:"The PostgreSQL of the servers, which may be running." placeholder:"DSN"`
	S3          server.S3 `embed:"" prefix:"s3-" envprefix:"LEAT_S3_"`
	serversFile `embed:""`
	To          string `type:"path" placeholder:"FILE" help:"A file that does not exist yet, instead of the bucket."`
	Keep        int    `placeholder:"N" help:"Delete all backups in the bucket but the newest N, this one among them; 0 keeps all." default:"0"`
	Output      string `short:"o" help:"table for people, json for programs." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// Help is shown by `leat backup create --help`.
func (backupCreateCmd) Help() string {
	return "Writes one snapshot of the database's tables, with checksums: the ledger, invoices, credits, budgets, counts of use, the audit log, and streams, shards and accounts as they were. Records, where they are, keys and tokens are not in it: the bucket has those. Servers may be running. --postgres may also name a database that was restored from a backup of another kind and is too old to serve: leat restore makes a present one of what this writes."
}

// Run writes a backup.
func (c *backupCreateCmd) Run(ctx context.Context, t *terminal) error {
	if c.Keep < 0 {
		return leat.Invalid("keep", "--keep %d: give how many backups stay, 0 for all", c.Keep)
	}
	if c.Keep > 0 && c.To != "" {
		return leat.Invalid("keep", "--keep %d is for backups in the bucket: leave it out with --to %s", c.Keep, c.To)
	}
	r, err := server.Backup(ctx, c.Postgres, c.S3, c.To, c.Keep, version)
	if err != nil {
		return err
	}
	if c.Output == formatJSON {
		of := backupJSON(r.Place, &r.Summary)
		of["bytes"], of["entries_behind"], of["pruned"] = r.Bytes, r.Behind, r.Pruned
		return json.NewEncoder(t.out).Encode(of)
	}
	fmt.Fprintf(t.out, "%s: %s of %s, %s, up to entry %s of the bucket's journal\n", r.Place, plural(int(r.Total()), "row"), plural(len(r.Rows), "table"), size(float64(r.Bytes)), count(r.Journal))
	if r.Behind > 1 {
		fmt.Fprintf(t.out, "the database is older than the bucket, which has %s more: no server serves with it, leat restore makes one that does\n", entries(r.Behind))
	}
	if r.Pruned > 0 {
		fmt.Fprintf(t.out, "deleted %s\n", plural(r.Pruned, "older backup"))
	}
	return nil
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return count(n) + " entries"
}

func backupJSON(place string, s *backup.Summary) map[string]any {
	return map[string]any{
		"backup": place, "cluster": s.Cluster.String(), "journal": s.Journal, "taken": s.Taken.Format(time.RFC3339Nano), "leat": s.Leat, "engine": s.Engine,
		"schemas": s.Schemas, "rows": s.Rows,
	}
}

// backupListCmd is `leat backup list`.
type backupListCmd struct {
	S3          server.S3 `embed:"" prefix:"s3-" envprefix:"LEAT_S3_"`
	serversFile `embed:""`
	Output      string `short:"o" help:"table for people, json for programs: one object a backup." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// Run lists.
func (c *backupListCmd) Run(ctx context.Context, t *terminal) error {
	all, err := server.ListBackups(ctx, c.S3)
	if err != nil {
		return err
	}
	p := newPrinter(t.out, c.Output, "BACKUP", "TAKEN", "ROWS", "SIZE", "JOURNAL", "LEAT")
	for i := range all {
		b := &all[i]
		of := backupJSON(b.Name, &b.Summary)
		of["bytes"], of["whole"] = b.Bytes, b.Whole
		cells := []string{b.Name, stamp(b.Taken), count(b.Total()), size(float64(b.Bytes)), count(b.Journal), b.Leat}
		if !b.Whole {
			cells = []string{b.Name, "not finished", "", "", "", ""}
		}
		if err := p.Row(of, cells...); err != nil {
			return err
		}
	}
	return p.Flush()
}

// backupVerifyCmd is `leat backup verify`.
type backupVerifyCmd struct {
	Backup      string    `arg:"" help:"A file, the name of a backup in the bucket, or latest."`
	S3          server.S3 `embed:"" prefix:"s3-" envprefix:"LEAT_S3_"`
	serversFile `embed:""`
	Output      string `short:"o" help:"table for people, json for programs." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// Help is shown by `leat backup verify --help`.
func (backupVerifyCmd) Help() string {
	return "Reads a backup whole as a restore would: every checksum, every row, into tables of the present schema. With the --s3 flags it also looks whether it belongs to the bucket, and how far that has gone on. Changes nothing. Exit status 0 only when a restore could use it."
}

// Run checks.
func (c *backupVerifyCmd) Run(ctx context.Context, t *terminal) error {
	return checkBackup(ctx, t, "", c.S3, c.Backup, c.Output)
}

func checkBackup(ctx context.Context, t *terminal, postgres string, bucket server.S3, source, output string) error {
	r, err := server.CheckBackup(ctx, postgres, bucket, source)
	if err != nil {
		return err
	}
	if output == formatJSON {
		of := backupJSON(r.Place, &r.Summary)
		of["whole"], of["bucket_checked"], of["database_empty"] = true, r.InBucket, r.Database
		if r.InBucket {
			of["entries_since"] = r.Since
		}
		if r.Since > 0 {
			of["last_change"] = r.Last.Format(time.RFC3339Nano)
		}
		return json.NewEncoder(t.out).Encode(of)
	}
	fmt.Fprintf(t.out, "%s is whole: %s of %s, made by leat %s at %s\n", r.Place, plural(int(r.Total()), "row"), plural(len(r.Rows), "table"), r.Leat, stamp(r.Taken))
	switch {
	case !r.InBucket:
		fmt.Fprintf(t.out, "it is of cluster %s; give the --s3 flags to look whether the bucket is of the same\n", r.Cluster)
	case r.Since == 0:
		fmt.Fprintf(t.out, "it belongs to this bucket, whose journal has not gone on since: it ends with entry %s\n", count(r.Journal))
	default:
		fmt.Fprintf(t.out, "it belongs to this bucket, whose journal has gone on by %s since entry %s, the last one at %s: a restore takes these in\n", entries(r.Since), count(r.Journal), stamp(r.Last))
	}
	if r.Database {
		fmt.Fprintln(t.out, "the database is empty: leat restore can fill it")
	}
	return nil
}

// restoreCmd is `leat restore`.
type restoreCmd struct {
	Backup      string    `arg:"" help:"A file, the name of a backup in the bucket, or latest."`
	Postgres    string    `name:"postgres" env:"LEAT_POSTGRES" help:"An empty PostgreSQL database; --verify does without." placeholder:"DSN"`
	S3          server.S3 `embed:"" prefix:"s3-" envprefix:"LEAT_S3_"`
	serversFile `embed:""`
	Verify      bool   `help:"Change nothing: check the backup, that it belongs to the bucket and how far that has gone on, and that the database is empty."`
	KeyFile     string `name:"master-key-file" type:"path" placeholder:"FILE" env:"LEAT_MASTER_KEY_FILE" help:"The master keys of the servers: to check the records of encrypted streams."`
	Key         string `name:"master-key" hidden:"" env:"LEAT_MASTER_KEY" help:"The text of that file."`
	Check       bool   `name:"check" negatable:"" default:"true" help:"Read every record back afterwards."`
	Output      string `short:"o" help:"table for people, json for programs." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// Help is shown by `leat restore --help`.
func (restoreCmd) Help() string {
	return "Fills an empty database from the bucket, as leat rebuild does, with what only a backup has: the ledger, invoices, credits, budgets, counts of reads, the audit log. What was acknowledged after the backup is not lost: streams, keys and records are taken from the bucket as they were at the end, and what was put since is counted, once. Stop all servers on the bucket first. Exit status 0 only when nothing is missing."
}

// Run restores and reports.
func (c *restoreCmd) Run(ctx context.Context, t *terminal) error {
	if c.Verify {
		return checkBackup(ctx, t, c.Postgres, c.S3, c.Backup, c.Output)
	}
	if c.Postgres == "" {
		return leat.Invalid("postgres", `--postgres "": give an empty database to restore into, or --verify to check the backup alone`)
	}
	problems := problemsTo(t, c.Output)
	r, err := server.Restore(ctx, c.Postgres, c.S3, server.MasterKeys{File: c.KeyFile, Text: c.Key}, c.Backup, c.Check, problems.report, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if c.Output == formatJSON {
		of := rebuiltJSON(&r.RebuildReport, problems.n, c.Check)
		of["backup"], of["entries_since"], of["manifests"] = backupJSON(c.Backup, &r.Backup), r.Replayed, r.Manifests
		_ = json.NewEncoder(t.out).Encode(of)
	} else {
		fmt.Fprintf(t.out, "restored %s of %s as they were at %s\n", plural(int(r.Backup.Total()), "row"), plural(len(r.Backup.Rows), "table"), stamp(r.Backup.Taken))
		fmt.Fprintf(t.out, "took in %s of the bucket's journal since, and what %s of packs tell of use\n", entries(r.Replayed), plural(r.Manifests, "manifest"))
		printRebuilt(t, &r.RebuildReport, problems.n, c.Check)
	}
	return problems.err()
}

// problems are counted as they are told.
type problems struct {
	t      *terminal
	output string
	n      int
}

func problemsTo(t *terminal, output string) *problems { return &problems{t: t, output: output} }

func (p *problems) report(of shardstore.Problem) {
	p.n++
	if p.output == formatJSON {
		_ = json.NewEncoder(p.t.out).Encode(map[string]any{"shard": of.Shard.String(), "object": of.Object, "offset": of.Offset, "problem": of.Text})
		return
	}
	fmt.Fprintln(p.t.out, of)
}

func (p *problems) err() error {
	if p.n == 0 {
		return nil
	}
	return leat.Errorf(leat.KindCorrupt, "%s found: the database is filled with what is there", plural(p.n, "problem"))
}
