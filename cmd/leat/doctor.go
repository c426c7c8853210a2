// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server"
	"github.com/leatstream/leat/server/doctor"
)

// doctorCmd is `leat doctor`.
type doctorCmd struct {
	Postgres    string    `name:"postgres" env:"LEAT_POSTGRES" help:"Look at this PostgreSQL." placeholder:"DSN"`
	S3          server.S3 `embed:"" prefix:"s3-" envprefix:"LEAT_S3_"`
	serversFile `embed:""`
	HTTP        string `name:"endpoint-http" env:"LEAT_ENDPOINT_HTTP" help:"Look at the server that runs there." placeholder:"URL"`
	trust       `embed:""`
	DataDir     string `name:"data-dir" type:"path" env:"LEAT_DATA_DIR" help:"Look at the disk of this folder, for leat dev." placeholder:"FOLDER"`
	Output      string `short:"o" help:"table for people, json for programs: one object a finding." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// Help is shown by `leat doctor --help`.
func (doctorCmd) Help() string {
	return "Looks at what a server stands on: the database's settings, speed and clock; the bucket's conditional PUTs, consistency, lifecycle rules, speed and clock; certificates; a disk; and how a running server answers HTTP/2 and CBOR. Run it where the nodes run, with their LEAT_… variables or their --config. It writes a few objects under doctor/ and removes them. Exit status 0 when nothing is bad; warnings do not count."
}

// Run looks at what the flags name.
func (c *doctorCmd) Run(ctx context.Context, t *terminal) error {
	o := doctor.Options{Postgres: c.Postgres, DataDir: c.DataDir}
	if c.HTTP != "" {
		conf, err := c.tls()
		if err != nil {
			return err
		}
		base, err := httpBase(c.HTTP, conf != nil)
		if err != nil {
			return err
		}
		o.HTTP, o.TLS = base.String(), conf
	}
	var err error
	if o.Buckets, err = c.S3.Stores(); err != nil {
		return err
	}
	if o.Postgres == "" && o.HTTP == "" && o.DataDir == "" && len(o.Buckets) == 0 {
		return leat.Invalid("postgres", "say what to look at: --postgres and the --s3 flags, or the --config of servers that names these, --endpoint-http, or --data-dir")
	}
	bad := 0
	healthy := doctor.Run(ctx, o, func(f doctor.Finding) {
		if f.Grade == doctor.Bad {
			bad++
		}
		c.print(t, f)
	})
	if !healthy {
		return leat.Errorf(leat.KindUnavailable, "%s: each finding says what to do", plural(bad, "bad finding"))
	}
	return nil
}

func (c *doctorCmd) print(t *terminal, f doctor.Finding) {
	if c.Output == formatJSON {
		_ = newEncoder(t.out).Encode(f) // fails only when nobody reads any more
		return
	}
	fmt.Fprintf(t.out, "%-8s%s: %s\n", f.Grade, f.Check, f.Found)
	if f.Means != "" {
		fmt.Fprintf(t.out, "        means: %s\n", f.Means)
	}
	if f.Do != "" {
		fmt.Fprintf(t.out, "        do:    %s\n", f.Do)
	}
}
