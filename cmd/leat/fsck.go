// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/shardstore"
)

// fsckCmd is `leat fsck`.
type fsckCmd struct {
	DataDir     string    `name:"data-dir" type:"path" xor:"where" help:"Check the folder of a stopped leat dev." placeholder:"FOLDER"`
	Postgres    string    `name:"postgres" xor:"where" env:"LEAT_POSTGRES" help:"Check a leat serve, running or not: its PostgreSQL, and the --s3 flags." placeholder:"DSN"`
	S3          server.S3 `embed:"" prefix:"s3-" envprefix:"LEAT_S3_"`
	serversFile `embed:""`
	KeyFile     string `name:"master-key-file" type:"path" placeholder:"FILE" env:"LEAT_MASTER_KEY_FILE" help:"The master keys of that leat serve: opens the records of encrypted streams."`
	Key         string `name:"master-key" hidden:"" env:"LEAT_MASTER_KEY" help:"The text of that file."`
	Output      string `short:"o" help:"table for people, json for programs: one object a problem, then the counts." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// Help is shown by `leat fsck --help`.
func (fsckCmd) Help() string {
	return "Checks that the catalog agrees with storage: every shard's records are covered without gap or overlap, every object exists, and every checksum holds, down to each record. Records of encrypted streams are opened with the folder's master key or --master-key-file; without it they are checked as they are stored. Repairs nothing. Exit status 0 only when nothing is wrong."
}

// Run checks and reports.
func (c *fsckCmd) Run(ctx context.Context, t *terminal) error {
	problem := func(p shardstore.Problem) {
		if c.Output == formatJSON {
			_ = json.NewEncoder(t.out).Encode(map[string]any{"shard": p.Shard.String(), "object": p.Object, "offset": p.Offset, "problem": p.Text})
			return
		}
		fmt.Fprintln(t.out, p)
	}
	var r server.FsckReport
	var err error
	switch {
	case c.DataDir != "":
		r, err = server.FsckLocal(ctx, c.DataDir, problem)
	case c.Postgres != "":
		r, err = server.FsckRemote(ctx, c.Postgres, c.S3, server.MasterKeys{File: c.KeyFile, Text: c.Key}, problem)
	default:
		return leat.Invalid("data-dir", "say what to check: --data-dir FOLDER, or --postgres DSN with the --s3 flags, or the --config of servers that names these")
	}
	if err != nil {
		return err
	}
	c.report(t, r)
	if r.Problems > 0 {
		return leat.Errorf(leat.KindCorrupt, "%s found: nothing was changed; keep a copy of everything before you repair anything", plural(r.Problems, "problem"))
	}
	return nil
}

func (c *fsckCmd) report(t *terminal, r server.FsckReport) {
	if c.Output == formatJSON {
		_ = json.NewEncoder(t.out).Encode(map[string]any{"shards": r.Shards, "extents": r.Extents, "records": r.Records, "bytes": r.Bytes, "problems": r.Problems, "sealed": r.Sealed, "erased": r.Erased, "open_sessions": len(r.Open)})
		return
	}
	fmt.Fprintf(t.out, "checked %s in %s of %s: %s read, %s\n", plural(int(r.Records), "record"), plural(int(r.Extents), "extent"),
		plural(int(r.Shards), "shard"), size(float64(r.Bytes)), plural(r.Problems, "problem"))
	if r.Sealed > 0 {
		fmt.Fprintf(t.out, "%s of encrypted streams checked as they are stored: to check the records in them, give --master-key-file\n", plural(int(r.Sealed), "extent"))
	}
	if r.Erased > 0 {
		fmt.Fprintf(t.out, "%s of erased streams checked as they are stored: their keys were destroyed, and nobody can open them\n", plural(int(r.Erased), "extent"))
	}
	for _, s := range r.Open {
		fmt.Fprintf(t.out, "session %s of node %q has not ended: records that are only in its log were not checked (a running server, or one that crashed and has not been started again)\n", s.ID, s.Node)
	}
}
