// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/server/keyring"
)

// rebuildCmd is `leat rebuild`.
type rebuildCmd struct {
	Postgres    string    `name:"postgres" required:"" env:"LEAT_POSTGRES" help:"An empty PostgreSQL database." placeholder:"DSN"`
	S3          server.S3 `embed:"" prefix:"s3-" envprefix:"LEAT_S3_"`
	serversFile `embed:""`
	KeyFile     string `name:"master-key-file" type:"path" placeholder:"FILE" env:"LEAT_MASTER_KEY_FILE" help:"The master keys of the servers: to check the records of encrypted streams."`
	Key         string `name:"master-key" hidden:"" env:"LEAT_MASTER_KEY" help:"The text of that file."`
	Check       bool   `name:"check" negatable:"" default:"true" help:"Read every record back afterwards."`
	Output      string `short:"o" help:"table for people, json for programs." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// Help is shown by `leat rebuild --help`.
func (rebuildCmd) Help() string {
	return "Fills an empty database from the bucket alone: streams, shards, keys, consumers, delivery streams and where every record is. For a database that is lost, or that was restored from a backup and is older than the bucket. Stop all servers on the bucket first. Exit status 0 only when nothing is missing."
}

// Run rebuilds and reports.
func (c *rebuildCmd) Run(ctx context.Context, t *terminal) error {
	problems := problemsTo(t, c.Output)
	r, err := server.Rebuild(ctx, c.Postgres, c.S3, server.MasterKeys{File: c.KeyFile, Text: c.Key}, c.Check, problems.report, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if c.Output == formatJSON {
		_ = json.NewEncoder(t.out).Encode(rebuiltJSON(&r, problems.n, c.Check))
	} else {
		printRebuilt(t, &r, problems.n, c.Check)
	}
	return problems.err()
}

func rebuiltJSON(r *server.RebuildReport, problems int, checked bool) map[string]any {
	return map[string]any{
		"streams": r.Streams, "deliveries": r.Deliveries, "shards": r.Shards, "sessions": r.Sessions, "packs": r.Packs, "extents": r.Extents, "journal_entries": r.Entries,
		"problems": problems, "checked_records": r.Check.Records, "checked": checked, "erased": erasedStreams(r.Erased),
	}
}

func printRebuilt(t *terminal, r *server.RebuildReport, problems int, checked bool) {
	fmt.Fprintf(t.out, "rebuilt %s with %s from %s, %s and the logs of %s\n", plural(r.Streams, "stream"), plural(r.Shards, "shard"),
		fmt.Sprintf("a journal of %d", r.Entries), plural(r.Packs, "pack"), plural(r.Sessions, "session"))
	if r.Deliveries > 0 {
		fmt.Fprintf(t.out, "%s go on where they were\n", plural(r.Deliveries, "delivery stream"))
	}
	for _, e := range r.Erased {
		fmt.Fprintf(t.out, "stream %s of account %s was erased at %s: it does not come back\n", e.Name, e.Account, e.At.UTC().Format(time.RFC3339))
	}
	if checked {
		fmt.Fprintf(t.out, "checked %s in %s: %s\n", plural(int(r.Check.Records), "record"), plural(int(r.Check.Extents), "extent"), plural(problems, "problem"))
	}
}

func erasedStreams(all []keyring.Erased) []map[string]any {
	out := []map[string]any{}
	for _, e := range all {
		out = append(out, map[string]any{"id": e.Stream, "account": e.Account, "name": e.Name, "erased": e.At.UTC()})
	}
	return out
}
